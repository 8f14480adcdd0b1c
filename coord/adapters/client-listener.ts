/**
 * ZooKeeper's client protocol over TCP: the clientPort. Four-letter words, framing, the handshake, and per connection one output buffer that
 * is written once per flush().
 *
 * What a connection does wrong happens to that connection alone: a length below 0 or above jute.maxbuffer and a frame without a header close
 * it with no reply, as ZooKeeper does. Memory per connection is bounded: a frame in parts takes what has arrived of it, a client that does not
 * read its replies is not read from, and one that does not read its watch events either is closed.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { DreyError } from '../base/errors.ts';
import type { Callback, Entropy, Trace } from '../base/ports.ts';
import type { Zxid } from '../base/zxid.ts';
import type { ClientPipeline } from '../server/pipeline.ts';
import { decodeConnectRequest, encodeConnectResponse, PASSWORD_BYTES } from '../wire/connect.ts';
import { answerFourLetterWord, fourLetterWordOf } from '../wire/four-letter-words.ts';
import { FrameReader } from '../wire/frame-reader.ts';
import { JuteWriter } from '../wire/jute.ts';
import { encodeReply, encodeWatcherEvent } from '../wire/replies.ts';
import { decodeRequest } from '../wire/requests.ts';
import { ClientRequest, type ClientSink, type Result } from '../wire/types.ts';
import { isLocalAddress, plainAddress } from './addresses.ts';

export interface ClientListenerOptions {
  readonly pipeline: ClientPipeline;
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  readonly juteMaxBuffer: number;
  /** Connections from one address at a time; 0: any number. */
  readonly maxClientCnxns: number;
  readonly whitelist: ReadonlySet<string>;
  readonly entropy: Entropy;
  readonly trace: Trace;
  /** How long a connection may stay without a session. Default 10000, as ZooKeeper's zookeeper.nio.sessionlessCnxnTimeout. */
  readonly handshakeTimeoutMs?: number;
  /** Unsent bytes above which a connection is not read from, and above which it is closed. Defaults 1 MiB and 64 MiB. */
  readonly outputHighBytes?: number;
  readonly outputMaxBytes?: number;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const OUTPUT_HIGH_BYTES = 1 << 20;
const OUTPUT_MAX_BYTES = 64 << 20;
/** An output buffer that one large reply made larger than this is not kept. */
const OUTPUT_KEPT_BYTES = 128 << 10;
/** How long a connection that is being closed may take to read its last replies. */
const LINGER_MS = 1000;
/** A connection without a byte for its session's timeout gets this much longer: the process itself may have been asleep. */
const IDLE_GRACE_MS = 500;

export class ClientListener {
  readonly #options: ClientListenerOptions;
  readonly #connections = new Set<ClientConnection>();
  readonly #perAddress = new Map<string, number>();
  #server: Server | null = null;

  constructor(options: ClientListenerOptions) {
    this.#options = options;
  }

  /** The port listened on. */
  get port(): number {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  start(done: Callback): void {
    const { host, port, trace } = this.#options;
    const server = createServer({ noDelay: true, keepAlive: true });
    this.#server = server;
    server.on('connection', (socket) => this.#accept(socket));
    const failed = (cause: Error): void => {
      this.#server = null;
      done(new DreyError('COORD_CLIENT_PORT', `cannot listen on ${host ?? '*'}:${port} for clients: ${cause.message}`, { cause }), undefined);
    };
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      server.on('error', (error) => trace.event('ClientPortError', { error: error.message }));
      done(null, undefined);
    });
  }

