/**
 * Keeps a view of something in coord up to date: reads it with a one-shot watch, and again whenever the watch fires.
 *
 * Invariants: one read at a time; a change after a read began leads to another read; nothing is read after stop().
 */
import type { Timers } from '../../coord/base/ports.ts';
import type { Watcher } from '../../coord/client/index.ts';
import { isCoordError } from '../../coord/client/index.ts';
import { sleep } from './ports.ts';

const RETRY_MS = 200;

export class Refresher {
  readonly #timers: Timers;
  readonly #read: (watch: Watcher) => Promise<void>;
  readonly #failed: (error: Error) => void;
  #reading = false;
  #again = false;
  #stopped = false;

  /** `failed` is told what trying again cannot mend; everything else is tried again. */
  constructor(timers: Timers, read: (watch: Watcher) => Promise<void>, failed: (error: Error) => void) {
    this.#timers = timers;
    this.#read = read;
    this.#failed = failed;
  }

  refresh(): void {
    this.#again = true;
    if (!this.#reading) void this.#run();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    this.#reading = true;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        await this.#read(() => this.refresh());
      } catch (error) {
        if (this.#stopped) break;
        if (isCoordError(error) && !error.retryable) this.#failed(error);
        else {
          if (!isCoordError(error)) this.#failed(error as Error);
          this.#again = true;
          await sleep(this.#timers, RETRY_MS);
        }
      }
    }
    this.#reading = false;
  }
}
