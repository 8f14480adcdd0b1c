/**
 * Turns a write request into a txn. Leader only.
 *
 * Decides, against the committed tree plus what is outstanding: whether the request is allowed, and everything that the txn then carries: versions,
 * create counters, sequential names, the ephemerals that a closing session leaves.
 *
 * Invariants:
 * - A refused request is an ErrorTxn (a multi's a FailedMultiTxn) and leaves no outstanding change; its zxid is consumed all the same.
 * - For each path with an outstanding change there is one record, which holds the state after the last of them; it is dropped when that
 *   one is in the tree, never before.
 * - Once a closeSession is outstanding nothing is prepared for that session, so no ephemeral outlives it.
 *
 * Data in the txns it returns are the request's, a view into whatever buffer that came in. Add the txn to its group at once; once the group is
 * finished, data are views into the group's bytes (TxnGroupEncoder.finish).
 *
 * Source: PrepRequestProcessor; ZOOKEEPER-1208, 1624, 2052, 2623, 3496, 4743. Left to others: authentication, which requests reach the leader
 * at all (deleteContainer is prepared for session 0 only), quotas.
 */
import type { Zxid } from '../base/zxid.ts';
import { Code, CreateFlag, OpCode, Perms } from '../wire/codes.ts';
import type { AuthId, ClientRequest } from '../wire/types.ts';
import { checkAcl, fixupAcl } from './acl.ts';
import { ChangeRecord } from './change-record.ts';
import type { DataTree } from './data-tree.ts';
import { isProtectedPath, parentOf, validatePath } from './path.ts';
import { SessionChanges } from './session-changes.ts';
import { txnSize } from './txn-codec.ts';
import type { CheckTxn, CloseSessionTxn, CreateTxn, DeleteTxn, MultiOpTxn, SetAclTxn, SetDataTxn, Txn } from './txn.ts';

export class PrepRequest {
  readonly #tree: DataTree;
  readonly #skipAcl: boolean;
  /** A request that was received is no longer than jute.maxbuffer; its txn may be twice that: ids put in for `auth`, sequence numbers. */
  readonly #txnBytesMax: number;
  /**
   * The records that cannot be found over a znode's handle: of znodes that are not in the tree, or will not be, or will be with another handle.
   * The others are on the handle (Znode.change), which makes the common setData cheap.
   */
  readonly #byPath = new Map<string, ChangeRecord>();
  #records = 0;
  /** Each change of a record, in order of zxid: what committed() looks through. #head is the first that is not committed. */
  #queue: ChangeRecord[] = [];
  #queueZxids: Zxid[] = [];
  #head = 0;
  readonly #sessions: SessionChanges;
  /** While a multi is prepared: the records it changed, as they were before; null where there was none. */
  #undo: { record: ChangeRecord; before: ChangeRecord | null }[] | null = null;

  constructor(tree: DataTree, options: { juteMaxBuffer: number; skipACL?: boolean }) {
    this.#tree = tree;
    this.#skipAcl = options.skipACL ?? false;
    this.#txnBytesMax = 2 * options.juteMaxBuffer;
    this.#sessions = new SessionChanges(tree);
  }

  /** Paths with outstanding changes. */
  get outstandingCount(): number {
    return this.#records;
  }

  /**
   * Never throws for a bad request. `zxid`: the txn's, above all before; `timeMs`: wall clock of the txn's header. sessionId 0n is the server
   * itself. `ids`: what the connection has proved.
   */
  prep(request: ClientRequest, sessionId: bigint, ids: readonly AuthId[], zxid: Zxid, _timeMs: number): Txn {
    const txn = request.malformed !== 0 ? request.malformed : this.#prep(request, sessionId, ids, zxid);
    return typeof txn === 'number' ? { type: 'error', err: txn } : txn;
  }

  createSession(sessionId: bigint, timeoutMs: number, password: Uint8Array, zxid: Zxid): Txn {
    this.#sessions.created(sessionId, zxid);
    return { type: 'createSession', sessionId, timeoutMs, password };
  }

  /** Also for a session that is unknown or closing already: then nothing is left to delete. */
  closeSession(sessionId: bigint, zxid: Zxid): CloseSessionTxn {
    const paths: string[] = [];
    for (const path of this.#sessions.ephemeralPaths(sessionId)) {
      const record = this.#find(path);
      if (record === null || record.ephemeralOwner !== sessionId) continue;
      paths.push(path);
      this.#deleted(record, zxid);
    }
    this.#sessions.closed(sessionId, zxid);
    return { type: 'closeSession', sessionId, paths };
  }

