/**
 * What goes into and comes out of the ZAB core (coord/zab/peer.ts): `step(event, nowMs)` any number of times, then one `drain()`.
 * The driver (coord/runtime) carries the effects out in the order of this page and reports back by events.
 *
 * Durability rules, which live in the core and not in the driver:
 *  - persist ops of one drain are appended in order; `persisted {seq}` says that all ops up to seq are durable.
 *  - no ACK, no ACKEPOCH, and no count of the leader's own ack, before the `persisted` of what it promises.
 *  - sends of a drain need not wait for the persist ops of the same drain.
 */
import type { ChannelKind } from '../base/ports.ts';
import type { Zxid } from '../base/zxid.ts';
import type { PeerMessage, ServerState } from './messages.ts';
import type { EpochEnd, TxnGroup } from './txn-group.ts';

export interface PeerConfig {
  readonly sid: number;
  /** Sids of all voters, this one included; one voter is a standalone server and needs no channel. */
  readonly voters: readonly number[];
  /** A peer not heard for this long is silent; a leader that has not heard a quorum for this long steps down. Default 1000. */
  readonly detectMs: number;
  /** Default 200. */
  readonly heartbeatMs: number;
  /** How long an election waits for dissenting live peers once a quorum agrees. Default 50. */
  readonly electionGraceMs: number;
  /** Discovery and synchronization give up after this long without progress, growing per failed round. Default 250 (growing to 4000). */
  readonly progressMs: number;
  /** Bytes of PROPOSALs in flight to one learner beyond what it acked, before the leader waits. */
  readonly learnerWindowBytes: number;
  /** Recent groups kept in memory for DIFF; older ones are read from the journal. */
  readonly recentBytesMax: number;
  /** A leader gives up its epoch beyond this counter. Default 2^20 before the counter ends (leader.ts); less is for simulations. */
  readonly rolloverCounter?: number;
}

/** What recovery found on disk. */
export interface RecoveredHistory {
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  /** The state (tree and sessions) holds everything up to here; all of it is committed. */
  readonly appliedZxid: Zxid;
  /** The journal's groups after appliedZxid, contiguous: not yet known to be committed. */
  readonly tail: readonly TxnGroup[];
  /** Every epoch whose end the journal knows, ascending, the newest last; includes the epoch of appliedZxid. */
  readonly epochEnds: readonly EpochEnd[];
  /** Groups after this zxid can be read from the journal (DIFF from disk); the state alone covers what is older. */
  readonly journalStartZxid: Zxid;
  /** True: the log is damaged below its tail. Do not vote, do not lead; synchronize by SNAP, then be well again. */
  readonly suspect: boolean;
}

export type PeerEvent =
  /** Time has passed; also when the deadline named by drain() has come. */
  | { readonly type: 'clock' }
  | { readonly type: 'channelUp'; readonly kind: ChannelKind; readonly channel: number; readonly sid: number }
  | { readonly type: 'channelDown'; readonly channel: number }
  | { readonly type: 'dialFailed'; readonly sid: number }
  | { readonly type: 'message'; readonly channel: number; readonly message: PeerMessage }
  /** Everything up to this seq is durable. */
  | { readonly type: 'persisted'; readonly seq: number }
  /** Only while drain() said `serving: 'leader'`. Zxids must continue lastProposed. */
  | { readonly type: 'propose'; readonly group: TxnGroup }
  /** To the leader (channel = null, while following) or to the learner behind `channel`. Dropped when there is none. */
  | { readonly type: 'pipeline'; readonly channel: number | null; readonly body: unknown }
  /** Leader: confirm with a quorum round trip begun now that we still lead; answered by effect quorumConfirmed. */
  | { readonly type: 'confirmQuorum'; readonly token: number }
  /** Answer to effect readJournal: contiguous groups after the asked zxid; empty = cannot be read (purged or damaged): use SNAP. */
  | { readonly type: 'journalRead'; readonly channel: number; readonly groups: readonly TxnGroup[] }
  /** Answer to effect sendSnapshot: SNAP, its chunks and SNAPEND have been handed to the channel. */
  | { readonly type: 'snapshotSent'; readonly channel: number; readonly baseZxid: Zxid }
  /** SNAP could not be read or sent to the end; the channel is closed. */
  | { readonly type: 'snapshotFailed'; readonly channel: number };

