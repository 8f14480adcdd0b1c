/**
 * The watches of one session: who is to be called for which event, and what must be registered again after a reconnect.
 *
 * Invariants: a one-shot watcher is handed out at most once per registration, and at most once per event although it may stand in
 * several tables; a persistent one stays until it is removed.
 * Source: ZooKeeper's ZKWatchManager and ClientCnxn.SendThread.primeConnection (ZOOKEEPER-706: setWatches in parts of 128 KB).
 */
import { ClientRequest } from '../wire/types.ts';
import { EventType, OpCode, Xid } from '../wire/codes.ts';
import type { Zxid } from '../base/zxid.ts';
import type { AddWatchMode, Watcher } from './api.ts';

type Table = Map<string, Set<Watcher>>;
export type WatchKind = 'data' | 'exist' | 'child' | AddWatchMode;

const SET_WATCHES_BYTES_MAX = 128 * 1024;
const kinds: readonly WatchKind[] = ['data', 'exist', 'child', 'persistent', 'persistent-recursive'];

export class Watches {
  readonly #tables: Record<WatchKind, Table> = {
    data: new Map(), exist: new Map(), child: new Map(), persistent: new Map(), 'persistent-recursive': new Map(),
  };

  add(kind: WatchKind, path: string, watcher: Watcher): void {
    const table = this.#tables[kind];
    const watchers = table.get(path);
    if (watchers === undefined) table.set(path, new Set([watcher]));
    else watchers.add(watcher);
  }

  /** True: it was the last of this kind on this path. */
  remove(kind: WatchKind, path: string, watcher: Watcher): boolean {
    const watchers = this.#tables[kind].get(path);
    if (watchers === undefined || !watchers.delete(watcher) || watchers.size > 0) return false;
    this.#tables[kind].delete(path);
    return true;
  }

  clear(): void {
    for (const kind of kinds) this.#tables[kind].clear();
  }

  get size(): number {
    return kinds.reduce((sum, kind) => sum + this.#tables[kind].size, 0);
  }

  /** The watchers that an event concerns; the one-shot ones are forgotten. */
  take(type: number, path: string): Watcher[] {
    const out = new Set<Watcher>();
    const drain = (table: Table): void => {
      const watchers = table.get(path);
      if (watchers === undefined) return;
      for (const watcher of watchers) out.add(watcher);
      table.delete(path);
    };
    const { data, exist, child, persistent, 'persistent-recursive': recursive } = this.#tables;
    if (type === EventType.NodeCreated || type === EventType.NodeDataChanged) {
      drain(data);
      drain(exist);
    } else if (type === EventType.NodeChildrenChanged) {
      drain(child);
    } else {
      drain(data);
      drain(exist);
      drain(child);
    }
    for (const watcher of persistent.get(path) ?? []) out.add(watcher);
    if (type !== EventType.NodeChildrenChanged && recursive.size > 0) {
      for (const ancestor of selfAndAncestors(path)) for (const watcher of recursive.get(ancestor) ?? []) out.add(watcher);
    }
    return [...out];
  }

  /** The requests that register everything again on a new connection. */
  setWatches(relativeZxid: Zxid): ClientRequest[] {
    const withPersistent = this.#tables.persistent.size + this.#tables['persistent-recursive'].size > 0;
    const requests: ClientRequest[] = [];
    let lists: Record<WatchKind, string[]> | null = null;
    let bytes = 0;
    const cut = (): void => {
      if (lists === null) return;
      const request = new ClientRequest();
      request.xid = Xid.SET_WATCHES;
      request.op = withPersistent ? OpCode.setWatches2 : OpCode.setWatches;
      request.relativeZxid = relativeZxid;
      request.dataWatches = lists.data;
      request.existWatches = lists.exist;
      request.childWatches = lists.child;
      request.persistentWatches = lists.persistent;
      request.persistentRecursiveWatches = lists['persistent-recursive'];
      requests.push(request);
      lists = null;
      bytes = 0;
    };
    for (const kind of kinds) {
      for (const path of this.#tables[kind].keys()) {
        // 3 bytes a UTF-16 unit is the most that UTF-8 takes; 4 is the length before the string.
        const size = 4 + 3 * path.length;
        if (bytes + size > SET_WATCHES_BYTES_MAX) cut();
        lists ??= { data: [], exist: [], child: [], persistent: [], 'persistent-recursive': [] };
        lists[kind].push(path);
        bytes += size;
      }
    }
    cut();
    return requests;
  }
}

function* selfAndAncestors(path: string): Generator<string> {
  let current = path;
  for (;;) {
    yield current;
    if (current === '/') return;
    const slash = current.lastIndexOf('/');
    current = slash <= 0 ? '/' : current.slice(0, slash);
  }
}
