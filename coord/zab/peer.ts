/**
 * One server of the ensemble: takes events, keeps the role (LOOKING, FOLLOWING, LEADING), and hands out effects.
 *
 * Decides: which role runs, which channel belongs to whom, who is alive. A role that ends says why in `over`; going LOOKING happens here.
 *
 * Invariants:
 *  - exactly one of election, learner and leader is at work; nothing of an ended role has an effect afterwards;
 *  - whatever comes for an unknown or closed channel is dropped; a peer that sends what is malformed or out of place loses that channel.
 *
 * Source: QuorumPeer.java. Leaves the phases to fast-leader-election.ts, leader.ts and learner.ts; time, sockets and the disk to
 * the driver, which throws the peer away when the disk fails.
 */
import { assert, assertNever } from '../base/assert.ts';
import type { ChannelKind } from '../base/ports.ts';
import { EPOCH_MAX, type Zxid } from '../base/zxid.ts';
import type { PeerConfig, PeerCore, PeerDrain, PeerEffect, PeerEvent, RecoveredHistory } from './contract.ts';
import { FastLeaderElection, isWellFormed } from './fast-leader-election.ts';
import { Leader } from './leader.ts';
import { Learner } from './learner.ts';
import type { FollowerInfoMessage, NotificationMessage, PeerMessage, ServerState } from './messages.ts';
import { PeerContext, PROGRESS_MAX_MS, type Channel } from './peer-context.ts';
import type { TxnGroup } from './txn-group.ts';

/** A learner channel that no role has taken yet: its FOLLOWERINFO may come, or this server may become leader, any moment. */
interface WaitingChannel {
  readonly channel: Channel;
  readonly sinceMs: number;
  info: FollowerInfoMessage | null;
}

export class Peer implements PeerCore {
  readonly #context: PeerContext;
  readonly #election: FastLeaderElection;
  #leader: Leader | null = null;
  #learner: Learner | null = null;
  readonly #waiting = new Map<number, WaitingChannel>();
  #heartbeatAtMs: number;

  constructor(config: PeerConfig, recovered: RecoveredHistory, nowMs: number) {
    this.#context = new PeerContext(config, recovered, nowMs);
    this.#election = new FastLeaderElection(this.#context);
    this.#heartbeatAtMs = config.voters.length > 1 ? nowMs + config.heartbeatMs : Infinity;
    this.#context.effects.push({ type: 'state', state: 'LOOKING', leader: null, epoch: this.#context.currentEpoch });
    this.#election.start();
    this.#settle();
  }

