import test from 'ava';
import fc from 'fast-check';
import { Prng } from '../../coord/base/prng.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import type { ClusterPlan, Plan } from '../../sim/plan/plan.ts';
import type { RunResult } from '../../sim/run/result.ts';
import { ddmin } from '../../sim/shrink/ddmin.ts';
import { choicesOfServers, rangesOf, sentBy, withClients, withFaults, withoutFault, withServers, withSkipped } from '../../sim/shrink/parts.ts';
import { shrinkPlan, type Shrunk } from '../../sim/shrink/shrink-plan.ts';
import { checkPlan } from '../../sim/cli/check-plan.ts';
import { fakePlan, fakeResult, fault } from '../lib/fake-simulator.ts';

const failure = { kind: 'safety', invariant: 'Agreement' };

async function shrink(plan: Plan, fails: (plan: Plan) => boolean, expired: () => boolean = () => false): Promise<Shrunk> {
  return shrinkPlan(plan, { run: async (each) => fakeResult(each, fails(each) ? 'Agreement' : null), result: fakeResult(plan, 'Agreement'), failure, expired });
}

test('ddmin finds exactly what is needed', async (t) => {
  await fc.assert(fc.asyncProperty(fc.uniqueArray(fc.nat({ max: 59 }), { maxLength: 6 }), fc.integer({ min: 1, max: 60 }), async (wanted, size) => {
    const needed = wanted.filter((n) => n < size);
    let runs = 0;
    const items = Array.from({ length: size }, (_, i) => i);
    const kept = await ddmin(items, async (some) => {
      runs++;
      return needed.every((n) => some.includes(n));
    });
    t.deepEqual(kept, needed.toSorted((a, b) => a - b));
    t.true(runs <= 10 + 20 * needed.length, `${runs} runs for ${needed.length} of ${size}`);
  }));
});

test('ddmin: nothing that is left can be left out alone, whatever fails', async (t) => {
  // Several ways to fail, of which some need each other.
  const ways = fc.array(fc.uniqueArray(fc.nat({ max: 19 }), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 });
  await fc.assert(fc.asyncProperty(ways, async (each) => {
    const fails = async (some: readonly number[]): Promise<boolean> => each.some((way) => way.every((n) => some.includes(n)));
    const kept = await ddmin(Array.from({ length: 20 }, (_, i) => i), fails);
    t.true(await fails(kept));
    for (const n of kept) t.false(await fails(kept.filter((other) => other !== n)), `${n} of ${kept.join(' ')}`);
  }));
});

test('a plan shrinks to what the failure needs: faults, client, operations', async (t) => {
  const needed = fc.record({
    faults: fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 0, maxLength: 4 }), client: fc.integer({ min: 1, max: 6 }), ops: fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 3 }),
  });
  await fc.assert(fc.asyncProperty(needed, async ({ faults, client, ops }) => {
    const plan = fakePlan({ faults: 30, clients: 6 });
    const fails = (each: Plan): boolean =>
      faults.every((n) => each.faults.some(({ id }) => id === `f${n}`)) && each.clients.some(({ id }) => id === client) && ops.every((op) => !rangesOf(each).some(({ client: of, from, to }) => of === client && op >= from && op <= to));
    const { plan: small, after, outOfTime } = await shrink(plan, fails);
    t.true(fails(small));
    t.is(checkPlan(small), null);
    t.false(outOfTime);
    t.deepEqual(small.faults.map(({ id }) => id), faults.toSorted((a, b) => a - b).map((n) => `f${n}`));
    t.deepEqual(small.clients.map(({ id }) => id), [client]);
    t.true(after.ops <= 2 * ops.length, `${after.ops} operations for ${ops.length}`);
    t.is(small.servers, 3);
    t.is(after.settings, 0);
    for (const { action } of small.faults) t.is(action.kind === 'crash' ? action.downMs : null, 0);
    t.true(small.calm.includes('net') && small.calm.includes('disk'));
  }), { numRuns: 40 });
});

