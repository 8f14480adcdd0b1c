/**
 * Draws what happens to a cluster: faults by recipe, as sim/plan/faults.ts does for an ensemble. What a recipe draws comes from a stream forked by the
 * number of its turn.
 */
import type { Prng } from '../../coord/base/prng.ts';
import { draft, type DrawOptions } from '../plan/draft.ts';
import { drawFaults, shuffled, type RecipeName } from '../plan/faults.ts';
import type { ClusterPlan, FaultAction, FaultPlan, Moment, Plan, Target } from '../plan/plan.ts';
import { JOB_NAMES } from './job-names.ts';

interface Drawn {
  readonly when?: Omit<Moment, 'atMs'>;
  readonly action: FaultAction;
  /** Behind the first of those that belong together. */
  readonly laterMs?: number;
}
type Recipe = (prng: Prng, cluster: ClusterPlan, servers: number) => Drawn | readonly Drawn[];

const UNTIL_MS = 12_000;
/** The ensemble is up and the job has begun. */
const FROM_MS = 600;

const MASTER_POINTS = ['epoch raised', 'record written', 'id reserved', 'pointer written', 'stored metadata', 'receive registered', 'receive ackCheckpoint', 'receive taskState', 'receive inputEnded'] as const;
const WORKER_POINTS = ['receive hello', 'receive deploy', 'receive cancel', 'receive triggerCheckpoint', 'receive checkpointComplete', 'receive abortCheckpoint', 'receive addSplits', 'stored state', 'transaction committed'] as const;

const ms = (value: number): number => Math.round(value * 10) / 10;
const jobManager = (prng: Prng, { jobManagers }: ClusterPlan): Target => (prng.chance(0.6) ? 'master' : `jobmanager-${1 + prng.below(jobManagers)}`);
const taskManager = (prng: Prng, { taskManagers }: ClusterPlan): Target => `taskmanager-${1 + prng.below(taskManagers)}`;
const node = (prng: Prng, cluster: ClusterPlan): Target => (prng.chance(0.3) ? jobManager(prng, cluster) : taskManager(prng, cluster));
const downMs = (prng: Prng): number => ms(prng.pick([100, 1000, 5000]) * (0.2 + prng.float()));
const forMs = (prng: Prng): number => ms(prng.pick([100, 1000, 3000, 8000]) * (0.3 + prng.float()));
const crash = (on: Target, prng: Prng): FaultAction => ({ kind: 'crash', on, keeps: prng.chance(0.6) ? 'page-cache' : 'durable', downMs: downMs(prng) });
/** Half of them within the event itself. */
const at = (prng: Prng, points: readonly string[]): Omit<Moment, 'atMs'> => ({ event: { who: 'any', name: prng.pick(points), nth: prng.pick([1, 1, 2, 3, 8]) }, ...(prng.chance(0.5) ? {} : { plusMs: ms(prng.float() * prng.pick([2, 20, 300])) }) });
const server = (prng: Prng, servers: number): Target => `server-${1 + prng.below(servers)}`;

