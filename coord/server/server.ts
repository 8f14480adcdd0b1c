/**
 * One server of the ensemble, all of it that decides: the ZAB peer, the tree, the sessions, and the request pipeline between them and the
 * clients' connections. ZooKeeper spreads this over PrepRequestProcessor, CommitProcessor, FinalRequestProcessor, LearnerHandler and
 * SessionTrackerImpl; here it is one synchronous state machine.
 *
 * Decides: which request goes where (read here, forwarded to the leader, prepared into a txn), when a reply may leave, who hears a watch,
 *   which session lives.
 * Invariants:
 *  - replies of a connection leave in the order of its requests; a read runs only when all earlier requests of its connection are answered;
 *  - a watch event leaves before the reply of anything that could show its change, the writer's own reply included;
 *  - writes of this server come back in the order in which they were sent to the leader: `pending` is a queue, and each txn that
 *    names this origin answers its head;
 *  - a session ends only by a committed closeSession; only the leader proposes one that the client did not ask for;
 *  - SYNC is answered after a quorum round trip begun after it arrived and after everything proposed before it is committed;
 *  - when this server stops serving, every connection is closed: the outcome of what was pending is unknown to its client.
 * Leaves to others: durability and agreement (coord/zab), the meaning of txns (coord/tree), bytes (coord/wire), time and I/O (coord/runtime).
 */
import { assert, assertNever } from '../base/assert.ts';
import { empty } from '../base/empty.ts';
import { DreyError } from '../base/errors.ts';
import { zxidEpoch, type Zxid } from '../base/zxid.ts';
import { authenticate, checkAcl } from '../tree/acl.ts';
import { DataTree } from '../tree/data-tree.ts';
import { executeRead } from '../tree/read-requests.ts';
import { decodeTxnGroup } from '../tree/txn-codec.ts';
import type { HeadedTxn, Txn, TxnHeader } from '../tree/txn.ts';
import { WatchManager } from '../tree/watch-manager.ts';
import { Code, KeeperState, OpCode, Perms, Xid } from '../wire/codes.ts';
import { decodeRequestBody, encodeRequestBody } from '../wire/requests.ts';
import type { ServerStats } from '../wire/server-stats.ts';
import { ClientRequest, type Acl, type ClientSink, type ConnectRequest, type Result } from '../wire/types.ts';
import type { PeerCore, PeerEffect, PeerEvent, PersistOp, Serving } from '../zab/contract.ts';
import type { PeerMessage } from '../zab/messages.ts';
import type { TxnGroup } from '../zab/txn-group.ts';
import { Connection, type Waiting } from './connection.ts';
import { Kind, readRequestFrame, readRevalidatedFrame, readRevalidateFrame, readSyncFrame, readTouchFrame, RequestFrame, revalidatedFrame, revalidateFrame, syncFrame, touchFrame } from './forwarding.ts';
import { LeaderPipeline } from './leader-pipeline.ts';
import { touchIntervalMs } from './limits.ts';
import { PendingWrites } from './pending-writes.ts';
import type { ClientPipeline, RemoteAddress } from './pipeline.ts';
import { ServerCounters, type ServerDescription } from './server-counters.ts';
import { SessionConnections } from './session-connections.ts';
import { Throttle } from './throttle.ts';
import { Touches } from './touches.ts';

export interface ServerConfig {
  readonly sid: number;
  /** More than one voter: mntr and srvr say leader or follower instead of standalone. */
  readonly standalone: boolean;
  readonly voters: number;
  readonly tickMs: number;
  /** How long a server may go on serving without its leader. Default 0. */
  readonly detectMs?: number;
  /** How often containers and TTL znodes are looked for. Default a minute. */
  readonly reapIntervalMs?: number;
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  readonly juteMaxBuffer: number;
  /** base64(sha1(text)); the core has no cryptography of its own. */
  readonly digest: (text: string) => string;
  /** user:base64(sha1(user:password)) of the super user, or null. */
  readonly superDigest: string | null;
  /** Content of /zookeeper/config: the server lines and a version. */
  readonly configData: string;
}