  get state(): ServerState {
    return this.#leader !== null ? 'LEADING' : this.#learner !== null ? 'FOLLOWING' : 'LOOKING';
  }
  get waitsFor(): string {
    return (this.#leader ?? this.#learner ?? this.#election).waitsFor;
  }
  get lastZxid(): Zxid {
    return this.#context.history.lastZxid;
  }
  get committedZxid(): Zxid {
    return this.#context.committedZxid;
  }
  get acceptedEpoch(): number {
    return this.#context.acceptedEpoch;
  }
  get currentEpoch(): number {
    return this.#context.currentEpoch;
  }
  get journalNeededAfter(): Zxid {
    return this.#leader?.journalNeededAfter ?? Infinity;
  }
  get learners(): { synced: number; total: number } {
    return this.#leader?.learnerCounts ?? { synced: 0, total: 0 };
  }

  step(event: PeerEvent, nowMs: number): void {
    this.#advanceTime(nowMs);
    switch (event.type) {
      case 'clock':
        this.#onClock();
        break;
      case 'channelUp':
        this.#onChannelUp(event.kind, event.channel, event.sid);
        break;
      case 'channelDown':
        this.#onChannelDown(event.channel);
        break;
      case 'dialFailed':
        if (this.#learner?.leader === event.sid) this.#learner.onDialFailed();
        break;
      case 'message':
        this.#onMessage(event.channel, event.message);
        break;
      case 'persisted':
        this.#context.onPersisted(event.seq);
        this.#leader?.onPersisted();
        this.#learner?.onPersisted();
        if (this.state === 'LOOKING') this.#election.onPersisted();
        break;
      case 'propose':
        this.#onPropose(event.group);
        break;
      case 'pipeline':
        if (event.channel === null) this.#learner?.pipeline(event.body);
        else this.#leader?.pipeline(event.channel, event.body);
        break;
      case 'confirmQuorum':
        this.#leader?.confirmQuorum(event.token);
        break;
      case 'journalRead':
        this.#leader?.onJournalRead(event.channel, event.groups);
        break;
      case 'snapshotSent':
        this.#leader?.onSnapshotSent(event.channel, event.baseZxid);
        break;
      case 'snapshotFailed':
        this.#leader?.onSnapshotFailed(event.channel);
        break;
      default:
        assertNever(event);
    }
    this.#settle();
  }

  drain(): PeerDrain {
    this.#leader?.flush();
    this.#learner?.flush();
    this.#settle();
    const { effects } = this.#context;
    if (effects.length === 0) return { effects: NO_EFFECTS, deadlineMs: this.#deadlineMs() };
    this.#context.effects = [];
    return { effects, deadlineMs: this.#deadlineMs() };
  }

  // ---- time

  #advanceTime(nowMs: number): void {
    const context = this.#context;
    assert(nowMs >= context.nowMs, 'time never goes back');
    const gapMs = nowMs - context.nowMs;
    context.nowMs = nowMs;
    const { heartbeatMs, detectMs, voters } = context.config;
    if (voters.length === 1 || gapMs < 2 * heartbeatMs) return;
    // This process was held up. What its peers said meanwhile is still queued: one heartbeat's time to read it before anyone is called silent.
    const atLeast = nowMs - detectMs + heartbeatMs;
    for (const [sid, ms] of context.lastHeardMs) if (ms < atLeast) context.lastHeardMs.set(sid, atLeast);
    for (const channel of context.channels.values()) channel.lastHeardMs = Math.max(channel.lastHeardMs, atLeast);
  }

  #onClock(): void {
    const { nowMs, config } = this.#context;
    if (nowMs >= this.#heartbeatAtMs) {
      this.#heartbeatAtMs = nowMs + config.heartbeatMs;
      this.#context.broadcastElection(HEARTBEAT);
      this.#leader?.onHeartbeat();
      for (const waiting of this.#waiting.values()) {
        if (nowMs >= waiting.sinceMs + PROGRESS_MAX_MS) this.#refuse(waiting, 'nothing came of this channel');
      }
    }
    this.#leader?.onClock();
    this.#learner?.onClock();
    const leader = this.#learner?.leader;
    if (leader !== undefined && this.#context.electionChannels.has(leader) && nowMs >= this.#context.heardSince(leader) + config.detectMs) {
      this.#learner?.leave('the leader is silent');
    }
    if (this.state === 'LOOKING') this.#election.onClock();
  }

  #deadlineMs(): number {
    if (this.#leader !== null) return Math.min(this.#heartbeatAtMs, this.#leader.deadlineMs);
    if (this.#learner === null) return Math.min(this.#heartbeatAtMs, this.#election.deadlineMs);
    const heardMs = this.#context.electionChannels.has(this.#learner.leader) ? this.#context.heardSince(this.#learner.leader) : Infinity;
    return Math.min(this.#heartbeatAtMs, this.#learner.deadlineMs, heardMs + this.#context.config.detectMs);
  }

  // ---- channels

  #onChannelUp(kind: ChannelKind, number: number, sid: number): void {
    const context = this.#context;
    if (sid === context.config.sid || !context.config.voters.includes(sid)) {
      context.effects.push({ type: 'closeChannel', channel: number });
      context.trace('ForeignServer', { sid });
      return;
    }
    const channel: Channel = { number, kind, sid, lastHeardMs: context.nowMs };
    context.channels.set(number, channel);
    context.lastHeardMs.set(sid, context.nowMs);
    if (kind === 'election') {
      context.electionChannels.set(sid, channel);
      this.#leader?.onElectionChannelUp(sid);
      if (this.state === 'LOOKING') this.#election.onChannelUp(sid);
    } else if (this.#learner?.leader === sid && this.#learner.wantsChannel) {
      this.#learner.onChannelUp(channel);
    } else {
      this.#waiting.set(number, { channel, sinceMs: context.nowMs, info: null });
    }
  }

  #onChannelDown(number: number): void {
    const channel = this.#context.channels.get(number);
    if (channel === undefined) return;
    this.#context.forget(channel);
    this.#waiting.delete(number);
    if (channel.kind === 'election') {
      this.#election.onChannelDown(channel.sid);
      return;
    }
    this.#leader?.onChannelDown(number);
    if (this.#learner?.owns(number) === true) this.#learner.onChannelDown();
  }

  #refuse(waiting: WaitingChannel, why: string): void {
    this.#waiting.delete(waiting.channel.number);
    this.#context.close(waiting.channel.number, why);
  }

  // ---- messages

  #onMessage(number: number, message: PeerMessage): void {
    const context = this.#context;
    const channel = context.channels.get(number);
    if (channel === undefined) return;
    channel.lastHeardMs = context.nowMs;
    context.lastHeardMs.set(channel.sid, context.nowMs);
    if (channel.kind === 'election') {
      this.#leader?.onHeard(channel.sid);
      this.#onElectionMessage(channel, message);
      return;
    }
    if (this.#learner?.owns(number) === true) {
      this.#learner.onMessage(message);
      return;
    }
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) this.#leader?.onMessage(channel, message);
    else this.#onIntroduction(waiting, message);
  }

