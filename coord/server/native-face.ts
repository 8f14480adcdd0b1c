/**
 * One connection that speaks the native protocol: from messages (msgpack arrays: coord/wire/native.ts, docs/protocol/native.md) to the pipeline
 * and back. Limits as for ZooKeeper's protocol: a client that does not read is not read from and in the end closed.
 * Left to others: the socket and time (FaceSocket, FaceTimers), how long a message may be.
 */
import type { TimerHandle } from '../base/ports.ts';
import type { Zxid } from '../base/zxid.ts';
import { PASSWORD_BYTES } from '../wire/connect.ts';
import { decodeNativeConnect, decodeNativeRequest, encodeNativeConnected, encodeNativeEvent, encodeNativeReply } from '../wire/native.ts';
import { ClientRequest, type ClientSink, type Result } from '../wire/types.ts';
import { HANDSHAKE_TIMEOUT_MS, LINGER_MS, OUTPUT_HIGH_BYTES, OUTPUT_MAX_BYTES, type FaceOptions, type FaceSocket } from './client-face.ts';
import type { RemoteAddress } from './pipeline.ts';

/** One for all connections: the pipeline does not keep it. */
const request = new ClientRequest();

export class NativeFace implements ClientSink {
  readonly #options: FaceOptions;
  readonly #socket: FaceSocket;
  readonly #remote: RemoteAddress;
  #frames: Buffer[] = [];
  #frameBytes = 0;
  #handle: number | null = null;
  #open = true;
  #stopped = false;
  /** Messages that had been received when reading was stopped. */
  readonly #waiting: Buffer[] = [];
  #timer: TimerHandle | null;

  constructor(options: FaceOptions, socket: FaceSocket, remote: RemoteAddress) {
    this.#options = options;
    this.#socket = socket;
    this.#remote = remote;
    this.#timer = options.timers.after(options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS, () => this.#abort('no handshake'));
  }

  message(data: Buffer, isBinary = true): void {
    if (!this.#open) return;
    if (!isBinary) this.#refuse('a text message');
    else if (this.#stopped) this.#waiting.push(data);
    else this.#onMessage(data);
  }

  #onMessage(frame: Buffer): void {
    const { pipeline, entropy } = this.#options;
    if (this.#handle === null) {
      const connect = decodeNativeConnect(frame);
      if (connect === null) {
        this.#refuse('malformed connect');
        return;
      }
      this.#handle = pipeline.connect(this, connect, entropy.bytes(PASSWORD_BYTES), this.#remote);
    } else if (decodeNativeRequest(frame, request)) {
      pipeline.request(this.#handle, request);
    } else {
      this.#refuse('frame without xid and op');
      return;
    }
    if (this.#open && !this.#stopped && !this.#mayRead()) {
      this.#stopped = true;
      this.#socket.pause();
    }
  }

  #mayRead(): boolean {
    return this.#frameBytes + this.#socket.unsentBytes <= (this.#options.outputHighBytes ?? OUTPUT_HIGH_BYTES) && (this.#handle === null || this.#options.pipeline.writable(this.#handle));
  }

  /** What was unsent has left. */
  drained(): void {
    this.#readOn();
  }

  #readOn(): void {
    if (!this.#stopped || !this.#open || !this.#mayRead()) return;
    this.#stopped = false;
    for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
      this.#onMessage(frame);
      if (this.#stopped || !this.#open) return;
    }
    this.#socket.resume();
  }

  // ------------------------------------------------------------ ClientSink

  connected(timeoutMs: number, sessionId: bigint, password: Uint8Array, readOnly: boolean): void {
    this.#timer?.cancel();
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
    const socket = this.#socket;
    if (socket.unsentBytes > (this.#options.outputMaxBytes ?? OUTPUT_MAX_BYTES)) {
      this.#abort('does not read what it is sent');
      return;
    }
    socket.cork();
    for (const frame of frames) socket.write(frame);
    socket.uncork();
    this.resume();
  }

  resume(): void {
    if (this.#stopped) this.#options.timers.later(() => this.#readOn());
  }

  close(): void {
    this.#end('');
  }

  #refuse(why: string): void {
    this.#options.trace.event('ConnectionClosed', { address: this.#remote.address, why });
    this.#end(why);
  }

  #end(why: string): void {
    if (!this.#open) return;
    this.flush();
    this.#open = false;
    this.#waiting.length = 0;
    this.#socket.resume();
    this.#socket.end(why);
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(LINGER_MS, () => this.#socket.destroy());
  }

  #abort(why: string): void {
    this.#options.trace.event('ConnectionClosed', { address: this.#remote.address, why });
    this.#open = false;
    this.#socket.destroy();
  }

  /** The socket is gone. */
  closed(): void {
    this.#open = false;
    this.#timer?.cancel();
    this.#timer = null;
    this.#frames = [];
    this.#waiting.length = 0;
    if (this.#handle !== null) this.#options.pipeline.disconnected(this.#handle);
    this.#handle = null;
  }
}
