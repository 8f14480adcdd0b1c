/**
 * The native protocol: the same pipeline as ZooKeeper's, over WebSockets at /coord/v1 of the HTTP port, msgpack arrays as frames
 * (coord/wire/native.ts, docs/protocol/native.md). Also for browsers; a page of a foreign origin is refused by the HTTP port.
 * Limits as for the client port: a client that does not read is not read from and in the end closed.
 */
import type { Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Callback, Entropy, Trace } from '../base/ports.ts';
import type { Zxid } from '../base/zxid.ts';
import type { ClientPipeline } from '../server/pipeline.ts';
import { PASSWORD_BYTES } from '../wire/connect.ts';
import { decodeNativeConnect, decodeNativeRequest, encodeNativeConnected, encodeNativeEvent, encodeNativeReply } from '../wire/native.ts';
import { ClientRequest, type ClientSink, type Result } from '../wire/types.ts';
import { isLocalAddress, plainAddress } from './addresses.ts';
import type { HttpPort } from './http.ts';

export interface NativeListenerOptions {
  readonly pipeline: ClientPipeline;
  readonly http: HttpPort;
  readonly juteMaxBuffer: number;
  /** Connections from one address at a time; 0: any number. */
  readonly maxClientCnxns: number;
  readonly entropy: Entropy;
  readonly trace: Trace;
  /** Default 10000. */
  readonly handshakeTimeoutMs?: number;
}

export const NATIVE_PATH = '/coord/v1';
const HANDSHAKE_TIMEOUT_MS = 10_000;
const OUTPUT_HIGH_BYTES = 1 << 20;
const OUTPUT_MAX_BYTES = 64 << 20;
const LINGER_MS = 1000;
/** Close codes of RFC 6455. */
const PROTOCOL_ERROR = 1002;
const NORMAL = 1000;

export class NativeListener {
  readonly #options: NativeListenerOptions;
  readonly #upgrader: WebSocketServer;
  readonly #connections = new Set<NativeConnection>();
  readonly #perAddress = new Map<string, number>();

