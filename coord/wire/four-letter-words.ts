/**
 * ZooKeeper's four-letter words: plain text answers to the first four bytes of a connection, in the form that zkServer.sh, kazoo, Telegraf,
 * Datadog and their like take apart.
 * Source: org/apache/zookeeper/server/command/*.java, ServerStats.toString, ServerCnxn.dumpConnectionInfo, ExpiryQueue.dump (3.9).
 */
import { formatZxid } from '../base/zxid.ts';
import type { ConnectionStats, LatencySummary, ServerStats } from './server-stats.ts';

/** The ZooKeeper whose behaviour this server follows: tools read it from the version and choose by it what they send. */
const ZOOKEEPER_VERSION = '3.9.5';

const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests\n';

/** All that ZooKeeper knows; the others are taken for the length of a frame. */
const KNOWN = [
  'conf', 'cons', 'crst', 'dirs', 'dump', 'envi', 'gtmk', 'hash', 'icfg', 'isro', 'lead', 'lsnp', 'mntr', 'obsr', 'orst', 'ruok', 'srst', 'srvr',
  'stat', 'stmk', 'sysp', 'wchc', 'wchp', 'wchs',
] as const;

type Word = 'conf' | 'cons' | 'dump' | 'envi' | 'isro' | 'mntr' | 'ruok' | 'srvr' | 'stat' | 'wchs';

const ANSWERS: Readonly<Record<Word, (stats: ServerStats) => string>> = {
  ruok: () => 'imok',
  isro: (stats) => (!stats.serving ? 'null' : stats.mode === 'read-only' ? 'ro' : 'rw'),
  envi: environment,
  conf: (stats) => (stats.serving ? lines(stats.settings.map(([key, value]) => `${key}=${value}`)) : NOT_SERVING),
  srvr: (stats) => (stats.serving ? server(stats, false) : NOT_SERVING),
  stat: (stats) => (stats.serving ? server(stats, true) : NOT_SERVING),
  mntr: (stats) => (stats.serving ? lines(monitor(stats).map(([key, value]) => `zk_${key}\t${value}`)) : NOT_SERVING),
  cons: (stats) => (stats.serving ? `${connections(stats, false)}\n` : NOT_SERVING),
  wchs: (stats) => (stats.serving ? watches(stats) : NOT_SERVING),
  dump: (stats) => (stats.serving ? dump(stats) : NOT_SERVING),
};

/** What is allowed without 4lw.commands.whitelist; docs/decisions/0004-four-letter-words.md says why it is more than ZooKeeper's `srvr`. */
export const DEFAULT_WHITELIST: readonly string[] = ['srvr', 'ruok', 'stat', 'mntr', 'conf', 'isro', 'cons', 'wchs'];

const byNumber = new Map<number, string>(KNOWN.map((word) => [Buffer.from(word, 'latin1').readInt32BE(0), word]));

/** The word that the first four bytes of a connection spell, read as an int32; undefined: they are the length of a frame. */
export function fourLetterWordOf(firstInt: number): string | undefined {
  return byNumber.get(firstInt);
}

/** The four-letter words that a value of 4lw.commands.whitelist names: "*", or a list with commas. */
export function parseWhitelist(value: string): ReadonlySet<string> {
  const words = value.split(',').map((word) => word.trim()).filter((word) => word !== '');
  return new Set(words.includes('*') ? KNOWN : words);
}

/** The whole answer; the connection is closed after it. */
export function answerFourLetterWord(word: string, stats: ServerStats, whitelist: ReadonlySet<string>): string {
  if (!whitelist.has(word)) return `${word} is not executed because it is not in the whitelist.\n`;
  const answer = ANSWERS[word as Word] as ((stats: ServerStats) => string) | undefined;
  return answer === undefined ? `${word} is not executed because this server does not have it.\n` : answer(stats);
}

/** As in `Zookeeper version: …`: the ZooKeeper that is followed, then what this is. */
export function fullVersion(stats: ServerStats): string {
  return `${ZOOKEEPER_VERSION}-drey-${stats.version}, built on Node.js`;
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join('');
}

/** ZooKeeper's averages are doubles with up to four decimals. */
function double(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000;
  return Number.isInteger(rounded) ? `${rounded}.0` : String(rounded);
}

function latency({ minMs, avgMs, maxMs }: LatencySummary): string {
  return `${Math.floor(minMs)}/${double(avgMs)}/${Math.floor(maxMs)}`;
}

function sessionIdHex(id: bigint): string {
  return `0x${BigInt.asUintN(64, id).toString(16)}`;
}

/** As ZooKeeper prints any long: two's complement, so that -1 is 0xffffffffffffffff. */
function zxidHex(zxid: number): string {
  return zxid < 0 ? sessionIdHex(BigInt(zxid)) : formatZxid(zxid);
}

function server(stats: ServerStats, withClients: boolean): string {
  const { leader } = stats;
  return [
    `Zookeeper version: ${fullVersion(stats)}\n`,
    stats.mode === 'read-only' ? 'READ-ONLY mode; serving only read-only clients\n' : '',
    withClients ? `Clients:\n${connections(stats, true)}\n` : '',
    `Latency min/avg/max: ${latency(stats.latency)}\n`,
    `Received: ${stats.packetsReceived}\n`,
    `Sent: ${stats.packetsSent}\n`,
    `Connections: ${stats.aliveConnections}\n`,
    `Outstanding: ${stats.outstandingRequests}\n`,
    `Zxid: ${formatZxid(stats.lastProcessedZxid)}\n`,
    `Mode: ${stats.mode}\n`,
    `Node count: ${stats.znodeCount}\n`,
    leader === null ? '' : `Proposal sizes last/min/max: ${leader.lastProposalBytes}/${leader.minProposalBytes}/${leader.maxProposalBytes}\n`,
  ].join('');
}

