/** A virtual clock and the crashable doubles on it, for tests of the storage. */
import { Prng } from '../../../coord/base/prng.ts';
import type { Callback } from '../../../coord/base/ports.ts';
import { Storage, type Recovered, type StorageOptions } from '../../../coord/storage/storage.ts';
import { CrashableJournalFiles } from '../../../sim/doubles/journal-files.ts';
import { CrashableKvStores } from '../../../sim/doubles/kv.ts';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly fn: () => void;
}

export class VirtualDisk {
  readonly #events: Event[] = [];
  #order = 0;
  nowMs = 0;
  readonly prng: Prng;
  readonly files: CrashableJournalFiles;
  readonly kvs: CrashableKvStores;

  constructor(seed: string | number) {
    this.prng = new Prng(seed);
    const schedule = (delayMs: number, fn: () => void): void => {
      this.#events.push({ atMs: this.nowMs + delayMs, order: this.#order++, fn });
    };
    this.files = new CrashableJournalFiles({ schedule, prng: this.prng.fork('files') });
    this.kvs = new CrashableKvStores({ schedule, prng: this.prng.fork('kv') });
  }

  /** The next event; false when there is none. */
  step(): boolean {
    let first = 0;
    for (let i = 1; i < this.#events.length; i++) {
      const a = this.#events[i] as Event;
      const b = this.#events[first] as Event;
      if (a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)) first = i;
    }
    const event = this.#events.splice(first, 1)[0];
    if (event === undefined) return false;
    this.nowMs = event.atMs;
    event.fn();
    return true;
  }

  run(): void {
    while (this.step());
  }

  crash(): void {
    this.files.crash();
    this.kvs.crash();
  }

  /** Runs until the call has answered. */
  await<T>(call: (done: Callback<T>) => void): T {
    let answer: { error: Error | null; value: T } | null = null;
    call((error, value) => {
      answer = { error, value };
    });
    while (answer === null && this.step());
    const { error, value } = answer as unknown as { error: Error | null; value: T };
    if (answer === null) throw new Error('no answer');
    if (error !== null) throw error;
    return value;
  }

  open(options: StorageOptions = SMALL): { storage: Storage; recovered: Recovered } {
    const storage = new Storage(this.files, this.kvs, options);
    return { storage, recovered: this.await<Recovered>((done) => storage.open(done)) };
  }
}

/** Segments so small that they roll all the time. */
export const SMALL: StorageOptions = { segmentBytes: 4096, keepBytes: 0 };
