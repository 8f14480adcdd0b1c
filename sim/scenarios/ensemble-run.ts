/**
 * One run of an ensemble: servers with hostile knobs, clients, faults for some seconds of virtual time; then everything heals, and within a
 * bound of virtual time a leader must serve, writes must be answered, and all servers must be equal. Which faults is the scenario's choice.
 */
import type { Prng } from '../../coord/base/prng.ts';
import { Network } from '../doubles/network.ts';
import { Nemesis, type Fault } from '../faults/nemesis.ts';
import { Judge } from '../judges/judge.ts';
import { Clients, type Stage } from '../workloads/clients.ts';
import type { ClientPlan } from '../plan/plan.ts';
import { earlierLife, writeEarlierLife } from '../world/earlier-life.ts';
import { drawKnobs, drawServerKnobs } from '../world/knobs.ts';
import { MARKS, type Mark } from '../world/marks.ts';
import { SimServer } from '../world/sim-server.ts';
import { World, type TraceEntry, type Violation } from '../world/world.ts';

export interface RunOptions {
  readonly seed: string;
  readonly servers: number;
  readonly mutant: string | null;
  readonly onTrace: ((entry: TraceEntry) => void) | null;
}

export interface RunResult {
  readonly seed: string;
  readonly violation: Violation | null;
  readonly kind: 'ok' | 'safety' | 'liveness' | 'crash';
  readonly traceHash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly faults: number;
  readonly acked: number;
  readonly elections: number;
  readonly expired: number;
  /** Longest time from a fault that took the leader to the next leader that serves, virtual ms. */
  readonly longestElectionMs: number;
  readonly marks: Readonly<Record<Mark, number>>;
  readonly recent: readonly TraceEntry[];
}

/** Draws what a seed suffers from: a list with repetitions, of which one is picked at a time. */
export type FaultMix = (prng: Prng) => readonly Fault[];

/** What the clients are like, apart from what each seed draws. */
export interface Load {
  readonly clients: number;
  readonly burst: number;
  readonly thinkMs: number;
}
export const STEADY: Load = { clients: 4, burst: 4, thinkMs: 60 };
const FAULT_PHASE_MS = 8000;
/** A new leader must serve this long after the heal: detection, elections, discovery with grown time-outs, synchronization. */
const LIVENESS_BOUND_MS = 15_000;

export function runEnsemble(name: string, options: RunOptions, mix: FaultMix, load: Load): RunResult {
  const world = new World(`${name}/${options.servers}/${options.seed}`);
  world.onTrace = options.onTrace;
  const prng = world.prng.fork('faults');
  const knobPrng = world.prng.fork('knobs');
  const knobs = drawKnobs(knobPrng);
  world.trace('knobs', 'knobs', { ...knobs });
  const judge = new Judge(world);
  const network = new Network(world, { latencyMs: 0.2, jitterMs: knobs.jitterMs });
  network.onSend = (from, to, message) => judge.onSend(from, to, message);
  const voters = Array.from({ length: options.servers }, (_, i) => i + 1);
  const servers = voters.map((sid) => new SimServer(world, network, judge, { sid, voters, mutant: options.mutant, knobs, own: drawServerKnobs(knobPrng) }));
  const manners = {
    move: knobPrng.pick([0, 0.03, 0.15]), stall: knobPrng.pick([0, 0.01, 0.03]), misbehave: knobPrng.pick([0, 0.02]), timeoutMs: knobPrng.pick([1000, 2000, 4000]),
    burst: load.burst, thinkMs: load.thinkMs,
  };
  const plans = Array.from({ length: load.clients }, (_, i): ClientPlan => ({ id: i + 1, kind: 'raw', draws: true, ...manners }));
  const stage: Stage = { when: () => {}, happened: () => {}, server: () => null };
  const clients = new Clients(world, { clients: plans, ops: [], skip: [] }, servers, judge, stage);
  for (const server of servers) server.onDeath = () => clients.serverDied(server);
  const nemesis = new Nemesis(world, network, servers, prng, FAULT_PHASE_MS);
  let lostAtMs = -1;
  let longestElectionMs = 0;
  nemesis.onLeaderLost = () => {
    if (lostAtMs < 0) lostAtMs = world.nowMs;
  };
  const broken = (): boolean => judge.violation !== null;
  const result = (kind: RunResult['kind']): RunResult => {
    for (const server of servers) {
      world.marks.hit('segment made', server.files.counts.creates);
      world.marks.hit('segment purged', server.files.counts.removes);
    }
    return {
      seed: options.seed, violation: judge.violation, kind, traceHash: world.traceHash, virtualMs: world.nowMs, events: world.events, faults: nemesis.count,
      acked: judge.counts.acked, elections: judge.counts.elections, expired: judge.counts.expired, longestElectionMs, marks: world.marks.counts, recent: world.recent,
    };
  };

  // Earlier life.
  if (knobs.znodesBefore > 0) {
    const life = earlierLife(knobs.znodesBefore);
    judge.begin(life);
    for (const server of servers) {
      writeEarlierLife(life, server.files, server.kvs, knobs.segmentBytes, (error) => {
        if (error !== null) throw error;
      });
    }
    world.run(EARLIER_LIFE_MS);
  }

  const watch = (): void => {
    if (lostAtMs >= 0 && servers.some((server) => server.leading && !server.process.paused)) {
      longestElectionMs = Math.max(longestElectionMs, world.nowMs - lostAtMs);
      lostAtMs = -1;
    }
    world.schedule(5, watch);
  };
  const faults = mix(prng);
  const fault = (): void => {
    if (world.nowMs > FAULT_PHASE_MS) return;
    nemesis.inflict(prng.pick(faults));
    // Half of the faults come soon after the last: into elections and synchronizations.
    world.schedule(prng.chance(0.5) ? prng.float() * 400 : 500 + prng.float() * 1500, fault);
  };

  for (const server of servers) world.schedule(prng.float() * 50, () => server.start());
  clients.start();
  watch();
  world.schedule(300 + prng.float() * 700, fault);
  world.run(FAULT_PHASE_MS, broken);
  if (broken()) return result('safety');

  nemesis.heal();
  const healedAtMs = world.nowMs;
  const ackedBefore = judge.counts.acked;
  world.run(healedAtMs + LIVENESS_BOUND_MS, () => broken() || (servers.every((server) => server.serving) && judge.counts.acked > ackedBefore + 20));
  if (broken()) return result('safety');
  if (!servers.every((server) => server.serving) || judge.counts.acked <= ackedBefore) {
    judge.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed: ${servers.map((server) => `server ${server.sid} ${server.quorumPeer?.server?.peer.state ?? 'is down'}, serving ${server.quorumPeer?.server?.serving ?? 'no'}`).join('; ')}; ${judge.counts.acked - ackedBefore} writes acked since`);
    return result('liveness');
  }
  clients.stop();
  const end = (): boolean => broken() || (clients.idle && servers.every((server) => server.quorumPeer?.server?.tree.lastProcessedZxid === judge.committedZxid));
  world.run(world.nowMs + 5000, end);
  if (!broken()) judge.converged(servers);
  if (broken()) return result(judge.violation?.invariant === 'Liveness' ? 'liveness' : 'safety');
  return result('ok');
}

const EARLIER_LIFE_MS = 400;

export function addMarks(total: Record<Mark, number>, marks: Readonly<Record<Mark, number>>): void {
  for (const mark of MARKS) total[mark] += marks[mark];
}