export type PersistOp =
  | { readonly type: 'group'; readonly group: TxnGroup }
  /** Drops every group above zxid. Never below applied. */
  | { readonly type: 'truncate'; readonly zxid: Zxid }
  | { readonly type: 'hardState'; readonly acceptedEpoch: number; readonly currentEpoch: number }
  | { readonly type: 'snapshotBegin'; readonly baseZxid: Zxid }
  | { readonly type: 'snapshotChunk'; readonly entries: readonly (readonly [key: string, value: Uint8Array])[] }
  /**
   * The received state takes effect by one durable journal record naming generation, baseZxid and the epochs; the log restarts at
   * baseZxid. Together with it currentEpoch becomes `currentEpoch`.
   * `groups` continue baseZxid, through the rest of the new epoch's initial history up to what had been proposed when this server attached:
   * they belong to the same record. Were they separate, a crash between them would leave currentEpoch without its initial history, or a log
   * shorter than what this server had acked.
   */
  | {
      readonly type: 'snapshotInstall'; readonly baseZxid: Zxid; readonly acceptedEpoch: number; readonly currentEpoch: number;
      readonly groups: readonly TxnGroup[];
    };

/** What this server may do for clients. */
export type Serving = 'no' | 'follower' | 'leader';

/** In the order in which the driver must act on them within one drain. */
export type PeerEffect =
  /** `seq` increases by one per op over the life of the process. */
  | { readonly type: 'persist'; readonly seq: number; readonly op: PersistOp }
  | { readonly type: 'send'; readonly channel: number; readonly message: PeerMessage }
  /** A received snapshot was installed: the in-memory state must be replaced by it before anything later is delivered. */
  | { readonly type: 'resetState'; readonly baseZxid: Zxid }
  /** Committed groups, in order, each once: apply them. */
  | { readonly type: 'deliver'; readonly group: TxnGroup }
  | { readonly type: 'state'; readonly state: ServerState; readonly leader: number | null; readonly epoch: number }
  /**
   * Leaving 'no' comes after the deliver effects that bring the state up to date. originId names this server in txn headers of the
   * epoch (0 for the leader).
   */
  | { readonly type: 'serving'; readonly serving: Serving; readonly epoch: number; readonly originId: number }
  /** channel: the learner's (on the leader), null = from the leader. */
  | { readonly type: 'pipeline'; readonly channel: number | null; readonly sid: number; readonly originId: number; readonly body: unknown }
  /** Leader only: a learner has synchronized (its requests may come) or is gone. */
  | { readonly type: 'learnerUp'; readonly channel: number; readonly sid: number; readonly originId: number }
  | { readonly type: 'learnerDown'; readonly channel: number; readonly sid: number; readonly originId: number }
  | { readonly type: 'quorumConfirmed'; readonly token: number }
  | { readonly type: 'dialLearner'; readonly sid: number }
  | { readonly type: 'closeChannel'; readonly channel: number }
  | { readonly type: 'readJournal'; readonly channel: number; readonly afterZxid: Zxid; readonly bytesMax: number }
  /** Stream the state as of its newest flush to this channel: SNAP, SNAPCHUNKs, SNAPEND. */
  | { readonly type: 'sendSnapshot'; readonly channel: number }
  /** For people and for the simulator's judges; names are those of the Zab specification where there is one. */
  | { readonly type: 'trace'; readonly name: string; readonly fields: Readonly<Record<string, unknown>> };

export interface PeerDrain {
  readonly effects: readonly PeerEffect[];
  /** When to step {type:'clock'} next, on the same monotonic clock; Infinity = no deadline. */
  readonly deadlineMs: number;
}

/** Implemented by coord/zab/peer.ts. */
export interface PeerCore {
  step(event: PeerEvent, nowMs: number): void;
  drain(): PeerDrain;
  readonly state: ServerState;
  /** For people: what has to happen before this server can go on. */
  readonly waitsFor: string;
  /** Last zxid in the journal (proposed or logged), whether committed or not. */
  readonly lastZxid: Zxid;
  readonly committedZxid: Zxid;
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  /** Groups after this zxid must stay in the journal (learners being synchronized read them); Infinity = no such need. */
  readonly journalNeededAfter: Zxid;
  /** Learners that are synchronized, and all, for mntr. */
  readonly learners: { readonly synced: number; readonly total: number };
}
