/**
 * One connection that speaks ZooKeeper's client protocol: from the bytes of a stream to the pipeline and back. Four-letter words, framing, the
 * handshake, and one output buffer that is written once per flush().
 *
 * What a connection does wrong happens to that connection alone: a length below 0 or above jute.maxbuffer and a frame without a header close
 * it with no reply, as ZooKeeper does. Memory per connection is bounded: a frame in parts takes what has arrived of it, a client that does not
 * read its replies is not read from, and one that does not read its watch events either is closed.
 * Left to others: the socket and time (FaceSocket, FaceTimers), how many connections there may be.
 */
import type { TimerHandle } from '../base/ports.ts';
import type { Zxid } from '../base/zxid.ts';
import { decodeConnectRequest, encodeConnectResponse, PASSWORD_BYTES } from '../wire/connect.ts';
import { answerFourLetterWord, fourLetterWordOf } from '../wire/four-letter-words.ts';
import { FrameReader } from '../wire/frame-reader.ts';
import { JuteWriter } from '../wire/jute.ts';
import { encodeReply, encodeWatcherEvent } from '../wire/replies.ts';
import { decodeRequest } from '../wire/requests.ts';
import { ClientRequest, type ClientSink, type Result } from '../wire/types.ts';
import { HANDSHAKE_TIMEOUT_MS, LINGER_MS, OUTPUT_HIGH_BYTES, OUTPUT_MAX_BYTES, type FaceOptions, type FaceSocket } from './client-face.ts';
import type { RemoteAddress } from './pipeline.ts';

export interface ZooKeeperFaceOptions extends FaceOptions {
  readonly whitelist: ReadonlySet<string>;
}

/** An output buffer that one large reply made larger than this is not kept. */
const OUTPUT_KEPT_BYTES = 128 << 10;
/** A connection without a byte for its session's timeout gets this much longer: the process itself may have been asleep. */
const IDLE_GRACE_MS = 500;

/** One for all connections: the pipeline does not keep it. */
const request = new ClientRequest();

type State = 'new' | 'handshake' | 'open' | 'closing' | 'closed';

export class ZooKeeperFace implements ClientSink {
  readonly #options: ZooKeeperFaceOptions;
  readonly #socket: FaceSocket;
  readonly #remote: RemoteAddress;
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
  #timer: TimerHandle | null;

  constructor(options: ZooKeeperFaceOptions, socket: FaceSocket, remote: RemoteAddress) {
    this.#options = options;
    this.#socket = socket;
    this.#remote = remote;
    this.#outputHighBytes = options.outputHighBytes ?? OUTPUT_HIGH_BYTES;
    this.#outputMaxBytes = options.outputMaxBytes ?? OUTPUT_MAX_BYTES;
    this.#reader = new FrameReader(options.juteMaxBuffer, (bytes, start, end) => this.#onFrame(bytes, start, end));
    this.#timer = options.timers.after(options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS, () => this.#abort('no handshake'));
  }

  // ------------------------------------------------------------ in

  data(chunk: Buffer): void {
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

  /** What was unsent has left. */
  drained(): void {
    this.#readOn();
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
      this.#socket.write(Buffer.from(answerFourLetterWord(word, this.#options.pipeline.stats(), this.#options.whitelist)));
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
      this.#options.pipeline.request(this.#handle as number, request);
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
      this.#options.trace.event('RequestDecodeFailed', { address: this.#remote.address, error: String(error) });
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
    this.#handle = this.#options.pipeline.connect(this, connect, this.#options.entropy.bytes(PASSWORD_BYTES), this.#remote);
  }

  #mayRead(): boolean {
    if (this.#state !== 'open') return this.#state === 'handshake';
    return this.#out.length + this.#socket.unsentBytes <= this.#outputHighBytes && (this.#handle === null || this.#options.pipeline.writable(this.#handle));
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
  idle(): void {
    if (this.#state !== 'open' || this.#stopped) return;
    const { bytesRead } = this.#socket;
    this.#options.timers.after(IDLE_GRACE_MS, () => {
      if (this.#state === 'open' && this.#socket.bytesRead === bytesRead) this.#abort('idle for the session timeout');
    });
  }

  // ------------------------------------------------------------ out (ClientSink)

  connected(timeoutMs: number, sessionId: bigint, password: Uint8Array, readOnly: boolean): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (timeoutMs > 0) this.#socket.watchIdle(timeoutMs);
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
    if (this.#state === 'closed') {
      out.clear();
      return;
    }
    if (socket.unsentBytes > this.#outputMaxBytes) {
      this.#abort('does not read what it is sent');
      return;
    }
    socket.write(out.view());
    // Nothing left with the socket: it has all gone, and the buffer is ours again.
    if (socket.unsentBytes === 0 && out.length <= OUTPUT_KEPT_BYTES) out.clear();
    else out.take();
    this.resume();
  }

  resume(): void {
    if (this.#stopped) this.#options.timers.later(() => this.#readOn());
  }

  close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.flush();
    // flush() may have given it up.
    if ((this.#state as State) === 'closed') return;
    this.#state = 'closing';
    this.#socket.end('');
    this.#socket.resume();
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(LINGER_MS, () => this.#socket.destroy());
  }

  /** At once, without a word. */
  #abort(why: string): void {
    if (this.#state === 'closed') return;
    this.#options.trace.event('ConnectionClosed', { address: this.#remote.address, why });
    this.#state = 'closed';
    this.#socket.destroy();
  }

  /** The socket is gone. */
  closed(): void {
    this.#state = 'closed';
    this.#timer?.cancel();
    this.#timer = null;
    this.#out.take();
    if (this.#handle !== null) this.#options.pipeline.disconnected(this.#handle);
    this.#handle = null;
  }
}