/** What the driver has to carry out after a turn, beside flushing `dirtyConnections`. */
export interface ServerDrain {
  readonly persist: { readonly seq: number; readonly op: PersistOp }[];
  readonly sends: { readonly channel: number; readonly message: PeerMessage }[];
  readonly actions: Extract<PeerEffect, { type: 'dialLearner' | 'closeChannel' | 'readJournal' | 'sendSnapshot' | 'state' | 'serving' | 'trace' }>[];
  deadlineMs: number;
}

const EMPTY_BODY = new Uint8Array(0);
const NO_PASSWORD = new Uint8Array(16);

export class Server implements Omit<ClientPipeline, 'stats'> {
  readonly config: ServerConfig;
  readonly peer: PeerCore;
  readonly counters = new ServerCounters();
  tree: DataTree;
  /** The state that a leader is sending us, until it takes effect. */
  #incoming: DataTree | null = null;
  readonly watches = new WatchManager<Connection>();
  readonly connections = new Map<number, Connection>();
  readonly dirtyConnections: Connection[] = [];
  readonly #sessions = new SessionConnections();
  #nextHandle = 1;
  #nextSessionId: bigint;

  serving: Serving = 'no';
  /** Sees every committed group as it is applied: for the simulator's judges. */
  onDeliver: ((group: TxnGroup) => void) | null = null;
  /** A leader's state took the place of ours. */
  onResetState: ((baseZxid: Zxid) => void) | null = null;
  /** What the leader, when this server leads, hears of sessions and does to them; 'leads': it has just begun. */
  onSession: ((what: 'leads' | 'heard' | 'expires', sessionId: bigint, nowMs: number) => void) | null = null;
  #epoch = 0;
  #originId = 0;
  #nowMs = 0;
  #wallMs = 0;
  #servingSinceMs = 0;

  // requests of this server that wait for their commit, and SYNCs and REVALIDATEs by number
  readonly #pending = new PendingWrites();
  readonly #throttle = new Throttle(this.#pending);
  #requestNo = 0;
  readonly #byNumber = new Map<number, Waiting>();
  readonly #outbound = new RequestFrame();
  readonly #touches: Touches;

  #leader: LeaderPipeline | null = null;

  readonly #scratch = new ClientRequest();
  readonly #drain: ServerDrain = { persist: [], sends: [], actions: [], deadlineMs: Infinity };

  constructor(config: ServerConfig, peer: PeerCore, tree: DataTree, boot: { nowMs: number; wallMs: number }) {
    this.config = config;
    this.#touches = new Touches(touchIntervalMs(config.tickMs));
    this.peer = peer;
    this.tree = tree;
    this.#nowMs = boot.nowMs;
    this.#wallMs = boot.wallMs;
    // SessionTrackerImpl.initializeNextSessionId: the server's id above, the time in the middle, a counter below.
    this.#nextSessionId = BigInt.asIntN(64, (BigInt(config.sid) << 56n) | ((BigInt.asUintN(64, BigInt(Math.floor(boot.wallMs)) << 24n) >> 8n) & 0x00ff_ffff_ffff_0000n));
    this.#ownTree();
  }

  /** Before the first input of a turn. */
  time(nowMs: number, wallMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
    this.#wallMs = wallMs;
  }

