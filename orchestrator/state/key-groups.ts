/**
 * Key groups: the unit in which keyed state moves when parallelism changes.
 *
 * Decides: the key group of a key, and which subtask owns a group.
 * Invariants: the group depends on the key and maxParallelism alone, on every host and in every release (it is in checkpoints); each group
 *   has one owner; a subtask's groups are one contiguous range.
 * Source: Flink's KeyGroupRangeAssignment.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Key } from '../api/operators.ts';

/** First and last group, both inclusive. */
export interface KeyGroupRange {
  readonly first: number;
  readonly last: number;
}

export function keyGroupOf(key: Key, maxParallelism: number): number {
  return mix(hashKey(key)) % maxParallelism;
}

export function keyGroupRange(subtask: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  return { first: Math.ceil((subtask * maxParallelism) / parallelism), last: Math.ceil(((subtask + 1) * maxParallelism) / parallelism) - 1 };
}

export function ownerOfKeyGroup(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism);
}

/** What a keyBy function returned, checked. Throws DreyError BAD_KEY, which no restart would mend. */
export function checkKey(key: unknown): Key {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint') return key;
  throw new DreyError('BAD_KEY', `keyBy must return a string, number, boolean or bigint, not ${key === null ? 'null' : typeof key}; join several fields into one string`);
}

function hashKey(key: Key): number {
  if (typeof key === 'number') return Number.isInteger(key) && Math.abs(key) < 2 ** 31 ? key | 0 : hashText(`n${key}`);
  if (typeof key === 'string') return hashText(key);
  return hashText(typeof key === 'bigint' ? `i${key}` : `b${key}`);
}

/** FNV-1a over UTF-16 code units. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The finalizer of MurmurHash3, unsigned. */
function mix(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
