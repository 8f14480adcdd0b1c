/**
 * The omniscient judge of an ensemble: fed by events, O(1) each, it ends the run at the first step that breaks a rule. Which rules there are, and
 * where they come from, is said by each file:
 *
 *   committed-log.ts   Integrity, TotalOrder, LocalPrimaryOrder, GlobalPrimaryOrder
 *   leadership.ts      Leadership, PrimaryIntegrity, ProcessConsistency
 *   durability.ts      QuorumDurability, EpochsOnDisk, CommittedLogMonotonicity
 *   txn-rules.ts       SessionOrder, SessionRules, SequenceNumbers, MultiAtomicity
 *   model.ts           TxnDecision, and what the others compare with
 *   replies.ts         AckedWrites, RealTimeOrder, SyncRead, WriteResult, ReadResult
 *   client-history.ts  Linearizability and MonotonicReads, black box, when the run is over
 *   here               Digest: servers have the same tree at the same zxid, at the end it is the model's; Boot, Liveness
 *   the clients        WatchOrder, WatchSpurious, MonotonicReads by zxid, ReplyOrder, Password
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import { decodeTxnGroup } from '../../coord/tree/txn-codec.ts';
import type { Txn, TxnHeader } from '../../coord/tree/txn.ts';
import { Code } from '../../coord/wire/codes.ts';
import type { Result } from '../../coord/wire/types.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import type { Call } from '../workloads/call.ts';
import type { EarlierLife } from '../world/earlier-life.ts';
import type { Server } from '../../coord/server/server.ts';
import type { SimServer } from '../world/sim-server.ts';
import { Violation, type Related, type World } from '../world/world.ts';
import { believedBy } from './believed.ts';
import { ClientHistory, type Believed } from './client-history.ts';
import { CommittedLog } from './committed-log.ts';
import { Durability } from './durability.ts';
import { serverName, type Fail } from './fail.ts';
import { Leadership } from './leadership.ts';
import { Model } from './model.ts';
import { Replies } from './replies.ts';
import { TxnRules } from './txn-rules.ts';

/** What onSend has to see: whatever else travels promises nothing. */
export const JUDGED_MESSAGES: ReadonlySet<PeerMessage['type'] | null> = new Set(['ACK', 'ACKEPOCH', 'LEADERINFO']);

export class Judge {
  readonly #world: World;
  readonly #servers = new Map<number, SimServer>();
  readonly #digests = new Map<Zxid, number>();
  readonly model: Model;
  readonly #committed: CommittedLog;
  readonly #durability: Durability;
  readonly #leadership: Leadership;
  readonly #txnRules: TxnRules;
  readonly #replies: Replies;
  /** What clients did and saw, for the checker that knows no zxids. */
  readonly history = new ClientHistory();
  readonly #txns: Zxid[] = [];
  readonly counts = { acked: 0, reads: 0, failed: 0, unknown: 0, expired: 0, acks: 0, elections: 0 };
  #violation: Violation | null = null;
  #gaveUp: string | null = null;

  constructor(world: World) {
    this.#world = world;
    const fail: Fail = (invariant, sentence, related) => this.fail(invariant, sentence, related);
    this.model = new Model(fail);
    this.#committed = new CommittedLog(fail);
    this.#durability = new Durability(this.#committed, fail);
    this.#leadership = new Leadership(this.#committed, this.#durability, fail);
    this.#txnRules = new TxnRules(fail);
    this.#replies = new Replies(this.#committed, this.model, this.counts, fail);
  }

  /** Who looks at what a leader does to sessions; set before the first server starts. */
  onSession: ((sid: number) => NonNullable<Server['onSession']>) | null = null;

  /** Who wants to see what is judged at the end. */
  onHistory: ((history: ClientHistory, believed: Believed) => void) | null = null;

