/**
 * The segment after the current one: made ahead in the background, zero-filled, durable and open before it is needed. While it
 * cannot be made the disk counts as full.
 */
import { assert } from '../base/assert.ts';
import type { Callback, JournalFile, JournalFiles } from '../base/ports.ts';
import { segmentName } from './journal-segment.ts';

interface Ready {
  readonly number: number;
  readonly size: number;
  readonly file: JournalFile;
}

export class SpareSegment {
  readonly #files: JournalFiles;
  readonly #segmentBytes: number;
  readonly #changed: () => void;
  #number = 0;
  #ready: Ready | null = null;
  #busy = false;
  #failed: Error | null = null;
  /** The size that somebody waits for, and who is to be told when it cannot be had. */
  #wanted = 0;
  #waiting: Callback | null = null;

  /** `changed` is called whenever a spare has become ready, or could not. */
  constructor(files: JournalFiles, segmentBytes: number, changed: () => void) {
    this.#files = files;
    this.#segmentBytes = segmentBytes;
    this.#changed = changed;
  }

  get busy(): boolean {
    return this.#busy;
  }
  get failed(): boolean {
    return this.#failed !== null;
  }

  ready(bytes: number): boolean {
    return this.#ready !== null && this.#ready.size >= bytes;
  }

  take(): Ready {
    const ready = this.#ready;
    assert(ready !== null, 'no spare segment');
    this.#ready = null;
    this.#wanted = 0;
    return ready;
  }

  /**
   * Makes a segment with room for `bytes`, unless there is one. `number` null: the one that is being made, or was to be made.
   * `waiting` is told the outcome.
   */
  make(number: number | null, bytes: number, waiting: Callback | null): void {
    if (number !== null) this.#number = number;
    this.#wanted = Math.max(this.#wanted, bytes);
    this.#waiting = waiting ?? this.#waiting;
    if (!this.#busy) this.#begin();
  }

  /** Takes an empty file of an earlier life as it is: on a full disk there may be no room for another. */
  adopt(number: number, size: number, waiting: Callback): void {
    this.#busy = true;
    this.#number = number;
    this.#waiting = waiting;
    this.#open(number, size);
  }

  retry(): void {
    if (!this.#busy && this.#ready === null) this.#begin();
  }

  /** The open file, if there is one, for closing. */
  release(): JournalFile[] {
    return this.#ready === null ? [] : [this.#ready.file];
  }

  #begin(): void {
    this.#busy = true;
    const small = this.#ready;
    if (small !== null) {
      // Too small for the record that has come: a larger one takes its place.
      this.#ready = null;
      small.file.close(() => this.#files.remove(segmentName(small.number), () => this.#create()));
    } else this.#create();
  }

  #create(): void {
    const number = this.#number;
    const size = this.#wanted <= this.#segmentBytes ? this.#segmentBytes : roundUp(this.#wanted);
    const name = segmentName(number);
    this.#files.create(name, size, (error) => {
      if (error === null) this.#open(number, size);
      // Half a file would only take up room; whether it existed does not matter.
      else this.#files.remove(name, () => this.#end(error));
    });
  }

  #open(number: number, size: number): void {
    this.#files.open(segmentName(number), (error, file) => {
      if (error === null) this.#ready = { number, size, file };
      this.#end(error);
    });
  }

  #end(error: Error | null): void {
    this.#busy = false;
    this.#failed = error;
    if (error === null && this.#ready !== null && this.#ready.size < this.#wanted) return this.#begin();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(error);
    this.#changed();
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 65536) * 65536;
}
