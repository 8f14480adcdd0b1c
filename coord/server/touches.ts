/**
 * Which sessions this server has heard of since it last told the leader's session tracker.
 * Invariants: a session is told within an interval of its first request, also if its connection is closed meanwhile, since its client has been
 * answered and counts its lease from there; each is told once.
 */
import type { Connection } from './connection.ts';

export class Touches {
  readonly #intervalMs: number;
  #touched: Connection[] = [];
  #nextMs = 0;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** When there will be something to tell. */
  get deadlineMs(): number {
    return this.#touched.length === 0 ? Infinity : this.#nextMs;
  }
  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  /** When a request comes, not when it goes on after it was held: the client's lease counts from before it was sent. */
  heard(connection: Connection, nowMs: number): void {
    connection.heardMs = nowMs;
    if (connection.touched || connection.state !== 'open') return;
    connection.touched = true;
    this.#touched.push(connection);
  }

  /** The sessions to be told now. */
  take(nowMs: number): readonly bigint[] {
    this.#nextMs = nowMs + this.#intervalMs;
    if (this.#touched.length === 0) return NONE;
    const ids = this.#touched.map(({ sessionId }) => sessionId);
    this.clear();
    return ids;
  }

  clear(): void {
    for (const connection of this.#touched) connection.touched = false;
    this.#touched.length = 0;
  }
}

const NONE: readonly bigint[] = [];
