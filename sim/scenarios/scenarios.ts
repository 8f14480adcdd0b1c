/** The scenarios by name: each is a mix of faults over the same run. */
import { FAULTS, shuffled, type Fault } from '../faults/nemesis.ts';
import { runEnsemble, STEADY, type FaultMix, type Load, type RunOptions, type RunResult } from './ensemble-run.ts';

interface Scenario {
  readonly summary: string;
  readonly mix: FaultMix;
  readonly load?: Load;
}

const table: Readonly<Record<string, Scenario>> = {
  'leader-loss': {
    summary: 'the leader crashes, is cut off or stalls; in a share of the seeds a quorum or all servers lose power, or disks fail',
    mix: (prng) => {
      const mix: Fault[] = ['crash-leader', 'crash-leader', 'crash-leader', 'cut-leader', 'cut-leader', 'crash-any', 'kill', 'crash-in-sync', 'crash-in-snap'];
      if (prng.chance(0.4)) mix.push('power-failure', 'power-failure', 'power-failure');
      if (prng.chance(0.5)) mix.push(...shuffled(FAULTS, prng).slice(0, 3));
      return mix;
    },
  },
  'power-failure': { summary: 'a quorum or all servers lose power, again and again, also while they start and synchronize', mix: () => ['power-failure', 'power-failure', 'crash-in-boot', 'crash-in-sync', 'crash-in-snap', 'kill'] },
  'rolling-restart': { summary: 'servers are stopped and started one after the other', mix: () => ['restart'] },
  'split-brain': { summary: 'partitions of every shape, one-way ones too, and stalled processes', mix: () => ['cut-leader', 'split', 'ring', 'cut-pair', 'cut-pair', 'pause', 'slow-server'] },
  'bad-disks': { summary: 'disks that fail, fill up, slow down and rot', mix: () => ['disk-error', 'disk-full', 'slow-disk', 'rot', 'rot', 'crash-leader'] },
  flood: {
    summary: 'as swarm, with more clients that send many requests at once',
    mix: (prng) => shuffled(FAULTS, prng).slice(0, prng.between(2, FAULTS.length)),
    load: { clients: 6, burst: 40, thinkMs: 200 },
  },
  swarm: { summary: 'a random part of all kinds of faults', mix: (prng) => shuffled(FAULTS, prng).slice(0, prng.between(2, FAULTS.length)) },
};

export const scenarioNames: readonly string[] = Object.keys(table);

export function summaryOf(name: string): string {
  return table[name]?.summary ?? '';
}

export function runScenario(name: string, options: RunOptions): RunResult {
  const scenario = table[name];
  if (scenario === undefined) throw new RangeError(`no scenario ${name}`);
  return runEnsemble(name, options, scenario.mix, scenario.load ?? STEADY);
}
