/** Runs a plan and keeps what a page of it shows. */
import type { Plan } from '../plan/plan.ts';
import { Recording } from '../record/recording.ts';
import type { Recorded } from '../record/recorded.ts';
import { runToResult } from './crash-result.ts';
import type { Simulator } from './seed-report.ts';

/** `untilMs`: nothing later is kept, and nothing that is broken later counts. */
export async function recordRun(simulator: Pick<Simulator, 'run'>, plan: Plan, untilMs: number): Promise<{ readonly recorded: Recorded; readonly passes: boolean }> {
  const recorder = new Recording({ untilMs });
  const result = await runToResult(simulator, plan, { recorder, ...(Number.isFinite(untilMs) ? { stopAtMs: untilMs } : {}) });
  const recorded = recorder.recorded();
  return result.virtualMs > untilMs ? { recorded: { ...recorded, violation: null }, passes: true } : { recorded, passes: result.kind === 'ok' };
}
