/** A wait that others can end: what a reader's poll sleeps on while its splits have nothing to give. */
import type { Timers } from '../coord/base/ports.ts';

export class Wait {
  readonly #timers: Timers;
  #wake: (() => void) | null = null;
  /** Somebody woke us while nobody slept: the next sleep is over at once, lest the news be missed. */
  #woken = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Resolves after `ms`, or at the next wake(). One at a time. */
  async sleep(ms: number): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = this.#timers.after(ms, resolve);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#wake = null;
    this.#woken = false;
  }

  wake(): void {
    if (this.#wake === null) this.#woken = true;
    else this.#wake();
  }
}
