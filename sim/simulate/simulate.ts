/**
 * simulate(): a user's own job on a simulated cluster, in any test runner. One seed is one run: an ensemble, job managers and task managers run the code
 * that ships, the job reads the given records and writes its output while faults strike; then all heals, and the job must end with the right output.
 */
import { DreyError } from '../../coord/base/errors.ts';
import { Prng } from '../../coord/base/prng.ts';
import type { JobDefinition, JobOptions } from '../../orchestrator/api/job.ts';
import type { DeliveryGuarantee } from '../../orchestrator/api/sink.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import { buildGraph } from '../../orchestrator/graph/build-graph.ts';
import { ClusterDriver } from '../cluster/cluster-driver.ts';
import { drawClusterFaults, mixOf, type ClusterFaults } from '../cluster/draw-cluster.ts';
import { quietPlan } from '../plan/draft.ts';
import type { ClusterPlan, Plan } from '../plan/plan.ts';
import { checkOptions } from './check-options.ts';
import { simulatedEnds, type SimulatedInput } from './simulated-job.ts';

export type { SimulatedInput };
export type SimulatedFaults = ClusterFaults;

export interface SimulateOptions {
  /** One seed, one run. */
  readonly seed: number | string;
  /** What goes wrong; nothing without it. */
  readonly faults?: readonly SimulatedFaults[];
  /** The records of the job's source; with several sources, by their names or uids. */
  readonly input: SimulatedInput;
  readonly params?: Readonly<Record<string, Json>>;
  /**
   * Looks at the committed output, and throws if it is wrong; `bySink` has it by the sinks' names. Without it the output must be, in any order, what
   * the same seed puts out without faults (of an at-least-once sink: at least that).
   */
  readonly expect?: (output: readonly Json[], bySink: Readonly<Record<string, readonly Json[]>>) => void | Promise<void>;
  readonly servers?: number;
  readonly jobManagers?: number;
  readonly taskManagers?: number;
  /** Of each task manager; without it as many as the job needs when one of them is lost. */
  readonly slots?: number;
  /** Partitions of each source. */
  readonly partitions?: number;
  /** Virtual ms over which the records come in, and faults strike. Checkpoints are at most an eighth of it apart, whatever the job says. Default 8000. */
  readonly forMs?: number;
  /** Sees what happens, line by line. */
  readonly trace?: (line: string) => void;
}

export interface Simulated {
  readonly seed: string;
  readonly output: readonly Json[];
  readonly bySink: Readonly<Record<string, readonly Json[]>>;
  /** Of the job's own sinks, by name. */
  readonly guarantees: Readonly<Record<string, DeliveryGuarantee>>;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** Times that the job restarted. */
  readonly restarts: number;
  /** Completed checkpoints. */
  readonly checkpoints: number;
  readonly virtualMs: number;
  /** Equal for two runs of the same seed. */
  readonly traceHash: string;
}

export class SimulationFailed extends DreyError {
  /** The first invariant that does not hold. */
  readonly invariant: string;
  readonly seed: string;

  constructor(invariant: string, message: string, seed: string, options: { readonly cause?: unknown }) {
    super('SIM_FAILED', message, options);
    this.name = 'SimulationFailed';
    this.invariant = invariant;
    this.seed = seed;
  }
}

const FOR_MS = 8000;
/** Checkpoints that time out, restarts that wait for their delay: a minute each, unless the job says otherwise. */
const HEALED_BOUND_MS = 300_000;
const RECENT_LINES = 12;
/** While records come in, at least: a job whose own interval is longer than that would only ever begin again from its start. */
const CHECKPOINTS_MIN = 8;

/** Throws DreyError SIM_OPTIONS, SIM_INPUT or SIM_TOO_SMALL for what cannot be run, and SimulationFailed, whose message has the cause, the seed and how to see it again. */
export async function simulate(job: JobDefinition, options: SimulateOptions): Promise<Simulated> {
  checkOptions(job, options);
  const result = await run(job, options, options.faults ?? []);
  try {
    if (options.expect !== undefined) await options.expect(result.output, result.bySink);
    else if ((options.faults?.length ?? 0) > 0) compare(result, await run(job, options, []));
  } catch (error) {
    if (error instanceof SimulationFailed) throw error;
    throw failed('Expectation', error instanceof Error ? error.message : String(error), options, result.faults, [], error);
  }
  return result;
}