test('the troubles that a cluster has by itself stay only where they are needed', async (t) => {
  const drawn = drawPlan('late-records', { seed: '1', servers: 3 });
  const plan: Plan = { ...drawn, cluster: { ...drawn.cluster as ClusterPlan, coordRoughness: 0.2, lateRecords: 0.3 } };
  const { plan: small } = await shrink(plan, ({ cluster }) => (cluster?.lateRecords ?? 0) > 0);
  t.deepEqual([small.cluster?.coordRoughness, small.cluster?.lateRecords], [0, 0.3]);
  t.is(checkPlan(small), null);
});

test('servers stay, and their targets, when they are needed', async (t) => {
  const plan = fakePlan({ faults: 5 });
  const crashes = (each: Plan, on: string): boolean => each.faults.some(({ action }) => action.kind === 'crash' && action.on === on);
  const five = await shrink(plan, (each) => each.servers === 5 && crashes(each, 'server-4'));
  t.is(five.plan.servers, 5);
  t.true(crashes(five.plan, 'server-4'));
  // The one that matters keeps its fault under another number.
  const three = await shrink(plan, (each) => each.faults.some(({ id }) => id === 'f5'));
  t.is(three.plan.servers, 3);
  t.deepEqual(three.plan.faults.map(({ id }) => id), ['f5']);
});

test('of the streams of chance only those stay that are needed, and each that is calm is named once', async (t) => {
  const small = (await shrink(fakePlan({ faults: 5 }), ({ servers, calm }) => servers === 5 && !calm.includes('net') && !calm.includes('net/server-1>server-2'))).plan;
  t.is(new Set(small.calm).size, small.calm.length);
  t.is(small.calm.filter((name) => name.startsWith('net/')).length, 19);
});

test('every smaller plan is a plan that could have been written, whatever is drawn and whatever fails', async (t) => {
  for (const name of ['swarm', 'liveness', 'client', 'orchestrator', 'ZK-4925', 'ZK-2845', 'ZK-1514', 'ETCD-14370']) {
    for (const [seed, share] of [['1', 0.3], ['2', 0.8]] as const) {
      const plan = drawPlan(name, { seed, servers: 5 });
      const tried: string[] = [];
      const { plan: small, runs } = await shrink(plan, (each) => {
        const wrong = checkPlan(each) ?? checkPlan(JSON.parse(JSON.stringify(each)));
        if (wrong !== null) tried.push(wrong);
        return new Prng(JSON.stringify(each)).float() < share;
      });
      t.deepEqual(tried, [], `${name}, seed ${seed}`);
      t.true(runs > 0 && small.faults.length <= plan.faults.length && small.servers <= plan.servers);
    }
  }
});

test('only the invariant that failed counts', async (t) => {
  const plan = fakePlan({ faults: 8 });
  const { plan: small } = await shrinkPlan(plan, {
    run: async (each) => fakeResult(each, each.faults.length < 3 ? 'Leadership' : each.faults.some(({ id }) => id === 'f2') ? 'Agreement' : null),
    result: fakeResult(plan, 'Agreement'), failure, expired: () => false,
  });
  t.is(small.faults.length, 3);
  t.true(small.faults.some(({ id }) => id === 'f2'));
});

test('where writes are asked for, those who write go on writing', async (t) => {
  const plan = fakePlan({ faults: 8, clients: 3 });
  const stuck = (each: Plan): boolean => each.faults.some(({ id }) => id === 'f2') || each.skip.length > 0 || each.calm.some((name) => name.startsWith('client'));
  const result = (each: Plan): RunResult => fakeResult(each, stuck(each) ? 'Liveness' : null, stuck(each) ? { kind: 'liveness' } : {});
  const { plan: small } = await shrinkPlan(plan, { run: async (each) => result(each), result: result(plan), failure: { kind: 'liveness', invariant: 'Liveness' }, expired: () => false });
  t.deepEqual([small.faults.map(({ id }) => id), small.skip, small.calm], [['f2'], [], ['net', 'disk']]);
});

