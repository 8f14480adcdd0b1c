/** Runs a plan in which the orchestrator takes part. */
import type { Plan } from '../plan/plan.ts';
import type { RunOptions, RunResult } from '../run/result.ts';

export async function runClusterPlan(plan: Plan, _options: RunOptions): Promise<RunResult> {
  throw new RangeError(`plan ${plan.scenario} has an orchestrator, which cannot be run yet`);
}
