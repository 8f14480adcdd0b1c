/** Drives a simulated cluster through a plan: lets its faults strike when their moments come, shows the judges what happens, and notices what nobody handles. */
import { AssertionFailed } from '../../coord/base/assert.ts';
import type { PreparedJob } from '../../orchestrator/runtime/submit-job.ts';
import { Scheduler } from '../faults/scheduler.ts';
import type { Fail } from '../judges/fail.ts';
import type { ClusterPlan, FaultPlan, Plan } from '../plan/plan.ts';
import type { Outcome, RunOptions } from '../run/result.ts';
import { ProcessDied } from '../world/process.ts';
import { realSetImmediate } from '../world/guard.ts';
import { World } from '../world/world.ts';
import { Cluster } from './cluster.ts';
import { ClusterJudge } from './cluster-judge.ts';
import { INPUT } from './jobs.ts';
import { Mastership } from './mastership.ts';
import { NodesArena } from './nodes-arena.ts';
import { recordTasks } from './record-tasks.ts';
import { whoWaits } from './who-waits.ts';

/** The number by which the scheduler knows job managers and task managers: which of them is meant, their names say. */
const NODE = -1;

export class ClusterDriver {
  readonly world: World;
  readonly cluster: Cluster;
  readonly arena: NodesArena;
  readonly struck: Record<string, number> = {};
  readonly #plan: Plan;
  readonly #scheduler: Scheduler;
  #job: PreparedJob | null = null;
  #judge: ClusterJudge | null = null;
  #mastership: Mastership | null = null;
  #over = false;
  #crash: { readonly error: unknown } | null = null;
  /** Whose doing the scheduler is being told of. */
  #who: string | null = null;

