/**
 * The sessions as they will be once everything outstanding is applied: created, closed, and the ephemerals they are about to have.
 * Part of prep-request.
 */
import type { Zxid } from '../base/zxid.ts';
import type { DataTree } from './data-tree.ts';

export class SessionChanges {
  readonly #tree: DataTree;
  readonly #changes = new Map<bigint, SessionChange>();
  /** In order of zxid; entries whose change has moved on are passed over. */
  #queue: { change: SessionChange; zxid: Zxid }[] = [];
  #head = 0;

  constructor(tree: DataTree) {
    this.#tree = tree;
  }

  has(sessionId: bigint): boolean {
    if (this.#changes.size > 0) {
      const change = this.#changes.get(sessionId);
      if (change !== undefined && change.exists !== null) return change.exists;
    }
    return this.#tree.sessions.has(sessionId);
  }

  created(sessionId: bigint, zxid: Zxid): void {
    this.#change(sessionId, zxid).exists = true;
  }

  closed(sessionId: bigint, zxid: Zxid): void {
    this.#change(sessionId, zxid).exists = false;
  }

  ephemeral(sessionId: bigint, path: string, zxid: Zxid): void {
    this.#change(sessionId, zxid).ephemerals.add(path);
  }

  /** Candidates, each once: some may have been deleted, or belong to another session meanwhile. */
  ephemeralPaths(sessionId: bigint): Set<string> {
    const paths = new Set(this.#tree.sessions.get(sessionId)?.ephemerals);
    for (const path of this.#changes.get(sessionId)?.ephemerals ?? []) paths.add(path);
    return paths;
  }

  committed(zxid: Zxid): void {
    while (this.#head < this.#queue.length) {
      const { change, zxid: changedAt } = this.#queue[this.#head] as { change: SessionChange; zxid: Zxid };
      if (changedAt > zxid) break;
      this.#head++;
      if (change.zxid <= zxid && this.#changes.get(change.sessionId) === change) this.#changes.delete(change.sessionId);
    }
    if (this.#head > 0 && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  reset(): void {
    this.#changes.clear();
    this.#queue = [];
    this.#head = 0;
  }

  #change(sessionId: bigint, zxid: Zxid): SessionChange {
    let change = this.#changes.get(sessionId);
    if (change === undefined) this.#changes.set(sessionId, (change = { sessionId, zxid: 0, exists: null, ephemerals: new Set() }));
    if (change.zxid !== zxid) {
      change.zxid = zxid;
      this.#queue.push({ change, zxid });
    }
    return change;
  }
}

interface SessionChange {
  readonly sessionId: bigint;
  /** The last txn that changed it. */
  zxid: Zxid;
  /** null: as the tree has it. */
  exists: boolean | null;
  /** Paths of outstanding ephemeral creates. */
  readonly ephemerals: Set<string>;
}
