/**
 * What the phases of one Peer share: configuration, the effects of the current drain, channels and who was heard when, the history, and
 * what this server has promised on disk.
 *
 * Invariants, asserted:
 *  - acceptedEpoch and currentEpoch never decrease and currentEpoch <= acceptedEpoch;
 *  - nothing of epoch e enters the log before currentEpoch >= e, unless it is older history handed over by a later leader;
 *  - `durableSeq` only rises; nobody tells another server that something is durable before it is covered by `durableSeq`.
 */
import { assert } from '../base/assert.ts';
import type { ChannelKind } from '../base/ports.ts';
import { EPOCH_MAX, type Zxid } from '../base/zxid.ts';
import type { PeerConfig, PeerEffect, PersistOp, RecoveredHistory } from './contract.ts';
import { History } from './history.ts';
import type { CommitMessage, PeerMessage, ProposalMessage } from './messages.ts';
import { quorumSize } from './quorum.ts';
import type { TxnGroup } from './txn-group.ts';

export const PROGRESS_MAX_MS = 4000;

export interface Channel {
  readonly number: number;
  readonly kind: ChannelKind;
  readonly sid: number;
  lastHeardMs: number;
}

/** Where the log ends once everything up to `seq` is durable. */
interface PendingPersist {
  readonly seq: number;
  readonly logEnd: Zxid;
  readonly sinceMs: number;
}

export class PeerContext {
  readonly config: PeerConfig;
  readonly quorum: number;
  readonly history: History;
  readonly channels = new Map<number, Channel>();
  /** The newest open election channel of each peer. */
  readonly electionChannels = new Map<number, Channel>();
  /** When each peer was last heard on whatever channel. */
  readonly lastHeardMs = new Map<number, number>();
  nowMs: number;
  effects: PeerEffect[] = [];

  acceptedEpoch: number;
  currentEpoch: number;
  /** Everything up to here was committed, as far as this server knows. Never decreases. */
  committedZxid: Zxid;
  /** The log is damaged: no vote, no place in a quorum, until a SNAP is durable. */
  suspect: boolean;
  /** Elections that led to nothing since the last time this server was synchronized; makes progress timeouts grow. */
  failedRounds = 0;
  /** When a leader was last dialled. */
  lastDialMs = Number.NEGATIVE_INFINITY;

  /** The last op handed out, and the last that is durable. */
  seq = 0;
  durableSeq = 0;
  /** End of the durable log. */
  durableZxid: Zxid;
  #pending: PendingPersist[] = [];
  #pendingHead = 0;
  #proposal: ProposalMessage | null = null;
  #commitMessage: CommitMessage | null = null;
  #install: { readonly seq: number; readonly baseZxid: Zxid } | null = null;

  constructor(config: PeerConfig, recovered: RecoveredHistory, nowMs: number) {
    assert(config.voters.includes(config.sid), 'a peer must be one of the voters');
    assert(recovered.currentEpoch <= recovered.acceptedEpoch || recovered.suspect, 'currentEpoch > acceptedEpoch on disk');
    this.config = config;
    this.quorum = quorumSize(config.voters.length);
    this.history = new History(recovered, config.recentBytesMax);
    this.nowMs = nowMs;
    this.acceptedEpoch = Math.max(recovered.acceptedEpoch, recovered.currentEpoch);
    this.currentEpoch = recovered.currentEpoch;
    this.committedZxid = recovered.appliedZxid;
    this.suspect = recovered.suspect;
    this.durableZxid = this.history.lastZxid;
  }

  // ---- effects

  send(channel: number, message: PeerMessage): void {
    this.effects.push({ type: 'send', channel, message });
  }

  /** Fields that end in zxid are numbers, `why` is for people. */
  trace(name: string, fields: Readonly<Record<string, unknown>>): void {
    this.effects.push({ type: 'trace', name, fields });
  }

