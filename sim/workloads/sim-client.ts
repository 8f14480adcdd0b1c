/**
 * A client in the virtual world: one session over one connection at a time, some requests in flight, moves to another server when its
 * connection breaks, or out of caprice. It notes every request and every reply; what is in flight when a connection is given up has an unknown
 * outcome, and may still arrive at the old server. Its watches are kept in session-watches.ts.
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { Zxid } from '../../coord/base/zxid.ts';
import type { Server } from '../../coord/server/server.ts';
import { Code, CreateFlag, OpCode, Xid } from '../../coord/wire/codes.ts';
import { ClientRequest, type ClientSink, type Result, type Stat } from '../../coord/wire/types.ts';
import { encodeRequestBody } from '../../coord/wire/requests.ts';
import type { Judge } from '../judges/judge.ts';
import { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';
import { SessionWatches } from './session-watches.ts';

export interface Call {
  readonly client: number;
  readonly kind: 'set' | 'get' | 'sync-get' | 'exists' | 'children' | 'create' | 'create-ephemeral' | 'create-sequential' | 'delete' | 'multi' | 'close';
  readonly path: string;
  readonly value: string;
  /** Expected version; -1 = any. */
  readonly version: number;
  readonly sessionId: bigint;
  readonly invokedMs: number;
  /** The newest zxid of any write that was acked to anyone before this call began. */
  readonly ackedBefore: Zxid;
}

export interface Manners {
  /** Chance that a connection is left, with requests in flight, instead of the next burst. */
  readonly move: number;
  /** Chance that the client stalls, for longer than its session lives. */
  readonly stall: number;
  /** Chance that a session is closed, or a reconnect begins with a wrong password. */
  readonly misbehave: number;
  readonly timeoutMs: number;
  /** Requests that are sent at once, at most, and the pause behind them, at most. */
  readonly burst: number;
  readonly thinkMs: number;
}

const OPEN_ACL = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const LATENCY_MS = 0.3;
const PATHS = 8;
const QUEUE = '/q';

interface Connection {
  readonly server: SimServer;
  /** The core that took it: after a restart its handles mean others. */
  core: Server | null;
  handle: number;
  open: boolean;
  over: boolean;
  readonly wrongPassword: boolean;
  /** Of requests; on a slow one they may arrive after the client has moved. */
  readonly latencyMs: number;
  readonly inFlight: { readonly xid: number; readonly call: Call | null; readonly watch: boolean }[];
  readonly watches: SessionWatches;
}

export class SimClient {
  readonly id: number;
  readonly #world: World;
  readonly #servers: readonly SimServer[];
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #manners: Manners;
  readonly #process: Process;
  #sessionId = 0n;
  #password: Uint8Array = new Uint8Array(16);
  #lastZxid: Zxid = 0;
  #connection: Connection | null = null;
  #watches: SessionWatches;
  #xid = 0;
  #counter = 0;
  #stopped = false;

  constructor(world: World, id: number, servers: readonly SimServer[], judge: Judge, manners: Manners) {
    this.#world = world;
    this.id = id;
    this.#servers = servers;
    this.#judge = judge;
    this.#manners = manners;
    this.#prng = world.prng.fork(`client-${id}`);
    this.#process = new Process(world, `client-${id}`);
    this.#process.begin();
    this.#watches = new SessionWatches(id, judge, world.marks);
  }

