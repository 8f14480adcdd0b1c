/**
 * The replicated state machine: znodes and sessions, changed by committed txns only.
 *
 * Decides nothing: a txn is complete (versions, counters, sequential names, the ephemerals of a closed session are in it). Knows the order of
 * watch events, the results for the origin of a request, what has to be written to the state store, and the digest.
 *
 * Invariants:
 * - apply() is deterministic: the same txns in the same order give the same tree, digest included.
 * - apply() is idempotent: over a state that already has the effects of a txn, and of later ones, the replay from there on ends in the same
 *   state. Counters and pzxid only move forward; a znode that is younger than the txn is left alone.
 * - Every znode but the root has its parent; numChildren is the number of znodes that have it as parent; every ordinary ephemeral
 *   is in the set of its session, and nothing else is.
 * - nodeCount counts the root twice, as ZooKeeper does ('' and '/').
 *
 * Source: DataTree, DataNode. Left to others: checks (prep-request), watches (watch-manager, over onChange), the store (coord/storage).
 */
import { assertNever } from '../base/assert.ts';
import { hashString } from '../base/prng.ts';
import type { Zxid } from '../base/zxid.ts';
import { Code, OpCode } from '../wire/codes.ts';
import type { Acl, MultiResult, Result } from '../wire/types.ts';
import { OPEN_ACL, READ_ACL, isOpenAcl } from './acl.ts';
import { OPEN_ACL_HASH, hashAcl, sessionDigest, znodeDigest } from './digest.ts';
import { PathIndex } from './path-index.ts';
import { CONFIG_PATH, parentOf } from './path.ts';
import { SessionTable } from './session-table.ts';
import { badEntry, decodeSession, decodeZnode, encodeSession, encodeZnode, sessionIdOfKey, sessionKey, znodeKey } from './state-entry.ts';
import type {
  CloseSessionTxn, CreateSessionTxn, CreateTxn, DeleteTxn, MultiOpTxn, MultiTxn, SetAclTxn, SetDataTxn, Txn, TxnHeader,
} from './txn.ts';
import { StatSnapshot, Znode, ZnodeStore } from './znode.ts';

/** What the origin of a request is told. `result` is null for errors and for empty bodies. */
export interface ApplyResult {
  readonly err: number;
  readonly result: Result | null;
}

export type ChangeEvent = 'created' | 'deleted' | 'dataChanged' | 'childrenChanged';

export class DataTree {
  /**
   * Called during apply, in ZooKeeper's order: the znode's own event, then its parent's. `acl`: of the znode at `path`; of a deleted one, what it
   * had. It must not change the tree.
   */
  onChange: ((event: ChangeEvent, path: string, zxid: Zxid, acl: readonly Acl[]) => void) | null = null;
  readonly sessions = new SessionTable();

  readonly #index = new PathIndex();
  readonly #store = new ZnodeStore();
  #root: Znode;
  #dataSize = 0;
  #ephemerals = 0;
  #digest = 0;
  #lastProcessedZxid: Zxid = 0;
  /** Paths of containers and of TTL znodes: what the reaper looks at. */
  readonly #reapable = new Set<string>();
  readonly #acls = new Map<string, readonly Acl[]>();

  /** Changed since the last take; may hold dead ones. */
  #dirtyNodes: Znode[] = [];
  #deletedPaths = new Set<string>();
  readonly #dirtySessions = new Set<bigint>();
  readonly #deletedSessions = new Set<bigint>();