  /** Listens from now on, when the HTTP port does. */
  constructor(options: NativeListenerOptions) {
    this.#options = options;
    this.#upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: options.juteMaxBuffer, clientTracking: false });
    options.http.onUpgrade(NATIVE_PATH, (request, socket, head) => {
      const address = plainAddress(request.socket.remoteAddress ?? '');
      const count = this.#perAddress.get(address) ?? 0;
      if (options.maxClientCnxns > 0 && count >= options.maxClientCnxns) {
        options.trace.event('TooManyConnections', { address, max: options.maxClientCnxns });
        socket.destroy();
        return;
      }
      this.#perAddress.set(address, count + 1);
      socket.on('close', () => {
        const left = (this.#perAddress.get(address) ?? 1) - 1;
        if (left === 0) this.#perAddress.delete(address);
        else this.#perAddress.set(address, left);
      });
      this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, request.socket, address));
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Sends what was written and closes all connections; the HTTP port stays. */
  stop(done: Callback): void {
    if (this.#connections.size === 0) {
      setImmediate(done, null, undefined);
      return;
    }
    let left = this.#connections.size;
    for (const connection of this.#connections) {
      connection.ws.on('close', () => {
        if (--left === 0) done(null, undefined);
      });
      connection.close();
    }
  }

  #accept(ws: WebSocket, socket: Socket, address: string): void {
    const connection = new NativeConnection(this.#options, ws, socket, address);
    this.#connections.add(connection);
    ws.on('close', () => this.#connections.delete(connection));
  }
}

const request = new ClientRequest();

class NativeConnection implements ClientSink {
  readonly ws: WebSocket;
  readonly #options: NativeListenerOptions;
  readonly #pipeline: ClientPipeline;
  readonly #socket: Socket;
  readonly #address: string;
  #frames: Buffer[] = [];
  #frameBytes = 0;
  #handle: number | null = null;
  #open = true;
  #stopped = false;
  /** Messages that had been parsed when reading was stopped. */
  readonly #waiting: Buffer[] = [];
  #timer: NodeJS.Timeout | null;

  constructor(options: NativeListenerOptions, ws: WebSocket, socket: Socket, address: string) {
    this.ws = ws;
    this.#options = options;
    this.#pipeline = options.pipeline;
    this.#socket = socket;
    this.#address = address;
    socket.setNoDelay(true);
    this.#timer = setTimeout(() => this.#abort('no handshake'), options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS);
    ws.on('message', (data, isBinary) => {
      if (!this.#open) return;
      if (!isBinary) this.#refuse('a text message');
      else if (this.#stopped) this.#waiting.push(data as Buffer);
      else this.#onMessage(data as Buffer);
    });
    // ws answers too long and malformed frames with its own close codes; 'close' follows.
    ws.on('error', (error) => options.trace.event('ConnectionClosed', { address, why: error.message }));
    ws.on('close', () => this.#onClose());
    socket.on('drain', () => this.#readOn());
  }

  #onMessage(frame: Buffer): void {
    if (this.#handle === null) {
      const connect = decodeNativeConnect(frame);
      if (connect === null) {
        this.#refuse('malformed connect');
        return;
      }
      const remote = { address: this.#address, port: this.#socket.remotePort ?? 0, local: isLocalAddress(this.#address, this.#socket.localAddress) };
      this.#handle = this.#pipeline.connect(this, connect, this.#options.entropy.bytes(PASSWORD_BYTES), remote);
    } else if (decodeNativeRequest(frame, request)) {
      this.#pipeline.request(this.#handle, request);
    } else {
      this.#refuse('frame without xid and op');
      return;
    }
    if (this.#open && !this.#stopped && !this.#mayRead()) {
      this.#stopped = true;
      this.ws.pause();
    }
  }

  #mayRead(): boolean {
    return this.#frameBytes + this.ws.bufferedAmount <= OUTPUT_HIGH_BYTES && (this.#handle === null || this.#pipeline.writable(this.#handle));
  }

  #readOn(): void {
    if (!this.#stopped || !this.#open || !this.#mayRead()) return;
    this.#stopped = false;
    for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
      this.#onMessage(frame);
      if (this.#stopped || !this.#open) return;
    }
    this.ws.resume();
  }

  // ------------------------------------------------------------ ClientSink

  connected(timeoutMs: number, sessionId: bigint, password: Uint8Array, readOnly: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#push(encodeNativeConnected({ protocolVersion: 0, timeoutMs, sessionId, password, readOnly }));
  }

  reply(xid: number, _op: number, zxid: Zxid, err: number, result: Result | null): void {
    this.#push(encodeNativeReply(xid, zxid, err, result));
  }

  event(type: number, state: number, path: string, zxid: Zxid): void {
    this.#push(encodeNativeEvent(type, state, path, zxid));
  }

  #push(frame: Buffer): void {
    if (!this.#open) return;
    this.#frames.push(frame);
    this.#frameBytes += frame.length;
  }

  flush(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    this.#frameBytes = 0;
    const { ws } = this;
    if (ws.readyState !== WebSocket.OPEN) return;
    if (ws.bufferedAmount > OUTPUT_MAX_BYTES) {
      this.#abort('does not read what it is sent');
      return;
    }
    this.#socket.cork();
    for (const frame of frames) ws.send(frame);
    this.#socket.uncork();
    this.resume();
  }

  resume(): void {
    if (this.#stopped) setImmediate(() => this.#readOn());
  }

  close(): void {
    this.#end(NORMAL, '');
  }

  #refuse(why: string): void {
    this.#options.trace.event('ConnectionClosed', { address: this.#address, why });
    this.#end(PROTOCOL_ERROR, why);
  }

  #end(code: number, why: string): void {
    if (!this.#open) return;
    this.flush();
    this.#open = false;
    this.#waiting.length = 0;
    this.ws.resume();
    this.ws.close(code, why);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ws.terminate(), LINGER_MS);
  }

  #abort(why: string): void {
    this.#options.trace.event('ConnectionClosed', { address: this.#address, why });
    this.#open = false;
    this.ws.terminate();
  }

  #onClose(): void {
    this.#open = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#frames = [];
    this.#waiting.length = 0;
    if (this.#handle !== null) this.#pipeline.disconnected(this.#handle);
    this.#handle = null;
  }
}
