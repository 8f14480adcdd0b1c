/** What a simulated cluster says of itself: a promise of the product that breaks at the very end, who waits for whom, and how long nobody led. */
import test from 'ava';
import { AssertionFailed } from '../../coord/base/assert.ts';
import { ClusterDriver } from '../../sim/cluster/cluster-driver.ts';
import { INPUT, OUTPUT, simJobs } from '../../sim/cluster/jobs.ts';
import { transactionalSink } from '../../sim/cluster/transactional-sink.ts';
import { quietPlan } from '../../sim/plan/draft.ts';
import type { ClusterPlan, FaultPlan } from '../../sim/plan/plan.ts';
import { runPlan } from '../../sim/run/run-plan.ts';

const CLUSTER: ClusterPlan = {
  jobManagers: 2, taskManagers: 2, slots: 2, job: 'counts', partitions: 2, records: 100, checkpointIntervalMs: 200, parallelism: 4, jobManagerSessionMs: 1000, taskManagerSessionMs: 2000, feedMs: 3000,
};
const plan = (faults: readonly FaultPlan[], untilMs = 8000): ReturnType<typeof quietPlan> => ({ ...quietPlan('worker-loss', { seed: 'd', servers: 3 }, 0), cluster: CLUSTER, faults, untilMs });

function driven(faults: readonly FaultPlan[], untilMs = 8000): ClusterDriver {
  const driver = new ClusterDriver(plan(faults, untilMs), CLUSTER, {});
  const { world, cluster, arena } = driver;
  cluster.kafka.createTopic(INPUT, CLUSTER.partitions);
  cluster.kafka.createTopic(OUTPUT, 1);
  const sink = transactionalSink({ world, turns: cluster.turns, kafka: cluster.kafka, transactions: cluster.transactions }, { topic: OUTPUT, transactionTimeoutMs: 40_000 });
  const options = { parallelism: CLUSTER.parallelism, maxParallelism: 16, checkpoint: { intervalMs: 200, timeoutMs: 2000 }, restart: { type: 'exponential-delay', initialMs: 100, maxMs: 2000, multiplier: 2, resetAfterMs: 10_000 } } as const;
  driver.prepare(cluster.prepare(simJobs.counts.define({ kafka: cluster.kafka, sink, files: cluster.files.files, poisoned: arena.poisoned }, options)), 'exactly-once');
  return driver;
}

test.serial('an assertion that breaks in the last turn of a run is a crash, and what a task lets fall there is not', async (t) => {
  // The test runner would take what is let fall for its own.
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  t.teardown(() => others.forEach((listener) => process.on('unhandledRejection', listener)));
  const letFall = (error: Error) => async (): Promise<string> => {
    void Promise.reject(error);
    return 'over';
  };
  await t.throwsAsync(driven([]).guarded(letFall(new AssertionFailed('of the last turn'))), { name: 'AssertionFailed', message: 'of the last turn' });
  t.is(await driven([]).guarded(letFall(new Error('of a task'))), 'over');
});

test.serial('two task managers that cannot reach each other: the job says which channel is broken, and the run who waits for whom', async (t) => {
  const driver = driven([{ id: 'cut', when: { atMs: 100 }, action: { kind: 'partition', groups: [['taskmanager-1'], ['taskmanager-2']], ways: 'both', forMs: 100_000 } }], 40_000);
  await driver.guarded(async () => {
    driver.start();
    await driver.world.runAsync(30_000);
  });
  t.regex(driver.why, /nothing gets from taskmanager-1 to taskmanager-2/);
  t.regex(driver.why, /jobmanager-\d leads in epoch \d+; taskmanager-1 has /);
  t.true((driver.judge.record?.restarts ?? 0) > 0, 'it tries again');
});

test.serial('the time between two masters that can act', async (t) => {
  t.is((await runPlan(plan([]))).longestElectionMs, 0);
  const { longestElectionMs, violation } = await runPlan(plan([{ id: 'pause', when: { atMs: 2000 }, action: { kind: 'pause', on: 'master', forMs: 3000 } }]));
  t.is(violation?.message ?? 'none', 'none');
  t.true(longestElectionMs > 500 && longestElectionMs < 3000, String(longestElectionMs));
});
