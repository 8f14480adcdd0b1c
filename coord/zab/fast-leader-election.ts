/**
 * Who should lead: votes are exchanged until a quorum agrees on one server, or until an existing leader is found.
 *
 * Decides: the leader to follow, or that this server shall try to lead. That is only a guess that saves time: whether the elected server may
 * lead is settled by discovery, so no vote has to be durable.
 *
 * Invariants:
 *  - votes are ordered by (peerEpoch, zxid, sid), and are counted within one election round only;
 *  - an existing leader is joined on a quorum of FOLLOWING or LEADING notices for it, its own LEADING notice among them; never oneself. After
 *    detectMs without an election its own notice is enough: its followers may be out of this server's reach, and its word for it is not taken,
 *    since nobody leads without a quorum;
 *  - a server that may not vote (NO_VOTE) is not counted and not waited for: its log is damaged, or its disk does not answer. Whoever was
 *    elected without a disk could promise nothing, and its log would have it elected again and again;
 *  - notices that name a server outside the voters are ignored.
 *
 * Source: FastLeaderElection.java. Departures: silent disks, leaders whose followers are not heard, and no fixed wait (finalizeWait, 200 ms). A quorum's agreement decides at once when every live
 * peer agrees too, otherwise after electionGraceMs. Live = its election channel is up and it was heard within detectMs.
 * Leaves to others: heartbeats and channels (peer.ts), everything that must be durable (leader.ts, learner.ts).
 */
import { EPOCH_MAX, formatZxid } from '../base/zxid.ts';
import type { ServerState, NotificationMessage, Vote } from './messages.ts';
import { NO_VOTE } from './messages.ts';
import type { PeerContext } from './peer-context.ts';

const RESEND_FACTOR_MAX = 16;

/** Whether vote a is to be preferred to b. */
function outranks(a: Vote, b: Vote): boolean {
  if (a.peerEpoch !== b.peerEpoch) return a.peerEpoch > b.peerEpoch;
  if (a.zxid !== b.zxid) return a.zxid > b.zxid;
  return a.sid > b.sid;
}

function sameVote(a: Vote, b: Vote): boolean {
  return a.sid === b.sid && a.zxid === b.zxid && a.peerEpoch === b.peerEpoch;
}

export class FastLeaderElection {
  readonly #context: PeerContext;
  /** logicalclock of FastLeaderElection.java: rises with every election this server begins or joins. */
  round = 0;
  /** The vote this server stands by; once decided, for its leader. */
  vote: Vote;
  /** Set when the election is over. */
  decided: number | null = null;
  /** Votes of this round. Notices of servers that are not LOOKING count here for the same leader only. */
  readonly #received = new Map<number, NotificationMessage>();
  /** Newest notices of servers that are not LOOKING, of whatever round. */
  readonly #outOfElection = new Map<number, NotificationMessage>();
  /** Votes of newer rounds that came while this server was not LOOKING, with the time they came. */
  readonly #early = new Map<number, { readonly notice: NotificationMessage; readonly atMs: number }>();
  /** LOOKING servers that may not vote. */
  readonly #abstaining = new Set<number>();
  #startedMs = 0;
  #agreedSinceMs = Infinity;
  #resendAtMs = Infinity;
  #resendFactor = 1;

  constructor(context: PeerContext) {
    this.#context = context;
    this.vote = { sid: NO_VOTE, zxid: 0, peerEpoch: 0 };
  }

