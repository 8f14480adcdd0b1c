/** Runs a plan and keeps what a page of it shows. */
import type { Plan } from '../plan/plan.ts';
import { Recording } from '../record/recording.ts';
import type { Recorded } from '../record/recorded.ts';
import type { RunResult } from '../run/result.ts';
import { runToResult } from './crash-result.ts';
import type { Simulator } from './seed-report.ts';

/** `untilMs`: nothing later is kept. */
export async function recordRun(simulator: Pick<Simulator, 'run'>, plan: Plan, untilMs: number): Promise<{ readonly recorded: Recorded; readonly result: RunResult }> {
  const recorder = new Recording({ untilMs });
  const result = await runToResult(simulator, plan, { recorder, ...(Number.isFinite(untilMs) ? { stopAtMs: untilMs } : {}) });
  return { recorded: recorder.recorded(), result };
}
