/**
 * What a connector's sink implements: a writer per subtask and a committer. As Flink's Sink V2 (SinkWriter, Committable,
 * Committer). The contract for exactly-once:
 *  1. prepareCommit(checkpointId) is called at the barrier: everything written so far must be durable somewhere but not visible; it
 *     returns the committables, which the checkpoint stores.
 *  2. when that checkpoint is complete, commit(committables) makes them visible. It must be idempotent: after a failure it is called
 *     again with everything the restored checkpoint holds, by any worker, before a writer opens.
 *  3. recover(…) is called before the writer opens, with the committables that the restored checkpoint names; what an older attempt
 *     left behind and no checkpoint names must be discarded there. A sink knows by context.restoredCheckpointId what a checkpoint can
 *     name: what was prepared for a later one is named by none.
 *  4. Committables of a checkpoint that is aborted while the task lives on are still due: the task adds them to its next checkpoint.
 */
import type { Clock, Timers } from '../../coord/base/ports.ts';
import type { Json } from './source.ts';

export type DeliveryGuarantee = 'exactly-once' | 'at-least-once';

export interface SinkWriter<T> {
  /** Resolves when the sink can take more: that is the backpressure. */
  write(values: readonly T[]): Promise<void>;
  prepareCommit(checkpointId: number): Promise<Json[]>;
  /** After the last prepareCommit of a bounded or stopped job, or without one when the task is cancelled. */
  close(): Promise<void>;
}

export interface SinkContext {
  readonly jobId: string;
  readonly jobName: string;
  /** Stable over restarts of the job: vertex id of the sink. */
  readonly sinkId: string;
  readonly subtask: number;
  readonly parallelism: number;
  /** The attempt of this task, unique and increasing over restarts: for names of in-progress things. */
  readonly attempt: number;
  /** The checkpoint this attempt was restored from; 0 for none. */
  readonly restoredCheckpointId: number;
  readonly log: (message: string) => void;
  /** Of the worker. Who takes time from here can be simulated. */
  readonly clock: Clock;
  readonly timers: Timers;
}

export interface Sink<T> {
  readonly description: string;
  readonly guarantee: DeliveryGuarantee;
  /** Discards leftovers of older attempts of this subtask, and of subtasks >= parallelism when subtask is 0. Called before createWriter. */
  recover?(context: SinkContext): Promise<void>;
  createWriter(context: SinkContext): Promise<SinkWriter<T>>;
  /** Idempotent; called in order of checkpoint ids. */
  commit?(committables: readonly Json[], context: SinkContext): Promise<void>;
}
