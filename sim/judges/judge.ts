/**
 * The omniscient judge of an ensemble: fed by events, O(1) each, it ends the run at the first step that breaks a rule.
 *
 *   Leadership          at most one server is established for an epoch                                     (Zab.tla Leadership)
 *   Integrity           a zxid has one content, whoever delivers it                                        (Zab.tla Integrity)
 *   TotalOrder          every server delivers the same groups in the same order, without a gap             (Zab.tla TotalOrder, Agreement, PrefixConsistency)
 *   QuorumDurability    whoever sends ACK has what it acks on its disk                                     (ZOOKEEPER-3911, 4643, 4646)
 *   AckedWrites         a write that a client was told of is delivered, with that zxid, and stays
 *   RealTimeOrder       a write that began after another was acked has the larger zxid
 *   SyncRead            a read after sync shows every write that was acked before the sync began           (ZOOKEEPER-1675)
 *   SessionOrder        writes of a session are committed in the order in which its client sent them, over all its connections
 *   TxnDecision         each txn is one that may be decided where it stands                                (model.ts)
 *   WriteResult, ReadResult   a reply says what the model says at the reply's zxid
 *   Digest              servers have the same tree at the same zxid; at the end it is the model's
 *   WatchOrder, WatchSpurious   an event comes before any reply that could show its change, and only to whom it was promised, once
 *   MonotonicReads, ReplyOrder   per session, checked by the clients
 */
