/**
 * Channels between servers over WebSockets: one port per server, /election and /learner, frames as binary messages.
 *
 * - Election: one channel per pair, dialled by the server with the larger sid and dialled again for as long as both are there; every peer
 *   has its own back-off, so that one that does not answer delays nobody else.
 * - Learner: dialled by the follower when its core asks.
 * - Hello: both sides name themselves in headers of the upgrade; a sid that is not in the configuration, a wrong address and another
 *   protocol version are refused with an HTTP status and a sentence, which the dialler traces. Browsers cannot set these headers.
 * - A newer channel of the same pair, kind and direction takes the place of the older one: the peer has restarted.
 * - channelDown is for channels that broke; whoever calls close() is not told again. Silent peers are the core's to notice (heartbeats).
 */
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { DreyError } from '../base/errors.ts';
import type { Callback, ChannelKind, PeerTransport, PeerTransportHandler, Trace } from '../base/ports.ts';
import { createServer, STATUS_CODES } from './node-http.ts';

export interface PeerAddress {
  readonly sid: number;
  readonly host: string;
  readonly port: number;
}

export interface WsPeerTransportOptions {
  readonly sid: number;
  /** All servers, this one included. */
  readonly servers: readonly PeerAddress[];
  readonly trace: Trace;
  /** Where to listen when it is not the host of this server's own line (quorumListenOnAllIPs). */
  readonly listenHost?: string;
}

/** Raised when frames or the hello change in a way that an older server would misunderstand. */
export const PEER_PROTOCOL_VERSION = 2;

const FRAME_BYTES_MAX = 64 << 20;
/** Above this many unsent bytes a channel owes its user a drained(). */
const HIGH_WATER_BYTES = 1 << 20;
/** Frames held for flush() leave earlier above this. */
const EARLY_FLUSH_BYTES = 256 << 10;
const REDIAL_MIN_MS = 20;
const REDIAL_MAX_MS = 500;
const HANDSHAKE_TIMEOUT_MS = 1000;

const SID_HEADER = 'x-drey-sid';
const TO_HEADER = 'x-drey-to';
const VERSION_HEADER = 'x-drey-peer-protocol';

interface Channel {
  readonly number: number;
  readonly kind: ChannelKind;
  readonly sid: number;
  readonly dialled: boolean;
  readonly ws: WebSocket;
  readonly socket: Socket;
  /** Held until flush(). */
  frames: Uint8Array[];
  frameBytes: number;
  /** A drained() is owed. */
  high: boolean;
}

interface Redial {
  delayMs: number;
  timer: NodeJS.Timeout | null;
  dialling: WebSocket | null;
  /** The last failure that was traced: the same one again says nothing new. */
  traced: string;
}

export class WsPeerTransport implements PeerTransport {
  handler: PeerTransportHandler | null = null;
  readonly #sid: number;
  readonly #peers = new Map<number, PeerAddress>();
  readonly #self: PeerAddress;
  readonly #listenHost: string;
  readonly #trace: Trace;
  readonly #channels = new Map<number, Channel>();
  readonly #redials = new Map<number, Redial>();
  readonly #learnerDials = new Set<WebSocket>();
  readonly #sockets = new Set<Duplex>();
  #dirty: Channel[] = [];
  #nextChannel = 1;
  #http: Server | null = null;
  #running = false;
  readonly #upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: FRAME_BYTES_MAX, clientTracking: false });

  constructor(options: WsPeerTransportOptions) {
    this.#sid = options.sid;
    this.#trace = options.trace;
    const self = options.servers.find(({ sid }) => sid === options.sid);
    if (self === undefined) throw new DreyError('COORD_CONFIG', `server.${options.sid} is not in the list of servers`);
    this.#self = self;
    this.#listenHost = options.listenHost ?? self.host;
    for (const server of options.servers) if (server.sid !== options.sid) this.#peers.set(server.sid, server);
  }

  /** The port listened on: the configured one, or the one that was free for port 0. */
  get port(): number {
    const address = this.#http?.address();
    return typeof address === 'object' && address !== null ? address.port : this.#self.port;
  }

