/**
 * Which containers and TTL znodes have had their time: the leader deletes them (op deleteContainer, as session 0), about once a minute.
 * prep checks again, over outstanding changes, so a candidate that has changed meanwhile is left alone.
 *
 * Source: ContainerManager.
 */
import type { DataTree } from './data-tree.ts';

/** Containers that had a child and have none now; TTL znodes without children whose data is older than their TTL. At most `limit`. */
export function reapCandidates(tree: DataTree, wallMs: number, limit = 10_000): string[] {
  const candidates: string[] = [];
  for (const path of tree.reapable) {
    const node = tree.get(path);
    if (node === undefined || node.numChildren > 0) continue;
    const due = node.kind === 'container' ? node.creates !== 0 : node.mtime + node.ttlMs < wallMs;
    if (due && candidates.push(path) >= limit) break;
  }
  return candidates;
}
