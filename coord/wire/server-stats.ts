/** What a server says of itself: the source of the four-letter words and of the HTTP commands. Plain data; the three lists are made only when asked for. */
import type { Zxid } from '../base/zxid.ts';

export type ServerMode = 'leader' | 'follower' | 'observer' | 'standalone' | 'read-only';

export interface ServerStats {
  /** drey's own version, such as 0.1.0. */
  readonly version: string;
  /** This server's number; 0 for a standalone server without one. */
  readonly sid: number;
  /** False: no quorum, or still starting. Then only sid, version, settings and environment mean something. */
  readonly serving: boolean;
  readonly mode: ServerMode;
  /** ZooKeeper's QuorumPeer detail: "leading - broadcast", "following - synchronization", "looking". */
  readonly peerState: string;
  readonly latency: LatencySummary;
  readonly readLatency: LatencySummary;
  readonly updateLatency: LatencySummary;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly aliveConnections: number;
  readonly outstandingRequests: number;
  readonly lastProcessedZxid: Zxid;
  readonly znodeCount: number;
  readonly ephemeralsCount: number;
  readonly approximateDataBytes: number;
  readonly watch: WatchSummary;
  readonly globalSessions: number;
  /** -1: not known on this system. */
  readonly openFileDescriptors: number;
  readonly maxFileDescriptors: number;
  readonly uptimeMs: number;
  readonly leader: LeaderStats | null;
  /** In the order in which they are printed: clientPort, dataDir, tickTime, … */
  readonly settings: readonly (readonly [key: string, value: string | number])[];
  /** host.name, os.name, user.dir, …, without zookeeper.version. */
  readonly environment: readonly (readonly [key: string, value: string])[];
  connections(): Iterable<ConnectionStats>;
  sessions(): Iterable<SessionStats>;
  ephemerals(): Iterable<readonly [sessionId: bigint, paths: Iterable<string>]>;
}

export interface LatencySummary {
  readonly count: number;
  readonly minMs: number;
  readonly avgMs: number;
  readonly maxMs: number;
}

export interface WatchSummary {
  /** Connections that watch something, the paths they watch, and the watches altogether. */
  readonly connections: number;
  readonly paths: number;
  readonly watches: number;
}

export interface LeaderStats {
  readonly learners: number;
  readonly syncedFollowers: number;
  readonly pendingSyncs: number;
  /** Voters. */
  readonly quorumSize: number;
  readonly proposalCount: number;
  /** Bytes of one proposal; -1 when there was none. */
  readonly lastProposalBytes: number;
  readonly minProposalBytes: number;
  readonly maxProposalBytes: number;
  readonly uptimeMs: number;
}

export interface ConnectionStats {
  readonly address: string;
  readonly port: number;
  readonly queued: number;
  readonly received: number;
  readonly sent: number;
  /** 0n: the handshake is not complete; what follows then means nothing. */
  readonly sessionId: bigint;
  /** A name of OpCode, or NA. */
  readonly lastOperation: string;
  readonly establishedWallMs: number;
  readonly sessionTimeoutMs: number;
  /** -1: there was none. */
  readonly lastXid: number;
  readonly lastZxid: Zxid;
  readonly lastResponseWallMs: number;
  readonly lastLatencyMs: number;
  readonly latency: LatencySummary;
}

export interface SessionStats {
  readonly sessionId: bigint;
  /** Milliseconds since 1970 of the bucket in which it expires; known to the leader only, 0 elsewhere. */
  readonly expiresWallMs: number;
}
