/**
 * A raw client in the virtual world: it speaks to the server's core itself, one session over one connection at a time, some requests in flight;
 * moves to another server when its connection breaks, or out of caprice, and does what no client should. It notes every request and every
 * reply; what is in flight when a connection is given up has an unknown outcome, and may still arrive at the old server.
 *
 * Its streams: `client-2/manners` for when and where, `client-2/ops` for what. Prescribed operations go before drawn ones, one after the other.
 * Its watches are kept in session-watches.ts.
 */
import type { TimerHandle } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';
import type { Zxid } from '../../coord/base/zxid.ts';
import type { Server } from '../../coord/server/server.ts';
import { Code, codeName, CreateFlag, OpCode, Xid } from '../../coord/wire/codes.ts';
import type { ClientRequest, ClientSink, Result } from '../../coord/wire/types.ts';
import { encodeRequestBody } from '../../coord/wire/requests.ts';
import type { Judge } from '../judges/judge.ts';
import type { ClientPlan, OpPlan, Target } from '../plan/plan.ts';
import { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { Call } from './call.ts';
import type { Client, Surroundings } from './clients.ts';
import { copyResult } from './copy-result.ts';
import { pathOf, Prescribed } from './prescribed.ts';
import { CLOSE, drawRawOperation, EPHEMERAL, prescribedOperation, type RawOperation } from './raw-operations.ts';
import { multi, OPEN_ACL, request } from './requests.ts';
import { SessionWatches } from './session-watches.ts';

const LATENCY_MS = 0.3;
const RETRY_MS = 50;
const PING_MS = 300;

interface Connection {
  readonly server: SimServer;
  /** The core that took it: after a restart its handles mean others. */
  core: Server | null;
  handle: number;
  open: boolean;
  over: boolean;
  readonly wrongPassword: boolean;
  /** Left before its reply comes: the session is there, and nobody knows it. */
  readonly deaf: boolean;
  /** Of requests; on a slow one they may arrive after the client has moved. */
  readonly latencyMs: number;
  readonly inFlight: { readonly xid: number; readonly call: Call | null; readonly watch: boolean; readonly plan: OpPlan | null }[];
  readonly watches: SessionWatches;
}

export class RawClient implements Client {
  readonly id: number;
  readonly #plan: ClientPlan;
  readonly #around: Surroundings;
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #ops: Prng;
  readonly #process: Process;
  #sessionId = 0n;
  #password: Uint8Array = new Uint8Array(16);
  #lastZxid: Zxid = 0;
  #connection: Connection | null = null;
  #watches: SessionWatches;
  #xid = 0;
  #counter = 0;
  /** Operations drawn so far. */
  #drawn = 0;
  #stopped = false;
  readonly #prescribed: Prescribed;
  /** Where the next connection goes; null: anywhere. */
  #target: Target | null = null;
  /** Not connected, and not to be before an operation asks for it. */
  #away: boolean;
  #abandoned = false;
  #nextTimer: TimerHandle | null = null;

  constructor(plan: ClientPlan, around: Surroundings) {
    const { world, judge } = around;
    const name = `client-${plan.id}`;
    this.id = plan.id;
    this.#plan = plan;
    this.#around = around;
    this.#judge = judge;
    this.#prng = world.streams(`${name}/manners`);
    this.#ops = world.streams(`${name}/ops`);
    this.#away = !plan.draws;
    this.#process = new Process(world, name);
    this.#process.begin();
    this.#watches = new SessionWatches(plan.id, judge, world.marks);
    this.#prescribed = new Prescribed(this.#process, around.stage, (op, done) => this.#do(op, done));
  }

  get sessionId(): bigint {
    return this.#sessionId;
  }
  get password(): Uint8Array {
    return this.#password;
  }
  get drawn(): number {
    return this.#drawn;
  }
  get idle(): boolean {
    return (this.#connection?.inFlight.length ?? 0) === 0 && this.#prescribed.head === undefined;
  }

  get waitsFor(): string {
    const head = this.#connection?.inFlight[0];
    return head === undefined ? 'nothing' : `the answer of ${this.#connection?.server.process.name} to ${head.call === null ? 'a request' : `${head.call.kind} ${head.call.path}`} (xid ${head.xid})`;
  }

  start(): void {
    this.#around.world.recorder?.lane(this.#process.name, 'client');
    if (this.#plan.draws) this.#process.schedule(this.#prng.float() * 20, () => this.#connect());
  }
  stop(): void {
    this.#stopped = true;
    this.#prescribed.clear();
    if (this.#process.paused) this.#process.resume();
  }

  // ------------------------------------------------------------ connections

  #connect(): void {
    if (this.#connection !== null || this.#away || this.#abandoned) return;
    const server = this.#target === null ? this.#prng.pick(this.#around.servers) : this.#around.stage.server(this.#target);
    if (server === null || !this.#adoptSession()) {
      this.#process.schedule(RETRY_MS, () => this.#connect());
      return;
    }
    const isNew = this.#sessionId === 0n;
    const wrongPassword = !isNew && !this.#stopped && this.#prng.chance(this.#plan.misbehave);
    const deaf = isNew && this.#prng.chance(this.#plan.misbehave);
    const latencyMs = this.#prng.pick([LATENCY_MS, LATENCY_MS, LATENCY_MS, 4, 40]);
    const connection: Connection = { server, core: null, handle: 0, open: false, over: false, wrongPassword, deaf, latencyMs, inFlight: [], watches: this.#watches };
    this.#connection = connection;
    let lastArrivalMs = 0;
    const { world } = this.#around;
    const arrive = (fn: () => void): void => {
      lastArrivalMs = Math.max(lastArrivalMs, world.nowMs + LATENCY_MS + this.#prng.float() * LATENCY_MS);
      this.#process.schedule(lastArrivalMs - world.nowMs, () => {
        if (!connection.over) fn();
      });
    };
    const sink: ClientSink = {
      connected: (timeoutMs, sessionId, password) => arrive(() => this.#connected(connection, timeoutMs, sessionId, password)),
      reply: (xid, _op, zxid, err, result) => {
        const copy = copyResult(result);
        arrive(() => this.#reply(connection, xid, zxid, err, copy));
      },
      event: (type, _state, path, zxid) => arrive(() => connection.watches.event(type, path, zxid)),
      close: () => arrive(() => this.#disconnected(connection)),
      resume: () => {},
      flush: () => {},
    };
    const password = wrongPassword ? this.#password.map((byte) => byte ^ 1) : this.#password;
    const connectRequest = { protocolVersion: 0, lastZxidSeen: this.#lastZxid, timeoutMs: this.#plan.timeoutMs, sessionId: this.#sessionId, password, readOnly: false, hasReadOnly: true };
    const freshPassword = this.#prng.bytes(16);
    world.schedule(LATENCY_MS, () => {
      if (connection.over) return;
      server.process.schedule(0, () => {
        connection.core = server.quorumPeer?.server ?? null;
        if (server.quorumPeer !== null) connection.handle = server.quorumPeer.connect(sink, connectRequest, freshPassword, { address: '127.0.0.1', port: this.id, local: true });
      });
    });
    // A server that does not answer is given up; one that is not there refuses at once.
    this.#process.schedule(deaf ? LATENCY_MS * 1.5 : server.process.alive ? 1500 : LATENCY_MS, () => {
      if (!connection.open) this.#disconnected(connection);
    });
    if (deaf) world.marks.hit('session nobody knows');
  }

  /** Takes over the session that it shares; false: there is none yet. */
  #adoptSession(): boolean {
    const { sharesSessionOf } = this.#plan;
    if (sharesSessionOf === undefined || this.#sessionId !== 0n) return true;
    const other = this.#around.client(sharesSessionOf);
    if (other === undefined || other.sessionId === 0n || other.sessionId === this.#endedSession) return false;
    this.#sessionId = other.sessionId;
    this.#password = other.password;
    this.#around.world.marks.hit('session shared');
    return true;
  }
  /** The last session that has ended: what is shared is not taken over again. */
  #endedSession = 0n;

  serverDied(server: SimServer): void {
    const connection = this.#connection;
    if (connection?.server === server) this.#process.schedule(LATENCY_MS, () => this.#disconnected(connection));
  }

  /** The connection is over on this side, and after a while on the server's. */
  #disconnected(connection: Connection, lingersMs = LATENCY_MS): void {
    if (connection.over) return;
    connection.over = true;
    const { marks } = this.#around.world;
    for (const { call, plan } of connection.inFlight) {
      if (call === null) marks.hit('SYNC lost');
      else {
        this.#judge.unknown(call);
        this.#record(call, null, 'unknown', 0);
        if (call.kind === 'set' || call.kind.startsWith('create')) marks.hit('write lost');
      }
      if (plan !== null) this.#prescribed.oneDone(plan);
    }
    connection.inFlight.length = 0;
    connection.server.process.schedule(lingersMs, () => {
      if (connection.core !== null && connection.server.quorumPeer?.server === connection.core) connection.server.quorumPeer.disconnected(connection.handle);
    });
    this.#connection = null;
    // Where it was sent to, until it has been there.
    if (connection.open) this.#target = null;
    this.#process.schedule(lingersMs > LATENCY_MS ? 1 : 10 + this.#prng.float() * 40, () => this.#connect());
  }

  #connected(connection: Connection, timeoutMs: number, sessionId: bigint, password: Uint8Array): void {
    const { world } = this.#around;
    if (timeoutMs === 0) {
      if (connection.wrongPassword) {
        world.marks.hit('wrong password');
        return;
      }
      // Expired: a new session on the next connection.
      world.marks.hit('session refused');
      this.#judge.sessionExpired(this.id, this.#sessionId);
      this.#newSession();
      return;
    }
    if (connection.wrongPassword) this.#judge.fail('Password', `client ${this.id} came in with a wrong password`);
    if (this.#sessionId !== 0n) world.marks.hit('revalidated');
    else world.recorder?.begin(world.nowMs, this.#process.name, 'session', `0x${sessionId.toString(16)}`);
    connection.open = true;
    this.#sessionId = sessionId;
    this.#password = password;
    const again = this.#watches.again(this.#lastZxid);
    if (again !== null) this.#send(connection, again, null);
    const { head } = this.#prescribed;
    if (head?.op === 'connect') this.#prescribed.oneDone(head);
    this.#next(connection);
  }

  #newSession(): void {
    const { world } = this.#around;
    if (this.#sessionId !== 0n) world.recorder?.end(world.nowMs, this.#process.name, 'session');
    this.#endedSession = this.#sessionId;
    this.#sessionId = 0n;
    this.#password = new Uint8Array(16);
    this.#watches = new SessionWatches(this.id, this.#judge, world.marks);
  }

  // ------------------------------------------------------------ prescribed operations

  perform(op: OpPlan): void {
    if (!this.#stopped) this.#prescribed.add(op);
  }

  #do(op: OpPlan, done: number): void {
    const connection = this.#connection;
    switch (op.op) {
      case 'connect':
        this.#away = false;
        this.#abandoned = false;
        this.#target = op.to ?? null;
        if (connection !== null) {
          connection.open = false;
          this.#disconnected(connection);
        } else this.#connect();
        return;
      case 'disconnect':
      case 'abandon':
        this.#away = true;
        this.#abandoned = op.op === 'abandon';
        if (connection !== null) this.#disconnected(connection);
        if (this.#abandoned) this.#newSession();
        this.#prescribed.oneDone(op);
        return;
      default:
        if (connection === null) {
          this.#away = false;
          this.#connect();
        } else if (connection.open && connection.inFlight.length === 0) this.#issue(connection, prescribedOperation(op.op, pathOf(op, done)), op);
    }
  }

  // ------------------------------------------------------------ requests

  /** A burst of requests; the next one when it is answered and some time has passed. Whoever has nothing to do keeps its session alive. */
  #next(connection: Connection): void {
    if (connection.inFlight.length > 0) return;
    this.#nextTimer?.cancel();
    if (this.#prescribed.head !== undefined) return this.#prescribed.proceed();
    const isIdle = this.#stopped || !this.#plan.draws;
    this.#nextTimer = this.#process.schedule(isIdle ? PING_MS : this.#prng.float() * this.#plan.thinkMs, () => {
      if (connection.over || !connection.open || connection.inFlight.length > 0) return;
      if (this.#stopped || !this.#plan.draws) {
        this.#ping(connection);
        this.#next(connection);
        return;
      }
      for (let n = this.#prng.between(1, this.#plan.burst); n > 0; n--) this.#draw(connection);
      this.#caprice(connection);
      // All of them may have been skipped.
      this.#next(connection);
    });
  }

  #caprice(connection: Connection): void {
    const { timeoutMs, stall, move, misbehave } = this.#plan;
    const { marks } = this.#around.world;
    if (this.#prng.chance(stall)) this.#process.pause(timeoutMs * (0.5 + this.#prng.float()));
    else if (this.#prng.chance(move)) this.#disconnected(connection, this.#prng.pick([0.3, 5, 300]));
    else if (this.#prng.chance(misbehave)) {
      const close = (): void => {
        if (!connection.over) this.#issue(connection, CLOSE);
      };
      if (this.#prng.chance(0.4)) {
        // The end of its session comes from both sides.
        marks.hit('close beside expiry');
        this.#process.pause(timeoutMs * (0.9 + 0.3 * this.#prng.float()));
        this.#process.schedule(0, close);
      } else {
        close();
        if (this.#prng.chance(0.5)) {
          marks.hit('request after close');
          this.#issue(connection, EPHEMERAL);
        }
      }
    }
  }

  /** Draws one operation, and sends it unless the plan leaves it out. */
  #draw(connection: Connection): void {
    const drawn = drawRawOperation(this.#ops);
    if (!this.#around.skips.has(this.#process.name, ++this.#drawn)) this.#issue(connection, drawn);
  }

  #issue(connection: Connection, operation: RawOperation, plan: OpPlan | null = null): void {
    const { type, path } = operation;
    switch (type) {
      case 'read': {
        const r = request(operation.op, path);
        r.watch = operation.watch;
        return this.#send(connection, r, this.#call(operation.kind, path), plan);
      }
      case 'sync-get': {
        // The call begins with the SYNC.
        const call = this.#call('sync-get', path);
        this.#send(connection, request(OpCode.sync, path), null);
        return this.#send(connection, request(OpCode.getData, path), call, plan);
      }
      case 'write': {
        const { kind, flags, version } = operation;
        const call = this.#call(kind, path, { version, ...(kind === 'create-sequential' ? { ephemeral: flags === CreateFlag.EPHEMERAL_SEQUENTIAL } : {}) });
        const r = request(operation.op, path);
        r.data = Buffer.from(call.value);
        r.version = version;
        r.flags = flags;
        r.acl = OPEN_ACL;
        return this.#send(connection, r, call, plan);
      }
      case 'multi': {
        const call = this.#call('multi', path, { ops: operation.ops });
        return this.#send(connection, multi(operation.ops, call.value, OpCode.create), call, plan);
      }
    }
  }

  #call(kind: Call['kind'], path: string, more: Partial<Call> = {}): Call {
    return { client: this.id, kind, path, value: `${this.id}:${this.#counter++}`, version: -1, sessionId: this.#sessionId, invokedMs: this.#around.world.nowMs, ackedBefore: this.#judge.newestAcked, ...more };
  }

  #ping(connection: Connection): void {
    const r = request(OpCode.ping, '');
    r.xid = Xid.PING;
    this.#send(connection, r, null);
  }

  /** Numbers it, if it has no number of its own. */
  #send(connection: Connection, r: ClientRequest, call: Call | null, plan: OpPlan | null = null): void {
    if (r.xid === 0) r.xid = ++this.#xid;
    r.body = encodeRequestBody(r);
    if (r.xid > 0) connection.inFlight.push({ xid: r.xid, call, watch: r.watch, plan });
    const { server, core, handle, latencyMs } = connection;
    this.#around.world.schedule(latencyMs, () => server.process.schedule(0, () => {
      if (core !== null && server.quorumPeer?.server === core) server.quorumPeer.request(handle, r);
    }));
  }

  #reply(connection: Connection, xid: number, zxid: Zxid, err: number, result: Result | null): void {
    if (xid === Xid.SET_WATCHES) {
      connection.watches.setAgain(zxid);
      connection.watches.seen(zxid);
    }
    if (xid < 0) return;
    const head = connection.inFlight.shift();
    if (head === undefined || head.xid !== xid) {
      this.#judge.fail('ReplyOrder', `client ${this.id} was answered xid ${xid} while ${head?.xid ?? 'nothing'} was next`);
      return;
    }
    if (zxid < this.#lastZxid) this.#judge.fail('MonotonicReads', `client ${this.id} saw zxid ${zxid} after ${this.#lastZxid}`);
    this.#lastZxid = Math.max(this.#lastZxid, zxid);
    connection.watches.seen(zxid);
    const { call, plan } = head;
    if (call !== null) {
      this.#judge.answered(call, zxid, err, result);
      this.#record(call, this.#around.world.nowMs, codeName(err), zxid);
      if (head.watch && (err === 0 || (call.kind === 'exists' && err === Code.NONODE))) connection.watches.add(call.kind === 'children' ? 'child' : err === 0 ? 'data' : 'exist', call.path, zxid);
    }
    if (call?.kind === 'close' && err === 0) {
      this.#newSession();
      if (!this.#plan.draws) this.#away = true;
      this.#disconnected(connection);
    }
    if (plan !== null) this.#prescribed.oneDone(plan);
    if (!connection.over) this.#next(connection);
  }

  #record(call: Call, returnMs: number | null, outcome: string, zxid: Zxid): void {
    this.#around.world.recorder?.operation(this.#process.name, call.kind, call.path, call.invokedMs, returnMs, outcome, zxid);
  }
}
