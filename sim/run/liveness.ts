/**
 * What an ensemble owes when nothing stands in its way: how soon it must serve, and who waits for what when it does not.
 */
import { formatZxid } from '../../coord/base/zxid.ts';
import type { Arena } from '../faults/arena.ts';
import type { Judge } from '../judges/judge.ts';
import type { Plan } from '../plan/plan.ts';
import type { Client } from '../workloads/clients.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';

/** Discovery and synchronization with grown time-outs, boots, a SNAP. */
const ROUNDS_MS = 10_000;
/** Votes, epochs, NEWLEADER and a log in tiny segments, one write after the other. */
const WRITES = 100;

/** A leader must serve this long after the last fault, virtual ms: detection, some elections, and what the disks take. */
export function boundMs({ knobs, clients }: Plan): number {
  const session = Math.max(0, ...clients.map(({ timeoutMs }) => timeoutMs));
  return ROUNDS_MS + 6 * knobs.detectMs + 10 * knobs.progressMs + WRITES * knobs.writeMs[1] + session;
}

export function whoWaits(servers: readonly SimServer[], clients: readonly Client[]): string {
  const waiting = clients.filter((client) => !client.idle).map((client) => `client ${client.id} for ${client.waitsFor}`);
  return [...servers.map(describeServer), ...(waiting.length === 0 ? ['no client waits'] : waiting)].join('; ');
}

function describeServer(server: SimServer): string {
  const name = `server ${server.sid}`;
  if (!server.process.alive) return `${name} is down`;
  const core = server.quorumPeer?.server ?? null;
  const paused = server.process.paused ? ' (paused)' : '';
  if (core === null) return `${name} waits for its disk${paused}`;
  const { peer, serving, tree } = core;
  return `${name} ${peer.state} in epoch ${peer.currentEpoch} (accepted ${peer.acceptedEpoch}), serves ${serving === 'no' ? 'nobody' : `as ${serving}`}, log ${formatZxid(peer.lastZxid)}, state ${formatZxid(tree.lastProcessedZxid)}, waits for ${peer.waitsFor}${paused}`;
}

const SAMPLE_MS = 100;

/**
 * Phase 1: a quorum that is well, whose links are well, and to whom everyone else is either wholly linked or not at all, owes the same as after the
 * end of all faults. Looks at every such quorum ten times a second.
 */
export class ProgressWatch {
  readonly #world: World;
  readonly #arena: Arena;
  readonly #judge: Judge;
  readonly #boundMs: number;
  readonly #clients: readonly Client[];
  /** Since when each quorum, as a set of bits, is well and does not serve. */
  readonly #since = new Map<number, number>();
  readonly #quorums: readonly (readonly SimServer[])[];
  #stopped = false;

  constructor(world: World, arena: Arena, judge: Judge, plan: Plan, clients: readonly Client[]) {
    this.#world = world;
    this.#arena = arena;
    this.#judge = judge;
    this.#boundMs = boundMs(plan);
    this.#clients = clients;
    const { servers } = arena;
    const sets = Array.from({ length: 2 ** servers.length }, (_, bits) => servers.filter((_server, i) => (bits & (1 << i)) !== 0));
    this.#quorums = sets.filter((set) => set.length > servers.length / 2);
    // A quorum cannot be well for long enough to owe anything.
    if (plan.untilMs > this.#boundMs) this.#look();
  }

  stop(): void {
    this.#stopped = true;
  }

  #look(): void {
    if (this.#stopped) return;
    // Most of the time all serve, and nothing else needs to be known.
    const idle = this.#arena.servers.filter((server) => !server.serving);
    if (idle.length === 0) this.#since.clear();
    else this.#lookAt(idle);
    this.#world.schedule(SAMPLE_MS, () => this.#look());
  }

  #lookAt(idle: readonly SimServer[]): void {
    const nowMs = this.#world.nowMs;
    const well = new Set(this.#arena.servers.filter((server) => this.#arena.isWell(server)));
    for (const [i, quorum] of this.#quorums.entries()) {
      if (!quorum.some((server) => idle.includes(server)) || !this.#isWell(quorum, well)) this.#since.delete(i);
      else if (!this.#since.has(i)) this.#since.set(i, nowMs);
      else if (nowMs - (this.#since.get(i) as number) > this.#boundMs) {
        this.#judge.fail('Liveness', `servers ${quorum.map(({ sid }) => sid).join(', ')} have been well for ${this.#boundMs} ms and do not all serve: ${whoWaits(this.#arena.servers, this.#clients)}`);
      }
    }
  }

  #isWell(quorum: readonly SimServer[], well: ReadonlySet<SimServer>): boolean {
    if (!quorum.every((server) => well.has(server))) return false;
    for (const server of this.#arena.servers) {
      const isInside = quorum.includes(server);
      const others = quorum.filter((other) => other !== server);
      const blocked = others.filter((other) => this.#arena.isBlocked(server, other) || this.#arena.isBlocked(other, server));
      if (blocked.length > 0 && (isInside || blocked.length < others.length)) return false;
      // Whoever is ill and linked may lead, and lead badly.
      if (!isInside && blocked.length === 0 && server.process.alive && !well.has(server)) return false;
    }
    return true;
  }
}
