/**
 * Histories of real runs, with one answer changed so that no order explains them any more: what a stale read, a lost update and a write that is
 * applied twice would have looked like.
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { ClientHistory, Recorded } from '../../sim/judges/client-history.ts';
import type { Outcome } from '../../sim/judges/znode-model.ts';

export type Tampering = 'stale read' | 'lost update' | 'double apply';
export const TAMPERINGS: readonly Tampering[] = ['stale read', 'lost update', 'double apply'];

interface Change {
  readonly index: number;
  readonly outcome: Outcome;
}

/** At one place of those where it can be done; null: there is none. */
export function tamper(history: ClientHistory, what: Tampering, prng: Prng): ClientHistory | null {
  const changes = CHANGES[what](history.recorded);
  if (changes.length === 0) return null;
  const { index, outcome } = prng.pick(changes);
  return history.withOutcome(index, outcome);
}

const CHANGES: Readonly<Record<Tampering, (recorded: readonly Recorded[]) => Change[]>> = {
  // A synced read shows a version although the write of the one behind it was answered before the sync began.
  'stale read': (recorded) => {
    const sets = setsOf(recorded);
    return recorded.flatMap(({ call, outcome }, index) => {
      if (call.kind !== 'sync-get' || outcome?.data === undefined) return [];
      const own = sets.get(call.path) ?? [];
      const old = own.findLast(({ value, version, until }) => value !== outcome.data && own.some((next) => next.version === version + 1 && next.from > until && next.until < call.invokedMs));
      return old === undefined ? [] : [{ index, outcome: { ...outcome, data: old.value, version: old.version } }];
    });
  },
  // Two writes, one after the other, are both told that they made the same version, and nobody can have deleted the znode meanwhile.
  'lost update': (recorded) => {
    const sets = setsOf(recorded);
    return recorded.flatMap(({ call, outcome, returnMs }, index) => {
      if (call.kind !== 'set' || outcome?.version === undefined) return [];
      const version = outcome.version - 1;
      const before = sets.get(call.path)?.findLast((each) => each.version === version && each.until < call.invokedMs);
      if (before === undefined || recorded.some((each) => mayDelete(each, call.path) && each.returnMs >= before.from && each.call.invokedMs <= returnMs)) return [];
      return [{ index, outcome: { ...outcome, version } }];
    });
  },
  // A value that was written once is seen with the version behind it.
  'double apply': (recorded) =>
    recorded.flatMap(({ call, outcome }, index) => {
      if ((call.kind !== 'get' && call.kind !== 'sync-get') || outcome?.version === undefined || outcome.data === undefined) return [];
      return [{ index, outcome: { ...outcome, version: outcome.version + 1 } }];
    }),
};

interface Written {
  readonly value: string;
  readonly version: number;
  readonly from: number;
  readonly until: number;
}

/** What was set, by path. */
function setsOf(recorded: readonly Recorded[]): Map<string, Written[]> {
  const sets = new Map<string, Written[]>();
  for (const { call, outcome, returnMs } of recorded) {
    if (call.kind !== 'set' || outcome?.version === undefined) continue;
    const set = { value: call.value, version: outcome.version, from: call.invokedMs, until: returnMs };
    const known = sets.get(call.path);
    if (known === undefined) sets.set(call.path, [set]);
    else known.push(set);
  }
  return sets;
}

function mayDelete({ call, outcome }: Recorded, path: string): boolean {
  if (outcome !== null && outcome.err !== 0) return false;
  return call.kind === 'delete' ? call.path === path : call.ops?.some((op) => op.kind === 'delete' && op.path === path) === true;
}
