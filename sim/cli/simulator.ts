/** The simulator that the commands run. With a mutant it is loaded after that (load-simulator.ts), so nothing else may import it. */
import { drawPlan } from '../plan/draw.ts';
import { relevantEntries } from '../judges/relevant.ts';
import { runPlan } from '../run/run-plan.ts';
import type { RunResult } from '../run/result.ts';
import type { TraceEntry } from '../world/trace.ts';
import type { Simulator } from './seed-report.ts';

const KEPT = 20;

export const simulator: Simulator = { draw: drawPlan, run: runPlan, relevant };

/** Where a violation does not say whom it is about, and where too little of it is left in the trace, the newest entries. */
function relevant({ recent, violation }: RunResult): readonly TraceEntry[] {
  const about = violation === null ? [] : relevantEntries(recent, violation, KEPT);
  return about.length >= KEPT / 4 ? about : recent.slice(-KEPT);
}
