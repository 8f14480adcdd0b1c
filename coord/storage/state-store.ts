/**
 * The applied state (znodes and sessions) on the key-value store.
 *
 * Keys: `g<generation>/<key>` is an entry, with a CRC of key and value behind the value; `g<generation>.applied` says how far the
 * entries go and how far the journal was durable then; `g<generation>.flush/<n>` is one for each recent flush;
 * `g<generation>.damaged` is there when an entry was found rotten, or a flush missing. All numbers that
 * order matters for are fixed-width hex.
 *
 * Invariants:
 *  - Entries and `applied` change together, in one synced batch, one batch in flight: the state is always that of one zxid.
 *  - A received snapshot goes to a generation that has never been used; it counts from the moment when the journal says so.
 *  - After a batch has failed nothing more is written: the store has to be opened again.
 *
 * The store underneath hides its losses: where its log has rotted it may drop batches it had promised to keep, and open without a
 * word. So each flush leaves a numbered key, and the keys of the last FLUSHES_KEPT_BYTES of flushes (more than the store keeps in its
 * logs) must be there without a gap at boot; a dropped batch is a gap.
 *
 * Leaves to others: which generation is valid (the journal), what the entries mean (coord/tree).
 */
import { assert } from '../base/assert.ts';
import { DreyError } from '../base/errors.ts';
import { Fifo } from '../base/fifo.ts';
import type { Callback, Kv, KvOp, KvView } from '../base/ports.ts';
import { formatZxid, type Zxid } from '../base/zxid.ts';
import { crc32, crc32OfText } from './crc32.ts';
import { NOWHERE, readU64, writeU64, type Position } from './journal-record.ts';
import type { StateWitness } from './journal-recovery.ts';

export type StateEntries = readonly (readonly [key: string, value: Uint8Array])[];

const LOAD_ENTRIES = 1000;
const DELETE_ENTRIES = 500;
/** LevelDB holds at most two logs of 4 MB that are not yet in tables. */
const FLUSHES_KEPT_BYTES = 16 * 1024 * 1024;
const FLUSHES_KEPT_MIN = 8;
/** Received chunks are synced together: one sync for each chunk would make a large snapshot slow. */
const INSTALL_BATCH_BYTES = 1024 * 1024;

interface Flush {
  readonly number: number;
  readonly bytes: number;
}

interface SharedView {
  readonly view: KvView;
  readonly generation: number;
  readonly baseZxid: Zxid;
  users: number;
}

/** What a generation says of itself. */
export interface StateFound {
  /** It has been flushed before, so there was a journal, too. */
  readonly exists: boolean;
  readonly witness: StateWitness;
  readonly problems: readonly string[];
}

export interface StateSnapshot {
  readonly baseZxid: Zxid;
  /** The next entries, about `bytesMax` bytes of them and at least one; none at the end. */
  next(bytesMax: number, done: Callback<[string, Uint8Array][]>): void;
  close(): void;
}

