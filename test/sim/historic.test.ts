/** Each historic bug has a story by its name; the product lives through it, and the story is really told. */
import test from 'ava';
import { EPOCH_TXNS_MAX, quietPlan } from '../../sim/plan/draft.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import type { ClusterPlan, FaultPlan, Plan } from '../../sim/plan/plan.ts';
import { runPlan } from '../../sim/run/run-plan.ts';
import { scenarios } from '../../sim/scenarios/scenarios.ts';
import type { Mark } from '../../sim/world/marks.ts';

const historic = [...scenarios.values()].filter(({ kind }) => kind === 'historic');

/** The bugs of coordination services, and of who stands on them, that are on record; each has a story. */
const ON_RECORD = `
  ZK-3911 ZK-4646 ZK-4643 ZK-EPOCH-WINDOW ZK-4685 ZK-4394 ZK-3023 ZK-4785 ZK-4712 ZK-4541 ZK-4925 ZK-4882 ZK-5094 ZK-4837 ZK-2845 ZK-3642 ZK-3104
  ZK-2846 ZK-3526 ZK-4352 ZK-1154 ZK-1156 ZK-1319 ZK-962 ZK-335 ZK-1081 ZK-1082 ZK-790 ZK-2307 ZK-4269 ZK-1277 ZK-1514 ZK-1732 ZK-1818 ZK-975 ZK-3109 ZK-3756
  ZK-2355 ZK-1367 ZK-5010 ZK-1208 ZK-3144 ZK-3145 ZK-3127 ZK-1573 ZK-3125 ZK-3249 ZK-1412 ZK-1382 ZK-2247 ZK-2201 ZK-3531 ZK-2172 ZK-1699
  LAZYFS-ZK-2 LAZYFS-ZK-7 LAZYFS-ZK-8 ZAB-SPEC-1 ZAB-SPEC-2 ZAB-SPEC-3 CURATOR-444 CURATOR-460 CURATOR-696 CURATOR-498 CURATOR-644 CURATOR-504 CURATOR-645
  KAFKA-1387 KAFKA-7165 KAFKA-14845 TXN-LATE TXN-TIMEOUT EMPTY-TXN FLINK-31363 FLINK-23839 FLINK-24131 ETCD-15271 ETCD-17247 ETCD-14370 ETCD-20418`.trim().split(/\s+/);

/** Seeds that found something, on 3 servers. */
const found: Readonly<Record<string, readonly string[]>> = { 'ZK-2201': ['3'] };
/** What people run: `drey sim` takes 5 if nothing is said. */
const SERVERS = [3, 5];
const SEEDS = ['1', '2'];
/** Until the story has been told once. */
const SEEDS_MAX = 5;

test('each has a name of its own and a line for people', (t) => {
  t.deepEqual(ON_RECORD.filter((name) => scenarios.get(name)?.kind !== 'historic'), []);
  for (const { name, summary, mustHit } of historic) t.true(summary.length > 20 && !summary.includes('\n') && (mustHit ?? []).length > 0, name);
});

for (const { name, mustHit = [] } of historic) {
  // A story may have a number of servers of its own.
  for (const servers of new Set(SERVERS.map((asked) => drawPlan(name, { seed: '1', servers: asked }).servers))) {
    // One after the other: a cluster looks at what promises of its process let fall.
    test.serial(`${name} on ${servers}`, async (t) => {
      const missing = new Set<Mark>(mustHit);
      const run = async (seed: string): Promise<void> => {
        const { kind, violation, marks } = await runPlan(drawPlan(name, { seed, servers }));
        t.is(kind === 'ok' ? 'ok' : `${kind}: ${violation?.invariant}: ${violation?.message}`, 'ok', `seed ${seed}`);
        for (const mark of mustHit) if (marks[mark] > 0) missing.delete(mark);
      };
      for (const seed of new Set([...SEEDS, ...(servers === 3 ? found[name] ?? [] : [])])) await run(seed);
      for (let seed = SEEDS.length + 1; seed <= SEEDS_MAX && missing.size > 0; seed++) await run(String(seed));
      t.deepEqual([...missing], []);
    });
  }
}

const HARMLESS = { kind: 'clock-jump', on: 'any', byMs: 0 } as const;
const HARMLESS_TO_A_CLUSTER = { kind: 'slow-storage', extraMs: 0, forMs: 0 } as const;

/** What is left of a story when its faults do nothing; what only watches still does. */
function withoutFaults(plan: Plan): Plan {
  const harmless = plan.cluster === undefined ? HARMLESS : HARMLESS_TO_A_CLUSTER;
  const faults = plan.faults.map(({ id, when, action, mark }): FaultPlan => {
    const watches = (action.kind === 'clock-jump' && action.byMs === 0) || (action.kind === 'slow-storage' && action.forMs === 0);
    if (watches) return { id, when, action, ...(mark === undefined ? {} : { mark }) };
    return { id, when, action: plan.cluster === undefined && 'on' in action && typeof action.on === 'string' ? { ...HARMLESS, on: action.on } : harmless };
  });
  return { ...plan, faults };
}

/** Clients that do nothing out of the ordinary, on servers without a knob turned, and jobs with records. */
function plain(plan: Plan): Plan {
  const { knobs } = quietPlan(plan.scenario, { seed: plan.seed, servers: plan.servers }, 0);
  const clients = plan.clients.map((client) => ({ ...client, draws: true, burst: 3, thinkMs: 40, timeoutMs: 4000, move: 0, stall: 0, misbehave: 0 }));
  const cluster: ClusterPlan | undefined = plan.cluster === undefined ? undefined : { ...plan.cluster, records: 2000, checkpointIntervalMs: 300 };
  const asked = new Set(plan.ops.map(({ id }) => id));
  for (let before = -1; before !== asked.size; ) {
    before = asked.size;
    for (const { id, when } of plan.faults) if (when.after !== undefined && asked.has(when.after)) asked.add(id);
  }
  return { ...plan, knobs: { ...knobs, epochTxnsMax: EPOCH_TXNS_MAX }, clients, ops: [], faults: plan.faults.filter(({ id }) => !asked.has(id)), ...(cluster === undefined ? {} : { cluster }) };
}

/** Their clients or their settings are the trouble, not their faults. */
const BY_CLIENTS = ['ZK-710', 'ZK-1208', 'ZK-2985', 'ZK-1382', 'ZK-1367', 'ZK-1277', 'ZK-1412', 'ETCD-15271', 'ETCD-17247', 'ZK-706', 'LEASE'];

/** At least one of them is come by because of what the story is about: where nothing is wrong it is not. */
async function comesBy(plan: Plan, mustHit: readonly Mark[]): Promise<boolean> {
  const { kind, violation, marks } = await runPlan(plan);
  if (kind !== 'ok') throw new Error(`${kind}: ${violation?.invariant}: ${violation?.message}`);
  return mustHit.every((mark) => marks[mark] > 0);
}

test.serial('where nothing is wrong no story is told', async (t) => {
  const told: string[] = [];
  for (const { name, mustHit = [] } of historic) {
    const plan = withoutFaults(drawPlan(name, { seed: '1', servers: 3 }));
    if (await comesBy(plain(plan), mustHit)) told.push(name);
    else if (!BY_CLIENTS.includes(name) && await comesBy(plan, mustHit)) told.push(`${name}, without its faults`);
  }
  t.deepEqual(told, []);
});
