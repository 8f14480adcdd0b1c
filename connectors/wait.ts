/** A wait that others can end: what a reader's poll sleeps on while its splits have nothing to give. */
export class Wait {
  #wake: (() => void) | null = null;

  /** Resolves after `ms`, or at the next wake(). One at a time. */
  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  wake(): void {
    this.#wake?.();
  }
}
