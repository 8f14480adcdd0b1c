/**
 * The leading job master: all jobs, all task managers, one epoch.
 *
 * Decides: what to send to whom, what to write to coord, by step(event) and drain(); when it wants to be woken, by deadlineMs.
 * Invariants:
 *  - one instance is one term of leadership: it begins with what coord holds after the epoch was raised, and ends, for good, when it is fenced;
 *    a fenced master has no effects;
 *  - everything it sends carries its epoch, everything it writes is guarded by it (by whoever carries the effects out);
 *  - a task manager is sent nothing but hello before it has said what it runs.
 * Source: Flink's Dispatcher and JobMaster; fencing as its JobMasterId, with an epoch that is ordered.
 * Leaves to others: election, coord, storage, sockets, time (runtime/job-manager).
 */
import { assert, assertNever } from '../../coord/base/assert.ts';
import { Prng } from '../../coord/base/prng.ts';
import type { ExecutionId, TaskReport, WorkerMessage } from '../rpc/messages.ts';
import type { MasterEffect, MasterEvent } from './effects.ts';
import { isLive } from './execution-graph.ts';
import type { MasterContext } from './job-execution.ts';
import { JobExecution } from './job-execution.ts';
import { SlotPool } from './slot-pool.ts';

export interface JobMasterOptions {
  readonly epoch: number;
  readonly masterId: string;
}

export class JobMaster {
  readonly epoch: number;
  readonly pool: SlotPool;
  readonly #masterId: string;
  readonly #jobs = new Map<string, JobExecution>();
  readonly #writes = new Map<number, { done: () => void; failed: ((reason: string) => void) | undefined }>();
  readonly #context: MasterContext;
  #effects: MasterEffect[] = [];
  #nextWriteId = 1;
  #nowMs = 0;
  #wallMs = 0;
  #fenced = false;

  constructor({ epoch, masterId }: JobMasterOptions) {
    this.epoch = epoch;
    this.#masterId = masterId;
    this.pool = new SlotPool(new Prng(`${epoch}`));
    this.#context = this.#makeContext();
  }

  get fenced(): boolean {
    return this.#fenced;
  }
  get jobs(): ReadonlyMap<string, JobExecution> {
    return this.#jobs;
  }

  /** When step({ type: 'time' }) is wanted at the latest; Infinity: not at all. */
  get deadlineMs(): number {
    return this.#fenced ? Infinity : Math.min(Infinity, ...[...this.#jobs.values()].map((job) => job.deadlineMs));
  }

