/**
 * Keyed state of one operator in one subtask: values by namespace (a window's start; 0 for what has no window) and key, in memory, one
 * small map per key group and namespace.
 *
 * Invariants: holds only keys of its own range of key groups; a snapshot is encoded before it returns, so that later updates, in place or
 * not, cannot reach it; what `takeNamespace` gives comes in an order that a restored state gives again (group, then first insertion).
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Key } from '../api/operators.ts';
import { decode, encode } from '../rpc/value-codec.ts';
import type { KeyGroupRange } from './key-groups.ts';
import { keyGroupOf } from './key-groups.ts';

export class KeyedState<V> {
  readonly range: KeyGroupRange;
  readonly #maxParallelism: number;
  /** By key group - range.first. */
  readonly #groups: Map<number, Map<Key, V>>[];
  /** Namespaces with values, ascending where they were added so; few. */
  readonly #namespaces = new Set<number>();

  constructor(range: KeyGroupRange, maxParallelism: number) {
    this.range = range;
    this.#maxParallelism = maxParallelism;
    this.#groups = Array.from({ length: range.last - range.first + 1 }, () => new Map());
  }

  get namespaces(): ReadonlySet<number> {
    return this.#namespaces;
  }

  /** The map in which the key's value of this namespace is, or goes to. */
  values(namespace: number, key: Key): Map<Key, V> {
    const keyGroup = keyGroupOf(key, this.#maxParallelism);
    const group = this.#groups[keyGroup - this.range.first];
    if (group === undefined) throw new DreyError('BAD_KEY', `key ${String(key)} does not belong to this subtask: keyBy gave another key for the same record elsewhere; it must depend on the record alone`);
    let values = group.get(namespace);
    if (values === undefined) {
      values = new Map();
      group.set(namespace, values);
      this.#namespaces.add(namespace);
    }
    return values;
  }

  /** Removes a namespace and calls `visit` with what was in it. */
  takeNamespace(namespace: number, visit: (key: Key, value: V) => void): void {
    this.#namespaces.delete(namespace);
    for (const group of this.#groups) {
      const values = group.get(namespace);
      if (values === undefined) continue;
      group.delete(namespace);
      for (const [key, value] of values) visit(key, value);
    }
  }

  /** Bytes by key group, without the empty groups. */
  snapshot(): Map<number, Uint8Array> {
    const snapshot = new Map<number, Uint8Array>();
    for (const [i, group] of this.#groups.entries()) if (group.size > 0) snapshot.set(this.range.first + i, encode(group));
    return snapshot;
  }

  /** Takes over the groups that are in range; the others belong to other subtasks. */
  restore(snapshot: ReadonlyMap<number, Uint8Array>): void {
    for (const [keyGroup, bytes] of snapshot) {
      if (keyGroup < this.range.first || keyGroup > this.range.last) continue;
      const group = decode(bytes) as Map<number, Map<Key, V>>;
      this.#groups[keyGroup - this.range.first] = group;
      for (const namespace of group.keys()) this.#namespaces.add(namespace);
    }
  }
}
