/**
 * The client library that ships, in the virtual world: its session, its codecs and its watches, over simulated wires. It is driven by callbacks, as
 * the library's own promise layer drives it.
 *
 * What it is held to, beside what the servers are held to:
 *   ClientPromise   a callback is called once; replies come in the order of the requests; CONNECTIONLOSS means sent and not answered, and what
 *                   was not sent never fails with it; nothing is sent twice; a new connection asks for exactly the watches that are kept;
 *                   states follow each other as the interface says
 *   MonotonicReads  zxids of replies never go back
 * Its streams: `client-2/manners` for when and where, `client-2/ops` for what.
 */
import type { Prng } from '../../coord/base/prng.ts';
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { StateSignal, Watcher } from '../../coord/client/api.ts';
import type { CoordErrorCode } from '../../coord/client/errors.ts';
import { JuteCodec } from '../../coord/client/jute-codec.ts';
import { NativeCodec } from '../../coord/client/native-codec.ts';
import { ClientSession, type WatchToSet } from '../../coord/client/session.ts';
import { Code, CreateFlag, OpCode, Xid } from '../../coord/wire/codes.ts';
import { ClientRequest, type AuthId, type ConnectRequest, type Result } from '../../coord/wire/types.ts';
import { SimClientTransport } from '../doubles/client-transport.ts';
import type { Protocol } from '../doubles/client-network.ts';
import type { Judge } from '../judges/judge.ts';
import type { ClientPlan, OpPlan } from '../plan/plan.ts';
import { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { Call } from './call.ts';
import type { Client, Surroundings } from './clients.ts';
import { drawOperation, OPEN_ACL, QUEUE, request, type Drawn } from './library-operations.ts';
import { PersistentWatches, type PersistentWatch } from './persistent-watches.ts';
import { checkProtected, checkReply, isWrite, nameOf } from './reply-check.ts';
import { SessionWatches } from './session-watches.ts';
import { USERS, type User } from './users.ts';
import { WatchedCodec, type CodecWatcher } from './watched-codec.ts';

/** A request on its way through the library. */
interface Op {
  readonly number: number;
  readonly request: ClientRequest;
  readonly ackedBefore: Zxid;
  readonly callMs: number;
  call: Call | null;
  sent: boolean;
  /** Of the connection on which it was sent. */
  sessionId: bigint;
  ids: readonly AuthId[];
  called: boolean;
  readonly after: ((error: CoordErrorCode | null, result: Result | null, zxid: Zxid) => void) | null;
}

interface PersistentHandle {
  readonly watch: PersistentWatch;
  readonly watcher: Watcher;
}

const REQUEST_BYTES_MAX = 64 << 10;
const OUTSTANDING_MAX = 20;
const AGAIN_MS = 50;

export class LibraryClient implements Client, CodecWatcher {
  readonly id: number;
  readonly name: string;
  readonly #plan: ClientPlan;
  readonly #around: Surroundings;
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #ops: Prng;
  readonly #process: Process;
  #session: ClientSession | null = null;
  #transport: SimClientTransport | null = null;
  /** 0n: none. */
  #sessionId = 0n;
  #state: StateSignal | 'none' = 'none';
  #users: readonly User[] = [];
  #ids: readonly AuthId[] = [];
  #watches: SessionWatches;
  readonly #persistent: PersistentWatches;
  #handles: PersistentHandle[] = [];
  /** What the new connection must ask for; null: it has been asked. */
  #again: { data: string[]; exist: string[]; child: string[]; persistent: string[]; recursive: string[] } | null = null;
  #askedAgain = 0;
  /** removeWatches that were sent. */
  #removals = 0;
  #lastZxid: Zxid = 0;
  #counter = 0;
  #drawn = 0;
  #number = 0;
  #answered = 0;
  readonly #open = new Map<ClientRequest, Op>();
  /** A closeSession that is on its way. */
  #closing: Call | null = null;
  #closingXid = 0;
  #stopped = false;
  #hoards: boolean;
  readonly #prescribed: { op: OpPlan; done: number }[] = [];

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
    this.#watches = new SessionWatches(plan.id, judge, world.marks);
    this.#persistent = new PersistentWatches(this.name, judge);
    this.#hoards = this.#prng.chance(0.2);
    around.expiry.holds(this);
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
    return this.#open.size === 0 && this.#prescribed.length === 0;
  }
  get waitsFor(): string {
    const [head] = this.#open.values();
    return head === undefined ? 'nothing' : `the answer to ${head.call === null ? 'a request' : `${head.call.kind} ${head.call.path}`}, its session is ${this.#state}`;
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
    this.#prescribed.length = 0;
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
    this.#sessionId = session.sessionId;
    this.#state = 'none';
    this.#lastZxid = 0;
    this.#users = USERS.filter(() => this.#prng.chance(0.4));
    session.start(this.#users.map(({ auth }) => ({ scheme: 'digest', data: auth })));
  }

  #signal(signal: StateSignal): void {
    const before = this.#state;
    if (!mayFollow(before, signal)) this.#fail(`signals ${signal} after ${before}`);
    this.#state = signal;
    const { world } = this.#around;
    switch (signal) {
      case 'connected':
      case 'reconnected':
        if (signal === 'connected' && before === 'suspended') this.#fail('lost its session without a word');
        return;
      case 'suspended':
        this.#persistent.lost();
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
    this.#watches = new SessionWatches(this.id, this.#judge, world.marks);
    this.#persistent.clear();
    this.#handles = [];
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
    if (lastZxidSeen < this.#lastZxid) this.#fail(`connects with ${formatZxid(lastZxidSeen)}, and has seen ${formatZxid(this.#lastZxid)}`);
  }

  connected({ timeoutMs, sessionId }: { readonly timeoutMs: number; readonly sessionId: bigint }): void {
    if (timeoutMs <= 0) return;
    const { world } = this.#around;
    if (this.#sessionId !== 0n) world.marks.hit('revalidated');
    else world.recorder?.begin(world.nowMs, this.name, 'session', `0x${sessionId.toString(16)}`);
    const kept = sessionId === this.#sessionId ? this.#watches.again(this.#lastZxid) : null;
    this.#sessionId = sessionId;
    const modes = (mode: PersistentWatch['mode']): string[] => [...new Set([...this.#persistent.all].filter((watch) => watch.mode === mode).map(({ path }) => path))];
    this.#again = { data: [...(kept?.dataWatches ?? [])], exist: [...(kept?.existWatches ?? [])], child: [...(kept?.childWatches ?? [])], persistent: modes('persistent'), recursive: modes('persistent-recursive') };
    this.#askedAgain = 0;
  }

  sending(r: ClientRequest, length: number): void {
    if (length > REQUEST_BYTES_MAX) return;
    if (r.op === OpCode.auth) {
      const user = this.#users.find(({ auth }) => Buffer.compare(auth, r.data ?? new Uint8Array()) === 0);
      if (user !== undefined) this.#ids = [...this.#ids, user.id];
      this.#persistent.ids = this.#ids;
      return;
    }
    this.#persistent.ids = this.#ids;
    if (r.op === OpCode.ping) return;
    if (r.op === OpCode.setWatches || r.op === OpCode.setWatches2) return this.#askAgain(r);
    this.#checkAskedAgain();
    if (r.op === OpCode.closeSession) {
      this.#closing = this.#call('close', '');
      this.#closingXid = r.xid;
      return;
    }
    // Of the session itself.
    if (r.op === OpCode.removeWatches) {
      this.#removals++;
      return;
    }
    const op = this.#open.get(r);
    if (op === undefined) return this.#fail(`sends a ${nameOf(r.op)} of which nobody has asked`);
    if (op.sent) this.#fail(`sends the ${nameOf(r.op)} of ${r.path} twice`);
    op.sent = true;
    op.sessionId = this.#sessionId;
    op.ids = this.#ids;
    if (op.call !== null) op.call = { ...op.call, sessionId: this.#sessionId };
  }

  #askAgain(r: ClientRequest): void {
    const again = this.#again;
    if (again === null) return this.#fail('asks for its watches in the middle of a connection');
    this.#askedAgain++;
    const { marks } = this.#around.world;
    marks.hit('watches set again');
    if (this.#askedAgain > 1) marks.hit('watches set again in parts');
    if (r.relativeZxid < this.#lastZxid) this.#fail(`asks for its watches as of ${formatZxid(r.relativeZxid)}, and has seen ${formatZxid(this.#lastZxid)}`);
    const lists: [string[], readonly string[]][] = [
      [again.data, r.dataWatches], [again.exist, r.existWatches], [again.child, r.childWatches], [again.persistent, r.persistentWatches], [again.recursive, r.persistentRecursiveWatches],
    ];
    for (const [kept, asked] of lists) {
      const gone = new Set(asked);
      const left = kept.filter((path) => !gone.has(path));
      if (left.length + gone.size !== kept.length) this.#fail(`asks for watches of ${asked.slice(0, 3).join(' ')}, and keeps ${kept.slice(0, 3).join(' ')}`);
      kept.splice(0, kept.length, ...left);
    }
  }

  /** The first request of a connection comes behind all watches. */
  #checkAskedAgain(): void {
    const again = this.#again;
    if (again === null) return;
    this.#again = null;
    const left = Object.values(again).flat();
    if (left.length > 0) this.#fail(`does not ask again for ${left.length} watches: ${Object.entries(again).filter(([, paths]) => paths.length > 0).map(([kind]) => kind).join(" ")} ${left.slice(0, 3).join(' ')}`);
  }

  replied(xid: number, zxid: Zxid, err: number): void {
    if (xid === Xid.SET_WATCHES) {
      if (--this.#askedAgain > 0) return;
      this.#checkAskedAgain();
      this.#persistent.setAgain(zxid);
      this.#watches.setAgain(zxid);
    }
    if (xid === Xid.AUTH) return;
    if (xid === Xid.PING) {
      this.#watches.seen(zxid);
      this.#persistent.seen(zxid);
      return;
    }
    if (xid > 0 && this.#askedAgain === 0) this.#persistent.setAgain(zxid);
    this.#watches.seen(zxid);
    this.#persistent.seen(zxid);
    if (zxid < this.#lastZxid) this.#judge.fail('MonotonicReads', `${this.name} saw ${formatZxid(zxid)} after ${formatZxid(this.#lastZxid)}`);
    this.#lastZxid = Math.max(this.#lastZxid, zxid);
    const closing = this.#closing;
    if (closing !== null && xid === this.#closingXid) {
      this.#closing = null;
      this.#judge.answered(closing, zxid, err, null);
    }
  }

  event(type: number, path: string, zxid: Zxid): void {
    this.#watches.event(type, path, zxid, this.#persistent.concerns(type, path));
  }

  // ------------------------------------------------------------ requests

  #call(kind: Call['kind'], path: string, more: Partial<Call> = {}): Call {
    return { client: this.id, kind, path, value: '', version: -1, sessionId: this.#sessionId, invokedMs: this.#around.world.nowMs, ackedBefore: this.#judge.newestAcked, ...more };
  }

  #submit(r: ClientRequest, call: Call | null, watch: { kind: WatchToSet['kind']; watcher: Watcher } | null = null, then: Op['after'] = null): void {
    const session = this.#session;
    if (session === null) return;
    const op: Op = {
      number: ++this.#number, request: r, ackedBefore: this.#judge.newestAcked, callMs: this.#around.world.nowMs, call, sent: false, sessionId: 0n, ids: [], called: false, after: then,
    };
    this.#open.set(r, op);
    session.request(r, (error, result, zxid) => this.#done(session, op, error, result, zxid), watch);
  }

  #done(session: ClientSession, op: Op, error: CoordErrorCode | null, result: Result | null, zxid: Zxid): void {
    const what = `the ${nameOf(op.request.op)} of ${op.request.path}`;
    if (op.called) return this.#fail(`calls back twice for ${what}`);
    op.called = true;
    this.#open.delete(op.request);
    const { world } = this.#around;
    if (zxid === 0) {
      // No server has answered it.
      if (error === 'CONNECTIONLOSS' && !op.sent) this.#fail(`reports CONNECTIONLOSS for ${what}, which was never sent`);
      if ((error === 'OPERATIONTIMEOUT' || error === 'REQUESTTOOLARGE') && op.sent) this.#fail(`reports ${error} for ${what}, which was sent`);
      if (error === null && op.request.op !== OpCode.sync) this.#fail(`reports success of ${what} without a zxid`);
      if (op.sent && op.call !== null) {
        this.#judge.unknown(op.call);
        if (isWrite(op.request.op)) world.marks.hit('write lost');
      }
    } else {
      if (op.number < this.#answered) this.#fail(`answers ${what} after a later request`);
      this.#answered = op.number;
      this.#check(op, error, result, zxid);
    }
    world.recorder?.operation(this.name, op.call?.kind ?? nameOf(op.request.op), op.request.path, op.callMs, error === 'CONNECTIONLOSS' ? null : world.nowMs, error ?? 'OK', zxid);
    if (session === this.#session || session.state === 'closed' || session.state === 'expired') op.after?.(error, result, zxid);
  }

  #check(op: Op, error: CoordErrorCode | null, result: Result | null, zxid: Zxid): void {
    const err = error === null ? Code.OK : (Code[error as keyof typeof Code] ?? 0);
    const { request: r, sessionId, ids, ackedBefore } = op;
    checkReply(this.#judge, { who: this.name, request: r, sessionId, ids, ackedBefore }, zxid, err, result);
    if (error === 'NOAUTH') this.#around.world.marks.hit('NOAUTH');
    if (op.call === null) return;
    // The judge knows what create answers, and create2 says more.
    this.#judge.answered(op.call, zxid, err, result?.kind === 'pathStat' ? { kind: 'path', path: result.path } : result);
  }

  // ------------------------------------------------------------ drawn operations

  #next(): void {
    this.#process.schedule(this.#prng.float() * this.#plan.thinkMs, () => {
      if (this.#stopped) return;
      const burst = this.#prng.between(1, this.#plan.burst);
      for (let n = burst; n > 0; n--) {
        const drawn = drawOperation(this.#ops);
        const isSkipped = this.#around.skips.has(this.name, ++this.#drawn);
        if (!isSkipped && this.#session !== null && this.#open.size < OUTSTANDING_MAX) this.#issue(drawn);
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
          this.#issue(drawOperation(prng));
        }
      } else if (kind === 'slow reader') {
        const wire = this.#transport?.wire;
        wire?.stopReading();
        marks.hit('slow reader');
        for (let i = 0; i < 30; i++) this.#issue({ kind: 'get', path: '/k0', watch: false });
        this.#process.schedule(forMs, () => wire?.readOn());
      } else if (kind === 'close beside expiry') {
        marks.hit('close beside expiry');
        this.#process.pause(timeoutMs * (0.9 + 0.3 * prng.float()));
        this.#process.schedule(0, () => this.#close());
      } else this.#abandon();
    } else if (this.#hoards && prng.chance(0.02)) {
      this.#hoards = false;
      this.#hoard(prng.between(300, 900));
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
    for (const op of this.#open.values()) if (op.sent && op.call !== null && !op.called) this.#judge.unknown(op.call);
    for (const op of this.#open.values()) op.called = true;
    this.#open.clear();
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

  /** More watches than one setWatches takes. */
  #hoard(count: number): void {
    for (let i = 0; i < count; i++) {
      const r = request(OpCode.exists, `/none/${'w'.repeat(180)}/${this.id}-${i}`);
      r.watch = true;
      this.#submit(r, null, { kind: 'exists', watcher: () => {} }, (error, _result, zxid) => {
        if (error === 'NONODE') this.#watches.add('exist', r.path, zxid);
      });
    }
  }

  #issue(drawn: Drawn): void {
    switch (drawn.kind) {
      case 'get':
      case 'exists':
      case 'children':
        return this.#read(drawn.kind, drawn.path, drawn.watch);
      case 'sync-get':
        return this.#syncRead(drawn.path);
      case 'set':
        return this.#write('set', OpCode.setData, drawn.path, drawn);
      case 'delete':
        return this.#write('delete', OpCode.delete, drawn.path, drawn);
      case 'create':
        return this.#write('create', OpCode.create2, drawn.path, {});
      case 'create-ephemeral':
        return this.#write('create-ephemeral', OpCode.create2, drawn.path, { flags: CreateFlag.EPHEMERAL });
      case 'create-sequential':
        return this.#write('create-sequential', OpCode.create2, drawn.path, { flags: drawn.ephemeral === true ? CreateFlag.EPHEMERAL_SEQUENTIAL : CreateFlag.PERSISTENT_SEQUENTIAL });
      case 'multi':
        return this.#multi(drawn);
      case 'protected':
        return this.#createProtected(`_c_${this.id}-${this.#counter++}-`, false);
      case 'watch':
        return this.#addWatch(drawn.path, drawn.mode);
      case 'unwatch':
        return this.#removeWatch(drawn.which);
      case 'own': {
        // What only the model judges: ACLs, containers, TTL, the rest of the requests.
        const r = request(drawn.op, drawn.path);
        r.flags = drawn.flags;
        r.ttlMs = drawn.ttlMs;
        r.acl = drawn.acl;
        r.version = drawn.version;
        r.data = Buffer.from(`own ${this.#number}`);
        return this.#submit(r, null);
      }
    }
  }

  #write(kind: Call['kind'], op: OpCode, path: string, { version = -1, flags = 0, big = false }: { version?: number; flags?: number; big?: boolean }, then: Op['after'] = null): void {
    const value = `${this.id}:${this.#counter++}${big ? `:${'.'.repeat(9000)}` : ''}`;
    const r = request(op, path);
    r.data = op === OpCode.delete ? null : Buffer.from(value);
    r.version = version;
    r.flags = flags;
    r.acl = OPEN_ACL;
    const isSequential = kind === 'create-sequential';
    this.#submit(r, this.#call(kind, path, { value, version, ...(isSequential ? { ephemeral: flags === CreateFlag.EPHEMERAL_SEQUENTIAL } : {}) }), null, then);
  }

  #read(kind: 'get' | 'exists' | 'children', path: string, watch: boolean): void {
    const r = request(kind === 'get' ? OpCode.getData : kind === 'exists' ? OpCode.exists : OpCode.getChildren2, path);
    r.watch = watch;
    const watcher = { kind: kind === 'get' ? 'data' : kind === 'exists' ? 'exists' : 'child', watcher: () => {} } as const;
    this.#submit(r, this.#call(kind, path), watch ? watcher : null, (error, _result, zxid) => {
      if (!watch || zxid === 0 || !(error === null || (kind === 'exists' && error === 'NONODE'))) return;
      this.#watches.add(kind === 'children' ? 'child' : error === null ? 'data' : 'exist', path, zxid);
    });
  }

  /** What the second answer shows is linearizable only if the first has come. */
  #syncRead(path: string): void {
    const call = this.#call('sync-get', path);
    let synced = false;
    const get = request(OpCode.getData, path);
    this.#submit(request(OpCode.sync, path), null, null, (error) => {
      synced = error === null;
      const op = this.#open.get(get);
      if (!synced && op !== undefined && op.call !== null) op.call = { ...op.call, kind: 'get' };
    });
    this.#submit(get, call);
  }

  #multi(drawn: Extract<Drawn, { kind: 'multi' }>): void {
    const r = new ClientRequest();
    r.op = OpCode.multi;
    const value = `${this.id}:${this.#counter++}`;
    r.ops = drawn.ops.map(({ kind, path, version }) => {
      const op = request(kind === 'create' ? OpCode.create2 : kind === 'set' ? OpCode.setData : kind === 'delete' ? OpCode.delete : OpCode.check, path);
      op.data = kind === 'create' || kind === 'set' ? Buffer.from(value) : null;
      op.version = version;
      op.acl = OPEN_ACL;
      return op;
    });
    this.#submit(r, this.#call('multi', drawn.ops[0]?.path ?? '/', { value, ops: drawn.ops }));
  }

  /** As the recipes do it: after an unknown outcome it looks first whether its znode is there. */
  #createProtected(prefix: string, doubtful: boolean, sessionId = this.#sessionId): void {
    if (this.#session === null || this.#sessionId !== sessionId) return;
    if (sessionId === 0n) return this.#whenConnected(() => this.#createProtected(prefix, doubtful));
    const create = (): void => this.#write('create-sequential', OpCode.create2, `${QUEUE}/${prefix}`, { flags: CreateFlag.EPHEMERAL_SEQUENTIAL }, (error) => this.#afterProtected(prefix, error, sessionId, false));
    if (!doubtful) return create();
    this.#around.world.marks.hit('create in doubt');
    this.#submit(request(OpCode.sync, QUEUE), null, null, (error) => {
      if (error !== null) return this.#afterProtected(prefix, error, sessionId, true);
      this.#submit(request(OpCode.getChildren2, QUEUE), this.#call('children', QUEUE), null, (failed, result) => {
        if (failed !== null) return this.#afterProtected(prefix, failed, sessionId, true);
        const names = result?.kind === 'childrenStat' ? [...result.children] : [];
        if (names.some((name) => name.startsWith(prefix))) this.#protectedDone(prefix);
        else create();
      });
    });
  }
  #afterProtected(prefix: string, error: CoordErrorCode | null, sessionId: bigint, wasDoubtful: boolean): void {
    if (error === null) return this.#protectedDone(prefix);
    const isDoubtful = wasDoubtful || error === 'CONNECTIONLOSS';
    if (error === 'CONNECTIONLOSS' || error === 'OPERATIONTIMEOUT') this.#whenConnected(() => this.#createProtected(prefix, isDoubtful, sessionId));
  }
  #protectedDone(prefix: string): void {
    checkProtected(this.#judge, this.name, `${QUEUE}/${prefix}`);
  }

  #addWatch(path: string, mode: PersistentWatch['mode']): void {
    if (this.#persistent.size > 12) return;
    const r = request(OpCode.addWatch, path);
    r.flags = mode === 'persistent' ? 0 : 1;
    let watch: PersistentWatch | null = null;
    const watcher: Watcher = (event) => {
      if (watch !== null) this.#persistent.called(watch, event.type as never, event.path, event.zxid);
    };
    this.#submit(r, null, { kind: mode, watcher }, (error, _result, zxid) => {
      if (error !== null) return;
      watch = this.#persistent.add(mode, path, zxid);
      this.#handles.push({ watch, watcher });
      this.#around.world.marks.hit('persistent watch');
    });
  }

  #removeWatch(which: number): void {
    const handle = this.#handles[which % Math.max(1, this.#handles.length)];
    const session = this.#session;
    if (handle === undefined || session === null) return;
    this.#handles = this.#handles.filter((each) => each !== handle);
    const { watch } = handle;
    this.#persistent.remove(watch);
    this.#persistent.leaves(watch);
    const before = this.#removals;
    session.removeWatch(watch.mode, watch.path, handle.watcher, (error) => {
      if (isSent) this.#persistent.left(watch);
      if (error === 'NOWATCHER') this.#fail(`removed its watch of ${watch.path}, and the server did not know it`);
    });
    // Otherwise another addWatch is on its way, and the server goes on.
    const isSent = this.#removals > before;
  }

  // ------------------------------------------------------------ prescribed operations

  perform(op: OpPlan): void {
    if (this.#stopped) return;
    this.#prescribed.push({ op, done: 0 });
    if (this.#prescribed.length === 1) this.#process.schedule(0, () => this.#proceed());
  }

  #proceed(): void {
    const head = this.#prescribed[0];
    if (head === undefined) return;
    const { op, done } = head;
    const session = this.#session;
    switch (op.op) {
      case 'connect': {
        const server = op.to === undefined ? null : this.#around.stage.server(op.to);
        if (session === null) this.#begin(server === null ? this.#around.servers : [server]);
        else if (server !== null && this.#transport?.server !== server) this.#transport?.wire?.reset();
        return this.#whenConnected(() => this.#oneDone(op));
      }
      case 'disconnect':
        this.#transport?.wire?.reset();
        return this.#oneDone(op);
      case 'abandon':
        this.#abandon();
        return this.#oneDone(op);
      case 'close':
        if (session === null) return this.#oneDone(op);
        return this.#close(() => this.#oneDone(op));
    }
    if (session === null) {
      this.#begin(this.#around.servers);
      this.#process.schedule(AGAIN_MS, () => this.#proceed());
      return;
    }
    const number = (op.times ?? 1) > 1 ? `-${done + 1}` : '';
    const path = op.path ?? (op.op === 'children' ? '/' : op.op === 'create-ephemeral' ? '/e0' : op.op === 'create-sequential' ? '/s-' : '/k0');
    const isNumbered = op.op === 'create' || op.op === 'create-ephemeral' || op.op === 'delete';
    const last = this.#number;
    this.#issue({ kind: op.op, path: isNumbered ? path + number : path, watch: false } as Drawn);
    this.#whenAnswered(last, () => this.#oneDone(op));
  }
  #whenConnected(then: () => void): void {
    if (this.#stopped) return;
    if (this.#session?.state === 'connected') then();
    else this.#process.schedule(AGAIN_MS, () => this.#whenConnected(then));
  }
  #whenAnswered(after: number, then: () => void): void {
    for (const { number } of this.#open.values()) {
      if (number <= after) continue;
      this.#process.schedule(1, () => this.#whenAnswered(after, then));
      return;
    }
    then();
  }
  #oneDone(op: OpPlan): void {
    const head = this.#prescribed[0];
    if (head === undefined || head.op !== op) return;
    if (++head.done >= (op.times ?? 1)) {
      this.#prescribed.shift();
      this.#around.stage.happened(op.id);
    }
    this.#process.schedule(0, () => this.#proceed());
  }

  #fail(what: string): void {
    this.#judge.fail('ClientPromise', `the library of ${this.name} ${what}`);
  }
}

/** As coord/client/api.ts says it. */
function mayFollow(before: StateSignal | 'none', signal: StateSignal): boolean {
  switch (signal) {
    case 'connecting':
      return before === 'expired';
    case 'connected':
      return before === 'none' || before === 'connecting' || before === 'suspended' || before === 'lease-lost';
    case 'reconnected':
    case 'lease-lost':
      return before === 'suspended' || (signal === 'reconnected' && before === 'lease-lost');
    case 'suspended':
      return before === 'connected' || before === 'reconnected';
    case 'expired':
      return before !== 'closed' && before !== 'auth-failed' && before !== 'expired';
    default:
      return before !== 'closed' && before !== 'auth-failed';
  }
}
