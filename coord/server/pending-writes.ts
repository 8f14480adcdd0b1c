/**
 * Writes of this server that wait for their commit, in the order in which they were sent to the leader; their txns come back in that
 * order. Knows how much that is, so that faces can be told to stop reading.
 */
import type { Waiting } from './connection.ts';

const CUT = 4096;

export class PendingWrites {
  #queue: Waiting[] = [];
  #head = 0;
  /** Of the request bodies. */
  bytes = 0;

  get count(): number {
    return this.#queue.length - this.#head;
  }

  push(waiting: Waiting): void {
    this.#queue.push(waiting);
    this.bytes += waiting.bytes;
  }

  shift(): Waiting | null {
    const waiting = this.#queue[this.#head];
    if (waiting === undefined) return null;
    this.bytes -= waiting.bytes;
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= CUT) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return waiting;
  }

  clear(): void {
    this.#queue = [];
    this.#head = 0;
    this.bytes = 0;
  }
}
