/**
 * The input of a source task: one reader, polled without overlap, and how far each split has come.
 *
 * Invariants: a split's position is that of the last batch that was taken, so a barrier that is injected between two batches stands exactly
 *   there; a batch that was polled but not taken is in no checkpoint; a split that has ended is not opened again.
 * Source: Flink's SourceOperator.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Json, RecordBatch, SourceReader, SourceSplit } from '../api/source.ts';
import type { TaskRestore, TaskState } from '../rpc/messages.ts';
import { userCodeError } from '../operators/operator.ts';
import type { OperatorSpec } from '../graph/job-graph.ts';
import type { SourceProgram } from './program.ts';
import { SplitWatermarks } from './split-watermarks.ts';
import type { Batch } from './stream-element.ts';
import { MIN_WATERMARK } from './stream-element.ts';

/** How long a poll may wait for records. A trigger or a cancellation does not wait for it. */
const POLL_WAIT_MS = 100;

type SplitState = TaskState['splits'][string];

export class SourceInput {
  readonly #program: SourceProgram;
  readonly #spec: OperatorSpec;
  readonly #reader: SourceReader<unknown>;
  readonly #watermarks: SplitWatermarks;
  readonly #splits = new Map<string, SplitState>();
  readonly #restored = new Map<string, SplitState>();
  readonly #onPolled: () => void;
  #polling: Promise<void> | null = null;
  #polled: RecordBatch<unknown> | null = null;
  #pollError: { error: unknown } | null = null;
  #opening = 0;
  #opened: Promise<void> = Promise.resolve();

  /** `onPolled` is called when a poll has come back. */
  constructor(program: SourceProgram, spec: OperatorSpec, reader: SourceReader<unknown>, restore: TaskRestore | null, onPolled: () => void) {
    this.#program = program;
    this.#spec = spec;
    this.#reader = reader;
    this.#onPolled = onPolled;
    this.#watermarks = new SplitWatermarks(program.watermarks);
    for (const state of restore?.states ?? []) for (const [splitId, split] of Object.entries(state.splits)) this.#restored.set(splitId, split);
  }

  /** No more input will come: the source is bounded and all its splits have ended. */
  get ended(): boolean {
    return this.#program.source.boundedness === 'bounded' && this.#opening === 0 && this.#watermarks.allEnded;
  }

  /** One call after the other, as the reader is promised. */
  async addSplits(splits: readonly SourceSplit[], nowMs: number): Promise<void> {
    this.#opening += 1;
    const opened = this.#opened.then(async () => this.#addSplits(splits, nowMs));
    this.#opened = opened.catch(() => undefined);
    try {
      await opened;
    } finally {
      this.#opening -= 1;
    }
  }

  async #addSplits(splits: readonly SourceSplit[], nowMs: number): Promise<void> {
    const opened: { split: SourceSplit; position: Json | undefined }[] = [];
    for (const split of splits) {
      if (this.#splits.has(split.id)) continue;
      const restored = this.#restored.get(split.id);
      const state = restored ?? { position: null, ended: false };
      this.#splits.set(split.id, state);
      this.#watermarks.addSplit(split.id, nowMs, { maxTimestampMs: state.maxTimestampMs ?? MIN_WATERMARK, ended: state.ended });
      if (!state.ended) opened.push({ split, position: restored === undefined ? undefined : restored.position });
    }
    if (opened.length > 0) await this.#reader.addSplits(opened);
  }

  /** A batch that is there, and its place in the checkpoints is from now on behind it; null: wait for onPolled. Throws what the poll threw. */
  take(nowMs: number): { batch: Batch; numRecords: number } | null {
    if (this.#pollError !== null) throw this.#pollError.error;
    const polled = this.#polled;
    if (polled === null) {
      if (!this.ended) this.#poll();
      return null;
    }
    this.#polled = null;
    const state = this.#splits.get(polled.splitId);
    if (state === undefined) throw new DreyError('SOURCE_UNKNOWN_SPLIT', `the source gave records of split ${polled.splitId}, which it was not given`);
    const timestamps = this.#timestampsOf(polled);
    let maxTimestampMs = this.#watermarks.maxTimestampMs(polled.splitId);
    for (const timestampMs of timestamps) if (timestampMs > maxTimestampMs) maxTimestampMs = timestampMs;
    if (polled.values.length > 0) this.#watermarks.onRecords(polled.splitId, maxTimestampMs, nowMs);
    if (polled.ended === true) this.#watermarks.onEnd(polled.splitId);
    this.#splits.set(polled.splitId, {
      position: polled.position,
      ended: polled.ended ?? false,
      ...(maxTimestampMs === MIN_WATERMARK ? {} : { maxTimestampMs }),
    });
    if (!this.ended) this.#poll();
    return { batch: { values: polled.values, timestamps }, numRecords: polled.values.length };
  }

  watermark(nowMs: number): { watermarkMs: number; idle: boolean } {
    if (this.ended) this.#watermarks.finish();
    return this.#watermarks.current(nowMs);
  }

  /** For the checkpoint. A split that was opened at its start and has shown nothing yet is left out: it will begin at its start again. */
  positions(): Record<string, SplitState> {
    const positions: Record<string, SplitState> = {};
    for (const [splitId, state] of this.#splits) if (state.position !== null || state.ended || this.#restored.has(splitId)) positions[splitId] = state;
    return positions;
  }

  checkpointCompleted(positions: Readonly<Record<string, SplitState>>): void {
    this.#reader.checkpointCompleted?.(Object.fromEntries(Object.entries(positions).map(([splitId, { position }]) => [splitId, position])));
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#polling;
  }

  #poll(): void {
    if (this.#polling !== null) return;
    this.#polling = this.#reader
      .poll(POLL_WAIT_MS)
      .then(
        (polled) => {
          this.#polled = polled;
        },
        (error: unknown) => {
          this.#pollError = { error };
        },
      )
      .then(() => {
        this.#polling = null;
        this.#onPolled();
      });
  }

  #timestampsOf({ values, timestamps, splitId }: RecordBatch<unknown>): readonly number[] {
    const { timestampOf } = this.#program;
    if (timestampOf === null) {
      if (timestamps !== undefined && timestamps.length !== values.length) throw new DreyError('SOURCE_BAD_BATCH', `split ${splitId}: ${timestamps.length} timestamps for ${values.length} values`);
      return timestamps ?? values.map(() => MIN_WATERMARK);
    }
    const out: number[] = [];
    try {
      for (const value of values) {
        const timestampMs = timestampOf(value);
        if (!Number.isSafeInteger(timestampMs)) throw new DreyError('BAD_TIMESTAMP', `the timestamp of a record must be a whole number of ms, not ${String(timestampMs)}`);
        out.push(timestampMs);
      }
    } catch (error) {
      throw userCodeError(this.#spec, error);
    }
    return out;
  }
}
