/**
 * The leader's side of one learner channel: the learner's way from FOLLOWERINFO to UPTODATE, and its cursor in the leader's history.
 *
 * The stream to a learner is: DIFF, TRUNC or a snapshot; the groups of older epochs; NEWLEADER(e) exactly where the leader's initial history
 * ends; the groups of e. It never jumps and never repeats. After a snapshot, NEWLEADER waits until everything that was proposed when the
 * learner attached has been sent: the snapshot takes the place of a log in which the learner may have acked, and so helped to commit, as much.
 *
 * Invariants:
 *  - `cursor` is the last zxid handed to the channel; an ACK beyond it is refused;
 *  - COMMIT and UPTODATE never name a zxid beyond the cursor;
 *  - a pipeline message overtakes nothing that was committed before it, also when the window is full: SYNCED and REVALIDATED promise that much;
 *  - bytes handed over and not yet acked stay within learnerWindowBytes (one group may exceed it alone). Exempt are the older groups behind a
 *    snapshot: the learner can ack them only together with NEWLEADER. They are what had not been flushed when it attached.
 *
 * Source: LearnerHandler.java. Leaves quorums and epochs to leader.ts, the choice of DIFF, TRUNC or SNAP to synchronization.ts.
 */
import { assert } from '../base/assert.ts';
import { empty } from '../base/empty.ts';
import { formatZxid, makeZxid, type Zxid } from '../base/zxid.ts';
import { continues } from './history.ts';
import type { AckEpochMessage } from './messages.ts';
import type { Channel, PeerContext } from './peer-context.ts';
import { planSynchronization, type SyncPlan } from './synchronization.ts';
import type { TxnGroup } from './txn-group.ts';

/** At most this much is asked of the journal at once. */
const READ_BYTES_MAX = 1 << 20;

export class LearnerHandler {
  readonly channel: Channel;
  readonly originId: number;
  /** From FOLLOWERINFO. */
  readonly acceptedEpoch: number;
  /** Its log is damaged: counts in no quorum until it has acked NEWLEADER. */
  readonly suspect: boolean;
  readonly sinceMs: number;
  leaderInfoSent = false;
  ackEpoch: AckEpochMessage | null = null;
  newLeaderAcked = false;
  synced = false;
  /** Everything up to here is durable at the learner; from NEWLEADER on this counts in quorums. */
  ackedZxid: Zxid = 0;
  pongRound = 0;

  readonly #context: PeerContext;
  #plan: SyncPlan | null = null;
  /** DIFF or TRUNC was sent, or the snapshot. */
  #opened = false;
  #awaiting: 'nothing' | 'snapshot' | 'journal' = 'nothing';
  #newLeaderSent = false;
  /** What had been proposed when the learner attached. UPTODATE waits until it has acked that. */
  #targetZxid: Zxid = 0;
  #cursor: Zxid = 0;
  /** Index of the group after the cursor, when it is in memory. */
  #nextIndex = -1;
  #fromJournal: readonly TxnGroup[] = [];
  #fromJournalNext = 0;
  #commitSent: Zxid = 0;
  /** Pipeline messages that wait until the learner has been sent what was committed before them. */
  #pipeline: { readonly afterZxid: Zxid; readonly body: unknown }[] = [];
  /** Groups in flight: #flightZxids[i] is acked together with #flightBytes[i] bytes. */
  #flightZxids: Zxid[] = [];
  #flightBytes: number[] = [];
  #flightHead = 0;
  #inFlightBytes = 0;

  constructor(context: PeerContext, channel: Channel, originId: number, acceptedEpoch: number, suspect: boolean) {
    this.#context = context;
    this.channel = channel;
    this.originId = originId;
    this.acceptedEpoch = acceptedEpoch;
    this.suspect = suspect;
    this.sinceMs = context.nowMs;
  }

