/** What is written to the input: which records are late, and what the model knows of each. */
import test from 'ava';
import { Feed } from '../../sim/cluster/feed.ts';
import { DISORDER_MS, INPUT, WINDOW_MS, windowStart, type FedRecord } from '../../sim/cluster/jobs.ts';
import { Turns } from '../../sim/cluster/machine.ts';
import { SimKafka } from '../../sim/cluster/sim-kafka.ts';
import type { ClusterPlan } from '../../sim/plan/plan.ts';
import { World } from '../../sim/world/world.ts';

const CLUSTER: ClusterPlan = {
  jobManagers: 1, taskManagers: 1, slots: 1, job: 'windows', partitions: 3, records: 600, checkpointIntervalMs: 200, parallelism: 1, jobManagerSessionMs: 1000, taskManagerSessionMs: 2000, feedMs: 6000,
};

function fed(lateRecords: number, isOut: (result: string) => boolean = () => false): readonly FedRecord[] {
  const world = new World('feed');
  const kafka = new SimKafka(world, new Turns());
  kafka.createTopic(INPUT, CLUSTER.partitions);
  const feed = new Feed(world, kafka, { ...CLUSTER, lateRecords }, isOut);
  feed.start();
  world.run(20_000);
  feed.finish();
  return feed.records;
}

/** By the bound alone: event time can be past the end of its window only if a record before it in its partition is newer by more than the bound. */
function canBeLate(records: readonly FedRecord[], at: number): boolean {
  const { id, t } = records[at] as FedRecord;
  const partition = id.slice(0, id.indexOf('/'));
  const end = windowStart(t) + WINDOW_MS;
  return records.slice(0, at).some((before) => before.id.startsWith(`${partition}/`) && before.t - DISORDER_MS >= end);
}

test('without late records all are in time', (t) => {
  const records = fed(0);
  t.is(records.length, CLUSTER.records);
  t.true(records.every(({ inTime }) => inTime === 'yes'));
});

test('a share of the records is older than the bound allows, and whatever else is drawn stays as it was', (t) => {
  const calm = fed(0);
  const records = fed(0.3);
  t.deepEqual(records.map(({ id, key }) => ({ id, key })), calm.map(({ id, key }) => ({ id, key })));
  const older = records.filter(({ t: at }, i) => at !== calm[i]?.t);
  t.true(older.length > 120 && older.length < 240, String(older.length));
  t.true(records.some(({ inTime }) => inTime === 'perhaps'));
  for (const [i, { id, inTime }] of records.entries()) t.is(inTime, canBeLate(records, i) ? 'perhaps' : 'yes', id);
});

test('what somebody has seen of a window makes a late record of it certain, whatever its key', (t) => {
  const open = fed(0.3);
  const records = fed(0.3, (result) => (JSON.parse(result) as string).startsWith('k3@'));
  t.deepEqual(records.map(({ inTime }) => inTime), open.map(({ inTime }) => (inTime === 'perhaps' ? 'no' : 'yes')));
});