  /** Takes no more connections, sends what was written to the ones that are there, and closes them. */
  stop(done: Callback): void {
    const server = this.#server;
    this.#server = null;
    if (server === null) {
      setImmediate(done, null, undefined);
      return;
    }
    server.close(() => done(null, undefined));
    for (const connection of this.#connections) connection.close();
  }

  #accept(socket: Socket): void {
    const { maxClientCnxns, trace } = this.#options;
    const address = plainAddress(socket.remoteAddress ?? '');
    const count = this.#perAddress.get(address) ?? 0;
    socket.on('error', () => socket.destroy());
    if (maxClientCnxns > 0 && count >= maxClientCnxns) {
      trace.event('TooManyConnections', { address, max: maxClientCnxns });
      socket.destroy();
      return;
    }
    this.#perAddress.set(address, count + 1);
    const connection = new ClientConnection(this.#options, socket, address);
    this.#connections.add(connection);
    socket.on('close', () => {
      this.#connections.delete(connection);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    });
  }
}

/** One for all connections: the pipeline does not keep it. */
const request = new ClientRequest();

type State = 'new' | 'handshake' | 'open' | 'closing' | 'closed';

class ClientConnection implements ClientSink {
  readonly #options: ClientListenerOptions;
  readonly #pipeline: ClientPipeline;
  readonly #socket: Socket;
  readonly #address: string;
  readonly #reader: FrameReader;
  readonly #out = new JuteWriter(512);
  readonly #outputHighBytes: number;
  readonly #outputMaxBytes: number;
  #state: State = 'new';
  #first: Buffer | null = null;
  /** The pipeline's name for this connection; null before its ConnectRequest. */
  #handle: number | null = null;
  #hasReadOnly = false;
  /** Not read from: unsent output, or the pipeline said so. */
  #stopped = false;
  #timer: NodeJS.Timeout | null;

  constructor(options: ClientListenerOptions, socket: Socket, address: string) {
    this.#options = options;
    this.#pipeline = options.pipeline;
    this.#socket = socket;
    this.#address = address;
    this.#outputHighBytes = options.outputHighBytes ?? OUTPUT_HIGH_BYTES;
    this.#outputMaxBytes = options.outputMaxBytes ?? OUTPUT_MAX_BYTES;
    this.#reader = new FrameReader(options.juteMaxBuffer, (bytes, start, end) => this.#onFrame(bytes, start, end));
    this.#timer = setTimeout(() => this.#abort('no handshake'), options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#readOn());
    socket.on('timeout', () => this.#onIdle());
    socket.on('close', () => this.#onClose());
  }

  // ------------------------------------------------------------ in

  #onData(chunk: Buffer): void {
    switch (this.#state) {
      case 'new':
        this.#onFirst(chunk);
        return;
      case 'handshake':
      case 'open':
        this.#read(chunk);
        return;
      default:
        // Closing: read and dropped, so that the kernel does not answer with a reset that overtakes our last reply.
        return;
    }
  }

  #onFirst(chunk: Buffer): void {
    const bytes = this.#first === null ? chunk : Buffer.concat([this.#first, chunk]);
    if (bytes.length < 4) {
      this.#first = bytes;
      return;
    }
    this.#first = null;
    const word = fourLetterWordOf(bytes.readInt32BE(0));
    if (word !== undefined) {
      this.#socket.write(answerFourLetterWord(word, this.#pipeline.stats(), this.#options.whitelist));
      this.close();
      return;
    }
    this.#state = 'handshake';
    this.#read(bytes);
  }

  #read(chunk: Buffer): void {
    if (!this.#reader.push(chunk)) this.#abort('frame length out of range');
  }

  #onFrame(bytes: Buffer, start: number, end: number): boolean {
    if (this.#state === 'open') {
      if (!this.#decode(bytes, start, end)) {
        this.#abort('frame without a request header');
        return false;
      }
      this.#pipeline.request(this.#handle as number, request);
    } else if (this.#state === 'handshake') {
      this.#connect(bytes, start, end);
    } else {
      return false;
    }
    if (this.#mayRead()) return true;
    this.#stop();
    return false;
  }

  #decode(bytes: Buffer, start: number, end: number): boolean {
    try {
      return decodeRequest(bytes, start, end, request);
    } catch (error) {
      this.#options.trace.event('RequestDecodeFailed', { address: this.#address, error: String(error) });
      return false;
    }
  }

  #connect(bytes: Buffer, start: number, end: number): void {
    const connect = decodeConnectRequest(bytes, start, end);
    if (connect === null) {
      this.#abort('malformed ConnectRequest');
      return;
    }
    this.#state = 'open';
    this.#hasReadOnly = connect.hasReadOnly;
    const { remotePort, localAddress } = this.#socket;
    const remote = { address: this.#address, port: remotePort ?? 0, local: isLocalAddress(this.#address, localAddress) };
    this.#handle = this.#pipeline.connect(this, connect, this.#options.entropy.bytes(PASSWORD_BYTES), remote);
  }

  #mayRead(): boolean {
    if (this.#state !== 'open') return this.#state === 'handshake';
    return this.#out.length + this.#socket.writableLength <= this.#outputHighBytes && (this.#handle === null || this.#pipeline.writable(this.#handle));
  }

  #stop(): void {
    if (this.#stopped || this.#state !== 'open') return;
    this.#stopped = true;
    this.#socket.pause();
  }

  #readOn(): void {
    if (!this.#stopped || !this.#mayRead()) return;
    this.#stopped = false;
    if (!this.#reader.resume()) this.#abort('frame length out of range');
    // Frames that had waited may have stopped it again.
    else if (!this.#stopped) this.#socket.resume();
  }

  /** No byte came or went for the session's timeout: half-open, or this process did not run. Give what is queued a chance. */
  #onIdle(): void {
    if (this.#state !== 'open' || this.#stopped) return;
    const { bytesRead } = this.#socket;
    setTimeout(() => {
      if (this.#state === 'open' && this.#socket.bytesRead === bytesRead) this.#abort('idle for the session timeout');
    }, IDLE_GRACE_MS);
  }

  // ------------------------------------------------------------ out (ClientSink)

  connected(timeoutMs: number, sessionId: bigint, password: Uint8Array, readOnly: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (timeoutMs > 0) this.#socket.setTimeout(timeoutMs);
    encodeConnectResponse(this.#out, { protocolVersion: 0, timeoutMs, sessionId, password, readOnly }, this.#hasReadOnly);
  }

  reply(xid: number, _op: number, zxid: Zxid, err: number, result: Result | null): void {
    if (this.#state === 'open') encodeReply(this.#out, xid, zxid, err, result);
  }

  event(type: number, state: number, path: string, zxid: Zxid): void {
    if (this.#state === 'open') encodeWatcherEvent(this.#out, type, state, path, zxid);
  }

  flush(): void {
    const out = this.#out;
    if (out.length === 0) return;
    const socket = this.#socket;
    if (this.#state === 'closed' || socket.destroyed) {
      out.clear();
      return;
    }
    if (socket.writableLength > this.#outputMaxBytes) {
      this.#abort('does not read what it is sent');
      return;
    }
    socket.write(out.view());
    // Nothing left with the socket: the kernel has it all, and the buffer is ours again.
    if (socket.writableLength === 0 && out.length <= OUTPUT_KEPT_BYTES) out.clear();
    else out.take();
    if (this.#stopped) setImmediate(() => this.#readOn());
  }

  resume(): void {
    if (this.#stopped) setImmediate(() => this.#readOn());
  }

  close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.flush();
    if (this.#socket.destroyed) return;
    this.#state = 'closing';
    this.#socket.end();
    this.#socket.resume();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
  }

  /** At once, without a word. */
  #abort(why: string): void {
    if (this.#state === 'closed') return;
    this.#options.trace.event('ConnectionClosed', { address: this.#address, why });
    this.#state = 'closed';
    this.#socket.destroy();
  }

  #onClose(): void {
    this.#state = 'closed';
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#out.take();
    if (this.#handle !== null) this.#pipeline.disconnected(this.#handle);
    this.#handle = null;
  }
}
