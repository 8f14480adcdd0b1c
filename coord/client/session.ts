/**
 * The client's half of a session, as a state machine over ports: it sees connections, frames, requests and time, and no promises.
 *
 * Decides: which server to try and when; when a connection is given up; what a request's outcome is; when a watch fires.
 *
 * Invariants:
 * - Replies complete requests in the order in which they were issued; a reply out of order ends the connection.
 * - A request that was sent and not answered when its connection ends fails with CONNECTIONLOSS, and is never sent again.
 * - A request that was not sent waits for the next connection of the same session, and fails only with the session (or the queue's limit).
 * - On a new connection credentials go first, then the watches with the highest zxid seen, then what waited.
 * - 'connected' implies that the session's lease was not over when it was last looked at.
 * - After 'expired' (without renew), 'closed' and 'auth-failed' nothing is sent and no timer runs.
 *
 * Source: ZooKeeper's ClientCnxn and its wire protocol.
 *
 * Leaves to others: bytes and framing (codec, transport), chroot, promises and path checks (client.ts).
 */
import { DreyError } from '../base/errors.ts';
import type { Clock, Entropy, Timers, Trace } from '../base/ports.ts';
import { formatZxid, type Zxid } from '../base/zxid.ts';
import { Code, codeName, OpCode, Xid } from '../wire/codes.ts';
import { ClientRequest, type Result } from '../wire/types.ts';
import type { AddWatchMode, ConnectionState, StateSignal, Watcher } from './api.ts';
import type { CoordErrorCode } from './errors.ts';
import { DeadlineTimer } from './deadline-timer.ts';
import { Fifo } from '../base/fifo.ts';
import { limits } from './limits.ts';
import { ServerRotation } from './server-rotation.ts';
import type { ClientCodec, ClientTransport, ClientTransportHandler, ServerAddress, ServerMessages } from './transport.ts';
import { Watches, type WatchKind } from './watches.ts';

export interface SessionOptions {
  readonly servers: readonly ServerAddress[];
  readonly sessionTimeoutMs: number;
  readonly readOnly: boolean;
  readonly renew: boolean;
  readonly resume?: { readonly id: bigint; readonly password: Uint8Array };
  readonly queuedRequestsMax: number;
  readonly requestBytesMax: number;
  readonly pingIntervalMs?: number;
  readonly silenceTimeoutMs?: number;
}

export interface SessionPorts {
  readonly transport: ClientTransport;
  readonly codec: ClientCodec;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly trace?: Trace;
}

export interface SessionHandler {
  signal(signal: StateSignal): void;
  /** Already taken from the table: each is to be called once, in the order of these calls. */
  event(type: number, path: string, zxid: Zxid, watchers: readonly Watcher[]): void;
}

/** error null: `result` is the reply's body, null for an empty one. Else a result code's name. zxid: the reply's, 0 if there was none. */
export type Done = (error: CoordErrorCode | null, result: Result | null, zxid: Zxid) => void;

export interface WatchToSet {
  readonly kind: WatchKind | 'exists';
  readonly watcher: Watcher;
}

interface Entry {
  readonly request: ClientRequest;
  readonly done: Done;
  readonly watch: WatchToSet | null;
  /** -1: not sent yet. */
  sentMs: number;
}
interface Credential {
  readonly scheme: string;
  readonly data: Uint8Array;
  sentMs: number;
  done: Done | null;
}

type Phase =
  /** Waiting for the moment of the next attempt. */
  | 'idle'
  | 'opening'
  | 'handshake'
  | 'established';

export class ClientSession implements ClientTransportHandler, ServerMessages {
  readonly #options: SessionOptions;
  readonly #ports: SessionPorts;
  readonly #handler: SessionHandler;
  readonly watches = new Watches();

  #state: ConnectionState = 'connecting';
  /** 0n until the first handshake succeeds, and again while a new session is asked for after expiry. */
  #sessionId = 0n;
  #password: Uint8Array = new Uint8Array(16);
  #timeoutMs: number;
  /** Never goes back, not even over a renewal: what the caller saw stays seen. */
  #lastZxid: Zxid = 0;
  #readOnly = false;
  /** The session has been on a server with a quorum; only then does a read-only server know it. */
  #seenReadWrite = false;
  /** When a read-only server is left to look for one with a quorum, and how long the next one is given. */
  #leaveReadOnlyMs = Infinity;
  #readOnlyPauseMs: number = limits.readOnlyFirstMs;