  /** `nowMs`: monotonic; `wallMs`: ms since 1970, for people. */
  step(event: MasterEvent, nowMs: number, wallMs: number): void {
    if (this.#fenced) return;
    // What is heard of something else may come between a deadline and its timer, and must not be taken for it.
    const isDue = nowMs >= this.deadlineMs;
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    this.#take(event);
    if (isDue && event.type !== 'time' && !this.#fenced) this.#advanceAll();
  }

  #take(event: MasterEvent): void {
    switch (event.type) {
      case 'jobFound':
        assert(!this.#jobs.has(event.job.spec.jobId), `job ${event.job.spec.jobId} is found once`);
        this.#jobs.set(event.job.spec.jobId, new JobExecution(this.#context, event.job));
        // Task managers that had said what they run before the job was known say it again.
        for (const taskManagerId of new Set(event.job.record.slots)) if (taskManagerId !== null && this.pool.isRegistered(taskManagerId)) this.#hello(taskManagerId);
        return;
      case 'request':
        this.#jobs.get(event.jobId)?.onRequest(event.request);
        return;
      case 'taskManagerUp':
        this.pool.add(event.taskManagerId, event.address, event.slots);
        return;
      case 'taskManagerConnected': {
        const entry = this.pool.get(event.taskManagerId);
        if (entry === undefined) return;
        entry.connected = true;
        this.#hello(event.taskManagerId);
        return;
      }
      case 'taskManagerDisconnected': {
        const entry = this.pool.get(event.taskManagerId);
        if (entry === undefined) return;
        entry.connected = false;
        entry.registered = false;
        for (const job of this.#jobs.values()) job.onTaskManagerDisconnected(event.taskManagerId);
        return;
      }
      case 'taskManagerLost':
        if (this.pool.get(event.taskManagerId) === undefined) return;
        this.#trace('task manager lost', { taskManagerId: event.taskManagerId, reason: event.reason });
        this.pool.remove(event.taskManagerId);
        for (const job of this.#jobs.values()) job.onTaskManagerLost(event.taskManagerId, event.reason);
        return;
      case 'message':
        this.#onMessage(event.from, event.message);
        return;
      case 'written': {
        const write = this.#takeWrite(event.writeId);
        write.done();
        this.#advanceAll();
        return;
      }
      case 'writeFailed': {
        const write = this.#takeWrite(event.writeId);
        assert(write.failed !== undefined, `write ${event.writeId} can only succeed or be fenced`);
        write.failed(event.reason);
        return;
      }
      case 'splitsDiscovered':
        this.#jobs.get(event.jobId)?.onSplits(event.vertexId, event.bounded, event.splits);
        return;
      case 'splitsFailed':
        this.#jobs.get(event.jobId)?.onSplitsFailed(event.vertexId, event.message, event.retryable);
        return;
      case 'fenced':
        this.#fenced = true;
        this.#effects = [];
        return;
      case 'time':
        this.#advanceAll();
        return;
      default:
        assertNever(event);
    }
  }

  drain(): MasterEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #onMessage(from: string, message: WorkerMessage): void {
    switch (message.type) {
      case 'registered':
        this.#onRegistered(from, message.tasks);
        return;
      case 'fenced':
        if (message.epoch > this.epoch) this.step({ type: 'fenced' }, this.#nowMs, this.#wallMs);
        return;
      case 'taskState':
        this.#jobOf(message.report.executionId)?.onTaskState(message.report);
        this.#advanceAll();
        return;
      case 'ackCheckpoint':
        this.#jobOf(message.executionId)?.onAck(message);
        return;
      case 'declineCheckpoint':
        this.#jobOf(message.executionId)?.onDecline(message);
        return;
      case 'inputEnded':
        this.#jobOf(message.executionId)?.onInputEnded(message.executionId);
        return;
      case 'metrics':
        for (const metrics of message.tasks) {
          const execution = this.#jobOf(metrics.executionId)?.graph.find(metrics.executionId)?.execution;
          if (execution != null) execution.metrics = metrics;
        }
        return;
      case 'logs':
        // Asked for, and answered to, outside of the core.
        return;
      default:
        assertNever(message);
    }
  }

  #onRegistered(taskManagerId: string, reports: readonly TaskReport[]): void {
    const entry = this.pool.get(taskManagerId);
    if (entry === undefined || !entry.connected) return;
    entry.registered = true;
    this.#trace('task manager registered', { taskManagerId, slots: entry.slots, tasks: reports.length });
    const byId = new Map(reports.map((report) => [report.executionId, report]));
    const strangers: ExecutionId[] = [];
    for (const { executionId, state } of reports) {
      if (state === 'FINISHED' || state === 'CANCELED' || state === 'FAILED') continue;
      const job = this.#jobOf(executionId);
      // A job that could not be read yet must find its tasks alive.
      if (job === undefined) continue;
      const execution = job.terminal ? null : job.graph.find(executionId)?.execution;
      // One that was given up here, too: another attempt may be about to begin.
      if (execution == null || execution.taskManagerId !== taskManagerId || !isLive(execution)) strangers.push(executionId);
    }
    if (strangers.length > 0) this.#effects.push({ type: 'send', to: taskManagerId, message: { type: 'cancel', epoch: this.epoch, executionIds: strangers } });
    for (const job of this.#jobs.values()) job.onRegistered(taskManagerId, byId);
  }

  #hello(taskManagerId: string): void {
    const entry = this.pool.get(taskManagerId);
    if (entry !== undefined) entry.registered = false;
    this.#effects.push({ type: 'send', to: taskManagerId, message: { type: 'hello', epoch: this.epoch, masterId: this.#masterId } });
  }

  /** Also of other jobs: slots may have become free, and they may have waited for them. */
  #advanceAll(): void {
    for (const job of this.#jobs.values()) job.advance();
  }

  #jobOf(executionId: ExecutionId): JobExecution | undefined {
    return this.#jobs.get(executionId.slice(0, executionId.indexOf('/')));
  }

  #takeWrite(writeId: number): { done: () => void; failed: ((reason: string) => void) | undefined } {
    const write = this.#writes.get(writeId);
    assert(write !== undefined, `write ${writeId} is under way`);
    this.#writes.delete(writeId);
    return write;
  }

  #trace(name: string, fields: Readonly<Record<string, unknown>>): void {
    this.#effects.push({ type: 'trace', name, fields });
  }

  #makeContext(): MasterContext {
    const nowMs = (): number => this.#nowMs;
    const wallMs = (): number => this.#wallMs;
    return {
      epoch: this.epoch,
      pool: this.pool,
      get nowMs() {
        return nowMs();
      },
      get wallMs() {
        return wallMs();
      },
      emit: (effect) => this.#effects.push(effect),
      write: (effect, done, failed) => {
        const writeId = this.#nextWriteId++;
        this.#writes.set(writeId, { done, failed });
        this.#effects.push(effect(writeId));
      },
    };
  }
}
