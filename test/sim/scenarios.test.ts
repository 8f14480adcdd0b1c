import test from 'ava';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';
import { scenarios } from '../../sim/scenarios/scenarios.ts';
import { COMMON_MARKS } from '../../sim/world/marks.ts';

const run = (scenario: string, seed: string, servers: number) => runEnsemblePlan(drawPlan(scenario, { seed, servers }));
const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, n) => total + n, 0);

// Serial, and in small parts: each reports when it is done, and ava takes a long silence for a test that hangs.
for (const servers of [3, 5]) {
  test.serial(`leader-loss holds on ${servers} servers`, (t) => {
    for (let seed = 1; seed <= 15; seed++) {
      const result = run('leader-loss', `ava-${seed}`, servers);
      t.is(result.violation?.message ?? 'none', 'none', `seed ava-${seed}, ${servers} servers`);
      t.true(result.acked > 50 && sum(result.faults) > 3 && result.elections >= 1, `seed ava-${seed} did something: ${JSON.stringify({ ...result, recent: [] })}`);
    }
  });
}

const seen = new Set<string>();
const ENSEMBLE_SCENARIOS = [...scenarios.keys()].filter((scenario) => drawPlan(scenario, { seed: 'all-1', servers: 5 }).cluster === undefined);

// Clusters run in test/real/fresh-seeds.test.ts. What only a story comes by is in historic.test.ts.
for (const scenario of ENSEMBLE_SCENARIOS) {
  test.serial(`${scenario} holds`, (t) => {
    for (let seed = 1; seed <= 8; seed++) {
      const result = run(scenario, `all-${seed}`, 5);
      t.is(result.violation?.message ?? 'none', 'none', `${scenario}, seed all-${seed}`);
      for (const mark of COMMON_MARKS) if (result.marks[mark] > 0) seen.add(mark);
    }
  });
}

test.serial('together they come by every place that an ensemble can come by', (t) => {
  t.deepEqual(COMMON_MARKS.filter((mark) => !seen.has(mark)), []);
});

test.serial('the same seed gives the same trace, another one another', (t) => {
  const hashes = ['a', 'b', 'c'].map((seed) => [run('swarm', seed, 3).traceHash, run('swarm', seed, 3).traceHash]);
  for (const [first, second] of hashes) t.is(first, second);
  t.is(new Set(hashes.flat()).size, 3);
});
