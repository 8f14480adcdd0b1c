/** The sessions as the ensemble agreed on them: part of the replicated state, changed by the DataTree only. */

export interface SessionState {
  readonly timeoutMs: number;
  /** Random; never derived from the id. */
  readonly password: Uint8Array;
  /** Paths of its ephemeral znodes. */
  readonly ephemerals: Set<string>;
}

export class SessionTable {
  readonly #sessions = new Map<bigint, SessionState>();

  get size(): number {
    return this.#sessions.size;
  }

  get(sessionId: bigint): SessionState | undefined {
    return this.#sessions.get(sessionId);
  }

  has(sessionId: bigint): boolean {
    return this.#sessions.has(sessionId);
  }

  keys(): IterableIterator<bigint> {
    return this.#sessions.keys();
  }

  [Symbol.iterator](): IterableIterator<[bigint, SessionState]> {
    return this.#sessions[Symbol.iterator]();
  }

  set(sessionId: bigint, session: SessionState): void {
    this.#sessions.set(sessionId, session);
  }

  delete(sessionId: bigint): boolean {
    return this.#sessions.delete(sessionId);
  }
}
