/**
 * The checkpoints of one job.
 *
 * Decides: when a checkpoint is complete, and when it is given up.
 * Invariants:
 *  - one pending checkpoint at a time;
 *  - an id is durable in coord before any task hears of it, and is never used again, whoever is master;
 *  - complete means: all executions that were live when it was triggered have acked it, in that attempt; the metadata is durable in
 *    storage, and only then the pointer in coord; only after that are tasks told (they then commit what it holds);
 *  - once the pointer is being written the checkpoint cannot be aborted any more, and nobody restores until that write has ended;
 *  - checkpoints older than the retained ones are discarded only after the newer pointer is durable.
 * Source: Flink's CheckpointCoordinator, PendingCheckpoint, CompletedCheckpointStore.
 * Leaves to others: when to trigger (the job), alignment (tasks).
 */
import type { MasterMessage, TaskState, WorkerMessage } from '../rpc/messages.ts';
import type { Execution, Task } from './execution-graph.ts';
import { isLive } from './execution-graph.ts';
import type { CheckpointKind, CheckpointMetadata, CompletedCheckpoint, RecoveredJob } from './records.ts';

export interface CheckpointHost {
  readonly epoch: number;
  readonly nowMs: number;
  readonly wallMs: number;
  readonly tasks: readonly Task[];
  /** To every task manager that runs a part of the job. */
  broadcast(message: MasterMessage): void;
  reserve(checkpointId: number, done: () => void): void;
  complete(metadata: CheckpointMetadata, completed: readonly CompletedCheckpoint[], done: () => void, failed: (reason: string) => void): void;
  discard(checkpointId: number): void;
  trace(name: string, fields: Readonly<Record<string, unknown>>): void;
}

interface Pending {
  readonly checkpointId: number;
  readonly kind: CheckpointKind;
  readonly startedMs: number;
  phase: 'reserving' | 'triggered' | 'completing' | 'aborted';
  readonly waitingFor: Set<Execution>;
  readonly states: TaskState[];
}

export interface AbortedCheckpoint {
  readonly checkpointId: number;
  readonly reason: string;
}

export class CheckpointCoordinator {
  readonly #host: CheckpointHost;
  readonly #jobId: string;
  readonly #options: { readonly timeoutMs: number; readonly retained: number; readonly graphHash: string };
  #pending: Pending | null = null;
  #lastCheckpointId: number;
  #completed: readonly CompletedCheckpoint[];
  #metadata: CheckpointMetadata | null;
  #numAborted = 0;
  #lastAborted: AbortedCheckpoint | null = null;

  constructor(host: CheckpointHost, { spec, lastCheckpointId, completed, metadata }: RecoveredJob) {
    this.#host = host;
    this.#jobId = spec.jobId;
    this.#options = { timeoutMs: spec.graph.checkpoint.timeoutMs, retained: spec.graph.checkpoint.retained, graphHash: spec.graphHash };
    this.#lastCheckpointId = lastCheckpointId;
    this.#completed = completed;
    this.#metadata = metadata;
    // A former master's pending one. Nobody will complete it.
    if (lastCheckpointId > (completed.at(-1)?.checkpointId ?? 0)) host.discard(lastCheckpointId);
  }

  /** Oldest first. */
  get completed(): readonly CompletedCheckpoint[] {
    return this.#completed;
  }
  /** What a restart begins from. */
  get metadata(): CheckpointMetadata | null {
    return this.#metadata;
  }
  get lastCheckpointId(): number {
    return this.#lastCheckpointId;
  }
  get pending(): { readonly checkpointId: number; readonly kind: CheckpointKind; readonly acked: number; readonly of: number } | null {
    const pending = this.#pending;
    if (pending === null || pending.phase === 'aborted') return null;
    return { checkpointId: pending.checkpointId, kind: pending.kind, acked: pending.states.length, of: pending.states.length + pending.waitingFor.size };
  }
  get numAborted(): number {
    return this.#numAborted;
  }
  get lastAborted(): AbortedCheckpoint | null {
    return this.#lastAborted;
  }
  /** Its outcome is open and not ours to decide: restores wait. */
  get completing(): boolean {
    return this.#pending?.phase === 'completing';
  }
  get idle(): boolean {
    return this.#pending === null;
  }
  get deadlineMs(): number {
    return this.#pending?.phase === 'triggered' ? this.#pending.startedMs + this.#options.timeoutMs : Infinity;
  }

