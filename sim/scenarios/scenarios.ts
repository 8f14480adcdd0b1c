/** The scenarios by name: those here are mixes of faults over the same kind of run. */
import type { Prng } from '../../coord/base/prng.ts';
import { draft, FAULT_PHASE_MS, STEADY, type Load } from '../plan/draft.ts';
import { drawFaults, RECIPES, shuffled, type RecipeName } from '../plan/faults.ts';
import { clusterScenarios } from '../cluster/scenarios.ts';
import { profiles } from './profiles.ts';
import { historicScenarios } from './historic/historic.ts';
import type { Scenario } from './scenario.ts';

/** A list with repetitions, of which one is picked at a time. */
type Mix = (prng: Prng) => readonly RecipeName[];

function mixed(name: string, summary: string, mix: Mix, load: Load = STEADY): Scenario {
  return {
    name, summary, kind: 'scenario',
    draw: (prng, options) => ({ ...draft(name, prng, options, load), faults: drawFaults(prng.fork('faults'), mix(prng.fork('mix')), options.servers, 0, FAULT_PHASE_MS) }),
  };
}

/** Any number of them, from two up. */
const some: Mix = (prng) => shuffled(RECIPES, prng).slice(0, prng.between(2, RECIPES.length));

const all: readonly Scenario[] = [
  mixed('leader-loss', 'the leader crashes, is cut off or stalls; in a share of the seeds a quorum or all servers lose power, or disks fail', (prng) => {
    const mix: RecipeName[] = ['crash-leader', 'crash-leader', 'crash-leader', 'cut-leader', 'cut-leader', 'crash-any', 'kill', 'crash-in-sync', 'crash-in-snap', 'crash-new-leader'];
    if (prng.chance(0.4)) mix.push('power-failure', 'power-failure', 'power-failure');
    if (prng.chance(0.5)) mix.push(...shuffled(RECIPES, prng).slice(0, 3));
    return mix;
  }),
  mixed('power-failure', 'a quorum or all servers lose power, again and again, also while they start and synchronize', () => ['power-failure', 'power-failures', 'crash-in-boot', 'crash-in-sync', 'crash-in-snap', 'kill']),
  mixed('rolling-restart', 'servers are stopped and started one after the other, in part with other settings', () => ['restart', 'reconfigure']),
  mixed('split-brain', 'partitions of every shape, one-way ones too, and stalled processes', () => ['cut-leader', 'split', 'ring', 'bridge', 'cut-pair', 'cut-pair', 'pause', 'slow-server', 'clog']),
  mixed('bad-disks', 'disks that fail, fill up, slow down, rot, write to the wrong place and go back to what they were', () => ['disk-error', 'disk-full', 'slow-disk', 'stall-disk', 'rot', 'rot', 'misdirect', 'roll-back', 'crash-leader']),
  mixed('flood', 'as swarm, with more clients that send many requests at once', some, { clients: 6, burst: 40, thinkMs: 200 }),
];

export const scenarios: ReadonlyMap<string, Scenario> = new Map([...all, ...profiles, ...clusterScenarios, ...historicScenarios].map((scenario) => [scenario.name, scenario]));