  /** An event for the ZAB peer: channels, messages, persisted, journal… */
  peerEvent(event: PeerEvent): void {
    this.peer.step(event, this.#nowMs);
  }

  // ------------------------------------------------------------ clients (ClientPipeline)

  connect(sink: ClientSink, request: ConnectRequest, freshPassword: Uint8Array, remote: RemoteAddress): number {
    const connection = new Connection(this.#nextHandle++, sink, remote);
    this.connections.set(connection.handle, connection);
    connection.stats.establishedWallMs = this.#wallMs;
    connection.stats.received++;
    this.counters.received++;
    if (this.serving === 'no' || request.lastZxidSeen > this.tree.lastProcessedZxid) {
      // Not served here, or this server is behind what the client has seen: it must try another one.
      this.#close(connection);
      return connection.handle;
    }
    connection.timeoutMs = Math.min(Math.max(request.timeoutMs, this.config.minSessionTimeoutMs), this.config.maxSessionTimeoutMs);
    if (request.sessionId === 0n) {
      const sessionId = this.#nextSessionId++;
      connection.sessionId = sessionId;
      const password = Buffer.from(freshPassword);
      connection.password = password;
      const body = Buffer.allocUnsafe(4 + password.length);
      body.writeInt32BE(connection.timeoutMs, 0);
      body.set(password, 4);
      this.#write(connection, 'connect', 0, OpCode.createSession, sessionId, body, null);
    } else {
      connection.sessionId = request.sessionId;
      connection.password = request.password.slice();
      if (this.#leader !== null) {
        this.#revalidated(connection, this.#leader.revalidate(request.sessionId, request.password, 0, this.#nowMs));
      } else {
        const waiting = this.#enqueue(connection, 'connect', 0, OpCode.createSession, null);
        this.#byNumber.set(waiting.requestNo, waiting);
        this.#contest(request.sessionId);
        this.#toLeader(revalidateFrame(waiting.requestNo, request.sessionId, request.password));
      }
    }
    return connection.handle;
  }

  request(handle: number, request: ClientRequest): void {
    const connection = this.connections.get(handle);
    if (connection === undefined || connection.state === 'closed') return;
    connection.stats.received++;
    this.counters.received++;
    // Its session may end at any moment, and what is answered now would be heard of by the leader too late. Whoever comes back is asked about there.
    if (connection.state === 'open' && this.#nowMs - connection.heardMs >= connection.timeoutMs) return this.#close(connection);
    this.#touches.heard(connection, this.#nowMs);
    if (connection.holding && (request.op !== OpCode.ping || connection.state === 'connecting')) connection.hold(request.clone());
    else this.#accept(connection, request);
  }

  disconnected(handle: number): void {
    const connection = this.connections.get(handle);
    if (connection !== undefined) this.#forget(connection);
  }

  writable(handle: number): boolean {
    const connection = this.connections.get(handle);
    return connection === undefined || this.#throttle.mayRead(connection);
  }

  #accept(connection: Connection, request: ClientRequest): void {
    const { op, xid } = request;
    connection.stats.lastOp = op;
    connection.stats.lastXid = xid;
    switch (op) {
      case OpCode.exists:
      case OpCode.getData:
      case OpCode.getChildren:
      case OpCode.getChildren2:
      case OpCode.getACL:
      case OpCode.multiRead:
      case OpCode.getEphemerals:
      case OpCode.getAllChildrenNumber:
      case OpCode.whoAmI:
      case OpCode.setWatches:
      case OpCode.setWatches2:
      case OpCode.addWatch:
      case OpCode.checkWatches:
      case OpCode.removeWatches:
      case OpCode.reconfig:
        if (connection.idle) this.#read(connection, request, this.#nowMs);
        else this.#enqueue(connection, 'read', xid, op, request.clone());
        return;
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
      case OpCode.delete:
      case OpCode.setData:
      case OpCode.setACL:
      case OpCode.multi:
      case OpCode.closeSession:
        this.#write(connection, 'write', xid, op, connection.sessionId, request.body ?? encodeRequestBody(request), request);
        return;
      case OpCode.ping:
        this.#reply(connection, Xid.PING, op, this.tree.lastProcessedZxid, 0, null, this.#nowMs);
        return;
      case OpCode.auth:
        this.#auth(connection, request);
        return;
      case OpCode.sync:
        this.#sync(connection, request);
        return;
      default:
        // ZooKeeper: UNIMPLEMENTED with zxid -1, then the end of the connection. Includes a `check` outside of a multi.
        this.#reply(connection, xid, op, -1, Code.UNIMPLEMENTED, null, this.#nowMs);
        this.#close(connection);
    }
  }

  #auth(connection: Connection, request: ClientRequest): void {
    const { digest, superDigest } = this.config;
    const id = authenticate(request.scheme, request.data ?? EMPTY_BODY, connection.remote.address, digest, superDigest);
    if (id === null) {
      this.#reply(connection, Xid.AUTH, OpCode.auth, 0, Code.AUTHFAILED, null, this.#nowMs);
      this.#close(connection);
      return;
    }
    if (!connection.ids.some((known) => known.scheme === id.scheme && known.id === id.id)) connection.ids = [...connection.ids, id];
    this.#reply(connection, Xid.AUTH, OpCode.auth, 0, 0, null, this.#nowMs);
  }

  #enqueue(connection: Connection, kind: Waiting['kind'], xid: number, op: number, request: ClientRequest | null, bytes = 0): Waiting {
    this.#requestNo = (this.#requestNo + 1) >>> 0 || 1;
    const waiting: Waiting = { connection, kind, xid, op, request, requestNo: this.#requestNo, arrivedMs: this.#nowMs, bytes, done: false, zxid: 0, err: 0, result: null };
    connection.queue.push(waiting);
    return waiting;
  }

  #write(connection: Connection, kind: 'write' | 'connect', xid: number, op: OpCode, sessionId: bigint, body: Uint8Array, request: ClientRequest | null): void {
    const waiting = this.#enqueue(connection, kind, xid, op, null, body.length);
    this.#pending.push(waiting);
    if (this.#leader !== null) this.#leader.prepare(request ?? this.#decode(op, body), body, sessionId, connection.ids, 0, waiting.requestNo, this.#nowMs, this.#wallMs);
    else this.#outbound.add(waiting.requestNo, sessionId, op, connection.ids, body);
  }

  #sync(connection: Connection, request: ClientRequest): void {
    const waiting = this.#enqueue(connection, 'sync', request.xid, OpCode.sync, request.clone());
    connection.syncing = true;
    this.#byNumber.set(waiting.requestNo, waiting);
    if (this.#leader !== null) this.#leader.beginSync(null, waiting.requestNo, this.#nowMs);
    else {
      this.#flushOutbound();
      this.#toLeader(syncFrame(Kind.SYNC, waiting.requestNo));
    }
  }

  /** Answers what has come to the head of a connection's queue. */
  #advance(connection: Connection): void {
    for (let head = connection.queue.peek(); head !== undefined && connection.state !== 'closed'; head = connection.queue.peek()) {
      if (head.kind === 'read') {
        connection.queue.shift();
        this.#read(connection, head.request as ClientRequest, head.arrivedMs);
        continue;
      }
      if (!head.done) break;
      connection.queue.shift();
      if (head.kind === 'connect') this.#connected(connection);
      else this.#finish(connection, head);
      if (head.kind === 'sync') {
        connection.syncing = false;
        this.#release(connection);
      }
    }
  }

