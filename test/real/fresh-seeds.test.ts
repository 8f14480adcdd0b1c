/**
 * A fixed set of seeds of every scenario, and then seeds that nobody has run before until time is up: over two child processes, within two minutes.
 * What was fresh is printed, and can be run again: DREY_FRESH=NAME, or the replay line of a failure.
 */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { DEFAULT_DIR, writeFailure } from '../../sim/cli/failure-file.ts';
import { inChildren } from '../../sim/cli/lanes.ts';
import { runSeeds } from '../../sim/cli/run-seeds.ts';
import { failureText } from '../../sim/cli/summary.ts';
import type { SeedTask } from '../../sim/cli/seed-report.ts';
import { scenarios } from '../../sim/scenarios/scenarios.ts';

/** Of scenarios and profiles; of a historic one, the first. */
const FIXED_SEEDS = 2;
const SECONDS = 95;
/** Histories that the checker gives up on are no failures of the product; when there are many, nothing is checked. */
const MAX_UNDECIDED = 3;
/** For nightly runs. */
const LONG = ['kitchen-sink'];

const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout?.trim() || 'none';
const fresh = process.env['DREY_FRESH'] ?? `${commit}-${Math.floor(Date.now() / 1000).toString(36)}`;

test('fixed seeds of every scenario, and fresh ones', async (t) => {
  t.timeout(300_000);
  const startedMs = performance.now();
  const all = [...scenarios.values()].filter(({ name }) => !LONG.includes(name));
  const task = (scenario: string, seed: string): SeedTask => ({ scenario, servers: scenario === 'lite' ? 3 : 5, seed, twice: seed === '1' && scenarios.get(scenario)?.kind !== 'historic' });
  const fixed = all.flatMap(({ name, kind }) => Array.from({ length: kind === 'historic' ? 1 : FIXED_SEEDS }, (_, i) => task(name, String(i + 1))));
  const counts = { fixed: 0, fresh: 0 };
  const freshBy: Record<string, number> = {};
  let roundIsOver = false;
  function* tasks(): Generator<SeedTask> {
    yield* fixed;
    for (let n = 1; ; n++) {
      // Each of the others once a round, and one of the historic ones in turn, so that fresh seeds are spread over all.
      const historic = all.filter(({ kind }) => kind === 'historic');
      for (const { name } of all.filter(({ kind }) => kind !== 'historic')) yield task(name, `${fresh}-${n}`);
      for (let i = 0; i < 5; i++) yield task(historic[(n * 5 + i) % historic.length]?.name ?? 'swarm', `${fresh}-${n}`);
      roundIsOver = true;
    }
  }
  const lanes = inChildren(2);
  const failures: string[] = [];
  const undecided: string[] = [];
  try {
    await runSeeds(tasks(), lanes, { soon: () => roundIsOver && performance.now() - startedMs > SECONDS * 1000, now: new AbortController().signal }, (report) => {
      const { scenario, seed } = report.task;
      if (seed.startsWith(fresh)) {
        counts.fresh++;
        freshBy[scenario] = (freshBy[scenario] ?? 0) + 1;
      } else counts.fixed++;
      if (report.failure !== null) (report.failure.kind === 'gave-up' ? undecided : failures).push(failureText(report, report.failure, { path: writeFailure(DEFAULT_DIR, report) }));
      return true;
    });
  } finally {
    lanes.close();
  }
  t.log(`fresh seeds ${fresh}-1 and on: ${Object.entries(freshBy).map(([name, n]) => `${name} ${n}`).join(', ')}`);
  t.log(`${counts.fixed} fixed seeds and ${counts.fresh} fresh ones; again: DREY_FRESH=${fresh} npm test -- test/real/fresh-seeds.test.ts, or one: npx drey sim swarm --servers 5 --seed ${fresh}-1`);
  for (const failure of [...undecided, ...failures]) t.log(failure);
  t.is(counts.fixed, fixed.length);
  t.true(undecided.length <= MAX_UNDECIDED, `${undecided.length} seeds could not be decided by the linearizability checker`);
  t.is(failures.length, 0, `${failures.length} seeds fail: ${failures.map((text) => text.split('\n').find((line) => line.includes('sim replay') || line.includes('--seed'))?.trim()).join('; ')}`);
});
