/**
 * leader-loss: under client load, the leader crashes or is cut off at random moments; in a share of the seeds a quorum, or all servers, lose
 * power at once. Then everything heals, and within a bound of virtual time a leader must serve and all servers must be equal.
 */
import { Network } from '../doubles/network.ts';
import { Judge } from '../judges/judge.ts';
import { SimClient } from '../workloads/sim-client.ts';
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
  readonly recent: readonly TraceEntry[];
}

const CLIENTS = 4;
const FAULT_PHASE_MS = 8000;
/** A new leader must serve this long after the heal: detection, elections, discovery with grown time-outs, synchronization. */
const LIVENESS_BOUND_MS = 15_000;

export function leaderLoss(options: RunOptions): RunResult {
  const world = new World(`leader-loss/${options.servers}/${options.seed}`);
  world.onTrace = options.onTrace;
  const prng = world.prng.fork('faults');
  const judge = new Judge(world);
  const network = new Network(world, world.prng.fork('network'), { latencyMs: 0.2, jitterMs: prng.pick([0.2, 1, 5]) });
  network.onSend = (from, _to, frame) => judge.onSend(from, frame);
  const voters = Array.from({ length: options.servers }, (_, i) => i + 1);
  const servers = voters.map((sid) => new SimServer(world, network, judge, { sid, voters, mutant: options.mutant }));
  const clients = Array.from({ length: CLIENTS }, (_, i) => new SimClient(world, i + 1, servers, judge));
  for (const server of servers) server.onDeath = () => clients.forEach((client) => client.serverDied(server));
  let faults = 0;
  let lostAtMs = -1;
  let longestElectionMs = 0;
  const broken = (): boolean => judge.violation !== null;
  const result = (kind: RunResult['kind']): RunResult => ({
    seed: options.seed, violation: judge.violation, kind, traceHash: world.traceHash, virtualMs: world.nowMs, events: world.events, faults,
    acked: judge.counts.acked, elections: judge.counts.elections, expired: judge.counts.expired, longestElectionMs, recent: world.recent,
  });

  const watch = (): void => {
    if (lostAtMs >= 0 && servers.some((server) => server.leading)) {
      longestElectionMs = Math.max(longestElectionMs, world.nowMs - lostAtMs);
      lostAtMs = -1;
    }
    world.schedule(5, watch);
  };
  const lost = (): void => {
    if (lostAtMs < 0) lostAtMs = world.nowMs;
  };

  const powerFailures = prng.chance(0.4);
  const fault = (): void => {
    if (world.nowMs > FAULT_PHASE_MS) return;
    faults++;
    const leader = servers.find((server) => server.leading);
    const draw = prng.float();
    if (powerFailures && draw < 0.35) {
      // A quorum, or everyone, loses power at one instant.
      const victims = prng.chance(0.5) ? servers : shuffled(servers, () => prng.float()).slice(0, Math.floor(servers.length / 2) + 1);
      world.trace('nemesis', `power failure of ${victims.map((server) => server.sid).join(',')}`);
      lost();
      for (const server of victims) server.crash();
      for (const server of victims) world.schedule(20 + prng.float() * 500, () => server.start());
    } else if (leader !== undefined && draw < 0.8) {
      world.trace('nemesis', `crash of leader ${leader.sid}`);
      lost();
      leader.crash();
      world.schedule(20 + prng.float() * 1500, () => leader.start());
    } else if (leader !== undefined) {
      const oneWay = prng.chance(0.3);
      world.trace('nemesis', `cut off leader ${leader.sid}${oneWay ? ' one way' : ''}`);
      lost();
      for (const other of servers) {
        if (other === leader) continue;
        network.cut(leader.sid, other.sid);
        if (!oneWay) network.cut(other.sid, leader.sid);
      }
      world.schedule(100 + prng.float() * 2500, () => heal(leader));
    } else {
      const victim = prng.pick(servers);
      world.trace('nemesis', `crash of ${victim.sid}`);
      victim.crash();
      world.schedule(20 + prng.float() * 800, () => victim.start());
    }
    // Half of the faults come soon after the last: into elections and synchronizations.
    world.schedule(prng.chance(0.5) ? prng.float() * 400 : 500 + prng.float() * 1500, fault);
  };
  const heal = (leader: SimServer): void => {
    for (const other of servers) {
      network.heal(leader.sid, other.sid);
      network.heal(other.sid, leader.sid);
    }
  };

  for (const server of servers) world.schedule(prng.float() * 50, () => server.start());
  for (const client of clients) client.start();
  watch();
  world.schedule(300 + prng.float() * 700, fault);
  world.run(FAULT_PHASE_MS, broken);
  if (broken()) return result('safety');

  // Everything heals; the ensemble must come back, answer, and become equal.
  world.trace('nemesis', 'heal');
  for (const server of servers) {
    heal(server);
    server.start();
  }
  const healedAtMs = world.nowMs;
  const ackedBefore = judge.counts.acked;
  world.run(healedAtMs + LIVENESS_BOUND_MS, () => broken() || (servers.every((server) => server.serving) && judge.counts.acked > ackedBefore + 20));
  if (broken()) return result('safety');
  if (!servers.every((server) => server.serving) || judge.counts.acked <= ackedBefore) {
    judge.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed: ${servers.map((server) => `server ${server.sid} ${server.quorumPeer?.server?.peer.state ?? 'is down'}, serving ${server.quorumPeer?.server?.serving ?? 'no'}`).join('; ')}; ${judge.counts.acked - ackedBefore} writes acked since`);
    return result('liveness');
  }
  for (const client of clients) client.stop();
  const end = (): boolean => broken() || (clients.every((client) => client.idle) && servers.every((server) => server.quorumPeer?.server?.tree.lastProcessedZxid === judge.committedZxid));
  world.run(world.nowMs + 5000, end);
  if (!broken()) judge.converged(servers);
  if (broken()) return result(judge.violation?.invariant === 'Liveness' ? 'liveness' : 'safety');
  return result('ok');
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