  /** One object for all learners that are sent the same group, so that the driver encodes it once. */
  proposal(group: TxnGroup): ProposalMessage {
    if (this.#proposal?.group !== group) this.#proposal = { type: 'PROPOSAL', group };
    return this.#proposal;
  }

  /** The same for COMMIT. */
  commitMessage(zxid: Zxid): CommitMessage {
    if (this.#commitMessage?.zxid !== zxid) this.#commitMessage = { type: 'COMMIT', zxid };
    return this.#commitMessage;
  }

  /** Closes a channel from this side; its later events find nothing. */
  close(channel: number, why: string): void {
    const known = this.channels.get(channel);
    if (known === undefined) return;
    this.trace('CloseChannel', { channel, sid: known.sid, kind: known.kind, why });
    this.forget(known);
    this.effects.push({ type: 'closeChannel', channel });
  }

  forget(channel: Channel): void {
    this.channels.delete(channel.number);
    if (this.electionChannels.get(channel.sid) !== channel) return;
    this.electionChannels.delete(channel.sid);
    for (const other of this.channels.values()) {
      if (other.kind === 'election' && other.sid === channel.sid) this.electionChannels.set(channel.sid, other);
    }
  }

  broadcastElection(message: PeerMessage): void {
    for (const channel of this.electionChannels.values()) this.send(channel.number, message);
  }

  heardSince(sid: number): number {
    return this.lastHeardMs.get(sid) ?? Number.NEGATIVE_INFINITY;
  }

  get progressMs(): number {
    return Math.min(PROGRESS_MAX_MS, this.config.progressMs * 2 ** Math.min(this.failedRounds, 10));
  }

  // ---- the log and the hard state

  persist(op: PersistOp): number {
    const seq = ++this.seq;
    this.#pending.push({ seq, logEnd: this.history.lastZxid, sinceMs: this.nowMs });
    this.effects.push({ type: 'persist', seq, op });
    return seq;
  }

  appendGroup(group: TxnGroup): number {
    this.history.append(group);
    return this.persist({ type: 'group', group });
  }

  truncate(zxid: Zxid): void {
    this.trace('Truncate', { lastZxid: this.history.lastZxid, zxid });
    this.history.truncate(zxid);
    this.persist({ type: 'truncate', zxid });
  }

  persistEpochs(acceptedEpoch: number, currentEpoch: number): number {
    this.#raiseEpochs(acceptedEpoch, currentEpoch);
    return this.persist({ type: 'hardState', acceptedEpoch, currentEpoch });
  }

  /** The disk owes an answer for twice as long as a peer may be silent: disks have hiccups, and peers that wait for one are not worse off. */
  get diskIsSilent(): boolean {
    const oldest = this.#pending[this.#pendingHead];
    return oldest !== undefined && this.nowMs >= oldest.sinceMs + 2 * this.config.detectMs;
  }

  /** The received snapshot, the groups that complete the initial history of `epoch`, and currentEpoch, in one durable step. */
  installSnapshot(baseZxid: Zxid, epoch: number, groups: readonly TxnGroup[]): number {
    this.#raiseEpochs(Math.max(epoch, this.acceptedEpoch), epoch);
    this.history.install(baseZxid);
    for (const group of groups) this.history.append(group);
    const seq = this.persist({ type: 'snapshotInstall', baseZxid, acceptedEpoch: this.acceptedEpoch, currentEpoch: epoch, groups });
    this.#install = { seq, baseZxid };
    return seq;
  }

  onPersisted(seq: number): void {
    assert(seq <= this.seq, 'persisted more than was handed out');
    if (seq <= this.durableSeq) return;
    this.durableSeq = seq;
    while (this.#pendingHead < this.#pending.length) {
      const pending = this.#pending[this.#pendingHead] as PendingPersist;
      if (pending.seq > seq) break;
      this.durableZxid = pending.logEnd;
      this.#pendingHead++;
    }
    this.history.evictableZxid = this.durableZxid;
    if (this.#pendingHead === this.#pending.length) {
      this.#pending.length = 0;
      this.#pendingHead = 0;
    } else if (this.#pendingHead > 1024) {
      this.#pending = this.#pending.slice(this.#pendingHead);
      this.#pendingHead = 0;
    }
    if (this.#install !== null && this.#install.seq <= seq) {
      this.effects.push({ type: 'resetState', baseZxid: this.#install.baseZxid });
      this.#install = null;
      this.suspect = false;
    }
  }

  // ---- commitment

  /** Everything up to `zxid` is committed: deliver what the log holds of it. */
  commit(zxid: Zxid): void {
    assert(zxid >= this.committedZxid, 'committedZxid never decreases');
    this.committedZxid = zxid;
    for (let group = this.history.deliverNext(zxid); group !== null; group = this.history.deliverNext(zxid)) {
      this.effects.push({ type: 'deliver', group });
      this.trace('Deliver', { zxid: group.lastZxid });
    }
  }

  #raiseEpochs(acceptedEpoch: number, currentEpoch: number): void {
    assert(acceptedEpoch <= EPOCH_MAX, 'epochs are exhausted');
    assert(acceptedEpoch >= this.acceptedEpoch && currentEpoch >= this.currentEpoch, 'epochs never decrease');
    assert(currentEpoch <= acceptedEpoch, 'currentEpoch <= acceptedEpoch');
    this.acceptedEpoch = acceptedEpoch;
    this.currentEpoch = currentEpoch;
  }
}
