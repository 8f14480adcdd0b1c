/** A server's statistics with a value in every field. */
import type { ConnectionStats, LatencySummary, ServerStats } from '../../../coord/wire/server-stats.ts';

const latency: LatencySummary = { count: 8, minMs: 0.4, avgMs: 1.25, maxMs: 17.9 };
const connections: ConnectionStats[] = [
  {
    address: '127.0.0.1', port: 4711, queued: 0, received: 3, sent: 2, sessionId: -0x7f00_0000_0000_0000n + 1n, lastOperation: 'GETD',
    establishedWallMs: 1_700_000_000_000.4, sessionTimeoutMs: 30_000, lastXid: 7, lastZxid: 0x200000007, lastResponseWallMs: 1_700_000_001_000, lastLatencyMs: 1.5,
    latency: { count: 3, minMs: 0.2, avgMs: 1.7, maxMs: 4.2 },
  },
  {
    address: '::1', port: 4712, queued: 1, received: 0, sent: 0, sessionId: 0n, lastOperation: 'NA', establishedWallMs: 0, sessionTimeoutMs: 0, lastXid: -1, lastZxid: -1,
    lastResponseWallMs: 0, lastLatencyMs: 0, latency: { count: 0, minMs: 0, avgMs: 0, maxMs: 0 },
  },
];

export function sampleStats(change: Partial<ServerStats> = {}): ServerStats {
  return {
    version: '0.1.0', sid: 1, serving: true, mode: 'follower', peerState: 'following - broadcast', latency, readLatency: latency, updateLatency: latency,
    packetsReceived: 120, packetsSent: 118, aliveConnections: 2, outstandingRequests: 1, lastProcessedZxid: 0x200000007, znodeCount: 5, ephemeralsCount: 2,
    approximateDataBytes: 4096, watch: { connections: 2, paths: 3, watches: 4 }, globalSessions: 3, openFileDescriptors: 30, maxFileDescriptors: 1024, uptimeMs: 9000.7,
    leader: null, settings: [['clientPort', 2181], ['dataDir', '/data']], environment: [['host.name', 'here']],
    connections: () => connections,
    sessions: () => [
      { sessionId: -0x7f00_0000_0000_0000n + 1n, expiresWallMs: 1_709_251_199_000 }, { sessionId: 2n, expiresWallMs: 1_700_000_000_000 }, { sessionId: 3n, expiresWallMs: 1_709_251_199_000 },
    ],
    ephemerals: () => [[-0x7f00_0000_0000_0000n + 1n, ['/a', '/b']]],
    ...change,
  };
}