  get sid(): number {
    return this.channel.sid;
  }
  get newLeaderSent(): boolean {
    return this.#newLeaderSent;
  }
  get cursor(): Zxid {
    return this.#cursor;
  }
  /** The driver is reading for this learner, so that silence on the channel means nothing. */
  get reading(): boolean {
    return this.#awaiting !== 'nothing';
  }
  /** Groups after this must stay in the journal for this learner. While a snapshot is on its way its base is not known here: all that is there. */
  get journalNeededAfter(): Zxid {
    if (this.#plan === null) return Infinity;
    return this.#awaiting === 'snapshot' ? 0 : this.#cursor;
  }

  sendLeaderInfo(epoch: number): void {
    this.leaderInfoSent = true;
    this.#context.send(this.channel.number, { type: 'LEADERINFO', epoch, originId: this.originId });
  }

  /** `ackEpoch` has come and the leader's initial history is settled. */
  startSync(): void {
    const ackEpoch = this.ackEpoch;
    assert(ackEpoch !== null, 'synchronization begins after ACKEPOCH');
    this.#targetZxid = this.#context.history.lastZxid;
    this.#takePlan(this.suspect ? { type: 'SNAP', why: 'suspect log' } : planSynchronization(this.#context.history, ackEpoch));
  }

  onSnapshotSent(baseZxid: Zxid): void {
    if (this.#awaiting !== 'snapshot') return;
    assert(baseZxid <= this.#context.history.deliveredZxid, 'a snapshot holds nothing that was not delivered');
    this.#awaiting = 'nothing';
    this.#opened = true;
    this.#cursor = baseZxid;
  }

  onJournalRead(groups: readonly TxnGroup[]): void {
    if (this.#awaiting !== 'journal') return;
    this.#awaiting = 'nothing';
    if (groups.length > 0) {
      this.#fromJournal = groups;
      this.#fromJournalNext = 0;
    } else if (this.#opened) {
      this.#context.close(this.channel.number, 'the journal can no longer be read for this learner');
    } else {
      this.#takePlan({ type: 'SNAP', why: 'the journal cannot be read' });
    }
  }

  /** False: the ACK is not one this learner can give. */
  onAck(zxid: Zxid, epoch: number): boolean {
    const newLeaderZxid = makeZxid(epoch, 0);
    if (!Number.isSafeInteger(zxid) || zxid < this.ackedZxid) return false;
    if (zxid > this.#cursor && !(this.#newLeaderSent && zxid === newLeaderZxid)) return false;
    if (zxid >= newLeaderZxid && !this.#newLeaderSent) return false;
    this.ackedZxid = zxid;
    if (zxid >= newLeaderZxid) this.newLeaderAcked = true;
    while (this.#flightHead < this.#flightZxids.length && (this.#flightZxids[this.#flightHead] as Zxid) <= zxid) {
      this.#inFlightBytes -= this.#flightBytes[this.#flightHead] as number;
      this.#flightHead++;
    }
    if (this.#flightHead === this.#flightZxids.length) {
      empty(this.#flightZxids);
      empty(this.#flightBytes);
      this.#flightHead = 0;
    } else if (this.#flightHead > 1024) {
      this.#flightZxids = this.#flightZxids.slice(this.#flightHead);
      this.#flightBytes = this.#flightBytes.slice(this.#flightHead);
      this.#flightHead = 0;
    }
    return true;
  }

  /** Sends what the window allows of the history after the cursor. `initialZxid`: where the leader's initial history ends. */
  pump(epoch: number, initialZxid: Zxid): void {
    if (this.#plan === null || this.#awaiting !== 'nothing') return;
    const { history } = this.#context;
    for (;;) {
      const opening = !this.#opened;
      if (!opening && !this.#newLeaderSent && this.#cursor >= (this.#plan.type === 'SNAP' ? this.#targetZxid : initialZxid)) {
        this.#newLeaderSent = true;
        this.#context.send(this.channel.number, { type: 'NEWLEADER', epoch });
      }
      if (this.#cursor === history.lastZxid) {
        if (!opening) return;
        this.#open();
        continue;
      }
      const group = this.#nextGroup();
      if (group === null) return;
      if (opening) {
        this.#open();
        continue;
      }
      if (!this.#fitsWindow(group.bytes.length)) return;
      this.#sendGroup(group);
    }
  }

  /** UPTODATE when it is due. `committedZxid` of an established leader. True: the learner is synchronized now. */
  maybeUpToDate(committedZxid: Zxid): boolean {
    if (this.synced || !this.newLeaderAcked || this.ackedZxid < this.#targetZxid) return false;
    this.synced = true;
    this.#commitSent = Math.min(committedZxid, this.#cursor);
    this.#context.send(this.channel.number, { type: 'UPTODATE', zxid: this.#commitSent });
    return true;
  }

  /** One cumulative COMMIT for what the learner was sent and does not know to be committed. */
  sendCommit(committedZxid: Zxid): void {
    if (!this.synced) return;
    const zxid = Math.min(committedZxid, this.#cursor);
    if (zxid <= this.#commitSent) return;
    this.#commitSent = zxid;
    this.#context.send(this.channel.number, this.#context.commitMessage(zxid));
  }

  pipeline(body: unknown, committedZxid: Zxid): void {
    this.#pipeline.push({ afterZxid: committedZxid, body });
    this.sendPipeline();
  }

  /** What the cursor, and the COMMITs sent, have reached. */
  sendPipeline(): void {
    while (this.#pipeline.length > 0) {
      const { afterZxid, body } = this.#pipeline[0] as { afterZxid: Zxid; body: unknown };
      if (afterZxid > this.#commitSent) return;
      this.#pipeline.shift();
      this.#context.send(this.channel.number, { type: 'PIPELINE', body });
    }
  }

  #takePlan(plan: SyncPlan): void {
    this.#plan = plan;
    const position = plan.type === 'SNAP' ? plan.why : formatZxid(plan.zxid);
    this.#context.trace('SyncPlan', { sid: this.sid, plan: plan.type, position });
    if (plan.type === 'SNAP') {
      this.#awaiting = 'snapshot';
      this.#context.effects.push({ type: 'sendSnapshot', channel: this.channel.number });
    } else {
      this.#cursor = plan.zxid;
    }
  }

  #open(): void {
    const plan = this.#plan as SyncPlan;
    assert(plan.type !== 'SNAP', 'SNAP is opened by the driver');
    this.#opened = true;
    this.#context.send(this.channel.number, plan.type === 'DIFF' ? { type: 'DIFF' } : { type: 'TRUNC', zxid: plan.zxid });
  }

  /** The group after the cursor; null when it must be read first, which has been asked for. */
  #nextGroup(): TxnGroup | null {
    const { history } = this.#context;
    while (this.#fromJournalNext < this.#fromJournal.length) {
      const group = this.#fromJournal[this.#fromJournalNext] as TxnGroup;
      if (group.firstZxid > this.#cursor) {
        assert(continues(this.#cursor, group), 'the journal was read with a hole');
        return group;
      }
      this.#fromJournalNext++;
    }
    this.#fromJournal = [];
    this.#fromJournalNext = 0;
    if (this.#nextIndex < history.firstIndex || this.#nextIndex >= history.endIndex) this.#nextIndex = history.indexAfter(this.#cursor);
    if (this.#nextIndex >= 0) return history.groupAt(this.#nextIndex);
    if (!this.#fitsWindow(1)) return null;
    this.#awaiting = 'journal';
    this.#context.effects.push({
      type: 'readJournal', channel: this.channel.number, afterZxid: this.#cursor, bytesMax: Math.min(READ_BYTES_MAX, this.#context.config.learnerWindowBytes),
    });
    return null;
  }

  #fitsWindow(bytes: number): boolean {
    if (this.#inFlightBytes === 0 || (this.#plan?.type === 'SNAP' && !this.#newLeaderSent)) return true;
    return this.#inFlightBytes + bytes <= this.#context.config.learnerWindowBytes;
  }

  #sendGroup(group: TxnGroup): void {
    this.#context.send(this.channel.number, this.#context.proposal(group));
    this.#cursor = group.lastZxid;
    if (this.#nextIndex >= 0) this.#nextIndex++;
    this.#flightZxids.push(group.lastZxid);
    this.#flightBytes.push(group.bytes.length);
    this.#inFlightBytes += group.bytes.length;
  }
}
