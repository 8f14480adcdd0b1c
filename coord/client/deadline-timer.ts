/** One timer for the earliest of several deadlines that move all the time. */
import type { Clock, TimerHandle, Timers } from '../base/ports.ts';
import { limits } from './limits.ts';

export class DeadlineTimer {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #fn: () => void;
  #timer: TimerHandle | null = null;
  #atMs = 0;

  /** `fn` looks at the deadlines itself, and arms again. */
  constructor(clock: Clock, timers: Timers, fn: () => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#fn = fn;
  }

  /** Moves the timer only where it must be earlier; one that is too early does no harm. Infinity: no deadline. */
  arm(atMs: number): void {
    if (this.#timer !== null && this.#atMs <= atMs) return;
    this.cancel();
    if (atMs === Infinity) return;
    this.#set(atMs, () => {
      // This process was held up: what the servers sent meanwhile is read before anybody is judged by the clock.
      if (this.#clock.monotonicMs() - atMs > limits.lateTimerMs) this.#set(this.#clock.monotonicMs() + 1, this.#fn);
      else this.#fn();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #set(atMs: number, fn: () => void): void {
    this.#atMs = atMs;
    this.#timer = this.#timers.after(Math.max(0, atMs - this.#clock.monotonicMs()), () => {
      this.#timer = null;
      fn();
    });
  }
}
