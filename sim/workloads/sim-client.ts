/**
 * A client in the virtual world: one session over one connection at a time, some requests in flight, moves to another server when its
 * connection breaks. It notes every request and every reply; what is in flight when a connection breaks has an unknown outcome.
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { Zxid } from '../../coord/base/zxid.ts';
import { Code, CreateFlag, OpCode, Xid } from '../../coord/wire/codes.ts';
import { ClientRequest, type ClientSink, type Result } from '../../coord/wire/types.ts';
import { encodeRequestBody } from '../../coord/wire/requests.ts';
import type { Judge } from '../judges/judge.ts';
import { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';

export interface Call {
  readonly client: number;
  readonly kind: 'set' | 'get' | 'sync-get' | 'create' | 'create-ephemeral';
  readonly path: string;
  readonly value: string;
  readonly invokedMs: number;
  /** The newest zxid of any write that was acked to anyone before this call began. */
  readonly ackedBefore: Zxid;
}

const OPEN_ACL = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const LATENCY_MS = 0.3;
const BURST_MAX = 4;
const THINK_MS_MAX = 60;

export class SimClient {
  readonly id: number;
  readonly #world: World;
  readonly #servers: readonly SimServer[];
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #process: Process;
  #sessionId = 0n;
  #password: Uint8Array = new Uint8Array(16);
  #lastZxid: Zxid = 0;
  #incarnation = 0;
  #server: SimServer | null = null;
  #handle = 0;
  #xid = 0;
  #inFlight: { xid: number; call: Call | null }[] = [];
  #counter = 0;
  #stopped = false;
  acked = 0;

  constructor(world: World, id: number, servers: readonly SimServer[], judge: Judge) {
    this.#world = world;
    this.id = id;
    this.#servers = servers;
    this.#judge = judge;
    this.#prng = world.prng.fork(`client-${id}`);
    this.#process = new Process(world, `client-${id}`);
    this.#process.begin();
  }

  start(): void {
    this.#process.schedule(this.#prng.float() * 20, () => this.#connect());
  }
  /** No new requests; what is in flight is still answered. */
  stop(): void {
    this.#stopped = true;
  }
  get idle(): boolean {
    return this.#inFlight.length === 0;
  }

  #connect(): void {
    const server = this.#prng.pick(this.#servers);
    const incarnation = ++this.#incarnation;
    this.#server = server;
    this.#inFlight = [];
    let lastArrivalMs = 0;
    const arrive = (fn: () => void): void => {
      lastArrivalMs = Math.max(lastArrivalMs, this.#world.nowMs + LATENCY_MS + this.#prng.float() * LATENCY_MS);
      this.#process.schedule(lastArrivalMs - this.#world.nowMs, () => {
        if (incarnation === this.#incarnation) fn();
      });
    };
    const sink: ClientSink = {
      connected: (timeoutMs, sessionId, password) => arrive(() => this.#connected(timeoutMs, sessionId, password)),
      reply: (xid, _op, zxid, err, result) => {
        const copy = copyResult(result);
        arrive(() => this.#reply(xid, zxid, err, copy));
      },
      event: () => {},
      close: () => arrive(() => this.#disconnected()),
      resume: () => {},
      flush: () => {},
    };
    this.#process.schedule(LATENCY_MS, () => {
      if (incarnation !== this.#incarnation) return;
      const quorumPeer = server.quorumPeer;
      if (!server.process.alive || quorumPeer === null) return this.#disconnected();
      this.#handle = quorumPeer.connect(
        sink,
        { protocolVersion: 0, lastZxidSeen: this.#lastZxid, timeoutMs: 4000, sessionId: this.#sessionId, password: this.#password, readOnly: false, hasReadOnly: true },
        this.#prng.bytes(16),
        { address: '127.0.0.1', port: this.id, local: true },
      );
    });
    // A server that does not answer is given up.
    this.#process.schedule(1500, () => {
      if (incarnation === this.#incarnation && this.#handle !== -1 && !this.#open) this.#disconnected();
    });
  }
  #open = false;

