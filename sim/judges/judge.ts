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
 *   ReadValue           a read shows what the write of that mzxid wrote
 *   MonotonicReads, ReplyOrder   per session, checked by the clients
 */
import { hashBytes } from './hash.ts';
import { formatZxid, zxidCounter, zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import { decodePeerMessage } from '../../coord/wire/peer-codec.ts';
import type { Result } from '../../coord/wire/types.ts';
import { decodeTxnGroup } from '../../coord/tree/txn-codec.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import type { Call } from '../workloads/sim-client.ts';
import type { SimServer } from '../world/sim-server.ts';
import { Violation, type World } from '../world/world.ts';
import { durableJournal, forgetDurableJournal } from './durable-journal.ts';

interface Committed {
  readonly firstZxid: Zxid;
  readonly lastZxid: Zxid;
  readonly hash: number;
}

export class Judge {
  readonly #world: World;
  readonly #committed: Committed[] = [];
  readonly #indexOf = new Map<Zxid, number>();
  readonly #writes = new Map<Zxid, string>();
  readonly #servers = new Map<number, SimServer>();
  /** What a server delivers next. */
  readonly #next = new Map<number, number>();
  readonly #leaders = new Map<number, number>();
  readonly #acked: { call: Call; zxid: Zxid }[] = [];
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
    return this.#committed.at(-1)?.lastZxid ?? 0;
  }

  fail(invariant: string, message: string): void {
    if (this.#violation !== null) return;
    this.#violation = new Violation(invariant, message);
    this.#world.trace('judge', `VIOLATION ${invariant}: ${message}`);
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
        server.onResetState = (baseZxid) => this.#restart(sid, baseZxid);
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
    if (applied === 0) {
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
      if ((txn.type === 'setData' || txn.type === 'create') && txn.data !== null) this.#writes.set(header.zxid, Buffer.from(txn.data).toString());
      else if (txn.type !== 'error') this.#writes.set(header.zxid, '');
    });
  }

  /** Every frame between servers, as it is sent. */
  onSend(fromSid: number, frame: Uint8Array): void {
    const message = decodePeerMessage(frame);
    if (message.type !== 'ACK' && message.type !== 'ACKEPOCH') return;
    this.counts.acks++;
    const server = this.#servers.get(fromSid);
    if (server === undefined) return;
    const disk = durableJournal(server.files);
    if (message.type === 'ACKEPOCH') {
      if (disk.lastZxid < message.lastZxid) this.fail('QuorumDurability', `server ${fromSid} sent ACKEPOCH with ${formatZxid(message.lastZxid)}, its disk ends at ${formatZxid(disk.lastZxid)}`);
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
    if (call.kind === 'get' || call.kind === 'sync-get') {
      this.counts.reads++;
      if (call.kind === 'sync-get' && zxid < call.ackedBefore) this.fail('SyncRead', `client ${call.client} read at ${formatZxid(zxid)} after a sync that began when ${formatZxid(call.ackedBefore)} was acked`);
      if (err === 0 && result?.kind === 'data') {
        const written = this.#writes.get(result.stat.mzxid);
        const seen = result.data === null ? '' : Buffer.from(result.data).toString();
        if (written !== undefined && written !== seen) this.fail('ReadValue', `client ${call.client} read ${seen} at ${call.path}, mzxid ${formatZxid(result.stat.mzxid)} wrote ${written}`);
      }
      return;
    }
    if (zxid <= call.ackedBefore) this.fail('RealTimeOrder', `client ${call.client}'s ${call.kind} has ${formatZxid(zxid)}, not after ${formatZxid(call.ackedBefore)}, which was acked before it began`);
    if (zxid > this.committedZxid) this.fail('AckedWrites', `client ${call.client} was told of ${formatZxid(zxid)}, which nobody has delivered`);
    this.newestAcked = Math.max(this.newestAcked, zxid);
    if (err !== 0) {
      this.counts.failed++;
      return;
    }
    this.counts.acked++;
    this.#acked.push({ call, zxid });
    if (this.#writes.get(zxid) !== call.value) this.fail('AckedWrites', `client ${call.client} was told that ${formatZxid(zxid)} wrote ${call.value}, it wrote ${this.#writes.get(zxid)}`);
  }

  // ------------------------------------------------------------ the end

  /** All servers are up and have converged: the trees are equal, and hold every acked write or a later one. */
  converged(servers: readonly SimServer[]): void {
    let digest: unknown;
    for (const server of servers) {
      const tree = server.quorumPeer?.server?.tree;
      if (tree === undefined) return this.fail('Liveness', `server ${server.sid} is not up at the end`);
      if (tree.lastProcessedZxid < this.committedZxid) return this.fail('Liveness', `server ${server.sid} ends at ${formatZxid(tree.lastProcessedZxid)}, committed is ${formatZxid(this.committedZxid)}`);
      digest ??= String(tree.digest);
      if (String(tree.digest) !== digest) return this.fail('Digest', `server ${server.sid}'s tree differs at ${formatZxid(tree.lastProcessedZxid)}`);
      for (const { call, zxid } of this.#acked) {
        if (call.kind === 'create-ephemeral') continue;
        const znode = tree.get(call.path);
        if (znode === undefined) return this.fail('AckedWrites', `${call.path} of acked ${formatZxid(zxid)} is missing on server ${server.sid}`);
        if (znode.mzxid < zxid) return this.fail('AckedWrites', `${call.path} on server ${server.sid} is older than the acked ${formatZxid(zxid)}`);
      }
      for (const [path, owner] of ephemerals(server)) if (tree.sessions.get(owner) === undefined) return this.fail('Ephemerals', `${path} on server ${server.sid} outlived its session`);
    }
  }
}

function* ephemerals(server: SimServer): Iterable<[string, bigint]> {
  const tree = server.quorumPeer?.server?.tree;
  if (tree === undefined) return;
  for (const [key] of tree.entries()) {
    if (!key.startsWith('z')) continue;
    const znode = tree.get(key.slice(1));
    if (znode !== undefined && znode.ephemeralOwner !== 0n) yield [key.slice(1), znode.ephemeralOwner];
  }
}
