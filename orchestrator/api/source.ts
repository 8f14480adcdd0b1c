/**
 * What a connector's source implements: the enumerator's half runs in the job master (discoverSplits), the reader's half in a task.
 * Words and roles as in Flink's FLIP-27 (split, enumerator, source reader). Positions live in checkpoints and nowhere else.
 */
import type { Clock, Timers } from '../../coord/base/ports.ts';

/** Something JSON can carry unchanged. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type Boundedness = 'bounded' | 'unbounded';

/** A unit of input that one reader reads in order: a Kafka partition, a file, a generator's lane. */
export interface SourceSplit {
  /** Unique within the source and stable over time, e.g. "orders-3" or "part-0.txt". */
  readonly id: string;
  /** Whatever the reader needs to open it. */
  readonly spec: Json;
}

/** Records of one split in their order. */
export interface RecordBatch<T> {
  readonly splitId: string;
  /** May be empty when only the position has moved. */
  readonly values: readonly T[];
  /** Event timestamps in ms since 1970, one per value, where the source knows them (Kafka does). */
  readonly timestamps?: readonly number[];
  /** Where reading goes on after the last of `values`; goes into the checkpoint as it is. */
  readonly position: Json;
  /** A bounded split has ended: nothing comes after these values. */
  readonly ended?: boolean;
}

export interface SourceReader<T> {
  /** Adds splits; `position` is what a checkpoint recorded, or undefined for the split's start. Resolves when they are opened. */
  addSplits(splits: readonly { split: SourceSplit; position: Json | undefined }[]): Promise<void>;
  /**
   * The next batch of any split, or null when there is none after about `waitMs`. Never overlaps with itself. Throws DreyError: a
   * retryable one restarts the task by the job's restart strategy, another fails the job.
   */
  poll(waitMs: number): Promise<RecordBatch<T> | null>;
  /** The checkpoint with these positions (by split id) is complete: for monitoring only, e.g. committing offsets to a group. */
  checkpointCompleted?(positions: Readonly<Record<string, Json>>): void;
  close(): Promise<void>;
}

export interface ReaderContext {
  readonly jobId: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly log: (message: string) => void;
  /** Of the worker. Who takes time from here can be simulated. */
  readonly clock: Clock;
  readonly timers: Timers;
}

export interface Source<T> {
  /** Shown to people: "file(/data/in)", "kafka(orders)". */
  readonly description: string;
  readonly boundedness: Boundedness;
  /**
   * All splits there are now, in a stable order. Unbounded sources are asked again from time to time; splits never vanish. `known` are
   * the ids of those the job already has, if any: a source that starts at the latest record reads splits that appear later from their start.
   */
  discoverSplits(known?: readonly string[]): Promise<SourceSplit[]>;
  createReader(context: ReaderContext): SourceReader<T>;
}
