/**
 * JournalFiles in memory, with the ways in which a disk lets a program down.
 *
 * What a crash leaves of a write in flight: any subset of its 512-byte sectors, in any combination with other writes in flight;
 * sometimes a sector of neither the old nor the new bytes (only sectors that lie wholly within the write: sectors are atomic).
 * What was reported durable stays, unless a fault is asked for by name (flipBits, zeroRange, removeFile).
 */
import { assert } from '../../coord/base/assert.ts';
import type { Callback, JournalFile, JournalFiles } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';

export type Schedule = (delayMs: number, fn: () => void) => void;

export const SECTOR_BYTES = 512;

export interface CrashableOptions {
  /** Calls `fn` once after `delayMs`; never within the call. */
  readonly schedule: Schedule;
  readonly prng: Prng;
  /** Latency of a write, uniform between the two. Default 0.1 to 1. */
  readonly writeMs?: readonly [min: number, max: number];
  /** How the process is told what the disk has done: at once when it runs, later when it is paused. Default: at once. */
  readonly answer?: (fn: () => void) => void;
}

interface InFlight {
  readonly name: string;
  readonly position: number;
  readonly bytes: Uint8Array;
}

type InFlightEntry = { readonly type: 'create'; readonly name: string; readonly size: number } | { readonly type: 'remove'; readonly name: string };

export class CrashableJournalFiles implements JournalFiles {
  readonly #schedule: Schedule;
  readonly #answer: (fn: () => void) => void;
  readonly #prng: Prng;
  readonly #writeMs: readonly [number, number];
  /** What is on the platter. */
  readonly #files = new Map<string, Uint8Array>();
  readonly #writes = new Set<InFlight>();
  readonly #entries = new Set<InFlightEntry>();
  /** Written by a process that was killed before the disk had answered: readable, and not on the platter. */
  #pageCache: { readonly write: InFlight; readonly before: Uint8Array }[] = [];
  /** Increases at each crash: what was begun before is never answered. */
  #life = 0;
  #failWrites = 0;
  #failCreates = 0;
  #failReads = 0;
  #extraMs = 0;
  #capacityBytes = Infinity;
  /** Told when writes begin to be in flight, and when all are answered. */
  onBusy: ((busy: boolean) => void) | null = null;
  /** Counters for tests and for the simulator's probes. */
  readonly counts = { writes: 0, bytes: 0, creates: 0, removes: 0, failed: 0, torn: 0 };

  constructor(options: CrashableOptions) {
    this.#schedule = options.schedule;
    this.#answer = options.answer ?? ((fn) => fn());
    this.#prng = options.prng;
    this.#writeMs = options.writeMs ?? [0.1, 1];
  }

  // ---------------------------------------------------------------- port

