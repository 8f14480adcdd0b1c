/** A session on a virtual clock and a scripted server: every frame is answered by the test, to the millisecond. */
import type { TimerHandle } from '../../../coord/base/ports.ts';
import { Prng } from '../../../coord/base/prng.ts';
import type { StateSignal } from '../../../coord/client/api.ts';
import { JuteCodec } from '../../../coord/client/jute-codec.ts';
import { ClientSession, type Done, type SessionOptions, type WatchToSet } from '../../../coord/client/session.ts';
import type { ClientTransport, ClientTransportHandler, ServerAddress } from '../../../coord/client/transport.ts';
import { decodeConnectRequest, encodeConnectResponse } from '../../../coord/wire/connect.ts';
import { JuteWriter } from '../../../coord/wire/jute.ts';
import { encodeReply, encodeWatcherEvent } from '../../../coord/wire/replies.ts';
import { decodeRequest } from '../../../coord/wire/requests.ts';
import { ClientRequest, type ConnectRequest, type Result } from '../../../coord/wire/types.ts';

export class VirtualTime {
  nowMs = 0;
  #sequence = 0;
  #timers: { atMs: number; sequence: number; fn: () => void }[] = [];
  #turn: (() => void)[] = [];

  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
  readonly timers = {
    after: (delayMs: number, fn: () => void): TimerHandle => {
      const timer = { atMs: this.nowMs + delayMs, sequence: this.#sequence++, fn };
      this.#timers.push(timer);
      return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
    },
    endOfTurn: (fn: () => void): void => void this.#turn.push(fn),
  };

  get armed(): number {
    return this.#timers.length;
  }

  endTurn(): void {
    while (this.#turn.length > 0) for (const fn of this.#turn.splice(0)) fn();
  }

  advance(ms: number): void {
    const end = this.nowMs + ms;
    this.endTurn();
    for (;;) {
      this.#timers.sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
      const next = this.#timers[0];
      if (next === undefined || next.atMs > end) break;
      this.#timers.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.fn();
      this.endTurn();
    }
    this.nowMs = end;
  }

  /** The process is stopped: time passes, and every timer fires late. */
  pause(ms: number): void {
    this.nowMs += ms;
  }
}

export class Script implements ClientTransport {
  handler: ClientTransportHandler | null = null;
  readonly time = new VirtualTime();
  readonly session: ClientSession;
  readonly signals: StateSignal[] = [];
  readonly events: string[] = [];
  readonly outcomes: string[] = [];
  /** Connections that were opened, in order. */
  readonly attempts: { readonly server: ServerAddress; readonly atMs: number }[] = [];
  connection = 0;
  closed = false;
  /** A connection was asked for, and is neither there nor given up. */
  isOpening = false;
  #unflushed: Uint8Array[] = [];
  #frames: Uint8Array[] = [];
  readonly #writer = new JuteWriter();

  constructor(options: Partial<SessionOptions> = {}) {
    const entropy = new Prng(1);
    this.session = new ClientSession(
      { servers: [{ host: 'a', port: 1 }], sessionTimeoutMs: 3000, readOnly: false, renew: false, queuedRequestsMax: 3, requestBytesMax: 200_000, ...options },
      { transport: this, codec: new JuteCodec(), clock: this.time.clock, timers: this.time.timers, entropy },
      {
        signal: (signal) => this.signals.push(signal),
        event: (type, path, zxid, watchers) => {
          this.events.push(`${type} ${path} ${zxid}`);
          for (const watcher of watchers) watcher({ type: 'NodeCreated', path, zxid });
        },
      },
    );
    this.session.start([]);
    this.time.advance(0);
  }

  open(connection: number, server: ServerAddress): void {
    this.connection = connection;
    this.closed = false;
    this.isOpening = true;
    this.#unflushed = [];
    this.#frames = [];
    this.attempts.push({ server, atMs: this.time.nowMs });
  }
  send(_connection: number, frame: Uint8Array): void {
    this.#unflushed.push(frame);
  }
  flush(): void {
    this.#frames.push(...this.#unflushed.splice(0));
  }
  close(): void {
    this.closed = true;
    this.isOpening = false;
  }

  /** The connection is made; what the client presents itself with. */
  accept(): ConnectRequest {
    this.isOpening = false;
    this.handler?.opened(this.connection);
    const frame = this.#frames.shift() as Uint8Array;
    return decodeConnectRequest(frame, 0, frame.length) as ConnectRequest;
  }

  welcome(sessionId: bigint, timeoutMs = 3000, readOnly = false): void {
    this.#deliver((writer) => encodeConnectResponse(writer, { protocolVersion: 0, timeoutMs, sessionId, password: new Uint8Array(16).fill(9), readOnly }, true));
    this.time.endTurn();
  }

  /** accept and welcome. */
  establish(sessionId = 1n): ConnectRequest {
    const request = this.accept();
    this.welcome(sessionId);
    return request;
  }

  /** What has been sent since the last call. */
  received(): ClientRequest[] {
    this.time.endTurn();
    return this.#frames.splice(0).map((frame) => {
      const request = new ClientRequest();
      decodeRequest(frame, 0, frame.length, request);
      return request;
    });
  }

  reply(xid: number, zxid: number, err = 0, result: Result | null = null): void {
    this.#deliver((writer) => encodeReply(writer, xid, zxid, err, result));
  }

  event(type: number, path: string, zxid: number): void {
    this.#deliver((writer) => encodeWatcherEvent(writer, type, 3, path, zxid));
  }

  garbage(): void {
    this.handler?.frame(this.connection, new Uint8Array([1, 2, 3]));
  }

  lose(): void {
    this.isOpening = false;
    this.handler?.lost(this.connection, 'reset');
  }

  /** A delete of `path`, whose outcome goes to `outcomes`. */
  request(path: string, op = 2): void {
    this.session.request(this.#made(path, op), this.#note(path));
  }
  watch(path: string, op: number, watch: WatchToSet): void {
    const request = this.#made(path, op);
    request.watch = true;
    this.session.request(request, this.#note(path), watch);
  }

  #made(path: string, op: number): ClientRequest {
    const request = new ClientRequest();
    request.op = op as ClientRequest['op'];
    request.path = path;
    return request;
  }
  #note(path: string): Done {
    return (error, _result, zxid) => this.outcomes.push(`${path} ${error ?? 'OK'} ${zxid}`);
  }
  #deliver(encode: (writer: JuteWriter) => void): void {
    this.#writer.clear();
    encode(this.#writer);
    this.handler?.frame(this.connection, this.#writer.view().slice(4));
  }
}
