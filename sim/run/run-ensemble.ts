/**
 * One run of an ensemble, as its plan says: servers with hostile knobs, clients, faults for some seconds of virtual time (phase 1: safety);
 * then the faults are over, and within a bound of virtual time a leader must serve, writes must be answered, and all servers must be equal (phase 2: liveness).
 */
import { Network } from '../doubles/network.ts';
import { act } from '../faults/actions.ts';
import { Arena } from '../faults/arena.ts';
import { Scheduler } from '../faults/scheduler.ts';
import { Judge } from '../judges/judge.ts';
import type { FaultPlan, Plan } from '../plan/plan.ts';
import { Clients } from '../workloads/clients.ts';
import { earlierLife, writeEarlierLife } from '../world/earlier-life.ts';
import { SimulationEscape } from '../world/guard.ts';
import { SimServer } from '../world/sim-server.ts';
import { Violation, World } from '../world/world.ts';
import type { Outcome, RunOptions, RunResult } from './result.ts';

const EARLIER_LIFE_MS = 400;
/** A new leader must serve this long after the heal: detection, elections, discovery with grown time-outs, synchronization. */
const LIVENESS_BOUND_MS = 15_000;
/** Without a budget of disks nothing is promised but safety. */
const SAFE_MS = 3000;
const LATENCY_MS = 0.2;

export function runEnsemblePlan(plan: Plan, options: RunOptions = {}): RunResult {
  const run = new EnsembleRun(plan, options);
  try {
    return run.result(run.run());
  } catch (error) {
    // A failed assertion of the product is a finding like any other.
    return run.result(error instanceof SimulationEscape ? 'nondeterminism' : 'crash', error);
  }
}

class EnsembleRun {
  readonly #plan: Plan;
  readonly #stopAtMs: number;
  readonly #world: World;
  readonly #judge: Judge;
  readonly #network: Network;
  readonly #servers: readonly SimServer[];
  readonly #arena: Arena;
  readonly #scheduler: Scheduler;
  readonly #clients: Clients;
  readonly #struck: Record<string, number> = {};
  #lostAtMs = -1;
  #longestElectionMs = 0;