  constructor() {
    this.#root = this.#plant('/');
    this.#plant('/zookeeper');
    this.#plant('/zookeeper/quota');
    const config = this.#plant(CONFIG_PATH);
    config.version = -1;
    config.aversion = -1;
    this.#setAclOf(config, READ_ACL);
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', CONFIG_PATH]) {
      const node = this.#nodeAt(path) as Znode;
      node.setData(EMPTY);
      this.#refreshDigest(node);
    }
  }

  get nodeCount(): number {
    return this.#index.size + 1;
  }

  /** Bytes of data and characters of paths. */
  get approximateDataSize(): number {
    return this.#dataSize;
  }

  get ephemeralsCount(): number {
    return this.#ephemerals;
  }

  get lastProcessedZxid(): Zxid {
    return this.#lastProcessedZxid;
  }

  /** An unsigned 32-bit number; equal trees have equal digests, whatever way they came about. */
  get digest(): number {
    return this.#digest >>> 0;
  }

  /** Paths of containers and TTL znodes. */
  get reapable(): ReadonlySet<string> {
    return this.#reapable;
  }

  /** '' and '/' both are the root. */
  get(path: string): Znode | undefined {
    return path === '' || path === '/' ? this.#root : this.#nodeAt(path);
  }

  /**
   * The ensemble's own description in /zookeeper/config, set by each server for itself, outside the txns: as ZooKeeper does it at start, with
   * version -1. Not part of the digest.
   */
  setConfig(data: Uint8Array): void {
    const config = this.#nodeAt(CONFIG_PATH) as Znode;
    this.#setDataOf(config, data);
    config.version = -1;
    this.#markDirty(config);
  }

  // ---------------------------------------------------------------- txns

  /** Results of `create`, `setData` and the like carry snapshots. Pass wantResult = false for txns that answer no request of this server. */
  apply(header: TxnHeader, txn: Txn, wantResult = true): ApplyResult {
    const applied = this.#apply(header, txn, wantResult);
    if (header.zxid > this.#lastProcessedZxid) this.#lastProcessedZxid = header.zxid;
    return applied;
  }

  #apply(header: TxnHeader, txn: Txn, wantResult: boolean): ApplyResult {
    switch (txn.type) {
      case 'setData':
        return this.#setData(header, txn, wantResult);
      case 'create':
        return this.#create(header, txn, wantResult);
      case 'delete':
        return this.#delete(header, txn);
      case 'setACL':
        return this.#setAcl(header, txn, wantResult);
      case 'createSession':
        return this.#createSession(txn);
      case 'closeSession':
        return this.#closeSession(header, txn);
      case 'multi':
        return this.#multi(header, txn, wantResult);
      case 'failedMulti': {
        if (!wantResult) return DONE;
        return { err: Code.OK, result: { kind: 'multi', results: txn.errs.map((err) => ({ op: OpCode.error, err, result: null })) } };
      }
      case 'error':
        return { err: txn.err, result: null };
      default:
        return assertNever(txn);
    }
  }

  #create(header: TxnHeader, txn: CreateTxn, wantResult: boolean): ApplyResult {
    const { path } = txn;
    const { zxid } = header;
    const parent = this.get(parentOf(path));
    if (parent === undefined) return NO_NODE;
    const existing = this.#nodeAt(path);
    if (parent.czxid <= zxid) {
      if (((txn.parentCVersion - parent.creates) | 0) > 0) parent.creates = txn.parentCVersion;
      if (zxid > parent.pzxid) parent.pzxid = zxid;
    }
    if (existing !== undefined) {
      // A replay has closed and opened the session again before it came here.
      if (existing.ephemeralOwner !== 0n) this.sessions.get(existing.ephemeralOwner)?.ephemerals.add(path);
      this.#changed(parent);
      return { err: Code.NODEEXISTS, result: null };
    }
    const node = this.#plant(path);
    this.#setDataOf(node, txn.data);
    this.#setAclOf(node, txn.acl);
    node.czxid = zxid;
    node.mzxid = zxid;
    node.pzxid = zxid;
    node.ctime = header.timeMs;
    node.mtime = header.timeMs;
    node.kind = txn.kind;
    node.ttlMs = txn.ttlMs;
    if (txn.kind === 'ephemeral') {
      node.ephemeralOwner = header.sessionId;
      this.#ephemerals++;
      this.sessions.get(header.sessionId)?.ephemerals.add(path);
    } else if (txn.kind !== 'persistent') {
      this.#reapable.add(path);
    }
    if (this.#deletedPaths.size > 0) this.#deletedPaths.delete(path);
    this.#changed(node);
    this.#changed(parent);
    if (this.onChange !== null) {
      this.onChange('created', path, zxid, node.acl);
      this.onChange('childrenChanged', parent.path, zxid, parent.acl);
    }
    if (!wantResult) return DONE;
    if (!txn.withStat) return { err: Code.OK, result: { kind: 'path', path } };
    return { err: Code.OK, result: { kind: 'pathStat', path, stat: new StatSnapshot(node) } };
  }

  #delete(header: TxnHeader, txn: DeleteTxn): ApplyResult {
    const { zxid } = header;
    const node = this.get(txn.path);
    if (node === undefined || node.czxid > zxid || node.numChildren > 0) {
      const parent = this.get(parentOf(txn.path));
      if (parent !== undefined && parent.czxid <= zxid && zxid > parent.pzxid) {
        parent.pzxid = zxid;
        this.#changed(parent);
      }
      return NO_NODE;
    }
    this.#remove(node, zxid);
    return DONE;
  }

  #remove(node: Znode, zxid: Zxid): void {
    const { path, acl } = node;
    const parent = node.parent as Znode;
    this.#uproot(node);
    if (zxid > parent.pzxid) parent.pzxid = zxid;
    this.#deletedPaths.add(path);
    this.#changed(parent);
    if (this.onChange !== null) {
      this.onChange('deleted', path, zxid, acl);
      this.onChange('childrenChanged', parent.path, zxid, parent.acl);
    }
  }

  #setData(header: TxnHeader, txn: SetDataTxn, wantResult: boolean): ApplyResult {
    const { zxid } = header;
    const node = this.get(txn.path);
    if (node === undefined || node.czxid > zxid || node.mzxid > zxid) return NO_NODE;
    this.#setDataOf(node, txn.data);
    node.version = txn.version;
    node.mzxid = zxid;
    node.mtime = header.timeMs;
    this.#changed(node);
    if (this.onChange !== null) this.onChange('dataChanged', node.path, zxid, node.acl);
    return wantResult ? { err: Code.OK, result: { kind: 'stat', stat: new StatSnapshot(node) } } : DONE;
  }

  #setAcl(header: TxnHeader, txn: SetAclTxn, wantResult: boolean): ApplyResult {
    const node = this.get(txn.path);
    if (node === undefined || node.czxid > header.zxid || ((txn.aversion - node.aversion) | 0) < 0) return NO_NODE;
    this.#setAclOf(node, txn.acl);
    node.aversion = txn.aversion;
    this.#changed(node);
    return wantResult ? { err: Code.OK, result: { kind: 'stat', stat: new StatSnapshot(node) } } : DONE;
  }

  #createSession(txn: CreateSessionTxn): ApplyResult {
    const { sessionId, timeoutMs } = txn;
    const before = this.sessions.get(sessionId);
    if (before !== undefined) this.#digest = (this.#digest - sessionDigest(sessionId, before.timeoutMs, before.password)) | 0;
    const password = txn.password.slice();
    this.sessions.set(sessionId, { timeoutMs, password, ephemerals: before?.ephemerals ?? new Set() });
    this.#digest = (this.#digest + sessionDigest(sessionId, timeoutMs, password)) | 0;
    this.#dirtySessions.add(sessionId);
    this.#deletedSessions.delete(sessionId);
    return DONE;
  }

  #closeSession(header: TxnHeader, txn: CloseSessionTxn): ApplyResult {
    const { sessionId } = txn;
    for (const path of txn.paths) {
      const node = this.#nodeAt(path);
      if (node !== undefined && node.ephemeralOwner === sessionId && node.czxid <= header.zxid) this.#remove(node, header.zxid);
    }
    const session = this.sessions.get(sessionId);
    if (session !== undefined) {
      this.sessions.delete(sessionId);
      this.#digest = (this.#digest - sessionDigest(sessionId, session.timeoutMs, session.password)) | 0;
      this.#dirtySessions.delete(sessionId);
      this.#deletedSessions.add(sessionId);
    }
    return DONE;
  }

  #multi(header: TxnHeader, txn: MultiTxn, wantResult: boolean): ApplyResult {
    if (!wantResult) {
      for (const op of txn.txns) if (op.type !== 'check') this.#apply(header, op, false);
      return DONE;
    }
    const results: MultiResult[] = [];
    for (const op of txn.txns) {
      const { err, result } = op.type === 'check' ? DONE : this.#apply(header, op, true);
      results.push(err === Code.OK ? { op: opOf(op), err, result } : { op: OpCode.error, err, result: null });
    }
    return { err: Code.OK, result: { kind: 'multi', results } };
  }

  // ---------------------------------------------------------------- persistence

  get dirtyCount(): number {
    return this.#dirtyNodes.length + this.#deletedPaths.size + this.#dirtySessions.size + this.#deletedSessions.size;
  }

  /** The state entries that changed since the last take, as they are now. */
  takeDirty(): { puts: [string, Uint8Array][]; dels: string[] } {
    const puts: [string, Uint8Array][] = [];
    const dels: string[] = [];
    for (const node of this.#dirtyNodes) {
      if (!node.alive) continue;
      node.dirty = false;
      puts.push([znodeKey(node.path), encodeZnode(node)]);
    }
    for (const path of this.#deletedPaths) dels.push(znodeKey(path));
    for (const sessionId of this.#dirtySessions) {
      const session = this.sessions.get(sessionId);
      if (session !== undefined) puts.push([sessionKey(sessionId), encodeSession(session)]);
    }
    for (const sessionId of this.#deletedSessions) dels.push(sessionKey(sessionId));
    this.#dirtyNodes = [];
    this.#deletedPaths = new Set();
    this.#dirtySessions.clear();
    this.#deletedSessions.clear();
    return { puts, dels };
  }

  /** Into a new tree only, in any order; then loadDone. Throws a DreyError COORD_STATE for what is no entry. */
  loadEntry(key: string, value: Uint8Array): void {
    if (key.startsWith('s')) {
      this.sessions.set(sessionIdOfKey(key), decodeSession(key, value));
      return;
    }
    const path = key.slice(1);
    if (!key.startsWith('z/')) throw badEntry(key, 'unknown kind of key');
    const existing = this.#nodeAt(path);
    if (existing !== undefined) this.#dataSize -= existing.dataLength;
    const node = existing ?? this.#shelve(path);
    decodeZnode(node, key, value);
    this.#setAclOf(node, node.acl);
    this.#dataSize += node.dataLength;
  }

  /** Rebuilds what is derived: children, ephemerals, counts, digest. Throws a DreyError COORD_STATE when a parent or a session is missing. */
  loadDone(appliedZxid: Zxid): void {
    let digest = 0;
    this.#ephemerals = 0;
    for (const [sessionId, session] of this.sessions) {
      digest = (digest + sessionDigest(sessionId, session.timeoutMs, session.password)) | 0;
    }
    for (const node of this.#index) {
      const { path } = node;
      if (node.parent === null && node !== this.#root) {
        const parent = this.get(parentOf(path));
        if (parent === undefined) throw badEntry(znodeKey(path), 'its parent is missing');
        node.link(parent);
      }
      if (node.kind === 'ephemeral') {
        const session = this.sessions.get(node.ephemeralOwner);
        if (session === undefined) throw badEntry(znodeKey(path), 'its session is missing');
        session.ephemerals.add(path);
        this.#ephemerals++;
      } else if (node.kind !== 'persistent') {
        this.#reapable.add(path);
      }
      node.digest = path === CONFIG_PATH ? 0 : znodeDigest(node);
      digest = (digest + node.digest) | 0;
    }
    this.#digest = digest;
    this.#lastProcessedZxid = appliedZxid;
  }

  /** The whole state. */
  *entries(): Iterable<[string, Uint8Array]> {
    for (const node of this.#index) yield [znodeKey(node.path), encodeZnode(node)];
    for (const [sessionId, session] of this.sessions) yield [sessionKey(sessionId), encodeSession(session)];
  }

  // ---------------------------------------------------------------- znodes

  #nodeAt(path: string): Znode | undefined {
    return this.#index.get(path);
  }

  /** A new znode in the index, not yet below its parent. */
  #shelve(path: string): Znode {
    const node = new Znode(path, this.#store);
    node.pathHash = hashString(path);
    this.#index.add(node);
    this.#dataSize += path.length;
    return node;
  }

  #plant(path: string): Znode {
    const node = this.#shelve(path);
    if (path !== '/') node.link(this.get(parentOf(path)) as Znode);
    return node;
  }

  #uproot(node: Znode): void {
    const { path } = node;
    node.unlink();
    this.#index.delete(node);
    this.#dataSize -= path.length + node.dataLength;
    this.#digest = (this.#digest - node.digest) | 0;
    if (node.kind === 'ephemeral') {
      this.#ephemerals--;
      this.sessions.get(node.ephemeralOwner)?.ephemerals.delete(path);
    } else if (node.kind !== 'persistent') {
      this.#reapable.delete(path);
    }
    node.release();
  }

  #setDataOf(node: Znode, data: Uint8Array | null): void {
    this.#dataSize -= node.dataLength;
    node.setData(data);
    this.#dataSize += node.dataLength;
  }

  #setAclOf(node: Znode, acl: readonly Acl[]): void {
    const interned = this.#intern(acl);
    node.acl = interned;
    node.aclHash = interned === OPEN_ACL ? OPEN_ACL_HASH : hashAcl(interned);
  }

  #changed(node: Znode): void {
    this.#refreshDigest(node);
    this.#markDirty(node);
  }

  #refreshDigest(node: Znode): void {
    if (node.path === CONFIG_PATH) return;
    const digest = znodeDigest(node);
    this.#digest = (this.#digest - node.digest + digest) | 0;
    node.digest = digest;
  }

  #markDirty(node: Znode): void {
    if (node.dirty) return;
    node.dirty = true;
    this.#dirtyNodes.push(node);
  }

  #intern(acl: readonly Acl[]): readonly Acl[] {
    if (isOpenAcl(acl)) return OPEN_ACL;
    const key = JSON.stringify(acl.map((entry) => [entry.perms, entry.scheme, entry.id]));
    const known = this.#acls.get(key);
    if (known !== undefined) return known;
    if (this.#acls.size >= INTERNED_MAX) this.#acls.clear();
    this.#acls.set(key, acl);
    return acl;
  }
}

function opOf(txn: MultiOpTxn): number {
  switch (txn.type) {
    case 'create':
      return txn.withStat ? OpCode.create2 : OpCode.create;
    case 'delete':
      return OpCode.delete;
    case 'setData':
      return OpCode.setData;
    case 'check':
      return OpCode.check;
    default:
      return assertNever(txn);
  }
}

/** Interning saves memory, nothing depends on it: beyond this many different ACLs it starts anew. */
const INTERNED_MAX = 10_000;
const EMPTY = new Uint8Array(0);
const DONE: ApplyResult = { err: Code.OK, result: null };
const NO_NODE: ApplyResult = { err: Code.NONODE, result: null };
