/** What a scenario is to the registry (scenarios.ts): a name, a line for people, and how a seed of it is drawn. */
import type { Prng } from '../../coord/base/prng.ts';
import type { DrawOptions } from '../plan/draft.ts';
import type { Plan } from '../plan/plan.ts';
import type { Mark } from '../world/marks.ts';

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** 'historic': the story of one bug; 'profile': a random part of a class of faults. */
  readonly kind: 'scenario' | 'profile' | 'historic';
  draw(prng: Prng, options: DrawOptions): Plan;
  /** A run that does not come by these has not told its story. */
  readonly mustHit?: readonly Mark[];
}