const recipes = {
  'crash-worker': (prng, cluster) => ({ action: crash(taskManager(prng, cluster), prng) }),
  'crash-worker-at-point': (prng) => ({ when: at(prng, WORKER_POINTS), action: crash(prng.chance(0.7) ? 'it' : 'worker', prng) }),
  /** Long enough for its lease, or not. */
  'pause-worker': (prng, cluster) => ({ action: { kind: 'pause', on: taskManager(prng, cluster), forMs: forMs(prng) } }),
  'pause-worker-at-point': (prng) => ({ when: at(prng, WORKER_POINTS), action: { kind: 'pause', on: 'it', forMs: forMs(prng) } }),
  'restart-worker': (prng, cluster) => ({ action: { kind: 'restart', on: taskManager(prng, cluster), downMs: downMs(prng) } }),
  'all-workers': (prng, cluster) => ({ action: { kind: 'power-failure', on: Array.from({ length: cluster.taskManagers }, (_, i) => `taskmanager-${i + 1}`), downMs: downMs(prng), staggerMs: ms(prng.float() * 200) } }),
  'cut-worker-from-masters': (prng, cluster) => ({ action: { kind: 'partition', groups: [[taskManager(prng, cluster)], Array.from({ length: cluster.jobManagers }, (_, i) => `jobmanager-${i + 1}`)], ways: prng.pick(['both', 'out', 'in']), forMs: forMs(prng) } }),
  'cut-worker-from-coord': (prng, cluster, servers) => ({ action: { kind: 'partition', groups: [[taskManager(prng, cluster)], Array.from({ length: servers }, (_, i) => `server-${i + 1}`)], ways: prng.pick(['both', 'out', 'in']), forMs: forMs(prng) } }),
  'cut-workers-apart': (prng, cluster) => ({ action: { kind: 'partition', groups: [[taskManager(prng, cluster)], [taskManager(prng, cluster)]], ways: prng.pick(['both', 'out']), forMs: forMs(prng) } }),
  'isolate-worker': (prng, cluster) => ({ action: { kind: 'partition', groups: [[taskManager(prng, cluster)]], ways: prng.pick(['both', 'out', 'in']), forMs: forMs(prng) } }),
  'break-connections': (prng, cluster) => ({ action: { kind: 'break', from: node(prng, cluster), to: taskManager(prng, cluster), ...(prng.chance(0.5) ? {} : { lateMs: 0 }) } }),
  /** Its checkpoint is given up, and its tasks live on. */
  'break-in-checkpoint': (prng) => ({ when: at(prng, ['receive triggerCheckpoint', 'stored state']), action: { kind: 'break', from: 'master', to: 'it' } }),
  'slow-worker': (prng, cluster) => ({ action: { kind: 'slow-network', on: node(prng, cluster), extraMs: prng.pick([5, 50, 500]), forMs: forMs(prng) } }),
  'clog-worker': (prng, cluster) => ({ action: { kind: 'clog', from: jobManager(prng, cluster), to: taskManager(prng, cluster), forMs: forMs(prng) } }),

  'crash-master': (prng, cluster) => ({ action: crash(jobManager(prng, cluster), prng) }),
  'crash-master-at-point': (prng) => ({ when: at(prng, MASTER_POINTS), action: crash('master', prng) }),
  'pause-master': (prng, cluster) => ({ action: { kind: 'pause', on: jobManager(prng, cluster), forMs: forMs(prng) } }),
  'pause-master-at-point': (prng) => ({ when: at(prng, MASTER_POINTS), action: { kind: 'pause', on: 'master', forMs: forMs(prng) } }),
  'restart-master': (prng, cluster) => ({ action: { kind: 'restart', on: jobManager(prng, cluster), downMs: downMs(prng) } }),
  'cut-master-from-coord': (prng, cluster, servers) => ({ action: { kind: 'partition', groups: [[jobManager(prng, cluster)], Array.from({ length: servers }, (_, i) => `server-${i + 1}`)], ways: prng.pick(['both', 'out', 'in']), forMs: forMs(prng) } }),
  'cut-master-from-server': (prng, cluster, servers) => ({ action: { kind: 'partition', groups: [[jobManager(prng, cluster)], [server(prng, servers)]], ways: 'both', forMs: forMs(prng) } }),
  /** Its session lives, but for a while it does not hear that somebody else leads. */
  'depose-master': (prng, _cluster, servers) => [
    { action: { kind: 'partition', groups: [['master'], Array.from({ length: servers }, (_, i) => `server-${i + 1}`)], ways: 'in', forMs: ms(100 + prng.float() * 700) } },
    { laterMs: ms(prng.float() * 60), action: { kind: 'depose' } },
  ],
  'isolate-master': (prng, cluster) => ({ action: { kind: 'partition', groups: [[jobManager(prng, cluster)]], ways: prng.pick(['both', 'out', 'in']), forMs: forMs(prng) } }),

  'kafka-outage': (prng) => ({ action: { kind: 'kafka-outage', forMs: forMs(prng) } }),
  'kafka-leader-move': (prng) => ({ action: { kind: 'kafka-leader-move', partition: prng.below(8), forMs: ms(prng.float() * 1500) } }),
  'kafka-lost-ack': (prng) => ({ when: prng.chance(0.5) ? {} : at(prng, ['pointer written', 'receive checkpointComplete', 'receive triggerCheckpoint']), action: { kind: 'kafka-lost-ack', times: prng.pick([1, 2, 5]) } }),
  'kafka-late-end': (prng) => ({ when: prng.chance(0.5) ? {} : at(prng, ['pointer written', 'receive checkpointComplete']), action: { kind: 'kafka-late-end', times: prng.pick([1, 3, 10]), lateMs: ms(prng.pick([5, 100, 1000]) * (0.5 + prng.float())) } }),
  'kafka-hanging-transaction': (prng) => ({ action: { kind: 'kafka-hanging-transaction', partition: prng.below(8), forMs: forMs(prng) } }),
  'kafka-retention': (prng) => ({ action: { kind: 'kafka-retention', partition: prng.below(8), keeps: 'checkpoint' } }),
  'cut-worker-from-kafka': (prng, cluster) => ({ action: { kind: 'partition', groups: [[taskManager(prng, cluster)], ['kafka']], ways: 'both', forMs: forMs(prng) } }),
  'poison-record': (prng) => ({ action: { kind: 'poison-record', partition: prng.below(8) } }),
  'more-partitions': (prng) => ({ action: { kind: 'more-partitions', partitions: prng.pick([1, 2]) } }),

  'storage-error': (prng, cluster) => ({ action: { kind: 'storage-error', on: prng.chance(0.5) ? 'any' : node(prng, cluster), what: prng.pick(['put', 'put', 'get', 'list', 'delete']), times: prng.pick([1, 2, 5]) } }),
  'storage-error-at-point': (prng) => ({ when: at(prng, ['receive ackCheckpoint', 'receive triggerCheckpoint', 'id reserved', 'epoch raised', 'receive deploy']), action: { kind: 'storage-error', on: 'any', what: prng.pick(['put', 'put', 'get']), times: prng.pick([1, 2, 5]) } }),
  'clock-jump': (prng, cluster) => ({ action: { kind: 'clock-jump', on: node(prng, cluster), byMs: prng.pick([-60_000, -500, 500, 60_000]) } }),
  'slow-storage': (prng) => ({ action: { kind: 'slow-storage', extraMs: prng.pick([10, 200, 2000]), forMs: forMs(prng) } }),
} satisfies Record<string, Recipe>;

