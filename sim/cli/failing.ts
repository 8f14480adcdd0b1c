/** The failing run that a file holds, run again: what shrink, why and open begin with. */
import { DreyError } from '../../coord/base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunResult } from '../run/result.ts';
import { runToResult } from './crash-result.ts';
import { commandsFor, readPlanFile } from './failure-file.ts';
import { failureOf, isSameFailure, type Failure, type Simulator } from './seed-report.ts';

export interface Failing {
  readonly plan: Plan;
  readonly result: RunResult;
  readonly failure: Failure;
  /** Set when it fails, but not as the file says. */
  readonly insteadOf: string | null;
}

export async function failing(simulator: Simulator, path: string): Promise<Failing> {
  const { plan, failure: expected } = readPlanFile(path);
  // One that reached for the real world is stopped before that makes a difference: it can be looked into like any other.
  if (expected?.invariant === 'Determinism') throw new DreyError('SIM_PASSES', `${path} is of a run that could not be repeated: ${commandsFor(path, { invariant: expected.invariant, plan })['doctor'] ?? ''} shows where it diverges`);
  const result = await runToResult(simulator, plan);
  if (result.kind === 'ok') throw new DreyError('SIM_PASSES', `${path} does not fail${expected === null ? '' : ` any more: ${expected.invariant} holds`}; there is nothing to look into`);
  return { plan, result, failure: failureOf(simulator, plan, result), insteadOf: expected !== null && !isSameFailure(result, expected) ? expected.invariant : null };
}
