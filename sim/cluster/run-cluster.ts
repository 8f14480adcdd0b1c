/**
 * One run of the orchestrator over an ensemble, as its plan says: a job reads a topic while faults strike (phase 1: safety); then everything is healed,
 * what is left of the input is written, and within a bound of virtual time the job must have put out exactly what its model says, run as assigned, and
 * end when it is asked to (phase 2: liveness).
 */
import { AssertionFailed } from '../../coord/base/assert.ts';
import { Scheduler } from '../faults/scheduler.ts';
import type { ClusterPlan, FaultPlan, Plan } from '../plan/plan.ts';
import type { Outcome, RunOptions, RunResult } from '../run/result.ts';
import { ProcessDied } from '../world/process.ts';
import { Violation, World } from '../world/world.ts';
import { Cluster } from './cluster.ts';
import { ClusterJudge } from './cluster-judge.ts';
import { Feed } from './feed.ts';
import { INPUT, OUTPUT, simJobs, type SimJob } from './jobs.ts';
import { NodesArena } from './nodes-arena.ts';
import { recordTasks } from './record-tasks.ts';
import { transactionalSink } from './transactional-sink.ts';

/** Sessions that expire, restarts with their delays, transactions that time out. */
const LIVENESS_BOUND_MS = 60_000;
const STOP_BOUND_MS = 30_000;
/** Restarts after everything has healed: more is flapping. */
const RESTARTS_MAX = 6;
/** Longer than any outage of a run: a transaction that times out between its two phases is lost, whoever holds it (Kafka's own limit). */
const TRANSACTION_TIMEOUT_MS = 40_000;
const OUTPUT_PARTITIONS = 2;

export async function runClusterPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  if (plan.cluster === undefined) throw new RangeError('the plan has no cluster');
  const run = new ClusterRun(plan, plan.cluster, options);
  const stray = (error: unknown): void => run.stray(error);
  process.on('unhandledRejection', stray);
  process.on('uncaughtException', stray);
  try {
    return run.result(await run.run());
  } catch (error) {
    return run.result('crash', error);
  } finally {
    process.off('unhandledRejection', stray);
    process.off('uncaughtException', stray);
  }
}

class ClusterRun {
  readonly #plan: Plan;
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #job: SimJob;
  readonly #prepared: ReturnType<Cluster['prepare']>;
  readonly #feed: Feed;
  readonly #arena: NodesArena;
  readonly #scheduler: Scheduler;
  readonly #judge: ClusterJudge;
  readonly #struck: Record<string, number> = {};
  #crash: unknown = null;
  /** Whose doing the scheduler is being told of. */
  #who: string | null = null;

  constructor(plan: Plan, clusterPlan: ClusterPlan, options: RunOptions) {
    this.#plan = plan;
    const world = (this.#world = new World(`${plan.scenario}/${plan.seed}`, plan.calm));
    world.onTrace = options.onTrace ?? null;
    world.recorder = options.recorder ?? null;
    const job = (simJobs as Readonly<Record<string, SimJob>>)[clusterPlan.job];
    if (job === undefined) throw new RangeError(`there is no job "${clusterPlan.job}"`);
    this.#job = job;
    const cluster = (this.#cluster = new Cluster(world, plan, clusterPlan));
    cluster.kafka.createTopic(INPUT, clusterPlan.partitions);
    cluster.kafka.createTopic(OUTPUT, OUTPUT_PARTITIONS);
    this.#feed = new Feed(world, cluster.kafka, clusterPlan);
    this.#arena = new NodesArena(cluster, plan.untilMs);
    const { arena } = cluster.ensemble;
    const scheduler = (this.#scheduler = new Scheduler(world, (who, sid) => (sid === NODE ? this.#isMeant(who) : arena.isMeant(who, sid))));
    scheduler.onFrames = (wanted) => {
      cluster.ensemble.network.onMessage = wanted ? (what, from, to, message) => scheduler.event(`${what} ${message.type}`, what === 'send' ? from : to, () => ({ ...message }), what === 'send' ? to : from) : null;
    };
    for (const server of cluster.ensemble.servers) server.onEvent = (name, fields) => scheduler.event(name, server.sid, () => fields);
    const sink = transactionalSink({ world, turns: cluster.turns, kafka: cluster.kafka, transactions: cluster.transactions }, { topic: OUTPUT, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS });
    const definition = job.define({ kafka: cluster.kafka, sink, poisoned: this.#arena.poisoned }, {
      parallelism: clusterPlan.parallelism, maxParallelism: 16,
      checkpoint: { intervalMs: clusterPlan.checkpointIntervalMs, timeoutMs: 4000 },
      restart: { type: 'exponential-delay', initialMs: 100, maxMs: 2000, multiplier: 2, resetAfterMs: 10_000 },
    });
    this.#prepared = cluster.prepare(definition);
    this.#judge = new ClusterJudge({
      cluster, spec: this.#prepared.spec, guarantee: job.guarantee,
      fail: (invariant, sentence, related) => cluster.ensemble.judge.fail(invariant, sentence, related),
      onEvent: (name, who, fields) => {
        this.#who = who;
        scheduler.event(name, NODE, () => fields);
      },
    });
    for (const node of cluster.nodes) node.onStart = () => this.#judge.began(node.name);
    if (world.recorder !== null) recordTasks(world.recorder, cluster);
  }

  /** Who is named, and did what the scheduler is told of now. */
  #isMeant(who: string): boolean {
    if (who === 'any') return true;
    if (who === 'master') return this.#cluster.master?.name === this.#who;
    if (who === 'worker') return this.#who?.startsWith('taskmanager-') === true;
    return who === this.#who;
  }