  start(): void {
    this.#process.schedule(this.#prng.float() * 20, () => this.#connect());
  }
  /** No new requests; what is in flight is still answered. */
  stop(): void {
    this.#stopped = true;
    if (this.#process.paused) this.#process.resume();
  }
  get idle(): boolean {
    return (this.#connection?.inFlight.length ?? 0) === 0;
  }

  // ------------------------------------------------------------ connections

  #connect(): void {
    const wrongPassword = this.#sessionId !== 0n && !this.#stopped && this.#prng.chance(this.#manners.misbehave);
    const connection: Connection = { server: this.#prng.pick(this.#servers), core: null, handle: 0, open: false, over: false, wrongPassword, latencyMs: this.#prng.pick([LATENCY_MS, LATENCY_MS, LATENCY_MS, 4, 40]), inFlight: [], watches: this.#watches };
    this.#connection = connection;
    let lastArrivalMs = 0;
    const arrive = (fn: () => void): void => {
      lastArrivalMs = Math.max(lastArrivalMs, this.#world.nowMs + LATENCY_MS + this.#prng.float() * LATENCY_MS);
      this.#process.schedule(lastArrivalMs - this.#world.nowMs, () => {
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
    const connectRequest = { protocolVersion: 0, lastZxidSeen: this.#lastZxid, timeoutMs: this.#manners.timeoutMs, sessionId: this.#sessionId, password, readOnly: false, hasReadOnly: true };
    const freshPassword = this.#prng.bytes(16);
    const { server } = connection;
    this.#world.schedule(LATENCY_MS, () => {
      if (connection.over) return;
      server.process.schedule(0, () => {
        connection.core = server.quorumPeer?.server ?? null;
        if (server.quorumPeer !== null) connection.handle = server.quorumPeer.connect(sink, connectRequest, freshPassword, { address: '127.0.0.1', port: this.id, local: true });
      });
    });
    // A server that does not answer is given up; one that is not there refuses at once.
    this.#process.schedule(server.process.alive ? 1500 : LATENCY_MS, () => {
      if (!connection.open) this.#disconnected(connection);
    });
  }

  serverDied(server: SimServer): void {
    const connection = this.#connection;
    if (connection?.server === server) this.#process.schedule(LATENCY_MS, () => this.#disconnected(connection));
  }

  /** The connection is over on this side, and after a while on the server's. */
  #disconnected(connection: Connection, lingersMs = LATENCY_MS): void {
    if (connection.over) return;
    connection.over = true;
    for (const { call } of connection.inFlight) {
      if (call === null) this.#world.marks.hit('SYNC lost');
      else {
        this.#judge.unknown(call);
        if (call.kind === 'set' || call.kind.startsWith('create')) this.#world.marks.hit('write lost');
      }
    }
    connection.server.process.schedule(lingersMs, () => {
      if (connection.core !== null && connection.server.quorumPeer?.server === connection.core) connection.server.quorumPeer.disconnected(connection.handle);
    });
    this.#connection = null;
    this.#process.schedule(lingersMs > LATENCY_MS ? 1 : 10 + this.#prng.float() * 40, () => this.#connect());
  }

  #connected(connection: Connection, timeoutMs: number, sessionId: bigint, password: Uint8Array): void {
    if (timeoutMs === 0) {
      if (connection.wrongPassword) {
        this.#world.marks.hit('wrong password');
        return;
      }
      // Expired: a new session on the next connection.
      this.#world.marks.hit('session refused');
      this.#judge.sessionExpired(this.id, this.#sessionId);
      this.#newSession();
      return;
    }
    if (connection.wrongPassword) this.#judge.fail('Password', `client ${this.id} came in with a wrong password`);
    if (this.#sessionId !== 0n) this.#world.marks.hit('revalidated');
    connection.open = true;
    this.#sessionId = sessionId;
    this.#password = password;
    const again = this.#watches.again(this.#lastZxid);
    if (again !== null) this.#send(connection, again, null);
    this.#next(connection);
  }

