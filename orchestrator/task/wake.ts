/** What a task's loop waits on: any number of causes, one waiter. A wake that comes before the wait is not lost. */
export class Wake {
  #resolve: (() => void) | null = null;
  #pending = false;

  wake(): void {
    if (this.#resolve === null) {
      this.#pending = true;
      return;
    }
    const resolve = this.#resolve;
    this.#resolve = null;
    resolve();
  }

  async wait(): Promise<void> {
    if (this.#pending) {
      this.#pending = false;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
  }
}
