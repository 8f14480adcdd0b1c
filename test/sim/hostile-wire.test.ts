/** Whoever is no client is disconnected, and a server that does not is noticed. */
import test from 'ava';
import { ClientNetwork } from '../../sim/doubles/client-network.ts';
import { Network } from '../../sim/doubles/network.ts';
import { Judge } from '../../sim/judges/judge.ts';
import { quietPlan } from '../../sim/plan/draft.ts';
import type { Plan } from '../../sim/plan/plan.ts';
import { HostileWire } from '../../sim/workloads/hostile-wire.ts';
import { SimServer } from '../../sim/world/sim-server.ts';
import { World } from '../../sim/world/world.ts';

/** What the judge says of servers to whom somebody talks nonsense for a while. */
function verdict(happen: (servers: readonly SimServer[]) => void, forMs = 60_000): { invariant: string | undefined; attacks: number } {
  const plan = quietPlan('leader-loss', { seed: 'hostile', servers: 3 }, 0);
  const world = new World('hostile');
  const judge = new Judge(world);
  const network = new Network(world, { latencyMs: 0.2, jitterMs: 0.2 });
  const servers = [1, 2, 3].map((sid, i) => new SimServer(world, network, judge, { sid, voters: [1, 2, 3], knobs: plan.knobs, own: plan.serverKnobs[i] as Plan['serverKnobs'][number] }));
  for (const server of servers) server.start();
  world.run(2000);
  happen(servers);
  new HostileWire(world, new ClientNetwork(world), servers, judge).start();
  world.run(forMs, () => judge.violation !== null);
  return { invariant: judge.violation?.invariant, attacks: world.marks.counts['malformed frame'] };
}

test('HostileWire: whoever waits for the end of half a frame longer than a handshake may take', (t) => {
  const well = verdict(() => {});
  t.is(well.invariant, undefined);
  t.true(well.attacks > 30, `${well.attacks} attacks`);
  // Timers that never ring.
  const patient = verdict((servers) => {
    for (const { process } of servers) process.after = () => ({ cancel: () => {} });
  });
  t.is(patient.invariant, 'HostileWire');
  // On a clock that runs at half the rate it is not time yet.
  t.is(verdict((servers) => {
    for (const server of servers) server.process.setRate(0.5);
  }).invariant, undefined);
  // Who came while it was paused is given the time for a handshake when it goes on.
  t.is(verdict((servers) => {
    for (const { process } of servers) {
      const nap = (): void => {
        process.schedule(27_000, nap);
        process.pause(15_000);
      };
      nap();
    }
  }, 300_000).invariant, undefined);
  // Who is paused cannot disconnect anybody.
  t.is(verdict((servers) => {
    for (const server of servers) server.process.pause(100_000);
  }).invariant, undefined);
});
