/** A wait that others can end: what a reader's poll sleeps on while its splits have nothing to give. */
export class Wait {
  #wake: (() => void) | null = null;
  /** Somebody woke us while nobody slept: the next sleep is over at once, lest the news be missed. */
  #woken = false;

  /** Resolves after `ms`, or at the next wake(). One at a time. */
  async sleep(ms: number): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
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
