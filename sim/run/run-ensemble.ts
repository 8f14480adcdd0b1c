/**
 * One run of an ensemble, as its plan says: servers with hostile knobs, clients, faults for some seconds of virtual time (phase 1: safety);
 * then the faults are over, and within a bound of virtual time a leader must serve, writes must be answered, and all servers must be equal (phase 2:
 * liveness). With a core, only that quorum is healed, and all that is wrong elsewhere stays wrong (faults/arena.ts says which core can be asked).
 */
import { formatZxid } from '../../coord/base/zxid.ts';
import { Network } from '../doubles/network.ts';
import { act } from '../faults/actions.ts';
import { Arena } from '../faults/arena.ts';
import { Scheduler } from '../faults/scheduler.ts';
import { Judge, JUDGED_MESSAGES } from '../judges/judge.ts';
import type { FaultPlan, Plan } from '../plan/plan.ts';
import { Clients } from '../workloads/clients.ts';
import { earlierLife, writeEarlierLife } from '../world/earlier-life.ts';
import { SimServer } from '../world/sim-server.ts';
import { Violation, World } from '../world/world.ts';
import { boundMs, ProgressWatch, whoWaits } from './liveness.ts';
import type { Outcome, RunOptions, RunResult } from './result.ts';
import { thrown } from './thrown.ts';

const EARLIER_LIFE_MS = 400;
/** How much longer clients may take to be answered, and the last server to be equal. */
const SETTLE_MS = 5000;
/** Without a budget of disks nothing is promised but safety. */
const SAFE_MS = 3000;
const LATENCY_MS = 0.2;
/** After these a disk does not hold what was written there. */
const DAMAGE: ReadonlySet<string> = new Set<FaultPlan['action']['kind']>(['rot', 'misdirect', 'roll-back', 'lose-disk', 'swap-disks']);

export function runEnsemblePlan(plan: Plan, options: RunOptions = {}): RunResult {
  const run = new EnsembleRun(plan, options);
  try {
    return run.result(run.run());
  } catch (error) {
    const { kind, violation } = thrown(error);
    return run.result(kind, violation);
  }
}

