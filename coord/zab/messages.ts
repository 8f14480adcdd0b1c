/**
 * Messages between servers, as the core sees them. The names are ZooKeeper's (Leader.java, FastLeaderElection.java); departures are said here
 * and in docs/protocol/zab.md. coord/wire/peer-codec.ts turns them into msgpack frames.
 */
import type { Zxid } from '../base/zxid.ts';
import type { EpochEnd, TxnGroup } from './txn-group.ts';

export type ServerState = 'LOOKING' | 'FOLLOWING' | 'LEADING';

/** Vote.sid of a server that may not vote (its log is suspect): it asks who leads, and is never counted. */
export const NO_VOTE = -1;

export interface Vote {
  /** The proposed leader, or NO_VOTE. */
  readonly sid: number;
  readonly zxid: Zxid;
  /** The proposed leader's currentEpoch; compared first. */
  readonly peerEpoch: number;
}

// ---- election channel

/** FastLeaderElection.Notification. Promises nothing durable and is sent at once. */
export interface NotificationMessage {
  readonly type: 'NOTIFICATION';
  readonly vote: Vote;
  readonly electionEpoch: number;
  readonly state: ServerState;
}
/** Both directions, every heartbeatMs; hearing anything from a peer counts as a heartbeat. */
export interface HeartbeatMessage {
  readonly type: 'HEARTBEAT';
}

// ---- learner channel: learner → leader

export interface FollowerInfoMessage {
  readonly type: 'FOLLOWERINFO';
  readonly sid: number;
  readonly acceptedEpoch: number;
  /** The sender's log is damaged: it counts in no quorum before it has installed a SNAP. */
  readonly suspect: boolean;
}
export interface AckEpochMessage {
  readonly type: 'ACKEPOCH';
  readonly currentEpoch: number;
  readonly lastZxid: Zxid;
  /** Where each epoch ends in this server's history, ascending, as far back as its log knows: lets the leader find the last common zxid. */
  readonly history: readonly EpochEnd[];
  /** Everything up to here is in the learner's applied state; TRUNC never goes below. */
  readonly appliedZxid: Zxid;
}
/** Cumulative: everything up to `zxid` is durable at the sender. For NEWLEADER: zxid = makeZxid(epoch, 0). */
export interface AckMessage {
  readonly type: 'ACK';
  readonly zxid: Zxid;
}
export interface PongMessage {
  readonly type: 'PONG';
  readonly round: number;
}

// ---- learner channel: leader → learner

export interface LeaderInfoMessage {
  readonly type: 'LEADERINFO';
  readonly epoch: number;
  /** Names this learner channel in the headers of txns of this epoch (TxnHeader.originId); never 0, which is the leader itself. */
  readonly originId: number;
}
/** The learner's history is a prefix of the leader's, or is after cutting to `zxid`: PROPOSALs from there follow. */
export interface DiffMessage {
  readonly type: 'DIFF';
}
export interface TruncMessage {
  readonly type: 'TRUNC';
  readonly zxid: Zxid;
}
/** The state at baseZxid follows in chunks; then PROPOSALs from there. */
export interface SnapMessage {
  readonly type: 'SNAP';
  readonly baseZxid: Zxid;
}
export interface SnapChunkMessage {
  readonly type: 'SNAPCHUNK';
  /** Keys and values of the state store (coord/storage), at most 64 KB unless one entry alone is larger. */
  readonly entries: readonly (readonly [key: string, value: Uint8Array])[];
}
export interface SnapEndMessage {
  readonly type: 'SNAPEND';
  readonly baseZxid: Zxid;
  readonly entryCount: number;
}
/**
 * Ends the older epochs of the stream: nothing older comes after it, and nothing of `epoch` before it, except behind a SNAP, where it comes
 * when everything proposed at the time of ACKEPOCH has been sent.
 */
export interface NewLeaderMessage {
  readonly type: 'NEWLEADER';
  readonly epoch: number;
}
export interface UpToDateMessage {
  readonly type: 'UPTODATE';
  /** What is committed; the learner delivers up to here and then serves. */
  readonly zxid: Zxid;
}
export interface ProposalMessage {
  readonly type: 'PROPOSAL';
  readonly group: TxnGroup;
}
/** Cumulative. */
export interface CommitMessage {
  readonly type: 'COMMIT';
  readonly zxid: Zxid;
}
export interface PingMessage {
  readonly type: 'PING';
  readonly round: number;
}

/**
 * Whatever the request pipeline of one server says to that of another (REQUEST, session touches, REVALIDATE, SYNC), in order with
 * everything else on the learner channel. Opaque to ZAB. Learners speak to the leader, the leader to one learner.
 */
export interface PipelineMessage {
  readonly type: 'PIPELINE';
  readonly body: unknown;
}

export type ElectionMessage = NotificationMessage | HeartbeatMessage;
export type LearnerMessage =
  | FollowerInfoMessage | AckEpochMessage | AckMessage | PongMessage
  | LeaderInfoMessage | DiffMessage | TruncMessage | SnapMessage | SnapChunkMessage | SnapEndMessage
  | NewLeaderMessage | UpToDateMessage | ProposalMessage | CommitMessage | PingMessage | PipelineMessage;
export type PeerMessage = ElectionMessage | LearnerMessage;