  readonly #servers: ServerRotation;
  #phase: Phase = 'idle';
  #connection = 0;
  #phaseSinceMs = 0;
  #nextAttemptMs = 0;

  #xid = 0;
  readonly #queue = new Fifo<Entry>();
  readonly #pending = new Fifo<Entry>();
  readonly #credentials: Credential[] = [];
  readonly #authPending = new Fifo<Credential>();
  /** When the ping that is out was sent; -1: none is. */
  #pingSentMs = -1;

  #lastSentMs = 0;
  #lastReceivedMs = 0;
  /** When the last request that got an answer was sent: the servers heard of the session no earlier. -1: never. */
  #lastHeardMs = -1;
  #leaseLostSignalled = false;

  #closing: Entry | null = null;
  #closeDeadlineMs = 0;
  #closeDone: (() => void)[] = [];
  #flushQueued = false;
  readonly #timer: DeadlineTimer;

  constructor(options: SessionOptions, ports: SessionPorts, handler: SessionHandler) {
    this.#options = options;
    this.#ports = ports;
    this.#handler = handler;
    this.#timeoutMs = options.sessionTimeoutMs;
    if (options.resume !== undefined) {
      this.#sessionId = options.resume.id;
      this.#password = options.resume.password;
      this.#seenReadWrite = true;
    }
    this.#servers = new ServerRotation(options.servers, ports.entropy);
    this.#timer = new DeadlineTimer(ports.clock, ports.timers, () => this.#onTime(this.#now()));
    ports.transport.handler = this;
  }

  get state(): ConnectionState {
    return this.#state;
  }
  get sessionId(): bigint {
    return this.#sessionId;
  }
  get password(): Uint8Array {
    return this.#password;
  }
  get timeoutMs(): number {
    return this.#timeoutMs;
  }
  get lastZxid(): Zxid {
    return this.#lastZxid;
  }
  get readOnly(): boolean {
    return this.#readOnly;
  }
  get server(): ServerAddress | null {
    return this.#phase === 'established' ? this.#servers.current : null;
  }

