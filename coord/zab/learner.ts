/**
 * FOLLOWING: from dialling the elected leader to UPTODATE, and then the broadcast as a learner sees it.
 *
 * Invariants:
 *  - ACKEPOCH leaves only when acceptedEpoch, and everything logged before, is durable here;
 *  - nothing of epoch e is logged before NEWLEADER(e) has put currentEpoch = e into the log behind the older groups, and ACK(e, 0) leaves only
 *    when both are durable. With SNAP, the snapshot, all groups up to NEWLEADER (of e too) and currentEpoch become durable in one step, so that
 *    the log that they replace is never replaced by less than what this server has acked in it;
 *  - nothing is delivered before UPTODATE, and never more than has been logged here, in the order of this log;
 *  - the stream is contiguous: a group that does not continue the log ends it.
 *
 * Source: Learner.java, Follower.java. Departures: see docs/protocol/zab.md.
 */
import { EPOCH_MAX, formatZxid, makeZxid, zxidEpoch, type Zxid } from '../base/zxid.ts';
import { continues } from './history.ts';
import type { PeerMessage, SnapChunkMessage } from './messages.ts';
import type { Channel, PeerContext } from './peer-context.ts';
import type { TxnGroup } from './txn-group.ts';

/** Attempts that may follow one another at once; then dialling waits, doubling up to a second. */
const FREE_ATTEMPTS = 3;
const DIAL_DELAY_MS = 10;
const DIAL_DELAY_MAX_MS = 1000;

type LearnerPhase =
  /** Too many attempts have failed: not yet dialled. */
  | 'waiting'
  /** Waiting for the channel. */
  | 'dialling'
  /** FOLLOWERINFO sent, waiting for LEADERINFO. */
  | 'discovery'
  /** LEADERINFO received; ACKEPOCH waits for the disk. */
  | 'accepting'
  /** ACKEPOCH sent, waiting for DIFF, TRUNC or SNAP. */
  | 'accepted'
  /** Chunks are coming. */
  | 'snapshot'
  /** Groups of older epochs are coming, up to NEWLEADER. */
  | 'synchronization'
  /** After NEWLEADER: groups of the epoch, up to UPTODATE. */
  | 'newleader'
  | 'broadcast';

interface Snapshot {
  readonly baseZxid: Zxid;
  entryCount: number;
  /** Groups after baseZxid, to be installed together with it. */
  readonly groups: TxnGroup[];
  lastZxid: Zxid;
}

export class Learner {
  readonly leader: number;
  readonly #context: PeerContext;
  #channel: Channel | null = null;
  #phase: LearnerPhase = 'waiting';
  readonly #dialAtMs: number;
  over: string | null = null;
  #epoch = 0;
  #originId = 0;
  /** As FOLLOWERINFO said, and so for this leader: a SNAP of an earlier leader may become durable, and end the suspicion, before ACKEPOCH is sent. */
  #suspect = false;
  #ackEpochAfterSeq = Infinity;
  /** ACKs count from ops of this stream on; what is durable below is of the history before. */
  #streamSeq = Infinity;
  #newLeaderSeq = Infinity;
  #ackSent: Zxid = 0;
  #snapshot: Snapshot | null = null;
  #progressAtMs: number;

  constructor(context: PeerContext, leader: number) {
    this.#context = context;
    this.leader = leader;
    this.#progressAtMs = context.nowMs;
    const excess = context.failedRounds - FREE_ATTEMPTS;
    // From the last attempt on, and not from now: leaders that change more often than this would never be dialled.
    this.#dialAtMs = excess < 0 ? context.nowMs : Math.max(context.nowMs, context.lastDialMs + Math.min(DIAL_DELAY_MAX_MS, DIAL_DELAY_MS * 2 ** Math.min(excess, 10)));
    this.#maybeDial();
  }

  #maybeDial(): void {
    if (this.#phase !== 'waiting' || this.#context.nowMs < this.#dialAtMs) return;
    this.#phase = 'dialling';
    this.#context.lastDialMs = this.#context.nowMs;
    this.#progress();
    this.#context.effects.push({ type: 'dialLearner', sid: this.leader });
  }

