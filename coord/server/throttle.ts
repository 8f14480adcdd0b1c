/**
 * Keeps what waits here within its limits: a face is told to read no more from a client that has too much under way, or from any client while the
 * server has.
 * Invariant: whoever was told to stop is told to go on, once, when there is room again.
 */
import type { Connection } from './connection.ts';
import { CONNECTION_HELD_BYTES_MAX, CONNECTION_OUTSTANDING_MAX, RESUME_SHARE, SERVER_OUTSTANDING_BYTES_MAX, SERVER_OUTSTANDING_MAX } from './limits.ts';
import type { PendingWrites } from './pending-writes.ts';

export class Throttle {
  readonly #pending: PendingWrites;
  readonly #stopped = new Set<Connection>();

  constructor(pending: PendingWrites) {
    this.#pending = pending;
  }

  /** False: its face stops reading, until resume(). */
  mayRead(connection: Connection): boolean {
    const hasRoom = this.#hasRoomFor(connection, 1);
    if (!hasRoom) this.#stopped.add(connection);
    return hasRoom;
  }

  resumeFaces(): void {
    if (this.#stopped.size === 0) return;
    for (const connection of this.#stopped) {
      if (connection.state !== 'closed' && !this.#hasRoomFor(connection, RESUME_SHARE)) continue;
      this.#stopped.delete(connection);
      if (connection.state !== 'closed') connection.sink.resume();
    }
  }

  #hasRoomFor(connection: Connection, share: number): boolean {
    const { count, bytes } = this.#pending;
    return (
      connection.outstanding < CONNECTION_OUTSTANDING_MAX * share && connection.heldBytes < CONNECTION_HELD_BYTES_MAX * share &&
      count < SERVER_OUTSTANDING_MAX * share && bytes < SERVER_OUTSTANDING_BYTES_MAX * share
    );
  }
}
