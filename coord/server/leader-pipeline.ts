/**
 * The part of the request pipeline that only the leader has: turns requests into txns and txns into proposals, knows where sessions are connected
 * and when they expire, answers SYNC. Made when a server begins to lead, thrown away when it stops.
 *
 * Invariants: zxids are given out without a gap; no txn is prepared for a session that is closed or closing; a session that is connected to
 * one server is not written for through another; a SYNC is answered after a quorum round trip begun after it arrived, and after all that
 * was proposed before it is committed.
 * Source: PrepRequestProcessor, SessionTrackerImpl, Leader.processSync, ContainerManager; SESSIONMOVED as in checkSession.
 */
import { DreyError } from '../base/errors.ts';
import { COUNTER_MAX, makeZxid, zxidCounter, type Zxid } from '../base/zxid.ts';
import type { DataTree } from '../tree/data-tree.ts';
import { PrepRequest } from '../tree/prep-request.ts';
import { reapCandidates } from '../tree/reaper.ts';
import { SessionTracker } from '../tree/session-tracker.ts';
import { TxnGroupEncoder } from '../tree/txn-codec.ts';
import type { HeadedTxn, Txn, TxnHeader } from '../tree/txn.ts';
import { Code, OpCode } from '../wire/codes.ts';
import { ClientRequest, type AuthId } from '../wire/types.ts';
import type { PeerCore } from '../zab/contract.ts';
import type { TxnGroup } from '../zab/txn-group.ts';
import { GROUP_BYTES_MAX, REAP_INTERVAL_MS, touchIntervalMs } from './limits.ts';
import type { ServerCounters } from './server-counters.ts';
import type { ServerConfig } from './server.ts';

export interface PendingSync {
  readonly token: number;
  readonly target: Zxid;
  /** null: one of the leader's own clients. */
  readonly channel: number | null;
  readonly requestNo: number;
  confirmed: boolean;
}

const NO_IDS: readonly AuthId[] = [];
/** Timeout and password. */
const SESSION_BODY_BYTES = 4 + 16;
const EMPTY_BODY = new Uint8Array(0);
const CLOSE = Object.assign(new ClientRequest(), { op: OpCode.closeSession });

export class LeaderPipeline {
  /** Sees whom the leader hears of and whom it expires: for the simulator's judges. */
  onSession: ((what: 'heard' | 'expires', sessionId: bigint, nowMs: number) => void) | null = null;
  readonly #peer: PeerCore;
  readonly #tree: DataTree;
  readonly #counters: ServerCounters;
  readonly #prep: PrepRequest;
  readonly #tracker: SessionTracker;
  /**
   * How old what the leader has heard of a session may be: servers tell it every so often, and one that has lost its leader goes on answering
   * for a while. Clients count their leases from the requests that were answered, so nobody is expired before that time is over too.
   */
  readonly #hearsayMs: number;
  /** Through which server a session was heard of last, by origin; null: not yet under this leader. */
  readonly #heardThrough = new Map<bigint, number | null>();
  /** Which server a session is connected to, by origin. */
  readonly #owner = new Map<bigint, number>();
  #lastProposed: Zxid;
  readonly #group = new TxnGroupEncoder();
  #groupFirst: Zxid = 0;
  #groupTxns: HeadedTxn[] = [];
  #syncs: PendingSync[] = [];
  #nextToken = 1;
  readonly #reapIntervalMs: number;
  #nextReapMs: number;

  constructor(peer: PeerCore, tree: DataTree, config: ServerConfig, counters: ServerCounters, epoch: number, nowMs: number) {
    this.#peer = peer;
    this.#tree = tree;
    this.#counters = counters;
    this.#prep = new PrepRequest(tree, { juteMaxBuffer: config.juteMaxBuffer });
    this.#tracker = new SessionTracker(config.tickMs);
    this.#hearsayMs = touchIntervalMs(config.tickMs) + (config.detectMs ?? 0);
    this.#lastProposed = Math.max(peer.lastZxid, makeZxid(epoch, 0));
    // A new leader gives every session its whole timeout again.
    for (const [sessionId, session] of tree.sessions) this.#track(sessionId, session.timeoutMs, null, nowMs);
    this.#reapIntervalMs = config.reapIntervalMs ?? REAP_INTERVAL_MS;
    this.#nextReapMs = nowMs + this.#reapIntervalMs;
  }