  get violation(): Violation | null {
    return this.#violation;
  }
  /** Why the linearizability checker came to no verdict; null: it did, or was not asked. */
  get gaveUp(): string | null {
    return this.#gaveUp;
  }
  get committedZxid(): Zxid {
    return this.#committed.lastZxid;
  }
  get newestAcked(): Zxid {
    return this.#replies.newestAcked;
  }
  set newestAcked(zxid: Zxid) {
    this.#replies.newestAcked = zxid;
  }
  fail(invariant: string, message: string, related: Related = {}): void {
    if (this.#violation !== null) return;
    this.#violation = new Violation(invariant, message, related);
    this.#world.trace('judge', `VIOLATION ${invariant}: ${message}`);
  }

  /** What all servers hold before the first one starts. */
  begin(life: EarlierLife): void {
    this.#committed.begin(life.baseZxid);
    for (const { header, txn } of life.txns) this.model.apply(header, txn);
  }

  // ------------------------------------------------------------ servers

  started(sid: number, server: SimServer): void {
    this.#servers.set(sid, server);
    this.#durability.started(sid, server);
  }
  crashed(sid: number): void {
    this.#committed.forget(sid);
    this.#durability.crashed(sid);
  }

  /** What is on some disk is not what was written there; `sid`: on this one's. */
  diskDamaged(sid: number | null = null): void {
    this.#durability.damaged = true;
    if (sid !== null) this.#durability.damages(sid);
  }
  /** Takes note of what this disk holds as long as it can be read. */
  lookAtDisk(sid: number): void {
    this.#durability.log(sid);
  }

  onTrace(sid: number, name: string, fields: Readonly<Record<string, unknown>>): void {
    switch (name) {
      case 'Boot': {
        this.#committed.restart(sid, fields['applied'] as Zxid);
        this.#durability.booted(sid, fields['acceptedEpoch'] as number, fields['currentEpoch'] as number, fields['suspect'] as boolean);
        const simServer = this.#servers.get(sid);
        const server = simServer?.quorumPeer?.server;
        if (simServer === undefined || !server) return;
        server.onDeliver = (group) => this.delivered(sid, group);
        const look = this.onSession === null ? null : this.onSession(sid);
        // By the server's true clock, whatever it takes for the time itself.
        server.onSession = look === null ? null : (what, sessionId) => look(what, sessionId, simServer.process.monotonicMs());
        server.onResetState = (baseZxid) => {
          this.#world.marks.hit('SNAP installed');
          this.#committed.restart(sid, baseZxid);
        };
        return;
      }
      case 'SynchronizationBegins':
        this.#leadership.synchronizes(sid, fields['epoch'] as number, fields['initialZxid'] as Zxid);
        return;
      case 'Established':
        this.counts.elections++;
        this.#leadership.established(sid, fields['epoch'] as number, fields['lastZxid'] as Zxid);
        return;
      case 'Truncate':
        this.#durability.truncates(sid, fields['zxid'] as Zxid);
        return;
      default:
        return;
    }
  }

  /** A server applies a committed group. */
  delivered(sid: number, group: TxnGroup): void {
    this.#compareDigest(sid);
    if (!this.#committed.delivered(sid, group)) return;
    this.#durability.committed(group.lastZxid);
    decodeTxnGroup(group.bytes, group.firstZxid, this.#apply);
  }

  readonly #apply = (header: TxnHeader, txn: Txn): void => {
    this.#txns.push(header.zxid);
    this.#txnRules.apply(header, txn);
    this.model.apply(header, txn);
    const { marks } = this.#world;
    if (txn.type === 'multi') marks.hit('multi');
    else if (txn.type === 'failedMulti') marks.hit('failed multi');
    else if (txn.type === 'error' && txn.err === Code.SESSIONMOVED) marks.hit('SESSIONMOVED');
    else if (txn.type === 'closeSession') {
      marks.hit(header.requestNo === 0 ? 'session expired' : 'session closed');
      marks.hit('ephemeral ended', txn.paths.length);
    }
  };

  /** Before a group is applied: the tree must be the one that others had at this zxid. */
  #compareDigest(sid: number): void {
    const tree = this.#servers.get(sid)?.quorumPeer?.server?.tree;
    if (tree === undefined) return;
    const zxid = tree.lastProcessedZxid;
    const known = this.#digests.get(zxid);
    if (known === undefined) this.#digests.set(zxid, tree.digest);
    else if (known !== tree.digest) this.fail('Digest', `server ${sid}'s tree differs from others' at ${formatZxid(zxid)}`, { processes: [serverName(sid)], zxids: [zxid] });
  }

  /** Every message between servers, as it is sent. */
  onSend(fromSid: number, toSid: number, message: PeerMessage): void {
    if (message.type === 'ACK' || message.type === 'ACKEPOCH') this.counts.acks++;
    else if (message.type !== 'LEADERINFO') return;
    this.#durability.onSend(fromSid, toSid, message);
    this.#leadership.onSend(fromSid, toSid, message);
  }

  // ------------------------------------------------------------ clients

  unknown(call: Call): void {
    this.counts.unknown++;
    this.history.unknown(call);
  }
  sessionExpired(_client: number, _sessionId: bigint): void {
    this.counts.expired++;
  }

  answered(call: Call, zxid: Zxid, err: number, result: Result | null): void {
    if (call.kind === 'create-sequential' && err === 0) this.#world.marks.hit('sequential');
    this.#replies.answered(call, zxid, err, result);
    this.history.answered(call, this.#world.nowMs, zxid, err, result);
  }

  // ------------------------------------------------------------ the end

  isOnDisk(sid: number): boolean {
    return this.#durability.isOnDisk(sid);
  }

  /** All servers are up and have converged: their trees are equal, and the model's. Then the clients' history is looked at, if it is complete: nothing of it is in flight. */
  converged(servers: readonly SimServer[], historyComplete = true): void {
    for (const server of servers) {
      const tree = server.quorumPeer?.server?.tree;
      const processes = [serverName(server.sid)];
      if (tree === undefined) return this.fail('Liveness', `server ${server.sid} is not up at the end`, { processes });
      if (tree.lastProcessedZxid < this.committedZxid) return this.fail('Liveness', `server ${server.sid} ends at ${formatZxid(tree.lastProcessedZxid)}, committed is ${formatZxid(this.committedZxid)}`, { processes, zxids: [tree.lastProcessedZxid] });
      this.#compareDigest(server.sid);
      let nodes = 0;
      for (const [path, node] of this.model.nodes()) {
        if (path === '/') continue;
        nodes++;
        const znode = tree.get(path);
        const related = { processes, paths: [path], zxids: [node.czxid] };
        if (znode === undefined) return this.fail('Digest', `${path} of ${formatZxid(node.czxid)} is missing on server ${server.sid}`, related);
        const differs = this.model.differs(path, this.committedZxid, znode);
        if (differs !== null || textOf(znode.data) !== node.data) return this.fail('Digest', `${path} on server ${server.sid}: ${differs ?? 'other data'}`, related);
      }
      // '' and '/', and the three below /zookeeper.
      if (tree.nodeCount !== nodes + 5) return this.fail('Digest', `server ${server.sid} has ${tree.nodeCount - 5} znodes, there are ${nodes}`, { processes });
      const { watches, connections } = server.quorumPeer?.server ?? {};
      if (watches !== undefined && connections !== undefined && watches.watcherCount > connections.size) return this.fail('WatchLeak', `server ${server.sid} keeps watches of ${watches.watcherCount} connections, ${connections.size} are open`, { processes });
      if (tree.sessions.size !== this.model.sessions.size) return this.fail('Digest', `server ${server.sid} has ${tree.sessions.size} sessions, there are ${this.model.sessions.size}`, { processes });
    }
    if (historyComplete && this.#violation === null) this.checkHistory();
  }

  /** Needs no server: the clients alone say whether what they saw was linearizable. */
  checkHistory(stepsMax?: number): void {
    const believed = believedBy(this.model, this.#txns, this.history.answeredZxids(), this.history.lost());
    this.onHistory?.(this.history, believed);
    const finding = this.history.check(believed, stepsMax);
    if (finding.kind === 'gave-up') this.#gaveUp = finding.message;
    else if (finding.kind === 'illegal') this.fail(finding.invariant, finding.message, { paths: finding.paths, sessions: finding.sessions });
  }
}

function textOf(data: Uint8Array | null): string | null {
  return data === null ? null : Buffer.from(data).toString();
}
