/**
 * One attempt of one subtask: DEPLOYING → INITIALIZING → RUNNING → FINISHED | CANCELED | FAILED.
 *
 * A loop takes one batch, barrier or watermark at a time through the chain of operators; what others ask (trigger, abort, complete, cancel)
 * is noted at once and acted on between two of them.
 *
 * Invariants: a barrier leaves after everything the task emitted before it, and holds what the task knew then; a checkpoint is acked only
 *   when its state is durable in storage; a task ends by itself only when a stop or final checkpoint that it acked is complete and committed;
 *   after cancel() or a failure nothing more is emitted or committed.
 * Leaves to others: whether a failed task is restarted (the job master), where channels lead (the exchange).
 */
import { AssertionFailed, assertNever } from '../../coord/base/assert.ts';
import { DreyError } from '../../coord/base/errors.ts';
import type { TimerHandle } from '../../coord/base/ports.ts';
import type { Json, SourceSplit } from '../api/source.ts';
import { OutputChannel } from '../exchange/output-channel.ts';
import { CHANNEL_CREDITS } from '../exchange/limits.ts';
import type { RecordWriter } from '../exchange/record-writer.ts';
import { isRetryable } from '../operators/operator.ts';
import type { ExecutionId, ExecutionState, TaskDeployment, TaskMetrics, TaskReport, TaskState } from '../rpc/messages.ts';
import { decodeStateFile, encodeStateFile } from '../state/state-file.ts';
import { subtaskStatePath } from '../storage/paths.ts';
import type { InputChannel, TaskEnvironment } from './environment.ts';
import { InputGate } from './input-gate.ts';
import { OperatorChain } from './operator-chain.ts';
import { outputWriters } from './output-writers.ts';
import { SinkOutput } from './sink-output.ts';
import { SourceInput } from './source-input.ts';
import type { Barrier, Batch } from './stream-element.ts';
import { MIN_WATERMARK } from './stream-element.ts';
import { TaskMeter } from './task-meter.ts';
import { Wake } from './wake.ts';

/** How long gathered records and event time may wait while a task is busy. */
const FLUSH_INTERVAL_MS = 50;
/** After this time a cancelled task is given up, even if user code still holds it. */
const CANCEL_GRACE_MS = 10_000;

type Outcome = 'FINISHED' | 'CANCELED' | 'FAILED';

export class Task {
  readonly deployment: TaskDeployment;
  readonly #env: TaskEnvironment;
  readonly #gate: InputGate;
  readonly #wake = new Wake();
  readonly #inputs = new Map<ExecutionId, number>();
  /** By input channel: gives credit to the sender. */
  readonly #grants: (((credits: number) => void) | null)[] = [];
  readonly #positionsAt = new Map<number, TaskState['splits']>();
  readonly #onTerminal: () => void;
  readonly #meter: TaskMeter;

  /** Resolves when the task has reached a terminal state. */
  readonly ended: Promise<void>;
  #resolveEnded: () => void = () => undefined;

  #state: ExecutionState = 'DEPLOYING';
  #outcome: Outcome | null = null;
  #grace: TimerHandle | null = null;
  #error: TaskReport['error'] = null;
  #chain = new OperatorChain([]);
  #source: SourceInput | null = null;
  #sink: SinkOutput | null = null;
  /** Splits that were added before there was a reader. */
  readonly #earlySplits: SourceSplit[] = [];
  #writers: RecordWriter[] = [];

  #trigger: Omit<Barrier, 'type' | 'ended'> | null = null;
  /** The stop or final checkpoint that this task waits for; it takes no input meanwhile. */
  #lastCheckpointId: number | null = null;
  #newestCheckpointId: number;
  #ackedCheckpointId = 0;
  #completedCheckpointId: number;
  #endAnnounced = false;
  #emittedWatermarkMs = MIN_WATERMARK;
  #emittedIdle = false;
  #flushedMs = 0;
  #timedMs = 0;

