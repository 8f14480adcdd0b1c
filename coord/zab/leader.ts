/**
 * LEADING: from the election's guess to an established leader of a new epoch, and its broadcast.
 *
 * Phases: discovery (accepted epochs of a quorum, a new epoch above all of them, ACKEPOCH of a quorum, none of them ahead of this server),
 * synchronization (every learner is brought to this history; NEWLEADER acked by a quorum), broadcast (PROPOSAL, ACK, COMMIT).
 *
 * Invariants:
 *  - this server's own promises count like a learner's: only once they are durable here;
 *  - nothing is delivered and nobody is served before a quorum, this server included, has acked NEWLEADER;
 *  - an ACKEPOCH with an acceptedEpoch that had reached the new epoch before is not counted: it may have been promised to another leader;
 *  - only zxids of the own epoch are committed by counting, and with them everything before;
 *  - proposals are contiguous and stop ROLLOVER_MARGIN before the counter ends; a new epoch begins a new counter.
 *
 * Source: Leader.java, LearnerHandler.java. Departures: an election that turns out wrong is given up as soon as an ACKEPOCH is ahead; progress
 * timeouts instead of initLimit; COMMIT is cumulative; a learner gets no COMMIT before UPTODATE.
 * Leaves the stream of one learner to learner-handler.ts.
 */
import { assert } from '../base/assert.ts';
import { COUNTER_MAX, EPOCH_MAX, formatZxid, makeZxid, zxidCounter, zxidEpoch, type Zxid } from '../base/zxid.ts';
import { continues } from './history.ts';
import { LearnerHandler } from './learner-handler.ts';
import type { AckEpochMessage, FollowerInfoMessage, PeerMessage, PingMessage } from './messages.ts';
import type { Channel, PeerContext } from './peer-context.ts';
import { reachedByQuorum } from './quorum.ts';
import type { TxnGroup } from './txn-group.ts';

/** A leader gives up its epoch this many txns before the counter ends: more than are ever proposed between two drains. */
const ROLLOVER_MARGIN = 1 << 20;
const ROLLOVER_COUNTER = COUNTER_MAX - ROLLOVER_MARGIN;

export type LeaderPhase = 'discovery' | 'synchronization' | 'broadcast';

export class Leader {
  readonly #context: PeerContext;
  readonly #learners = new Map<number, LearnerHandler>();
  /** The same, for what is gone through several times a turn; a new one with each change. */
  #each: readonly LearnerHandler[] = [];
  phase: LeaderPhase = 'discovery';
  /** 0 until a quorum has told its acceptedEpoch. */
  epoch = 0;
  /** Why this server no longer leads; set once. */
  over: string | null = null;
  /** What this server had to show in the election: (currentEpoch, lastZxid). */
  readonly #electedEpoch: number;
  readonly #initialZxid: Zxid;
  #acceptedEpochSeq = Infinity;
  #currentEpochSeq = Infinity;
  #nextOriginId = 1;
  #progressMs: number;
  /** When each voter was last heard while it was a learner of this leader. */
  readonly #followedMs = new Map<number, number>();
  /** Scratch of #quorumHeardMs: as long as #followedMs is large, and one more. */
  readonly #heardMs: number[] = [];
  /** What #quorumHeardMs said at #quorumAskedMs; NaN: somebody was heard since. */
  #quorumMs = 0;
  #quorumAskedMs = NaN;
  /** Something has changed that may complete a quorum; looked at once per drain. */
  #dirty = true;
  /** Scratch of #maybeCommit. */
  readonly #reached: number[] = [];
  #waitingTokens: number[] = [];
  /** Tokens in the order of the rounds that serve them. */
  #rounds: { readonly round: number; readonly tokens: readonly number[] }[] = [];
  #round = 0;

  constructor(context: PeerContext) {
    this.#context = context;
    this.#electedEpoch = context.currentEpoch;
    this.#initialZxid = context.history.lastZxid;
    this.#progressMs = context.nowMs;
  }

