/**
 * Writes of this server that wait for their commit, in the order in which they were sent to the leader; their txns come back in that
 * order. Knows how much that is, so that faces can be told to stop reading.
 */
import { Fifo } from '../base/fifo.ts';
import type { Waiting } from './connection.ts';

export class PendingWrites {
  readonly #queue = new Fifo<Waiting>();
  /** Of the request bodies. */
  bytes = 0;

  get count(): number {
    return this.#queue.size;
  }

  push(waiting: Waiting): void {
    this.#queue.push(waiting);
    this.bytes += waiting.bytes;
  }

  shift(): Waiting | null {
    const waiting = this.#queue.shift() ?? null;
    if (waiting !== null) this.bytes -= waiting.bytes;
    return waiting;
  }

  clear(): void {
    this.#queue.takeAll();
    this.bytes = 0;
  }
}
