/** The ensemble below a simulated cluster: the servers of sim/world over their network, with the omniscient judge of an ensemble above them. */
import { Network } from '../doubles/network.ts';
import { Arena } from '../faults/arena.ts';
import { Judge, JUDGED_MESSAGES } from '../judges/judge.ts';
import type { Plan } from '../plan/plan.ts';
import { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';

const LATENCY_MS = 0.2;

export interface Ensemble {
  readonly judge: Judge;
  readonly network: Network;
  readonly servers: readonly SimServer[];
  readonly arena: Arena;
}

export function makeEnsemble(world: World, plan: Plan): Ensemble {
  const { knobs } = plan;
  const judge = new Judge(world);
  const network = new Network(world, { latencyMs: LATENCY_MS, jitterMs: knobs.jitterMs });
  network.onSend = (from, to, message) => judge.onSend(from, to, message);
  network.sendTypes = JUDGED_MESSAGES;
  const voters = Array.from({ length: plan.servers }, (_, i) => i + 1);
  const servers = voters.map((sid, i) => {
    const own = plan.serverKnobs[i];
    if (own === undefined) throw new RangeError(`the plan has ${plan.servers} servers, and knobs for ${plan.serverKnobs.length}`);
    const server = new SimServer(world, network, judge, { sid, voters, knobs, own });
    const clock = plan.clocks[i];
    if (clock !== undefined && clock.rate !== 1) server.process.setRate(clock.rate);
    if (clock !== undefined) server.process.wallOffMs = clock.wallOffMs;
    world.recorder?.lane(server.process.name, 'server');
    return server;
  });
  return { judge, network, servers, arena: new Arena(world, network, servers, { budget: true, untilMs: plan.untilMs }) };
}