export class StateStore {
  readonly #kv: Kv;
  #generation = 0;
  /** Of #generation: each flush needs them. */
  #names = namesOf(0);
  #appliedZxid: Zxid = 0;
  #flushNumber = 0;
  /** The recent flushes whose keys are in the store, oldest first, and their bytes together. */
  #flushes = new Fifo<Flush>();
  #flushesBytes = 0;
  #flushing = false;
  /** While a flush is in flight: the state as it was before, for snapshots opened meanwhile. */
  #before: SharedView | null = null;
  /** Its entries are not to be believed. */
  #damaged = false;
  #install: { readonly generation: number; ops: KvOp[]; bytes: number } | null = null;
  /** No generation at or above this one has ever been written. */
  #nextGeneration = 1;
  #deleting = false;
  #garbage: number[] = [];
  #busy = 0;
  #dead: Error | null = null;
  #closing: Callback | null = null;
  #lastWords: Position | null = null;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  get appliedZxid(): Zxid {
    return this.#appliedZxid;
  }
  get flushing(): boolean {
    return this.#flushing;
  }
  get failed(): boolean {
    return this.#dead !== null;
  }

  /** What the generation says of itself. Also looks for the rests of other generations. */
  openGeneration(generation: number, done: Callback<StateFound>): void {
    this.#generation = generation;
    this.#names = namesOf(generation);
    this.#generations((error, generations) => {
      if (error !== null) return done(error, NO_STATE);
      this.#nextGeneration = Math.max(generation, ...generations) + 1;
      this.#garbage = generations.filter((found) => found !== generation);
      this.#about(generation, (getError, value, damaged) => {
        if (getError !== null) return done(getError, NO_STATE);
        if (damaged) {
          this.#damaged = true;
          return done(null, { ...NO_STATE, exists: true, problems: ['the state was found damaged before, and no snapshot has been installed since'] });
        }
        if (value === undefined) {
          // A fresh directory, unless there is something else.
          const problems = generation === 0 && generations.length === 0 ? [] : [`the state of generation ${generation} is missing`];
          return done(null, { ...NO_STATE, problems });
        }
        const applied = decodeApplied(appliedKey(generation), value);
        if (applied === null) return done(null, { ...NO_STATE, problems: [`${appliedKey(generation)} in the state has a wrong checksum`] });
        this.#appliedZxid = applied.appliedZxid;
        this.#flushNumber = applied.flushNumber;
        this.#checkFlushes(applied.flushNumber, applied.oldestFlush, (flushError, problems) => {
          if (flushError !== null || problems.length === 0) return done(flushError, { exists: true, witness: applied, problems });
          // Entries between which a batch is missing are the state of no zxid: a znode may be there without its parent or its session.
          this.#damaged = true;
          this.#appliedZxid = 0;
          this.#write([{ type: 'put', key: damagedKey(generation), value: EMPTY }], (error) => done(error, { exists: true, witness: { appliedZxid: 0, durable: applied.durable }, problems }));
        });
      });
    });
  }

  /**
   * Every entry, in chunks. A wrong checksum is an error, COORD_STATE_DAMAGED; it is remembered, and a storage that is opened afterwards
   * is suspect, with a state of nothing at zxid 0.
   */
  load(onEntries: (entries: StateEntries) => void, done: Callback): void {
    if (this.#damaged) return this.#soon(done);
    const shared = this.#share();
    this.#begin();
    const end = (error: Error | null): void => {
      this.#unshare(shared);
      done(error);
      this.#ended();
    };
    const from = (gte: string): void =>
      shared.view.range(gte, entriesEnd(shared.generation), LOAD_ENTRIES, (error, found) => {
        if (error !== null) return end(error);
        const entries = unwrapAll(shared.generation, found);
        if (entries instanceof Error) {
          return this.#write([{ type: 'put', key: damagedKey(shared.generation), value: EMPTY }], (markError) => end(markError ?? entries));
        }
        if (entries.length > 0) onEntries(entries);
        if (found.length < LOAD_ENTRIES) return end(null);
        from(after((found.at(-1) as [string, Uint8Array])[0]));
      });
    from(entriesStart(shared.generation));
  }

  /** Writes what changed together with how far it goes. One at a time. `durable`: of the journal, now. */
  flush(puts: StateEntries, dels: readonly string[], appliedZxid: Zxid, durable: Position, done: Callback): void {
    assert(!this.#flushing, 'one flush at a time');
    if (appliedZxid < this.#appliedZxid) assert(false, `state flushed backwards from ${formatZxid(this.#appliedZxid)} to ${formatZxid(appliedZxid)}`);
    const names = this.#names;
    const prefix = names.entries;
    const ops: KvOp[] = [];
    let bytes = 64;
    for (const [key, value] of puts) {
      ops.push({ type: 'put', key: prefix + key, value: wrap(key, value) });
      bytes += key.length + value.length;
    }
    for (const key of dels) {
      ops.push({ type: 'del', key: prefix + key });
      bytes += key.length;
    }
    const number = this.#flushNumber + 1;
    const flushes = this.#flushes;
    flushes.push({ number, bytes });
    this.#flushesBytes += bytes;
    // Should the batch fail, nothing more is written: what is known here need not be taken back.
    for (let oldest = flushes.peek(); oldest !== undefined && flushes.size > FLUSHES_KEPT_MIN && this.#flushesBytes - oldest.bytes > FLUSHES_KEPT_BYTES; oldest = flushes.peek()) {
      flushes.shift();
      this.#flushesBytes -= oldest.bytes;
      ops.push({ type: 'del', key: names.flush + flushDigits(oldest.number) });
    }
    ops.push({ type: 'put', key: names.flush + flushDigits(number), value: encodeFlush(bytes) });
    ops.push({ type: 'put', key: names.applied, value: encodeApplied(names.applied, appliedZxid, durable, number, (flushes.peek() as Flush).number) });
    this.#flushing = true;
    this.#before = this.#share();
    this.#write(ops, (error) => {
      this.#flushing = false;
      const before = this.#before;
      this.#before = null;
      if (before !== null) this.#unshare(before);
      if (error === null) {
        this.#appliedZxid = appliedZxid;
        this.#flushNumber = number;
      }
      done(error);
    });
  }

  /** The state as of the newest finished flush; later flushes do not disturb it. */
  openSnapshot(): StateSnapshot {
    const shared = this.#share();
    let gte = entriesStart(shared.generation);
    let limit = 64;
    let closed = false;
    let reading = false;
    const release = (): void => {
      this.#unshare(shared);
      this.#ended();
    };
    this.#begin();
    return {
      baseZxid: shared.baseZxid,
      next: (bytesMax, done) => {
        assert(!closed && !reading, 'one next at a time on an open snapshot');
        reading = true;
        shared.view.range(gte, entriesEnd(shared.generation), limit, (error, found) => {
          reading = false;
          if (closed) return release();
          if (error !== null) return done(error, []);
          let bytes = 0;
          const fitting = found.findIndex(([key, value], i) => (bytes += key.length + value.length) > bytesMax && i > 0);
          const taken = fitting < 0 ? found : found.slice(0, fitting);
          // Reads about as many entries as fit the next time.
          limit = fitting < 0 ? Math.min(limit * 2, 2000) : Math.max(16, fitting + 1);
          if (taken.length > 0) gte = after((taken.at(-1) as [string, Uint8Array])[0]);
          const entries = unwrapAll(shared.generation, taken);
          if (entries instanceof Error) done(entries, []);
          else done(null, entries);
        });
      },
      close: () => {
        if (closed) return;
        closed = true;
        if (!reading) release();
      },
    };
  }

  // ---------------------------------------------------------------- a snapshot received

  /** Begins a new generation; one that was begun before and not installed is dropped. */
  beginInstall(): void {
    if (this.#install !== null) this.#garbage.push(this.#install.generation);
    this.#install = { generation: this.#nextGeneration++, ops: [], bytes: 0 };
    this.#deleteGarbage();
  }

  addInstall(entries: StateEntries, done: Callback): void {
    const install = this.#install;
    assert(install !== null, 'snapshot chunk without a beginning');
    const prefix = entriesStart(install.generation);
    for (const [key, value] of entries) {
      install.ops.push({ type: 'put', key: prefix + key, value: wrap(key, value) });
      install.bytes += key.length + value.length;
    }
    if (install.bytes < INSTALL_BATCH_BYTES) return this.#soon(done);
    const { ops } = install;
    install.ops = [];
    install.bytes = 0;
    this.#write(ops, done);
  }

  /** Makes the new generation durable. It counts only after {@link switchTo}. */
  finishInstall(baseZxid: Zxid, done: Callback<number>): void {
    const install = this.#install;
    assert(install !== null, 'snapshot end without a beginning');
    const { generation, ops } = install;
    ops.push({ type: 'put', key: flushKey(generation, 0), value: encodeFlush(0) });
    const key = appliedKey(generation);
    ops.push({ type: 'put', key, value: encodeApplied(key, baseZxid, NOWHERE, 0, 0) });
    this.#write(ops, (error) => done(error, generation));
  }

  /** The journal has made the installed generation the valid one. */
  switchTo(generation: number, baseZxid: Zxid): void {
    assert(this.#install?.generation === generation && !this.#flushing, 'a generation that was not installed');
    this.#install = null;
    this.#damaged = false;
    this.#garbage.push(this.#generation);
    this.#generation = generation;
    this.#names = namesOf(generation);
    this.#appliedZxid = baseZxid;
    this.#flushNumber = 0;
    this.#keepFlushes([{ number: 0, bytes: 0 }]);
    this.#deleteGarbage();
  }

  /** Removes the rests of other generations, in the background. */
  deleteGarbage(): void {
    this.#deleteGarbage();
  }

  /** `durable`: where the journal has ended for now; the state bears witness of it. null: not known. */
  close(durable: Position | null, done: Callback): void {
    assert(this.#closing === null, 'state store closed twice');
    this.#closing = done;
    this.#lastWords = durable;
    this.#begin();
    this.#soon(() => this.#ended());
  }

  // ---------------------------------------------------------------- inside

  #write(ops: KvOp[], done: Callback): void {
    if (this.#dead !== null) return this.#soon(() => done(this.#dead));
    this.#begin();
    this.#kv.batch(ops, { sync: true }, (error) => {
      // The store goes on after a failed write as if nothing had been; what it then promises cannot be believed.
      if (error !== null) this.#dead ??= new DreyError('COORD_DISK_FAILED', `could not write the state: ${error.message}`, { retryable: true, cause: error });
      done(this.#dead);
      this.#ended();
    });
  }

  /** One at a time, oldest first; synced, so that a number that is gone does not come back under a later generation. */
  #deleteGarbage(): void {
    const generation = this.#garbage[0];
    if (this.#deleting || generation === undefined || this.#closing !== null || this.#dead !== null) return;
    this.#deleting = true;
    this.#begin();
    const stop = (): void => {
      this.#deleting = false;
      this.#ended();
    };
    const view = this.#kv.snapshot();
    view.range(generationStart(generation), generationStart(generation + 1), DELETE_ENTRIES, (error, found) => {
      view.close();
      if (error !== null || this.#closing !== null) return stop();
      if (found.length === 0) {
        this.#garbage.shift();
        stop();
        return this.#deleteGarbage();
      }
      this.#write(found.map(([key]) => ({ type: 'del', key })), () => {
        stop();
        this.#deleteGarbage();
      });
    });
  }

  /** All generations that have a key. */
  #generations(done: Callback<number[]>): void {
    const view = this.#kv.snapshot();
    const found: number[] = [];
    const from = (generation: number): void =>
      view.range(generationStart(generation), 'h', 1, (error, entries) => {
        const key = entries[0]?.[0];
        if (error !== null || key === undefined) {
          view.close();
          return done(error, found);
        }
        const number = Number.parseInt(key.slice(1, 9), 16);
        found.push(number);
        from(number + 1);
      });
    from(0);
  }

  #about(generation: number, done: (error: Error | null, applied: Uint8Array | undefined, damaged: boolean) => void): void {
    this.#kv.get(damagedKey(generation), (error, damaged) => {
      if (error !== null || damaged !== undefined) return done(error, undefined, true);
      this.#kv.get(appliedKey(generation), (getError, applied) => done(getError, applied, false));
    });
  }

  #checkFlushes(newest: number, oldest: number, done: Callback<string[]>): void {
    const view = this.#kv.snapshot();
    const flushes: Flush[] = [];
    const end = (error: Error | null, problems: string[]): void => {
      view.close();
      this.#keepFlushes(flushes);
      done(error, problems);
    };
    const from = (gte: string): void =>
      view.range(gte, flushKey(this.#generation, newest + 1), LOAD_ENTRIES, (error, found) => {
        if (error !== null) return end(error, []);
        for (const [key, value] of found) {
          const number = Number.parseInt(key.slice(-FLUSH_DIGITS), 16);
          if (number !== oldest + flushes.length) return end(null, [`the state has lost flush ${oldest + flushes.length}: the store dropped what it had synced`]);
          flushes.push({ number, bytes: decodeFlush(value) });
        }
        if (found.length === LOAD_ENTRIES) return from(after((found.at(-1) as [string, Uint8Array])[0]));
        if (flushes.length !== newest - oldest + 1) return end(null, [`the state has lost flush ${oldest + flushes.length}: the store dropped what it had synced`]);
        end(null, []);
      });
    from(flushKey(this.#generation, oldest));
  }

  #keepFlushes(flushes: readonly Flush[]): void {
    this.#flushes = new Fifo();
    this.#flushesBytes = 0;
    for (const flush of flushes) {
      this.#flushes.push(flush);
      this.#flushesBytes += flush.bytes;
    }
  }

  #share(): SharedView {
    const shared = this.#before ?? { view: this.#kv.snapshot(), generation: this.#generation, baseZxid: this.#appliedZxid, users: 0 };
    shared.users++;
    return shared;
  }

  #unshare(shared: SharedView): void {
    if (--shared.users === 0) shared.view.close();
  }

  #begin(): void {
    this.#busy++;
  }

  #ended(): void {
    this.#busy--;
    const done = this.#closing;
    if (this.#busy > 0 || done === null) return;
    const durable = this.#lastWords;
    this.#lastWords = null;
    if (durable !== null && this.#dead === null) return this.flush([], [], this.#appliedZxid, durable, () => {});
    this.#closing = null;
    this.#dead ??= new DreyError('COORD_DISK_FAILED', 'the state is closed');
    this.#kv.close(done);
  }

  /** An answer never comes within the call. */
  #soon(fn: Callback): void {
    this.#kv.get('', (error) => fn(error));
  }
}