  constructor(plan: Plan, options: RunOptions) {
    this.#plan = plan;
    this.#stopAtMs = options.stopAtMs ?? Infinity;
    const { knobs } = plan;
    const world = (this.#world = new World(`${plan.scenario}/${plan.seed}`, plan.calm));
    world.onTrace = options.onTrace ?? null;
    world.recorder = options.recorder ?? null;
    const judge = (this.#judge = new Judge(world));
    const network = (this.#network = new Network(world, { latencyMs: LATENCY_MS, jitterMs: knobs.jitterMs }));
    network.onSend = (from, to, message) => judge.onSend(from, to, message);
    const voters = Array.from({ length: plan.servers }, (_, i) => i + 1);
    this.#servers = voters.map((sid, i) => {
      const own = plan.serverKnobs[i];
      if (own === undefined) throw new RangeError(`the plan has ${plan.servers} servers, and knobs for ${plan.serverKnobs.length}`);
      return new SimServer(world, network, judge, { sid, voters, mutant: plan.mutant, knobs, own });
    });
    const arena = (this.#arena = new Arena(world, network, this.#servers, { budget: plan.diskBudget ?? true, untilMs: plan.untilMs }));
    arena.onLeaderLost = () => {
      if (this.#lostAtMs < 0) this.#lostAtMs = world.nowMs;
    };
    const scheduler = (this.#scheduler = new Scheduler(world, (who, sid) => arena.isMeant(who, sid)));
    scheduler.onFrames = (wanted) => {
      network.onMessage = wanted ? (what, from, to, message) => scheduler.event(`${what} ${message.type}`, what === 'send' ? from : to, () => ({ ...message }), what === 'send' ? to : from) : null;
    };
    const stream = world.streams;
    this.#clients = new Clients(world, plan, this.#servers, judge, {
      when: (moment, then) => scheduler.when(moment, () => then()),
      happened: (id) => {
        const mark = plan.ops.find((op) => op.id === id)?.mark;
        if (mark !== undefined) world.marks.hit(mark);
        scheduler.happened(id);
      },
      server: (target) => arena.resolve(target, { id: '', prng: stream('ops'), place: null }),
    });
    for (const [i, server] of this.#servers.entries()) {
      server.onDeath = () => this.#clients.serverDied(server);
      server.onEvent = (name, fields) => scheduler.event(name, server.sid, () => fields);
      const clock = plan.clocks[i];
      if (clock !== undefined && clock.rate !== 1) server.process.setRate(clock.rate);
      if (clock !== undefined) server.process.wallOffMs = clock.wallOffMs;
    }
    const { recorder } = world;
    for (const server of this.#servers) recorder?.lane(server.process.name, 'server');
    for (const { id } of plan.clients) recorder?.lane(`client-${id}`, 'client');
    recorder?.lane('nemesis', 'nemesis');
  }

  run(): Outcome {
    const world = this.#world;
    const plan = this.#plan;
    const { untilMs } = plan;
    const broken = (): boolean => this.#judge.violation !== null;
    this.#liveEarlier();
    for (const server of this.#servers) world.schedule(world.streams(`start/${server.process.name}`).float() * 50, () => server.start());
    for (const fault of plan.faults) this.#plant(fault);
    this.#clients.start();
    this.#watch();
    world.run(Math.min(untilMs, this.#stopAtMs), broken);
    if (broken()) return 'safety';
    if (this.#stopAtMs <= untilMs) return 'ok';

    this.#scheduler.stop();
    this.#network.healAll();
    this.#arena.heal(this.#servers);
    if (plan.diskBudget === false) return this.#staysSafe();
    if (!this.#converges()) return this.#judge.violation?.invariant === 'Liveness' ? 'liveness' : 'safety';
    return this.#judge.gaveUp === null ? 'ok' : 'gave-up';
  }

  #liveEarlier(): void {
    const { znodesBefore, segmentBytes } = this.#plan.knobs;
    if (znodesBefore === 0) return;
    const life = earlierLife(this.#plan.knobs);
    this.#judge.begin(life);
    for (const { files, kvs } of this.#servers) {
      writeEarlierLife(life, files, kvs, segmentBytes, (error) => {
        if (error !== null) throw error;
      });
    }
    this.#world.run(EARLIER_LIFE_MS);
  }

  #plant({ id, when, action, mark }: FaultPlan): void {
    const prng = this.#world.streams(`fault/${id}`);
    this.#scheduler.when(when, (place) => {
      const struck = act(this.#arena, action, { id, prng, place });
      if (struck.length === 0) return;
      if (mark !== undefined) this.#world.marks.hit(mark);
      this.#struck[action.kind] = (this.#struck[action.kind] ?? 0) + 1;
      const lanes = struck.map((server) => server.process.name);
      this.#world.trace('nemesis', action.kind, { id, on: lanes.join(' ') });
      const lastsMs = 'forMs' in action ? action.forMs : 'downMs' in action ? action.downMs ?? Infinity : 0;
      const nowMs = this.#world.nowMs;
      this.#world.recorder?.fault(id, action.kind, lanes, nowMs, Math.min(nowMs + lastsMs, this.#plan.untilMs), `${id} ${action.kind}`);
      this.#scheduler.happened(id);
    });
  }

  /** How long nobody leads. */
  #watch(): void {
    if (this.#lostAtMs >= 0 && this.#servers.some((server) => server.leading && !server.process.paused)) {
      this.#longestElectionMs = Math.max(this.#longestElectionMs, this.#world.nowMs - this.#lostAtMs);
      this.#lostAtMs = -1;
    }
    this.#world.schedule(5, () => this.#watch());
  }

  /** Whoever can still serve does so for a while. */
  #staysSafe(): Outcome {
    const judge = this.#judge;
    this.#world.run(this.#world.nowMs + SAFE_MS, () => judge.violation !== null);
    return judge.violation === null ? 'ok' : 'safety';
  }

  #converges(): boolean {
    const world = this.#world;
    const judge = this.#judge;
    const servers = this.#servers;
    const clients = this.#clients;
    const broken = (): boolean => judge.violation !== null;
    const ackedBefore = judge.counts.acked;
    const draws = this.#plan.clients.some((client) => client.draws);
    const enough = draws ? ackedBefore + 20 : ackedBefore;
    world.run(world.nowMs + LIVENESS_BOUND_MS, () => broken() || (servers.every((server) => server.serving) && judge.counts.acked > enough - 1));
    if (broken()) return false;
    if (!servers.every((server) => server.serving) || (draws && judge.counts.acked <= ackedBefore)) {
      judge.fail('Liveness', `${LIVENESS_BOUND_MS} ms after everything healed: ${servers.map((server) => `server ${server.sid} ${server.peerState ?? 'is down'}, serving ${server.quorumPeer?.server?.serving ?? 'no'}`).join('; ')}; ${judge.counts.acked - ackedBefore} writes acked since`);
      return false;
    }
    clients.stop();
    world.run(world.nowMs + 5000, () => broken() || (clients.idle && servers.every((server) => server.quorumPeer?.server?.tree.lastProcessedZxid === judge.committedZxid)));
    if (!broken()) judge.converged(servers, clients.idle);
    return !broken();
  }

  result(kind: Outcome, error: unknown = null): RunResult {
    const world = this.#world;
    const judge = this.#judge;
    for (const { files } of this.#servers) {
      world.marks.hit('segment made', files.counts.creates);
      world.marks.hit('segment purged', files.counts.removes);
    }
    const violation = error === null ? judge.violation : crashed(error);
    if (violation !== null) world.recorder?.violation(world.nowMs, violation.invariant, violation.message, null);
    return {
      kind, violation, traceHash: world.traceHash, virtualMs: world.nowMs, events: world.events, faults: this.#struck,
      acked: judge.counts.acked, elections: judge.counts.elections, expired: judge.counts.expired, longestElectionMs: this.#longestElectionMs, marks: world.marks.counts, drawn: this.#clients.drawn, recent: world.recent,
    };
  }
}

function crashed(error: unknown): Violation {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const violation = new Violation(name, message);
  if (stack !== undefined) violation.stack = stack;
  return violation;
}
