/** Each historic bug has a story by its name; the product lives through it, and the story is really told. */
import test from 'ava';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runPlan } from '../../sim/run/run-plan.ts';
import { historicScenarios } from '../../sim/scenarios/historic/historic.ts';
import type { Mark } from '../../sim/world/marks.ts';

/** Seeds that found something. */
const found: Readonly<Record<string, readonly string[]>> = { 'ZK-2201': ['3'] };
const SEEDS = ['1', '2', '3'];
/** Until the story has been told once. */
const SEEDS_MAX = 12;

test('each has a name of its own and a line for people', (t) => {
  t.is(new Set(historicScenarios.map(({ name }) => name)).size, historicScenarios.length);
  for (const { name, summary, mustHit } of historicScenarios) t.true(summary.length > 20 && !summary.includes('\n') && (mustHit ?? []).length > 0, name);
});

for (const { name, mustHit = [] } of historicScenarios) {
  // One after the other: a cluster looks at what promises of its process let fall.
  test.serial(name, async (t) => {
    const missing = new Set<Mark>(mustHit);
    const run = async (seed: string): Promise<void> => {
      const { kind, violation, marks } = await runPlan(drawPlan(name, { seed, servers: 3 }));
      t.is(kind === 'ok' ? 'ok' : `${kind}: ${violation?.invariant}: ${violation?.message}`, 'ok', `seed ${seed}`);
      for (const mark of mustHit) if (marks[mark] > 0) missing.delete(mark);
    };
    for (const seed of new Set([...SEEDS, ...(found[name] ?? [])])) await run(seed);
    for (let seed = SEEDS.length + 1; seed <= SEEDS_MAX && missing.size > 0; seed++) await run(String(seed));
    t.deepEqual([...missing], []);
  });
}