  leaseRemainingMs(): number {
    if (this.#sessionId === 0n || this.#isOver() || this.#lastHeardMs < 0) return 0;
    return Math.max(0, this.#lastHeardMs + this.#timeoutMs - this.#now());
  }

  /** Begins to connect. `credentials` are sent on every connection. */
  start(credentials: readonly { scheme: string; data: Uint8Array }[]): void {
    for (const { scheme, data } of credentials) this.#credentials.push({ scheme, data, sentMs: -1, done: null });
    this.#nextAttemptMs = this.#now();
    this.#arm();
  }

  /** Takes the request over; `done` is called once, later. */
  request(request: ClientRequest, done: Done, watch: WatchToSet | null = null): void {
    if (this.#isOver() || this.#closing !== null) {
      this.#ports.timers.endOfTurn(() => done(this.#finalCode(), null, 0));
      return;
    }
    const entry: Entry = { request, done, watch, sentMs: -1 };
    if (this.#phase === 'established') {
      this.#send(entry);
    } else if (this.#queue.size >= this.#options.queuedRequestsMax) {
      this.#ports.timers.endOfTurn(() => done('OPERATIONTIMEOUT', null, 0));
    } else {
      this.#queue.push(entry);
    }
  }

  /**
   * Takes a persistent watcher away. `done` when the server has dropped the watch, if nobody else wants it and there is a connection; its
   * error, if any, says that the connection is gone, or that the server is older than this type of removal.
   */
  removeWatch(mode: AddWatchMode, path: string, watcher: Watcher, done: Done): void {
    const wasLast = this.watches.remove(mode, path, watcher);
    // The server keeps one watch for all: an addWatch that is on its way would lose it to our removal.
    if (!wasLast || this.#state !== 'connected' || this.#isAdding(mode, path)) {
      this.#ports.timers.endOfTurn(() => done(null, null, 0));
      return;
    }
    const request = new ClientRequest();
    request.op = OpCode.removeWatches;
    request.path = path;
    request.flags = WATCHER_TYPES[mode];
    this.request(request, done);
  }

  #isAdding(mode: AddWatchMode, path: string): boolean {
    const adds = ({ watch, request }: Entry): boolean => watch !== null && watch.kind === mode && request.path === path;
    return this.#pending.some(adds) || this.#queue.some(adds);
  }

  addAuth(scheme: string, data: Uint8Array, done: Done): void {
    if (this.#isOver() || this.#closing !== null) {
      this.#ports.timers.endOfTurn(() => done(this.#finalCode(), null, 0));
      return;
    }
    const credential: Credential = { scheme, data, sentMs: -1, done };
    this.#credentials.push(credential);
    if (this.#phase === 'established') this.#sendAuth(credential);
  }

  /** Ends the session on the server if one can be reached soon; `done` is called in any case. */
  close(done: () => void): void {
    if (this.#isOver()) {
      this.#ports.timers.endOfTurn(done);
      return;
    }
    this.#closeDone.push(done);
    if (this.#closing !== null) return;
    const request = new ClientRequest();
    request.op = OpCode.closeSession;
    this.#closing = { request, done: () => this.#finish('closed'), watch: null, sentMs: -1 };
    this.#closeDeadlineMs = this.#now() + limits.closeTimeoutMs;
    if (this.#sessionId === 0n) this.#ports.timers.endOfTurn(() => this.#finish('closed'));
    else if (this.#phase === 'established') this.#send(this.#closing);
    else this.#queue.push(this.#closing);
    this.#arm();
  }

  // ---------------------------------------------------------------- connecting

  #attempt(nowMs: number): void {
    this.#connection++;
    this.#phase = 'opening';
    this.#phaseSinceMs = nowMs;
    const { host, port } = this.#servers.current;
    this.#trace('client.connecting', { host, port });
    this.#ports.transport.open(this.#connection, this.#servers.current);
  }

  opened(connection: number): void {
    if (connection !== this.#connection || this.#phase !== 'opening') return;
    const nowMs = this.#now();
    this.#phase = 'handshake';
    this.#lastSentMs = nowMs;
    // A server with a quorum does not know a session that only a read-only server has seen.
    const known = this.#sessionId !== 0n && this.#seenReadWrite;
    const frame = this.#ports.codec.encodeConnect({
      protocolVersion: 0, lastZxidSeen: this.#lastZxid, timeoutMs: this.#options.sessionTimeoutMs, sessionId: known ? this.#sessionId : 0n,
      password: known ? this.#password : new Uint8Array(16), readOnly: this.#options.readOnly, hasReadOnly: true,
    });
    this.#ports.transport.send(connection, frame);
    this.#ports.transport.flush(connection);
    this.#arm();
  }

  #onHandshake(frame: Uint8Array): void {
    const response = this.#ports.codec.decodeConnect(frame);
    if (response.timeoutMs <= 0) {
      this.#expire();
      return;
    }
    const resumed = this.#state === 'suspended' && response.sessionId === this.#sessionId;
    this.#sessionId = response.sessionId;
    this.#password = new Uint8Array(response.password);
    this.#timeoutMs = response.timeoutMs;
    this.#readOnly = response.readOnly;
    this.#noteReadOnly(response.readOnly);
    this.#phase = 'established';
    this.#servers.settle();
    this.#lastReceivedMs = this.#now();
    this.#lastHeardMs = this.#lastSentMs;
    this.#leaseLostSignalled = false;
    this.#pingSentMs = -1;
    this.#trace('client.connected', { session: `0x${response.sessionId.toString(16)}`, timeoutMs: response.timeoutMs, resumed });
    for (const credential of this.#credentials) this.#sendAuth(credential);
    for (const request of this.watches.setWatches(this.#lastZxid)) this.#send({ request, done: ignore, watch: null, sentMs: -1 });
    while (this.#queue.size > 0) this.#send(this.#queue.shift() as Entry);
    this.#setState('connected', resumed ? 'reconnected' : 'connected');
    this.#arm();
  }

  #noteReadOnly(readOnly: boolean): void {
    if (readOnly) {
      this.#leaveReadOnlyMs = this.#now() + this.#readOnlyPauseMs;
      this.#readOnlyPauseMs = Math.min(limits.readOnlyMaxMs, 2 * this.#readOnlyPauseMs);
    } else {
      this.#seenReadWrite = true;
      this.#leaveReadOnlyMs = Infinity;
      this.#readOnlyPauseMs = limits.readOnlyFirstMs;
    }
  }

  lost(connection: number, reason: string): void {
    if (connection !== this.#connection || this.#phase === 'idle') return;
    this.#disconnected(reason);
  }

  /** Gives the current connection up and plans the next one. */
  #drop(reason: string): void {
    if (this.#phase === 'idle') return;
    this.#ports.transport.close(this.#connection);
    this.#disconnected(reason);
  }

  #disconnected(reason: string): void {
    const wasEstablished = this.#phase === 'established';
    const { host, port } = this.#servers.current;
    this.#trace('client.disconnected', { host, port, reason, lastZxid: formatZxid(this.#lastZxid) });
    this.#phase = 'idle';
    this.#pingSentMs = -1;
    this.#nextAttemptMs = this.#now() + this.#servers.moveOn();
    if (wasEstablished) {
      // A close() that is under way goes on: whether the session was ended is unknown; the next server says so, or ends it.
      const closing = this.#closing;
      this.#setState('suspended', 'suspended');
      this.#failSent('CONNECTIONLOSS');
      if (closing !== null && closing === this.#closing) {
        closing.sentMs = -1;
        this.#queue.push(closing);
      }
    }
    this.#arm();
  }

  #expire(): void {
    this.#trace('client.expired', { session: `0x${this.#sessionId.toString(16)}` });
    if (this.#closing !== null) {
      this.#finish('closed');
      return;
    }
    if (!this.#options.renew) {
      this.#finish('expired');
      return;
    }
    this.#ports.transport.close(this.#connection);
    this.#phase = 'idle';
    this.#sessionId = 0n;
    this.#password = new Uint8Array(16);
    this.#timeoutMs = this.#options.sessionTimeoutMs;
    this.#seenReadWrite = false;
    this.#lastHeardMs = -1;
    this.watches.clear();
    this.#nextAttemptMs = this.#now();
    const abandoned = this.#queue.takeAll();
    this.#setState('expired', 'expired');
    this.#failSent('SESSIONEXPIRED');
    for (const entry of abandoned) entry.done('SESSIONEXPIRED', null, 0);
    // The callbacks above may have closed the client.
    if (this.#state === 'expired') this.#setState('connecting', 'connecting');
    this.#arm();
  }

  /** Enters a final state. */
  #finish(state: 'closed' | 'expired' | 'auth-failed'): void {
    if (this.#isOver()) return;
    this.#ports.transport.close(this.#connection);
    this.#phase = 'idle';
    this.#timer.cancel();
    this.watches.clear();
    const queued = this.#queue.takeAll();
    const closing = this.#closing;
    this.#closing = null;
    this.#setState(state, state);
    const code = this.#finalCode();
    this.#failSent(code);
    for (const entry of queued) if (entry !== closing) entry.done(code, null, 0);
    for (const credential of this.#credentials) {
      credential.done?.(code, null, 0);
      credential.done = null;
    }
    const closeDone = this.#closeDone;
    this.#closeDone = [];
    for (const done of closeDone) done();
  }

  #isOver(): boolean {
    return this.#state === 'closed' || this.#state === 'auth-failed' || (this.#state === 'expired' && !this.#options.renew);
  }

  #finalCode(): CoordErrorCode {
    return this.#state === 'expired' ? 'SESSIONEXPIRED' : this.#state === 'auth-failed' ? 'AUTHFAILED' : 'CLOSED';
  }

  #failSent(code: CoordErrorCode): void {
    const entries = this.#pending.takeAll();
    this.#authPending.takeAll();
    for (const entry of entries) if (entry !== this.#closing) entry.done(code, null, 0);
  }

  #setState(state: ConnectionState, signal: StateSignal): void {
    this.#state = state;
    this.#trace('client.state', { signal });
    this.#handler.signal(signal);
  }

  // ---------------------------------------------------------------- sending

  #send(entry: Entry): void {
    const { request } = entry;
    if (request.op !== OpCode.setWatches && request.op !== OpCode.setWatches2) request.xid = this.#nextXid();
    const frame = this.#ports.codec.encodeRequest(request);
    if (frame.length > this.#options.requestBytesMax) {
      this.#ports.timers.endOfTurn(() => entry.done('REQUESTTOOLARGE', null, 0));
      return;
    }
    entry.sentMs = this.#now();
    this.#pending.push(entry);
    this.#write(frame, entry.sentMs);
    // The first that waits for an answer begins the time of silence.
    if (this.#pending.size === 1 && this.#phase === 'established') this.#arm();
  }

  #sendAuth(credential: Credential): void {
    const request = new ClientRequest();
    request.xid = Xid.AUTH;
    request.op = OpCode.auth;
    request.scheme = credential.scheme;
    request.data = credential.data;
    credential.sentMs = this.#now();
    this.#authPending.push(credential);
    this.#write(this.#ports.codec.encodeRequest(request), credential.sentMs);
  }

  #write(frame: Uint8Array, nowMs: number): void {
    this.#lastSentMs = nowMs;
    this.#ports.transport.send(this.#connection, frame);
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    this.#ports.timers.endOfTurn(() => {
      this.#flushQueued = false;
      if (this.#phase === 'established') this.#ports.transport.flush(this.#connection);
    });
  }

  #nextXid(): number {
    this.#xid = this.#xid >= 0x7fff_ffff ? 1 : this.#xid + 1;
    return this.#xid;
  }

  // ---------------------------------------------------------------- receiving

  frame(connection: number, frame: Uint8Array): void {
    if (connection !== this.#connection) return;
    try {
      if (this.#phase === 'handshake') this.#onHandshake(frame);
      else if (this.#phase === 'established') {
        this.#lastReceivedMs = this.#now();
        this.#ports.codec.decode(frame, this);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError || (error instanceof DreyError && error.code === 'COORD_MARSHALLING'))) throw error;
      this.#drop(`unreadable frame: ${error.message}`);
    }
  }

  expectedOp(xid: number): number {
    if (xid === Xid.PING) return OpCode.ping;
    if (xid === Xid.AUTH) return OpCode.auth;
    const entry = this.#pending.peek();
    if (entry === undefined || entry.request.xid !== xid) {
      throw new ProtocolError(`reply ${xid}, expected ${entry === undefined ? 'none' : String(entry.request.xid)}`);
    }
    return entry.request.op;
  }

  reply(xid: number, zxid: Zxid, err: number, result: Result | null): void {
    if (xid === Xid.PING) {
      if (this.#pingSentMs >= 0) this.#lastHeardMs = Math.max(this.#lastHeardMs, this.#pingSentMs);
      this.#pingSentMs = -1;
      if (zxid > this.#lastZxid) this.#lastZxid = zxid;
      // The next ping is due before what the timer stands at.
      this.#arm();
      return;
    }
    if (xid === Xid.AUTH) {
      this.#onAuthReply(err);
      return;
    }
    this.expectedOp(xid);
    const entry = this.#pending.shift() as Entry;
    this.#lastHeardMs = Math.max(this.#lastHeardMs, entry.sentMs);
    if (zxid > this.#lastZxid) this.#lastZxid = zxid;
    if (this.#readOnly && this.#pending.size === 0) this.#arm();
    if (entry.watch !== null) this.#register(entry.watch, entry.request.path, err);
    entry.done(err === Code.OK ? null : (codeName(err) as CoordErrorCode), result, zxid);
  }

  #register(watch: WatchToSet, path: string, err: number): void {
    if (watch.kind !== 'exists') {
      if (err === Code.OK) this.watches.add(watch.kind, path, watch.watcher);
    } else if (err === Code.OK || err === Code.NONODE) {
      this.watches.add(err === Code.OK ? 'data' : 'exist', path, watch.watcher);
    }
  }

  #onAuthReply(err: number): void {
    const credential = this.#authPending.shift();
    if (credential === undefined) throw new ProtocolError('an answer to credentials that were not sent');
    this.#lastHeardMs = Math.max(this.#lastHeardMs, credential.sentMs);
    if (err !== Code.OK) {
      this.#finish('auth-failed');
      return;
    }
    const { done } = credential;
    credential.done = null;
    done?.(null, null, 0);
  }

  event(type: number, path: string, zxid: Zxid): void {
    const watchers = this.watches.take(type, path);
    this.#trace('client.event', { type, path, watchers: watchers.length });
    if (watchers.length > 0) this.#handler.event(type, path, Math.max(0, zxid), watchers);
  }

  // ---------------------------------------------------------------- time

  #now(): number {
    return this.#ports.clock.monotonicMs();
  }

  #pingIntervalMs(): number {
    return this.#options.pingIntervalMs ?? this.#timeoutMs / 3;
  }

  /** Something sent has gone unanswered, and nothing has been received, since this moment; Infinity: nothing is outstanding. */
  #silentSinceMs(): number {
    let oldest = this.#pingSentMs >= 0 ? this.#pingSentMs : Infinity;
    oldest = Math.min(oldest, this.#pending.peek()?.sentMs ?? Infinity, this.#authPending.peek()?.sentMs ?? Infinity);
    return Math.max(oldest, this.#lastReceivedMs);
  }

  #nextDeadlineMs(): number {
    if (this.#isOver()) return Infinity;
    let at = this.#closing === null ? Infinity : this.#closeDeadlineMs;
    if (this.#phase === 'established') {
      if (this.#pingSentMs < 0) at = Math.min(at, this.#lastSentMs + this.#pingIntervalMs());
      if (this.#pending.size === 0) at = Math.min(at, this.#leaveReadOnlyMs);
      at = Math.min(at, this.#silentSinceMs() + this.#silenceTimeoutMs(), this.#lastHeardMs + this.#timeoutMs);
    } else {
      if (this.#phase === 'idle') at = Math.min(at, this.#nextAttemptMs);
      else at = Math.min(at, this.#phaseSinceMs + this.#handshakeTimeoutMs());
      if (this.#state === 'suspended' && !this.#leaseLostSignalled) at = Math.min(at, this.#lastHeardMs + this.#timeoutMs);
    }
    return at;
  }

  #silenceTimeoutMs(): number {
    return this.#options.silenceTimeoutMs ?? (this.#timeoutMs * 2) / 3;
  }

  #handshakeTimeoutMs(): number {
    return this.#servers.handshakeTimeoutMs(this.#timeoutMs);
  }

  #arm(): void {
    this.#timer.arm(this.#nextDeadlineMs());
  }

  #onTime(nowMs: number): void {
    if (this.#closing !== null && nowMs >= this.#closeDeadlineMs) {
      this.#finish('closed');
      return;
    }
    if (this.#phase === 'established') {
      if (nowMs >= this.#lastHeardMs + this.#timeoutMs) this.#drop('the lease ran out');
      else if (nowMs >= this.#silentSinceMs() + this.#silenceTimeoutMs()) this.#drop('the server is silent');
      else if (this.#pending.size === 0 && nowMs >= this.#leaveReadOnlyMs) this.#drop('looking for a server with a quorum');
      else if (this.#pingSentMs < 0 && nowMs >= this.#lastSentMs + this.#pingIntervalMs()) this.#ping(nowMs);
    } else if (this.#phase === 'idle') {
      if (nowMs >= this.#nextAttemptMs) this.#attempt(nowMs);
    } else if (nowMs >= this.#phaseSinceMs + this.#handshakeTimeoutMs()) {
      this.#drop('no answer to the handshake');
    }
    if (this.#state === 'suspended' && !this.#leaseLostSignalled && nowMs >= this.#lastHeardMs + this.#timeoutMs) {
      this.#leaseLostSignalled = true;
      this.#trace('client.state', { signal: 'lease-lost' });
      this.#handler.signal('lease-lost');
    }
    this.#arm();
  }

  #ping(nowMs: number): void {
    const request = new ClientRequest();
    request.xid = Xid.PING;
    request.op = OpCode.ping;
    this.#pingSentMs = nowMs;
    this.#write(this.#ports.codec.encodeRequest(request), nowMs);
  }

  #trace(name: string, fields: Readonly<Record<string, unknown>>): void {
    this.#ports.trace?.event(name, fields);
  }
}

/** What a server sent makes no sense here and now. */
class ProtocolError extends Error {
  override name = 'ProtocolError';
}

/** What removeWatches calls them (ZooKeeper >= 3.9). */
const WATCHER_TYPES: Record<AddWatchMode, number> = { persistent: 4, 'persistent-recursive': 5 };

function ignore(): void {}