  /** Begins a new round with a vote for this server itself. */
  start(): void {
    this.round++;
    this.#startedMs = this.#context.nowMs;
    this.decided = null;
    this.vote = this.#initialVote();
    this.#received.clear();
    this.#outOfElection.clear();
    this.#agreedSinceMs = Infinity;
    this.#resendFactor = 1;
    this.#propose();
    // Whoever noticed first that the leader is gone has voted already, and would not say it again for a while.
    for (const [from, { notice, atMs }] of this.#early) {
      if (this.#context.nowMs < atMs + this.#context.config.detectMs) this.onNotification(from, notice);
    }
    this.#early.clear();
    this.#check();
  }

  /** Keeps a vote for the election that this server has not begun yet. */
  remember(from: number, notice: NotificationMessage): void {
    this.#early.set(from, { notice, atMs: this.#context.nowMs });
  }

  onChannelUp(sid: number): void {
    const channel = this.#context.electionChannels.get(sid);
    if (this.decided === null && channel !== undefined) this.#context.send(channel.number, this.notification('LOOKING'));
  }

  /** In every state. Whoever was there may be gone: its notices would make a dead leader look alive. Its vote of this round stands. */
  onChannelDown(sid: number): void {
    if (this.#context.electionChannels.has(sid)) return;
    this.#early.delete(sid);
    this.#outOfElection.delete(sid);
    this.#abstaining.delete(sid);
    if (this.decided === null && this.vote.sid !== NO_VOTE) this.#check();
  }

  notification(state: ServerState): NotificationMessage {
    return { type: 'NOTIFICATION', vote: this.vote, electionEpoch: this.round, state };
  }

  /** While LOOKING only; a server that is not LOOKING answers in peer.ts. The notice is well-formed, its sender a voter other than this server. */
  onNotification(from: number, notice: NotificationMessage): void {
    if (this.decided !== null) return;
    if (notice.state === 'LOOKING') this.#onLooking(from, notice);
    else this.#onSettled(from, notice);
    this.#check();
  }

  /** While LOOKING: the disk answers again. */
  onPersisted(): void {
    if (this.decided === null && this.vote.sid === NO_VOTE && this.#initialVote().sid !== NO_VOTE) this.start();
  }

  onClock(): void {
    if (this.decided !== null) return;
    const context = this.#context;
    if (context.nowMs >= this.#resendAtMs) {
      this.#resendFactor = Math.min(this.#resendFactor * 2, RESEND_FACTOR_MAX);
      this.#propose();
    }
    this.#check();
  }

  /** For people. */
  get waitsFor(): string {
    const { vote } = this;
    const votes = [...this.#received].map(([sid, notice]) => `${sid} for ${notice.vote.sid}`).join(', ');
    return `votes of round ${this.round}, ${vote.sid === NO_VOTE ? 'may not vote' : `votes for ${vote.sid} (epoch ${vote.peerEpoch}, ${formatZxid(vote.zxid)})`}, has ${votes === '' ? 'none' : votes}`;
  }

  get deadlineMs(): number {
    if (this.decided !== null) return Infinity;
    const { nowMs, config } = this.#context;
    const patienceMs = this.#startedMs + config.detectMs;
    return Math.min(this.#resendAtMs, this.#agreedSinceMs + config.electionGraceMs, patienceMs > nowMs ? patienceMs : Infinity);
  }

  #onLooking(from: number, notice: NotificationMessage): void {
    this.#outOfElection.delete(from);
    if (notice.vote.sid === NO_VOTE) {
      this.#abstaining.add(from);
      this.#received.delete(from);
      return;
    }
    this.#abstaining.delete(from);
    if (this.vote.sid === NO_VOTE) return;
    if (notice.electionEpoch < this.round) {
      // It has missed this round; tell it.
      const channel = this.#context.electionChannels.get(from);
      if (channel !== undefined) this.#context.send(channel.number, this.notification('LOOKING'));
      return;
    }
    if (notice.electionEpoch > this.round) {
      this.round = notice.electionEpoch;
      this.#received.clear();
      const own = this.#initialVote();
      this.vote = own.sid !== NO_VOTE && outranks(notice.vote, own) ? notice.vote : own;
      this.#changed();
      if (own.sid === NO_VOTE) return;
    } else if (outranks(notice.vote, this.vote)) {
      this.vote = notice.vote;
      this.#changed();
    }
    this.#received.set(from, notice);
  }

  #onSettled(from: number, notice: NotificationMessage): void {
    this.#abstaining.delete(from);
    this.#outOfElection.set(from, notice);
    if (notice.electionEpoch === this.round) this.#received.set(from, notice);
  }

  #initialVote(): Vote {
    const { suspect, diskIsSilent, config, history, currentEpoch } = this.#context;
    if (suspect || diskIsSilent) return { sid: NO_VOTE, zxid: 0, peerEpoch: 0 };
    return { sid: config.sid, zxid: history.lastZxid, peerEpoch: currentEpoch };
  }

  #changed(): void {
    this.#agreedSinceMs = Infinity;
    this.#resendFactor = 1;
    this.#propose();
  }

  #propose(): void {
    const { config, nowMs } = this.#context;
    if (config.voters.length > 1) this.#resendAtMs = nowMs + config.heartbeatMs * this.#resendFactor;
    this.#context.broadcastElection(this.notification('LOOKING'));
  }

