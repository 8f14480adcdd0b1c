/**
 * A znode. Its numbers live in pages of typed arrays and its small data in a ByteStore, so that a large tree is few objects to the collector;
 * the Znode is the handle, and implements Stat over them, so that reads copy nothing.
 *
 * Invariants:
 * - Only the DataTree changes one. A handle dies with its znode (alive is false then) and is not read afterwards.
 * - cversion is what clients see, 2 * creates - numChildren; creates is what is stored and what sequence numbers are taken from.
 * - ephemeralOwner is 0n unless the znode is an ordinary ephemeral.
 * - data is shown, not given: it is valid until the next txn is applied.
 */
import type { Zxid } from '../base/zxid.ts';
import type { Acl, Stat } from '../wire/types.ts';
import { OPEN_ACL } from './acl.ts';
import { ByteStore, SMALL_MAX } from './byte-store.ts';
import type { ChangeRecord } from './change-record.ts';
import { OPEN_ACL_HASH, hashBytes } from './digest.ts';

export type ZnodeKind = 'persistent' | 'ephemeral' | 'container' | 'ttl';

export class Znode implements Stat {
  readonly path: string;
  /** Interned by the tree. */
  acl: readonly Acl[] = OPEN_ACL;
  /** null: the root; or not linked yet. */
  parent: Znode | null = null;
  ephemeralOwner = 0n;
  /** What the leader's PrepRequest has outstanding for it; written by that one alone. */
  change: ChangeRecord | null = null;
  /** Data beyond SMALL_MAX, or the view of small data that was last handed out. */
  #shown: Uint8Array | null = null;
  /** Children are a ring, oldest to youngest: no rehash however many, and nothing to allocate for one. */
  #youngest: Znode | null = null;
  #younger: Znode = this;
  #older: Znode = this;
  readonly #page: Page;
  /** RELEASED: the znode is gone. */
  #slot: number;

  constructor(path: string, store: ZnodeStore) {
    this.path = path;
    this.#slot = store.takeSlot();
    this.#page = store.pageOf(this.#slot);
    this.#page.f64.fill(0, f64At(this.#slot), f64At(this.#slot) + F64S);
    this.#page.i32.fill(0, i32At(this.#slot), i32At(this.#slot) + I32S);
    this.#page.i32[i32At(this.#slot) + DATA_LENGTH] = NULL_DATA;
    this.#page.i32[i32At(this.#slot) + ACL_HASH] = OPEN_ACL_HASH;
  }