export type ClusterRecipe = keyof typeof recipes;
export const CLUSTER_RECIPES = Object.keys(recipes) as readonly ClusterRecipe[];

/** Those of the ensemble that do not damage disks: what is tested here stands on it. */
const ENSEMBLE: readonly RecipeName[] = ['crash-leader', 'crash-any', 'restart', 'cut-leader', 'pause', 'power-failure', 'kill', 'slow-server'];

export interface ClusterMix {
  readonly recipes: readonly ClusterRecipe[];
  readonly ensemble: readonly RecipeName[];
}

export function drawCluster(scenario: string, prng: Prng, options: DrawOptions, mix: (prng: Prng) => ClusterMix): Plan {
  const base = draft(scenario, prng, options, { clients: 0, burst: 1, thinkMs: 1 });
  const cluster = drawClusterPlan(prng.fork('cluster'));
  const { recipes: names, ensemble } = mix(prng.fork('mix'));
  const faults = drawClusterFaults(prng.fork('cluster-faults'), names, cluster, options.servers, UNTIL_MS);
  const below = ensemble.length === 0 ? [] : drawFaults(prng.fork('faults'), ensemble, options.servers, FROM_MS, UNTIL_MS, { soonMs: 1500, apartMs: [1500, 5000], onElection: 0 });
  return { ...base, cluster, faults: [...faults, ...below], untilMs: UNTIL_MS };
}

function drawClusterPlan(prng: Prng): ClusterPlan {
  const taskManagers = prng.between(2, 4);
  const slots = prng.between(1, 3);
  const job = prng.pick(JOB_NAMES);
  // Windows that are open at the end are not put out: what they hold is for the job that goes on from there.
  const stops = job !== 'windows' && prng.chance(0.2);
  const jobManagers = prng.between(2, 3);
  const parallelism = prng.between(1, Math.min(4, taskManagers * slots));
  return {
    jobManagers, taskManagers, slots,
    job,
    partitions: prng.between(1, 6),
    records: prng.pick([40, 150, 400, 1200]),
    checkpointIntervalMs: prng.pick([100, 300, 1000]),
    parallelism,
    jobManagerSessionMs: prng.pick([1000, 2000]),
    taskManagerSessionMs: prng.pick([1000, 2000, 4000]),
    feedMs: UNTIL_MS - 1000,
    goneForGood: drawGone(prng.fork('gone'), jobManagers, taskManagers, Math.ceil(parallelism / slots)),
    ...(prng.chance(0.25) ? { coordRoughness: prng.pick([0.05, 0.2]) } : {}),
    ...(job === 'windows' ? drawLate(prng.fork('late')) : {}),
    ...(stops ? { stopAtMs: ms(2000 + prng.float() * (UNTIL_MS - 2000)) } : {}),
  };
}