import { hashBytes } from './hash.ts';
import { formatZxid, zxidCounter, zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import { Code } from '../../coord/wire/codes.ts';
import type { Result, Stat } from '../../coord/wire/types.ts';
import { decodeTxnGroup } from '../../coord/tree/txn-codec.ts';
import type { Txn, TxnHeader } from '../../coord/tree/txn.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import type { Call } from '../workloads/call.ts';
import type { SimServer } from '../world/sim-server.ts';
import { Violation, type World } from '../world/world.ts';
import type { EarlierLife } from '../world/earlier-life.ts';
import { durableJournal, forgetDurableJournal } from './durable-journal.ts';
import { Model } from './model.ts';

interface Committed {
  readonly firstZxid: Zxid;
  readonly lastZxid: Zxid;
  readonly hash: number;
}

export class Judge {
  readonly #world: World;
  readonly #committed: Committed[] = [];
  readonly #indexOf = new Map<Zxid, number>();
  /** The newest write of each client in each session. */
  readonly #written = new Map<string, number>();
  readonly #digests = new Map<Zxid, number>();
  readonly model = new Model((invariant, message) => this.fail(invariant, message));
  #baseZxid: Zxid = 0;
  readonly #servers = new Map<number, SimServer>();
  /** What a server delivers next. */
  readonly #next = new Map<number, number>();
  readonly #leaders = new Map<number, number>();
  /** Epoch of the newest LEADERINFO on a link. */
  readonly #offered = new Map<string, number>();
  newestAcked: Zxid = 0;
  readonly counts = { acked: 0, reads: 0, unknown: 0, failed: 0, expired: 0, acks: 0, elections: 0 };
  #violation: Violation | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  get violation(): Violation | null {
    return this.#violation;
  }
  get committedZxid(): Zxid {
    return this.#committed.at(-1)?.lastZxid ?? this.#baseZxid;
  }

  fail(invariant: string, message: string): void {
    if (this.#violation !== null) return;
    this.#violation = new Violation(invariant, message);
    this.#world.trace('judge', `VIOLATION ${invariant}: ${message}`);
  }

  /** What all servers hold before the first one starts. */
  begin(life: EarlierLife): void {
    this.#baseZxid = life.baseZxid;
    for (const { header, txn } of life.txns) this.model.apply(header, txn);
  }

  // ------------------------------------------------------------ servers

  started(sid: number, server: SimServer): void {
    this.#servers.set(sid, server);
  }
  crashed(sid: number): void {
    this.#next.delete(sid);
    const files = this.#servers.get(sid)?.files;
    if (files !== undefined) forgetDurableJournal(files);
  }

  onTrace(sid: number, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (name === 'Boot') {
      this.#restart(sid, fields['applied'] as Zxid);
      const server = this.#servers.get(sid)?.quorumPeer?.server;
      if (server) {
        server.onDeliver = (group) => this.delivered(sid, group);
        server.onResetState = (baseZxid) => {
          this.#world.marks.hit('SNAP installed');
          this.#restart(sid, baseZxid);
        };
      }
    } else if (name === 'Established') {
      this.counts.elections++;
      const epoch = fields['epoch'] as number;
      const other = this.#leaders.get(epoch);
      if (other !== undefined && other !== sid) this.fail('Leadership', `servers ${other} and ${sid} both lead epoch ${epoch}`);
      this.#leaders.set(epoch, sid);
    }
  }

  #restart(sid: number, applied: Zxid): void {
    if (applied === 0 || applied === this.#baseZxid) {
      this.#next.set(sid, 0);
      return;
    }
    const at = this.#indexOf.get(applied);
    if (at === undefined) this.fail('TotalOrder', `server ${sid} begins at ${formatZxid(applied)}, which is not the end of a committed group`);
    else this.#next.set(sid, at + 1);
  }

  /** A server applies a committed group. */
  delivered(sid: number, group: TxnGroup): void {
    const at = this.#next.get(sid) ?? 0;
    this.#next.set(sid, at + 1);
    this.#compareDigest(sid);
    const hash = hashBytes(group.bytes);
    const known = this.#committed[at];
    if (known !== undefined) {
      if (known.lastZxid !== group.lastZxid || known.firstZxid !== group.firstZxid) this.fail('TotalOrder', `server ${sid} delivers ${formatZxid(group.firstZxid)}..${formatZxid(group.lastZxid)} where others delivered ${formatZxid(known.firstZxid)}..${formatZxid(known.lastZxid)}`);
      else if (known.hash !== hash) this.fail('Integrity', `server ${sid} delivers another content under ${formatZxid(group.firstZxid)}`);
      return;
    }
    const last = this.#committed.at(-1);
    if (last !== undefined) {
      const sameEpoch = zxidEpoch(last.lastZxid) === zxidEpoch(group.firstZxid);
      if (sameEpoch ? group.firstZxid !== last.lastZxid + 1 : group.firstZxid <= last.lastZxid) this.fail('TotalOrder', `${formatZxid(group.firstZxid)} is delivered after ${formatZxid(last.lastZxid)}`);
    }
    this.#indexOf.set(group.lastZxid, this.#committed.length);
    this.#committed.push({ firstZxid: group.firstZxid, lastZxid: group.lastZxid, hash });
    decodeTxnGroup(group.bytes, group.firstZxid, (header, txn) => {
      this.model.apply(header, txn);
      this.#compareOrder(header, txn);
      const { marks } = this.#world;
      if (txn.type === 'multi') marks.hit('multi');
      else if (txn.type === 'failedMulti') marks.hit('failed multi');
      else if (txn.type === 'error' && txn.err === Code.SESSIONMOVED) marks.hit('SESSIONMOVED');
      else if (txn.type === 'closeSession') {
        marks.hit(header.requestNo === 0 ? 'session expired' : 'session closed');
        marks.hit('ephemeral ended', txn.paths.length);
      }
    });
  }

  /** Clients number what they write. */
  #compareOrder({ zxid, sessionId }: TxnHeader, txn: Txn): void {
    const op = txn.type === 'multi' ? txn.txns.find((each) => 'data' in each) : txn;
    if (op === undefined || !('data' in op)) return;
    const [client, text] = textOf(op.data)?.split(':') ?? [];
    const number = Number(text);
    if (Number.isNaN(number)) return;
    const writer = `${sessionId}/${client}`;
    const last = this.#written.get(writer) ?? -1;
    if (number <= last) this.fail('SessionOrder', `${formatZxid(zxid)} is write ${number} of a session whose write ${last} has been committed before`);
    this.#written.set(writer, number);
  }

  /** Before a group is applied: the tree must be the one that others had at this zxid. */
  #compareDigest(sid: number): void {
    const tree = this.#servers.get(sid)?.quorumPeer?.server?.tree;
    if (tree === undefined) return;
    const known = this.#digests.get(tree.lastProcessedZxid);
    if (known === undefined) this.#digests.set(tree.lastProcessedZxid, tree.digest);
    else if (known !== tree.digest) this.fail('Digest', `server ${sid}'s tree differs from others' at ${formatZxid(tree.lastProcessedZxid)}`);
  }

  /** Every message between servers, as it is sent. */
  onSend(fromSid: number, toSid: number, message: PeerMessage): void {
    // Only a leader sends LEADERINFO, and what the learner answers is a promise for that epoch.
    if (message.type === 'LEADERINFO') this.#offered.set(`${fromSid}>${toSid}`, message.epoch);
    if (message.type !== 'ACK' && message.type !== 'ACKEPOCH') return;
    this.counts.acks++;
    const server = this.#servers.get(fromSid);
    if (server === undefined) return;
    const disk = durableJournal(server);
    if (message.type === 'ACKEPOCH') {
      if (disk.lastZxid < message.lastZxid) this.fail('QuorumDurability', `server ${fromSid} sent ACKEPOCH with ${formatZxid(message.lastZxid)}, its disk ends at ${formatZxid(disk.lastZxid)}`);
      const promised = this.#offered.get(`${toSid}>${fromSid}`) ?? 0;
      // A suspect server promises nothing.
      if (message.history.length > 0 && disk.acceptedEpoch < promised) this.fail('QuorumDurability', `server ${fromSid} promised epoch ${promised}, its disk says ${disk.acceptedEpoch}`);
      return;
    }
    // Counter 0 acks NEWLEADER. Acks below it, while older epochs are still being sent, promise their bytes only.
    const epoch = zxidEpoch(message.zxid);
    if (zxidCounter(message.zxid) === 0) {
      if (disk.currentEpoch < epoch) this.fail('QuorumDurability', `server ${fromSid} acked NEWLEADER of epoch ${epoch}, its disk says currentEpoch ${disk.currentEpoch}`);
    } else if (disk.lastZxid < message.zxid) {
      this.fail('QuorumDurability', `server ${fromSid} acked ${formatZxid(message.zxid)}, its disk ends at ${formatZxid(disk.lastZxid)}`);
    }
  }

  // ------------------------------------------------------------ clients

  unknown(_call: Call): void {
    this.counts.unknown++;
  }
  sessionExpired(_client: number, _sessionId: bigint): void {
    this.counts.expired++;
  }

  answered(call: Call, zxid: Zxid, err: number, result: Result | null): void {
    const who = `client ${call.client}'s ${call.kind} of ${call.path}`;
    if (zxid > this.committedZxid) return this.fail('AckedWrites', `${who} was told of ${formatZxid(zxid)}, which nobody has delivered`);
    if (call.kind === 'get' || call.kind === 'sync-get' || call.kind === 'exists' || call.kind === 'children') return this.#read(who, call, zxid, err, result);
    if (zxid <= call.ackedBefore) this.fail('RealTimeOrder', `${who} has ${formatZxid(zxid)}, not after ${formatZxid(call.ackedBefore)}, which was acked before it began`);
    this.newestAcked = Math.max(this.newestAcked, zxid);
    const recorded = this.model.txn(zxid);
    if (recorded === undefined) return this.fail('AckedWrites', `${who} was told of ${formatZxid(zxid)}, which is no txn`);
    const { header, txn } = recorded;
    if (header.sessionId !== call.sessionId) return this.fail('AckedWrites', `${who} was told of ${formatZxid(zxid)}, which is another session's`);
    if (err !== 0) {
      this.counts.failed++;
      if (txn.type !== 'error' || txn.err !== err) this.fail('WriteResult', `${who} was refused with ${err}, ${formatZxid(zxid)} is ${txn.type}`);
      else if (!this.model.mayRefuse(err, call.path, call.version, call.sessionId, zxid)) this.fail('WriteResult', `${who} was refused with ${err} at ${formatZxid(zxid)} without reason`);
      return;
    }
    this.counts.acked++;
    const differs = this.#writeDiffers(call, zxid, txn, result);
    if (differs !== null) this.fail('AckedWrites', `${who} was told of ${formatZxid(zxid)}: ${differs}`);
  }

  #writeDiffers(call: Call, zxid: Zxid, txn: Txn, result: Result | null): string | null {
    switch (call.kind) {
      case 'set':
        if (txn.type !== 'setData' || txn.path !== call.path || textOf(txn.data) !== call.value) return `it is ${txn.type} of something else`;
        return result?.kind === 'stat' ? this.model.differs(call.path, zxid, result.stat) : null;
      case 'delete':
        return txn.type === 'delete' && txn.path === call.path ? null : `it is ${txn.type} of something else`;
      case 'close':
        return txn.type === 'closeSession' && txn.sessionId === call.sessionId ? null : `it is ${txn.type}`;
      case 'multi': {
        if (result !== null && result.kind !== 'multi') return `the result is ${result.kind}`;
        const failed = result?.results.find((each) => each.err !== 0);
        if (txn.type === 'failedMulti') return failed === undefined ? 'it failed' : null;
        if (txn.type !== 'multi') return `it is ${txn.type}`;
        return failed === undefined ? null : `it succeeded, the reply says ${failed.err}`;
      }
      default: {
        if (txn.type !== 'create' || textOf(txn.data) !== call.value) return `it is ${txn.type} of something else`;
        const isSequential = call.kind === 'create-sequential';
        if (isSequential ? !/^\d{10}$/.test(txn.path.slice(call.path.length)) || !txn.path.startsWith(call.path) : txn.path !== call.path) return `it created ${txn.path}`;
        if (isSequential) this.#world.marks.hit('sequential');
        return result === null || (result.kind === 'path' && result.path === txn.path) ? null : 'the reply names another path';
      }
    }
  }

  #read(who: string, call: Call, zxid: Zxid, err: number, result: Result | null): void {
    this.counts.reads++;
    if (call.kind === 'sync-get' && zxid < call.ackedBefore) return this.fail('SyncRead', `${who} shows ${formatZxid(zxid)} after a sync that began when ${formatZxid(call.ackedBefore)} was acked`);
    const node = this.model.at(call.path, zxid);
    const at = `at ${formatZxid(zxid)}`;
    if (err !== 0 || node === null) {
      if (err !== Code.NONODE || node !== null) this.fail('ReadResult', `${who} ${at} is answered ${err}, the znode ${node === null ? 'is not there' : 'is there'}`);
      return;
    }
    if (result === null) return;
    if (result.kind === 'data' && textOf(result.data) !== node.data) return this.fail('ReadResult', `${who} ${at} shows ${textOf(result.data)}, not ${node.data}`);
    if (result.kind === 'childrenStat' || result.kind === 'children') {
      const names = new Set(result.children);
      const missing = [...node.children].find((name) => !names.has(name));
      if (missing !== undefined || names.size !== node.children.size) return this.fail('ReadResult', `${who} ${at} shows ${names.size} children, there are ${node.children.size}${missing === undefined ? '' : `, and ${missing} is missing`}`);
    }
    if ('stat' in result) {
      const differs = this.model.differs(call.path, zxid, result.stat as Stat);
      if (differs !== null) this.fail('ReadResult', `${who} ${at}: ${differs}`);
    }
  }

  // ------------------------------------------------------------ the end

  /** All servers are up and have converged: their trees are equal, and the model's. */
  converged(servers: readonly SimServer[]): void {
    for (const server of servers) {
      const tree = server.quorumPeer?.server?.tree;
      if (tree === undefined) return this.fail('Liveness', `server ${server.sid} is not up at the end`);
      if (tree.lastProcessedZxid < this.committedZxid) return this.fail('Liveness', `server ${server.sid} ends at ${formatZxid(tree.lastProcessedZxid)}, committed is ${formatZxid(this.committedZxid)}`);
      this.#compareDigest(server.sid);
      let nodes = 0;
      for (const [path, node] of this.model.nodes()) {
        if (path === '/') continue;
        nodes++;
        const znode = tree.get(path);
        if (znode === undefined) return this.fail('Digest', `${path} of ${formatZxid(node.czxid)} is missing on server ${server.sid}`);
        const differs = this.model.differs(path, this.committedZxid, znode);
        if (differs !== null || textOf(znode.data) !== node.data) return this.fail('Digest', `${path} on server ${server.sid}: ${differs ?? 'other data'}`);
      }
      // '' and '/', and the three below /zookeeper.
      if (tree.nodeCount !== nodes + 5) return this.fail('Digest', `server ${server.sid} has ${tree.nodeCount - 5} znodes, there are ${nodes}`);
      if (tree.sessions.size !== this.model.sessions.size) return this.fail('Digest', `server ${server.sid} has ${tree.sessions.size} sessions, there are ${this.model.sessions.size}`);
    }
  }
}

function textOf(data: Uint8Array | null): string | null {
  return data === null ? null : Buffer.from(data).toString();
}
