/**
 * One run of the orchestrator over an ensemble, as its plan says: a job reads a topic while faults strike (phase 1: safety); then everything is healed,
 * what is left of the input is written, and within a bound of virtual time the job must have put out exactly what its model says, run as assigned, and
 * end when it is asked to (phase 2: liveness).
 */
import type { ClusterPlan, Plan } from '../plan/plan.ts';
import type { Outcome, RunOptions, RunResult } from '../run/result.ts';
import { thrown } from '../run/thrown.ts';
import type { Violation } from '../world/world.ts';
import { ClusterDriver } from './cluster-driver.ts';
import { Feed } from './feed.ts';
import { INPUT, OUTPUT, simJobs, type SimJob } from './jobs.ts';
import { transactionalSink } from './transactional-sink.ts';

/** Sessions that expire, restarts with their delays, transactions that time out. */
const LIVENESS_BOUND_MS = 60_000;
const STOP_BOUND_MS = 30_000;
/** Longer than any outage of a run: a transaction that times out between its two phases is lost, whoever holds it (Kafka's own limit). */
const TRANSACTION_TIMEOUT_MS = 40_000;
const OUTPUT_PARTITIONS = 2;
const ASK_AGAIN_MS = 100;
/** How a job says that it must fail, since something is lost: a transaction between its two phases, or records that it has not read. */
const LOSSES = ['cannot be committed', 'is outside of the log'];

export async function runClusterPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  if (plan.cluster === undefined) throw new RangeError('the plan has no cluster');
  const run = new ClusterRun(plan, plan.cluster, options);
  try {
    return run.result(await run.driver.guarded(() => run.run()));
  } catch (error) {
    const { kind, violation } = thrown(error);
    return run.result(kind, violation);
  }
}

class ClusterRun {
  readonly driver: ClusterDriver;
  readonly #plan: Plan;
  readonly #job: SimJob;
  readonly #feed: Feed;

  constructor(plan: Plan, clusterPlan: ClusterPlan, options: RunOptions) {
    this.#plan = plan;
    const job = (simJobs as Readonly<Record<string, SimJob>>)[clusterPlan.job];
    if (job === undefined) throw new RangeError(`there is no job "${clusterPlan.job}"`);
    this.#job = job;
    const driver = (this.driver = new ClusterDriver(plan, clusterPlan, options));
    const { world, cluster, arena } = driver;
    cluster.kafka.createTopic(INPUT, clusterPlan.partitions);
    cluster.kafka.createTopic(OUTPUT, OUTPUT_PARTITIONS);
    this.#feed = new Feed(world, cluster.kafka, clusterPlan, (result) => driver.judge.output.has(result));
    const sink = transactionalSink({ world, turns: cluster.turns, kafka: cluster.kafka, transactions: cluster.transactions }, { topic: OUTPUT, transactionTimeoutMs: clusterPlan.transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS });
    const definition = job.define({ kafka: cluster.kafka, sink, files: cluster.files.files, poisoned: arena.poisoned }, {
      parallelism: clusterPlan.parallelism, maxParallelism: 16,
      checkpoint: { intervalMs: clusterPlan.checkpointIntervalMs, timeoutMs: 4000 },
      restart: { type: 'exponential-delay', initialMs: 100, maxMs: 2000, multiplier: 2, resetAfterMs: 10_000 },
    });
    driver.prepare(cluster.prepare(definition), job.guarantee);
  }

