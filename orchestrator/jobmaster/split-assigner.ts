/**
 * Which source subtask reads which split.
 *
 * Invariants: a split, once assigned, stays with its subtask for the life of the job (its position is in that subtask's checkpoints);
 *   splits never vanish.
 * Source: the enumerator's role in Flink's FLIP-27.
 */
import type { SourceSplit } from '../api/source.ts';
import type { AssignedSplit } from './records.ts';

/** The assignment with the new ones among `found` added, each to the subtask that has the fewest; the same array when there is no new one. */
export function assignSplits(assigned: readonly AssignedSplit[], found: readonly SourceSplit[], parallelism: number): readonly AssignedSplit[] {
  const known = new Set(assigned.map(({ split }) => split.id));
  const counts = Array.from({ length: parallelism }, () => 0);
  for (const { subtask } of assigned) counts[subtask] = (counts[subtask] ?? 0) + 1;
  const added: AssignedSplit[] = [];
  for (const split of found) {
    if (known.has(split.id)) continue;
    known.add(split.id);
    const subtask = counts.indexOf(Math.min(...counts));
    counts[subtask] = (counts[subtask] as number) + 1;
    added.push({ split, subtask });
  }
  return added.length === 0 ? assigned : [...assigned, ...added];
}
