/**
 * What faults are done to, and what has to be undone. Faults of one kind may overlap on one server or link: it is cut, slow or down for as long
 * as one of them lasts, so that a fault means the same whether another is there or not.
 *
 * Whoever took a server down last brings it up again.
 *
 * At the end of phase 1 a core of servers is healed, and what is wrong with the others is theirs for good. Which core can be asked to make progress:
 *  - it has a quorum of servers whose disk is not known to be damaged: a suspect server votes for nobody, and has to be told by a leader. Where the
 *    plan's core lacks one, servers that are well are added;
 *  - a server outside is the same to all of the core: what it cannot say to, or hear from, one of them it cannot say to or hear from any. Otherwise
 *    it could lead a quorum of which a member of the core is not part, and neither ZAB nor ZooKeeper would ever move (a partial partition);
 *  - clocks in the core run true again: heartbeats at half the rate are silence to one who waits at twice the rate.
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { Network } from '../doubles/network.ts';
import type { Target } from '../plan/plan.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';
import type { Place } from './scheduler.ts';

/** One fault as it strikes. */
export interface Strike {
  readonly id: string;
  /** Its own stream, for whatever is only known now. */
  readonly prng: Prng;
  readonly place: Place | null;
}

export class Arena {
  readonly world: World;
  readonly network: Network;
  readonly servers: readonly SimServer[];
  /** False: disks may be damaged wherever the journal can know of it, on any number of servers. */
  readonly budget: boolean;
  /** All that lasts ends by then. */
  readonly untilMs: number;
  readonly #cuts = new Map<string, number>();
  readonly #lasting = new Map<string, Set<string>>();
  readonly #downBy = new Map<number, string>();
  /** Who has which part in the story. */
  readonly #cast = new Map<string, SimServer>();
  /** Servers whose disk was damaged and that have not come back to it and served since, with what ran on it then. */
  readonly #rotten = new Map<SimServer, unknown>();
  /** What is wrong with these stays wrong. */
  #frozen: ReadonlySet<SimServer> = new Set();
  /** A leader may have been lost. */
  onLeaderLost: () => void = () => {};
  /** So many bytes a ms go to and from clients. */
  onNarrow: (server: SimServer, bytesPerMs: number) => void = () => {};
  /** A disk is about to be damaged, it has kept its word so far; and then it has been (`done`). */
  onDamage: (server: SimServer, done: boolean) => void = () => {};

  constructor(world: World, network: Network, servers: readonly SimServer[], options: { readonly budget: boolean; readonly untilMs: number }) {
    this.world = world;
    this.network = network;
    this.servers = servers;
    this.budget = options.budget;
    this.untilMs = options.untilMs;
  }

  // ------------------------------------------------------------ who

  get leader(): SimServer | null {
    return this.servers.find((server) => server.leading) ?? null;
  }

  /** 'leader' without one is whoever tries to be it, or else anyone; 'follower' without one is nobody. */
  resolve(target: Target, strike: Strike): SimServer | null {
    const [who, part] = target.split(' as ') as [string, string | undefined];
    if (part === undefined) return this.#resolve(who, this.servers, strike);
    const known = this.#cast.get(part);
    if (known !== undefined) return known;
    const parts = new Set(this.#cast.values());
    const server = this.#resolve(who, this.servers.filter((each) => !parts.has(each)), strike);
    if (server !== null) this.#cast.set(part, server);
    return server;
  }

  #resolve(target: Target, servers: readonly SimServer[], { prng, place }: Strike): SimServer | null {
    switch (target) {
      case 'leader':
        return this.leader ?? servers.find((server) => server.peerState === 'LEADING') ?? prng.pick(servers);
      case 'follower': {
        const followers = servers.filter((server) => server.peerState === 'FOLLOWING');
        return followers.length === 0 ? null : prng.pick(followers);
      }
      case 'any':
        return prng.pick(servers);
      case 'it':
        return this.bySid(place?.sid ?? null);
      case 'other':
        return this.bySid(place?.other ?? null);
      default:
        return this.byName(target);
    }
  }

  /** Two different servers. */
  resolvePair(a: Target, b: Target, strike: Strike): [SimServer, SimServer] | null {
    const first = this.resolve(a, strike);
    if (first === null) return null;
    const second = this.resolve(b, strike);
    if (second !== null && second !== first) return [first, second];
    if (this.byName(b) !== null) return null;
    return [first, strike.prng.pick(this.servers.filter((server) => server !== first))];
  }