  async run(): Promise<Outcome> {
    const { driver } = this;
    driver.start();
    this.#feed.start();
    const { stopAtMs } = this.#plan.cluster ?? {};
    if (stopAtMs !== undefined) driver.world.schedule(stopAtMs, () => this.#askToStop());
    await driver.world.runAsync(this.#plan.untilMs, () => driver.broken);
    if (driver.broken) return driver.outcome();
    driver.heal();
    this.#feed.finish();
    if (stopAtMs === undefined) await this.#converge();
    else await this.#ends(LIVENESS_BOUND_MS);
    return driver.outcome();
  }

  /** Once the job is there. */
  #askToStop(): void {
    const { cluster, world, jobId } = this.driver;
    if (cluster.submitted) cluster.stopJob(jobId);
    else world.schedule(ASK_AGAIN_MS, () => this.#askToStop());
  }

  async #converge(): Promise<void> {
    const { driver } = this;
    const { world, judge, cluster } = driver;
    const expected = this.#job.expected(this.#feed.records);
    judge.status.healed();
    let lookedAtMs = -Infinity;
    const done = (): boolean => {
      if (driver.broken) return true;
      if (world.nowMs - lookedAtMs < 50) return false;
      lookedAtMs = world.nowMs;
      judge.readOutput();
      return judge.status.status === 'RUNNING' && judge.output.holds(expected);
    };
    await world.runAsync(world.nowMs + LIVENESS_BOUND_MS, () => done() || judge.status.status === 'FAILED');
    if (driver.broken) return;
    if (judge.status.status === 'FAILED' && this.#plan.cluster?.mayLose === true && judge.record?.failures.some(({ message }) => LOSSES.some((loss) => message.includes(loss))) === true) return;
    const unread = cluster.kafka.topic(INPUT).findIndex(({ log }, i) => judge.checkpoints.positionOf(`${INPUT}-${i}`) < log.nextOffset);
    if (!judge.output.holds(expected)) {
      if (unread >= 0) driver.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed partition ${unread} of the input is not read: the job is ${judge.status.status}, ${driver.why}`);
      else judge.output.settled(expected, this.#job.possible(this.#feed.records));
    }
    if (judge.status.status !== 'RUNNING') driver.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed the job is ${judge.status.status}: ${driver.why}`);
    if (driver.broken) return;

    cluster.stopJob(driver.jobId);
    await this.#ends(STOP_BOUND_MS);
  }

  /** It has been asked to stop: it ends, and its output is that of what its last checkpoint covers. */
  async #ends(boundMs: number): Promise<void> {
    const { driver } = this;
    const { world, judge } = driver;
    // What never ran has nothing to checkpoint, and is cancelled.
    const ended = (): boolean => judge.status.status === 'FINISHED' || (judge.status.status === 'CANCELED' && judge.record?.attempt === 0);
    await world.runAsync(world.nowMs + boundMs, () => driver.broken || ended());
    if (driver.broken) return;
    if (!ended()) return driver.fail('Liveness', `${boundMs} ms after it was asked to stop, or everything healed, the job is ${judge.status.status}: ${driver.why}`);
    await world.runAsync(world.nowMs + 500);
    judge.readOutput();
    const read = this.#feed.records.filter(({ id }) => {
      const [partition, offset] = id.split('/');
      return Number(offset) < judge.checkpoints.positionOf(`${INPUT}-${partition}`);
    });
    judge.output.settled(this.#job.expected(read), this.#job.possible(this.#feed.records));
    judge.settled();
    this.#markLate();
  }

  /** How often it mattered. */
  #markLate(): void {
    const { world, judge } = this.driver;
    const late = this.#feed.records.filter(({ inTime }) => inTime !== 'yes');
    const counted = late.filter((record) => record.inTime === 'perhaps' && this.#job.possible([record]).every((result) => judge.output.has(result)));
    world.marks.hit('late record counted', counted.length);
    world.marks.hit('late record dropped', late.length - counted.length);
  }

  result(kind: Outcome, fromThrown: Violation | null = null): RunResult {
    const { world, cluster, struck, judge } = this.driver;
    const { counts, violation: found } = cluster.ensemble.judge;
    const violation = fromThrown ?? found;
    if (violation !== null) world.recorder?.violation(world.nowMs, violation.invariant, violation.message, null);
    return {
      kind, violation, traceHash: world.traceHash, virtualMs: world.nowMs, events: world.events, faults: struck,
      acked: judge.output.distinct, elections: counts.elections, expired: counts.expired, longestElectionMs: this.driver.longestWithoutMasterMs, marks: world.marks.counts, recent: world.recent,
    };
  }
}
