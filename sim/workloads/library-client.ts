/**
 * The client library that ships, in the virtual world: its session, its codecs and its watches, over simulated wires. It is driven by callbacks, as
 * the library's own promise layer drives it.
 *
 * What it is held to, beside what the servers are held to:
 *   ClientPromise   of requests: library-requests.ts; of watches: library-watches.ts; states follow each other as the interface says
 *   MonotonicReads  zxids of replies never go back
 * Its streams: `client-2/manners` for when and where, `client-2/ops` for what.
 */
import type { Prng } from '../../coord/base/prng.ts';
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { StateSignal } from '../../coord/client/api.ts';
import { JuteCodec } from '../../coord/client/jute-codec.ts';
import { NativeCodec } from '../../coord/client/native-codec.ts';
import { ClientSession } from '../../coord/client/session.ts';
import { OpCode, Xid } from '../../coord/wire/codes.ts';
import type { AuthId, ClientRequest, ConnectRequest } from '../../coord/wire/types.ts';
import { SimClientTransport } from '../doubles/client-transport.ts';
import type { Protocol } from '../doubles/client-network.ts';
import type { Judge } from '../judges/judge.ts';
import type { ClientPlan, OpPlan } from '../plan/plan.ts';
import { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { Call } from './call.ts';
import type { Client, Surroundings } from './clients.ts';
import { LibraryCalls } from './library-calls.ts';
import { drawOperation, type Drawn } from './library-operations.ts';
import { LibraryRequests, type Requester } from './library-requests.ts';
import { LibraryWatches } from './library-watches.ts';
import { pathOf, Prescribed } from './prescribed.ts';
import { mayFollow } from './state-signals.ts';
import { USERS, type User } from './users.ts';
import { WatchedCodec, type CodecWatcher } from './watched-codec.ts';

const REQUEST_BYTES_MAX = 64 << 10;
const OUTSTANDING_MAX = 20;
const AGAIN_MS = 50;

export class LibraryClient implements Client, CodecWatcher, Requester {
  readonly id: number;
  readonly name: string;
  readonly #plan: ClientPlan;
  readonly #around: Surroundings;
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #ops: Prng;
  readonly #process: Process;
  #session: ClientSession | null = null;
  #incarnation = 0;
  #transport: SimClientTransport | null = null;
  /** 0n: none. */
  #sessionId = 0n;
  #state: StateSignal | 'none' = 'none';
  #users: readonly User[] = [];
  #ids: readonly AuthId[] = [];
  readonly #watches: LibraryWatches;
  readonly #requests: LibraryRequests;
  readonly #calls: LibraryCalls;
  #lastZxid: Zxid = 0;
  #drawn = 0;
  /** A closeSession that is on its way. */
  #closing: Call | null = null;
  #closingXid = 0;
  #stopped = false;
  #hoards: boolean;
  readonly #prescribed: Prescribed;

  constructor(plan: ClientPlan, around: Surroundings) {
    const { world, judge } = around;
    this.id = plan.id;
    this.name = `client-${plan.id}`;
    this.#plan = plan;
    this.#around = around;
    this.#judge = judge;
    this.#prng = world.streams(`${this.name}/manners`);
    this.#ops = world.streams(`${this.name}/ops`);
    this.#process = new Process(world, this.name);
    this.#process.begin();
    this.#watches = new LibraryWatches(this, world, judge);
    this.#requests = new LibraryRequests(this, world, judge);
    this.#calls = new LibraryCalls(this, this.#requests, this.#watches, world, judge);
    this.#prescribed = new Prescribed(this.#process, around.stage, (op, done) => this.#do(op, done));
    this.#hoards = this.#prng.chance(0.2);
    around.expiry.holds(this);
  }

  get session(): ClientSession | null {
    return this.#session;
  }
  get ids(): readonly AuthId[] {
    return this.#ids;
  }
  get incarnation(): number {
    return this.#incarnation;
  }
  get sessionId(): bigint {
    return this.#sessionId;
  }
  get password(): Uint8Array {
    return this.#session?.password ?? new Uint8Array(16);
  }
  get drawn(): number {
    return this.#drawn;
  }
  get idle(): boolean {
    return this.#requests.open === 0 && this.#prescribed.head === undefined;
  }
  get waitsFor(): string {
    const { oldest } = this.#requests;
    return oldest === null ? 'nothing' : `the answer to ${oldest}, its session is ${this.#state}`;
  }
  leaseRemainingMs(): number {
    return this.#session?.leaseRemainingMs() ?? 0;
  }

  start(): void {
    this.#around.world.recorder?.lane(this.name, 'client');
    if (!this.#plan.draws) return;
    this.#process.schedule(this.#prng.float() * 20, () => {
      this.#begin(this.#around.servers);
      this.#next();
    });
  }
  stop(): void {
    this.#stopped = true;
    this.#prescribed.clear();
    if (this.#process.paused) this.#process.resume();
    this.#transport?.wire?.readOn();
  }
  /** Its wires notice by themselves. */
  serverDied(): void {}

  // ------------------------------------------------------------ sessions

  #begin(servers: readonly SimServer[]): void {
    if (this.#session !== null) return;
    const { world, network } = this.#around;
    const shared = this.#plan.sharesSessionOf === undefined ? null : this.#around.client(this.#plan.sharesSessionOf);
    if (shared !== null && (shared === undefined || shared.sessionId === 0n)) {
      this.#process.schedule(AGAIN_MS, () => this.#begin(servers));
      return;
    }
    const protocol: Protocol = this.#prng.pick(['zookeeper', 'native']);
    const transport = new SimClientTransport(network, [...this.#around.servers], { client: this.name, process: this.#process, address: `10.0.0.${this.id}`, protocol, roughness: this.#plan.move });
    const codec = new WatchedCodec(protocol === 'native' ? new NativeCodec() : new JuteCodec(), this);
    const entropy = world.streams(`entropy/${this.name}`);
    const options = {
      servers: servers.map((server) => ({ host: server.process.name, port: server.sid })), sessionTimeoutMs: this.#plan.timeoutMs, readOnly: false, renew: this.#prng.chance(0.5),
      queuedRequestsMax: 40, requestBytesMax: REQUEST_BYTES_MAX, ...(shared === null ? {} : { resume: { id: shared.sessionId, password: shared.password } }),
    };
    if (shared !== null) world.marks.hit('session shared');
    const session: ClientSession = new ClientSession(options, { transport, codec, clock: this.#process, timers: this.#process, entropy }, {
      signal: (signal) => {
        if (this.#session === session || this.#session === null) this.#signal(signal);
      },
      event: (type, path, zxid, watchers) => {
        for (const watcher of watchers) watcher({ type: type as never, path, zxid });
      },
    });
    this.#transport = transport;
    this.#session = session;
    this.#incarnation++;
    this.#sessionId = session.sessionId;
    this.#state = 'none';
    this.#lastZxid = 0;
    this.#users = USERS.filter(() => this.#prng.chance(0.4));
    session.start(this.#users.map(({ auth }) => ({ scheme: 'digest', data: auth })));
  }

  #signal(signal: StateSignal): void {
    const before = this.#state;
    if (!mayFollow(before, signal)) this.fail(`signals ${signal} after ${before}`);
    this.#state = signal;
    const { world } = this.#around;
    switch (signal) {
      case 'connected':
      case 'reconnected':
        if (signal === 'connected' && before === 'suspended') this.fail('lost its session without a word');
        return;
      case 'suspended':
        this.#watches.connectionLost();
        this.#closeLost();
        return;
      case 'expired':
        world.marks.hit('session refused');
        this.#judge.sessionExpired(this.id, this.#sessionId);
        this.#ended();
        return;
      case 'closed':
      case 'auth-failed':
        this.#closeLost();
        this.#ended();
        return;
    }
  }

  #closeLost(): void {
    if (this.#closing !== null) this.#judge.unknown(this.#closing);
    this.#closing = null;
  }

  /** The session is over; a final state brings a new client, if there is to be one. */
  #ended(): void {
    const { world } = this.#around;
    if (this.#sessionId !== 0n) world.recorder?.end(world.nowMs, this.name, 'session');
    this.#sessionId = 0n;
    this.#watches.sessionEnded();
    this.#process.endOfTurn(() => {
      const state = this.#session?.state;
      if (state !== 'closed' && state !== 'expired' && state !== 'auth-failed') return;
      this.#session = null;
      if (this.#plan.draws) this.#process.schedule(AGAIN_MS, () => this.#begin(this.#around.servers));
    });
  }

  #close(then: () => void = () => {}): void {
    this.#session?.close(then);
  }

  // ------------------------------------------------------------ the codec's watcher

  connecting({ lastZxidSeen }: ConnectRequest): void {
    this.#ids = [{ scheme: 'ip', id: `10.0.0.${this.id}` }];
    if (lastZxidSeen < this.#lastZxid) this.fail(`connects with ${formatZxid(lastZxidSeen)}, and has seen ${formatZxid(this.#lastZxid)}`);
  }

  connected({ timeoutMs, sessionId }: { readonly timeoutMs: number; readonly sessionId: bigint }): void {
    if (timeoutMs <= 0) return;
    const { world } = this.#around;
    if (this.#sessionId !== 0n) world.marks.hit('revalidated');
    else world.recorder?.begin(world.nowMs, this.name, 'session', `0x${sessionId.toString(16)}`);
    this.#watches.connected(sessionId === this.#sessionId, this.#lastZxid);
    this.#sessionId = sessionId;
  }

  sending(r: ClientRequest, length: number): void {
    if (length > REQUEST_BYTES_MAX) return;
    if (r.op === OpCode.auth) {
      const user = this.#users.find(({ auth }) => Buffer.compare(auth, r.data ?? new Uint8Array()) === 0);
      if (user !== undefined) this.#ids = [...this.#ids, user.id];
      this.#watches.proved(this.#ids);
      return;
    }
    this.#watches.proved(this.#ids);
    if (r.op === OpCode.ping) return;
    if (r.op === OpCode.setWatches || r.op === OpCode.setWatches2) return this.#watches.asking(r, this.#lastZxid);
    this.#watches.checkAllAsked();
    if (r.op === OpCode.closeSession) {
      this.#closing = this.#requests.call('close', '');
      this.#closingXid = r.xid;
      return;
    }
    // Of the session itself.
    if (r.op === OpCode.removeWatches) return this.#watches.removing();
    this.#requests.sending(r);
  }

  replied(xid: number, zxid: Zxid, err: number): void {
    if (xid === Xid.AUTH || !this.#watches.replied(xid, zxid) || xid === Xid.PING) return;
    if (zxid < this.#lastZxid) this.#judge.fail('MonotonicReads', `${this.name} saw ${formatZxid(zxid)} after ${formatZxid(this.#lastZxid)}`);
    this.#lastZxid = Math.max(this.#lastZxid, zxid);
    const closing = this.#closing;
    if (closing !== null && xid === this.#closingXid) {
      this.#closing = null;
      this.#judge.answered(closing, zxid, err, null);
    }
  }

  event(type: number, path: string, zxid: Zxid): void {
    this.#watches.event(type, path, zxid);
  }

  // ------------------------------------------------------------ drawn operations

  #next(): void {
    this.#process.schedule(this.#prng.float() * this.#plan.thinkMs, () => {
      if (this.#stopped) return;
      const burst = this.#prng.between(1, this.#plan.burst);
      for (let n = burst; n > 0; n--) {
        const drawn = drawOperation(this.#ops);
        const isSkipped = this.#around.skips.has(this.name, ++this.#drawn);
        if (!isSkipped && this.#session !== null && this.#requests.open < OUTSTANDING_MAX) this.#calls.issue(drawn);
      }
      if (this.#session !== null) this.#caprice();
      this.#next();
    });
  }

  #caprice(): void {
    const { timeoutMs, stall, move, misbehave } = this.#plan;
    const prng = this.#prng;
    const { marks } = this.#around.world;
    if (prng.chance(stall)) this.#process.pause(timeoutMs * (0.5 + prng.float()));
    else if (prng.chance(move / 4)) this.#transport?.wire?.reset();
    else if (prng.chance(misbehave)) {
      const kind = prng.pick(['close', 'slow reader', 'close beside expiry', 'abandon'] as const);
      const forMs = timeoutMs * (0.5 + prng.float());
      if (kind === 'close') {
        this.#close();
        if (prng.chance(0.5)) {
          // The library must not send it.
          marks.hit('request after close');
          this.#calls.issue(drawOperation(prng));
        }
      } else if (kind === 'slow reader') {
        const wire = this.#transport?.wire;
        wire?.stopReading();
        marks.hit('slow reader');
        for (let i = 0; i < 30; i++) this.#calls.issue({ kind: 'get', path: '/k0', watch: false });
        this.#process.schedule(forMs, () => wire?.readOn());
      } else if (kind === 'close beside expiry') {
        marks.hit('close beside expiry');
        this.#process.pause(timeoutMs * (0.9 + 0.3 * prng.float()));
        this.#process.schedule(0, () => this.#close());
      } else this.#abandon();
    } else if (this.#hoards && prng.chance(0.02)) {
      this.#hoards = false;
      this.#calls.hoard(prng.between(300, 900));
    }
  }

  /** Gone without a word: its session lives on until it expires. */
  #abandon(): void {
    const session = this.#session;
    const transport = this.#transport;
    if (session === null || transport === null) return;
    this.#around.world.marks.hit('session nobody knows');
    transport.wire?.close();
    // The process with the library in it is gone.
    transport.handler = null;
    this.#requests.abandon();
    this.#closeLost();
    this.#process.kill();
    this.#process.begin();
    this.#session = null;
    this.#ended();
    if (this.#plan.draws) {
      this.#process.schedule(AGAIN_MS, () => this.#begin(this.#around.servers));
      this.#process.schedule(2 * AGAIN_MS, () => this.#next());
    }
  }

  // ------------------------------------------------------------ prescribed operations

  perform(op: OpPlan): void {
    if (!this.#stopped) this.#prescribed.add(op);
  }

  #do(op: OpPlan, done: number): void {
    const over = (): void => this.#prescribed.oneDone(op);
    const session = this.#session;
    switch (op.op) {
      case 'connect': {
        const server = op.to === undefined ? null : this.#around.stage.server(op.to);
        if (session === null) this.#begin(server === null ? this.#around.servers : [server]);
        else if (server !== null && this.#transport?.server !== server) this.#transport?.wire?.reset();
        return this.whenConnected(over);
      }
      case 'disconnect':
        this.#transport?.wire?.reset();
        return over();
      case 'abandon':
        this.#abandon();
        return over();
      case 'close':
        if (session === null) return over();
        return this.#close(over);
    }
    if (session === null) {
      this.#begin(this.#around.servers);
      this.#process.schedule(AGAIN_MS, () => this.#prescribed.proceed());
      return;
    }
    const { newest } = this.#requests;
    this.#calls.issue({ kind: op.op, path: pathOf(op, done), watch: false } as Drawn);
    this.#whenAnswered(newest, over);
  }
  whenConnected(then: () => void): void {
    if (this.#stopped) return;
    if (this.#session?.state === 'connected') then();
    else this.#process.schedule(AGAIN_MS, () => this.whenConnected(then));
  }
  #whenAnswered(after: number, then: () => void): void {
    if (this.#requests.hasOpenAfter(after)) this.#process.schedule(1, () => this.#whenAnswered(after, then));
    else then();
  }

  fail(what: string): void {
    this.#judge.fail('ClientPromise', `the library of ${this.name} ${what}`);
  }
}