  /** All tasks are RUNNING or FINISHED. Only when idle. */
  trigger(kind: CheckpointKind): void {
    const checkpointId = this.#lastCheckpointId + 1;
    this.#lastCheckpointId = checkpointId;
    const pending: Pending = { checkpointId, kind, startedMs: this.#host.nowMs, phase: 'reserving', waitingFor: new Set(), states: [] };
    this.#pending = pending;
    this.#host.reserve(checkpointId, () => this.#onReserved(pending));
  }

  #onReserved(pending: Pending): void {
    if (pending.phase === 'aborted') {
      this.#pending = null;
      return;
    }
    pending.phase = 'triggered';
    for (const { vertex, subtask, execution } of this.#host.tasks) {
      if (execution !== null && isLive(execution)) {
        pending.waitingFor.add(execution);
        continue;
      }
      // It has finished, so its last state stands.
      const state = this.#metadata?.states.find((each) => each.vertexId === vertex.id && each.subtask === subtask);
      if (state !== undefined) pending.states.push(state);
    }
    const { checkpointId, kind } = pending;
    this.#host.broadcast({ type: 'triggerCheckpoint', epoch: this.#host.epoch, jobId: this.#jobId, checkpointId, stop: kind === 'stop', final: kind === 'final' });
    this.#host.trace('checkpoint triggered', { checkpointId, kind });
  }

  onAck(execution: Execution, message: Extract<WorkerMessage, { type: 'ackCheckpoint' }>): void {
    const pending = this.#pending;
    if (pending === null || pending.phase !== 'triggered' || pending.checkpointId !== message.checkpointId) return;
    if (!pending.waitingFor.delete(execution)) return;
    pending.states.push(message.state);
    if (pending.waitingFor.size > 0) return;
    this.#complete(pending);
  }

  #complete(pending: Pending): void {
    pending.phase = 'completing';
    const { checkpointId, kind, startedMs, states } = pending;
    const metadata = { checkpointId, graphHash: this.#options.graphHash, states };
    const completed: CompletedCheckpoint = {
      checkpointId, kind,
      completedAtMs: this.#host.wallMs,
      durationMs: Math.round(this.#host.nowMs - startedMs),
      stateBytes: states.reduce((sum, { keyedStateBytes }) => sum + keyedStateBytes, 0),
    };
    const all = [...this.#completed, completed];
    const subsumed = all.splice(0, Math.max(0, all.length - this.#options.retained));
    this.#host.complete(
      metadata, all,
      () => {
        this.#pending = null;
        this.#completed = all;
        this.#metadata = metadata;
        this.#host.broadcast({ type: 'checkpointComplete', epoch: this.#host.epoch, jobId: this.#jobId, checkpointId });
        this.#host.trace('checkpoint complete', { checkpointId, kind, durationMs: completed.durationMs });
        for (const old of subsumed) this.#host.discard(old.checkpointId);
      },
      (reason) => {
        pending.phase = 'triggered';
        this.abort(`its metadata cannot be stored: ${reason}`);
      },
    );
  }

  onDecline(checkpointId: number, reason: string): void {
    if (this.#pending?.checkpointId === checkpointId) this.abort(reason);
  }

  /** It will not ack any more. */
  onFinished(execution: Execution): void {
    if (this.#pending?.waitingFor.has(execution) === true) this.abort(`task ${execution.executionId} finished before it`);
  }

  onTime(): void {
    if (this.#host.nowMs >= this.deadlineMs) this.abort(`not complete after ${this.#options.timeoutMs} ms`);
  }

  /** Gives the pending checkpoint up, unless it is too late for that. */
  abort(reason: string): void {
    const pending = this.#pending;
    if (pending === null || pending.phase === 'completing' || pending.phase === 'aborted') return;
    const { checkpointId } = pending;
    if (pending.phase === 'triggered') {
      this.#pending = null;
      this.#host.broadcast({ type: 'abortCheckpoint', epoch: this.#host.epoch, jobId: this.#jobId, checkpointId });
      this.#host.discard(checkpointId);
    }
    pending.phase = 'aborted';
    this.#numAborted += 1;
    this.#lastAborted = { checkpointId, reason };
    this.#host.trace('checkpoint aborted', { checkpointId, reason });
  }

  /**
   * What a task manager must hear that may have missed messages, from this master or a former one: an id behind the newest completed one that
   * is not pending here is nobody's, and the newest completed one may not have been committed there.
   */
  catchUp(): MasterMessage[] {
    const { epoch } = this.#host;
    const newest = this.#completed.at(-1)?.checkpointId ?? 0;
    const messages: MasterMessage[] = [];
    if (this.#lastCheckpointId > newest && this.#pending?.checkpointId !== this.#lastCheckpointId) {
      messages.push({ type: 'abortCheckpoint', epoch, jobId: this.#jobId, checkpointId: this.#lastCheckpointId });
    }
    if (newest > 0) messages.push({ type: 'checkpointComplete', epoch, jobId: this.#jobId, checkpointId: newest });
    return messages;
  }
}
