/** A run that throws has a result like any other. */
import type { Plan } from '../plan/plan.ts';
import type { RunOptions, RunResult } from '../run/result.ts';
import { Marks } from '../world/marks.ts';
import { Violation } from '../world/world.ts';
import type { Simulator } from './seed-report.ts';

export async function runToResult(simulator: Pick<Simulator, 'run'>, plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  try {
    return await simulator.run(plan, options);
  } catch (error) {
    return crashResult(error);
  }
}

export function crashResult(error: unknown): RunResult {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const violation = new Violation(name, message);
  if (stack !== undefined) violation.stack = stack;
  return { kind: 'crash', violation, traceHash: '', virtualMs: 0, events: 0, faults: {}, acked: 0, elections: 0, expired: 0, longestElectionMs: 0, marks: new Marks().counts, recent: [] };
}