  serverDied(server: SimServer): void {
    if (this.#server === server) this.#process.schedule(LATENCY_MS, () => this.#server === server && this.#disconnected());
  }

  #disconnected(): void {
    for (const { call } of this.#inFlight) if (call !== null) this.#judge.unknown(call);
    this.#inFlight = [];
    this.#open = false;
    this.#incarnation++;
    this.#server?.quorumPeer?.disconnected(this.#handle);
    this.#server = null;
    this.#process.schedule(10 + this.#prng.float() * 40, () => this.#connect());
  }

  #connected(timeoutMs: number, sessionId: bigint, password: Uint8Array): void {
    if (timeoutMs === 0) {
      // Expired: a new session on the next connection.
      this.#judge.sessionExpired(this.id, this.#sessionId);
      this.#sessionId = 0n;
      this.#password = new Uint8Array(16);
      return;
    }
    this.#open = true;
    this.#sessionId = sessionId;
    this.#password = password;
    this.#next();
  }

  /** A burst of requests; the next one when it is answered and some time has passed. */
  #next(): void {
    if (this.#inFlight.length > 0) return;
    const incarnation = this.#incarnation;
    this.#process.schedule(this.#stopped ? 300 : this.#prng.float() * THINK_MS_MAX, () => {
      if (incarnation !== this.#incarnation || !this.#open) return;
      if (this.#stopped) {
        this.#send(request(OpCode.ping, Xid.PING), null);
        this.#next();
        return;
      }
      for (let n = this.#prng.between(1, BURST_MAX); n > 0; n--) this.#issue();
    });
  }

  #issue(): void {
    const path = `/k${this.#prng.below(8)}`;
    const value = `${this.id}:${this.#counter++}`;
    const draw = this.#prng.float();
    const call = (kind: Call['kind'], at: string): Call => ({ client: this.id, kind, path: at, value, invokedMs: this.#world.nowMs, ackedBefore: this.#judge.newestAcked });
    if (draw < 0.45) this.#write(OpCode.setData, call('set', path));
    else if (draw < 0.7) this.#send(request(OpCode.getData, ++this.#xid, path), call('get', path));
    else if (draw < 0.8) {
      const c = call('sync-get', path);
      this.#send(request(OpCode.sync, ++this.#xid, path), null);
      this.#send(request(OpCode.getData, ++this.#xid, path), c);
    } else if (draw < 0.95) this.#write(OpCode.create, call('create', path));
    else this.#write(OpCode.create, call('create-ephemeral', `/e${this.id}-${this.#counter}`), CreateFlag.EPHEMERAL);
  }

  #write(op: OpCode, call: Call, flags: number = CreateFlag.PERSISTENT): void {
    const r = request(op, ++this.#xid, call.path);
    r.data = Buffer.from(call.value);
    r.flags = flags;
    r.acl = OPEN_ACL;
    this.#send(r, call);
  }

  #send(r: ClientRequest, call: Call | null): void {
    r.body = encodeRequestBody(r);
    if (r.xid > 0) this.#inFlight.push({ xid: r.xid, call });
    const server = this.#server;
    const incarnation = this.#incarnation;
    this.#process.schedule(LATENCY_MS, () => {
      if (incarnation === this.#incarnation && server?.process.alive) server.quorumPeer?.request(this.#handle, r);
    });
  }

  #reply(xid: number, zxid: Zxid, err: number, result: Result | null): void {
    if (xid < 0) return;
    const head = this.#inFlight.shift();
    if (head === undefined || head.xid !== xid) {
      this.#judge.fail('ReplyOrder', `client ${this.id} was answered xid ${xid} while ${head?.xid ?? 'nothing'} was next`);
      return;
    }
    if (zxid < this.#lastZxid) this.#judge.fail('MonotonicReads', `client ${this.id} saw zxid ${zxid} after ${this.#lastZxid}`);
    this.#lastZxid = Math.max(this.#lastZxid, zxid);
    if (err === Code.SESSIONEXPIRED) return;
    if (head.call !== null) {
      this.acked++;
      this.#judge.answered(head.call, zxid, err, result);
    }
    this.#next();
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
  if (result === null || result.kind !== 'data') return result;
  const { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength, numChildren, pzxid } = result.stat;
  return { kind: 'data', data: result.data === null ? null : result.data.slice(), stat: { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength, numChildren, pzxid } };
}