  get epoch(): number {
    return this.#epoch;
  }
  /** For people: what has to happen before it can go on. */
  get waitsFor(): string {
    if (this.#phase === 'broadcast') return 'nothing';
    const disk = this.#context.durableSeq < this.#context.seq ? ', and its disk' : '';
    return `server ${this.leader} (${this.#phase}${this.#epoch > 0 ? `, epoch ${this.#epoch}` : ''})${disk}`;
  }
  get wantsChannel(): boolean {
    return this.#phase === 'dialling';
  }
  get serving(): boolean {
    return this.#phase === 'broadcast';
  }

  onChannelUp(channel: Channel): void {
    this.#channel = channel;
    this.#phase = 'discovery';
    this.#progress();
    const { config, acceptedEpoch, suspect } = this.#context;
    this.#suspect = suspect;
    this.#context.send(channel.number, { type: 'FOLLOWERINFO', sid: config.sid, acceptedEpoch, suspect });
  }

  onDialFailed(): void {
    if (this.#phase === 'dialling') this.leave('the leader cannot be reached');
  }

  owns(channel: number): boolean {
    return this.#channel?.number === channel;
  }

  onChannelDown(): void {
    this.#channel = null;
    this.leave('the channel to the leader broke');
  }

  onMessage(message: PeerMessage): void {
    this.#progress();
    const why = this.#accept(message);
    if (why !== null) this.leave(why);
  }

  onPersisted(): void {
    this.#progress();
  }

  pipeline(body: unknown): void {
    if (this.#phase === 'broadcast' && this.#channel !== null) this.#context.send(this.#channel.number, { type: 'PIPELINE', body });
  }

  onClock(): void {
    this.#maybeDial();
    if (this.#context.nowMs >= this.deadlineMs) this.leave(this.#phase === 'broadcast' ? 'the leader is silent' : `no progress in ${this.#phase}`);
  }

  get deadlineMs(): number {
    const { config, progressMs } = this.#context;
    if (this.#phase === 'waiting') return this.#dialAtMs;
    if (this.#phase === 'broadcast' && this.#channel !== null) return this.#channel.lastHeardMs + config.detectMs;
    // After NEWLEADER the leader pings, and whether it gets on is for the leader to watch.
    return this.#progressAtMs + (this.#phase === 'newleader' ? Math.max(progressMs, config.detectMs) : progressMs);
  }

  leave(why: string): void {
    if (this.over !== null) return;
    this.over = why;
    this.#context.trace('LeftLeader', { why, leader: this.leader, epoch: this.#epoch });
  }

  shutdown(): void {
    if (this.#channel !== null) this.#context.close(this.#channel.number, 'the learner has left');
  }

  /** Sends what the disk has made possible; once per drain. */
  flush(): void {
    if (this.over !== null || this.#channel === null) return;
    const context = this.#context;
    if (this.#phase === 'accepting' && context.durableSeq >= this.#ackEpochAfterSeq) this.#sendAckEpoch(this.#channel);
    if (context.durableSeq < this.#streamSeq) return;
    let zxid = context.durableZxid;
    if (context.durableSeq >= this.#newLeaderSeq) zxid = Math.max(zxid, makeZxid(this.#epoch, 0));
    if (zxid <= this.#ackSent) return;
    this.#ackSent = zxid;
    context.send(this.#channel.number, { type: 'ACK', zxid });
    context.trace('Ack', { zxid });
  }

  #sendAckEpoch(channel: Channel): void {
    const { history, currentEpoch } = this.#context;
    this.#phase = 'accepted';
    this.#context.send(channel.number, this.#suspect
      ? { type: 'ACKEPOCH', currentEpoch: 0, lastZxid: 0, history: [], appliedZxid: 0 }
      : { type: 'ACKEPOCH', currentEpoch, lastZxid: history.lastZxid, history: history.epochEnds.map((end) => ({ ...end })), appliedZxid: history.truncateFloor });
  }

  /** Null, or why this leader must be left. */
  #accept(message: PeerMessage): string | null {
    switch (message.type) {
      case 'LEADERINFO':
        return this.#onLeaderInfo(message.epoch, message.originId);
      case 'DIFF':
        if (this.#phase !== 'accepted') return 'DIFF out of place';
        this.#phase = 'synchronization';
        this.#streamSeq = this.#context.seq + 1;
        return null;
      case 'TRUNC':
        return this.#onTrunc(message.zxid);
      case 'SNAP':
        return this.#onSnap(message.baseZxid);
      case 'SNAPCHUNK':
        return this.#onSnapChunk(message);
      case 'SNAPEND':
        if (this.#phase !== 'snapshot' || this.#snapshot?.baseZxid !== message.baseZxid) return 'SNAPEND out of place';
        if (this.#snapshot.entryCount !== message.entryCount) return 'SNAPEND with a wrong count of entries';
        this.#phase = 'synchronization';
        return null;
      case 'PROPOSAL':
        return this.#onProposal(message.group);
      case 'NEWLEADER':
        return this.#onNewLeader(message.epoch);
      case 'UPTODATE':
        return this.#onUpToDate(message.zxid);
      case 'COMMIT':
        if (this.#phase !== 'broadcast') return 'COMMIT out of place';
        return this.#onCommit(message.zxid);
      case 'PING':
        if (this.#phase !== 'newleader' && this.#phase !== 'broadcast') return 'PING out of place';
        this.#context.send((this.#channel as Channel).number, { type: 'PONG', round: message.round });
        return null;
      case 'PIPELINE':
        if (this.#phase !== 'broadcast') return 'PIPELINE out of place';
        this.#context.effects.push({ type: 'pipeline', channel: null, sid: this.leader, originId: 0, body: message.body });
        return null;
      default:
        return `${String(message.type)} out of place`;
    }
  }

  #onLeaderInfo(epoch: number, originId: number): string | null {
    const context = this.#context;
    if (this.#phase !== 'discovery') return 'LEADERINFO out of place';
    if (!Number.isSafeInteger(epoch) || epoch < 1 || epoch > EPOCH_MAX || !Number.isSafeInteger(originId) || originId < 1) return 'malformed LEADERINFO';
    if (epoch < context.acceptedEpoch) return `epoch ${epoch} is older than the accepted epoch ${context.acceptedEpoch}`;
    this.#epoch = epoch;
    this.#originId = originId;
    this.#phase = 'accepting';
    // A suspect log takes no record before the SNAP that replaces it, and promises nothing.
    if (epoch > context.acceptedEpoch && !this.#suspect) context.persistEpochs(epoch, context.currentEpoch);
    this.#ackEpochAfterSeq = context.seq;
    return null;
  }

  #onTrunc(zxid: Zxid): string | null {
    const { history } = this.#context;
    if (this.#phase !== 'accepted') return 'TRUNC out of place';
    if (zxid < history.truncateFloor) return `TRUNC to ${showForeign(zxid)} below what was applied`;
    if (!(zxid <= history.lastZxid) || history.indexAfter(zxid) < 0) return `TRUNC to ${showForeign(zxid)}, which does not end a group here`;
    this.#phase = 'synchronization';
    this.#streamSeq = this.#context.seq + 1;
    this.#context.truncate(zxid);
    return null;
  }

  #onSnap(baseZxid: Zxid): string | null {
    if (this.#phase !== 'accepted') return 'SNAP out of place';
    if (!Number.isSafeInteger(baseZxid) || baseZxid < 0 || zxidEpoch(baseZxid) > this.#epoch) return 'malformed SNAP';
    this.#phase = 'snapshot';
    this.#snapshot = { baseZxid, entryCount: 0, groups: [], lastZxid: baseZxid };
    this.#context.persist({ type: 'snapshotBegin', baseZxid });
    return null;
  }

  #onSnapChunk(message: SnapChunkMessage): string | null {
    if (this.#phase !== 'snapshot' || this.#snapshot === null) return 'SNAPCHUNK out of place';
    if (!Array.isArray(message.entries)) return 'malformed SNAPCHUNK';
    this.#snapshot.entryCount += message.entries.length;
    this.#context.persist({ type: 'snapshotChunk', entries: message.entries });
    return null;
  }

  #onProposal(group: TxnGroup): string | null {
    const afterNewLeader = this.#phase === 'newleader' || this.#phase === 'broadcast';
    if (!afterNewLeader && this.#phase !== 'synchronization') return 'PROPOSAL out of place';
    const lastZxid = this.#snapshot?.lastZxid ?? this.#context.history.lastZxid;
    if (!continues(lastZxid, group) || !(group.bytes instanceof Uint8Array)) return `PROPOSAL ${showForeign(group.firstZxid)} does not continue ${formatZxid(lastZxid)}`;
    const epoch = zxidEpoch(group.firstZxid);
    const inPlace = afterNewLeader ? epoch === this.#epoch : epoch < this.#epoch || (epoch === this.#epoch && this.#snapshot !== null);
    if (!inPlace) return `PROPOSAL of epoch ${epoch} on the wrong side of NEWLEADER ${this.#epoch}`;
    if (this.#snapshot !== null) {
      this.#snapshot.groups.push(group);
      this.#snapshot.lastZxid = group.lastZxid;
    } else {
      this.#context.appendGroup(group);
    }
    return null;
  }

  #onNewLeader(epoch: number): string | null {
    const context = this.#context;
    if (this.#phase !== 'synchronization' || epoch !== this.#epoch) return 'NEWLEADER out of place';
    if (this.#snapshot !== null) {
      this.#newLeaderSeq = context.installSnapshot(this.#snapshot.baseZxid, epoch, this.#snapshot.groups);
      this.#streamSeq = this.#newLeaderSeq;
      this.#snapshot = null;
    } else {
      this.#newLeaderSeq = context.persistEpochs(epoch, epoch);
    }
    this.#phase = 'newleader';
    return null;
  }

  #onUpToDate(zxid: Zxid): string | null {
    const context = this.#context;
    if (this.#phase !== 'newleader' || context.durableSeq < this.#newLeaderSeq) return 'UPTODATE out of place';
    const why = this.#onCommit(zxid);
    if (why !== null) return why;
    this.#phase = 'broadcast';
    context.failedRounds = 0;
    context.trace('UpToDate', { leader: this.leader, zxid });
    context.effects.push({ type: 'state', state: 'FOLLOWING', leader: this.leader, epoch: this.#epoch });
    context.effects.push({ type: 'serving', serving: 'follower', epoch: this.#epoch, originId: this.#originId });
    return null;
  }

  #onCommit(zxid: Zxid): string | null {
    const { history, committedZxid } = this.#context;
    if (!Number.isSafeInteger(zxid) || zxid < committedZxid || zxid > history.lastZxid) return `COMMIT ${showForeign(zxid)} beyond the log or behind what is committed`;
    this.#context.commit(zxid);
    return null;
  }

  #progress(): void {
    this.#progressAtMs = this.#context.nowMs;
  }
}

/** A zxid as another server sent it, which may be anything. */
function showForeign(zxid: unknown): string {
  return Number.isSafeInteger(zxid) ? formatZxid(zxid as Zxid) : String(zxid);
}