  constructor(deployment: TaskDeployment, env: TaskEnvironment, onTerminal: () => void) {
    this.deployment = deployment;
    this.#env = env;
    this.#onTerminal = onTerminal;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const restored = deployment.restore?.states.filter((state) => state.vertexId === deployment.vertexId) ?? [];
    for (const { subtasks } of deployment.upstream) for (const { executionId } of subtasks) this.#inputs.set(executionId, this.#inputs.size);
    this.#newestCheckpointId = deployment.restore?.checkpointId ?? 0;
    this.#completedCheckpointId = this.#newestCheckpointId;
    this.#gate = new InputGate(this.#inputs.size, {
      alignmentTimeoutMs: deployment.checkpoint.timeoutMs,
      restoredCheckpointId: this.#newestCheckpointId,
      restoredWatermarkMs: Math.max(MIN_WATERMARK, ...restored.map((state) => state.watermarkMs)),
    });
    this.#meter = new TaskMeter(env.clock.monotonicMs());
  }

  get executionId(): ExecutionId {
    return this.deployment.executionId;
  }

  get state(): ExecutionState {
    return this.#state;
  }

  get terminal(): boolean {
    return this.#state === 'FINISHED' || this.#state === 'CANCELED' || this.#state === 'FAILED';
  }

  get report(): TaskReport {
    return { executionId: this.executionId, state: this.#state, error: this.#error, ackedCheckpointId: this.#ackedCheckpointId, completedCheckpointId: this.#completedCheckpointId };
  }

  /** Runs the task to its end. Rejects only where an assertion failed. */
  async run(): Promise<void> {
    try {
      this.#become('INITIALIZING');
      await this.#initialize();
      if (this.#outcome === null) {
        this.#become('RUNNING');
        await this.#loop();
      }
    } catch (error) {
      this.#fail(error);
    }
    await this.#close();
    this.#terminate();
  }

  /** A channel from this task is opened; null: it is not one of its inputs. */
  openInput(from: ExecutionId, grant: (credits: number) => void): InputChannel | null {
    const channel = this.#inputs.get(from);
    if (channel === undefined || this.#grants[channel] !== undefined) return null;
    this.#grants[channel] = grant;
    let ended = false;
    grant(CHANNEL_CREDITS);
    return {
      deliver: (element) => {
        ended ||= element.type === 'end';
        if (this.#outcome !== null) return;
        this.#gate.add(channel, element);
        this.#wake.wake();
      },
      broken: (reason) => {
        this.#grants[channel] = null;
        if (!ended) this.#fail(new DreyError('CHANNEL_BROKEN', `the channel from ${from} is broken: ${reason}`, { retryable: true }));
      },
    };
  }

  triggerCheckpoint(checkpointId: number, stop: boolean, final: boolean): void {
    if (this.#inputs.size > 0 || this.#outcome !== null || checkpointId <= this.#newestCheckpointId) return;
    if (this.#state !== 'RUNNING') {
      this.#decline(checkpointId, `the task is ${this.#state}`);
      return;
    }
    this.#newestCheckpointId = checkpointId;
    if (this.#trigger !== null) this.#decline(this.#trigger.checkpointId, `checkpoint ${checkpointId} has overtaken it`);
    this.#trigger = { checkpointId, stop, final };
    this.#wake.wake();
  }

  /** Idempotent. What was staged stays for the next checkpoint. */
  abortCheckpoint(checkpointId: number): void {
    this.#newestCheckpointId = Math.max(this.#newestCheckpointId, checkpointId);
    if (this.#trigger !== null && this.#trigger.checkpointId <= checkpointId) this.#trigger = null;
    const last = this.#lastCheckpointId;
    if (last !== null && last <= checkpointId && last > this.#completedCheckpointId) this.#lastCheckpointId = null;
    this.#gate.abort(checkpointId);
    this.#wake.wake();
  }

  /** Idempotent. A checkpoint that this attempt was no part of is none of its business. */
  checkpointComplete(checkpointId: number): void {
    const positions = this.#positionsAt.get(checkpointId);
    if (this.#outcome !== null || positions === undefined) return;
    this.#completedCheckpointId = checkpointId;
    this.#source?.checkpointCompleted(positions);
    for (const id of this.#positionsAt.keys()) if (id <= checkpointId) this.#positionsAt.delete(id);
    this.#commitThrough(checkpointId).catch((error: unknown) => this.#fail(error));
  }

  addSplits(splits: readonly SourceSplit[]): void {
    if (this.#source === null) {
      this.#earlySplits.push(...splits);
      return;
    }
    this.#source.addSplits(splits, this.#env.clock.monotonicMs()).then(
      () => this.#wake.wake(),
      (error: unknown) => this.#fail(error),
    );
  }

  cancel(): void {
    if (this.#outcome !== null) return;
    this.#outcome = 'CANCELED';
    this.#become('CANCELING');
    this.#release();
  }

  failFromOutside(error: Error): void {
    this.#fail(error);
  }

  /** Whoever learns of a new master says again what it may have missed. */
  announce(): void {
    if (this.#endAnnounced && this.#outcome === null) this.#env.send({ type: 'inputEnded', executionId: this.executionId });
  }

  /** From time to time: alignment times out by itself. */
  onTime(): void {
    const { deadlineMs } = this.#gate;
    if (deadlineMs === null || this.#env.clock.monotonicMs() < deadlineMs) return;
    this.#gate.onTime(this.#env.clock.monotonicMs());
    this.#wake.wake();
  }

  /** Since the last call. */
  takeMetrics(): TaskMetrics {
    return {
      executionId: this.executionId,
      numRecordsIn: this.#meter.numRecordsIn,
      numRecordsOut: this.#meter.numRecordsOut,
      numLateRecordsDropped: this.#chain.numLateRecordsDropped,
      currentInputWatermark: this.#source === null ? this.#gate.watermarkMs : this.#emittedWatermarkMs,
      ...this.#meter.takeTimes(this.#env.clock.monotonicMs()),
      sourceLag: null,
    };
  }

  // ---------------------------------------------------------------- from DEPLOYING to RUNNING

  async #initialize(): Promise<void> {
    const { deployment, executionId } = this;
    const program = await this.#env.loadProgram(deployment);
    this.#chain = new OperatorChain(program.operators);
    await this.#restore();
    if (this.#outcome !== null) return;
    const output = (location: TaskDeployment['downstream'][number]['subtasks'][number]): OutputChannel => {
      const channel = new OutputChannel(() => this.#wake.wake());
      this.#env.openOutput(executionId, location, channel, (reason) => {
        if (this.#outcome === null) this.#fail(new DreyError('CHANNEL_BROKEN', `the channel to ${location.executionId} is broken: ${reason}`, { retryable: true }));
      });
      return channel;
    };
    this.#writers = outputWriters(program, deployment, output);
    if (program.sink !== null) this.#sink = await SinkOutput.open(program.sink, deployment, program.parallelism, this.#env, () => this.#outcome === null);
    const [spec] = program.operatorSpecs;
    if (program.source === null || spec === undefined || this.#outcome !== null) return;
    const reader = program.source.source.createReader({ jobId: deployment.jobId, subtask: deployment.subtask, parallelism: program.parallelism, log: this.#env.log, clock: this.#env.clock, timers: this.#env.timers });
    this.#source = new SourceInput(program.source, spec, reader, deployment.restore, () => this.#wake.wake());
    await this.#source.addSplits([...deployment.splits, ...this.#earlySplits], this.#env.clock.monotonicMs());
  }

  async #restore(): Promise<void> {
    for (const { vertexId, keyedStateFile } of this.deployment.restore?.states ?? []) {
      if (vertexId !== this.deployment.vertexId || keyedStateFile === null) continue;
      this.#chain.restore(decodeStateFile(await this.#env.storage.get(keyedStateFile), keyedStateFile));
    }
  }

  // ---------------------------------------------------------------- RUNNING

  async #loop(): Promise<void> {
    this.#flushedMs = this.#env.clock.monotonicMs();
    while (this.#outcome === null) {
      const pause = this.#env.pause();
      if (pause !== null) await pause;
      if (this.#outcome !== null) return;
      const startMs = this.#env.clock.monotonicMs();
      if (this.#writers.some((writer) => writer.blocked)) {
        this.#meter.enter('backPressured', startMs);
        await this.#wake.wait();
        continue;
      }
      this.#meter.enter('busy', startMs);
      let worked = this.#step(startMs);
      if (typeof worked !== 'boolean') worked = await worked;
      if (worked && startMs - this.#flushedMs < FLUSH_INTERVAL_MS) continue;
      this.#flushedMs = startMs;
      for (const writer of this.#writers) writer.flush();
      if (worked) continue;
      this.#meter.enter('idle', this.#env.clock.monotonicMs());
      await this.#wake.wait();
    }
  }

  /** One thing; false when there is nothing to do. A promise only where a sink has to be waited for. */
  #step(nowMs: number): boolean | Promise<boolean> {
    if (this.#source !== null) return this.#stepSource(this.#source, nowMs);
    if (this.#lastCheckpointId !== null) return false;
    const event = this.#gate.next(nowMs);
    if (event === null) return false;
    switch (event.type) {
      case 'records': {
        this.#meter.numRecordsIn += event.batch.values.length;
        const waiting = this.#process(event.batch);
        if (waiting === null) {
          this.#grants[event.channel]?.(1);
          return true;
        }
        return waiting.then(() => {
          this.#grants[event.channel]?.(1);
          return true;
        });
      }
      case 'watermark':
        return this.#advance(event.timestampMs, event.idle);
      case 'barrier':
        return this.#checkpoint(event.barrier, event.alignmentMs);
      case 'alignmentCancelled':
        this.#decline(event.checkpointId, event.reason);
        return true;
      default:
        return assertNever(event);
    }
  }

  #stepSource(source: SourceInput, nowMs: number): boolean | Promise<boolean> {
    if (this.#trigger !== null) {
      const barrier: Barrier = { type: 'barrier', ...this.#trigger, ended: source.ended };
      this.#trigger = null;
      return this.#checkpoint(barrier, 0);
    }
    if (this.#lastCheckpointId !== null) return false;
    if (nowMs - this.#timedMs >= FLUSH_INTERVAL_MS || (source.ended && !this.#endAnnounced)) {
      this.#timedMs = nowMs;
      const { watermarkMs, idle } = source.watermark(nowMs);
      if (watermarkMs !== this.#emittedWatermarkMs || idle !== this.#emittedIdle) return this.#advance(watermarkMs, idle);
      if (source.ended && !this.#endAnnounced) {
        this.#endAnnounced = true;
        this.announce();
      }
    }
    const taken = source.take(nowMs);
    if (taken === null) return false;
    this.#meter.numRecordsIn += taken.numRecords;
    const waiting = this.#process(taken.batch);
    return waiting === null ? true : waiting.then(() => true);
  }

  #process(batch: Batch): Promise<void> | null {
    if (batch.values.length === 0) return null;
    const out = this.#chain.process(batch);
    return out === null ? null : this.#emit(out);
  }

  #emit(batch: Batch): Promise<void> | null {
    this.#meter.numRecordsOut += batch.values.length;
    for (const writer of this.#writers) writer.emit(batch);
    return this.#sink === null ? null : this.#sink.write(batch.values);
  }

  async #advance(watermarkMs: number, idle: boolean): Promise<boolean> {
    const moved = watermarkMs !== this.#emittedWatermarkMs;
    const turned = idle !== this.#emittedIdle;
    this.#emittedWatermarkMs = watermarkMs;
    this.#emittedIdle = idle;
    if (moved) {
      for (const batch of this.#chain.advance(watermarkMs)) {
        const waiting = this.#emit(batch);
        if (waiting !== null) await waiting;
        if (this.#outcome !== null) return true;
      }
      for (const writer of this.#writers) writer.broadcast({ type: 'watermark', timestampMs: watermarkMs });
    }
    if (turned) for (const writer of this.#writers) writer.broadcast({ type: 'status', idle });
    return true;
  }

  // ---------------------------------------------------------------- checkpoints

  async #checkpoint(barrier: Barrier, alignmentMs: number): Promise<boolean> {
    const { checkpointId, stop, final, ended } = barrier;
    const startMs = this.#env.clock.monotonicMs();
    if (this.#sink !== null) {
      await this.#sink.prepareCommit(checkpointId);
      if (this.#outcome !== null) return true;
    }
    const snapshots = this.#chain.snapshot();
    const keyedState = snapshots.size === 0 ? null : encodeStateFile(snapshots);
    const splits = this.#source?.positions() ?? {};
    this.#positionsAt.set(checkpointId, splits);
    const committables: readonly Json[] = this.#sink?.uncommitted() ?? [];
    const watermarkMs = this.#source === null ? this.#gate.watermarkMs : this.#emittedWatermarkMs;
    for (const writer of this.#writers) writer.broadcast(barrier);
    if (stop || final) this.#lastCheckpointId = checkpointId;
    this.#newestCheckpointId = checkpointId;
    const syncMs = this.#env.clock.monotonicMs() - startMs;
    const { jobId, vertexId, subtask } = this.deployment;
    const keyedStateFile = keyedState === null ? null : subtaskStatePath(jobId, checkpointId, vertexId, subtask);
    const state: TaskState = { vertexId, subtask, keyedStateFile, keyedStateBytes: keyedState?.length ?? 0, splits, committables, watermarkMs, ended };
    void this.#upload(checkpointId, state, keyedState, alignmentMs, syncMs);
    return true;
  }

  async #upload(checkpointId: number, state: TaskState, keyedState: Uint8Array | null, alignmentMs: number, syncMs: number): Promise<void> {
    const startMs = this.#env.clock.monotonicMs();
    try {
      if (keyedState !== null && state.keyedStateFile !== null) await this.#env.storage.put(state.keyedStateFile, keyedState);
    } catch (error) {
      this.#decline(checkpointId, `state could not be stored: ${(error as Error).message}`);
      return;
    }
    if (this.#outcome !== null) return;
    this.#ackedCheckpointId = Math.max(this.#ackedCheckpointId, checkpointId);
    this.#env.send({ type: 'ackCheckpoint', executionId: this.executionId, checkpointId, state, alignmentMs, syncMs, asyncMs: this.#env.clock.monotonicMs() - startMs });
  }

  #decline(checkpointId: number, reason: string): void {
    if (this.#outcome === null) this.#env.send({ type: 'declineCheckpoint', executionId: this.executionId, checkpointId, reason });
  }

  async #commitThrough(checkpointId: number): Promise<void> {
    await this.#sink?.commitThrough(checkpointId, async () => {
      // Asks for the lease, too.
      await this.#env.pause();
      return this.#outcome === null;
    });
    if (this.#lastCheckpointId === checkpointId && this.#outcome === null) this.#finish();
  }

  // ---------------------------------------------------------------- the end

  #finish(): void {
    this.#outcome = 'FINISHED';
    for (const writer of this.#writers) writer.broadcast({ type: 'end' });
    this.#release();
  }

  #fail(error: unknown): void {
    if (error instanceof AssertionFailed) throw error;
    if (this.#outcome !== null) {
      if (this.#outcome === 'FAILED') this.#env.log(`after its failure: ${String(error)}`);
      return;
    }
    this.#outcome = 'FAILED';
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#error = { message: cause.message, stack: cause.stack ?? '', retryable: isRetryable(error) };
    this.#env.log(`FAILED${this.#error.retryable ? '' : ' (not retryable)'}: ${this.#error.stack || this.#error.message}`);
    this.#release();
  }

  /** Lets go of whatever the loop may be waiting for. */
  #release(): void {
    this.#wake.wake();
    this.#grace = this.#env.timers.after(CANCEL_GRACE_MS, () => this.#terminate());
  }

  async #close(): Promise<void> {
    for (const writer of this.#writers) writer.close();
    const closings = await Promise.allSettled([this.#source?.close(), this.#sink?.close()]);
    for (const closing of closings) {
      if (closing.status === 'rejected') this.#env.log(`while closing: ${String(closing.reason)}`);
    }
  }

  #terminate(): void {
    if (this.terminal || this.#outcome === null) return;
    this.#grace?.cancel();
    this.#become(this.#outcome);
    this.#onTerminal();
    this.#resolveEnded();
  }

  #become(state: ExecutionState): void {
    this.#state = state;
    if (state !== 'FAILED') this.#env.log(state);
    this.#env.send({ type: 'taskState', report: this.report });
  }
}
