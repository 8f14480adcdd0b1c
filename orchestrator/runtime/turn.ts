/** Shares one event loop between tasks that always have something to do: after a turn's time is up, all of them let sockets and timers run. */
const TURN_MS = 10;

export class Turn {
  readonly #nowMs: () => number;
  #startMs: number;
  #next: Promise<void> | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  /** Null: go on. */
  pause(): Promise<void> | null {
    if (this.#next !== null) return this.#next;
    if (this.#nowMs() - this.#startMs < TURN_MS) return null;
    this.#next = new Promise((resolve) => {
      setImmediate(() => {
        this.#next = null;
        this.#startMs = this.#nowMs();
        resolve();
      });
    });
    return this.#next;
  }
}