  get #broken(): boolean {
    return this.#cluster.ensemble.judge.violation !== null || this.#crash !== null;
  }

  async run(): Promise<Outcome> {
    const cluster = this.#cluster;
    const broken = (): boolean => this.#broken;
    for (const fault of this.#plan.faults) this.#plant(fault);
    cluster.start();
    this.#feed.start();
    cluster.submit(this.#prepared);
    await this.#world.runAsync(this.#plan.untilMs, broken);
    if (broken()) return this.#outcome();

    this.#scheduler.stop();
    cluster.ensemble.network.healAll();
    cluster.ensemble.arena.heal(cluster.ensemble.servers);
    this.#arena.heal();
    this.#feed.finish();
    await this.#converge();
    return this.#broken ? this.#outcome() : 'ok';
  }

  #outcome(): Outcome {
    if (this.#crash !== null) throw this.#crash;
    return this.#cluster.ensemble.judge.violation?.invariant === 'Liveness' ? 'liveness' : 'safety';
  }

  async #converge(): Promise<void> {
    const world = this.#world;
    const judge = this.#judge;
    const { jobId } = this.#prepared.spec;
    const expected = this.#job.expected(this.#feed.records);
    const restarts = judge.status.restarts;
    let lookedAtMs = -Infinity;
    const done = (): boolean => {
      if (this.#broken) return true;
      if (world.nowMs - lookedAtMs < 50) return false;
      lookedAtMs = world.nowMs;
      judge.readOutput();
      return judge.status.status === 'RUNNING' && judge.output.holds(expected);
    };
    await world.runAsync(world.nowMs + LIVENESS_BOUND_MS, done);
    if (this.#broken) return;
    const { ensemble } = this.#cluster;
    const unread = this.#cluster.kafka.topic(INPUT).findIndex(({ log }, i) => judge.checkpoints.positionOf(`${INPUT}-${i}`) < log.nextOffset);
    if (!judge.output.holds(expected)) {
      if (unread >= 0) ensemble.judge.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed partition ${unread} of the input is not read: the job is ${judge.status.status}, ${this.#why()}`);
      else judge.output.settled(expected);
    }
    if (judge.status.status !== 'RUNNING') ensemble.judge.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed the job is ${judge.status.status}: ${this.#why()}`);
    else if (judge.status.restarts - restarts > RESTARTS_MAX) ensemble.judge.fail('Flapping', `the job restarted ${judge.status.restarts - restarts} times after everything had healed: ${this.#why()}`);
    if (this.#broken) return;

    this.#cluster.stopJob(jobId);
    await world.runAsync(world.nowMs + STOP_BOUND_MS, () => this.#broken || judge.status.status === 'FINISHED');
    if (this.#broken) return;
    if (judge.status.status !== 'FINISHED') return void ensemble.judge.fail('Liveness', `${STOP_BOUND_MS} ms after it was asked to stop the job is ${judge.status.status}: ${this.#why()}`);
    await world.runAsync(world.nowMs + 500);
    judge.readOutput();
    judge.output.settled(expected);
    judge.settled();
  }

  #why(): string {
    const failure = this.#judge.record?.failures[0];
    return failure === undefined ? 'no failure is noted' : `${failure.executionId ?? 'the job'}: ${failure.message}`;
  }

  #plant({ id, when, action }: FaultPlan): void {
    const prng = this.#world.streams(`fault/${id}`);
    this.#scheduler.when(when, (place) => {
      const struck = this.#arena.act(action, { id, prng, place, who: this.#who });
      if (struck.length === 0) return;
      this.#struck[action.kind] = (this.#struck[action.kind] ?? 0) + 1;
      const world = this.#world;
      world.trace('nemesis', action.kind, { id, on: struck.join(' ') });
      const lastsMs = 'forMs' in action ? action.forMs : 'downMs' in action ? action.downMs ?? Infinity : 0;
      world.recorder?.fault(id, action.kind, struck, world.nowMs, Math.min(world.nowMs + lastsMs, this.#plan.untilMs), `${id} ${action.kind}`);
      this.#scheduler.happened(id);
    });
  }

  /** What nobody has handled: an assertion of the product, or what the code of a job has let fall. */
  stray(error: unknown): void {
    if (error instanceof ProcessDied) return;
    const life = this.#cluster.turns.current;
    const node = this.#cluster.nodes.find(({ machine }) => machine === life?.machine);
    if (!(error instanceof AssertionFailed) && (life?.alive !== true || node?.stray(error) === true)) return;
    this.#crash ??= error;
  }

  result(kind: Outcome, error: unknown = null): RunResult {
    const world = this.#world;
    const { judge } = this.#cluster.ensemble;
    const violation = kind === 'crash' ? crashed(error) : judge.violation;
    if (violation !== null) world.recorder?.violation(world.nowMs, violation.invariant, violation.message, null);
    return {
      kind, violation, traceHash: world.traceHash, virtualMs: world.nowMs, events: world.events, faults: this.#struck,
      acked: this.#judge.output.distinct, elections: judge.counts.elections, expired: judge.counts.expired, longestElectionMs: 0, marks: world.marks.counts, recent: world.recent,
    };
  }
}

/** The number by which the scheduler knows job managers and task managers: which of them is meant, their names say. */
const NODE = -1;

function crashed(error: unknown): Violation {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const violation = new Violation(name, message);
  if (stack !== undefined) violation.stack = stack;
  return violation;
}