const NO_STATE: StateFound = { exists: false, witness: { appliedZxid: 0, durable: NOWHERE }, problems: [] };
const FLUSH_DIGITS = 12;
const EMPTY = new Uint8Array(0);

function generationStart(generation: number): string {
  return `g${generation.toString(16).padStart(8, '0')}`;
}
// '.' < '/' < '0'
/** How far the entries of a generation go; for judges, too. */
export function appliedKey(generation: number): string {
  return `${generationStart(generation)}.applied`;
}
function damagedKey(generation: number): string {
  return `${generationStart(generation)}.damaged`;
}
function flushKey(generation: number, number: number): string {
  return flushStart(generation) + flushDigits(number);
}
function flushStart(generation: number): string {
  return `${generationStart(generation)}.flush/`;
}
function flushDigits(number: number): string {
  return number.toString(16).padStart(FLUSH_DIGITS, '0');
}
function entriesStart(generation: number): string {
  return `${generationStart(generation)}/`;
}
function entriesEnd(generation: number): string {
  return `${generationStart(generation)}0`;
}

/** What the keys of a generation begin with, and the one that says how far it goes. */
interface Names {
  readonly entries: string;
  readonly flush: string;
  readonly applied: string;
}
function namesOf(generation: number): Names {
  return { entries: entriesStart(generation), flush: flushStart(generation), applied: appliedKey(generation) };
}
/** The least key above `key`. */
function after(key: string): string {
  return `${key}\0`;
}

