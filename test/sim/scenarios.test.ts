import test from 'ava';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';
import { scenarios } from '../../sim/scenarios/scenarios.ts';
import { addMarks, MARKS, Marks } from '../../sim/world/marks.ts';

const run = (scenario: string, seed: string, servers: number) => runEnsemblePlan(drawPlan(scenario, { seed, servers }));
const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, n) => total + n, 0);

test('leader-loss holds on 3 and on 5 servers', (t) => {
  for (const servers of [3, 5]) {
    for (let seed = 1; seed <= 15; seed++) {
      const result = run('leader-loss', `ava-${seed}`, servers);
      t.is(result.violation?.message ?? 'none', 'none', `seed ava-${seed}, ${servers} servers`);
      t.true(result.acked > 50 && sum(result.faults) > 3 && result.elections >= 1, `seed ava-${seed} did something: ${JSON.stringify({ ...result, recent: [] })}`);
    }
  }
});

test('every scenario holds, and together they come by every place that is marked', (t) => {
  const total = new Marks().counts;
  for (const scenario of scenarios.keys()) {
    // Clusters run in test/real/fresh-seeds.test.ts.
    if (drawPlan(scenario, { seed: 'all-1', servers: 5 }).cluster !== undefined) continue;
    for (let seed = 1; seed <= 8; seed++) {
      const result = run(scenario, `all-${seed}`, 5);
      t.is(result.violation?.message ?? 'none', 'none', `${scenario}, seed all-${seed}`);
      addMarks(total, result.marks);
    }
  }
  t.deepEqual(MARKS.filter((mark) => total[mark] === 0), []);
});

test('the same seed gives the same trace, another one another', (t) => {
  const hashes = ['a', 'b', 'c'].map((seed) => [run('swarm', seed, 3).traceHash, run('swarm', seed, 3).traceHash]);
  for (const [first, second] of hashes) t.is(first, second);
  t.is(new Set(hashes.flat()).size, 3);
});