  /** Does the session exist, with what is outstanding? */
  hasSession(sessionId: bigint): boolean {
    return this.#sessions.has(sessionId);
  }

  /** The tree has everything up to `zxid`. */
  committed(zxid: Zxid): void {
    const zxids = this.#queueZxids;
    while (this.#head < zxids.length && (zxids[this.#head] as Zxid) <= zxid) {
      const record = this.#queue[this.#head++] as ChangeRecord;
      if (record.zxid > 0 && record.zxid <= zxid) this.#drop(record);
    }
    if (this.#head === zxids.length) {
      this.#queue.length = 0;
      zxids.length = 0;
      this.#head = 0;
    } else if (this.#head >= QUEUE_CUT && this.#head * 2 >= zxids.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#queueZxids = zxids.slice(this.#head);
      this.#head = 0;
    }
    this.#sessions.committed(zxid);
  }

  /** No longer leading: what is outstanding may never commit. */
  reset(): void {
    for (let i = this.#head; i < this.#queue.length; i++) {
      const record = this.#queue[i] as ChangeRecord;
      if (record.zxid > 0) this.#drop(record);
    }
    this.#queue = [];
    this.#queueZxids = [];
    this.#head = 0;
    this.#sessions.reset();
    this.#undo = null;
  }

  // ---------------------------------------------------------------- requests; each gives a txn or the code of the refusal

