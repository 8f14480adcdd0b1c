/** What a server counts about itself, and how the four-letter words' ServerStats is made from it. */
import { OpCode } from '../wire/codes.ts';
import type { ConnectionStats, LatencySummary, ServerStats } from '../wire/server-stats.ts';
import type { Connection } from './connection.ts';
import type { Server } from './server.ts';

/** What only the process around the core knows. */
export interface ServerDescription {
  readonly version: string;
  readonly settings: readonly (readonly [key: string, value: string | number])[];
  readonly environment: readonly (readonly [key: string, value: string])[];
  readonly openFileDescriptors: () => number;
  readonly maxFileDescriptors: () => number;
}

class Latency {
  #count = 0;
  #min = 0;
  #max = 0;
  #sum = 0;

  add(ms: number): void {
    if (this.#count === 0 || ms < this.#min) this.#min = ms;
    if (ms > this.#max) this.#max = ms;
    this.#sum += ms;
    this.#count++;
  }
  summary(): LatencySummary {
    return { count: this.#count, minMs: this.#min, avgMs: this.#count === 0 ? 0 : this.#sum / this.#count, maxMs: this.#max };
  }
}

export class ServerCounters {
  received = 0;
  sent = 0;
  expired = 0;
  readonly #reads = new Latency();
  readonly #updates = new Latency();
  readonly #all = new Latency();
  #proposals = 0;
  #lastProposalBytes = -1;
  #minProposalBytes = -1;
  #maxProposalBytes = -1;

  replied(op: number, latencyMs: number): void {
    this.sent++;
    this.#all.add(latencyMs);
    if (op === OpCode.getData || op === OpCode.exists || op === OpCode.getChildren || op === OpCode.getChildren2) this.#reads.add(latencyMs);
    else if (op !== OpCode.ping) this.#updates.add(latencyMs);
  }

  proposed(bytes: number): void {
    this.#proposals++;
    this.#lastProposalBytes = bytes;
    if (this.#minProposalBytes < 0 || bytes < this.#minProposalBytes) this.#minProposalBytes = bytes;
    if (bytes > this.#maxProposalBytes) this.#maxProposalBytes = bytes;
  }

  stats(server: Server, description: ServerDescription, nowMs: number, wallMs: number): ServerStats {
    const { tree, peer, serving, watches } = server;
    const leading = serving === 'leader';
    const uptimeMs = serving === 'no' ? 0 : nowMs - server.servingSinceMs;
    return {
      version: description.version,
      sid: server.config.sid,
      serving: serving !== 'no',
      mode: server.config.standalone ? 'standalone' : leading ? 'leader' : 'follower',
      peerState: leading ? 'leading - broadcast' : serving === 'follower' ? 'following - broadcast' : peer.state.toLowerCase(),
      latency: this.#all.summary(),
      readLatency: this.#reads.summary(),
      updateLatency: this.#updates.summary(),
      packetsReceived: this.received,
      packetsSent: this.sent,
      aliveConnections: server.connections.size,
      outstandingRequests: server.outstanding,
      lastProcessedZxid: tree.lastProcessedZxid,
      znodeCount: tree.nodeCount,
      ephemeralsCount: tree.ephemeralsCount,
      approximateDataBytes: tree.approximateDataSize,
      watch: { connections: watches.watcherCount, paths: watches.pathCount, watches: watches.watchCount },
      globalSessions: tree.sessions.size,
      openFileDescriptors: description.openFileDescriptors(),
      maxFileDescriptors: description.maxFileDescriptors(),
      uptimeMs,
      leader: leading && !server.config.standalone
        ? {
            learners: peer.learners.total, syncedFollowers: peer.learners.synced, pendingSyncs: peer.learners.total - peer.learners.synced, quorumSize: server.config.voters,
            proposalCount: this.#proposals, lastProposalBytes: this.#lastProposalBytes, minProposalBytes: this.#minProposalBytes, maxProposalBytes: this.#maxProposalBytes, uptimeMs,
          }
        : null,
      settings: description.settings,
      environment: description.environment,
      connections: () => [...server.connections.values()].map(connectionStats),
      sessions: () => [...tree.sessions].map(([sessionId]) => ({ sessionId, expiresWallMs: server.expiresWallMs(sessionId, nowMs, wallMs) })),
      ephemerals: () => [...tree.sessions].filter(([, session]) => session.ephemerals.size > 0).map(([sessionId, session]) => [sessionId, session.ephemerals] as const),
    };
  }
}

/** Of a server whose core is not there: it waits for its disk. */
export function statsWithoutCore(sid: number, description: ServerDescription): ServerStats {
  const none: LatencySummary = { count: 0, minMs: 0, avgMs: 0, maxMs: 0 };
  return {
    version: description.version, sid, serving: false, mode: 'follower', peerState: 'looking', latency: none, readLatency: none, updateLatency: none, packetsReceived: 0, packetsSent: 0,
    aliveConnections: 0, outstandingRequests: 0, lastProcessedZxid: 0, znodeCount: 0, ephemeralsCount: 0, approximateDataBytes: 0, watch: { connections: 0, paths: 0, watches: 0 },
    globalSessions: 0, openFileDescriptors: description.openFileDescriptors(), maxFileDescriptors: description.maxFileDescriptors(), uptimeMs: 0, leader: null,
    settings: description.settings, environment: description.environment, connections: () => [], sessions: () => [], ephemerals: () => [],
  };
}

const opNames = new Map<number, string>(Object.entries(OpCode).map(([name, op]) => [op, name]));

function connectionStats(connection: Connection): ConnectionStats {
  const { stats } = connection;
  return {
    address: connection.remote.address, port: connection.remote.port, queued: connection.outstanding, received: stats.received, sent: stats.sent,
    sessionId: connection.state === 'open' ? connection.sessionId : 0n, lastOperation: opNames.get(stats.lastOp) ?? 'NA', establishedWallMs: stats.establishedWallMs,
    sessionTimeoutMs: connection.timeoutMs, lastXid: stats.lastXid, lastZxid: stats.lastZxid, lastResponseWallMs: stats.lastResponseWallMs, lastLatencyMs: stats.lastLatencyMs,
    latency: { count: stats.sent, minMs: stats.minLatencyMs, avgMs: stats.sent === 0 ? 0 : stats.sumLatencyMs / stats.sent, maxMs: stats.maxLatencyMs },
  };
}
