/**
 * What each kind of fault does to the world when it strikes. An action answers whom it struck: nobody, when the one that it means is not there
 * to be struck, or the budget does not allow it; then it is not counted.
 */
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { FaultAction } from '../plan/plan.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { Arena, Strike } from './arena.ts';
import { loseDisk, misdirect, rollBack, rot, swapDisks } from './disks.ts';

type Struck = readonly SimServer[];
const NOBODY: Struck = [];
type Kinds = FaultAction['kind'];
type Action<K extends Kinds> = (arena: Arena, action: Extract<FaultAction, { kind: K }>, strike: Strike) => Struck;

/** Those of the ensemble; cluster/ has its own. */
const actions: { readonly [K in Kinds]?: Action<K> } = {
  crash: (arena, { on, keeps, downMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null || !arena.takeDown(server, strike.id, keeps)) return NOBODY;
    arena.bringUp(server, strike.id, downMs);
    return [server];
  },
  'power-failure': (arena, { on, downMs, staggerMs }, strike) => {
    const servers = new Set(on.map((target) => arena.resolve(target, strike)));
    const struck = [...servers].filter((server) => server !== null).filter((server) => arena.takeDown(server, strike.id, 'durable'));
    for (const [i, server] of struck.entries()) arena.bringUp(server, strike.id, downMs + i * staggerMs);
    return struck;
  },
  restart: (arena, { on, downMs, knobs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null || !server.process.alive) return NOBODY;
    if (server.leading) arena.onLeaderLost();
    arena.holdDown(server, strike.id);
    if (knobs !== undefined) server.reconfigure(knobs);
    server.stop(() => arena.bringUp(server, strike.id, downMs));
    return [server];
  },
  start: (arena, { on }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null || server.process.alive) return NOBODY;
    arena.holdDown(server, strike.id);
    server.start();
    return [server];
  },
  pause: (arena, { on, forMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null || !server.process.alive) return NOBODY;
    if (server.leading) arena.onLeaderLost();
    server.process.pause(Math.max(0, Math.min(forMs, arena.untilMs - arena.world.nowMs)));
    return [server];
  },

  partition: (arena, { groups, ways, forMs }, strike) => {
    const sides = groups.map((group) => group.map((target) => arena.resolve(target, strike)).filter((server) => server !== null));
    // One group is cut off from everyone else.
    const [first] = sides;
    if (sides.length === 1 && first !== undefined) sides.push(arena.servers.filter((server) => !first.includes(server)));
    const pairs: [SimServer, SimServer][] = [];
    for (const [i, side] of sides.entries()) {
      for (const [j, other] of sides.entries()) {
        if (i === j || (ways === 'out' && i !== 0) || (ways === 'in' && j !== 0)) continue;
        for (const from of side) for (const to of other) if (from !== to) pairs.push([from, to]);
      }
    }
    arena.cut(pairs, forMs);
    return pairs.length === 0 ? NOBODY : sides.flat();
  },
  ring: (arena, { forMs }) => {
    const n = arena.servers.length;
    const pairs: [SimServer, SimServer][] = [];
    for (const [i, from] of arena.servers.entries()) {
      for (const [j, to] of arena.servers.entries()) if (Math.min((i - j + n) % n, (j - i + n) % n) > Math.ceil((n - 1) / 4)) pairs.push([from, to]);
    }
    arena.cut(pairs, forMs);
    return pairs.length === 0 ? NOBODY : arena.servers;
  },
  clog: (arena, { from, to, forMs }, strike) => {
    const pair = arena.resolvePair(from, to, strike);
    if (pair === null) return NOBODY;
    const [a, b] = pair;
    arena.lasting(`clog ${a.sid}>${b.sid}`, pair, strike.id, forMs, () => arena.network.clog(a.sid, b.sid), () => arena.network.unclog(a.sid, b.sid));
    return pair;
  },
  'slow-network': (arena, { on, extraMs, forMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    arena.lasting(`slow network ${server.sid}`, [server], strike.id, forMs, () => arena.network.slow(server.sid, extraMs), () => arena.network.slow(server.sid, 0));
    return [server];
  },
  bandwidth: (arena, { on, bytesPerMs, forMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    arena.lasting(`bandwidth ${server.sid}`, [server], strike.id, forMs, () => arena.narrow(server, bytesPerMs), () => arena.narrow(server, Infinity));
    return [server];
  },
  break: (arena, { from, to, lateMs }, strike) => {
    const pair = arena.resolvePair(from, to, strike);
    if (pair === null) return NOBODY;
    arena.network.break(pair[0].sid, pair[1].sid, lateMs);
    return pair;
  },
  drop: (arena, { from, to, type }, strike) => {
    const pair = arena.resolvePair(from, to, strike);
    if (pair === null) return NOBODY;
    arena.network.dropNext(pair[0].sid, pair[1].sid, type as PeerMessage['type']);
    return pair;
  },
  corrupt: (arena, { from, to }, strike) => {
    const pair = arena.resolvePair(from, to, strike);
    if (pair === null) return NOBODY;
    arena.network.corruptNext(pair[0].sid, pair[1].sid);
    return pair;
  },

  'slow-disk': (arena, { on, extraMs, forMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    arena.lasting(`slow disk ${server.sid}`, [server], strike.id, forMs, () => server.disk.slow(extraMs), () => server.disk.slow(0));
    return [server];
  },
  'stall-disk': (arena, { on, forMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    arena.lasting(`stall disk ${server.sid}`, [server], strike.id, forMs, () => server.disk.stall(), () => server.disk.goOn());
    return [server];
  },
  'disk-error': (arena, { on, what, times }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null || !server.process.alive) return NOBODY;
    if (what === 'journal write') server.files.failWrites(times);
    else if (what === 'journal create') server.files.failCreates(times);
    else if (what === 'journal read') server.files.failReads(times);
    else server.kvs.store('state').failBatches(times);
    return [server];
  },
  'disk-full': (arena, { on, forMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    arena.lasting(`disk full ${server.sid}`, [server], strike.id, forMs, () => server.disk.setCapacity(server.files.usedBytes()), () => server.disk.setCapacity(Infinity));
    return [server];
  },
  rot: (arena, { on, what, where, downMs }, strike) => {
    const server = arena.resolve(on, strike);
    return server !== null && rot(arena, server, what, where, downMs, strike) ? [server] : NOBODY;
  },
  misdirect: (arena, { on, what, where, downMs }, strike) => {
    const server = arena.resolve(on, strike);
    return server !== null && misdirect(arena, server, what, where, downMs, strike) ? [server] : NOBODY;
  },
  'image-disk': (arena, { on }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    server.disk.keep();
    return [server];
  },
  'roll-back': (arena, { on, what, downMs }, strike) => {
    const server = arena.resolve(on, strike);
    return server !== null && rollBack(arena, server, what, downMs, strike) ? [server] : NOBODY;
  },
  'lose-disk': (arena, { on, downMs }, strike) => {
    const server = arena.resolve(on, strike);
    return server !== null && loseDisk(arena, server, downMs, strike) ? [server] : NOBODY;
  },
  'swap-disks': (arena, { a, b, downMs }, strike) => {
    const pair = arena.resolvePair(a, b, strike);
    if (pair === null) return NOBODY;
    swapDisks(arena, pair[0], pair[1], downMs, strike);
    return pair;
  },

  'clock-jump': (arena, { on, byMs }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    server.process.jumpWall(byMs);
    return [server];
  },
  'clock-rate': (arena, { on, rate }, strike) => {
    const server = arena.resolve(on, strike);
    if (server === null) return NOBODY;
    server.process.setRate(rate);
    return [server];
  },
};

export function act(arena: Arena, action: FaultAction, strike: Strike): Struck {
  const found = actions[action.kind] as Action<Kinds> | undefined;
  if (found === undefined) throw new RangeError(`"${action.kind}" is no fault of an ensemble`);
  return found(arena, action, strike);
}
