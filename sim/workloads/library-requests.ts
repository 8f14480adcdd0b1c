/**
 * The requests of one client with the library, from the call to the callback, and what the library promises of each (ClientPromise): a callback is
 * called once; replies come in the order of the requests; CONNECTIONLOSS means sent and not answered, and what was not sent never fails with it;
 * nothing is sent twice.
 */
import type { Zxid } from '../../coord/base/zxid.ts';
import type { Watcher } from '../../coord/client/api.ts';
import type { CoordErrorCode } from '../../coord/client/errors.ts';
import type { ClientSession, WatchToSet } from '../../coord/client/session.ts';
import { Code, OpCode } from '../../coord/wire/codes.ts';
import type { AuthId, ClientRequest, Result } from '../../coord/wire/types.ts';
import type { Judge } from '../judges/judge.ts';
import type { World } from '../world/world.ts';
import type { Call } from './call.ts';
import { checkReply, isWrite, nameOf } from './reply-check.ts';

/** The client whose requests they are. */
export interface Requester {
  readonly id: number;
  readonly name: string;
  readonly session: ClientSession | null;
  readonly incarnation: number;
  /** 0n: none. */
  readonly sessionId: bigint;
  /** What the connection has proved. */
  readonly ids: readonly AuthId[];
  /** Breaks ClientPromise. */
  fail(what: string): void;
  whenConnected(then: () => void): void;
}

/** zxid 0: no server has answered. */
export type After = (error: CoordErrorCode | null, result: Result | null, zxid: Zxid) => void;

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
  readonly after: After | null;
}

export class LibraryRequests {
  readonly #client: Requester;
  readonly #world: World;
  readonly #judge: Judge;
  readonly #open = new Map<ClientRequest, Op>();
  #number = 0;
  #answered = 0;

  constructor(client: Requester, world: World, judge: Judge) {
    this.#client = client;
    this.#world = world;
    this.#judge = judge;
  }

  /** How many wait for their callbacks. */
  get open(): number {
    return this.#open.size;
  }
  /** Of the newest one; they are numbered from 1. */
  get newest(): number {
    return this.#number;
  }
  /** One that came after the one with this number waits for its callback. */
  hasOpenAfter(number: number): boolean {
    for (const op of this.#open.values()) if (op.number > number) return true;
    return false;
  }
  /** For people: the oldest one that is open; null: none. */
  get oldest(): string | null {
    const [head] = this.#open.values();
    return head === undefined ? null : head.call === null ? 'a request' : `${head.call.kind} ${head.call.path}`;
  }

  call(kind: Call['kind'], path: string, more: Partial<Call> = {}): Call {
    const { id, sessionId, incarnation } = this.#client;
    return { client: id, kind, path, value: '', version: -1, sessionId, incarnation, invokedMs: this.#world.nowMs, ackedBefore: this.#judge.newestAcked, ...more };
  }

  /** `call` null: only the model judges it. `then` is not called when the client has gone on to another session. */
  submit(r: ClientRequest, call: Call | null, watch: { readonly kind: WatchToSet['kind']; readonly watcher: Watcher } | null = null, then: After | null = null): void {
    const { session } = this.#client;
    if (session === null) return;
    const op: Op = {
      number: ++this.#number, request: r, ackedBefore: this.#judge.newestAcked, callMs: this.#world.nowMs, call, sent: false, sessionId: 0n, ids: [], called: false, after: then,
    };
    this.#open.set(r, op);
    session.request(r, (error, result, zxid) => this.#done(session, op, error, result, zxid), watch);
  }

  /** The library puts it on the wire. */
  sending(r: ClientRequest): void {
    const client = this.#client;
    const op = this.#open.get(r);
    if (op === undefined) return client.fail(`sends a ${nameOf(r.op)} of which nobody has asked`);
    if (op.sent) client.fail(`sends the ${nameOf(r.op)} of ${r.path} twice`);
    op.sent = true;
    op.sessionId = client.sessionId;
    op.ids = client.ids;
    if (op.call !== null) op.call = { ...op.call, sessionId: client.sessionId };
  }

  /** The read that was to follow a SYNC follows none. */
  notSynced(get: ClientRequest): void {
    const op = this.#open.get(get);
    if (op !== undefined && op.call !== null) op.call = { ...op.call, kind: 'get' };
  }

  /** The process with the library in it is gone. */
  abandon(): void {
    for (const op of this.#open.values()) {
      if (op.sent && op.call !== null) this.#judge.unknown(op.call);
      op.called = true;
    }
    this.#open.clear();
  }

  #done(session: ClientSession, op: Op, error: CoordErrorCode | null, result: Result | null, zxid: Zxid): void {
    const client = this.#client;
    const what = `the ${nameOf(op.request.op)} of ${op.request.path}`;
    if (op.called) return client.fail(`calls back twice for ${what}`);
    op.called = true;
    this.#open.delete(op.request);
    const { marks, nowMs, recorder } = this.#world;
    if (zxid === 0) {
      if (error === 'CONNECTIONLOSS' && !op.sent) client.fail(`reports CONNECTIONLOSS for ${what}, which was never sent`);
      if ((error === 'OPERATIONTIMEOUT' || error === 'REQUESTTOOLARGE') && op.sent) client.fail(`reports ${error} for ${what}, which was sent`);
      if (error === null && op.request.op !== OpCode.sync) client.fail(`reports success of ${what} without a zxid`);
      if (op.sent && op.call !== null) {
        this.#judge.unknown(op.call);
        if (isWrite(op.request.op)) marks.hit('write lost');
      }
    } else {
      if (op.number < this.#answered) client.fail(`answers ${what} after a later request`);
      this.#answered = op.number;
      this.#check(op, error, result, zxid);
    }
    recorder?.operation(client.name, op.call?.kind ?? nameOf(op.request.op), op.request.path, op.callMs, error === 'CONNECTIONLOSS' ? null : nowMs, error ?? 'OK', zxid);
    if (session === client.session || session.state === 'closed' || session.state === 'expired') op.after?.(error, result, zxid);
  }

  #check(op: Op, error: CoordErrorCode | null, result: Result | null, zxid: Zxid): void {
    const err = error === null ? Code.OK : (Code[error as keyof typeof Code] ?? 0);
    const { request, sessionId, ids, ackedBefore } = op;
    checkReply(this.#judge, { who: this.#client.name, request, sessionId, ids, ackedBefore }, zxid, err, result);
    if (error === 'NOAUTH') this.#world.marks.hit('NOAUTH');
    if (op.call === null) return;
    // The judge knows what create answers, and create2 says more.
    this.#judge.answered(op.call, zxid, err, result?.kind === 'pathStat' ? { kind: 'path', path: result.path } : result);
  }
}
