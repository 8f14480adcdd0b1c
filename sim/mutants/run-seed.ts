/** One seed of a scenario, for whoever only wants to know how it ended. */
import { drawPlan } from '../plan/draw.ts';
import type { Outcome } from '../run/result.ts';
import { runPlan } from '../run/run-plan.ts';

export interface Ended {
  readonly kind: Outcome;
  /** null: nothing is wrong. */
  readonly invariant: string | null;
  readonly message: string;
  readonly virtualMs: number;
}

/** The mutant is loaded already: its name is for the plan. */
export async function runSeed(scenario: string, servers: number, seed: string, mutant?: string): Promise<Ended> {
  const { kind, violation, virtualMs } = await runPlan(drawPlan(scenario, { seed, servers, ...(mutant === undefined ? {} : { mutant }) }));
  return { kind, invariant: violation?.invariant ?? null, message: violation?.message ?? '', virtualMs };
}
