/**
 * Kv in memory, with LevelDB's guarantees and no more: a batch is atomic; a synced batch is durable once it was answered; a batch
 * that was not synced may be lost by a crash, also when a later, synced one survives (LevelDB writes to more than one log file over
 * time). A batch in flight may or may not survive.
 */
import { assert } from '../../coord/base/assert.ts';
import type { Callback, Kv, KvOp, KvStores, KvView } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';
import { diskError, type CrashableOptions, type Schedule } from './journal-files.ts';

/** As many as a log of LevelDB that is not yet compacted may hold. */
const BATCHES_KEPT = 32;

/** A value of undefined: none. */
interface Entry {
  readonly key: string;
  value: Uint8Array | undefined;
}
type Op = Readonly<Entry>;

export class CrashableKvStores implements KvStores {
  readonly #schedule: Schedule;
  readonly #prng: Prng;
  readonly #options: CrashableOptions;
  readonly #stores = new Map<string, CrashableKv>();

  constructor(options: CrashableOptions) {
    this.#options = options;
    this.#schedule = options.schedule;
    this.#prng = options.prng;
  }

  open(name: string, done: Callback<Kv>): void {
    const store = this.store(name);
    const life = store.life;
    this.#schedule(0.2, () => {
      if (life !== store.life) return;
      const wasOpen = store.isOpen;
      const handle = wasOpen ? CLOSED_KV : store.openHandle();
      store.tell(() => done(wasOpen ? diskError('LOCK', 'open', name) : null, handle));
    });
  }

  /** The store itself, for faults and judges. */
  store(name: string): CrashableKv {
    let store = this.#stores.get(name);
    if (store === undefined) {
      store = new CrashableKv(this.#options);
      this.#stores.set(name, store);
    }
    return store;
  }

  crash(prng: Prng = this.#prng): void {
    for (const store of this.#stores.values()) store.crash(prng);
  }
}

/** One store: its platter, and what handles see. */
export class CrashableKv {
  readonly #schedule: Schedule;
  readonly #answer: (fn: () => void) => void;
  readonly #prng: Prng;
  readonly #writeMs: readonly [number, number];
  /** What a crash leaves at least. */
  #durable = new Map<string, Uint8Array>();
  /** The newest durable batches, oldest first: what their keys were before. */
  readonly #log: Entry[][] = [];
  /** Answered and not durable, in order. */
  #volatile: Op[][] = [];
  /** Answered with an error: whether they are in the log is found out when the store is opened again. */
  #failed: Op[][] = [];
  readonly #inFlight = new Set<Op[]>();
  readonly data = new SortedMap();
  /** Increases at each crash. */
  life = 0;
  isOpen = false;
  #extraMs = 0;
  #failBatches = 0;
  #capacityBytes = Infinity;
  readonly counts = { batches: 0, synced: 0, failed: 0, lost: 0 };

  constructor(options: CrashableOptions) {
    this.#schedule = options.schedule;
    this.#answer = options.answer ?? ((fn) => fn());
    this.#prng = options.prng;
    this.#writeMs = options.writeMs ?? [0.1, 1];
  }

  openHandle(): Kv {
    this.isOpen = true;
    for (const batch of this.#failed) {
      if (!this.#prng.chance(0.5)) continue;
      this.#makeDurable(batch);
      applyTo(this.data, batch);
    }
    this.#failed = [];
    return new Handle(this, this.life);
  }

  crash(prng: Prng = this.#prng): void {
    this.life++;
    this.isOpen = false;
    const doubtful = [...this.#volatile, ...this.#failed, ...this.#inFlight];
    for (const batch of doubtful) {
      if (prng.chance(0.5)) this.#makeDurable(batch);
      else this.counts.lost++;
    }
    this.#volatile = [];
    this.#failed = [];
    this.#inFlight.clear();
    this.#failBatches = 0;
    // Everything else is durable as it is seen.
    this.data.forgetViews();
    for (const batch of doubtful) applyTo(this.data, batch.map(({ key }) => ({ key, value: this.#durable.get(key) })));
  }

  /** The next n batches fail; each of them may nevertheless be found after a crash or when the store is opened again. */
  failBatches(n: number): void {
    this.#failBatches = n;
  }

  slow(extraMs: number): void {
    this.#extraMs = extraMs;
  }

  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Flips a bit of a value on the platter. */
  flipBit(key: string, byte: number, bit = 0): void {
    const value = this.data.get(key);
    assert(value !== undefined && byte < value.length, `no byte ${byte} at ${key}`);
    const copy = value.slice();
    copy[byte] = (copy[byte] as number) ^ (1 << bit);
    this.#durable.set(key, copy);
    this.data.set(key, copy);
  }

  /** What was written at `from` has been written at `to`, too: a block of a table that went astray. */
  misplace(from: string, to: string): void {
    const value = this.data.get(from);
    assert(value !== undefined && this.isDurable(to), `no value at ${from}, or none at ${to}`);
    this.#durable.set(to, value);
    this.data.set(to, value);
  }

  /** What a crash right now would leave at least: a copy. */
  image(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.#durable);
  }

  /** The store is as it was. For one that nobody has open. */
  restore(image: ReadonlyMap<string, Uint8Array>): void {
    this.#durable = new Map(image);
    this.#log.length = 0;
    this.data.reset(this.#durable);
  }

  /** A key that was synced is gone. */
  drop(key: string): void {
    this.#durable.delete(key);
    this.data.delete(key);
  }

  /**
   * The newest durable batch that wrote this key is gone while later ones are there, as it happens silently in LevelDB when a block of its log
   * rots. Its keys are again what they were before, unless a later batch has written them. For a store that nobody has open. False: the batch is
   * too old to be in the log.
   */
  loseBatch(key: string): boolean {
    const at = this.#log.findLastIndex((before) => before.some((entry) => entry.key === key));
    const [lost] = at < 0 ? [] : this.#log.splice(at, 1);
    if (lost === undefined) return false;
    for (const entry of lost) {
      const later = this.#log.slice(at).flatMap((before) => before.filter((other) => other.key === entry.key))[0];
      if (later !== undefined) later.value = entry.value;
      else {
        applyTo(this.#durable, [entry]);
        applyTo(this.data, [entry]);
      }
    }
    return true;
  }

  /** Whether a crash right now would leave this key. */
  isDurable(key: string): boolean {
    return this.#durable.has(key);
  }

  keys(): readonly string[] {
    return this.data.keys();
  }

  batch(life: number, ops: readonly KvOp[], sync: boolean, done: Callback): void {
    if (life !== this.life) return;
    const batch: Op[] = ops.map((op) => ({ key: op.key, value: op.type === 'put' ? Buffer.from(op.value) : undefined }));
    this.#inFlight.add(batch);
    this.later(this.latency(), () => {
      this.#inFlight.delete(batch);
      this.counts.batches++;
      if (this.#failBatches > 0) {
        this.#failBatches--;
        this.counts.failed++;
        this.#failed.push(batch);
        return this.tell(() => done(diskError('EIO', 'batch', 'store')));
      }
      if (this.data.bytes > this.#capacityBytes) {
        this.counts.failed++;
        return this.tell(() => done(diskError('ENOSPC', 'batch', 'store')));
      }
      applyTo(this.data, batch);
      if (sync) {
        this.counts.synced++;
        this.#makeDurable(batch);
        // What was written before this batch and not synced stays in doubt, but may not undo it.
        if (this.#volatile.length > 0) {
          const keys = new Set(batch.map((op) => op.key));
          this.#volatile = this.#volatile.map((ops) => ops.filter((op) => !keys.has(op.key)));
        }
      } else this.#volatile.push(batch);
      this.tell(() => done(null));
    });
  }

  #makeDurable(batch: readonly Op[]): void {
    this.#log.push(batch.map(({ key }) => ({ key, value: this.#durable.get(key) })));
    if (this.#log.length > BATCHES_KEPT) this.#log.shift();
    applyTo(this.#durable, batch);
  }

  latency(): number {
    const [min, max] = this.#writeMs;
    return min + (max - min) * this.#prng.float() + this.#extraMs;
  }

  later(delayMs: number, fn: () => void): void {
    const life = this.life;
    this.#schedule(delayMs, () => {
      if (life === this.life) fn();
    });
  }

  tell(fn: () => void): void {
    const life = this.life;
    this.#answer(() => {
      if (life === this.life) fn();
    });
  }
}

class Handle implements Kv {
  readonly #store: CrashableKv;
  readonly #life: number;
  #closed = false;

  constructor(store: CrashableKv, life: number) {
    this.#store = store;
    this.#life = life;
  }

  batch(ops: readonly KvOp[], options: { sync: boolean }, done: Callback): void {
    assert(!this.#closed, 'batch on a closed store');
    this.#store.batch(this.#life, ops, options.sync, done);
  }

  get(key: string, done: Callback<Uint8Array | undefined>): void {
    assert(!this.#closed, 'get on a closed store');
    if (this.#life !== this.#store.life) return;
    this.#store.later(0.02, () => {
      const value = this.#store.data.get(key);
      this.#store.tell(() => done(null, value));
    });
  }

  snapshot(): KvView {
    assert(!this.#closed, 'snapshot of a closed store');
    return new View(this.#store, this.#life);
  }

  close(done: Callback): void {
    assert(!this.#closed, 'store closed twice');
    this.#closed = true;
    if (this.#life !== this.#store.life) return;
    this.#store.later(0.1, () => {
      this.#store.isOpen = false;
      this.#store.tell(() => done(null));
    });
  }
}

class View implements KvView {
  readonly #store: CrashableKv;
  readonly #life: number;
  readonly #frozen: Frozen;
  #closed = false;

  constructor(store: CrashableKv, life: number) {
    this.#store = store;
    this.#life = life;
    this.#frozen = store.data.freeze();
  }

  get(key: string, done: Callback<Uint8Array | undefined>): void {
    assert(!this.#closed, 'get on a closed view');
    if (this.#life !== this.#store.life) return;
    const value = this.#frozen.before.has(key) ? this.#frozen.before.get(key) : this.#store.data.get(key);
    this.#store.later(0.02, () => this.#store.tell(() => done(null, value)));
  }

  range(gte: string, lt: string, limit: number, done: Callback<[string, Uint8Array][]>): void {
    assert(!this.#closed, 'range on a closed view');
    if (this.#life !== this.#store.life) return;
    const entries = this.#store.data.range(gte, lt, limit, this.#frozen);
    this.#store.later(0.05, () => this.#store.tell(() => done(null, entries)));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#store.data.thaw(this.#frozen);
  }
}

/** Values that keys had when a view was taken and that have changed since; undefined = there was none. */
interface Frozen {
  readonly before: Map<string, Uint8Array | undefined>;
}

/** A map that can be read in order of key, and frozen at the cost of what changes afterwards. */
class SortedMap {
  readonly #map = new Map<string, Uint8Array>();
  /** In order, but for the keys that have come and gone since. */
  #keys: readonly string[] = [];
  readonly #come = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #frozen = new Set<Frozen>();
  /** Some key has, or had, units in which UTF-16's order is not that of the UTF-8 bytes. */
  #hasHighUnits = false;
  bytes = 0;

  get(key: string): Uint8Array | undefined {
    return this.#map.get(key);
  }

  set(key: string, value: Uint8Array): void {
    const old = this.#remember(key);
    if (old === undefined) {
      if (!this.#gone.delete(key)) this.#come.add(key);
      this.#hasHighUnits ||= HIGH_UNITS.test(key);
    }
    this.bytes += value.length - (old === undefined ? -key.length : old.length);
    this.#map.set(key, value);
  }

  delete(key: string): void {
    const old = this.#remember(key);
    if (old === undefined) return;
    this.bytes -= key.length + old.length;
    if (!this.#come.delete(key)) this.#gone.add(key);
    this.#map.delete(key);
  }

  keys(): readonly string[] {
    if (this.#gone.size > 0) this.#keys = this.#keys.filter((key) => !this.#gone.has(key));
    this.#gone.clear();
    if (this.#come.size > 0) this.#keys = this.#merged(this.#keys, this.#sorted([...this.#come]));
    this.#come.clear();
    return this.#keys;
  }

  /** Two that are in order and have no key in common; few are expected to be in `few`. */
  #merged(keys: readonly string[], few: readonly string[]): string[] {
    const out: string[] = [];
    let from = 0;
    for (const key of few) {
      for (const at = this.#lowerBound(keys, key, from); from < at; from++) out.push(keys[from] as string);
      out.push(key);
    }
    for (; from < keys.length; from++) out.push(keys[from] as string);
    return out;
  }

  range(gte: string, lt: string, limit: number, frozen: Frozen): [string, Uint8Array][] {
    const { before } = frozen;
    const gone = [...before].filter(([key, value]) => value !== undefined && !this.#map.has(key)).map(([key]) => key);
    const keys = gone.length === 0 ? this.keys() : this.#merged(this.keys(), this.#sorted(gone));
    const out: [string, Uint8Array][] = [];
    const end = this.#lowerBound(keys, lt);
    for (let i = this.#lowerBound(keys, gte); i < end && out.length < limit; i++) {
      const key = keys[i] as string;
      const value = before.size > 0 && before.has(key) ? before.get(key) : this.#map.get(key);
      if (value !== undefined) out.push([key, value]);
    }
    return out;
  }

  /** In the order of their UTF-8 bytes: that of UTF-16 units, which needs no comparator, unless there are high ones. */
  #sorted(keys: string[]): string[] {
    return this.#hasHighUnits ? keys.sort(compareUtf8) : keys.sort();
  }

  /** Index of the first key, from `low` on, that is not below. */
  #lowerBound(keys: readonly string[], key: string, low = 0): number {
    const isPlain = !this.#hasHighUnits && !HIGH_UNITS.test(key);
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = keys[middle] as string;
      if (isPlain ? at < key : compareUtf8(at, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  freeze(): Frozen {
    const frozen: Frozen = { before: new Map() };
    this.#frozen.add(frozen);
    return frozen;
  }

  thaw(frozen: Frozen): void {
    this.#frozen.delete(frozen);
  }

  /** Nobody asks them any more. */
  forgetViews(): void {
    this.#frozen.clear();
  }

  reset(to: ReadonlyMap<string, Uint8Array>): void {
    this.forgetViews();
    for (const key of this.#map.keys()) if (!to.has(key)) this.delete(key);
    for (const [key, value] of to) this.set(key, value);
  }

  #remember(key: string): Uint8Array | undefined {
    const old = this.#map.get(key);
    if (this.#frozen.size > 0) for (const frozen of this.#frozen) if (!frozen.before.has(key)) frozen.before.set(key, old);
    return old;
  }
}

function applyTo(target: { set(key: string, value: Uint8Array): unknown; delete(key: string): unknown }, batch: readonly Op[]): void {
  for (const op of batch) {
    if (op.value === undefined) target.delete(op.key);
    else target.set(op.key, op.value);
  }
}

const HIGH_UNITS = /[\ud800-\uffff]/;

/** Order of the UTF-8 bytes: that of UTF-16 units, except that surrogates come after all other units. */
export function compareUtf8(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x - y;
  }
  return a.length - b.length;
}

const CLOSED_KV: Kv = {
  batch: () => assert(false, 'store did not open'),
  get: () => assert(false, 'store did not open'),
  snapshot: () => {
    throw new Error('store did not open');
  },
  close: () => assert(false, 'store did not open'),
};
