/** One direction between two servers: what is wrong with it, and its stream of chance. */
import type { Prng } from '../../coord/base/prng.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';

export class Route {
  readonly prng: Prng;
  readonly #latencyMs: number;
  readonly #jitterMs: number;
  /** Nothing gets through, and no connection can be made. */
  cut = false;
  /** What is sent waits. */
  clogged = false;
  /** The next frame of this type is lost. */
  dropNext: PeerMessage['type'] | null = null;
  corruptNext = false;

  constructor(prng: Prng, latencyMs: number, jitterMs: number) {
    this.prng = prng;
    this.#latencyMs = latencyMs;
    this.#jitterMs = jitterMs;
  }

  get blocked(): boolean {
    return this.cut || this.clogged;
  }
  latencyMs(): number {
    return this.#latencyMs + this.prng.float() * this.#jitterMs;
  }

  /** A copy with one bit flipped: the frame itself may be on its way to others. */
  corrupted(frame: Uint8Array): Uint8Array {
    const copy = Uint8Array.from(frame);
    const at = this.prng.below(copy.length);
    copy[at] = (copy[at] as number) ^ (1 << this.prng.below(8));
    return copy;
  }
}