  constructor(plan: Plan, clusterPlan: ClusterPlan, options: RunOptions) {
    this.#plan = plan;
    const world = (this.world = new World(`${plan.scenario}/${plan.seed}`, plan.calm));
    world.onTrace = options.onTrace ?? null;
    world.recorder = options.recorder ?? null;
    const cluster = (this.cluster = new Cluster(world, plan, clusterPlan));
    this.arena = new NodesArena(cluster, plan.untilMs);
    const { arena, network, servers } = cluster.ensemble;
    const scheduler = (this.#scheduler = new Scheduler(world, (who, sid) => (sid === NODE ? this.#isMeant(who) : arena.isMeant(who, sid))));
    scheduler.onFrames = (wanted) => {
      network.onMessage = wanted ? (what, from, to, type, fieldsOf) => scheduler.event(`${what} ${type}`, what === 'send' ? from : to, fieldsOf, what === 'send' ? to : from) : null;
    };
    for (const server of servers) server.onEvent = (name, fieldsOf) => scheduler.event(name, server.sid, fieldsOf);
    if (world.recorder !== null) recordTasks(world.recorder, cluster);
  }

  /** The job that will be submitted. `guarantee` null: others look at its output. */
  prepare(job: PreparedJob, guarantee: 'exactly-once' | 'at-least-once' | null): void {
    const { cluster } = this;
    this.#job = job;
    const judge = (this.#judge = new ClusterJudge({
      cluster, spec: job.spec, guarantee, fail: this.fail,
      onEvent: (name, who, fields) => {
        this.#who = who;
        this.#scheduler.event(name, NODE, () => fields);
      },
    }));
    this.#mastership = new Mastership(cluster, () => judge.fencing.epoch);
    this.arena.positionOf = (partition) => judge.checkpoints.positionOf(`${INPUT}-${partition}`);
    for (const node of cluster.nodes) node.onStart = () => judge.began(node.name);
  }

  get judge(): ClusterJudge {
    if (this.#judge === null) throw new TypeError('no job has been prepared');
    return this.#judge;
  }
  /** Virtual ms, between two masters. */
  get longestWithoutMasterMs(): number {
    return this.#mastership?.longestWithoutMs ?? 0;
  }
  get jobId(): string {
    return this.#job?.spec.jobId ?? '';
  }
  get broken(): boolean {
    return this.cluster.ensemble.judge.violation !== null || this.#crash !== null;
  }
  readonly fail: Fail = (invariant, sentence, related) => this.cluster.ensemble.judge.fail(invariant, sentence, related);

  /** Throws what crashed. */
  outcome(): Outcome {
    if (this.#crash !== null) throw this.#crash.error;
    const { violation } = this.cluster.ensemble.judge;
    return violation === null ? 'ok' : violation.invariant === 'Liveness' ? 'liveness' : 'safety';
  }

  /** The newest failure of the job, and who waits for what: for people. */
  get why(): string {
    const failure = this.judge.record?.failures[0];
    return `${failure === undefined ? 'no failure is noted' : `${failure.executionId ?? 'the job'}: ${failure.message}`}; ${whoWaits(this.cluster)}`;
  }

  start(): void {
    for (const fault of this.#plan.faults) this.#plant(fault);
    this.cluster.start();
    if (this.#job !== null) this.cluster.submit(this.#job);
  }

  /** Faults are over, and everything that is broken works again. */
  heal(): void {
    const { ensemble } = this.cluster;
    this.#scheduler.stop();
    ensemble.network.healAll();
    ensemble.arena.heal(ensemble.servers);
    this.arena.heal(this.#plan.cluster?.goneForGood ?? []);
    this.cluster.healClients();
  }

  /** Who is named, and did what the scheduler is told of now. */
  #isMeant(who: string): boolean {
    if (who === 'any') return true;
    if (who === 'master') return this.cluster.master?.name === this.#who;
    if (who === 'worker') return this.#who?.startsWith('taskmanager-') === true;
    return who === this.#who;
  }

  #plant({ id, when, action, mark }: FaultPlan): void {
    const { world } = this;
    const prng = world.streams(`fault/${id}`);
    this.#scheduler.when(when, (place) => {
      const struck = this.arena.act(action, { id, prng, place, who: this.#who });
      if (struck.length === 0) return;
      if (mark !== undefined) world.marks.hit(mark);
      this.struck[action.kind] = (this.struck[action.kind] ?? 0) + 1;
      world.trace('nemesis', action.kind, { id, on: struck.join(' ') });
      const lastsMs = 'forMs' in action ? action.forMs : 'downMs' in action ? action.downMs ?? Infinity : 0;
      world.recorder?.fault(id, action.kind, struck, world.nowMs, Math.min(world.nowMs + lastsMs, this.#plan.untilMs), `${id} ${action.kind}`);
      this.#scheduler.happened(id);
    });
  }

  /** Runs `fn` with an eye on what promises of the simulated processes let fall. */
  async guarded<T>(fn: () => Promise<T>): Promise<T> {
    const stray = (error: unknown): void => this.#stray(error);
    process.on('unhandledRejection', stray);
    process.on('uncaughtException', stray);
    let result: T;
    try {
      result = await fn();
    } finally {
      // What is let fall at the very end is reported in the runtime's next turn: it belongs to this world, which is over, and not to the next.
      this.#over = true;
      await new Promise((resolve) => realSetImmediate(resolve));
      process.off('unhandledRejection', stray);
      process.off('uncaughtException', stray);
    }
    // A judge may have seen something first.
    if (this.#crash !== null && this.cluster.ensemble.judge.violation === null) throw this.#crash.error;
    return result;
  }

  /** What nobody has handled: an assertion of the product, or what the code of a job has let fall. It is reported right behind the event of whoever let it fall. */
  #stray(error: unknown): void {
    // The world is over for tasks, too, and what they let fall: but not for a promise of the product that is broken.
    if (error instanceof ProcessDied || (this.#over && !(error instanceof AssertionFailed))) return;
    const life = this.cluster.turns.current;
    if (error instanceof AssertionFailed || life === null) {
      this.#crash ??= { error };
      return;
    }
    const node = this.cluster.nodes.find(({ machine }) => machine === life.machine);
    life.schedule(0, () => {
      if (node?.stray(error) !== true) this.#crash ??= { error };
    });
  }
}
