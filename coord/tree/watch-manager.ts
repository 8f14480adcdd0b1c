/**
 * Who watches what on this server, and whom an event goes to.
 *
 * Invariants:
 * - Two tables: data (getData, exists, both persistent modes) and child (getChildren, persistent). A watch is a (connection, path, mode) in a
 *   table; modes coexist, and a trigger takes the standard mode only.
 * - One event goes to a connection once, however many of its watches match: in particular one NodeDeleted for a data and a child watch.
 * - Recursive watches match the path and everything below; the event names the znode that changed. They see no NodeChildrenChanged.
 * - Watches belong to a connection and end with it. With empty tables a trigger does nothing.
 *
 * Source: WatchManager, WatchStats, DataTree.addWatch, DataTree.setWatches. Since registering needs no permission, READ is checked when an event
 * is delivered (CVE-2024-23944): by `fire`, which gets the ACL to check.
 */
import { EventType } from '../wire/codes.ts';
import type { Acl, ClientRequest } from '../wire/types.ts';
import { OPEN_ACL } from './acl.ts';
import type { ChangeEvent, DataTree } from './data-tree.ts';

export type WatchKind = 'data' | 'child' | 'persistent' | 'persistentRecursive';

/** Watcher.WatcherType: what checkWatches and removeWatches name. */
export const WatcherType = { Children: 1, Data: 2, Any: 3, Persistent: 4, PersistentRecursive: 5 } as const;

/** `type` is a WatchedEvent type; `acl` that of the znode at `path` (of a deleted one, what it had), by which the watcher must be able to READ. */
export type FireWatch<W> = (watcher: W, type: EventType, path: string, acl: readonly Acl[]) => void;

export class WatchManager<W extends object> {
  readonly #data = new WatchTable<W>();
  readonly #child = new WatchTable<W>();

  /** A connection's watches, each (table, path) counted once. */
  get watchCount(): number {
    return this.#data.watchCount + this.#child.watchCount;
  }

  get pathCount(): number {
    return this.#data.paths.size + this.#child.paths.size;
  }

