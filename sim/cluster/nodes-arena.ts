/**
 * What the faults of a plan do to job managers, task managers, storage and Kafka, and what has to be undone. Whoever took a process down last brings it
 * up again; links are cut for as long as one of the faults that cut them lasts. Faults on servers alone are the ensemble's (sim/faults).
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { FaultAction, Target } from '../plan/plan.ts';
import { act } from '../faults/actions.ts';
import type { Place } from '../faults/scheduler.ts';
import type { World } from '../world/world.ts';
import type { Cluster } from './cluster.ts';
import { STORAGE } from './cluster.ts';
import { INPUT } from './jobs.ts';
import { KAFKA } from './sim-kafka.ts';
import type { SimNode } from './sim-node.ts';

export interface NodeStrike {
  readonly id: string;
  readonly prng: Prng;
  readonly place: Place | null;
  /** Whose doing it was that the fault waited for. */
  readonly who: string | null;
}

/** Whom it struck, as lanes; nobody: it does not count. */
type Struck = readonly string[];

export class NodesArena {
  readonly #cluster: Cluster;
  readonly #world: World;
  readonly #untilMs: number;
  readonly #downBy = new Map<SimNode, string>();
  readonly #cuts = new Map<string, number>();
  readonly poisoned = new Set<string>();
  /** Of a partition of the input, as the newest completed checkpoint has it. */
  positionOf: (partition: number) => number = () => 0;

  constructor(cluster: Cluster, untilMs: number) {
    this.#cluster = cluster;
    this.#world = cluster.world;
    this.#untilMs = untilMs;
  }

  /** Null: it is no job manager and no task manager. */
  node(target: Target, { prng, who }: NodeStrike): SimNode | null {
    const { jobManagers, taskManagers, master, nodes } = this.#cluster;
    switch (target) {
      case 'master':
        return master ?? prng.pick(jobManagers);
      case 'worker':
        return prng.pick(taskManagers);
      case 'it':
        return nodes.find(({ name }) => name === who) ?? null;
      default:
        return nodes.find(({ name }) => name === target) ?? null;
    }
  }

