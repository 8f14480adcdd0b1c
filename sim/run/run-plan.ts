/** Runs a plan, whatever it is of. */
import type { Plan } from '../plan/plan.ts';
import type { RunOptions, RunResult } from './result.ts';
import { runEnsemblePlan } from './run-ensemble.ts';

export async function runPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  if (plan.cluster === undefined) return runEnsemblePlan(plan, options);
  // The orchestrator's half of the product is loaded only when it takes part.
  const { runClusterPlan } = await import('../cluster/run-cluster.ts');
  return runClusterPlan(plan, options);
}