class EnsembleRun {
  readonly #plan: Plan;
  readonly #stopAtMs: number;
  readonly #world: World;
  readonly #judge: Judge;
  readonly #servers: readonly SimServer[];
  /** Where clients go. */
  readonly #served: SimServer[];
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
    judge.onHistory = options.onHistory ?? null;
    const network = new Network(world, { latencyMs: LATENCY_MS, jitterMs: knobs.jitterMs });
    network.onSend = (from, to, message) => judge.onSend(from, to, message);
    network.sendTypes = JUDGED_MESSAGES;
    const voters = Array.from({ length: plan.servers }, (_, i) => i + 1);
    this.#servers = voters.map((sid, i) => {
      const own = plan.serverKnobs[i];
      if (own === undefined) throw new RangeError(`the plan has ${plan.servers} servers, and knobs for ${plan.serverKnobs.length}`);
      return new SimServer(world, network, judge, { sid, voters, knobs, own });
    });
    this.#served = [...this.#servers];
    // What is to stay wrong must not end just before.
    const arena = (this.#arena = new Arena(world, network, this.#servers, { budget: plan.diskBudget ?? true, untilMs: plan.core === undefined ? plan.untilMs : Infinity }));
    arena.onLeaderLost = () => {
      if (this.#lostAtMs >= 0) return;
      this.#lostAtMs = world.nowMs;
      this.#watch();
    };
    arena.onDamage = (server, done) => (done ? judge.diskDamaged(server.sid) : judge.lookAtDisk(server.sid));
    const scheduler = (this.#scheduler = new Scheduler(world, (who, sid) => arena.isMeant(who, sid)));
    scheduler.onFrames = (wanted) => {
      network.onMessage = wanted ? (what, from, to, type, fieldsOf) => scheduler.event(frameEvent(what, type), what === 'send' ? from : to, fieldsOf, what === 'send' ? to : from) : null;
    };
    const stream = world.streams;
    this.#clients = new Clients(world, plan, this.#served, judge, {
      when: (moment, then) => scheduler.when(moment, () => then()),
      happened: (id) => {
        const mark = plan.ops.find((op) => op.id === id)?.mark;
        if (mark !== undefined) world.marks.hit(mark);
        scheduler.happened(id);
      },
      server: (target) => arena.resolve(target, { id: '', prng: stream('ops'), place: null }),
    });
    arena.onNarrow = (server, bytesPerMs) => this.#clients.narrow(server, bytesPerMs);
    for (const [i, server] of this.#servers.entries()) {
      server.onDeath = () => this.#clients.serverDied(server);
      server.onEvent = (name, fieldsOf) => scheduler.event(name, server.sid, fieldsOf);
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
    const progress = plan.diskBudget === false ? null : new ProgressWatch(world, this.#arena, this.#judge, plan, this.#clients.all);
    world.run(Math.min(untilMs, this.#stopAtMs), broken);
    progress?.stop();
    if (broken()) return this.#failed();
    if (this.#stopAtMs <= untilMs) return 'ok';

    this.#scheduler.stop();
    const core = plan.core === undefined ? this.#servers : this.#arena.recoverable(plan.core);
    this.#arena.heal(core);
    this.#clients.heal();
    for (const server of this.#servers) {
      if (core.includes(server)) continue;
      this.#served.splice(this.#served.indexOf(server), 1);
      this.#clients.serverDied(server);
    }
    if (plan.diskBudget === false) world.run(world.nowMs + SAFE_MS, broken);
    else this.#converge(core);
    if (broken()) return this.#failed();
    return this.#judge.gaveUp === null ? 'ok' : 'gave-up';
  }

  #failed(): Outcome {
    return this.#judge.violation?.invariant === 'Liveness' ? 'liveness' : 'safety';
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
      if (DAMAGE.has(action.kind)) this.#judge.diskDamaged();
      this.#struck[action.kind] = (this.#struck[action.kind] ?? 0) + 1;
      const lanes = struck.map((server) => server.process.name);
      this.#world.trace('nemesis', action.kind, { id, on: lanes.join(' ') });
      const lastsMs = 'forMs' in action ? action.forMs : 'downMs' in action ? action.downMs ?? Infinity : 0;
      const nowMs = this.#world.nowMs;
      this.#world.recorder?.fault(id, action.kind, lanes, nowMs, Math.min(nowMs + lastsMs, this.#plan.untilMs), `${id} ${action.kind}`);
      this.#scheduler.happened(id);
    });
  }

  /** From the loss of a leader until one serves. */
  #watch(): void {
    this.#world.schedule(5, () => {
      if (!this.#servers.some((server) => server.leading && !server.process.paused)) return this.#watch();
      this.#longestElectionMs = Math.max(this.#longestElectionMs, this.#world.nowMs - this.#lostAtMs);
      this.#lostAtMs = -1;
    }, false);
  }

  #converge(core: readonly SimServer[]): void {
    const world = this.#world;
    const judge = this.#judge;
    const clients = this.#clients;
    const broken = (): boolean => judge.violation !== null;
    const ackedBefore = judge.counts.acked;
    const wanted = this.#plan.clients.some((client) => client.draws) ? ackedBefore + 20 : ackedBefore;
    const waitMs = boundMs(this.#plan);
    const serves = (): boolean => core.every((server) => server.serving) && this.#servers.some((server) => server.leading);
    world.run(world.nowMs + waitMs, () => broken() || (judge.counts.acked >= wanted && serves()));
    const late = (what: string): void => judge.fail('Liveness', `${what}: ${whoWaits(this.#servers, clients.all)}`);
    if (!serves()) late(`${waitMs} ms after the last fault servers ${core.map(({ sid }) => sid).join(', ')} do not all serve`);
    else if (wanted > ackedBefore && judge.counts.acked === ackedBefore) late(`no write has been acked in the ${waitMs} ms after the last fault`);
    if (broken()) return;
    clients.stop();
    const isEqual = (): boolean => core.every((server) => server.quorumPeer?.server?.tree.lastProcessedZxid === judge.committedZxid);
    const forgetful = (): SimServer | undefined => core.find(({ sid }) => !judge.isOnDisk(sid));
    world.run(world.nowMs + SETTLE_MS + waitMs, () => broken() || (clients.idle && isEqual() && forgetful() === undefined));
    if (!clients.idle) late('requests are not answered, though the ensemble serves');
    else if (!isEqual()) late(`the servers do not come to be equal, committed is ${formatZxid(judge.committedZxid)}`);
    else if (forgetful() !== undefined) late(`server ${forgetful()?.sid} does not write down what is committed, ${formatZxid(judge.committedZxid)}`);
    if (!broken()) judge.converged(core);
  }

  result(kind: Outcome, fromThrown: Violation | null = null): RunResult {
    const world = this.#world;
    const judge = this.#judge;
    for (const { files } of this.#servers) {
      world.marks.hit('segment made', files.counts.creates);
      world.marks.hit('segment purged', files.counts.removes);
    }
    const undecided = kind === 'gave-up' ? new Violation('Linearizability', judge.gaveUp ?? 'the checker gave up') : null;
    const violation = fromThrown ?? judge.violation ?? undecided;
    if (violation !== null) world.recorder?.violation(world.nowMs, violation.invariant, violation.message, null);
    return {
      kind, violation, traceHash: world.traceHash, virtualMs: world.nowMs, events: world.events, faults: this.#struck,
      acked: judge.counts.acked, elections: judge.counts.elections, expired: judge.counts.expired, longestElectionMs: this.#longestElectionMs, marks: world.marks.counts, drawn: this.#clients.drawn, recent: world.recent,
    };
  }
}

const FRAME_EVENTS = { send: new Map<string, string>(), receive: new Map<string, string>() };

/** 'send COMMIT': the same string each time, so that looking it up needs no new hash. */
function frameEvent(what: 'send' | 'receive', type: string): string {
  const names = FRAME_EVENTS[what];
  let name = names.get(type);
  if (name === undefined) {
    name = `${what} ${type}`;
    names.set(type, name);
  }
  return name;
}
