import test from 'ava';
import { Prng } from '../../../coord/base/prng.ts';
import type { PlacementStrategy } from '../../../orchestrator/graph/job-graph.ts';
import { nextRestart } from '../../../orchestrator/jobmaster/restart-backoff.ts';
import { SlotPool } from '../../../orchestrator/jobmaster/slot-pool.ts';
import { assignSplits } from '../../../orchestrator/jobmaster/split-assigner.ts';

function pool(slots: Readonly<Record<string, number>>): SlotPool {
  const made = new SlotPool(new Prng(1));
  for (const [id, n] of Object.entries(slots)) {
    made.add(id, `${id}:1`, n);
    (made.get(id) as { registered: boolean }).registered = true;
  }
  return made;
}
const keys = (n: number): string[] => Array.from({ length: n }, (_, i) => `j/${i}`);

const table: [PlacementStrategy, Record<string, number>, number, string][] = [
  ['round-robin', { a: 4, b: 4, c: 4 }, 5, 'a b c a b'],
  ['round-robin', { a: 1, b: 4, c: 4 }, 5, 'a b c b c'],
  ['least-loaded', { a: 2, b: 4 }, 6, 'a b b a b b'],
  ['least-loaded', { a: 1, b: 1, c: 8 }, 4, 'a b c c'],
];
for (const [strategy, slots, n, expected] of table) {
  test(`${strategy} over ${JSON.stringify(slots)}`, (t) => {
    t.is(pool(slots).allocate(strategy, keys(n))?.join(' '), expected);
  });
}

test('no strategy gives more slots than there are, or some of them', (t) => {
  for (const strategy of ['round-robin', 'random', 'least-loaded', 'consistent-hash'] as const) {
    const three = pool({ a: 1, b: 2 });
    t.is(three.allocate(strategy, keys(4)), null);
    t.deepEqual(three.all().map(({ used }) => used), [0, 0]);
    t.deepEqual(three.allocate(strategy, keys(3))?.sort(), ['a', 'b', 'b']);
    t.is(three.allocate(strategy, keys(1)), null);
  }
});

test('random spreads over all', (t) => {
  t.is(new Set(pool({ a: 100, b: 100, c: 100 }).allocate('random', keys(60))).size, 3);
});

test('consistent-hash: a worker that joins takes only some slots, from anybody; the others stay where they were', (t) => {
  const before = pool({ a: 1000, b: 1000, c: 1000 }).allocate('consistent-hash', keys(300)) ?? [];
  const after = pool({ a: 1000, b: 1000, c: 1000, d: 1000 }).allocate('consistent-hash', keys(300)) ?? [];
  const moved = after.filter((id, i) => id !== before[i]);
  t.true(moved.every((id) => id === 'd'));
  t.true(moved.length > 30 && moved.length < 150, String(moved.length));
});

test('a worker that has not said what it runs gives no slot', (t) => {
  const made = pool({ a: 1 });
  made.add('b', 'b:1', 5);
  t.is(made.allocate('round-robin', keys(2)), null);
});

test('splits go to the subtask with the fewest and stay there', (t) => {
  const found = (ids: string): { id: string; spec: null }[] => ids.split(' ').map((id) => ({ id, spec: null }));
  const first = assignSplits([], found('a b c'), 2);
  t.is(first.map(({ split, subtask }) => `${split.id}${subtask}`).join(' '), 'a0 b1 c0');
  t.is(assignSplits(first, found('a b c'), 2), first);
  t.is(assignSplits(first, found('x a b c y'), 2).map(({ split, subtask }) => `${split.id}${subtask}`).join(' '), 'a0 b1 c0 x1 y0');
});

test('exponential delay grows to its maximum and begins anew after a quiet time', (t) => {
  const strategy = { type: 'exponential-delay', initialMs: 100, maxMs: 500, multiplier: 2, resetAfterMs: 1000 } as const;
  let backoff = { restarts: 0, backoffMs: 0 };
  const delays = [0, 0, 0, 0, 0, 1000].map((quietMs) => {
    const next = nextRestart(strategy, backoff, quietMs);
    backoff = next ?? backoff;
    return next?.delayMs;
  });
  t.deepEqual(delays, [100, 200, 400, 500, 500, 100]);
  t.is(backoff.restarts, 6);
});
