/**
 * Cuts a byte stream into ZooKeeper's frames: int32 length, then that many bytes. A frame that lies whole in a received chunk is handed
 * on in place; only a frame cut by the end of a chunk is put together in a buffer of its own, which grows with what has really arrived
 * and not with what a length announces.
 */

/** What becomes of one frame: [start, end) of bytes is its payload, good only during the call. False stops the reading until resume(); the rest is kept. */
export type FrameHandler = (bytes: Buffer, start: number, end: number) => boolean;

export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #onFrame: FrameHandler;
  #held: Buffer | null = null;
  #heldLength = 0;
  #stopped = false;
  /** Within a handler's call: resume() then only takes the stop back. */
  #reading = false;

  constructor(frameBytesMax: number, onFrame: FrameHandler) {
    this.#frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** Bytes kept because their frame is not whole yet, or because the handler stopped. */
  get heldBytes(): number {
    return this.#heldLength;
  }

  /** Takes the next bytes of the stream. False: the stream announced a length below 0 or above the limit, and is of no more use. */
  push(chunk: Buffer): boolean {
    if (this.#heldLength === 0 && !this.#stopped) return this.#cut(chunk, 0, chunk.length);
    return this.#pushHeld(chunk);
  }

  /** Goes on after the handler had stopped. */
  resume(): boolean {
    this.#stopped = false;
    return this.#reading || this.#cutHeld();
  }

  #cutHeld(): boolean {
    const held = this.#held;
    if (held === null || this.#heldLength === 0) return true;
    const length = this.#heldLength;
    this.#heldLength = 0;
    this.#held = null;
    return this.#cut(held, 0, length);
  }

  #pushHeld(chunk: Buffer): boolean {
    let from = 0;
    // Completes the frame that is cut first, so that the rest of the chunk needs no copy.
    while (!this.#stopped) {
      const wanted = this.#missing();
      if (wanted < 0) return false;
      const n = Math.min(wanted, chunk.length - from);
      if (n > 0) this.#hold(chunk, from, from + n);
      from += n;
      if (n < wanted) return true;
      // The length alone was completed: now it is known what is missing.
      if (this.#heldLength === 4 && this.#missing() !== 0) continue;
      if (!this.#cutHeld()) return false;
      if (!this.#stopped) return this.#cut(chunk, from, chunk.length);
    }
    if (from < chunk.length) this.#hold(chunk, from, chunk.length);
    return true;
  }

  /** How many bytes the first held frame still needs; its length first. -1: a length that cannot be. */
  #missing(): number {
    if (this.#heldLength < 4) return 4 - this.#heldLength;
    const length = (this.#held as Buffer).readInt32BE(0);
    if (length < 0 || length > this.#frameBytesMax) return -1;
    return Math.max(0, 4 + length - this.#heldLength);
  }

  #cut(bytes: Buffer, from: number, to: number): boolean {
    this.#reading = true;
    let at = from;
    let good = true;
    while (to - at >= 4 && !this.#stopped) {
      const length = bytes.readInt32BE(at);
      if (length < 0 || length > this.#frameBytesMax) {
        good = false;
        break;
      }
      if (to - at - 4 < length) break;
      at += 4 + length;
      if (!this.#onFrame(bytes, at - length, at)) this.#stopped = true;
    }
    this.#reading = false;
    if (good && at < to) this.#hold(bytes, at, to);
    return good;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    const needed = this.#heldLength + to - from;
    if (this.#held === null || this.#held.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, 2 * this.#heldLength, needed));
      if (this.#held !== null) this.#held.copy(grown, 0, 0, this.#heldLength);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldLength, from, to);
    this.#heldLength = needed;
  }
}

/** The way out: each frame behind its length, in one piece. */
export function withLengths(frames: readonly Uint8Array[]): Buffer {
  const out = Buffer.allocUnsafe(frames.reduce((sum, frame) => sum + 4 + frame.length, 0));
  let at = 0;
  for (const frame of frames) {
    out.writeInt32BE(frame.length, at);
    out.set(frame, at + 4);
    at += 4 + frame.length;
  }
  return out;
}
