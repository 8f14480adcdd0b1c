/** A child of `drey sim open`: runs one plan without the mutant that its parent has loaded, and sends the recording; null if the run fails by then. */
import type { Plan } from '../plan/plan.ts';
import { recordRun } from './record-run.ts';
import { simulator } from './simulator.ts';

process.once('message', ({ plan, untilMs }: { plan: Plan; untilMs: number }) => {
  void recordRun(simulator, plan, untilMs).then(({ recorded, passes }) => process.send?.(passes ? recorded : null, () => process.disconnect()));
});
