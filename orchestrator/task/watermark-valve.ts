/**
 * Merges the event time of several inputs: the minimum over those that are neither idle nor ended.
 *
 * Decides: how far event time has come for whoever reads these inputs.
 * Invariants: the merged watermark never goes back; it is at most the watermark of every active input; an idle or ended input holds nothing
 *   back; while all inputs that have not ended are idle, it stays where it is; when all have ended it stays, too: the end of event
 *   time is announced by the watermark MAX_WATERMARK, never by an end (a stopped job ends without it).
 * Source: Flink's StatusWatermarkValve.
 */
import { MIN_WATERMARK } from './stream-element.ts';

interface Input {
  watermarkMs: number;
  idle: boolean;
  ended: boolean;
}

export class WatermarkValve {
  readonly #inputs: Input[];
  #mergedMs: number;
  #idle = false;

  /** `restoredMs`: what had been merged when the checkpoint was taken. */
  constructor(inputs: number, restoredMs = MIN_WATERMARK) {
    this.#inputs = Array.from({ length: inputs }, () => ({ watermarkMs: MIN_WATERMARK, idle: false, ended: false }));
    this.#mergedMs = restoredMs;
  }

  get mergedMs(): number {
    return this.#mergedMs;
  }

  /** All inputs that have not ended are idle. */
  get idle(): boolean {
    return this.#idle;
  }

  /** Each returns whether the merged watermark or idleness changed. */
  onWatermark(input: number, watermarkMs: number): boolean {
    const at = this.#inputs[input] as Input;
    if (watermarkMs <= at.watermarkMs) return false;
    at.watermarkMs = watermarkMs;
    return this.#merge();
  }

  onStatus(input: number, idle: boolean): boolean {
    (this.#inputs[input] as Input).idle = idle;
    return this.#merge();
  }

  onEnd(input: number): boolean {
    (this.#inputs[input] as Input).ended = true;
    return this.#merge();
  }

  #merge(): boolean {
    let minimumMs = Infinity;
    let open = 0;
    for (const input of this.#inputs) {
      if (input.ended) continue;
      open += 1;
      if (!input.idle && input.watermarkMs < minimumMs) minimumMs = input.watermarkMs;
    }
    const active = minimumMs !== Infinity;
    const idle = open > 0 && !active;
    const changed = idle !== this.#idle || (active && minimumMs > this.#mergedMs);
    this.#idle = idle;
    if (active && minimumMs > this.#mergedMs) this.#mergedMs = minimumMs;
    return changed;
  }
}