function drawLate(prng: Prng): Pick<ClusterPlan, 'lateRecords'> {
  return prng.chance(0.5) ? { lateRecords: prng.pick([0.02, 0.1, 0.4]) } : {};
}

/** In a share of the seeds some do not come back; one job manager, and task managers with the slots that the job needs, do. */
function drawGone(prng: Prng, jobManagers: number, taskManagers: number, needed: number): string[] {
  if (!prng.chance(0.4)) return [];
  const names = (kind: string, of: number): string[] => shuffled(Array.from({ length: of }, (_, i) => `${kind}-${i + 1}`), prng);
  return [...names('jobmanager', jobManagers).slice(0, prng.below(jobManagers)), ...names('taskmanager', taskManagers).slice(0, prng.below(taskManagers - needed + 1))];
}

export function drawClusterFaults(prng: Prng, names: readonly ClusterRecipe[], cluster: ClusterPlan, servers: number, untilMs: number): FaultPlan[] {
  const faults: FaultPlan[] = [];
  const times = prng.fork('times');
  const which = prng.fork('which');
  let turn = 0;
  for (let atMs = FROM_MS + times.float() * 1500; atMs <= untilMs; ) {
    const name = which.pick(names);
    const recipe: Recipe = recipes[name];
    const drawn = recipe(prng.fork(`turn-${++turn}`), cluster, servers);
    // What comes in a new partition before it is read may be too late for its windows: that is no fault of the job.
    const isLate = name === 'more-partitions' && cluster.job === 'windows';
    for (const [i, { when, action, laterMs = 0 }] of (isLate ? [] : Array.isArray(drawn) ? (drawn as readonly Drawn[]) : [drawn as Drawn]).entries()) {
      faults.push({ id: i === 0 ? `c${turn}` : `c${turn}.${i + 1}`, when: { atMs: ms(atMs + laterMs), ...when }, action });
    }
    atMs += times.chance(0.4) ? times.float() * 500 : 400 + times.float() * 2500;
  }
  return faults;
}

const worker = CLUSTER_RECIPES.filter((name) => name.includes('worker') || name.startsWith('break-') || name === 'storage-error-at-point');
const master = CLUSTER_RECIPES.filter((name) => name.includes('master'));
const kafka = CLUSTER_RECIPES.filter((name) => name.includes('kafka') || name === 'poison-record' || name === 'more-partitions');

const storage = CLUSTER_RECIPES.filter((name) => name.includes('storage'));

/** Kinds of trouble that a user names. */
const mixes = { 'worker-loss': worker, 'master-loss': master, 'kafka-outage': kafka.filter((name) => name !== 'poison-record' && name !== 'more-partitions' && name !== 'kafka-retention' && name !== 'kafka-hanging-transaction'), 'storage-failure': storage };
export type ClusterFaults = keyof typeof mixes;
export const clusterFaultNames: readonly string[] = Object.keys(mixes);
export function mixOf(faults: readonly ClusterFaults[]): ClusterRecipe[] {
  return faults.flatMap((name) => mixes[name]);
}

export const clusterMixes = {
  'worker-loss': (prng) => ({ recipes: prng.chance(0.5) ? worker : shuffled(worker, prng).slice(0, 4), ensemble: [] }),
  'master-loss': (prng) => ({ recipes: [...(prng.chance(0.5) ? master : shuffled(master, prng).slice(0, 4)), ...(prng.chance(0.5) ? shuffled(worker, prng).slice(0, 2) : [])], ensemble: [] }),
  'kafka-outage': (prng) => ({ recipes: [...kafka, ...(prng.chance(0.5) ? shuffled(worker, prng).slice(0, 2) : [])], ensemble: [] }),
  'storage-failure': (prng) => ({ recipes: [...storage, ...storage, ...(prng.chance(0.5) ? shuffled(worker, prng).slice(0, 2) : [])], ensemble: [] }),
  orchestrator: (prng) => ({ recipes: shuffled(CLUSTER_RECIPES, prng).slice(0, prng.between(3, CLUSTER_RECIPES.length)), ensemble: prng.chance(0.6) ? shuffled(ENSEMBLE, prng).slice(0, prng.between(1, 4)) : [] }),
} satisfies Record<string, (prng: Prng) => ClusterMix>;