function wrap(key: string, value: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(value.length + 4);
  out.set(value, 0);
  out.writeUInt32LE(crc32(value, 0, value.length, crc32OfText(key)), value.length);
  return out;
}

function unwrap(key: string, stored: Uint8Array): Uint8Array | null {
  if (stored.length < 4) return null;
  const end = stored.length - 4;
  const crc = ((stored[end] as number) | ((stored[end + 1] as number) << 8) | ((stored[end + 2] as number) << 16) | ((stored[end + 3] as number) << 24)) >>> 0;
  return crc32(stored, 0, end, crc32OfText(key)) === crc ? stored.subarray(0, end) : null;
}

function unwrapAll(generation: number, stored: readonly (readonly [string, Uint8Array])[]): [string, Uint8Array][] | Error {
  const prefix = entriesStart(generation).length;
  const out: [string, Uint8Array][] = [];
  for (const [fullKey, bytes] of stored) {
    const key = fullKey.slice(prefix);
    const value = unwrap(key, bytes);
    if (value === null) return new DreyError('COORD_STATE_DAMAGED', `the state's entry ${key} has a wrong checksum`);
    out.push([key, value]);
  }
  return out;
}

interface Applied extends StateWitness {
  readonly flushNumber: number;
  /** The oldest flush whose key must still be there. */
  readonly oldestFlush: number;
}

function encodeApplied(key: string, appliedZxid: Zxid, durable: Position, flushNumber: number, oldestFlush: number): Uint8Array {
  const out = Buffer.alloc(32);
  writeU64(out, appliedZxid, 0);
  out.writeUInt32LE(durable.segment, 8);
  out.writeUInt32LE(durable.offset, 12);
  writeU64(out, flushNumber, 16);
  writeU64(out, oldestFlush, 24);
  return wrap(key, out);
}

/** Null: rotten. */
export function decodeApplied(key: string, stored: Uint8Array): Applied | null {
  const value = unwrap(key, stored);
  if (value === null || value.length !== 32) return null;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  return {
    appliedZxid: readU64(bytes, 0),
    durable: { segment: bytes.readUInt32LE(8), offset: bytes.readUInt32LE(12) },
    flushNumber: readU64(bytes, 16),
    oldestFlush: readU64(bytes, 24),
  };
}

function encodeFlush(bytes: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(Math.min(bytes, 0xffff_ffff));
  return out;
}

function decodeFlush(value: Uint8Array): number {
  return value.length < 4 ? 0 : ((value[0] as number) | ((value[1] as number) << 8) | ((value[2] as number) << 16) | ((value[3] as number) << 24)) >>> 0;
}