  /** Connections that watch anything. */
  get watcherCount(): number {
    let count = this.#data.byWatcher.size;
    for (const watcher of this.#child.byWatcher.keys()) if (!this.#data.byWatcher.has(watcher)) count++;
    return count;
  }

  add(kind: WatchKind, path: string, watcher: W): void {
    switch (kind) {
      case 'data':
        this.#data.add(path, watcher, STANDARD);
        return;
      case 'child':
        this.#child.add(path, watcher, STANDARD);
        return;
      case 'persistent':
        this.#data.add(path, watcher, PERSISTENT);
        this.#child.add(path, watcher, PERSISTENT);
        return;
      case 'persistentRecursive':
        this.#data.add(path, watcher, RECURSIVE);
        return;
    }
  }

  /** Whether there was such a watch. False also for an unknown type. */
  remove(path: string, watcher: W, watcherType: number): boolean {
    const { data, child } = modesOf(watcherType);
    const fromData = this.#data.remove(path, watcher, data);
    return this.#child.remove(path, watcher, child) || fromData;
  }

  contains(path: string, watcher: W, watcherType: number): boolean {
    const { data, child } = modesOf(watcherType);
    return (this.#data.modes(path, watcher) & data) !== 0 || (this.#child.modes(path, watcher) & child) !== 0;
  }

  /** The connection is gone. */
  removeAll(watcher: W): void {
    this.#data.removeAll(watcher);
    this.#child.removeAll(watcher);
  }

  /** Fires, and takes, the watches that a change of the tree triggers. Arguments as DataTree.onChange gives them. `fire` may remove watches. */
  trigger(event: ChangeEvent, path: string, fire: FireWatch<W>, acl: readonly Acl[]): void {
    switch (event) {
      case 'dataChanged':
        if (this.#data.paths.size > 0) fireAll(this.#data.take(path), EventType.NodeDataChanged, path, fire, acl);
        return;
      case 'created':
        if (this.#data.paths.size > 0) fireAll(this.#data.take(path), EventType.NodeCreated, path, fire, acl);
        return;
      case 'childrenChanged':
        if (this.#child.paths.size > 0) fireAll(this.#child.take(path), EventType.NodeChildrenChanged, path, fire, acl);
        return;
      case 'deleted': {
        const byData = this.#data.paths.size > 0 ? this.#data.take(path) : null;
        const byChild = this.#child.paths.size > 0 ? this.#child.take(path) : null;
        if (byData !== null && byChild !== null) for (const watcher of byData) byChild.delete(watcher);
        fireAll(byData, EventType.NodeDeleted, path, fire, acl);
        fireAll(byChild, EventType.NodeDeleted, path, fire, acl);
        return;
      }
    }
  }

  /**
   * A client that reconnected names its watches and the last zxid it has seen: what changed since is fired at once, the rest is armed. For
   * persistent watches nothing is caught up.
   */
  setWatches(tree: DataTree, request: ClientRequest, watcher: W, fire: FireWatch<W>): void {
    const since = request.relativeZxid;
    for (const path of request.dataWatches) {
      const node = tree.get(path);
      if (node === undefined) fire(watcher, EventType.NodeDeleted, path, OPEN_ACL);
      else if (node.mzxid > since) fire(watcher, EventType.NodeDataChanged, path, node.acl);
      else this.add('data', path, watcher);
    }
    for (const path of request.existWatches) {
      const node = tree.get(path);
      if (node !== undefined) fire(watcher, EventType.NodeCreated, path, node.acl);
      else this.add('data', path, watcher);
    }
    for (const path of request.childWatches) {
      const node = tree.get(path);
      if (node === undefined) fire(watcher, EventType.NodeDeleted, path, OPEN_ACL);
      else if (node.pzxid > since) fire(watcher, EventType.NodeChildrenChanged, path, node.acl);
      else this.add('child', path, watcher);
    }
    for (const path of request.persistentWatches) this.add('persistent', path, watcher);
    for (const path of request.persistentRecursiveWatches) this.add('persistentRecursive', path, watcher);
  }

  /** What wchc and wchp list: a connection's paths, each once. */
  *byWatcher(): Iterable<[W, Set<string>]> {
    const watchers = new Set([...this.#data.byWatcher.keys(), ...this.#child.byWatcher.keys()]);
    for (const watcher of watchers) {
      yield [watcher, new Set([...(this.#data.byWatcher.get(watcher) ?? []), ...(this.#child.byWatcher.get(watcher) ?? [])])];
    }
  }
}

class WatchTable<W extends object> {
  readonly paths = new Map<string, Map<W, number>>();
  readonly byWatcher = new Map<W, Set<string>>();
  watchCount = 0;
  /** How many watches have the recursive mode; ancestors are looked at only if any. */
  #recursive = 0;

  add(path: string, watcher: W, mode: number): void {
    let watchers = this.paths.get(path);
    if (watchers === undefined) this.paths.set(path, (watchers = new Map()));
    const before = watchers.get(watcher) ?? 0;
    if (before === 0) {
      this.watchCount++;
      let paths = this.byWatcher.get(watcher);
      if (paths === undefined) this.byWatcher.set(watcher, (paths = new Set()));
      paths.add(path);
    }
    if ((mode & ~before & RECURSIVE) !== 0) this.#recursive++;
    watchers.set(watcher, before | mode);
  }

  modes(path: string, watcher: W): number {
    return this.paths.get(path)?.get(watcher) ?? 0;
  }

  remove(path: string, watcher: W, modes: number): boolean {
    const watchers = this.paths.get(path);
    const before = watchers?.get(watcher) ?? 0;
    if (watchers === undefined || (before & modes) === 0) return false;
    if ((before & modes & RECURSIVE) !== 0) this.#recursive--;
    const after = before & ~modes;
    if (after !== 0) {
      watchers.set(watcher, after);
      return true;
    }
    watchers.delete(watcher);
    if (watchers.size === 0) this.paths.delete(path);
    this.watchCount--;
    const paths = this.byWatcher.get(watcher) as Set<string>;
    paths.delete(path);
    if (paths.size === 0) this.byWatcher.delete(watcher);
    return true;
  }

  removeAll(watcher: W): void {
    for (const path of this.byWatcher.get(watcher) ?? []) this.remove(path, watcher, ALL_MODES);
  }

  /** Whoever watches the path, or recursively an ancestor; takes the standard watches of the path itself. */
  take(path: string): Set<W> | null {
    let taken: Set<W> | null = null;
    const watchers = this.paths.get(path);
    if (watchers !== undefined) {
      taken = new Set(watchers.keys());
      for (const watcher of taken) this.remove(path, watcher, STANDARD);
    }
    if (this.#recursive === 0) return taken;
    for (let ancestor = path; ancestor !== '/'; ) {
      ancestor = ancestor.slice(0, Math.max(ancestor.lastIndexOf('/'), 1));
      const above = this.paths.get(ancestor);
      if (above === undefined) continue;
      for (const [watcher, modes] of above) if ((modes & RECURSIVE) !== 0) (taken ??= new Set()).add(watcher);
    }
    return taken;
  }
}

function fireAll<W>(watchers: Set<W> | null, type: EventType, path: string, fire: FireWatch<W>, acl: readonly Acl[]): void {
  if (watchers !== null) for (const watcher of watchers) fire(watcher, type, path, acl);
}

/** The modes that a WatcherType means, per table. */
function modesOf(watcherType: number): { data: number; child: number } {
  switch (watcherType) {
    case WatcherType.Children:
      return { data: 0, child: STANDARD };
    case WatcherType.Data:
      return { data: STANDARD, child: 0 };
    case WatcherType.Any:
      return { data: ALL_MODES, child: ALL_MODES };
    case WatcherType.Persistent:
      return { data: PERSISTENT, child: PERSISTENT };
    case WatcherType.PersistentRecursive:
      return { data: RECURSIVE, child: 0 };
    default:
      return { data: 0, child: 0 };
  }
}

const STANDARD = 1;
const PERSISTENT = 2;
const RECURSIVE = 4;
const ALL_MODES = STANDARD | PERSISTENT | RECURSIVE;
