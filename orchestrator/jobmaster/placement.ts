/**
 * Where slots go.
 *
 * Decides: which task manager gives the next slot, by the job's strategy.
 * Invariants: never one without a free slot; the same pool, strategy and draw give the same choice.
 * Leaves to others: who counts what is free (SlotPool), when slots are asked for (the job).
 */
import { assertNever } from '../../coord/base/assert.ts';
import type { Prng } from '../../coord/base/prng.ts';
import { hashString } from '../../coord/base/prng.ts';
import type { PlacementStrategy } from '../graph/job-graph.ts';

export interface Candidate {
  readonly taskManagerId: string;
  readonly slots: number;
  readonly free: number;
}

/** Of the last choice by round-robin, so that the next one goes on behind it. */
export interface PlacementCursor {
  last: string;
}

const RING_POINTS = 40;

/** `candidates`: sorted by id, each with free > 0, not empty. `slotKey` names the slot, for consistent-hash. */
export function chooseTaskManager(strategy: PlacementStrategy, candidates: readonly Candidate[], slotKey: string, cursor: PlacementCursor, prng: Prng): string {
  switch (strategy) {
    case 'round-robin': {
      const next = candidates.find(({ taskManagerId }) => taskManagerId > cursor.last) ?? (candidates[0] as Candidate);
      cursor.last = next.taskManagerId;
      return next.taskManagerId;
    }
    case 'random':
      return prng.pick(candidates).taskManagerId;
    case 'least-loaded':
      return candidates.reduce((best, each) => (load(each) < load(best) ? each : best)).taskManagerId;
    case 'consistent-hash':
      return onRing(candidates, slotKey);
    default:
      return assertNever(strategy);
  }
}

function load({ slots, free }: Candidate): number {
  return (slots - free) / slots;
}

/** The first point at or behind the key's, going round; so a task manager that joins or leaves moves only the slots next to its points. */
function onRing(candidates: readonly Candidate[], slotKey: string): string {
  const at = spread(slotKey);
  let best = '';
  let bestDistance = Infinity;
  for (const { taskManagerId } of candidates) {
    for (let i = 0; i < RING_POINTS; i++) {
      const distance = (spread(`${taskManagerId}#${i}`) - at + 2 ** 32) % 2 ** 32;
      if (distance < bestDistance) {
        bestDistance = distance;
        best = taskManagerId;
      }
    }
  }
  return best;
}

/** FNV-1a alone leaves similar strings close to each other. */
function spread(text: string): number {
  let h = hashString(text);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