/** One world at a time: while it runs, nothing real can be reached in this process. Test runners start tests of one file together. */
let before: Promise<unknown> = Promise.resolve();

/** What other tests of this process do in microtasks, begun at the same time, would otherwise run within the world and be taken for its own. */
function othersHaveBegun(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function run(job: JobDefinition, options: SimulateOptions, faults: readonly SimulatedFaults[]): Promise<Simulated> {
  const result = before.then(othersHaveBegun).then(() => runAlone(job, options, faults));
  before = result.catch(() => undefined);
  return result;
}

async function runAlone(job: JobDefinition, options: SimulateOptions, faults: readonly SimulatedFaults[]): Promise<Simulated> {
  const { servers = 3, partitions = 3, forMs = FOR_MS, trace } = options;
  const seed = String(options.seed);
  const recent: string[] = [];
  const plan = planOf(job, options, faults, seed, servers, partitions, forMs);
  const driver = new ClusterDriver(plan, plan.cluster as ClusterPlan, {
    onTrace: ({ atMs, who, what }) => {
      if (who.startsWith('server-')) return;
      const line = `${atMs.toFixed(1).padStart(9)} ms  ${who.padEnd(14)} ${what}`;
      recent.push(line);
      if (recent.length > RECENT_LINES) recent.shift();
      trace?.(line);
    },
  });
  const { cluster, world } = driver;
  const ends = simulatedEnds({ ...job, options: checkpointed(job.options, forMs) }, options.params ?? {}, options.input, cluster, partitions);
  driver.prepare(cluster.prepare(ends.definition, options.params ?? {}), null);
  for (const topic of ends.inputs.keys()) cluster.kafka.createTopic(topic, partitions);
  for (const topic of ends.outputs.keys()) cluster.kafka.createTopic(topic, 1);
  for (const [topic, records] of ends.inputs) feed(driver, topic, records, forMs);
  const { judge } = driver;
  const ended = (): boolean => driver.broken || ['FINISHED', 'FAILED', 'CANCELED'].includes(judge.status.status);
  try {
    await driver.guarded(async () => {
      driver.start();
      await world.runAsync(forMs, ended);
      if (!ended()) {
        driver.heal();
        await world.runAsync(world.nowMs + HEALED_BOUND_MS, ended);
      }
      if (!driver.broken && judge.status.status === 'FINISHED') await world.runAsync(world.nowMs + 500, () => driver.broken);
    });
    driver.outcome();
  } catch (error) {
    throw failed((error as Error).name, (error as Error).message, options, driver.struck, recent, error);
  }
  const { violation } = cluster.ensemble.judge;
  if (violation !== null) throw failed(violation.invariant, violation.message, options, driver.struck, recent, violation);
  const { status } = judge.status;
  if (status === 'FAILED') throw failed('JobFailed', `the job FAILED: ${driver.why}`, options, driver.struck, recent, judge.record?.failures[0]?.stack);
  if (status !== 'FINISHED') throw failed('Liveness', `${HEALED_BOUND_MS} virtual ms after everything had healed the job is ${status}: ${driver.why}`, options, driver.struck, recent, judge.record?.failures[0]?.stack);
  const bySink: Record<string, readonly Json[]> = {};
  for (const [topic, { name }] of ends.outputs) bySink[name] = cluster.kafka.topic(topic).flatMap(({ log }) => log.committed().map(({ value }) => JSON.parse(value) as Json));
  return {
    seed, output: Object.values(bySink).flat(), bySink, guarantees: Object.fromEntries([...ends.outputs.values()].map(({ name, guarantee }) => [name, guarantee])), faults: driver.struck, restarts: judge.status.restarts, checkpoints: judge.checkpoints.completed, virtualMs: world.nowMs, traceHash: world.traceHash,
  };
}

function planOf(job: JobDefinition, options: SimulateOptions, faults: readonly SimulatedFaults[], seed: string, servers: number, partitions: number, forMs: number): Plan {
  const { jobManagers = 2, taskManagers = 3 } = options;
  const parallelism = Math.max(...buildGraph(job, options.params ?? {}).graph.vertices.map((vertex) => vertex.parallelism));
  // The job has room when one of them is lost.
  const { slots = Math.ceil(parallelism / Math.max(1, taskManagers - 1)) } = options;
  if (slots * taskManagers < parallelism) throw new DreyError('SIM_TOO_SMALL', `the job needs ${parallelism} slots, ${taskManagers} task managers of ${slots} have ${slots * taskManagers}`);
  const cluster: ClusterPlan = {
    jobManagers, taskManagers, slots, job: job.name, partitions, records: 0, checkpointIntervalMs: 0, parallelism, jobManagerSessionMs: 1500, taskManagerSessionMs: 2000, feedMs: forMs,
  };
  const plan = quietPlan(`simulate/${job.name}`, { seed, servers }, 0);
  const prng = new Prng(`simulate/${seed}`);
  return { ...plan, cluster, untilMs: forMs, faults: faults.length === 0 ? [] : drawClusterFaults(prng, mixOf(faults), cluster, servers, forMs) };
}

function checkpointed(options: JobOptions, forMs: number): JobOptions {
  const longestMs = Math.max(10, Math.floor(forMs / CHECKPOINTS_MIN));
  const { intervalMs = Infinity } = options.checkpoint ?? {};
  return intervalMs <= longestMs ? options : { ...options, checkpoint: { ...options.checkpoint, intervalMs: longestMs } };
}

/** The records come in bit by bit. */
function feed({ world, cluster }: ClusterDriver, topic: string, partitions: readonly (readonly unknown[])[], forMs: number): void {
  const prng = world.streams(`input/${topic}`);
  for (const [partition, records] of partitions.entries()) {
    for (const [i] of records.entries()) {
      // All of them before the end, so that a job whose input is short is met by faults, too.
      const atMs = ((i + prng.float()) / records.length) * forMs * 0.9;
      world.schedule(atMs, () => void cluster.kafka.produce(topic, partition, [{ key: null, value: '', timestampMs: 1_700_000_000_000 + Math.floor(world.nowMs) }]), false);
    }
  }
}

/** An at-least-once sink may say again what it said. */
function compare({ bySink, guarantees }: Simulated, calm: Simulated): void {
  for (const [sink, values] of Object.entries(bySink)) {
    const counts = new Map<string, number>();
    const repeats = guarantees[sink] === 'at-least-once';
    for (const value of calm.bySink[sink] ?? []) counts.set(JSON.stringify(value), (counts.get(JSON.stringify(value)) ?? 0) + 1);
    for (const value of values) counts.set(JSON.stringify(value), (counts.get(JSON.stringify(value)) ?? 0) - 1);
    const known = new Set((calm.bySink[sink] ?? []).map((value) => JSON.stringify(value)));
    for (const [value, n] of counts) if (n > 0 || (n < 0 && !(repeats && known.has(value)))) throw new Error(`sink ${sink}: ${value} comes ${Math.abs(n)} times ${n > 0 ? 'less' : 'more'} often than without faults`);
  }
}

function failed(invariant: string, message: string, options: SimulateOptions, faults: Readonly<Record<string, number>>, recent: readonly string[], cause: unknown): SimulationFailed {
  const struck = Object.entries(faults).map(([kind, n]) => `${kind} ${n}`).join(', ');
  const lines = [
    `${invariant}: ${message}`,
    `  seed ${options.seed}, faults that struck: ${struck === '' ? 'none' : struck}`,
    `  replay: simulate(job, { …, seed: ${JSON.stringify(options.seed)}, trace: console.log })`,
    ...(recent.length === 0 ? [] : ['  the last that happened:', ...recent.map((line) => `  ${line}`)]),
  ];
  return new SimulationFailed(invariant, lines.join('\n'), String(options.seed), { cause });
}