  #prep(request: ClientRequest, sessionId: bigint, ids: readonly AuthId[], zxid: Zxid): Txn | number {
    switch (request.op) {
      case OpCode.setData:
        if (!this.#mayWrite(sessionId)) return Code.SESSIONEXPIRED;
        return this.#setData(request, ids, zxid);
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        return this.#create(request, sessionId, ids, zxid);
      case OpCode.delete:
        if (!this.#mayWrite(sessionId)) return Code.SESSIONEXPIRED;
        return this.#delete(request, ids, zxid);
      case OpCode.setACL:
        if (!this.#mayWrite(sessionId)) return Code.SESSIONEXPIRED;
        return this.#setAcl(request, ids, zxid);
      case OpCode.multi:
        if (!this.#mayWrite(sessionId)) return Code.SESSIONEXPIRED;
        return this.#multi(request, sessionId, ids, zxid);
      case OpCode.deleteContainer:
        return sessionId === 0n ? this.#deleteContainer(request.path, zxid) : Code.UNIMPLEMENTED;
      case OpCode.closeSession:
        return this.closeSession(sessionId, zxid);
      case OpCode.reconfig:
        return Code.RECONFIGDISABLED;
      default:
        return Code.UNIMPLEMENTED;
    }
  }

  #create(request: ClientRequest, sessionId: bigint, ids: readonly AuthId[], zxid: Zxid): CreateTxn | number {
    const { op, flags } = request;
    const isTtl = flags === CreateFlag.PERSISTENT_WITH_TTL || flags === CreateFlag.PERSISTENT_SEQUENTIAL_WITH_TTL;
    if (!Number.isInteger(flags) || flags < CreateFlag.PERSISTENT || flags > CreateFlag.PERSISTENT_SEQUENTIAL_WITH_TTL) return Code.BADARGUMENTS;
    if (isTtl !== (op === OpCode.createTTL)) return Code.BADARGUMENTS;
    if (isTtl && !(request.ttlMs > 0 && request.ttlMs <= TTL_MAX_MS)) return Code.BADARGUMENTS;
    if (!this.#mayWrite(sessionId)) return Code.SESSIONEXPIRED;

    const slash = request.path.lastIndexOf('/');
    if (slash < 0 || request.path.includes('\0')) return Code.BADARGUMENTS;
    const acl = fixupAcl(request.acl, ids);
    if (acl === null) return Code.INVALIDACL;
    const parent = this.#find(slash === 0 ? '/' : request.path.slice(0, slash));
    if (parent === null) return Code.NONODE;
    if (!this.#allowed(parent, Perms.CREATE, ids)) return Code.NOAUTH;
    const isSequential = flags === CreateFlag.PERSISTENT_SEQUENTIAL || flags === CreateFlag.EPHEMERAL_SEQUENTIAL
      || flags === CreateFlag.PERSISTENT_SEQUENTIAL_WITH_TTL;
    const path = isSequential ? request.path + sequenceSuffix(parent.creates) : request.path;
    if (!validatePath(path)) return Code.BADARGUMENTS;
    if (this.#find(path) !== null) return Code.NODEEXISTS;
    if (parent.ephemeralOwner !== 0n) return Code.NOCHILDRENFOREPHEMERALS;

    const isEphemeral = op !== OpCode.createContainer && (flags === CreateFlag.EPHEMERAL || flags === CreateFlag.EPHEMERAL_SEQUENTIAL);
    const kind = isTtl ? 'ttl' : op === OpCode.createContainer ? 'container' : isEphemeral ? 'ephemeral' : 'persistent';
    const parentCVersion = (parent.creates + 1) | 0;
    const txn: CreateTxn = {
      type: 'create', path, data: request.data, acl, kind, ttlMs: isTtl ? request.ttlMs : 0, parentCVersion, withStat: op !== OpCode.create,
    };
    if (txnSize(txn) > this.#txnBytesMax) return Code.BADARGUMENTS;

    this.#outstanding(parent, zxid);
    parent.creates = parentCVersion;
    parent.numChildren++;
    const owner = isEphemeral ? sessionId : 0n;
    const record = this.#byPath.get(path) ?? new ChangeRecord(this, path, null, true, kind, owner, 0, 0, 0, 0, acl);
    this.#outstanding(record, zxid);
    record.recreate(kind, owner, acl);
    if (isEphemeral) this.#sessions.ephemeral(sessionId, path, zxid);
    return txn;
  }

  #delete(request: ClientRequest, ids: readonly AuthId[], zxid: Zxid): DeleteTxn | number {
    const { path } = request;
    if (!path.includes('/') || path.includes('\0') || isProtectedPath(path)) return Code.BADARGUMENTS;
    const parent = this.#find(parentOf(path));
    if (parent === null) return Code.NONODE;
    if (!this.#allowed(parent, Perms.DELETE, ids)) return Code.NOAUTH;
    const record = this.#find(path);
    if (record === null) return Code.NONODE;
    if (request.version !== -1 && request.version !== record.version) return Code.BADVERSION;
    if (record.numChildren > 0) return Code.NOTEMPTY;
    this.#deleted(record, zxid);
    return { type: 'delete', path };
  }

  /** The reaper's delete: only what still is an empty container or TTL znode. It was chosen in the tree: what is outstanding for it may be a new life. */
  #deleteContainer(path: string, zxid: Zxid): DeleteTxn | number {
    const record = this.#find(path);
    if (record === null) return Code.NONODE;
    if (record.numChildren > 0) return Code.NOTEMPTY;
    if (record.kind !== 'container' && record.kind !== 'ttl') return Code.BADVERSION;
    if (record.zxid > 0) return Code.BADVERSION;
    this.#deleted(record, zxid);
    return { type: 'delete', path };
  }

  #setData(request: ClientRequest, ids: readonly AuthId[], zxid: Zxid): SetDataTxn | number {
    const { path, data } = request;
    const record = this.#find(path);
    if (record === null || path === '') return validatePath(path) ? Code.NONODE : Code.BADARGUMENTS;
    if (!this.#allowed(record, Perms.WRITE, ids)) return Code.NOAUTH;
    if (request.version !== -1 && request.version !== record.version) return Code.BADVERSION;
    if (data !== null && data.length + path.length > this.#txnBytesMax) return Code.BADARGUMENTS;
    this.#outstanding(record, zxid);
    record.version = nextVersion(record.version);
    return { type: 'setData', path, data, version: record.version };
  }

  #setAcl(request: ClientRequest, ids: readonly AuthId[], zxid: Zxid): SetAclTxn | number {
    const { path } = request;
    if (!validatePath(path)) return Code.BADARGUMENTS;
    const acl = fixupAcl(request.acl, ids);
    if (acl === null) return Code.INVALIDACL;
    const record = this.#find(path);
    if (record === null) return Code.NONODE;
    if (!this.#allowed(record, Perms.ADMIN, ids)) return Code.NOAUTH;
    if (request.version !== -1 && request.version !== record.aversion) return Code.BADVERSION;
    const txn: SetAclTxn = { type: 'setACL', path, acl, aversion: nextVersion(record.aversion) };
    if (txnSize(txn) > this.#txnBytesMax) return Code.BADARGUMENTS;
    this.#outstanding(record, zxid);
    record.aversion = txn.aversion;
    record.acl = acl;
    return txn;
  }

  #check(request: ClientRequest, ids: readonly AuthId[]): CheckTxn | number {
    const { path } = request;
    if (!validatePath(path)) return Code.BADARGUMENTS;
    const record = this.#find(path);
    if (record === null) return Code.NONODE;
    if (!this.#allowed(record, Perms.READ, ids)) return Code.NOAUTH;
    if (request.version !== -1 && request.version !== record.version) return Code.BADVERSION;
    return { type: 'check', path };
  }

  #multi(request: ClientRequest, sessionId: bigint, ids: readonly AuthId[], zxid: Zxid): Txn | number {
    const ops = request.ops ?? [];
    const txns: MultiOpTxn[] = [];
    this.#undo = [];
    let err: number = Code.OK;
    for (const op of ops) {
      const txn = op.malformed !== 0 ? op.malformed : this.#multiOp(op, sessionId, ids, zxid);
      if (typeof txn === 'number') {
        err = txn;
        break;
      }
      txns.push(txn);
    }
    const txn: Txn = { type: 'multi', txns };
    const tooLarge = err === Code.OK && txnSize(txn) > this.#txnBytesMax;
    if (err !== Code.OK || tooLarge) this.#rollBack(this.#undo);
    this.#undo = null;
    if (tooLarge) return Code.BADARGUMENTS;
    if (err === Code.OK) return txn;
    const failedAt = txns.length;
    return { type: 'failedMulti', errs: ops.map((_, i) => (i < failedAt ? Code.OK : i === failedAt ? err : Code.RUNTIMEINCONSISTENCY)) };
  }

  #multiOp(op: ClientRequest, sessionId: bigint, ids: readonly AuthId[], zxid: Zxid): MultiOpTxn | number {
    switch (op.op) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        return this.#create(op, sessionId, ids, zxid);
      case OpCode.delete:
        return this.#delete(op, ids, zxid);
      case OpCode.setData:
        return this.#setData(op, ids, zxid);
      case OpCode.check:
        return this.#check(op, ids);
      default:
        return Code.UNIMPLEMENTED;
    }
  }

  // ---------------------------------------------------------------- outstanding changes

  #mayWrite(sessionId: bigint): boolean {
    return sessionId === 0n || this.#sessions.has(sessionId);
  }

  #allowed(record: ChangeRecord, perm: number, ids: readonly AuthId[]): boolean {
    return this.#skipAcl || checkAcl(record.acl, perm, ids);
  }

  /** The znode as it will be; null when it will not be. Nothing is outstanding for it until {@link PrepRequest.#outstanding}. */
  #find(path: string): ChangeRecord | null {
    const node = this.#tree.get(path);
    let record: ChangeRecord | null | undefined = node === undefined ? null : node.change;
    if (record === null || record.owner !== this) record = this.#byPath.size === 0 ? undefined : this.#byPath.get(path);
    if (record !== undefined) return record.exists ? record : null;
    return node === undefined ? null : ChangeRecord.of(this, node);
  }

  /** From here on the record counts; what it changes to is written into it next. */
  #outstanding(record: ChangeRecord, zxid: Zxid): void {
    if (record.zxid === zxid) return;
    if (this.#undo !== null) this.#undo.push({ record, before: record.zxid === 0 ? null : record.copy() });
    if (record.zxid === 0) {
      this.#records++;
      if (record.node !== null) record.node.change = record;
      else this.#index(record);
    }
    record.zxid = zxid;
    this.#queue.push(record);
    this.#queueZxids.push(zxid);
  }

  #index(record: ChangeRecord): void {
    if (record.byPath) return;
    this.#byPath.set(record.path, record);
    record.byPath = true;
  }