  #check(): void {
    if (this.decided !== null) return;
    const existing = this.#existingLeader();
    if (existing !== null) {
      // The leader's round becomes ours, so that a later LOOKING notice of either side is recognized as newer.
      this.round = existing.electionEpoch;
      this.vote = existing.vote;
      this.#decide('existing');
    } else if (this.vote.sid !== NO_VOTE) {
      this.#checkAgreement();
    }
  }

  #existingLeader(): NotificationMessage | null {
    const { config, quorum, nowMs } = this.#context;
    const isPatient = nowMs < this.#startedMs + config.detectMs;
    let newest: NotificationMessage | null = null;
    for (const [sid, notice] of this.#outOfElection) {
      if (notice.state !== 'LEADING' || notice.vote.sid !== sid || sid === config.sid) continue;
      let supporters = 0;
      for (const other of this.#outOfElection.values()) if (other.vote.sid === sid) supporters++;
      if (supporters >= quorum) return notice;
      const isHeard = nowMs < this.#context.heardSince(sid) + config.detectMs;
      if (!isPatient && isHeard && (newest === null || notice.electionEpoch > newest.electionEpoch)) newest = notice;
    }
    return newest;
  }

  #checkAgreement(): void {
    const { config, quorum, nowMs } = this.#context;
    let agreeing = 1;
    for (const notice of this.#received.values()) if (this.#agrees(notice)) agreeing++;
    if (agreeing < quorum) {
      this.#agreedSinceMs = Infinity;
      return;
    }
    if (this.#agreedSinceMs === Infinity) this.#agreedSinceMs = nowMs;
    if (nowMs >= this.#agreedSinceMs + config.electionGraceMs || this.#everyLivePeerAgrees()) this.#decide('agreed');
  }

  #agrees(notice: NotificationMessage): boolean {
    return notice.state === 'LOOKING' ? sameVote(notice.vote, this.vote) : notice.vote.sid === this.vote.sid;
  }

  #everyLivePeerAgrees(): boolean {
    const { config, electionChannels, nowMs } = this.#context;
    for (const sid of electionChannels.keys()) {
      if (nowMs >= this.#context.heardSince(sid) + config.detectMs || this.#abstaining.has(sid)) continue;
      const notice = this.#received.get(sid);
      if (notice === undefined || !this.#agrees(notice)) return false;
    }
    return true;
  }

  #decide(how: string): void {
    this.decided = this.vote.sid;
    this.#context.trace('ElectionDecided', { leader: this.vote.sid, round: this.round, how });
  }
}

/** A notice that is not, or that names a foreign server, must not disturb anything (ZOOKEEPER-3769). */
export function isWellFormed(notice: NotificationMessage, voters: readonly number[]): boolean {
  const vote = notice.vote;
  if (typeof vote !== 'object' || vote === null) return false;
  if (!Number.isSafeInteger(notice.electionEpoch) || notice.electionEpoch < 0) return false;
  if (notice.state !== 'LOOKING' && notice.state !== 'FOLLOWING' && notice.state !== 'LEADING') return false;
  if (!Number.isSafeInteger(vote.zxid) || vote.zxid < 0) return false;
  if (!Number.isSafeInteger(vote.peerEpoch) || vote.peerEpoch < 0 || vote.peerEpoch > EPOCH_MAX) return false;
  if (vote.sid === NO_VOTE) return notice.state === 'LOOKING';
  return voters.includes(vote.sid);
}
