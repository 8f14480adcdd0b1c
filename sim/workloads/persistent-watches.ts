/**
 * The persistent watches of one session, as its client was promised them: while it is connected every event, in order, exactly once, and before
 * anything that shows its change. What happens between two connections is not told: with the answer to setWatches they go on from there.
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { AddWatchMode } from '../../coord/client/api.ts';
import { EventType, Perms } from '../../coord/wire/codes.ts';
import type { AuthId } from '../../coord/wire/types.ts';
import { permits } from '../judges/decisions.ts';
import type { Judge } from '../judges/judge.ts';
import type { Change } from '../judges/model.ts';

export interface PersistentWatch {
  readonly mode: AddWatchMode;
  readonly path: string;
  /** Index of the next change that may concern it. */
  next: number;
}

export class PersistentWatches {
  readonly #who: string;
  readonly #judge: Judge;
  readonly #watches = new Set<PersistentWatch>();
  /** Given up by the client; the server may not know it yet. */
  readonly #leaving = new Set<PersistentWatch>();
  /** The connection has been lost, and the watches are not set again yet. */
  #away = false;
  /** Of the current connection. READ is checked when an event is delivered. */
  ids: readonly AuthId[] = [];

  constructor(who: string, judge: Judge) {
    this.#who = who;
    this.#judge = judge;
  }

  get size(): number {
    return this.#watches.size;
  }
  get all(): Iterable<PersistentWatch> {
    return this.#watches;
  }

  /** The reply to addWatch had this zxid. */
  add(mode: AddWatchMode, path: string, zxid: Zxid): PersistentWatch {
    const watch = { mode, path, next: this.#judge.model.changesAfter(zxid) };
    this.#watches.add(watch);
    return watch;
  }
  remove(watch: PersistentWatch): void {
    this.#watches.delete(watch);
  }
  /** The server is told to drop it; until left() it may still tell of changes. */
  leaves(watch: PersistentWatch): void {
    this.#leaving.add(watch);
  }
  left(watch: PersistentWatch): void {
    this.#leaving.delete(watch);
  }
  clear(): void {
    this.#leaving.clear();
    this.#watches.clear();
    this.#away = false;
  }

  concerns(type: number, path: string): boolean {
    for (const watch of this.#watches) if (matches(watch, type, path)) return true;
    for (const watch of this.#leaving) if (matches(watch, type, path)) return true;
    return false;
  }

  /** The watcher was called. zxid 0: told by setWatches for the sake of another watch. */
  called(watch: PersistentWatch, type: number, path: string, zxid: Zxid): void {
    if (zxid === 0) {
      if (!this.#away) this.#fail('WatchSpurious', watch, `heard of ${path} without a zxid`);
      return;
    }
    const { changes } = this.#judge.model;
    for (; watch.next < changes.length; watch.next++) {
      const change = changes[watch.next] as Change;
      if (!this.#isFor(watch, change)) continue;
      if (change.zxid === zxid && change.type === type && change.path === path) {
        watch.next++;
        return;
      }
      if (!this.#away || change.zxid > zxid) break;
    }
    const change = changes[watch.next];
    this.#fail('WatchOrder', watch, `heard event ${type} of ${path} at ${formatZxid(zxid)}, next is ${change === undefined ? 'nothing' : `event ${change.type} of ${change.path} at ${formatZxid(change.zxid)}`}`);
  }

  /** A reply with this zxid has come: everything up to there must have been told. */
  seen(zxid: Zxid): void {
    if (this.#away) return;
    const { changes } = this.#judge.model;
    for (const watch of this.#watches) {
      for (; watch.next < changes.length; watch.next++) {
        const change = changes[watch.next] as Change;
        if (change.zxid > zxid) break;
        if (this.#isFor(watch, change)) return this.#fail('WatchOrder', watch, `saw ${formatZxid(zxid)} before event ${change.type} of ${change.path} at ${formatZxid(change.zxid)}`);
      }
    }
  }

  lost(): void {
    this.#leaving.clear();
    this.#away = true;
  }
  /** The reply to setWatches, or the first of a connection that needed none. */
  setAgain(zxid: Zxid): void {
    if (!this.#away) return;
    this.#away = false;
    const next = this.#judge.model.changesAfter(zxid);
    for (const watch of this.#watches) watch.next = Math.max(watch.next, next);
  }

  #isFor(watch: PersistentWatch, { type, path, acl }: Change): boolean {
    return matches(watch, type, path) && permits(acl, Perms.READ, this.ids);
  }

  #fail(invariant: string, { mode, path }: PersistentWatch, what: string): void {
    this.#judge.fail(invariant, `${this.#who}'s ${mode} watch of ${path} ${what}`);
  }
}

function matches({ mode, path: watched }: PersistentWatch, type: number, path: string): boolean {
  if (mode === 'persistent') return path === watched;
  return type !== EventType.NodeChildrenChanged && (path === watched || path.startsWith(watched === '/' ? '/' : `${watched}/`));
}
