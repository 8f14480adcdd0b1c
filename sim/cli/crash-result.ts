/** A run that throws has a result like any other. */
import type { Plan } from '../plan/plan.ts';
import type { RunOptions, RunResult } from '../run/result.ts';
import { thrown } from '../run/thrown.ts';
import { Marks } from '../world/marks.ts';
import type { Simulator } from './seed-report.ts';

export async function runToResult(simulator: Pick<Simulator, 'run'>, plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  try {
    return await simulator.run(plan, options);
  } catch (error) {
    return crashResult(error);
  }
}

export function crashResult(error: unknown): RunResult {
  return { ...thrown(error), traceHash: '', virtualMs: 0, events: 0, faults: {}, acked: 0, elections: 0, expired: 0, longestElectionMs: 0, marks: new Marks().counts, recent: [] };
}
