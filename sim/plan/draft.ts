/** The part of a plan that every scenario begins with: what the ensemble, its servers and its clients are like. Faults are drawn in faults.ts. */
import type { Prng } from '../../coord/base/prng.ts';
import { drawKnobs, drawServerKnobs, type Knobs } from '../world/knobs.ts';
import type { ClientPlan, Plan } from './plan.ts';

export interface DrawOptions {
  readonly seed: string;
  readonly servers: number;
  readonly mutant?: string;
}

/** What the clients are like, apart from what each seed draws. */
export interface Load {
  readonly clients: number;
  readonly burst: number;
  readonly thinkMs: number;
}
export const STEADY: Load = { clients: 4, burst: 4, thinkMs: 60 };

/** Virtual ms of faults, unless the scenario says otherwise. */
export const FAULT_PHASE_MS = 8000;

export function draft(scenario: string, prng: Prng, options: DrawOptions, load: Load = STEADY): Plan {
  const knobs = drawKnobs(prng.fork('knobs'));
  const { seed, servers, mutant } = options;
  return {
    version: 1, scenario, seed, servers, ...(mutant === undefined ? {} : { mutant }),
    knobs,
    serverKnobs: Array.from({ length: servers }, (_, i) => drawServerKnobs(prng.fork(`knobs/server-${i + 1}`))),
    clocks: Array.from({ length: servers }, () => ({ rate: 1, wallOffMs: 0 })),
    clients: drawClients(prng.fork('manners'), load),
    ops: [],
    faults: [],
    untilMs: FAULT_PHASE_MS,
    calm: [],
    skip: [],
  };
}

/** Clients of one seed have the same manners; in some seeds a part of them is the client that ships. */
function drawClients(prng: Prng, { clients, burst, thinkMs }: Load): ClientPlan[] {
  const manners = { move: prng.pick([0, 0.03, 0.15]), stall: prng.pick([0, 0.01, 0.03]), misbehave: prng.pick([0, 0.02]), timeoutMs: prng.pick([1000, 2000, 4000]) };
  const kinds = prng.fork('kinds');
  const library = kinds.pick([0, 0, 0.3]);
  return Array.from({ length: clients }, (_, i) => ({ id: i + 1, kind: kinds.chance(library) ? 'library' : 'raw', draws: true, ...manners, burst, thinkMs }));
}

/** A plan for scenarios that tell a story: settings that nothing follows from, and clients that do only what they are told. */
export function quietPlan(scenario: string, options: DrawOptions, clients: number, knobs: Partial<Knobs> = {}): Plan {
  const { seed, servers, mutant } = options;
  return {
    version: 1, scenario, seed, servers, ...(mutant === undefined ? {} : { mutant }),
    knobs: {
      segmentBytes: 64 << 10, keepBytes: 64 << 20, recentBytesMax: 64 << 10, learnerWindowBytes: 4 << 20, detectMs: 500, heartbeatMs: 100, electionGraceMs: 10, progressMs: 120,
      epochTxnsMax: EPOCH_TXNS_MAX, znodesBefore: 0, jitterMs: 0.2, writeMs: [0.1, 1], ...knobs,
    },
    serverKnobs: Array.from({ length: servers }, () => ({ flushEntriesMax: 1000, flushIntervalMs: 500 })),
    clocks: Array.from({ length: servers }, () => ({ rate: 1, wallOffMs: 0 })),
    clients: Array.from({ length: clients }, (_, i) => ({ id: i + 1, kind: 'raw', draws: false, move: 0, stall: 0, misbehave: 0, timeoutMs: 4000, burst: 1, thinkMs: 20 })),
    ops: [], faults: [], untilMs: FAULT_PHASE_MS, calm: [], skip: [],
  };
}

/** The production value: no epoch ends by its count. */
export const EPOCH_TXNS_MAX = 0xffff_ffff - (1 << 20);