  list(done: Callback<string[]>): void {
    this.#later(0.05, () => {
      const names = [...this.#files.keys()];
      this.#tell(() => done(null, names));
    });
  }

  read(name: string, done: Callback<Uint8Array>): void {
    this.#later(this.#latency(), () => {
      const file = this.#files.get(name);
      let error: Error | null = null;
      if (this.#failReads > 0) {
        this.#failReads--;
        error = this.#failed('EIO', 'read', name);
      } else if (file === undefined) error = diskError('ENOENT', 'read', name);
      const bytes = error !== null || file === undefined ? new Uint8Array(0) : file.slice();
      this.#tell(() => done(error, bytes));
    });
  }

  create(name: string, size: number, done: Callback): void {
    const entry: InFlightEntry = { type: 'create', name, size };
    this.#entries.add(entry);
    this.#later(this.#latency() + size / 1e6, () => {
      this.#entries.delete(entry);
      this.counts.creates++;
      let error: Error | null = null;
      if (this.#files.has(name)) error = diskError('EEXIST', 'create', name);
      else if (this.#failCreates > 0) {
        this.#failCreates--;
        error = this.#failed('EIO', 'create', name);
      } else if (this.usedBytes() + size > this.#capacityBytes) error = this.#failed('ENOSPC', 'create', name);
      else this.#files.set(name, new Uint8Array(size));
      this.#tell(() => done(error));
    });
  }

  open(name: string, done: Callback<JournalFile>): void {
    this.#later(0.05, () => {
      const isThere = this.#files.has(name);
      this.#tell(() => done(isThere ? null : diskError('ENOENT', 'open', name), isThere ? new OpenFile(this, name, this.#life) : CLOSED_FILE));
    });
  }

  remove(name: string, done: Callback): void {
    const entry: InFlightEntry = { type: 'remove', name };
    this.#entries.add(entry);
    this.#later(this.#latency(), () => {
      this.#entries.delete(entry);
      this.counts.removes++;
      const error = this.#files.delete(name) ? null : diskError('ENOENT', 'remove', name);
      this.#tell(() => done(error));
    });
  }

  // ---------------------------------------------------------------- faults

  /**
   * The machine loses power (`power` false: it does not, and what kill() left in the page cache stays there). Keeps what was reported durable and, of what was in flight, a random part.
   * No callback of an earlier call is ever called.
   */
  crash(prng: Prng = this.#prng, power = true): void {
    this.#life++;
    if (power) {
      for (const { write, before } of this.#pageCache) this.#files.get(write.name)?.set(before, write.position);
      for (const { write } of this.#pageCache) this.#tear(write, prng);
      this.#pageCache = [];
    }
    const writes = [...this.#writes];
    this.#writes.clear();
    for (const write of writes) this.#tear(write, prng);
    const entries = [...this.#entries];
    this.#entries.clear();
    for (const entry of entries) {
      if (!prng.chance(0.5)) continue;
      if (entry.type === 'remove') this.#files.delete(entry.name);
      else if (!this.#files.has(entry.name)) this.#files.set(entry.name, new Uint8Array(prng.chance(0.5) ? entry.size : prng.below(entry.size)));
    }
    this.#failWrites = 0;
    this.#failCreates = 0;
    this.#failReads = 0;
  }

  /**
   * The process is killed and the machine goes on: writes in flight are in the page cache, whole or not at all. They can be read, and the
   * next crash() may still lose them.
   */
  kill(prng: Prng = this.#prng): void {
    const writes = [...this.#writes].filter(() => prng.chance(0.7));
    this.#writes.clear();
    this.crash(prng, false);
    for (const write of writes) {
      const file = this.#files.get(write.name);
      if (file === undefined) continue;
      const end = write.position + write.bytes.length;
      this.#pageCache.push({ write, before: file.slice(write.position, end) });
      file.set(write.bytes, write.position);
    }
  }

  /** The next n writes fail with EIO and leave a random part of themselves. */
  failWrites(n: number): void {
    this.#failWrites = n;
  }

  failCreates(n: number): void {
    this.#failCreates = n;
  }

  failReads(n: number): void {
    this.#failReads = n;
  }

  /** Files may hold this many bytes in all; Infinity = room again. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Added to the latency of everything that begins from now on. */
  slow(extraMs: number): void {
    this.#extraMs = extraMs;
  }

  /** Flips one bit of each byte of [from, to). */
  flipBits(name: string, from: number, to: number, prng: Prng = this.#prng): void {
    const file = this.#existing(name);
    for (let i = from; i < to; i++) file[i] = (file[i] as number) ^ (1 << prng.below(8));
  }

  /** As if the writes to [from, to) had been reported and never done. */
  zeroRange(name: string, from: number, to: number): void {
    this.#existing(name).fill(0, from, to);
  }

  /** The write to [from, to) went astray: what was to be there is at `place` of `other`, as much of it as `bytesMax` lets in, and there is nothing where it belongs. */
  misplace(name: string, from: number, to: number, other: string, place: number, bytesMax: number): void {
    const file = this.#existing(name);
    const bytes = file.slice(from, Math.min(to, from + bytesMax));
    file.fill(0, from, to);
    this.#existing(other).set(bytes, place);
  }

  removeFile(name: string): void {
    assert(this.#files.delete(name), `no file ${name}`);
  }

  /** What the disk holds now, by name: a copy. */
  image(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#files].map(([name, bytes]) => [name, bytes.slice()]));
  }

  /** The files are those of an image. For a disk that nobody uses. */
  restore(image: ReadonlyMap<string, Uint8Array>): void {
    this.#files.clear();
    for (const [name, bytes] of image) this.#files.set(name, bytes.slice());
  }

  // ---------------------------------------------------------------- for judges

  names(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** The durable bytes of a file themselves, not a copy. */
  bytesOf(name: string): Uint8Array {
    return this.#existing(name);
  }

  usedBytes(): number {
    let used = 0;
    for (const file of this.#files.values()) used += file.length;
    return used;
  }

  // ---------------------------------------------------------------- inside

  /** For OpenFile. */
  write(name: string, life: number, chunks: readonly Uint8Array[], position: number, done: Callback): void {
    if (life !== this.#life) return;
    const bytes = concat(chunks);
    const write: InFlight = { name, position, bytes };
    const file = this.#files.get(name);
    if (file === undefined) assert(false, `write to the removed file ${name}`);
    if (position < 0 || position + bytes.length > file.length) assert(false, `write beyond the end of ${name}: ${position} + ${bytes.length} > ${file.length}`);
    this.#writes.add(write);
    if (this.#writes.size === 1) this.onBusy?.(true);
    this.counts.writes++;
    this.counts.bytes += bytes.length;
    this.#later(this.#latency(), () => {
      this.#writes.delete(write);
      if (this.#writes.size === 0) this.onBusy?.(false);
      let error: Error | null = null;
      if (this.#failWrites > 0) {
        this.#failWrites--;
        error = this.#failed('EIO', 'write', name);
        this.#tear(write, this.#prng);
      } else this.#files.get(name)?.set(bytes, position);
      this.#tell(() => done(error));
    });
  }

  /** For OpenFile. */
  closeFile(life: number, done: Callback): void {
    if (life === this.#life) this.#later(0.05, () => this.#tell(() => done(null)));
  }

  #tear(write: InFlight, prng: Prng): void {
    const file = this.#files.get(write.name);
    if (file === undefined) return;
    this.counts.torn++;
    const style = prng.below(4);
    if (style === 0) return;
    const end = write.position + write.bytes.length;
    const cut = style === 1 ? write.position + prng.below(write.bytes.length + 1) : end;
    for (let at = write.position; at < end; ) {
      const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      const keep = style === 1 ? at < cut : style === 2 ? true : prng.chance(0.5);
      if (keep) file.set(write.bytes.subarray(at - write.position, next - write.position), at);
      else if (next - at === SECTOR_BYTES && prng.chance(0.05)) file.set(prng.bytes(SECTOR_BYTES), at);
      at = next;
    }
  }

  #existing(name: string): Uint8Array {
    const file = this.#files.get(name);
    assert(file !== undefined, `no file ${name}`);
    return file;
  }

  #latency(): number {
    const [min, max] = this.#writeMs;
    return min + (max - min) * this.#prng.float() + this.#extraMs;
  }

  #later(delayMs: number, fn: () => void): void {
    const life = this.#life;
    this.#schedule(delayMs, () => {
      if (life === this.#life) fn();
    });
  }

  #tell(fn: () => void): void {
    const life = this.#life;
    this.#answer(() => {
      if (life === this.#life) fn();
    });
  }

  #failed(code: string, call: string, name: string): Error {
    this.counts.failed++;
    return diskError(code, call, name);
  }
}

class OpenFile implements JournalFile {
  readonly #files: CrashableJournalFiles;
  readonly #name: string;
  readonly #life: number;
  #closed = false;

  constructor(files: CrashableJournalFiles, name: string, life: number) {
    this.#files = files;
    this.#name = name;
    this.#life = life;
  }

  write(chunks: readonly Uint8Array[], position: number, done: Callback): void {
    if (this.#closed) assert(false, `write to the closed file ${this.#name}`);
    this.#files.write(this.#name, this.#life, chunks, position, done);
  }

  close(done: Callback): void {
    assert(!this.#closed, `${this.#name} closed twice`);
    this.#closed = true;
    this.#files.closeFile(this.#life, done);
  }
}

const CLOSED_FILE: JournalFile = {
  write: () => assert(false, 'write to a file that did not open'),
  close: () => assert(false, 'close of a file that did not open'),
};

/** As Node reports it. */
export function diskError(code: string, call: string, name: string): Error {
  return Object.assign(new Error(`${code}: ${call} '${name}'`), { code });
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const out = Buffer.allocUnsafe(length);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}