  get learnerCounts(): { synced: number; total: number } {
    let synced = 0;
    for (const learner of this.#learners.values()) if (learner.synced) synced++;
    return { synced, total: this.#learners.size };
  }

  /** For people: what has to happen before it can go on. */
  get waitsFor(): string {
    const context = this.#context;
    const from = (is: (learner: LearnerHandler) => boolean): string => `of a quorum, has ${[context.config.sid, ...[...this.#learners.values()].filter(is).map(({ sid }) => sid)].join(' ')}`;
    if (this.epoch === 0) return `FOLLOWERINFO ${from((learner) => !learner.suspect)}`;
    if (this.phase === 'discovery') {
      return context.durableSeq < this.#acceptedEpochSeq ? `its disk, for acceptedEpoch ${this.epoch}` : `ACKEPOCH for epoch ${this.epoch} ${from((learner) => learner.ackEpoch !== null && this.#promised(learner))}`;
    }
    if (this.phase === 'synchronization') {
      return context.durableSeq < this.#currentEpochSeq ? `its disk, for currentEpoch ${this.epoch}` : `the ack of NEWLEADER ${this.epoch} ${from((learner) => learner.newLeaderAcked)}`;
    }
    const { lastZxid } = context.history;
    return lastZxid === context.committedZxid ? 'nothing' : `acks of ${formatZxid(lastZxid)} ${from((learner) => learner.newLeaderAcked && learner.ackedZxid >= lastZxid)}`;
  }

  get journalNeededAfter(): Zxid {
    let needed = Infinity;
    for (const learner of this.#each) needed = Math.min(needed, learner.journalNeededAfter);
    return needed;
  }

  // ---- events

  /** A learner has introduced itself on its channel. */
  onFollowerInfo(channel: Channel, info: FollowerInfoMessage): void {
    for (const other of this.#learners.values()) {
      if (other.sid !== channel.sid) continue;
      this.#context.close(other.channel.number, 'the learner has come on a new channel');
      this.#drop(other);
    }
    if (this.epoch > 0 && info.acceptedEpoch > this.epoch) {
      // It can never follow this epoch, and only a new one above its promise lets it in.
      this.stepDown(`server ${channel.sid} has accepted epoch ${info.acceptedEpoch}`);
      return;
    }
    const learner = new LearnerHandler(this.#context, channel, this.#nextOriginId++, info.acceptedEpoch, info.suspect);
    this.#learners.set(channel.number, learner);
    this.#each = [...this.#learners.values()];
    this.#heard(learner);
    if (this.epoch > 0) learner.sendLeaderInfo(this.epoch);
    this.#progress();
  }

  onMessage(channel: Channel, message: PeerMessage): void {
    const learner = this.#learners.get(channel.number);
    if (learner === undefined) return;
    this.#heard(learner);
    const why = this.#accept(learner, message);
    if (why === null) return;
    this.#context.close(channel.number, why);
    this.#drop(learner);
  }

  onChannelDown(channel: number): void {
    const learner = this.#learners.get(channel);
    if (learner !== undefined) this.#drop(learner);
  }

  /** A peer announces an election newer than the one that made this server leader: it does not follow any more. */
  onDeserted(sid: number): void {
    for (const learner of this.#learners.values()) {
      if (learner.sid !== sid) continue;
      this.#context.close(learner.channel.number, 'the learner looks for another leader');
      this.#drop(learner);
    }
  }

  /**
   * A new election channel of this peer: the process that a learner channel from before belongs to may be gone without a word. While a learner
   * synchronizes, only its election channel shows that it is alive, and that one may now be another life's.
   */
  onElectionChannelUp(sid: number): void {
    for (const learner of this.#learners.values()) {
      if (learner.sid !== sid || learner.synced || learner.sinceMs === this.#context.nowMs) continue;
      this.#context.close(learner.channel.number, 'the learner may have started again');
      this.#drop(learner);
    }
  }

  /** Whatever was heard of a learner on its election channel. */
  onHeard(sid: number): void {
    if (this.#followedMs.has(sid)) {
      for (const learner of this.#each) if (learner.sid === sid) this.#heard(learner);
    }
  }

  onPersisted(): void {
    this.#progress();
  }

  onSnapshotSent(channel: number, baseZxid: Zxid): void {
    this.#learners.get(channel)?.onSnapshotSent(baseZxid);
    this.#progress();
  }

  onSnapshotFailed(channel: number): void {
    const learner = this.#learners.get(channel);
    if (learner === undefined) return;
    this.#context.close(channel, 'the snapshot could not be sent');
    this.#drop(learner);
  }

  onJournalRead(channel: number, groups: readonly TxnGroup[]): void {
    const learner = this.#learners.get(channel);
    if (learner === undefined) return;
    learner.onJournalRead(groups);
    if (!this.#context.channels.has(channel)) this.#drop(learner);
    this.#progress();
  }

  propose(group: TxnGroup): void {
    assert(this.phase === 'broadcast', 'only an established leader proposes');
    assert(zxidEpoch(group.firstZxid) === this.epoch && continues(this.#context.history.lastZxid, group), 'proposals continue lastZxid in the own epoch');
    this.#context.appendGroup(group);
    this.#context.trace('Broadcast', { zxid: group.lastZxid });
    if (zxidCounter(group.lastZxid) > (this.#context.config.rolloverCounter ?? ROLLOVER_COUNTER)) this.stepDown('the zxid counter ends: a new epoch is needed');
  }

  pipeline(channel: number, body: unknown): void {
    const learner = this.#learners.get(channel);
    if (learner === undefined || !learner.synced) return;
    // In order with what this server has proposed and committed.
    learner.pump(this.epoch, this.#initialZxid);
    learner.sendCommit(this.#context.committedZxid);
    learner.pipeline(body, this.#context.committedZxid);
  }

  confirmQuorum(token: number): void {
    this.#waitingTokens.push(token);
  }

  /** Every heartbeatMs: an idle learner channel must still show that it is alive. */
  onHeartbeat(): void {
    const ping: PingMessage = { type: 'PING', round: this.#round };
    for (const learner of this.#each) if (learner.newLeaderSent) this.#context.send(learner.channel.number, ping);
  }

  onClock(): void {
    const { nowMs, config } = this.#context;
    for (const learner of this.#each) {
      const heardMs = learner.synced ? learner.channel.lastHeardMs : this.#context.heardSince(learner.sid);
      // As deadlineMs says it: a difference may round to another side than the sum, and the deadline would be called for again and again.
      if (nowMs < heardMs + config.detectMs) continue;
      this.#context.close(learner.channel.number, 'the learner is silent');
      this.#drop(learner);
    }
    if (this.over !== null) return;
    if (this.phase === 'broadcast') {
      if (nowMs >= this.#quorumHeardMs() + config.detectMs) this.stepDown('no quorum was heard');
    } else if (nowMs >= this.#progressDeadlineMs()) {
      this.stepDown(`no progress in ${this.phase}`);
    }
  }

  get deadlineMs(): number {
    const { detectMs } = this.#context.config;
    let deadline = this.phase === 'broadcast' ? this.#quorumHeardMs() + detectMs : this.#progressDeadlineMs();
    for (const learner of this.#each) {
      deadline = Math.min(deadline, (learner.synced ? learner.channel.lastHeardMs : this.#context.heardSince(learner.sid)) + detectMs);
    }
    return deadline;
  }

  stepDown(why: string): void {
    if (this.over !== null) return;
    this.over = why;
    this.#context.trace('SteppedDown', { why, epoch: this.epoch });
  }

  /** Closes all channels; the pipeline is told who is gone. */
  shutdown(): void {
    for (const learner of this.#learners.values()) {
      this.#context.close(learner.channel.number, 'the leader has stepped down');
      this.#drop(learner);
    }
  }

  // ---- once per drain

  /** Completes what the events since the last drain have made possible. */
  flush(): void {
    if (this.over !== null) return;
    if (this.phase === 'discovery' && this.#dirty) this.#discover();
    if (this.over !== null || this.phase === 'discovery') {
      this.#dirty = false;
      return;
    }
    for (const learner of this.#each) learner.pump(this.epoch, this.#initialZxid);
    if (this.#dirty) {
      this.#dirty = false;
      if (this.phase === 'synchronization') this.#maybeEstablish();
      if (this.phase === 'broadcast') this.#maybeCommit();
    }
    if (this.phase === 'broadcast') {
      this.#confirm();
      for (const learner of this.#each) {
        learner.sendCommit(this.#context.committedZxid);
        learner.sendPipeline();
        if (learner.maybeUpToDate(this.#context.committedZxid)) this.#learnerUp(learner);
      }
    }
  }

  // ---- discovery

  #discover(): void {
    const context = this.#context;
    if (this.epoch === 0) {
      let known = 1;
      let accepted = context.acceptedEpoch;
      for (const learner of this.#learners.values()) {
        accepted = Math.max(accepted, learner.acceptedEpoch);
        if (!learner.suspect) known++;
      }
      if (known < context.quorum) return;
      assert(accepted < EPOCH_MAX, 'epochs are exhausted');
      this.epoch = accepted + 1;
      this.#acceptedEpochSeq = context.persistEpochs(this.epoch, context.currentEpoch);
      context.trace('NewEpoch', { epoch: this.epoch });
      for (const learner of this.#learners.values()) learner.sendLeaderInfo(this.epoch);
      return;
    }
    if (context.durableSeq < this.#acceptedEpochSeq) return;
    let acked = 1;
    for (const learner of this.#learners.values()) if (learner.ackEpoch !== null && this.#promised(learner)) acked++;
    if (acked < context.quorum) return;
    this.phase = 'synchronization';
    this.#currentEpochSeq = context.persistEpochs(this.epoch, this.epoch);
    context.trace('SynchronizationBegins', { epoch: this.epoch, initialZxid: this.#initialZxid });
    for (const learner of this.#learners.values()) if (learner.ackEpoch !== null) learner.startSync();
    this.#dirty = true;
    this.#progress();
  }

  /** Whether the learner's ACKEPOCH is a promise to this leader. */
  #promised(learner: LearnerHandler): boolean {
    return !learner.suspect && learner.acceptedEpoch < this.epoch;
  }

  #onAckEpoch(learner: LearnerHandler, message: AckEpochMessage): string | null {
    if (!learner.leaderInfoSent || learner.ackEpoch !== null) return 'ACKEPOCH out of place';
    if (!isAckEpoch(message) || message.currentEpoch > this.epoch) return 'malformed ACKEPOCH';
    learner.ackEpoch = message;
    this.#progress();
    if (this.phase !== 'discovery') {
      learner.startSync();
      return null;
    }
    const ahead = message.currentEpoch > this.#electedEpoch
      || (message.currentEpoch === this.#electedEpoch && message.lastZxid > this.#initialZxid);
    if (ahead && !learner.suspect) this.stepDown(`server ${learner.sid} is ahead: epoch ${message.currentEpoch}, ${formatZxid(message.lastZxid)}`);
    return null;
  }

  // ---- synchronization

  #maybeEstablish(): void {
    const context = this.#context;
    if (context.durableSeq < this.#currentEpochSeq) return;
    let acked = 1;
    for (const learner of this.#learners.values()) if (learner.newLeaderAcked) acked++;
    if (acked < context.quorum) return;
    this.phase = 'broadcast';
    context.failedRounds = 0;
    context.trace('Established', { epoch: this.epoch, lastZxid: this.#initialZxid });
    context.commit(this.#initialZxid);
    context.effects.push({ type: 'state', state: 'LEADING', leader: context.config.sid, epoch: this.epoch });
    context.effects.push({ type: 'serving', serving: 'leader', epoch: this.epoch, originId: 0 });
  }

  #learnerUp(learner: LearnerHandler): void {
    this.#context.trace('LearnerUp', { sid: learner.sid });
    this.#context.effects.push({ type: 'learnerUp', channel: learner.channel.number, sid: learner.sid, originId: learner.originId });
  }

  // ---- broadcast

  #maybeCommit(): void {
    const context = this.#context;
    const reached = this.#reached;
    reached.length = 0;
    if (context.durableSeq >= this.#currentEpochSeq) reached.push(Math.max(context.durableZxid, makeZxid(this.epoch, 0)));
    for (const learner of this.#each) if (learner.newLeaderAcked) reached.push(learner.ackedZxid);
    const zxid = reachedByQuorum(reached, context.config.voters.length, 0);
    if (zxid <= context.committedZxid || zxid <= makeZxid(this.epoch, 0)) return;
    assert(zxid <= context.history.lastZxid, 'committed <= proposed');
    context.commit(zxid);
  }

  /** Starts a round for the tokens that wait, and answers those whose round a quorum has answered. */
  #confirm(): void {
    const context = this.#context;
    if (this.#waitingTokens.length > 0) {
      this.#round++;
      this.#rounds.push({ round: this.#round, tokens: this.#waitingTokens });
      this.#waitingTokens = [];
      const ping: PingMessage = { type: 'PING', round: this.#round };
      for (const learner of this.#each) if (learner.synced) context.send(learner.channel.number, ping);
    }
    if (this.#rounds.length === 0) return;
    const reached: number[] = [this.#round];
    for (const learner of this.#each) if (learner.synced) reached.push(learner.pongRound);
    const confirmed = reachedByQuorum(reached, context.config.voters.length, -1);
    while (this.#rounds.length > 0 && (this.#rounds[0] as { round: number }).round <= confirmed) {
      for (const token of (this.#rounds.shift() as { tokens: readonly number[] }).tokens) context.effects.push({ type: 'quorumConfirmed', token });
    }
  }

  // ---- learners

  /** Null, or why the channel must be closed. */
  #accept(learner: LearnerHandler, message: PeerMessage): string | null {
    switch (message.type) {
      case 'ACKEPOCH':
        return this.#onAckEpoch(learner, message);
      case 'ACK':
        if (this.phase === 'discovery' || !learner.onAck(message.zxid, this.epoch)) return `ACK ${message.zxid} out of place`;
        this.#progress();
        return null;
      case 'PONG':
        if (!Number.isSafeInteger(message.round) || message.round > this.#round || !learner.newLeaderSent) return 'PONG out of place';
        if (message.round > learner.pongRound) learner.pongRound = message.round;
        return null;
      case 'PIPELINE':
        if (!learner.synced) return 'PIPELINE out of place';
        this.#context.effects.push({ type: 'pipeline', channel: learner.channel.number, sid: learner.sid, originId: learner.originId, body: message.body });
        return null;
      default:
        return `${String(message.type)} out of place`;
    }
  }

  #drop(learner: LearnerHandler): void {
    if (!this.#learners.delete(learner.channel.number)) return;
    this.#each = [...this.#learners.values()];
    if (!learner.synced) return;
    this.#context.effects.push({ type: 'learnerDown', channel: learner.channel.number, sid: learner.sid, originId: learner.originId });
  }

  #heard(learner: LearnerHandler): void {
    this.#followedMs.set(learner.sid, this.#context.nowMs);
    this.#quorumAskedMs = NaN;
  }

  #progress(): void {
    this.#dirty = true;
    this.#progressMs = this.#context.nowMs;
  }

  #progressDeadlineMs(): number {
    for (const learner of this.#each) if (learner.reading) return Infinity;
    return this.#progressMs + this.#context.progressMs;
  }

  /** The newest time by which a quorum, this server included, was heard. */
  #quorumHeardMs(): number {
    const { nowMs } = this.#context;
    if (nowMs === this.#quorumAskedMs) return this.#quorumMs;
    const heard = this.#heardMs;
    let count = 0;
    heard[count++] = nowMs;
    for (const ms of this.#followedMs.values()) heard[count++] = ms;
    this.#quorumMs = reachedByQuorum(heard, this.#context.config.voters.length, Number.NEGATIVE_INFINITY);
    this.#quorumAskedMs = nowMs;
    return this.#quorumMs;
  }
}

function isAckEpoch(message: AckEpochMessage): boolean {
  const { currentEpoch, lastZxid, history, appliedZxid } = message;
  if (!Number.isSafeInteger(currentEpoch) || currentEpoch < 0 || currentEpoch > EPOCH_MAX) return false;
  if (!Number.isSafeInteger(lastZxid) || lastZxid < 0 || !Number.isSafeInteger(appliedZxid) || appliedZxid < 0) return false;
  if (!Array.isArray(history)) return false;
  let previous = -1;
  for (const end of history) {
    if (typeof end !== 'object' || end === null || !Number.isSafeInteger(end.epoch) || end.epoch <= previous) return false;
    if (!Number.isSafeInteger(end.lastZxid) || end.lastZxid > lastZxid || zxidEpoch(end.lastZxid) !== end.epoch) return false;
    previous = end.epoch;
  }
  return true;
}