  #drop(record: ChangeRecord): void {
    this.#records--;
    record.zxid = -1;
    if (record.byPath) this.#byPath.delete(record.path);
    if (record.node?.change === record) record.node.change = null;
  }

  #deleted(record: ChangeRecord, zxid: Zxid): void {
    const parent = this.#find(parentOf(record.path)) as ChangeRecord;
    this.#outstanding(parent, zxid);
    parent.numChildren--;
    this.#outstanding(record, zxid);
    this.#index(record);
    record.exists = false;
    record.ephemeralOwner = 0n;
  }

  /** Entries of #queue stay: committed() finds that they no longer count. */
  #rollBack(undo: readonly { record: ChangeRecord; before: ChangeRecord | null }[]): void {
    for (const { record, before } of undo) {
      if (before !== null) record.restore(before);
      else this.#drop(record);
    }
  }
}

/** `%010d` of an int32: what comes after 2147483647 is negative, as in ZooKeeper. */
function sequenceSuffix(counter: number): string {
  return counter >= 0 ? String(counter).padStart(10, '0') : `-${String(-counter).padStart(9, '0')}`;
}

/** int32; leaves out -1, which means "any version" in requests (ZOOKEEPER-4743). */
function nextVersion(version: number): number {
  const next = (version + 1) | 0;
  return next === -1 ? 0 : next;
}

/** 40 bits, as EphemeralType keeps them. */
const TTL_MAX_MS = 2 ** 40 - 1;
const QUEUE_CUT = 4096;