  isMeant(who: Target, sid: number): boolean {
    if (who === 'any') return true;
    const server = this.bySid(sid);
    if (who === 'leader') return server?.peerState === 'LEADING';
    if (who === 'follower') return server?.peerState === 'FOLLOWING';
    return server !== null && (server.process.name === who || this.#cast.get(who) === server);
  }

  byName(name: string): SimServer | null {
    return this.servers.find((server) => server.process.name === name) ?? this.#cast.get(name) ?? null;
  }
  bySid(sid: number | null): SimServer | null {
    return this.servers.find((server) => server.sid === sid) ?? null;
  }

  // ------------------------------------------------------------ down and up

  /** False: it is down already. `keeps` null: the process has ended by itself. */
  takeDown(server: SimServer, id: string, keeps: 'durable' | 'page-cache'): boolean {
    if (!server.process.alive) return false;
    if (server.leading) this.onLeaderLost();
    this.#downBy.set(server.sid, id);
    server.crash(keeps === 'durable');
    return true;
  }
  /** From now on it is this fault that brings the server up. */
  holdDown(server: SimServer, id: string): void {
    this.#downBy.set(server.sid, id);
  }
  bringUp(server: SimServer, id: string, afterMs: number | null): void {
    if (afterMs === null) return;
    this.world.schedule(afterMs, () => {
      if (this.#downBy.get(server.sid) === id && !this.#frozen.has(server)) server.start();
    });
  }

  // ------------------------------------------------------------ what lasts

  /** Calls `undo` after `forMs`, at the latest at the end of phase 1. */
  lasts(forMs: number, undo: () => void): void {
    this.world.schedule(Math.max(0, Math.min(forMs, this.untilMs - this.world.nowMs)), undo);
  }

  cut(pairs: readonly (readonly [SimServer, SimServer])[], forMs: number): void {
    for (const [from, to] of pairs) {
      const key = `${from.sid}>${to.sid}`;
      const times = this.#cuts.get(key) ?? 0;
      this.#cuts.set(key, times + 1);
      if (times === 0) this.network.cut(from.sid, to.sid);
    }
    if (pairs.length > 0) this.onLeaderLost();
    this.lasts(forMs, () => {
      for (const [from, to] of pairs) {
        const key = `${from.sid}>${to.sid}`;
        const times = this.#cuts.get(key) ?? 0;
        if (times === 0) continue;
        this.#cuts.set(key, times - 1);
        if (times === 1 && !this.#frozen.has(from) && !this.#frozen.has(to)) this.network.heal(from.sid, to.sid);
      }
    });
  }

  /** `on` when the first of these begins, `off` when the last is over. The newest one's strength counts. */
  lasting(what: string, servers: readonly SimServer[], id: string, forMs: number, on: () => void, off: () => void): void {
    const ids = this.#lasting.get(what) ?? new Set();
    this.#lasting.set(what, ids);
    ids.add(id);
    on();
    this.lasts(forMs, () => {
      if (ids.delete(id) && ids.size === 0 && !servers.some((server) => this.#frozen.has(server))) off();
    });
  }

  /** Infinity: its links are as wide as ever. */
  narrow(server: SimServer, bytesPerMs: number): void {
    this.network.narrow(server.sid, bytesPerMs);
    this.onNarrow(server, bytesPerMs);
  }

  // ------------------------------------------------------------ the budget of disks

  /** Whether this disk may be damaged: one at a time, until it is well again, never so many that no quorum is left. */
  mayDamage(server: SimServer): boolean {
    this.#forgetRepaired();
    if (!this.budget) return true;
    return this.servers.length >= 3 && [...this.#rotten.keys()].every((rotten) => rotten === server);
  }
  damaged(server: SimServer): void {
    this.onDamage(server, true);
    this.#rotten.set(server, server.process.alive ? server.quorumPeer?.server : null);
  }
  /** Two servers have each other's disk: damage that nobody has come upon yet is now the other's. */
  swapped(a: SimServer, b: SimServer): void {
    if (this.#rotten.has(a) || this.#rotten.has(b)) for (const server of [a, b]) this.#rotten.set(server, null);
  }
  #forgetRepaired(): void {
    for (const [rotten, then] of this.#rotten) if (rotten.serving && rotten.quorumPeer?.server !== then) this.#rotten.delete(rotten);
  }

  // ------------------------------------------------------------ the end

  /** Nothing gets from the one to the other. */
  isBlocked(from: SimServer, to: SimServer): boolean {
    return (this.#cuts.get(`${from.sid}>${to.sid}`) ?? 0) > 0 || (this.#lasting.get(`clog ${from.sid}>${to.sid}`)?.size ?? 0) > 0;
  }
  /** Nothing is wrong with it, as far as it can be. */
  isWell(server: SimServer): boolean {
    const ailments = ['slow network', 'bandwidth', 'slow disk', 'stall disk', 'disk full'];
    return server.process.alive && !server.process.paused && server.process.rate === 1 && !this.#rotten.has(server) && ailments.every((what) => (this.#lasting.get(`${what} ${server.sid}`)?.size ?? 0) === 0);
  }

  /** The plan's core, and who has to be in it too. */
  recoverable(sids: readonly number[]): readonly SimServer[] {
    this.#forgetRepaired();
    const core = this.servers.filter(({ sid }) => sids.includes(sid));
    const majority = Math.floor(this.servers.length / 2) + 1;
    for (const server of this.servers) {
      if (core.filter((each) => !this.#rotten.has(each)).length >= majority) break;
      if (!core.includes(server) && !this.#rotten.has(server)) core.push(server);
    }
    return core;
  }

  /** Everything works again at these servers and between them, and they are there. What is wrong with the others stays. */
  heal(core: readonly SimServer[]): void {
    const outside = this.servers.filter((server) => !core.includes(server));
    this.#frozen = new Set(outside);
    this.world.trace('nemesis', 'heal', { core: core.map(({ process }) => process.name).join(' ') });
    for (const server of outside) {
      if (server.process.paused) server.process.pause(Infinity);
      if (core.some((member) => this.isBlocked(server, member))) for (const member of core) this.network.cut(server.sid, member.sid);
      if (core.some((member) => this.isBlocked(member, server))) for (const member of core) this.network.cut(member.sid, server.sid);
    }
    if (outside.length === 0) this.network.healAll();
    for (const server of core) {
      this.network.slow(server.sid, 0);
      this.narrow(server, Infinity);
      for (const other of core) {
        if (other === server) continue;
        this.network.heal(server.sid, other.sid);
        this.network.unclog(server.sid, other.sid);
      }
    }
    for (const server of core) {
      server.disk.heal();
      server.process.setRate(1);
      if (server.process.paused) server.process.resume();
      server.start();
    }
  }
}
