/**
 * Event time of a source subtask: bounded out-of-orderness per split, merged by minimum.
 *
 * Decides: the watermark that the source may emit.
 * Invariants: never goes back; a split's watermark is its greatest timestamp - maxOutOfOrderness - 1; a split that has shown no record yet
 *   holds the watermark at MIN_WATERMARK unless it is idle; a split without a record for idleAfterMs is idle until its next record;
 *   ended splits hold nothing back. When no more input can come the watermark is MAX_WATERMARK, which the caller says (`finish`), since
 *   only it knows whether splits may still be added.
 * Source: Flink's BoundedOutOfOrdernessWatermarks, WatermarkOutputMultiplexer, WatermarksWithIdleness.
 */
import { assert } from '../../coord/base/assert.ts';
import type { WatermarkStrategy } from '../api/operators.ts';
import { MAX_WATERMARK, MIN_WATERMARK } from './stream-element.ts';

interface Split {
  maxTimestampMs: number;
  lastRecordMs: number;
  ended: boolean;
}

export class SplitWatermarks {
  readonly #maxOutOfOrdernessMs: number;
  readonly #idleAfterMs: number;
  readonly #splits = new Map<string, Split>();
  #mergedMs = MIN_WATERMARK;

  /** `idleAfterMs` is measured on the clock that nowMs is read from. Null: no splits move event time, only its end is announced. */
  constructor(strategy: Omit<WatermarkStrategy, 'type'> | null) {
    this.#maxOutOfOrdernessMs = strategy?.maxOutOfOrdernessMs ?? Infinity;
    this.#idleAfterMs = strategy?.idleAfterMs ?? Infinity;
  }

  addSplit(splitId: string, nowMs: number, restored: { maxTimestampMs: number; ended: boolean } = { maxTimestampMs: MIN_WATERMARK, ended: false }): void {
    this.#splits.set(splitId, { ...restored, lastRecordMs: nowMs });
  }

  /** The greatest timestamp of records that were just emitted. */
  onRecords(splitId: string, maxTimestampMs: number, nowMs: number): void {
    const split = this.#split(splitId);
    split.lastRecordMs = nowMs;
    if (maxTimestampMs > split.maxTimestampMs) split.maxTimestampMs = maxTimestampMs;
  }

  onEnd(splitId: string): void {
    this.#split(splitId).ended = true;
  }

  /** No more input will ever come. */
  finish(): void {
    this.#mergedMs = MAX_WATERMARK;
  }

  maxTimestampMs(splitId: string): number {
    return this.#split(splitId).maxTimestampMs;
  }

  get allEnded(): boolean {
    for (const split of this.#splits.values()) if (!split.ended) return false;
    return true;
  }

  /** idle: nothing here holds event time back, nor moves it on. */
  current(nowMs: number): { watermarkMs: number; idle: boolean } {
    if (this.#mergedMs === MAX_WATERMARK) return { watermarkMs: MAX_WATERMARK, idle: false };
    let minimumMs = Infinity;
    for (const split of this.#splits.values()) {
      if (split.ended || nowMs - split.lastRecordMs >= this.#idleAfterMs) continue;
      const watermarkMs = Math.max(MIN_WATERMARK, split.maxTimestampMs - this.#maxOutOfOrdernessMs - 1);
      if (watermarkMs < minimumMs) minimumMs = watermarkMs;
    }
    if (minimumMs === Infinity) return { watermarkMs: this.#mergedMs, idle: true };
    if (minimumMs > this.#mergedMs) this.#mergedMs = minimumMs;
    return { watermarkMs: this.#mergedMs, idle: false };
  }

  #split(splitId: string): Split {
    const split = this.#splits.get(splitId);
    assert(split !== undefined, `records of a split that was not added: ${splitId}`);
    return split;
  }
}