  start(done: Callback): void {
    const http = createServer((_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', connection: 'close' });
      response.end('This port is for servers of the ensemble only.\n');
    });
    this.#http = http;
    // Handshakes are answered at once or not at all.
    http.headersTimeout = 5000;
    http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    http.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    const failed = (cause: Error): void => {
      this.#http = null;
      done(new DreyError('COORD_PEER_PORT', `cannot listen on ${this.#listenHost}:${this.#self.port} for peers: ${cause.message}`, { cause }), undefined);
    };
    http.once('error', failed);
    http.listen({ host: this.#listenHost, port: this.#self.port }, () => {
      http.off('error', failed);
      http.on('error', (error) => this.#trace.event('PeerPortError', { error: error.message }));
      this.#running = true;
      for (const sid of this.#peers.keys()) {
        if (sid > this.#sid) continue;
        this.#redials.set(sid, { delayMs: REDIAL_MIN_MS, timer: null, dialling: null, traced: '' });
        this.#dialElection(sid);
      }
      done(null, undefined);
    });
  }

  stop(done: Callback): void {
    this.#running = false;
    for (const redial of this.#redials.values()) {
      if (redial.timer !== null) clearTimeout(redial.timer);
      redial.dialling?.terminate();
    }
    for (const ws of this.#learnerDials) ws.terminate();
    for (const channel of this.#channels.values()) this.close(channel.number);
    const http = this.#http;
    this.#http = null;
    if (http === null) {
      setImmediate(done, null, undefined);
      return;
    }
    http.close(() => done(null, undefined));
    for (const socket of this.#sockets) socket.destroy();
  }

  // ------------------------------------------------------------ frames

  send(number: number, frame: Uint8Array): void {
    const channel = this.#channels.get(number);
    if (channel === undefined) return;
    if (channel.frames.length === 0) this.#dirty.push(channel);
    channel.frames.push(frame);
    channel.frameBytes += frame.length;
    if (channel.frameBytes > EARLY_FLUSH_BYTES) this.#write(channel);
  }

  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const channel of dirty) this.#write(channel);
  }

  /** All frames held for a channel in one write to the kernel. */
  #write(channel: Channel): void {
    const { frames, ws, socket } = channel;
    if (frames.length === 0) return;
    channel.frames = [];
    channel.frameBytes = 0;
    if (ws.readyState !== WebSocket.OPEN) return;
    socket.cork();
    for (const frame of frames) ws.send(frame);
    socket.uncork();
    if (ws.bufferedAmount > HIGH_WATER_BYTES) channel.high = true;
  }

  buffered(number: number): number {
    const channel = this.#channels.get(number);
    return channel === undefined ? 0 : channel.frameBytes + channel.ws.bufferedAmount;
  }

  close(number: number): void {
    const channel = this.#channels.get(number);
    if (channel === undefined) return;
    this.#forget(channel);
    channel.ws.terminate();
  }

  // ------------------------------------------------------------ dialling

  dialLearner(sid: number): void {
    const peer = this.#peers.get(sid);
    if (peer === undefined || !this.#running) {
      setImmediate(() => this.handler?.dialFailed(sid));
      return;
    }
    const ws = this.#dial(peer, 'learner', (reason) => {
      this.#learnerDials.delete(ws);
      if (reason === null || !this.#running) return;
      this.#trace.event('DialFailed', { kind: 'learner', sid, reason });
      this.handler?.dialFailed(sid);
    });
    this.#learnerDials.add(ws);
  }

  #dialElection(sid: number): void {
    const redial = this.#redials.get(sid);
    const peer = this.#peers.get(sid);
    if (redial === undefined || peer === undefined || !this.#running || redial.dialling !== null) return;
    redial.dialling = this.#dial(peer, 'election', (reason) => {
      redial.dialling = null;
      if (reason === null) {
        redial.delayMs = REDIAL_MIN_MS;
        redial.traced = '';
        return;
      }
      if (reason !== redial.traced) this.#trace.event('DialFailed', { kind: 'election', sid, reason });
      redial.traced = reason;
      this.#redialLater(sid);
    });
  }

  #redialLater(sid: number): void {
    const redial = this.#redials.get(sid);
    if (redial === undefined || !this.#running || redial.timer !== null) return;
    redial.timer = setTimeout(() => {
      redial.timer = null;
      this.#dialElection(sid);
    }, redial.delayMs);
    redial.delayMs = Math.min(2 * redial.delayMs, REDIAL_MAX_MS);
  }

  /** Calls `settled` once: null when the channel is up, else why it is not. */
  #dial(peer: PeerAddress, kind: ChannelKind, settled: (reason: string | null) => void): WebSocket {
    const ws = new WebSocket(`ws://${hostInUrl(peer.host)}:${peer.port}/${kind}`, {
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      // Masking guards proxies against what browsers send; between servers a mask of zeros spares a pass over every byte.
      generateMask: noMask,
      headers: { [SID_HEADER]: String(this.#sid), [TO_HEADER]: String(peer.sid), [VERSION_HEADER]: String(PEER_PROTOCOL_VERSION) },
    });
    let reason = 'the connection was closed';
    let open = false;
    ws.on('unexpected-response', (_request, response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text = (text + part).slice(0, 500)));
      response.on('close', () => {
        reason = `refused with ${response.statusCode ?? 0}: ${text.trim()}`;
        ws.terminate();
      });
    });
    ws.on('error', (error) => {
      if (!reason.startsWith('refused')) reason = error.message;
    });
    ws.on('close', () => {
      if (!open) settled(reason);
    });
    ws.on('open', () => {
      open = true;
      if (!this.#running) {
        ws.terminate();
        return;
      }
      settled(null);
      this.#opened(kind, peer.sid, ws, true);
    });
    return ws;
  }

  // ------------------------------------------------------------ being dialled

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const refuse = (status: number, why: string): void => {
      this.#trace.event('PeerRefused', { from: request.socket.remoteAddress, sid: request.headers[SID_HEADER], why });
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(why)}\r\n\r\n${why}`);
    };
    if (!this.#running) {
      socket.destroy();
      return;
    }
    const kind = request.url === '/election' ? 'election' : request.url === '/learner' ? 'learner' : null;
    if (kind === null) return refuse(404, 'no such path');
    const version = request.headers[VERSION_HEADER];
    if (version !== String(PEER_PROTOCOL_VERSION)) {
      return refuse(426, `server ${this.#sid} speaks peer protocol ${PEER_PROTOCOL_VERSION}, not ${String(version)}`);
    }
    const sid = Number(request.headers[SID_HEADER]);
    if (!this.#peers.has(sid)) return refuse(403, `server.${String(request.headers[SID_HEADER])} is not in the configuration of server ${this.#sid}`);
    if (request.headers[TO_HEADER] !== String(this.#sid)) return refuse(421, `this is server ${this.#sid}, not ${String(request.headers[TO_HEADER])}`);
    if (kind === 'election' && sid < this.#sid) return refuse(403, 'the server with the larger number dials');
    this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#opened(kind, sid, ws, false));
  }

  // ------------------------------------------------------------ channels

  #opened(kind: ChannelKind, sid: number, ws: WebSocket, dialled: boolean): void {
    // ws keeps it private, but corking needs it; the constructor's option for a socket of our own would not spare the look.
    const socket = (ws as unknown as { _socket: Socket })._socket;
    socket.setNoDelay(true);
    for (const older of this.#channels.values()) {
      if (older.kind !== kind || older.sid !== sid || older.dialled !== dialled) continue;
      this.#broken(older);
      older.ws.terminate();
      break;
    }
    const channel: Channel = { number: this.#nextChannel++, kind, sid, dialled, ws, socket, frames: [], frameBytes: 0, high: false };
    this.#channels.set(channel.number, channel);
    ws.on('message', (data, isBinary) => {
      if (!this.#channels.has(channel.number)) return;
      if (isBinary) this.handler?.frame(channel.number, data as Buffer);
      else ws.terminate();
    });
    // The close that follows tells.
    ws.on('error', (error) => this.#trace.event('ChannelError', { kind, sid, channel: channel.number, error: error.message }));
    ws.on('close', () => this.#broken(channel));
    // Earlier than 'close', which waits for the closing handshake.
    socket.on('end', () => this.#broken(channel));
    socket.on('drain', () => {
      if (!channel.high || !this.#channels.has(channel.number)) return;
      channel.high = false;
      this.handler?.drained(channel.number);
    });
    this.handler?.channelUp(kind, channel.number, sid);
  }

  #broken(channel: Channel): void {
    if (!this.#channels.has(channel.number)) return;
    this.#forget(channel);
    channel.ws.terminate();
    this.handler?.channelDown(channel.number);
  }

  #forget(channel: Channel): void {
    this.#channels.delete(channel.number);
    channel.frames = [];
    channel.frameBytes = 0;
    if (channel.kind === 'election' && channel.dialled) this.#redialLater(channel.sid);
  }
}

function noMask(mask: Buffer): void {
  mask.fill(0);
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
