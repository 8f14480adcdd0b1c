/** A seed becomes a plan: all that is decided about a run before it begins. Running it is run/run-plan.ts. */
import { DreyError } from '../../coord/base/errors.ts';
import { Prng } from '../../coord/base/prng.ts';
import { scenarios } from '../scenarios/scenarios.ts';
import type { DrawOptions } from './draft.ts';
import type { Plan } from './plan.ts';

export function drawPlan(name: string, options: DrawOptions): Plan {
  const scenario = scenarios.get(name);
  if (scenario === undefined) throw new DreyError('SIM_UNKNOWN_SCENARIO', `there is no scenario "${name}"; drey sim list shows them`);
  return scenario.draw(new Prng(`${name}/${options.servers}/${options.seed}`), options);
}
