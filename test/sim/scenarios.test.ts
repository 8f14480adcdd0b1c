import test from 'ava';
import { drawPlan } from '../../sim/plan/draw.ts';
import type { RunResult } from '../../sim/run/result.ts';
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

// Clusters run in test/real/fresh-seeds.test.ts. What only a story comes by is in historic.test.ts.
const ENSEMBLE_SCENARIOS = [...scenarios.keys()].filter((scenario) => drawPlan(scenario, { seed: 'all-1', servers: 5 }).cluster === undefined);
const SEEDS = Array.from({ length: 8 }, (_, i) => `all-${i + 1}`);

const known = new Map<string, readonly Pick<RunResult, 'violation' | 'marks'>[]>();
function resultsOf(scenario: string): readonly Pick<RunResult, 'violation' | 'marks'>[] {
  const results = known.get(scenario) ?? SEEDS.map((seed) => run(scenario, seed, 5)).map(({ violation, marks }) => ({ violation, marks }));
  known.set(scenario, results);
  return results;
}

for (const scenario of ENSEMBLE_SCENARIOS) {
  test.serial(`${scenario} holds`, (t) => {
    for (const [i, { violation }] of resultsOf(scenario).entries()) t.is(violation?.message ?? 'none', 'none', `${scenario}, seed ${SEEDS[i]}`);
  });
}

test.serial('together they come by every place that an ensemble can come by', (t) => {
  t.deepEqual(COMMON_MARKS.filter((mark) => !ENSEMBLE_SCENARIOS.some((scenario) => resultsOf(scenario).some(({ marks }) => marks[mark] > 0))), []);
});

test.serial('the same seed gives the same trace, another one another', (t) => {
  const hashes = ['a', 'b', 'c'].map((seed) => [run('swarm', seed, 3).traceHash, run('swarm', seed, 3).traceHash]);
  for (const [first, second] of hashes) t.is(first, second);
  t.is(new Set(hashes.flat()).size, 3);
});
