/**
 * The HTTP port of a server: health, the commands of ZooKeeper's AdminServer that tools ask for, as JSON, and the place where WebSocket
 * upgrades of other faces (the native protocol) come in.
 *
 *   GET /livez  200 while the process answers     GET /readyz  200 while it serves clients, else 503
 *   GET /commands         the names               GET /commands/<name>  {..., "command": name, "error": null | reason}
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { DreyError } from '../base/errors.ts';
import type { Callback, Trace } from '../base/ports.ts';
import { formatZxid } from '../base/zxid.ts';
import { fullVersion, monitor } from '../wire/four-letter-words.ts';
import type { ConnectionStats, ServerStats } from '../wire/server-stats.ts';
import { createServer } from './node-http.ts';

export interface HttpPortOptions {
  readonly stats: () => ServerStats;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly trace: Trace;
  /** Names besides addresses and localhost under which browsers may reach this port. */
  readonly hostNames?: readonly string[];
}

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests';

export class HttpPort {
  readonly #options: HttpPortOptions;
  readonly #upgrades = new Map<string, UpgradeHandler>();
  readonly #sockets = new Set<Duplex>();
  #server: Server | null = null;

  constructor(options: HttpPortOptions) {
    this.#options = options;
  }

  get port(): number {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  /** Upgrades to WebSocket of exactly this path go to `handler`; a page of a foreign origin does not get there. */
  onUpgrade(path: string, handler: UpgradeHandler): void {
    this.#upgrades.set(path, handler);
  }

  start(done: Callback): void {
    const { host, port, trace } = this.#options;
    const server = createServer((request, response) => this.#onRequest(request, response));
    this.#server = server;
    server.headersTimeout = 10_000;
    server.requestTimeout = 10_000;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    const failed = (cause: Error): void => {
      this.#server = null;
      done(new DreyError('COORD_HTTP_PORT', `cannot listen on ${host}:${port} for HTTP: ${cause.message}`, { cause }), undefined);
    };
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      server.on('error', (error) => trace.event('HttpPortError', { error: error.message }));
      done(null, undefined);
    });
  }

  stop(done: Callback): void {
    const server = this.#server;
    this.#server = null;
    if (server === null) {
      setImmediate(done, null, undefined);
      return;
    }
    server.close(() => done(null, undefined));
    for (const socket of this.#sockets) socket.destroy();
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const handler = this.#upgrades.get(pathOf(request));
    if (handler === undefined) refuse(socket, '404 Not Found', 'no such path');
    else if (!this.#ownOrigin(request)) {
      this.#options.trace.event('ForeignOrigin', { origin: request.headers.origin, host: request.headers.host });
      refuse(socket, '403 Forbidden', 'pages of another origin are not served');
    } else handler(request, socket, head);
  }

  /**
   * No Origin: not a browser. Else it has to be this very host and port, and by a name that nobody else can point at us: a foreign name
   * that resolves to this machine (DNS rebinding) is as foreign as any.
   */
  #ownOrigin(request: IncomingMessage): boolean {
    const { origin, host } = request.headers;
    if (origin === undefined) return true;
    const url = URL.canParse(origin) ? new URL(origin) : null;
    if (url === null || host === undefined || url.host !== host.toLowerCase()) return false;
    const name = url.hostname.replace(/^\[|\]$/g, '');
    return isIP(name) !== 0 || name === 'localhost' || name === this.#options.host || (this.#options.hostNames ?? []).includes(name);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    const path = pathOf(request);
    if (path === '/livez') return text(response, 200, 'ok\n');
    if (path === '/readyz') return this.#options.stats().serving ? text(response, 200, 'ok\n') : text(response, 503, 'not serving\n');
    if (path === '/commands' || path === '/commands/') return json(response, 200, { commands: Object.keys(COMMANDS) });
    if (path.startsWith('/commands/')) return this.#command(response, path.slice('/commands/'.length));
    text(response, 404, 'not found\n');
  }

  #command(response: ServerResponse, name: string): void {
    const full = ALIASES[name] ?? name;
    const command = Object.hasOwn(COMMANDS, full) ? COMMANDS[full] : undefined;
    if (command === undefined) return json(response, 404, { command: name, error: `Unknown command: ${name}` });
    const stats = this.#options.stats();
    if (!stats.serving && full !== 'ruok') return json(response, 503, { command: full, error: NOT_SERVING });
    json(response, 200, { ...command(stats), command: full, error: null });
  }
}

const ALIASES: Readonly<Record<string, string>> = {
  conf: 'configuration', config: 'configuration', cons: 'connections', mntr: 'monitor', srvr: 'server_stats', stat: 'stats', wchs: 'watch_summary',
  isro: 'is_read_only',
};

const COMMANDS: Readonly<Record<string, (stats: ServerStats) => Record<string, unknown>>> = {
  ruok: () => ({}),
  configuration: (stats) => Object.fromEntries(stats.settings),
  connections: (stats) => ({ connections: Array.from(stats.connections(), connection) }),
  monitor: (stats) => Object.fromEntries(monitor(stats).map(([key, value]) => [key, numeric(value)])),
  server_stats: serverStats,
  stats: (stats) => ({ ...serverStats(stats), connections: Array.from(stats.connections(), connection) }),
  watch_summary: ({ watch }) => ({ num_connections: watch.connections, num_paths: watch.paths, num_total_watches: watch.watches }),
  is_read_only: (stats) => ({ read_only: stats.mode === 'read-only' }),
};

function serverStats(stats: ServerStats): Record<string, unknown> {
  return {
    version: fullVersion(stats),
    read_only: stats.mode === 'read-only',
    server_stats: {
      packets_sent: stats.packetsSent,
      packets_received: stats.packetsReceived,
      max_latency: Math.floor(stats.latency.maxMs),
      min_latency: Math.floor(stats.latency.minMs),
      avg_latency: stats.latency.avgMs,
      num_alive_client_connections: stats.aliveConnections,
      outstanding_requests: stats.outstandingRequests,
      server_state: stats.mode,
      last_processed_zxid: formatZxid(stats.lastProcessedZxid),
      uptime: Math.floor(stats.uptimeMs),
    },
    node_count: stats.znodeCount,
  };
}

function connection(c: ConnectionStats): Record<string, unknown> {
  return {
    remote_socket_address: `${c.address}:${c.port}`,
    interest_ops: 1,
    outstanding_requests: c.queued,
    packets_received: c.received,
    packets_sent: c.sent,
    session_id: `0x${BigInt.asUintN(64, c.sessionId).toString(16)}`,
    last_operation: c.lastOperation,
    established: new Date(c.establishedWallMs).toISOString(),
    session_timeout: c.sessionTimeoutMs,
    last_cxid: `0x${(c.lastXid >>> 0).toString(16)}`,
    last_zxid: formatZxid(Math.max(0, c.lastZxid)),
    last_response_time: Math.floor(c.lastResponseWallMs),
    last_latency: Math.floor(c.lastLatencyMs),
    min_latency: Math.floor(c.latency.minMs),
    avg_latency: c.latency.avgMs,
    max_latency: Math.floor(c.latency.maxMs),
  };
}

/** mntr prints averages as text; JSON has numbers. */
function numeric(value: string | number): string | number {
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] as string;
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body, null, 2)}\n`);
}

function refuse(socket: Duplex, status: string, why: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(why)}\r\n\r\n${why}`);
}
