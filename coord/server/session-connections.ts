/**
 * Which connection of this server has which session, and which sessions are contested: somebody asks the leader for them, through this server.
 * Invariants: a session has one connection here at most; it is contested until all who have asked for it have their answers.
 */
import type { Connection } from './connection.ts';

export class SessionConnections {
  readonly #connections = new Map<bigint, Connection>();
  /** How many REVALIDATEs the leader has not answered. */
  readonly #contests = new Map<bigint, number>();

  of(sessionId: bigint): Connection | undefined {
    return this.#connections.get(sessionId);
  }

  /** It has the session from now on. */
  take(connection: Connection): void {
    this.#connections.set(connection.sessionId, connection);
    connection.contested = this.#contests.has(connection.sessionId);
  }
  forget(connection: Connection): void {
    if (this.#connections.get(connection.sessionId) === connection) this.#connections.delete(connection.sessionId);
  }

  contest(sessionId: bigint): void {
    this.#contests.set(sessionId, (this.#contests.get(sessionId) ?? 0) + 1);
    const connection = this.#connections.get(sessionId);
    if (connection !== undefined) connection.contested = true;
  }
  /** One of those who asked has been answered. True: it was the last. */
  answered(sessionId: bigint): boolean {
    const left = (this.#contests.get(sessionId) ?? 1) - 1;
    if (left === 0) this.#contests.delete(sessionId);
    else this.#contests.set(sessionId, left);
    return left === 0;
  }
  /** Nobody will be answered: the leader that was asked is not followed any more. */
  clearContests(): void {
    this.#contests.clear();
  }
}
