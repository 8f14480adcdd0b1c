/** One seed of a scenario, for whoever only wants to know how it ended. */
import { join } from 'node:path';
import { readPlanFile } from '../cli/failure-file.ts';
import { drawPlan } from '../plan/draw.ts';
import type { Plan } from '../plan/plan.ts';
import type { Outcome } from '../run/result.ts';
import { runPlan } from '../run/run-plan.ts';

export interface Ended {
  readonly kind: Outcome;
  /** null: nothing is wrong. */
  readonly invariant: string | null;
  readonly message: string;
  readonly virtualMs: number;
}

/** The mutant is loaded already: its name is for the plan. A scenario may also be the file of a plan, from the root of the source: seed 1 is the plan as it stands. */
export async function runSeed(scenario: string, servers: number, seed: string, mutant?: string): Promise<Ended> {
  const plan = scenario.endsWith('.json') ? planOf(scenario, seed) : drawPlan(scenario, { seed, servers });
  const { kind, violation, virtualMs } = await runPlan(mutant === undefined ? plan : { ...plan, mutant });
  return { kind, invariant: violation?.invariant ?? null, message: violation?.message ?? '', virtualMs };
}

function planOf(file: string, seed: string): Plan {
  const { plan } = readPlanFile(join(import.meta.dirname, '../..', file));
  return seed === '1' ? plan : { ...plan, seed: `${plan.seed}/${seed}` };
}
