/**
 * One term of leadership: drives the job master's core between coord, storage and the task managers.
 *
 * Invariants: the epoch is raised in coord before anything is read; an ended term does nothing more, whatever still comes in; effects are
 *   carried out in the order in which the core gave them.
 * Leaves to others: election (job-manager), all decisions (jobmaster/job-master).
 */
import { isCoordError } from '../../coord/client/index.ts';
import type { CoordClient, Leadership } from '../../coord/client/index.ts';
import { AssertionFailed, assertNever } from '../../coord/base/assert.ts';
import { DreyError } from '../../coord/base/errors.ts';
import type { TimerHandle } from '../../coord/base/ports.ts';
import { listJobIds, listTaskManagers, readRequest, recoverJob } from '../ha/job-store.ts';
import { Fenced, MasterStore } from '../ha/master-store.ts';
import type { MasterEffect, MasterEvent } from '../jobmaster/effects.ts';
import { JobMaster } from '../jobmaster/job-master.ts';
import type { RecoveredJob } from '../jobmaster/records.ts';
import type { WorkerMessage } from '../rpc/messages.ts';
import { checkpointPrefix } from '../storage/paths.ts';
import type { Storage } from '../storage/storage.ts';
import type { RuntimePorts } from './ports.ts';
import { Refresher } from './refresher.ts';
import { SplitDiscovery } from './split-discovery.ts';
import { TaskManagerLink } from './task-manager-link.ts';

const LOGS_TIMEOUT_MS = 2000;
const TAKE_AGAIN_MS = 2000;
/** Said again by what follows. */
const QUIET = new Set(['checkpoint triggered']);
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface MasterTermOptions {
  readonly ports: RuntimePorts;
  readonly coord: CoordClient;
  readonly leadership: Leadership;
  readonly masterId: string;
  readonly log: (line: string) => void;
  /** A newer master has the epoch, or this one cannot lead. */
  readonly onOver: (reason: Error) => void;
}

export class MasterTerm {
  readonly epoch: number;
  readonly master: JobMaster;
  readonly #options: MasterTermOptions;
  readonly #ports: RuntimePorts;
  readonly #coord: CoordClient;
  readonly #links = new Map<string, TaskManagerLink>();
  readonly #refreshers: Refresher[] = [];
  readonly #jobs = new Map<string, RecoveredJob | null>();
  readonly #storages = new Map<string, Storage>();
  readonly #discovery: SplitDiscovery;
  readonly #logWaiters = new Map<number, (lines: readonly string[]) => void>();
  #store: MasterStore | null = null;
  #timer: TimerHandle | null = null;
  #over = false;
  #draining = false;
  #ready = false;
  #nextRequestId = 1;

  constructor(options: MasterTermOptions) {
    this.#options = options;
    this.#ports = options.ports;
    this.#discovery = new SplitDiscovery(options.ports.loadBundle);
    this.#coord = options.coord;
    this.epoch = options.leadership.epoch;
    this.master = new JobMaster({ epoch: this.epoch, masterId: options.masterId });
  }

  /** Jobs have been recovered: what it shows is whole. */
  get ready(): boolean {
    return this.#ready;
  }

