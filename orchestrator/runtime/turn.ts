/** Shares one event loop between tasks that always have something to do: after a turn's time is up, all of them let sockets and timers run. */
import type { Clock, Timers } from '../../coord/base/ports.ts';

const TURN_MS = 10;

export class Turn {
  readonly #clock: Clock;
  readonly #timers: Timers;
  #startMs: number;
  #next: Promise<void> | null = null;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
    this.#startMs = clock.monotonicMs();
  }

  /** Null: go on. */
  pause(): Promise<void> | null {
    if (this.#next !== null) return this.#next;
    if (this.#clock.monotonicMs() - this.#startMs < TURN_MS) return null;
    this.#next = new Promise((resolve) => {
      this.#timers.endOfTurn(() => {
        this.#next = null;
        this.#startMs = this.#clock.monotonicMs();
        resolve();
      });
    });
    return this.#next;
  }
}