  get czxid(): Zxid { return this.#page.f64[f64At(this.#slot) + CZXID] as number; }
  set czxid(value: Zxid) { this.#page.f64[f64At(this.#slot) + CZXID] = value; }
  get mzxid(): Zxid { return this.#page.f64[f64At(this.#slot) + MZXID] as number; }
  set mzxid(value: Zxid) { this.#page.f64[f64At(this.#slot) + MZXID] = value; }
  get pzxid(): Zxid { return this.#page.f64[f64At(this.#slot) + PZXID] as number; }
  set pzxid(value: Zxid) { this.#page.f64[f64At(this.#slot) + PZXID] = value; }
  get ctime(): number { return this.#page.f64[f64At(this.#slot) + CTIME] as number; }
  set ctime(value: number) { this.#page.f64[f64At(this.#slot) + CTIME] = value; }
  get mtime(): number { return this.#page.f64[f64At(this.#slot) + MTIME] as number; }
  set mtime(value: number) { this.#page.f64[f64At(this.#slot) + MTIME] = value; }
  get ttlMs(): number { return this.#page.f64[f64At(this.#slot) + TTL] as number; }
  set ttlMs(value: number) { this.#page.f64[f64At(this.#slot) + TTL] = value; }
  get version(): number { return this.#page.i32[i32At(this.#slot) + VERSION] as number; }
  set version(value: number) { this.#page.i32[i32At(this.#slot) + VERSION] = value; }
  get creates(): number { return this.#page.i32[i32At(this.#slot) + CREATES] as number; }
  set creates(value: number) { this.#page.i32[i32At(this.#slot) + CREATES] = value; }
  get aversion(): number { return this.#page.i32[i32At(this.#slot) + AVERSION] as number; }
  set aversion(value: number) { this.#page.i32[i32At(this.#slot) + AVERSION] = value; }
  get digest(): number { return this.#page.i32[i32At(this.#slot) + DIGEST] as number; }
  set digest(value: number) { this.#page.i32[i32At(this.#slot) + DIGEST] = value; }
  get pathHash(): number { return this.#page.i32[i32At(this.#slot) + PATH_HASH] as number; }
  set pathHash(value: number) { this.#page.i32[i32At(this.#slot) + PATH_HASH] = value; }
  get aclHash(): number { return this.#page.i32[i32At(this.#slot) + ACL_HASH] as number; }
  set aclHash(value: number) { this.#page.i32[i32At(this.#slot) + ACL_HASH] = value; }
  get dirty(): boolean { return this.#page.i32[i32At(this.#slot) + DIRTY] !== 0; }
  set dirty(value: boolean) { this.#page.i32[i32At(this.#slot) + DIRTY] = value ? 1 : 0; }
  get kind(): ZnodeKind { return KINDS[this.#page.i32[i32At(this.#slot) + KIND] as number] as ZnodeKind; }
  set kind(value: ZnodeKind) { this.#page.i32[i32At(this.#slot) + KIND] = KINDS.indexOf(value); }
  get dataHash(): number { return this.#page.i32[i32At(this.#slot) + DATA_HASH] as number; }

  get numChildren(): number { return this.#page.i32[i32At(this.#slot) + NUM_CHILDREN] as number; }

  get alive(): boolean {
    return this.#slot !== RELEASED;
  }

  *children(): IterableIterator<Znode> {
    const last = this.#youngest;
    if (last === null) return;
    for (let child = last.#younger; ; child = child.#younger) {
      yield child;
      if (child === last) return;
    }
  }

  /** The children's names; may be gone through more than once. */
  get names(): Iterable<string> {
    return { [Symbol.iterator]: () => this.#eachName() };
  }

  *#eachName(): IterableIterator<string> {
    const from = this.path === '/' ? 1 : this.path.length + 1;
    for (const child of this.children()) yield child.path.slice(from);
  }

  /** Below its parent, as the youngest. */
  link(parent: Znode): void {
    const youngest = parent.#youngest;
    if (youngest !== null) {
      this.#older = youngest;
      this.#younger = youngest.#younger;
      youngest.#younger.#older = this;
      youngest.#younger = this;
    }
    parent.#youngest = this;
    parent.#page.i32[i32At(parent.#slot) + NUM_CHILDREN] = parent.numChildren + 1;
    this.parent = parent;
  }

  unlink(): void {
    const parent = this.parent as Znode;
    if (parent.#youngest === this) parent.#youngest = this.#older === this ? null : this.#older;
    this.#older.#younger = this.#younger;
    this.#younger.#older = this.#older;
    this.#older = this;
    this.#younger = this;
    parent.#page.i32[i32At(parent.#slot) + NUM_CHILDREN] = parent.numChildren - 1;
    this.parent = null;
  }

  get cversion(): number {
    return (2 * this.creates - this.numChildren) | 0;
  }

  get dataLength(): number {
    const length = this.#page.i32[i32At(this.#slot) + DATA_LENGTH] as number;
    return length === NULL_DATA ? 0 : length;
  }

  get data(): Uint8Array | null {
    const length = this.#page.i32[i32At(this.#slot) + DATA_LENGTH] as number;
    if (length === NULL_DATA) return null;
    return (this.#shown ??= this.#page.store.bytes.view(this.#page.i32[i32At(this.#slot) + DATA_BLOCK] as number, length));
  }

  /** Copies. */
  setData(data: Uint8Array | null): void {
    const bytes = this.#page.store.bytes;
    const i32 = this.#page.i32;
    const i = i32At(this.#slot);
    const before = i32[i + DATA_LENGTH] as number;
    const after = data === null ? NULL_DATA : data.length;
    const keepBlock = isSmall(before) && isSmall(after) && bytes.sameClass(before, after);
    if (!keepBlock && isSmall(before)) bytes.free(i32[i + DATA_BLOCK] as number, before);
    if (before !== after || !keepBlock) this.#shown = null;
    i32[i + DATA_LENGTH] = after;
    if (data === null) {
      i32[i + DATA_HASH] = 0;
      return;
    }
    if (isSmall(after)) {
      const block = keepBlock ? i32[i + DATA_BLOCK] as number : bytes.allocate(after);
      i32[i + DATA_BLOCK] = block;
      bytes.write(block, data);
    } else {
      this.#shown = new Uint8Array(data);
    }
    i32[i + DATA_HASH] = hashBytes(data);
  }

  /** The end of the handle: its slot and its block go back. */
  release(): void {
    const length = this.#page.i32[i32At(this.#slot) + DATA_LENGTH] as number;
    if (isSmall(length)) this.#page.store.bytes.free(this.#page.i32[i32At(this.#slot) + DATA_BLOCK] as number, length);
    this.#shown = null;
    this.#page.store.giveSlot(this.#slot);
    this.#slot = RELEASED;
  }
}

/** What the znodes of one tree share. */
export class ZnodeStore {
  readonly bytes = new ByteStore();
  readonly #pages: Page[] = [];
  readonly #free: number[] = [];
  #next = 0;

  takeSlot(): number {
    const reused = this.#free.pop();
    if (reused !== undefined) return reused;
    if (this.#next === this.#pages.length * PAGE) {
      this.#pages.push({ store: this, f64: new Float64Array(PAGE * F64S), i32: new Int32Array(PAGE * I32S) });
    }
    return this.#next++;
  }

  giveSlot(slot: number): void {
    this.#free.push(slot);
  }

  pageOf(slot: number): Page {
    return this.#pages[Math.floor(slot / PAGE)] as Page;
  }
}

/** A Stat that does not change with its znode. */
export class StatSnapshot implements Stat {
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  readonly ephemeralOwner: bigint;
  readonly dataLength: number;
  readonly numChildren: number;
  readonly pzxid: Zxid;

  constructor(stat: Stat) {
    this.czxid = stat.czxid;
    this.mzxid = stat.mzxid;
    this.ctime = stat.ctime;
    this.mtime = stat.mtime;
    this.version = stat.version;
    this.cversion = stat.cversion;
    this.aversion = stat.aversion;
    this.ephemeralOwner = stat.ephemeralOwner;
    this.dataLength = stat.dataLength;
    this.numChildren = stat.numChildren;
    this.pzxid = stat.pzxid;
  }
}

function isSmall(length: number): boolean {
  return length !== NULL_DATA && length <= SMALL_MAX;
}

// Functions and not private getters, which V8 does not inline: each use would be a call into its runtime.
function f64At(slot: number): number {
  return (slot & (PAGE - 1)) * F64S;
}
function i32At(slot: number): number {
  return (slot & (PAGE - 1)) * I32S;
}

interface Page {
  readonly store: ZnodeStore;
  readonly f64: Float64Array;
  readonly i32: Int32Array;
}

export const KINDS: readonly ZnodeKind[] = ['persistent', 'ephemeral', 'container', 'ttl'];
/** dataLength of null data. */
const NULL_DATA = -1;
/** Slot of a znode that is gone. */
const RELEASED = -1;
const PAGE = 256;
const CZXID = 0;
const MZXID = 1;
const PZXID = 2;
const CTIME = 3;
const MTIME = 4;
const TTL = 5;
const F64S = 6;
const VERSION = 0;
const CREATES = 1;
const AVERSION = 2;
const DATA_BLOCK = 3;
const DATA_LENGTH = 4;
const DATA_HASH = 5;
const ACL_HASH = 6;
const PATH_HASH = 7;
const DIGEST = 8;
const KIND = 9;
const DIRTY = 10;
const NUM_CHILDREN = 11;
const I32S = 12;