  #newSession(): void {
    this.#sessionId = 0n;
    this.#password = new Uint8Array(16);
    this.#watches = new SessionWatches(this.id, this.#judge, this.#world.marks);
  }

  // ------------------------------------------------------------ requests

  /** A burst of requests; the next one when it is answered and some time has passed. */
  #next(connection: Connection): void {
    if (connection.inFlight.length > 0) return;
    this.#process.schedule(this.#stopped ? 300 : this.#prng.float() * this.#manners.thinkMs, () => {
      if (connection.over || !connection.open || connection.inFlight.length > 0) return;
      if (this.#stopped) {
        this.#send(connection, request(OpCode.ping, Xid.PING), null);
        this.#next(connection);
        return;
      }
      for (let n = this.#prng.between(1, this.#manners.burst); n > 0; n--) this.#issue(connection);
      if (this.#prng.chance(this.#manners.stall)) this.#process.pause(this.#manners.timeoutMs * (0.5 + this.#prng.float()));
      else if (this.#prng.chance(this.#manners.move)) this.#disconnected(connection, this.#prng.pick([0.3, 5, 300]));
      else if (this.#prng.chance(this.#manners.misbehave)) this.#write(connection, OpCode.closeSession, this.#call('close', ''));
    });
  }

  #call(kind: Call['kind'], path: string, version = -1): Call {
    return { client: this.id, kind, path, value: `${this.id}:${this.#counter++}`, version, sessionId: this.#sessionId, invokedMs: this.#world.nowMs, ackedBefore: this.#judge.newestAcked };
  }

  #issue(connection: Connection): void {
    const prng = this.#prng;
    const path = `/k${prng.below(PATHS)}`;
    const draw = prng.float();
    if (draw < 0.3) this.#write(connection, OpCode.setData, this.#call('set', path, prng.chance(0.2) ? prng.below(6) : -1));
    else if (draw < 0.45) this.#read(connection, OpCode.getData, 'get', path);
    else if (draw < 0.5) this.#read(connection, OpCode.exists, 'exists', path);
    else if (draw < 0.55) this.#read(connection, OpCode.getChildren2, 'children', QUEUE);
    else if (draw < 0.65) {
      // The call begins with the SYNC.
      const call = this.#call('sync-get', path);
      this.#send(connection, request(OpCode.sync, ++this.#xid, path), null);
      this.#send(connection, request(OpCode.getData, ++this.#xid, path), call);
    } else if (draw < 0.75) this.#write(connection, OpCode.create, this.#call('create', prng.chance(0.2) ? QUEUE : path));
    else if (draw < 0.82) this.#write(connection, OpCode.create, this.#call('create-sequential', `${QUEUE}/s-`), prng.chance(0.7) ? CreateFlag.EPHEMERAL_SEQUENTIAL : CreateFlag.PERSISTENT_SEQUENTIAL);
    else if (draw < 0.87) this.#write(connection, OpCode.create, this.#call('create-ephemeral', `/e${prng.below(12)}`), CreateFlag.EPHEMERAL);
    else if (draw < 0.94) this.#write(connection, OpCode.delete, this.#call('delete', prng.chance(0.3) ? `/e${prng.below(12)}` : prng.chance(0.05) ? QUEUE : path, prng.chance(0.2) ? 0 : -1));
    else this.#multi(connection, path);
  }

  #multi(connection: Connection, path: string): void {
    const call = this.#call('multi', path);
    const ops = [request(OpCode.check, 0, path), request(OpCode.setData, 0, path), request(OpCode.create, 0, `/k${this.#prng.below(PATHS)}`), request(OpCode.delete, 0, `/k${this.#prng.below(PATHS)}`)];
    const chosen = ops.filter(() => this.#prng.chance(0.5));
    if (chosen.length === 0) chosen.push(ops[0] as ClientRequest);
    for (const op of chosen) {
      op.data = Buffer.from(call.value);
      op.acl = OPEN_ACL;
    }
    const r = request(OpCode.multi, ++this.#xid);
    r.ops = chosen;
    this.#send(connection, r, call);
  }

  #read(connection: Connection, op: OpCode, kind: Call['kind'], path: string): void {
    const r = request(op, ++this.#xid, path);
    r.watch = this.#prng.chance(0.3);
    this.#send(connection, r, this.#call(kind, path));
  }

  #write(connection: Connection, op: OpCode, call: Call, flags: number = CreateFlag.PERSISTENT): void {
    const r = request(op, ++this.#xid, call.path);
    r.data = Buffer.from(call.value);
    r.version = call.version;
    r.flags = flags;
    r.acl = OPEN_ACL;
    this.#send(connection, r, call);
  }

  #send(connection: Connection, r: ClientRequest, call: Call | null): void {
    r.body = encodeRequestBody(r);
    if (r.xid > 0) connection.inFlight.push({ xid: r.xid, call, watch: r.watch });
    const { server, core, handle, latencyMs } = connection;
    this.#world.schedule(latencyMs, () => server.process.schedule(0, () => {
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
    const { call } = head;
    if (call !== null) {
      this.#judge.answered(call, zxid, err, result);
      if (head.watch && (err === 0 || (call.kind === 'exists' && err === Code.NONODE))) connection.watches.add(call.kind === 'children' ? 'child' : err === 0 ? 'data' : 'exist', call.path, zxid);
    }
    if (call?.kind === 'close' && err === 0) {
      this.#newSession();
      this.#disconnected(connection);
      return;
    }
    this.#next(connection);
  }
}

function request(op: OpCode, xid: number, path = ''): ClientRequest {
  const r = new ClientRequest();
  r.op = op;
  r.xid = xid;
  r.path = path;
  return r;
}

/** Results of reads show the live znode; the client keeps what it was when it was sent. */
function copyResult(result: Result | null): Result | null {
  switch (result?.kind) {
    case 'data':
      return { kind: 'data', data: result.data === null ? null : result.data.slice(), stat: copyStat(result.stat) };
    case 'stat':
      return { kind: 'stat', stat: copyStat(result.stat) };
    case 'childrenStat':
      return { kind: 'childrenStat', children: [...result.children], count: result.count, stat: copyStat(result.stat) };
    default:
      return result ?? null;
  }
}

function copyStat(stat: Stat): Stat {
  const { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength, numChildren, pzxid } = stat;
  return { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength, numChildren, pzxid };
}
