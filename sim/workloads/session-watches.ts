/**
 * The watches of one session as a client keeps them: what it was promised, and what it must have heard before it may see more.
 *
 * After a reconnect the client asks for them again (setWatches): what changed meanwhile is told at once, except that a znode which came and
 * went again is no news to an exist watch.
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import { EventType, OpCode, Xid } from '../../coord/wire/codes.ts';
import { ClientRequest } from '../../coord/wire/types.ts';
import type { Judge } from '../judges/judge.ts';
import type { Marks } from '../world/marks.ts';

type Kind = 'data' | 'exist' | 'child';

interface Watch {
  readonly kind: Kind;
  readonly path: string;
  /** What changes after this must be told. */
  sinceZxid: Zxid;
}

export class SessionWatches {
  readonly #client: number;
  readonly #judge: Judge;
  readonly #marks: Marks;
  readonly #watches = new Map<string, Watch>();
  /** setWatches is on its way. */
  #asking = false;

  constructor(client: number, judge: Judge, marks: Marks) {
    this.#client = client;
    this.#judge = judge;
    this.#marks = marks;
  }

  add(kind: Kind, path: string, zxid: Zxid): void {
    const key = `${kind} ${path}`;
    if (!this.#watches.has(key)) this.#watches.set(key, { kind, path, sinceZxid: zxid });
  }

  get size(): number {
    return this.#watches.size;
  }

  /** `persistent`: another watch of the session was promised it too. */
  event(type: number, path: string, zxid: Zxid, persistent = false): void {
    this.#marks.hit(zxid < 0 ? 'watch event missed' : 'watch event');
    const kinds: readonly Kind[] = type === EventType.NodeChildrenChanged ? ['child'] : type === EventType.NodeDeleted ? ['data', 'exist', 'child'] : ['data', 'exist'];
    let promised = false;
    let changed = false;
    for (const kind of kinds) {
      const watch = this.#watches.get(`${kind} ${path}`);
      if (watch === undefined) continue;
      promised = true;
      this.#watches.delete(`${kind} ${path}`);
      const first = this.#judge.model.firstChange(path, watch.sinceZxid, kind === 'child');
      changed ||= first < Infinity;
      if (zxid >= 0 && first > zxid) this.#judge.fail('WatchSpurious', `client ${this.#client} heard of ${path} (${kind}) at ${formatZxid(zxid)}, where nothing changed`);
    }
    // What is caught up by setWatches does not say which txn it is of; there must be one.
    if (zxid < 0 && promised && !changed) this.#judge.fail('WatchSpurious', `client ${this.#client} was told by setWatches of a change of ${path} that it had seen`);
    if (!promised && !persistent) this.#judge.fail('WatchSpurious', `client ${this.#client} heard event ${type} of ${path}, which it does not watch`);
  }

  /** A reply with this zxid has come: everything up to there must have been told. */
  seen(zxid: Zxid): void {
    if (this.#asking) return;
    for (const { kind, path, sinceZxid } of this.#watches.values()) {
      const first = this.#judge.model.firstChange(path, sinceZxid, kind === 'child');
      if (first <= zxid) this.#judge.fail('WatchOrder', `client ${this.#client} saw ${formatZxid(zxid)} before the event of ${path} (${kind}, since ${formatZxid(sinceZxid)}) at ${formatZxid(first)}`);
    }
  }

  /** The request that a new connection begins with; null: nothing is watched. */
  again(lastZxid: Zxid): ClientRequest | null {
    this.#asking = false;
    if (this.#watches.size === 0) return null;
    const r = new ClientRequest();
    r.op = OpCode.setWatches;
    r.xid = Xid.SET_WATCHES;
    r.relativeZxid = lastZxid;
    const paths = (kind: Kind): string[] => [...this.#watches.values()].filter((watch) => watch.kind === kind).map(({ path }) => path);
    r.dataWatches = paths('data');
    r.existWatches = paths('exist');
    r.childWatches = paths('child');
    this.#asking = true;
    return r;
  }

  /** The reply to it: what is watched still is watched from there on. */
  setAgain(zxid: Zxid): void {
    this.#asking = false;
    for (const watch of this.#watches.values()) {
      const first = watch.kind === 'exist' ? Infinity : this.#judge.model.firstChange(watch.path, watch.sinceZxid, watch.kind === 'child');
      if (first <= zxid) this.#judge.fail('WatchOrder', `client ${this.#client} was not told by setWatches of ${watch.path} (${watch.kind}) at ${formatZxid(first)}`);
      watch.sinceZxid = Math.max(watch.sinceZxid, zxid);
    }
  }
}