  #onElectionMessage(channel: Channel, message: PeerMessage): void {
    if (message.type === 'HEARTBEAT') return;
    if (message.type !== 'NOTIFICATION') {
      this.#context.close(channel.number, `${String(message.type)} on an election channel`);
    } else if (!isWellFormed(message, this.#context.config.voters)) {
      this.#context.trace('MalformedNotification', { from: channel.sid });
    } else if (this.state === 'LOOKING') {
      this.#election.onNotification(channel.sid, message);
    } else {
      this.#answerNotification(channel, message);
    }
  }

  #answerNotification(channel: Channel, notice: NotificationMessage): void {
    const newer = notice.electionEpoch > this.#election.round;
    if (notice.state === 'LOOKING') {
      this.#context.send(channel.number, this.#election.notification(this.state));
      if (newer) this.#election.remember(channel.sid, notice);
    }
    if (newer && notice.state !== 'LEADING' && this.#learner?.leader === channel.sid) this.#learner.leave('the leader no longer leads');
    if (newer && notice.state === 'LOOKING') this.#leader?.onDeserted(channel.sid);
  }

  /** The first message on a learner channel that this server did not dial. */
  #onIntroduction(waiting: WaitingChannel, message: PeerMessage): void {
    if (message.type !== 'FOLLOWERINFO' || !isFollowerInfo(message) || message.sid !== waiting.channel.sid || waiting.info !== null) {
      this.#refuse(waiting, `${String(message.type)} instead of FOLLOWERINFO`);
    } else if (this.#leader !== null) {
      this.#waiting.delete(waiting.channel.number);
      this.#leader.onFollowerInfo(waiting.channel, message);
    } else if (this.#learner !== null) {
      this.#refuse(waiting, 'this server does not lead');
    } else {
      waiting.info = message;
    }
  }

  // ---- the pipeline

  #onPropose(group: TxnGroup): void {
    // The leader may have stepped down within this batch of events, before the pipeline could know.
    if (this.#leader === null) this.#context.trace('ProposalDropped', { zxid: group.lastZxid });
    else this.#leader.propose(group);
  }

  // ---- roles

  /** Carries out what the roles have decided. */
  #settle(): void {
    if (this.#leader !== null && this.#leader.over !== null) this.#endLeading(this.#leader);
    if (this.#learner !== null && this.#learner.over !== null) this.#endFollowing(this.#learner);
    if (this.state === 'LOOKING' && this.#election.decided !== null) {
      if (this.#election.decided === this.#context.config.sid) this.#becomeLeader();
      else this.#becomeFollower(this.#election.decided);
      // Whoever is still LOOKING need not ask.
      this.#context.broadcastElection(this.#election.notification(this.state));
    }
  }

  #endLeading(leader: Leader): void {
    const established = leader.phase === 'broadcast';
    if (established) this.#stopServing(leader.epoch);
    leader.shutdown();
    this.#leader = null;
    this.#look(established);
  }

  #endFollowing(learner: Learner): void {
    const synced = learner.serving;
    if (synced) this.#stopServing(learner.epoch);
    learner.shutdown();
    this.#learner = null;
    this.#look(synced);
  }

  #stopServing(epoch: number): void {
    this.#context.effects.push({ type: 'serving', serving: 'no', epoch, originId: 0 });
  }

  #look(wasSynced: boolean): void {
    const context = this.#context;
    if (!wasSynced) context.failedRounds++;
    context.effects.push({ type: 'state', state: 'LOOKING', leader: null, epoch: context.currentEpoch });
    this.#election.start();
  }

  #becomeLeader(): void {
    const context = this.#context;
    assert(!context.suspect, 'a suspect log never leads');
    const leader = new Leader(context);
    this.#leader = leader;
    context.effects.push({ type: 'state', state: 'LEADING', leader: context.config.sid, epoch: context.currentEpoch });
    for (const waiting of this.#waiting.values()) {
      if (waiting.info === null) continue;
      this.#waiting.delete(waiting.channel.number);
      leader.onFollowerInfo(waiting.channel, waiting.info);
    }
  }

  #becomeFollower(leader: number): void {
    const context = this.#context;
    this.#learner = new Learner(context, leader);
    context.effects.push({ type: 'state', state: 'FOLLOWING', leader, epoch: context.currentEpoch });
    for (const waiting of this.#waiting.values()) if (waiting.info !== null) this.#refuse(waiting, 'this server follows another');
  }
}

const NO_EFFECTS: readonly PeerEffect[] = [];
const HEARTBEAT: PeerMessage = { type: 'HEARTBEAT' };

function isFollowerInfo(info: FollowerInfoMessage): boolean {
  return Number.isSafeInteger(info.acceptedEpoch) && info.acceptedEpoch >= 0 && info.acceptedEpoch < EPOCH_MAX && typeof info.suspect === 'boolean';
}