  async begin(): Promise<void> {
    try {
      this.#store = await MasterStore.grant(this.#coord, this.#ports.timers, this.epoch, this.#options.leadership.path, () => this.#over);
      // First which workers there are (a job's tasks on others are lost), then the jobs, and only then what the workers say of them.
      const taskManagers = await listTaskManagers(this.#coord);
      if (this.#over) return;
      for (const [taskManagerId, { address, slots }] of taskManagers) this.#step({ type: 'taskManagerUp', taskManagerId, address, slots });
      await Promise.all((await listJobIds(this.#coord)).map((jobId) => this.#takeJob(jobId)));
      if (this.#over) return;
      this.#ready = true;
      this.#takeTaskManagers(taskManagers);
      this.#keep(async (watch) => {
        this.#takeTaskManagers(await listTaskManagers(this.#coord, watch));
      });
      this.#keep(async (watch) => {
        await Promise.all((await listJobIds(this.#coord, watch)).map((jobId) => this.#takeJob(jobId)));
      });
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** At once: nothing is sent or written any more. Workers go on. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.master.step({ type: 'fenced' }, this.#ports.clock.monotonicMs(), this.#ports.clock.wallMs());
    this.#timer?.cancel();
    for (const refresher of this.#refreshers) refresher.stop();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    for (const answer of this.#logWaiters.values()) answer([]);
  }

  /** The last lines that the job's tasks logged, from all task managers that answer. */
  async logs(jobId: string, tailLines: number): Promise<string[]> {
    const answers = [...this.#links.values()].map((link) => {
      const requestId = this.#nextRequestId++;
      return new Promise<readonly string[]>((resolve) => {
        const timer = this.#ports.timers.after(LOGS_TIMEOUT_MS, () => answer([]));
        const answer = (lines: readonly string[]): void => {
          timer.cancel();
          this.#logWaiters.delete(requestId);
          resolve(lines);
        };
        this.#logWaiters.set(requestId, answer);
        link.send({ type: 'logs', epoch: this.epoch, requestId, jobId, tailLines });
      });
    });
    // Each line begins with its time.
    return (await Promise.all(answers)).flat().sort().slice(-tailLines);
  }

  // -------------------------------------------------------------- what coord shows

  #keep(read: ConstructorParameters<typeof Refresher>[1]): void {
    const refresher = new Refresher(this.#ports.timers, read, (error) => {
      if (isCoordError(error)) this.#fail(error);
      else this.#options.log(error.message);
    });
    this.#refreshers.push(refresher);
    refresher.refresh();
  }

  #takeTaskManagers(found: ReadonlyMap<string, { readonly address: string; readonly slots: number }>): void {
    if (this.#over) return;
    for (const [taskManagerId, link] of this.#links) {
      if (found.has(taskManagerId)) continue;
      link.close();
      this.#links.delete(taskManagerId);
      this.#step({ type: 'taskManagerLost', taskManagerId, reason: 'is no longer registered' });
    }
    for (const [taskManagerId, { address, slots }] of found) {
      if (this.#links.has(taskManagerId)) continue;
      if (this.master.pool.get(taskManagerId) === undefined) this.#step({ type: 'taskManagerUp', taskManagerId, address, slots });
      this.#links.set(taskManagerId, this.#link(taskManagerId, address, slots));
    }
  }

  #link(taskManagerId: string, address: string, slots: number): TaskManagerLink {
    return new TaskManagerLink(this.#ports, address, {
      connected: () => {
        // It had refused before, and was given up.
        if (this.master.pool.get(taskManagerId) === undefined) this.#step({ type: 'taskManagerUp', taskManagerId, address, slots });
        this.#step({ type: 'taskManagerConnected', taskManagerId });
      },
      disconnected: () => this.#step({ type: 'taskManagerDisconnected', taskManagerId }),
      refused: () => this.#step({ type: 'taskManagerLost', taskManagerId, reason: `refuses connections at ${address}` }),
      message: (message) => this.#onMessage(taskManagerId, message),
    });
  }

  #onMessage(from: string, message: WorkerMessage): void {
    if (message.type === 'registered' && message.taskManagerId !== from) return this.#onAnother(from, message.taskManagerId);
    if (message.type === 'logs') this.#logWaiters.get(message.requestId)?.(message.lines);
    this.#step({ type: 'message', from, message });
    if (message.type === 'fenced' && message.epoch > this.epoch) this.#fail(new Fenced(this.epoch));
  }

  /** A new process listens where a former one did, whose znode its session still holds. */
  #onAnother(former: string, taskManagerId: string): void {
    // Stays in the map, so that it is not dialled again.
    this.#links.get(former)?.close();
    this.#step({ type: 'taskManagerLost', taskManagerId: former, reason: `is gone: ${taskManagerId} listens at its address` });
    // It answers the last one that said hello to it.
    if (this.master.pool.get(taskManagerId)?.connected === true) this.#step({ type: 'taskManagerConnected', taskManagerId });
  }

  async #takeJob(jobId: string): Promise<void> {
    if (this.#over || this.#jobs.has(jobId)) return;
    this.#jobs.set(jobId, null);
    let job: RecoveredJob | null = null;
    try {
      job = await recoverJob(this.#coord, jobId, (url) => this.#storage(url));
    } catch (error) {
      this.#jobs.delete(jobId);
      if (isCoordError(error)) throw error;
      // One job that cannot be read must not keep the others from running.
      this.#options.log(`job ${jobId} cannot be taken over: ${(error as Error).message}; trying again`);
      this.#ports.timers.after(TAKE_AGAIN_MS, () => {
        this.#takeJob(jobId).catch((again: Error) => this.#fail(again));
      });
      return;
    }
    if (job === null) {
      this.#jobs.delete(jobId);
      return;
    }
    if (this.#over) return;
    this.#jobs.set(jobId, job);
    this.#step({ type: 'jobFound', job });
    if (this.master.jobs.get(jobId)?.terminal !== false) return;
    this.#keep(async (watch) => {
      const request = await readRequest(this.#coord, jobId, watch);
      if (request !== null) this.#step({ type: 'request', jobId, request });
    });
  }

  // -------------------------------------------------------------- the core's turn

  #step(event: MasterEvent): void {
    if (this.#over) return;
    try {
      this.master.step(event, this.#ports.clock.monotonicMs(), this.#ports.clock.wallMs());
    } catch (error) {
      // Half a step has been taken: this process must not go on as a master, whatever else it lets pass.
      throw error instanceof AssertionFailed ? error : new AssertionFailed(`the job master's core threw at ${event.type}: ${(error as Error).stack}`);
    }
    if (this.#draining) return;
    this.#draining = true;
    for (let effects = this.master.drain(); effects.length > 0 && !this.#over; effects = this.master.drain()) for (const effect of effects) this.#carryOut(effect);
    this.#draining = false;
    this.#setTimer();
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const { deadlineMs } = this.master;
    if (this.#over || deadlineMs === Infinity) return;
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(1, deadlineMs - this.#ports.clock.monotonicMs()));
    this.#timer = this.#ports.timers.after(delayMs, () => this.#step({ type: 'time' }));
  }

  #carryOut(effect: MasterEffect): void {
    const store = this.#store as MasterStore;
    switch (effect.type) {
      case 'send':
        this.#links.get(effect.to)?.send(effect.message);
        return;
      case 'writeJob':
        this.#write(effect.writeId, store.writeRecord(effect.jobId, effect.record));
        return;
      case 'reserveCheckpointId':
        this.#write(effect.writeId, store.reserveCheckpointId(effect.jobId, effect.checkpointId));
        return;
      case 'completeCheckpoint':
        this.#write(effect.writeId, store.completeCheckpoint(effect.jobId, this.#storageOf(effect.jobId), effect.metadata, effect.completed));
        return;
      case 'discardCheckpoint':
        void this.#discard(effect.jobId, effect.checkpointId);
        return;
      case 'discoverSplits':
        void this.#discover(effect.jobId, effect.vertexId, effect.known);
        return;
      case 'trace':
        if (!QUIET.has(effect.name)) this.#options.log(describe(effect.name, effect.fields));
        return;
      default:
        assertNever(effect);
    }
  }

  #write(writeId: number, written: Promise<void>): void {
    written.then(
      () => this.#step({ type: 'written', writeId }),
      (error: Error) => {
        if (this.#over) return;
        if (error instanceof DreyError && error.code.startsWith('STORAGE_')) this.#step({ type: 'writeFailed', writeId, reason: error.message });
        else this.#fail(error);
      },
    );
  }

  async #discover(jobId: string, vertexId: string, known: readonly string[]): Promise<void> {
    const job = this.#jobs.get(jobId) as RecoveredJob;
    try {
      const { bounded, splits } = await this.#discovery.discover(job.spec, vertexId, known, this.#storageOf(jobId));
      this.#step({ type: 'splitsDiscovered', jobId, vertexId, bounded, splits });
    } catch (error) {
      const retryable = !(error instanceof DreyError) || error.retryable;
      this.#step({ type: 'splitsFailed', jobId, vertexId, message: `splits of source ${vertexId}: ${(error as Error).message}`, retryable });
    }
  }

  async #discard(jobId: string, checkpointId: number): Promise<void> {
    const storage = this.#storageOf(jobId);
    try {
      for (const path of await storage.list(checkpointPrefix(jobId, checkpointId))) {
        if (this.#over) return;
        await storage.delete(path);
      }
    } catch (error) {
      this.#options.log(`checkpoint ${checkpointId} of ${jobId} is left in storage: ${(error as Error).message}`);
    }
  }

  #storageOf(jobId: string): Storage {
    return this.#storage((this.#jobs.get(jobId) as RecoveredJob).spec.storageUrl);
  }
  #storage(url: string): Storage {
    let storage = this.#storages.get(url);
    if (storage === undefined) {
      storage = this.#ports.openStorage(url);
      this.#storages.set(url, storage);
    }
    return storage;
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.end();
    this.#options.onOver(error);
  }
}

function describe(name: string, { job, ...fields }: Readonly<Record<string, unknown>>): string {
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [typeof job === 'string' ? `job ${job}:` : '', name, ...rest].filter((part) => part !== '').join(' ');
}