function connections(stats: ServerStats, brief: boolean): string {
  let text = '';
  for (const connection of stats.connections()) text += `${connectionLine(connection, brief)}\n`;
  return text;
}

/** "[1]" is the interest in reading that Java's selector has in a healthy connection. */
function connectionLine(c: ConnectionStats, brief: boolean): string {
  const address = c.address.includes(':') ? `[${c.address}]` : c.address;
  let text = ` /${address}:${c.port}[1](queued=${c.queued},recved=${c.received},sent=${c.sent}`;
  if (!brief && c.sessionId !== 0n) {
    text += `,sid=${sessionIdHex(c.sessionId)},lop=${c.lastOperation},est=${Math.floor(c.establishedWallMs)},to=${c.sessionTimeoutMs}`;
    if (c.lastXid >= 0) text += `,lcxid=0x${c.lastXid.toString(16)}`;
    text += `,lzxid=${zxidHex(c.lastZxid)},lresp=${Math.floor(c.lastResponseWallMs)},llat=${Math.floor(c.lastLatencyMs)}`;
    text += `,minlat=${Math.floor(c.latency.minMs)},avglat=${Math.floor(c.latency.avgMs)},maxlat=${Math.floor(c.latency.maxMs)}`;
  }
  return `${text})`;
}

function watches({ watch }: ServerStats): string {
  return `${watch.connections} connections watching ${watch.paths} paths\nTotal watches:${watch.watches}\n`;
}

function environment(stats: ServerStats): string {
  return lines(['Environment:', `zookeeper.version=${fullVersion(stats)}`, ...stats.environment.map(([key, value]) => `${key}=${value}`)]);
}

function dump(stats: ServerStats): string {
  const buckets = new Map<number, string[]>();
  let count = 0;
  for (const { sessionId, expiresWallMs } of stats.sessions()) {
    const bucket = buckets.get(expiresWallMs);
    if (bucket === undefined) buckets.set(expiresWallMs, [sessionIdHex(sessionId)]);
    else bucket.push(sessionIdHex(sessionId));
    count++;
  }
  const out = ['SessionTracker dump:', `Session Sets (${buckets.size})/(${count}):`];
  for (const [expiresWallMs, ids] of [...buckets].sort(([a], [b]) => a - b)) {
    out.push(`${ids.length} expire at ${utc(expiresWallMs)}:`, ...ids.map((id) => `\t${id}`));
  }
  const ephemerals = [...stats.ephemerals()].map(([id, paths]) => [sessionIdHex(id), [...paths]] as const);
  out.push('ephemeral nodes dump:', `Sessions with Ephemerals (${ephemerals.length}):`);
  for (const [id, paths] of ephemerals) out.push(`${id}:`, ...paths.map((path) => `\t${path}`));
  out.push('Connections dump:');
  return lines(out);
}

/** Milliseconds since 1970 as "2026-01-31 23:59:59 UTC", by the civil calendar: this room has no Date. */
function utc(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const days = Math.floor(seconds / 86_400);
  const inDay = seconds - days * 86_400;
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const mp = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * mp + 2) / 5) + 1;
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${year}-${two(month)}-${two(day)} ${two(Math.floor(inDay / 3600))}:${two(Math.floor(inDay / 60) % 60)}:${two(inDay % 60)} UTC`;
}

/** The keys and values of mntr, without the prefix zk_; also what GET /commands/mntr gives. */
export function monitor(stats: ServerStats): (readonly [key: string, value: string | number])[] {
  const { leader } = stats;
  const out: (readonly [string, string | number])[] = [
    ['version', fullVersion(stats)],
    ['server_state', stats.mode],
    ['avg_latency', double(stats.latency.avgMs)],
    ['max_latency', Math.floor(stats.latency.maxMs)],
    ['min_latency', Math.floor(stats.latency.minMs)],
    ['packets_received', stats.packetsReceived],
    ['packets_sent', stats.packetsSent],
    ['num_alive_connections', stats.aliveConnections],
    ['outstanding_requests', stats.outstandingRequests],
    ['znode_count', stats.znodeCount],
    ['watch_count', stats.watch.watches],
    ['ephemerals_count', stats.ephemeralsCount],
    ['approximate_data_size', stats.approximateDataBytes],
    ['open_file_descriptor_count', stats.openFileDescriptors],
    ['max_file_descriptor_count', stats.maxFileDescriptors],
    ['global_sessions', stats.globalSessions],
    ['uptime', Math.floor(stats.uptimeMs)],
    ...summary('readlatency', stats.readLatency),
    ...summary('updatelatency', stats.updateLatency),
  ];
  if (stats.mode !== 'standalone') out.push(['peer_state', stats.peerState]);
  if (leader !== null) {
    out.push(
      // `followers` is the name before 3.6, which some collectors still ask for.
      ['followers', leader.learners],
      ['learners', leader.learners],
      ['synced_followers', leader.syncedFollowers],
      ['pending_syncs', leader.pendingSyncs],
      ['quorum_size', leader.quorumSize],
      ['proposal_count', leader.proposalCount],
      ['last_proposal_size', leader.lastProposalBytes],
      ['max_proposal_size', leader.maxProposalBytes],
      ['min_proposal_size', leader.minProposalBytes],
      ['leader_uptime', Math.floor(leader.uptimeMs)],
    );
  }
  return out;
}

function summary(name: string, { count, minMs, avgMs, maxMs }: LatencySummary): [string, string | number][] {
  return [
    [`avg_${name}`, double(avgMs)], [`min_${name}`, Math.floor(minMs)], [`max_${name}`, Math.floor(maxMs)], [`cnt_${name}`, count],
    [`sum_${name}`, Math.round(avgMs * count)],
  ];
}