test('the same plan shrinks in the same steps, and when time is up the best so far is what counts', async (t) => {
  const plan = fakePlan({ faults: 20, clients: 4 });
  const fails = (each: Plan): boolean => ['f3', 'f11'].every((id) => each.faults.some((one) => one.id === id));
  const [a, b] = [await shrink(plan, fails), await shrink(plan, fails)];
  t.deepEqual(a, b);
  let left = 5;
  const cut = await shrink(plan, fails, () => left-- <= 0);
  t.true(cut.outOfTime && cut.runs === 5 && fails(cut.plan));
});

test('who waits for a fault that is gone goes too', (t) => {
  const plan: Plan = { ...fakePlan(), faults: [fault(1), { ...fault(2), when: { after: 'f1' } }, { ...fault(3), when: { after: 'f2', plusMs: 5 } }, fault(4)] };
  t.deepEqual(withoutFault(plan, 'f1').faults.map(({ id }) => id), ['f4']);
  t.deepEqual(withFaults(plan, plan.faults.slice(0, 2)).faults.map(({ id }) => id), ['f1', 'f2']);
});

test('clients go with their operations and sessions', (t) => {
  const base = fakePlan({ clients: 3 });
  const plan: Plan = {
    ...base, clients: base.clients.map((client) => (client.id === 3 ? { ...client, sharesSessionOf: 1 } : client)), skip: ['client-1#4', 'client-2#1-9'],
    ops: [{ id: 'o1', client: 1, when: { atMs: 5 }, op: 'set' }, { id: 'o2', client: 2, when: { after: 'o1' }, op: 'set' }, { id: 'o3', client: 2, when: { atMs: 9 }, op: 'get' }],
  };
  const without = withClients(plan, [2, 3]);
  t.deepEqual(without.ops.map(({ id }) => id), ['o3']);
  t.deepEqual(without.skip, ['client-2#1-9']);
  t.is(without.clients.find(({ id }) => id === 3)?.sharesSessionOf, undefined);
});

test('ranges of operations that are left out', (t) => {
  const plan = withSkipped({ ...fakePlan(), skip: ['client-1#3'] }, [{ client: 2, from: 1, to: 5 }, { client: 1, from: 4, to: 8 }, { client: 2, from: 3, to: 9 }]);
  t.deepEqual(plan.skip, ['client-1#3-8', 'client-2#1-9']);
  t.deepEqual(sentBy(plan, 1, 10), [1, 2, 9, 10]);
  t.deepEqual(sentBy(plan, 2, 4), []);
});

test('a smaller ensemble keeps what was done to those that stay', (t) => {
  const plan: Plan = {
    ...fakePlan(), core: [1, 2, 4],
    faults: [
      { id: 'p', when: { event: { who: 'server-4', name: 'send ACK' } }, action: { kind: 'partition', groups: [['server-4'], ['server-1', 'server-5']], ways: 'both', forMs: 10 } },
      { id: 'q', when: { event: { who: 'server-5', name: 'send ACK' } }, action: { kind: 'ring', forMs: 10 } },
      { id: 'r', when: { atMs: 3 }, action: { kind: 'power-failure', on: ['server-3', 'server-5', 'leader'], downMs: 1, staggerMs: 0 } },
      { id: 's', when: { atMs: 4 }, action: { kind: 'clog', from: 'server-5', to: 'server-1', forMs: 1 } },
    ],
  };
  const small = withServers(plan, [1, 3, 4]);
  t.is(checkPlan(small), null);
  t.deepEqual(small.faults.map(({ id, when, action }) => [id, when.event?.who ?? '', 'groups' in action ? action.groups : action.kind === 'power-failure' ? action.on : action.kind]), [
    ['p', 'server-3', [['server-3'], ['server-1']]], ['r', '', ['server-2', 'leader']],
  ]);
  t.deepEqual(small.core, [1, 3]);
  // Those first that faults name most.
  t.deepEqual(choicesOfServers(plan, 3)[0], [1, 4, 5]);
});