  get deadlineMs(): number {
    return Math.min(this.#tracker.nextDeadlineMs(), this.#nextReapMs);
  }
  get hasTxns(): boolean {
    return this.#groupTxns.length > 0;
  }

  // ------------------------------------------------------------ sessions

  #track(sessionId: bigint, timeoutMs: number, through: number | null, nowMs: number): void {
    this.#tracker.track(sessionId, timeoutMs + this.#hearsayMs, nowMs);
    this.#heardThrough.set(sessionId, through);
  }

  touch(sessionId: bigint, originId: number, nowMs: number): void {
    this.onSession?.('heard', sessionId, nowMs);
    this.#tracker.touch(sessionId, nowMs);
    if (this.#tracker.expiresMs(sessionId) !== null) this.#heardThrough.set(sessionId, originId);
  }

  /**
   * A server that is lost may have answered its clients until now, also those that had been silent for almost their whole timeout, and could tell
   * nobody: their leases count from there. Once only, so that a server that comes and goes keeps no session of which it says nothing.
   */
  #mayHaveHeard(originId: number, nowMs: number): void {
    for (const [sessionId, through] of this.#heardThrough) {
      if (through !== null && through !== originId) continue;
      if (this.#tracker.expiresMs(sessionId) !== null) this.touch(sessionId, originId, nowMs);
      this.#heardThrough.delete(sessionId);
    }
  }

  /** The session's timeout if it lives and the password is right, else 0. From now on it is connected to this origin. */
  revalidate(sessionId: bigint, password: Uint8Array, originId: number, nowMs: number): number {
    const session = this.#tree.sessions.get(sessionId);
    if (session === undefined || !this.#prep.hasSession(sessionId) || !sameBytes(session.password, password)) return 0;
    this.#owner.set(sessionId, originId);
    this.touch(sessionId, originId, nowMs);
    return session.timeoutMs;
  }

  closed(sessionId: bigint): void {
    this.#owner.delete(sessionId);
    this.#heardThrough.delete(sessionId);
  }

  /** A new leader does not know where sessions are: the first server that writes for one owns it. */
  #claim(sessionId: bigint, originId: number): number {
    const owner = this.#owner.get(sessionId);
    if (owner !== undefined) return owner;
    this.#owner.set(sessionId, originId);
    return originId;
  }

  expiresMs(sessionId: bigint): number | null {
    return this.#tracker.expiresMs(sessionId);
  }

  /** Proposes the end of sessions that are due, and of containers and TTL znodes that have outlived their use. */
  expire(nowMs: number, wallMs: number): void {
    for (const sessionId of this.#tracker.expire(nowMs)) {
      this.#tracker.remove(sessionId);
      if (!this.#prep.hasSession(sessionId)) continue;
      this.#counters.expired++;
      this.onSession?.('expires', sessionId, nowMs);
      this.prepare(CLOSE, EMPTY_BODY, sessionId, NO_IDS, this.#claim(sessionId, 0), 0, nowMs, wallMs);
    }
    if (nowMs < this.#nextReapMs) return;
    this.#nextReapMs = nowMs + this.#reapIntervalMs;
    for (const path of reapCandidates(this.#tree, wallMs)) {
      const zxid = this.#lastProposed + 1;
      const reap = Object.assign(new ClientRequest(), { op: OpCode.deleteContainer, path });
      const txn = this.#prep.prep(reap, 0n, NO_IDS, zxid, wallMs);
      if (txn.type !== 'error') this.#add({ zxid, timeMs: wallMs, sessionId: 0n, originId: 0, requestNo: 0 }, txn, nowMs);
    }
  }

  // ------------------------------------------------------------ prepare and propose

  /** `body`: for createSession, timeout and password. */
  prepare(request: ClientRequest, body: Uint8Array, sessionId: bigint, ids: readonly AuthId[], originId: number, requestNo: number, nowMs: number, wallMs: number): void {
    if (zxidCounter(this.#lastProposed) >= COUNTER_MAX) return; // the epoch's zxids are used up: the peer forces a new one
    const zxid = this.#lastProposed + 1;
    const prep = this.#prep;
    let txn: Txn;
    if (request.op === OpCode.createSession) {
      if (body.length !== SESSION_BODY_BYTES) throw new DreyError('COORD_PEER_FRAME', 'createSession without a timeout and a password');
      const timeoutMs = new DataView(body.buffer, body.byteOffset).getInt32(0);
      txn = prep.createSession(sessionId, timeoutMs, body.slice(4), zxid);
      this.#track(sessionId, timeoutMs, originId, nowMs);
      this.onSession?.('heard', sessionId, nowMs);
      this.#owner.set(sessionId, originId);
    } else if (!prep.hasSession(sessionId)) {
      txn = { type: 'error', err: Code.SESSIONEXPIRED };
    } else if (this.#claim(sessionId, originId) !== originId) {
      txn = { type: 'error', err: Code.SESSIONMOVED };
    } else if (request.op === OpCode.closeSession) {
      txn = prep.closeSession(sessionId, zxid);
      this.#tracker.remove(sessionId);
    } else {
      txn = prep.prep(request, sessionId, ids, zxid, wallMs);
    }
    this.#add({ zxid, timeMs: wallMs, sessionId, originId, requestNo }, txn, nowMs);
  }

  #add(header: TxnHeader, txn: Txn, nowMs: number): void {
    if (this.#groupTxns.length === 0) {
      this.#groupFirst = header.zxid;
      this.#group.begin(header.zxid);
    }
    this.#group.add(header, txn);
    this.#groupTxns.push({ header, txn });
    this.#lastProposed = header.zxid;
    if (this.#group.byteLength >= GROUP_BYTES_MAX) this.propose(nowMs);
  }

  /** What the turn brought becomes one proposal. */
  propose(nowMs: number): void {
    if (this.#groupTxns.length === 0) return;
    const group: TxnGroup = { firstZxid: this.#groupFirst, lastZxid: this.#lastProposed, bytes: this.#group.finish(), decoded: this.#groupTxns };
    this.#groupTxns = [];
    this.#counters.proposed(group.bytes.length);
    this.#peer.step({ type: 'propose', group }, nowMs);
  }

  committed(zxid: Zxid): void {
    this.#prep.committed(zxid);
  }

  // ------------------------------------------------------------ SYNC

  beginSync(channel: number | null, requestNo: number, nowMs: number): void {
    this.propose(nowMs);
    const token = this.#nextToken++;
    this.#syncs.push({ token, target: this.#lastProposed, channel, requestNo, confirmed: false });
    this.#peer.step({ type: 'confirmQuorum', token }, nowMs);
  }
  quorumConfirmed(token: number): void {
    for (const sync of this.#syncs) if (sync.token === token) sync.confirmed = true;
  }
  learnerDown(channel: number, originId: number, nowMs: number): void {
    this.#mayHaveHeard(originId, nowMs);
    this.#syncs = this.#syncs.filter((sync) => sync.channel !== channel);
  }
  /** Takes out those that can be answered now. */
  takeSyncs(): PendingSync[] {
    if (this.#syncs.length === 0) return this.#syncs;
    const applied = this.#tree.lastProcessedZxid;
    const ready = this.#syncs.filter((sync) => sync.confirmed && applied >= sync.target);
    if (ready.length > 0) this.#syncs = this.#syncs.filter((sync) => !sync.confirmed || applied < sync.target);
    return ready;
  }
}

/** In constant time for equal lengths, since one of them is a secret. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}
