/** The orchestrator in the virtual world: jobs run through faults, a seed is a run, and what a run found once stays found. */
import test from 'ava';
import { drawPlan } from '../../sim/plan/draw.ts';
import type { Plan } from '../../sim/plan/plan.ts';
import { runPlan } from '../../sim/run/run-plan.ts';

const plan = (scenario: string, seed: number): Plan => drawPlan(scenario, { seed: String(seed), servers: 3 });

for (const scenario of ['worker-loss', 'master-loss', 'kafka-outage', 'orchestrator']) {
  test.serial(`${scenario}: some seeds`, async (t) => {
    for (let seed = 1; seed <= 3; seed++) {
      const result = await runPlan(plan(scenario, seed));
      t.is(result.violation?.message ?? 'none', 'none', `seed ${seed}`);
      t.true(Object.keys(result.faults).length > 0);
    }
  });
}

test.serial('records come too late for their windows, and others that are as old find theirs open', async (t) => {
  const { violation, marks } = await runPlan(plan('late-records', 1));
  t.is(violation?.message ?? 'none', 'none');
  t.true((marks['late record dropped'] ?? 0) > 20 && (marks['late record counted'] ?? 0) > 5, `${marks['late record dropped']} dropped, ${marks['late record counted']} counted`);
});

test.serial('twice the same seed, twice the same trace; another job or a fault less, and it is another', async (t) => {
  const seed = plan('orchestrator', 5);
  const first = await runPlan(seed);
  t.is((await runPlan(seed)).traceHash, first.traceHash);
  t.not((await runPlan({ ...seed, faults: seed.faults.slice(1) })).traceHash, first.traceHash);
});

test.serial('each job of the simulation puts out what its model says when nothing goes wrong', async (t) => {
  for (const job of ['pass', 'windows', 'counts', 'files', 'at-least-once']) {
    const calm = plan('worker-loss', 2);
    const result = await runPlan({ ...calm, faults: [], untilMs: 4000, ...(calm.cluster === undefined ? {} : { cluster: { ...calm.cluster, job } }) });
    t.is(result.violation?.message ?? 'none', 'none', job);
    t.true(result.acked > 0, job);
  }
});
