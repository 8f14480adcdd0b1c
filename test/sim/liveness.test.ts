/** What an ensemble owes while faults strike: a quorum that is well and does not serve is noticed, and one of which something is wrong is not. */
import test from 'ava';
import { Network } from '../../sim/doubles/network.ts';
import { Arena } from '../../sim/faults/arena.ts';
import { Judge } from '../../sim/judges/judge.ts';
import { quietPlan } from '../../sim/plan/draft.ts';
import type { Plan } from '../../sim/plan/plan.ts';
import { boundMs, ProgressWatch } from '../../sim/run/liveness.ts';
import { SimServer } from '../../sim/world/sim-server.ts';
import { World, type Violation } from '../../sim/world/world.ts';

interface Ensemble {
  readonly world: World;
  readonly network: Network;
  readonly arena: Arena;
  readonly servers: readonly SimServer[];
}
const BOUND_MS = boundMs(quietPlan('leader-loss', { seed: 'progress', servers: 3 }, 0));

/** Three servers for somewhat longer than they may take to serve. */
function violation(happen: (ensemble: Ensemble) => void, untilMs = 3 * BOUND_MS): Violation | null {
  const plan: Plan = { ...quietPlan('leader-loss', { seed: 'progress', servers: 3 }, 0), untilMs };
  const world = new World('progress');
  const judge = new Judge(world);
  const network = new Network(world, { latencyMs: 0.2, jitterMs: 0.2 });
  const servers = [1, 2, 3].map((sid, i) => new SimServer(world, network, judge, { sid, voters: [1, 2, 3], knobs: plan.knobs, own: plan.serverKnobs[i] as Plan['serverKnobs'][number] }));
  const arena = new Arena(world, network, servers, { budget: true, untilMs });
  for (const server of servers) server.start();
  happen({ world, network, arena, servers });
  const progress = new ProgressWatch(world, arena, judge, plan, []);
  world.run(2 * BOUND_MS, () => judge.violation !== null);
  progress.stop();
  return judge.violation;
}
const pairsOf = ({ servers }: Ensemble): (readonly [SimServer, SimServer])[] => servers.flatMap((from) => servers.filter((to) => to !== from).map((to) => [from, to] as const));

test('servers that are well serve', (t) => {
  t.is(violation(() => {}), null);
});

test('nothing that anybody knows of is wrong, and nobody hears the other: no progress', (t) => {
  const found = violation((ensemble) => {
    for (const [from, to] of pairsOf(ensemble)) ensemble.network.cut(from.sid, to.sid);
  });
  t.is(found?.invariant, 'Liveness');
  t.regex(found?.message ?? '', /have been well for .* and do not all serve: server 1 LOOKING/);
  // In a run in which no quorum can be well for long enough nobody looks.
  t.is(violation(({ network, servers }) => {
    for (const from of servers) for (const to of servers) if (from !== to) network.cut(from.sid, to.sid);
  }, BOUND_MS), null);
});

test('a fault is why nobody serves: nobody owes progress', (t) => {
  t.is(violation((ensemble) => ensemble.arena.cut(pairsOf(ensemble), 3 * BOUND_MS)), null);
  t.is(violation(({ servers }) => {
    for (const server of servers.slice(1)) server.process.pause(3 * BOUND_MS);
  }), null);
});

test('one server is cut off, and the two others, who are well, cannot hear each other: no progress', (t) => {
  const found = violation(({ network, arena, servers }) => {
    const [alone, ...others] = servers as [SimServer, SimServer, SimServer];
    arena.cut(others.flatMap((other) => [[alone, other], [other, alone]] as const), 3 * BOUND_MS);
    network.cut(2, 3);
    network.cut(3, 2);
  });
  t.is(found?.invariant, 'Liveness');
  t.regex(found?.message ?? '', /^servers 2, 3 have been well/);
});
