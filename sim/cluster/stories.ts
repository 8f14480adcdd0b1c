/** Bugs that Flink had, each as a story by its name, over a quiet ensemble. Those of whoever stands on coord are in scenarios/historic/orchestrator.ts. */
import type { Prng } from '../../coord/base/prng.ts';
import { quietPlan } from '../plan/draft.ts';
import type { ClusterPlan, FaultAction, FaultPlan, Moment } from '../plan/plan.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import type { Mark } from '../world/marks.ts';

interface Told {
  readonly faults: readonly { readonly when: Moment; readonly action: FaultAction; readonly mark?: Mark }[];
  readonly cluster?: Partial<ClusterPlan>;
}

const UNTIL_MS = 9000;
const MS = (prng: Prng, from: number, to: number): number => Math.round((from + prng.float() * (to - from)) * 10) / 10;

function story(kind: Scenario['kind'], names: readonly string[], summary: string, mustHit: readonly Mark[], tell: (prng: Prng) => Told): readonly Scenario[] {
  return names.map((name) => ({
    name, summary, kind, mustHit,
    draw: (prng, options) => {
      const { faults, cluster } = tell(prng.fork('story'));
      const knobs = prng.fork('cluster');
      return {
        ...quietPlan(name, options, 0),
        cluster: {
          jobManagers: 2, taskManagers: 3, slots: 2, job: knobs.pick(['pass', 'windows', 'counts']), partitions: 3, records: 200, checkpointIntervalMs: knobs.pick([200, 500]), parallelism: 2,
          jobManagerSessionMs: 1000, taskManagerSessionMs: 2000, feedMs: UNTIL_MS - 1000, ...cluster,
        },
        faults: faults.map((fault, i): FaultPlan => ({ id: `f${i + 1}`, ...fault })),
        untilMs: UNTIL_MS,
      };
    },
  }));
}

const pointer = (nth: number): Moment => ({ atMs: 1500, event: { who: 'any', name: 'pointer written', nth } });
const SERVERS = ['server-1', 'server-2', 'server-3'];

export const clusterStories: readonly Scenario[] = [
  ...story('historic', ['FLINK-23839', 'FLINK-24131'], 'a transaction times out between its two phases: what it held is lost, and the job fails and says so instead of going on', ['transaction timed out', 'transaction lost'], (prng) => ({
    cluster: { transactionTimeoutMs: 3000, mayLose: true, job: prng.pick(['pass', 'counts']), records: 600 },
    faults: [{ when: pointer(2), action: { kind: 'kafka-outage', forMs: MS(prng, 5000, 6000) } }],
  })),
  ...story('scenario', ['retention-outruns'], 'records are deleted before the job has read them: it fails and says so, instead of going on behind the gap', ['records deleted unread'], (prng) => ({
    cluster: { mayLose: true, job: prng.pick(['pass', 'counts', 'windows']), records: 600, feedMs: 4000 },
    faults: [
      { when: pointer(2), action: { kind: 'power-failure', on: ['taskmanager-1', 'taskmanager-2', 'taskmanager-3'], downMs: MS(prng, 800, 1500), staggerMs: 5 } },
      ...[0, 1, 2].map((partition) => ({ when: { after: 'f1', plusMs: MS(prng, 500, 700) }, action: { kind: 'kafka-retention', partition, keeps: 'nothing' } as const })),
    ],
  })),
  ...story('scenario', ['aborted-checkpoint'], 'a checkpoint is given up, the next one completes, and all workers lose power before they hear of it: what was staged for either is committed', ['checkpoint aborted', 'job restarted'], (prng) => ({
    faults: [1, 2, 3].flatMap((turn) => [
      { when: { atMs: 2200 * turn + MS(prng, 0, 400), event: { who: 'any', name: 'receive ackCheckpoint', nth: prng.between(1, 2) } }, action: { kind: 'storage-error', on: 'any', what: 'put', times: 1 } as const },
      { when: { after: `f${2 * turn - 1}`, event: { who: 'any', name: 'pointer written' } }, action: { kind: 'power-failure', on: ['taskmanager-1', 'taskmanager-2', 'taskmanager-3'], downMs: MS(prng, 50, 300), staggerMs: 5 } as const },
    ]),
    cluster: { job: prng.pick(['pass', 'pass', 'counts']), records: 400 },
  })),
  ...story('scenario', ['late-receiver'], 'tasks that have nothing to read say so before the task that they say it to is there: event time goes on without them', ['job restarted'], (prng) => ({
    // Whoever is clogged is registered, and hears late what it shall run.
    faults: [
      { when: { atMs: 0, event: { who: 'any', name: 'receive registered', nth: 3 } }, action: { kind: 'clog', from: 'master', to: `taskmanager-${prng.between(1, 3)}`, forMs: MS(prng, 30, 600) } },
      { when: { atMs: MS(prng, 2500, 4000) }, action: { kind: 'crash', on: 'taskmanager-1', keeps: 'page-cache', downMs: MS(prng, 50, 1500) } },
      { when: { after: 'f2', event: { who: 'any', name: 'receive registered' } }, action: { kind: 'clog', from: 'master', to: `taskmanager-${prng.between(2, 3)}`, forMs: MS(prng, 30, 600) } },
    ],
    cluster: { job: 'windows', partitions: 2, parallelism: 6 },
  })),
  ...story('scenario', ['late-records'], 'records come later than the bound on disorder allows, while workers are lost: a window that has been put out is not opened again', ['job restarted', 'late record dropped'], (prng) => ({
    faults: [1, 2, 3].map((turn) => {
      const downMs = MS(prng, 50, 600);
      const action: FaultAction = prng.chance(0.5) ? { kind: 'power-failure', on: ['taskmanager-1', 'taskmanager-2', 'taskmanager-3'], downMs, staggerMs: 5 } : { kind: 'crash', on: 'worker', keeps: 'page-cache', downMs };
      return { when: { atMs: 2200 * turn + MS(prng, 0, 400), event: { who: 'any', name: 'pointer written' }, plusMs: MS(prng, 0, 300) }, action };
    }),
    cluster: { job: 'windows', lateRecords: 0.3, records: 600, parallelism: prng.between(2, 4) },
  })),
  ...story('scenario', ['deposed-master'], 'a deposed master that does not know it yet goes on to write and to command its workers: nothing of it takes effect', ['command fenced', 'master took over'], (prng) => ({
    faults: [1, 2, 3].flatMap((turn) => {
      const atMs = 1000 + 2300 * turn;
      return [
        { when: { atMs }, action: { kind: 'partition', groups: [['master'], SERVERS], ways: 'in', forMs: MS(prng, 700, 900) } as const },
        { when: { atMs: atMs + 5 }, action: { kind: 'depose' } as const },
      ];
    }),
    cluster: { checkpointIntervalMs: 100, jobManagerSessionMs: 2000 },
  })),
];
