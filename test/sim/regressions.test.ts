/** Runs that found something, as plans: they must hold. A plan means the same after unrelated changes; each has a test of the product beside it, where one could be written. */
import test from 'ava';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readPlanFile } from '../../sim/cli/failure-file.ts';
import { runPlan } from '../../sim/run/run-plan.ts';

const dir = join(import.meta.dirname, 'regressions');

for (const name of readdirSync(dir).sort()) {
  test.serial(name.replaceAll('-', ' ').replace('.json', ''), async (t) => {
    // What a mutant was found by must hold of the product as it is.
    const { mutant: _mutant, ...plan } = readPlanFile(join(dir, name)).plan;
    const result = await runPlan(plan);
    t.is(result.violation?.message ?? 'none', 'none');
  });
}
