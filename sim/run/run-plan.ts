/** Runs a plan, whatever it is of. */
import { DreyError } from '../../coord/base/errors.ts';
import { loaded } from '../mutants/loaded.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunOptions, RunResult } from './result.ts';
import { runEnsemblePlan } from './run-ensemble.ts';

/** Rejects for a plan that is of a mutant, if this process has not loaded that one. */
export async function runPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  if (plan.mutant !== undefined && plan.mutant !== loaded.mutant) throw new DreyError('SIM_MUTANT_NOT_LOADED', `the plan is of the mutant ${plan.mutant}, which has to be loaded before the simulator is`);
  if (plan.cluster === undefined) return runEnsemblePlan(plan, options);
  // The orchestrator's half of the product is loaded only when it takes part.
  const { runClusterPlan } = await import('../cluster/run-cluster.ts');
  return runClusterPlan(plan, options);
}
