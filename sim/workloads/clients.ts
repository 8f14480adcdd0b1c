/**
 * All clients of a run, made from its plan: those that draw what they do, and those that do what `ops` says. Whoever runs the plan gives the
 * moments and the names of processes a meaning.
 */
import type { ClientPlan, Moment, OpPlan, Plan, Target } from '../plan/plan.ts';
import type { Judge } from '../judges/judge.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';
import { ClientNetwork, drawNetwork } from '../doubles/client-network.ts';
import { HostileWire } from './hostile-wire.ts';
import { ExpiryJudge } from './expiry-judge.ts';
import { LibraryClient } from './library-client.ts';
import { RawClient } from './raw-client.ts';
import { Skips } from './skips.ts';

/** What the clients need of whoever runs the plan. */
export interface Stage {
  /** Calls `then` once, when the moment has come. */
  when(moment: Moment, then: () => void): void;
  /** The operation with this id is over: moments with `after` may go on. */
  happened(id: string): void;
  /** Who is meant at this instant; null: nobody. */
  server(target: Target): SimServer | null;
}

/** What one client is told of the run. */
export interface Surroundings {
  readonly world: World;
  readonly servers: readonly SimServer[];
  readonly judge: Judge;
  readonly stage: Stage;
  /** For clients with the library. */
  readonly network: ClientNetwork;
  readonly expiry: ExpiryJudge;
  readonly skips: Skips;
  /** The client with this id. */
  readonly client: (id: number) => Client | undefined;
}

/** What the run does with a client of either kind. */
export interface Client {
  readonly id: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array;
  readonly idle: boolean;
  /** For people: which answer, of whom. */
  readonly waitsFor: string;
  /** Operations drawn so far, left out ones included. */
  readonly drawn: number;
  start(): void;
  /** No new requests; what is in flight is still answered. */
  stop(): void;
  /** An operation that is prescribed, whose moment has come. */
  perform(op: OpPlan): void;
  serverDied(server: SimServer): void;
}

export class Clients {
  readonly all: readonly Client[];
  readonly #ops: readonly OpPlan[];
  readonly #stage: Stage;
  readonly #network: ClientNetwork;
  readonly #expiry: ExpiryJudge;
  readonly #hostile: HostileWire | null;

  constructor(world: World, plan: Pick<Plan, 'clients' | 'ops' | 'skip'>, servers: readonly SimServer[], judge: Judge, stage: Stage) {
    this.#ops = plan.ops;
    this.#stage = stage;
    this.#network = new ClientNetwork(world, drawNetwork(world.streams('net/clients')));
    this.#expiry = new ExpiryJudge(judge, () => servers.every(({ process }) => process.rate <= 1));
    judge.model.onReaped.push((kind) => world.marks.hit(kind === 'container' ? 'container reaped' : 'TTL znode reaped'));
    const isHostile = plan.clients.some(({ kind, misbehave }) => kind === 'library' && misbehave > 0);
    this.#hostile = isHostile ? new HostileWire(world, this.#network, servers, judge) : null;
    const byId = new Map<number, Client>();
    const surroundings: Surroundings = { world, servers, judge, stage, network: this.#network, expiry: this.#expiry, skips: new Skips(plan.skip), client: (id) => byId.get(id) };
    this.all = plan.clients.map((each) => makeClient(each, surroundings));
    for (const client of this.all) byId.set(client.id, client);
  }

  start(): void {
    for (const client of this.all) client.start();
    this.#hostile?.start();
    for (const op of this.#ops) {
      const client = this.all.find(({ id }) => id === op.client);
      if (client === undefined) throw new RangeError(`operation ${op.id} is client ${op.client}'s, which the plan does not have`);
      this.#stage.when(op.when, () => client.perform(op));
    }
  }

  stop(): void {
    for (const client of this.all) client.stop();
    this.#hostile?.stop();
  }

  /** Operations that each has drawn, by its name. */
  get drawn(): Record<string, number> {
    return Object.fromEntries(this.all.map(({ id, drawn }) => [`client-${id}`, drawn]));
  }

  get idle(): boolean {
    return this.all.every((client) => client.idle);
  }

  /** The faults are over: wires work. */
  heal(): void {
    this.#network.heal();
  }

  /** Its wires take so many bytes a ms; Infinity: as usual. */
  narrow(server: SimServer, bytesPerMs: number): void {
    this.#network.narrow(server, bytesPerMs);
  }

  serverDied(server: SimServer): void {
    this.#network.serverDied(server);
    for (const client of this.all) client.serverDied(server);
  }
}

function makeClient(plan: ClientPlan, surroundings: Surroundings): Client {
  return plan.kind === 'raw' ? new RawClient(plan, surroundings) : new LibraryClient(plan, surroundings);
}