  #finish(connection: Connection, waiting: Waiting): void {
    if (waiting.err === Code.SESSIONMOVED) {
      this.#close(connection);
      return;
    }
    this.#reply(connection, waiting.xid, waiting.op, waiting.zxid, waiting.err, waiting.result, waiting.arrivedMs);
    if (waiting.op === OpCode.closeSession || waiting.err === Code.SESSIONEXPIRED) this.#close(connection);
  }

  #reply(connection: Connection, xid: number, op: number, zxid: Zxid, err: number, result: Result | null, arrivedMs: number): void {
    this.#markDirty(connection);
    connection.sink.reply(xid, op, zxid, err, err === 0 ? result : null);
    const latencyMs = this.#nowMs - arrivedMs;
    connection.replied(zxid, latencyMs, this.#wallMs);
    this.counters.replied(op, latencyMs);
  }

  #markDirty(connection: Connection): void {
    if (!connection.dirty) {
      connection.dirty = true;
      this.dirtyConnections.push(connection);
    }
  }

  #close(connection: Connection): void {
    if (connection.state === 'closed') return;
    this.#forget(connection);
    this.#markDirty(connection);
    connection.sink.close();
  }

  /** The connection is over; its session is not. */
  #forget(connection: Connection): void {
    connection.state = 'closed';
    this.connections.delete(connection.handle);
    this.#sessions.forget(connection);
    this.watches.removeAll(connection);
    for (const { kind, requestNo } of connection.queue.takeAll()) if (kind === 'sync') this.#byNumber.delete(requestNo);
    connection.held.takeAll();
    connection.heldBytes = 0;
  }

  // ------------------------------------------------------------ reads and watches

  #read(connection: Connection, request: ClientRequest, arrivedMs: number): void {
    const { op, xid, path } = request;
    const zxid = this.tree.lastProcessedZxid;
    if (request.malformed !== 0) {
      this.#reply(connection, xid, op, zxid, request.malformed, null, arrivedMs);
      return;
    }
    switch (op) {
      case OpCode.setWatches:
      case OpCode.setWatches2:
        this.watches.setWatches(this.tree, request, connection, this.#fireMissed);
        this.#reply(connection, xid, op, zxid, 0, null, arrivedMs);
        return;
      case OpCode.addWatch:
        this.watches.add(request.flags === 1 ? 'persistentRecursive' : 'persistent', path, connection);
        this.#reply(connection, xid, op, zxid, 0, { kind: 'error', err: 0 }, arrivedMs);
        return;
      case OpCode.checkWatches:
        this.#reply(connection, xid, op, zxid, this.watches.contains(path, connection, request.flags) ? 0 : Code.NOWATCHER, null, arrivedMs);
        return;
      case OpCode.removeWatches:
        this.#reply(connection, xid, op, zxid, this.watches.remove(path, connection, request.flags) ? 0 : Code.NOWATCHER, null, arrivedMs);
        return;
      case OpCode.reconfig:
        this.#reply(connection, xid, op, zxid, Code.RECONFIGDISABLED, null, arrivedMs);
        return;
    }
    const { err, result } = executeRead(this.tree, request, connection.ids, connection.sessionId);
    if (request.watch && (err === 0 || (op === OpCode.exists && err === Code.NONODE))) {
      this.watches.add(op === OpCode.getChildren || op === OpCode.getChildren2 ? 'child' : 'data', path, connection);
    }
    this.#reply(connection, xid, op, zxid, err, result, arrivedMs);
  }

  #ownTree(): void {
    this.tree.setConfig(Buffer.from(this.config.configData));
    this.tree.onChange = (event, path, zxid, acl) => {
      this.#changeZxid = zxid;
      this.watches.trigger(event, path, this.#fire, acl);
    };
  }
  #changeZxid: Zxid = 0;
  readonly #fire = (connection: Connection, type: number, path: string, acl: readonly Acl[]): void => {
    // READ is checked when the event is delivered, since ACLs may have changed after the watch was left (CVE-2024-23944).
    if (!checkAcl(acl, Perms.READ, connection.ids)) return;
    this.#markDirty(connection);
    connection.sink.event(type, KeeperState.SyncConnected, path, this.#changeZxid);
    this.counters.sent++;
  };
  readonly #fireMissed = (connection: Connection, type: number, path: string, acl: readonly Acl[]): void => {
    this.#changeZxid = -1;
    this.#fire(connection, type, path, acl);
  };

  // ------------------------------------------------------------ sessions

  #connected(connection: Connection): void {
    const other = this.#sessions.of(connection.sessionId);
    if (other !== undefined && other !== connection) this.#close(other);
    this.#sessions.take(connection);
    connection.state = 'open';
    this.#touches.heard(connection, this.#nowMs);
    this.#markDirty(connection);
    connection.sink.connected(connection.timeoutMs, connection.sessionId, connection.password, false);
    this.#release(connection);
  }

  /** What waited for the session, or for a SYNC, goes on; up to the next SYNC. */
  #release(connection: Connection): void {
    while (connection.held.size > 0 && connection.state === 'open' && !connection.holding) this.#accept(connection, connection.unhold() as ClientRequest);
  }

  /**
   * The session is about to be taken over from a connection here, or is coming back from another server: what that connection has not sent yet
   * must not follow the REVALIDATE, or the leader would take requests that are older than some from elsewhere for the session's newest.
   */
  #contest(sessionId: bigint): void {
    this.#flushOutbound();
    this.#sessions.contest(sessionId);
  }

  #contestOver(sessionId: bigint, accepted: boolean): void {
    const isLast = this.#sessions.answered(sessionId);
    const other = this.#sessions.of(sessionId);
    if (other === undefined) return;
    if (accepted) this.#close(other);
    else if (isLast) {
      other.contested = false;
      this.#release(other);
    }
  }

  /** timeoutMs 0: refused. */
  #revalidated(connection: Connection, timeoutMs: number): void {
    if (connection.state === 'closed') return;
    if (timeoutMs === 0) {
      this.#markDirty(connection);
      connection.sink.connected(0, 0n, NO_PASSWORD, false);
      this.#close(connection);
      return;
    }
    connection.timeoutMs = timeoutMs;
    this.#connected(connection);
  }

  #tellTouches(): void {
    const ids = this.#touches.take(this.#nowMs);
    if (this.#leader !== null) for (const id of ids) this.#leader.touch(id, this.#originId, this.#nowMs);
    else if (ids.length > 0) this.#toLeader(touchFrame(ids));
  }

  #decode(op: OpCode, body: Uint8Array): ClientRequest {
    const request = this.#scratch;
    if (op === OpCode.createSession) request.op = op;
    else decodeRequestBody(op, body, request);
    return request;
  }

  #synced(requestNo: number): void {
    const waiting = this.#byNumber.get(requestNo);
    if (waiting === undefined) return;
    this.#byNumber.delete(requestNo);
    waiting.done = true;
    waiting.zxid = this.tree.lastProcessedZxid;
    waiting.result = { kind: 'path', path: (waiting.request as ClientRequest).path };
    this.#advance(waiting.connection);
  }

  /** Leader: true when a SYNC was answered. */
  #answerSyncs(): boolean {
    if (this.#leader === null) return false;
    const ready = this.#leader.takeSyncs();
    for (const { channel, requestNo } of ready) {
      if (channel === null) this.#synced(requestNo);
      else this.peer.step({ type: 'pipeline', channel, body: syncFrame(Kind.SYNCED, requestNo) }, this.#nowMs);
    }
    return ready.length > 0;
  }

  // ------------------------------------------------------------ between servers

  #toLeader(body: Uint8Array): void {
    this.peer.step({ type: 'pipeline', channel: null, body }, this.#nowMs);
  }

  #flushOutbound(): void {
    if (this.#outbound.count > 0) this.#toLeader(this.#outbound.finish());
  }

  #onPipeline(effect: Extract<PeerEffect, { type: 'pipeline' }>): void {
    const { channel, originId, body } = effect;
    const leader = this.#leader;
    if (!(body instanceof Uint8Array) || body.length === 0) throw new DreyError('COORD_PEER_FRAME', 'a pipeline message without a body');
    const frame = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.length);
    switch (frame[0]) {
      case Kind.REQUEST:
        if (leader === null || channel === null) return;
        readRequestFrame(frame, (requestNo, sessionId, op, ids, requestBody) => {
          leader.prepare(this.#decode(op as OpCode, requestBody), requestBody, sessionId, ids, originId, requestNo, this.#nowMs, this.#wallMs);
        });
        return;
      case Kind.TOUCH:
        if (leader !== null) readTouchFrame(frame, (sessionId) => leader.touch(sessionId, originId, this.#nowMs));
        return;
      case Kind.REVALIDATE: {
        if (leader === null || channel === null) return;
        const { requestNo, sessionId, password } = readRevalidateFrame(frame);
        const timeoutMs = leader.revalidate(sessionId, password, originId, this.#nowMs);
        this.peer.step({ type: 'pipeline', channel, body: revalidatedFrame(requestNo, timeoutMs) }, this.#nowMs);
        return;
      }
      case Kind.REVALIDATED: {
        const { requestNo, timeoutMs } = readRevalidatedFrame(frame);
        const waiting = this.#byNumber.get(requestNo);
        if (waiting === undefined) return;
        this.#byNumber.delete(requestNo);
        const { connection } = waiting;
        if (connection.state !== 'closed') connection.queue.shift();
        this.#contestOver(connection.sessionId, timeoutMs > 0);
        this.#revalidated(connection, timeoutMs);
        return;
      }
      case Kind.SYNC:
        if (leader !== null && channel !== null) leader.beginSync(channel, readSyncFrame(frame), this.#nowMs);
        return;
      case Kind.SYNCED:
        this.#synced(readSyncFrame(frame));
        return;
      default:
        throw new DreyError('COORD_PEER_FRAME', `unknown pipeline message ${frame[0]}`);
    }
  }

  // ------------------------------------------------------------ the end of a turn

  /** Proposes and forwards what the turn brought, carries out what the peer decided, and names what is left for the driver. */
  drain(): ServerDrain {
    const out = this.#drain;
    empty(out.persist);
    empty(out.sends);
    empty(out.actions);
    this.#leader?.expire(this.#nowMs, this.#wallMs);
    if (this.serving !== 'no' && this.#touches.isDue(this.#nowMs)) this.#tellTouches();
    let peerDeadlineMs: number;
    do {
      this.#leader?.propose(this.#nowMs);
      this.#flushOutbound();
      const drained = this.peer.drain();
      peerDeadlineMs = drained.deadlineMs;
      for (const effect of drained.effects) this.#carryOut(effect, out);
    } while (this.#answerSyncs() || this.#leader?.hasTxns === true || this.#outbound.count > 0);
    this.#throttle.resumeFaces();
    out.deadlineMs = peerDeadlineMs;
    if (this.serving !== 'no') out.deadlineMs = Math.min(out.deadlineMs, this.#touches.deadlineMs);
    if (this.#leader !== null) out.deadlineMs = Math.min(out.deadlineMs, this.#leader.deadlineMs);
    return out;
  }

  #carryOut(effect: PeerEffect, out: ServerDrain): void {
    switch (effect.type) {
      case 'persist':
        this.#receiveSnapshot(effect.op);
        out.persist.push(effect);
        return;
      case 'send':
        out.sends.push(effect);
        return;
      case 'deliver':
        this.#deliver(effect.group);
        return;
      case 'resetState':
        assert(this.#incoming !== null, 'the state was received before it takes effect');
        this.tree = this.#incoming;
        this.#incoming = null;
        this.tree.loadDone(effect.baseZxid);
        this.onResetState?.(effect.baseZxid);
        this.#ownTree();
        return;
      case 'serving':
        this.#serve(effect.serving, effect.epoch, effect.originId);
        out.actions.push(effect);
        return;
      case 'pipeline':
        try {
          this.#onPipeline(effect);
        } catch (error) {
          if (!(error instanceof DreyError)) throw error;
          // A peer that talks nonsense loses its channel, and with it its requests; nobody else notices.
          if (effect.channel !== null) out.actions.push({ type: 'closeChannel', channel: effect.channel });
          out.actions.push({ type: 'trace', name: 'MalformedPipelineMessage', fields: { sid: effect.sid, why: error.message } });
        }
        return;
      case 'quorumConfirmed':
        this.#leader?.quorumConfirmed(effect.token);
        return;
      case 'learnerUp':
        return;
      case 'learnerDown':
        this.#leader?.learnerDown(effect.channel, effect.originId, this.#nowMs);
        return;
      case 'dialLearner':
      case 'closeChannel':
      case 'readJournal':
      case 'sendSnapshot':
      case 'state':
      case 'trace':
        out.actions.push(effect);
        return;
      default:
        assertNever(effect);
    }
  }

  #receiveSnapshot(op: PersistOp): void {
    if (op.type === 'snapshotBegin') this.#incoming = new DataTree();
    else if (op.type === 'snapshotChunk') for (const [key, value] of op.entries) this.#incoming?.loadEntry(key, value);
  }

  #deliver(group: TxnGroup): void {
    this.onDeliver?.(group);
    if (group.decoded !== undefined) {
      for (const { header, txn } of group.decoded as HeadedTxn[]) this.#apply(header, txn);
      // Not `delete`, which would make a dictionary of the object.
      group.decoded = undefined;
    } else decodeTxnGroup(group.bytes, group.firstZxid, this.#applyDecoded);
    this.#leader?.committed(group.lastZxid);
  }
  readonly #applyDecoded = (header: TxnHeader, txn: Txn): void => this.#apply(header, txn);

  #apply(header: TxnHeader, txn: Txn): void {
    const { zxid, originId, requestNo } = header;
    const isOurs = this.serving !== 'no' && requestNo !== 0 && originId === this.#originId && zxidEpoch(zxid) === this.#epoch;
    const { err, result } = this.tree.apply(header, txn, isOurs);
    if (this.serving === 'no') return;
    let waiting: Waiting | null = null;
    if (isOurs) {
      waiting = this.#pending.shift();
      assert(waiting !== null && waiting.requestNo === requestNo, 'txns of this origin come in the order of its requests');
    }
    if (waiting !== null && waiting.connection.state !== 'closed') {
      waiting.done = true;
      waiting.zxid = zxid;
      waiting.err = err;
      waiting.result = result;
      if (waiting.kind === 'connect' && err !== 0) this.#close(waiting.connection);
      else this.#advance(waiting.connection);
    }
    if (txn.type === 'closeSession') {
      this.#leader?.closed(txn.sessionId);
      // Expired, or closed through another connection.
      const connection = this.#sessions.of(txn.sessionId);
      if (connection !== undefined && connection !== waiting?.connection) this.#close(connection);
    }
  }

  #serve(serving: Serving, epoch: number, originId: number): void {
    for (const connection of this.connections.values()) this.#close(connection);
    this.#pending.clear();
    this.#byNumber.clear();
    this.#sessions.clearContests();
    this.#touches.clear();
    if (this.#outbound.count > 0) this.#outbound.finish();
    this.serving = serving;
    this.#epoch = epoch;
    this.#originId = originId;
    this.#servingSinceMs = this.#nowMs;
    this.#leader = serving === 'leader' ? new LeaderPipeline(this.peer, this.tree, this.config, this.counters, epoch, this.#nowMs) : null;
    if (this.#leader === null || this.onSession === null) return;
    this.onSession('leads', 0n, this.#nowMs);
    this.#leader.onSession = this.onSession;
  }

  stats(description: ServerDescription): ServerStats {
    return this.counters.stats(this, description, this.#nowMs, this.#wallMs);
  }
  get outstanding(): number {
    return this.#pending.count;
  }
  get servingSinceMs(): number {
    return this.#servingSinceMs;
  }
  /** For `dump`: when the leader would end a session that stays silent; 0 when this server does not lead. */
  expiresWallMs(sessionId: bigint, nowMs: number, wallMs: number): number {
    const expiresMs = this.#leader?.expiresMs(sessionId) ?? null;
    return expiresMs === null ? 0 : wallMs + (expiresMs - nowMs);
  }
}