  act(action: FaultAction, strike: NodeStrike): Struck {
    switch (action.kind) {
      case 'crash': {
        const node = this.node(action.on, strike);
        if (node === null) break;
        if (!node.machine.process.alive) return [];
        node.kill(action.keeps === 'page-cache');
        this.#bringUp(node, strike.id, action.downMs);
        return [node.name];
      }
      case 'power-failure': {
        const nodes = action.on.map((target) => this.node(target, strike)).filter((node) => node !== null);
        if (nodes.length === 0) break;
        for (const [i, node] of nodes.entries()) {
          node.kill(false);
          this.#bringUp(node, strike.id, action.downMs + i * action.staggerMs);
        }
        return nodes.map(({ name }) => name);
      }
      case 'restart': {
        const node = this.node(action.on, strike);
        if (node === null) break;
        if (!node.machine.process.alive || node.machine.process.paused) return [];
        this.#downBy.set(node, strike.id);
        node.stop(() => this.#bringUp(node, strike.id, action.downMs));
        return [node.name];
      }
      case 'pause': {
        const node = this.node(action.on, strike);
        if (node === null) break;
        if (!node.machine.process.alive) return [];
        node.machine.process.pause(this.#lastingMs(action.forMs));
        return [node.name];
      }
      case 'clock-jump': {
        const node = this.node(action.on, strike);
        if (node === null) break;
        node.machine.process.jumpWall(action.byMs);
        return [node.name];
      }
      case 'clock-rate': {
        const node = this.node(action.on, strike);
        if (node === null) break;
        node.machine.process.setRate(action.rate);
        return [node.name];
      }
      case 'partition': {
        const sides = action.groups.map((group) => group.map((target) => this.#reached(target, strike)).filter((name) => name !== null));
        if (!sides.flat().some((name) => this.#isNode(name))) break;
        return this.#partition(sides, action.ways, action.forMs);
      }
      case 'clog': {
        const from = this.#reached(action.from, strike);
        const to = this.#reached(action.to, strike);
        if (from === null || to === null || !(this.#isNode(from) || this.#isNode(to))) break;
        this.#cluster.sockets.clog(from, to);
        this.#lasts(action.forMs, () => this.#heal(from, to));
        return [from, to];
      }
      case 'slow-network': {
        const node = this.node(action.on, strike);
        if (node === null) break;
        for (const other of this.#everyone) {
          this.#cluster.sockets.slow(node.name, other, action.extraMs);
          this.#cluster.sockets.slow(other, node.name, action.extraMs);
          this.#lasts(action.forMs, () => {
            this.#cluster.sockets.slow(node.name, other, 0);
            this.#cluster.sockets.slow(other, node.name, 0);
          });
        }
        return [node.name];
      }
      case 'break': {
        const from = this.node(action.from, strike);
        const to = this.node(action.to, strike);
        if (from === null || to === null || from === to) break;
        this.#cluster.sockets.break(from.name, to.name, action.lateMs === undefined ? null : from.name);
        return [from.name, to.name];
      }
      case 'storage-error':
        if (action.what === 'put') this.#cluster.files.fail(action.times);
        this.#cluster.storage.fail(this.node(action.on, strike)?.name ?? 'any', action.what, action.times);
        return [STORAGE];
      case 'slow-storage':
        this.#cluster.storage.extraMs = action.extraMs;
        this.#cluster.files.extraMs = action.extraMs / 10;
        this.#lasts(action.forMs, () => {
          this.#cluster.storage.extraMs = 0;
          this.#cluster.files.extraMs = 0;
        });
        return [STORAGE];
      case 'kafka-outage':
        this.#cluster.kafka.away = true;
        this.#lasts(action.forMs, () => {
          this.#cluster.kafka.away = false;
        });
        return [KAFKA];
      case 'kafka-leader-move': {
        const partition = this.#cluster.kafka.partitions[action.partition % this.#cluster.kafka.partitions.length];
        if (partition === undefined || partition.leader === -1) return [];
        const former = partition.leader;
        partition.leader = -1;
        this.#lasts(action.forMs, () => {
          partition.leader = 1 + (former % 3);
        });
        return [KAFKA];
      }
      case 'kafka-lost-ack':
        this.#cluster.kafka.loseAcks(action.times);
        return [KAFKA];
      case 'kafka-late-end':
        this.#cluster.transactions.repeatEnds(action.times, action.lateMs);
        return [KAFKA];
      case 'kafka-hanging-transaction': {
        const { kafka } = this.#cluster;
        const topic = kafka.topic(INPUT);
        const partition = topic[action.partition % topic.length];
        if (partition === undefined) return [];
        const producer = { id: kafka.producerId(), epoch: 0, transactional: true };
        partition.log.append([{ key: null, value: JSON.stringify({ id: 'aborted', key: 'aborted', t: 0 }), timestampMs: 0 }], producer);
        this.#lasts(action.forMs, () => {
          partition.log.endTransaction(producer.id, producer.epoch, 'abort');
          kafka.changed(partition);
        });
        return [KAFKA];
      }
      case 'kafka-retention': {
        const topic = this.#cluster.kafka.topic(INPUT);
        const number = action.partition % topic.length;
        const { log } = topic[number] ?? {};
        if (log === undefined) return [];
        const before = log.startOffset;
        log.deleteBefore(action.keeps === 'checkpoint' ? this.positionOf(number) : log.nextOffset);
        return log.startOffset === before ? [] : [KAFKA];
      }
      case 'poison-record': {
        const topic = this.#cluster.kafka.topic(INPUT);
        const partition = action.partition % topic.length;
        this.poisoned.add(`${partition}/${topic[partition]?.log.nextOffset ?? 0}`);
        return [KAFKA];
      }
      case 'more-partitions':
        this.#cluster.kafka.addPartitions(INPUT, action.partitions);
        return [KAFKA];
      case 'depose': {
        const { master } = this.#cluster;
        if (master === null) return [];
        this.#cluster.submitter.depose();
        return [master.name];
      }
      default:
        break;
    }
    return act(this.#cluster.ensemble.arena, action, strike).map((server) => server.process.name);
  }

  // ------------------------------------------------------------ what lasts

  #lastingMs(forMs: number): number {
    return Math.max(0, Math.min(forMs, this.#untilMs - this.#world.nowMs));
  }
  #lasts(forMs: number, undo: () => void): void {
    this.#world.schedule(this.#lastingMs(forMs), undo);
  }

  #bringUp(node: SimNode, id: string, afterMs: number | null): void {
    this.#downBy.set(node, id);
    if (afterMs === null) return;
    this.#world.schedule(afterMs, () => {
      if (this.#downBy.get(node) === id) node.start();
    });
  }

  get #everyone(): string[] {
    return [...this.#cluster.nodes.map(({ name }) => name), ...this.#cluster.ensemble.servers.map(({ process }) => process.name)];
  }
  #isNode(name: string): boolean {
    return name === KAFKA || this.#cluster.nodes.some((node) => node.name === name);
  }
  #reached(target: Target, strike: NodeStrike): string | null {
    return target === KAFKA ? KAFKA : this.node(target, strike)?.name ?? this.#cluster.ensemble.arena.resolve(target, strike)?.process.name ?? null;
  }

  /** One group is cut off from everyone else. */
  #partition(groups: readonly (readonly string[])[], ways: 'both' | 'out' | 'in', forMs: number): Struck {
    const [first = []] = groups;
    const sides = groups.length === 1 ? [first, this.#everyone.filter((name) => !first.includes(name))] : groups;
    for (const [i, side] of sides.entries()) {
      for (const [j, other] of sides.entries()) {
        if (i === j || (ways === 'out' && i !== 0) || (ways === 'in' && j !== 0)) continue;
        for (const from of side) for (const to of other) if (from !== to) this.#cut(from, to, forMs);
      }
    }
    return groups.flat();
  }

  #cut(from: string, to: string, forMs: number): void {
    if (from === KAFKA || to === KAFKA) {
      const node = from === KAFKA ? to : from;
      this.#cluster.kafka.cutOff.add(node);
      this.#lasts(forMs, () => this.#cluster.kafka.cutOff.delete(node));
      return;
    }
    if (!this.#isNode(from) && !this.#isNode(to)) {
      const { arena } = this.#cluster.ensemble;
      const a = arena.byName(from);
      const b = arena.byName(to);
      if (a !== null && b !== null) arena.cut([[a, b]], forMs);
      return;
    }
    const key = `${from}>${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    this.#cluster.sockets.cut(from, to);
    this.#lasts(forMs, () => {
      const left = (this.#cuts.get(key) ?? 0) - 1;
      this.#cuts.set(key, left);
      if (left === 0) this.#heal(from, to);
    });
  }
  #heal(from: string, to: string): void {
    if ((this.#cuts.get(`${from}>${to}`) ?? 0) <= 0) this.#cluster.sockets.heal(from, to);
  }

  /** Everything works again, and everybody is there but those who are gone for good. */
  heal(gone: readonly string[]): void {
    const { sockets, storage, kafka, nodes } = this.#cluster;
    this.#cuts.clear();
    this.#downBy.clear();
    this.poisoned.clear();
    sockets.healAll();
    storage.heal();
    this.#cluster.files.heal();
    kafka.heal();
    for (const node of nodes) {
      if (gone.includes(node.name)) {
        node.kill(false);
        continue;
      }
      if (node.machine.process.paused) node.machine.process.resume();
      if (node.machine.process.rate !== 1) node.machine.process.setRate(1);
      node.start();
    }
  }
}
