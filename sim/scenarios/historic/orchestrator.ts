/** Bugs of those who stand on a coordination service: leaders that are two, workers that are not registered, transactions that end as they should not. */
import type { Prng } from '../../../coord/base/prng.ts';
import { JOB_NAMES } from '../../cluster/job-names.ts';
import { quietPlan } from '../../plan/draft.ts';
import type { ClusterPlan, Moment, Plan } from '../../plan/plan.ts';
import type { Mark } from '../../world/marks.ts';
import type { Scenario } from '../scenario.ts';
import { Story } from './story.ts';

const UNTIL_MS = 10_000;

function clusterStories(names: readonly string[], summary: string, mustHit: readonly Mark[], tell: (story: ClusterStory) => void, cluster: Partial<ClusterPlan> = {}): Scenario[] {
  return names.map((name) => ({
    name, summary, kind: 'historic', mustHit,
    draw: (prng, options): Plan => {
      const story = new ClusterStory(prng.fork('story'), options.servers);
      tell(story);
      return { ...quietPlan(name, options, 0), cluster: { ...drawCluster(prng.fork('cluster')), ...cluster }, faults: story.faults, untilMs: UNTIL_MS };
    },
  }));
}

function drawCluster(prng: Prng): ClusterPlan {
  return {
    jobManagers: 2, taskManagers: 2, slots: 2, job: prng.pick(JOB_NAMES), partitions: prng.between(1, 4), records: prng.pick([150, 400]), checkpointIntervalMs: prng.pick([100, 300]), parallelism: 2,
    jobManagerSessionMs: 1000, taskManagerSessionMs: prng.pick([1000, 2000]), feedMs: UNTIL_MS - 1000,
  };
}

class ClusterStory extends Story {
  /** A place that is come by; nothing is done. */
  override passes(when: Moment, mark?: Mark): string {
    return this.fault(when, { kind: 'slow-storage', extraMs: 0, forMs: 0 }, mark);
  }
}

export const orchestratorStories: readonly Scenario[] = [
  ...clusterStories(['CURATOR-444', 'CURATOR-460'], 'the leading job manager is cut off or stopped for about as long as its session lives, and another is elected: there may be two who believe, and only one who can act', ['another master beside the old one'], (t) => {
    for (let i = 0; i < 2; i++) {
      const atMs = t.ms(2000, 2600) + i * 3500;
      const stopped = t.prng.chance(0.5);
      // The second time for long enough, whatever the first was.
      const forMs = t.ms(i === 1 ? 1800 : stopped ? 1200 : 900, 3000);
      const cut = t.fault({ atMs }, stopped ? { kind: 'pause', on: 'master', forMs } : { kind: 'partition', groups: [['master'], t.all], ways: t.prng.pick(['both', 'in', 'out']), forMs });
      const over = t.passes({ after: cut, plusMs: forMs });
      t.passes({ after: cut, event: { who: 'any', name: 'epoch raised' }, before: over }, 'another master beside the old one');
    }
  }),
  ...clusterStories(['CURATOR-696', 'CURATOR-498', 'CURATOR-644', 'CURATOR-504', 'CURATOR-645'], 'a job manager is back before the znode of its old session is gone, and connections break while it creates the new one: it leads by its own znode only, and somebody leads', ['a master elected after one was back early'], (t) => {
    for (let i = 0; i < 3; i++) {
      const downMs = t.ms(30, 500);
      const down = t.crash('master', { atMs: t.ms(1800, 2200) + i * 2200 }, downMs);
      t.fault({ after: down, plusMs: t.ms(20, 900) }, { kind: 'break', from: t.prng.pick(['jobmanager-1', 'jobmanager-2']), to: t.prng.pick(t.all) });
      t.passes({ after: t.passes({ after: down, plusMs: downMs }), event: { who: 'any', name: 'epoch raised' } }, 'a master elected after one was back early');
    }
  }),
  ...clusterStories(['KAFKA-1387', 'KAFKA-7165', 'KAFKA-14845'], 'a task manager is back before its old session is gone, or lost the reply that gave it a session: the znode of that session must not keep it from being registered', ['a worker registered after it was back early'], (t) => {
    for (let i = 0; i < 3; i++) {
      const worker = `taskmanager-${1 + (i % 2)}`;
      const down = t.crash(worker, { atMs: t.ms(1800, 2200) + i * 2200 }, t.ms(30, 500));
      if (t.prng.chance(0.5)) t.fault({ after: down, plusMs: t.ms(30, 600) }, { kind: 'partition', groups: [[worker], t.all], ways: 'in', forMs: t.ms(100, 800) });
      t.passes({ after: down, event: { who: 'any', name: 'receive registered', where: { from: worker } } }, 'a worker registered after it was back early');
    }
  }),
  ...clusterStories(['TXN-LATE'], 'the broker\'s answer to a commit is lost and the sink that asked dies: the commit is repeated, and never takes the next transaction with it', ['a commit in doubt', 'EndTxn again'], (t) => {
    for (let i = 0; i < 3; i++) {
      const lost = t.fault({ atMs: t.ms(1500, 2000) + i * 2500, event: { who: 'any', name: t.prng.pick(['pointer written', 'receive checkpointComplete']) } }, { kind: 'kafka-lost-ack', times: t.prng.between(1, 3) });
      t.crash('it', { after: lost, event: { who: 'worker', name: 'receive checkpointComplete', nth: t.prng.between(1, 2) }, plusMs: t.ms(0, 30) }, t.ms(100, 900), 'a commit in doubt');
    }
  }, { job: 'pass' }),
  ...clusterStories(['TXN-TIMEOUT'], 'a task manager stops between the prepare and the commit of its transactions, for longer than its lease: what its checkpoint holds is committed once, by whoever takes over', ['stopped between prepare and commit'], (t) => {
    for (let i = 0; i < 2; i++) {
      const when = { atMs: t.ms(1500, 2000) + i * 4000 };
      const pause = { kind: 'pause', on: 'it', forMs: t.ms(2500, 5000) } as const;
      // Before it hears that the checkpoint is complete, or just then.
      if (t.prng.chance(0.6)) t.fault({ ...when, event: { who: 'any', name: 'pointer written' } }, { ...pause, on: t.prng.pick(['taskmanager-1', 'taskmanager-2']) }, 'stopped between prepare and commit');
      else t.fault({ ...when, event: { who: 'worker', name: 'receive checkpointComplete', nth: t.prng.between(1, 4) }, plusMs: t.ms(0, 5) }, pause, 'stopped between prepare and commit');
    }
  }, { job: 'pass' }),
  ...clusterStories(['EMPTY-TXN', 'FLINK-31363'], 'checkpoints without a record between them, and a worker that dies in one: a commit of nothing is no failure', ['empty transaction', 'died beside a checkpoint of nothing'], (t) => {
    t.crash('it', { atMs: t.ms(5000, 6000), event: { who: 'worker', name: t.prng.pick(['receive checkpointComplete', 'receive triggerCheckpoint']) }, plusMs: t.ms(0, 20) }, t.ms(100, 900), 'died beside a checkpoint of nothing');
  }, { job: 'pass', records: 4, checkpointIntervalMs: 100 }),
];
