/**
 * Profiles: each seed draws a random part of a class of faults, then how often they come. Half of the faults without a moment of their own wait
 * for an election or a synchronization to begin; between two bouts of faults it is quiet for a while, so that state grows.
 */
import type { Prng } from '../../coord/base/prng.ts';
import { draft, type DrawOptions, type Load } from '../plan/draft.ts';
import { drawFaults, RECIPES, shuffled, type Rate, type RecipeName } from '../plan/faults.ts';
import type { FaultPlan, Plan } from '../plan/plan.ts';
import { drawUnmannered } from '../workloads/client-profile.ts';
import type { Scenario } from './scenario.ts';

const CRASHES: readonly RecipeName[] = ['crash-leader', 'crash-any', 'crash-in-boot', 'crash-in-sync', 'crash-in-snap', 'crash-at-point', 'crash-at-write', 'crash-new-leader', 'kill', 'kill-at-point', 'restart', 'reconfigure'];
const NETWORK: readonly RecipeName[] = ['cut-leader', 'split', 'bridge', 'ring', 'cut-pair', 'cut-at-point', 'clog', 'swizzle-clog', 'slow-server', 'bandwidth', 'break', 'drop'];
const PAUSES: readonly RecipeName[] = ['pause', 'pause-at-point'];

interface Shape {
  readonly bouts: number;
  readonly boutMs: number;
  readonly quietMs: number;
  readonly rate: Rate;
}

function drawShape(prng: Prng, boutsMax: number): Shape {
  const slow = prng.pick([1, 1, 2]);
  return {
    bouts: prng.between(1, boutsMax), boutMs: prng.pick([4000, 6000, 8000]), quietMs: prng.pick([1000, 2000, 4000]),
    rate: { soonMs: 400, apartMs: [300 * slow, 1500 * slow], onElection: 0.5 },
  };
}

/** Two kinds at least, or all of them. */
function part<T>(items: readonly T[], prng: Prng): readonly T[] {
  return shuffled(items, prng).slice(0, prng.between(Math.min(2, items.length), items.length));
}

function faultsOf(prng: Prng, mix: readonly RecipeName[], servers: number, { bouts, boutMs, quietMs, rate }: Shape): { faults: FaultPlan[]; untilMs: number } {
  const faults: FaultPlan[] = [];
  for (let bout = 0; bout < bouts; bout++) {
    const fromMs = bout * (boutMs + quietMs);
    faults.push(...drawFaults(prng.fork(`bout-${bout}`), mix, servers, fromMs, fromMs + boutMs, rate, faults.length));
  }
  return { faults, untilMs: bouts * (boutMs + quietMs) };
}

/** What one seed has less of, operations or time between them, the next one has. */
function drawLoad(prng: Prng): Load {
  return { clients: prng.between(3, 6), burst: prng.pick([2, 4, 4, 20]), thinkMs: prng.pick([20, 60, 200]) };
}

type Draw = (plan: Plan, prng: Prng, options: DrawOptions) => Plan;

interface Profile {
  readonly summary: string;
  readonly pool: readonly RecipeName[];
  readonly boutsMax: number;
  /** In the mix whatever else is drawn. */
  readonly always?: readonly RecipeName[];
  readonly load?: Load;
  readonly servers?: number;
  readonly change?: Draw;
}

function profile(name: string, { summary, pool, boutsMax, always = [], load, servers, change = (plan) => plan }: Profile): Scenario {
  return {
    name, summary, kind: 'profile',
    draw: (prng, given) => {
      const options = { ...given, servers: servers ?? given.servers };
      const base = draft(name, prng, options, load ?? drawLoad(prng.fork('load')));
      const mix = [...always, ...part(pool, prng.fork('mix'))];
      const drawn = { ...base, ...faultsOf(prng.fork('faults'), mix, options.servers, drawShape(prng.fork('shape'), boutsMax)) };
      return change(drawn, prng.fork('profile'), options);
    },
  };
}

export const profiles: readonly Scenario[] = [
  profile('swarm', { summary: 'everything: a random part of all kinds of faults; disks are damaged one at a time', pool: RECIPES, boutsMax: 2 }),
  profile('lite', { summary: 'three servers that crash, and nothing else', pool: CRASHES, boutsMax: 1, servers: 3 }),
  profile('liveness', { summary: 'as swarm; then a quorum is healed, everything else stays broken, and the quorum must serve', pool: RECIPES, boutsMax: 1, change: withCore }),
  profile('quorum', { summary: 'partitions of every shape, slow and clogged links, crashes and stalls; disks are well', pool: [...NETWORK, ...PAUSES, 'crash-leader', 'crash-any', 'crash-at-point', 'crash-new-leader', 'kill'], always: ['cut-leader'], boutsMax: 2 }),
  profile('powerfail', {
    summary: 'a quorum or all servers lose power, and what was not synced, at the worst moments', pool: ['power-failure', 'power-failures', ...CRASHES, 'slow-disk', 'stall-disk'], always: ['power-failure', 'power-failures', 'power-failures'], boutsMax: 1,
    change: (plan, prng) => ({ ...plan, knobs: { ...plan.knobs, writeMs: prng.pick([[0.1, 1], [1, 8], [2, 30], [5, 60]] as const), segmentBytes: prng.pick([8 << 10, 8 << 10, 64 << 10]) } }),
  }),
  profile('bitrot', { summary: 'disks that rot, write to the wrong place and go back to what they were, wherever the journal can know of it, on any number of servers: safety only', pool: ['disk-error', 'disk-full', 'crash-any', 'kill', 'crash-in-sync', 'restart', 'power-failure'], always: ['rot', 'rot', 'misdirect', 'misdirect', 'roll-back'], boutsMax: 1, change: (plan) => ({ ...plan, diskBudget: false }) }),
  profile('clock', {
    summary: 'clocks that run at half or twice the rate, jump and strobe, with stalls and the loss of leaders', pool: ['clock-jump', 'clock-rate', 'clock-strobe', 'pause', 'crash-leader', 'cut-leader', 'slow-server', 'cut-pair'], always: ['clock-rate', 'clock-strobe'], boutsMax: 2,
    change: (plan, prng) => ({ ...plan, clocks: plan.clocks.map(() => ({ rate: prng.pick([0.5, 0.9, 1, 1, 1.1, 2]), wallOffMs: prng.pick([0, 0, -250_000, 250_000, 86_400_000]) })) }),
  }),
  profile('client', {
    summary: 'an ensemble that is well, and clients that stall, move, share sessions, come back as others and do not read', pool: ['restart', 'pause', 'slow-server', 'bandwidth', 'break'], boutsMax: 1, load: { clients: 8, burst: 8, thinkMs: 60 },
    change: (plan, prng) => ({ ...plan, faults: plan.faults.slice(0, prng.below(4)), clients: plan.clients.map((client) => drawUnmannered(client, prng)) }),
  }),
  profile('kitchen-sink', {
    summary: 'everything at once, for longer: for nightly runs', pool: RECIPES, always: RECIPES, boutsMax: 4, load: { clients: 8, burst: 10, thinkMs: 60 },
    change: (plan, prng) => ({ ...plan, clients: plan.clients.map((client) => drawUnmannered(client, prng)) }),
  }),
];

/** A quorum, no larger than it has to be. */
function withCore(plan: Plan, prng: Prng): Plan {
  const all = Array.from({ length: plan.servers }, (_, i) => i + 1);
  return { ...plan, core: shuffled(all, prng).slice(0, Math.floor(plan.servers / 2) + 1).sort((a, b) => a - b) };
}
