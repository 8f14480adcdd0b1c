/**
 * Draws faults: each recipe by name makes one fault, or a few that belong together. What a recipe draws comes from a stream forked by the number
 * of the recipe's turn, so that a change of one moves no other. Which recipes, and how often, is the scenario's choice.
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { EventPattern, FaultAction, FaultPlan, Moment, Target } from './plan.ts';

/** Places in the life of a server at which a crash has hurt someone: before and after each durable effect, and between two effects of one step. */
export const BOOT_POINTS = ['Boot', 'State', 'ElectionDecided', 'journal create', 'state batch', 'flushed'] as const;
export const SYNC_POINTS = [
  'Ack', 'Truncate', 'SyncPlan', 'LearnerUp', 'NewEpoch', 'SynchronizationBegins', 'Established', 'UpToDate', 'Serving', 'LeftLeader',
  'send FOLLOWERINFO', 'receive LEADERINFO', 'send ACKEPOCH', 'receive ACKEPOCH', 'receive DIFF', 'receive TRUNC', 'receive SNAP', 'receive SNAPCHUNK', 'receive SNAPEND',
  'receive NEWLEADER', 'send NEWLEADER', 'receive UPTODATE', 'send UPTODATE', 'receive ACK', 'send ACK', 'journal write', 'durable', 'state batch', 'flushed',
] as const;
export const BROADCAST_POINTS = [
  'Broadcast', 'Deliver', 'send PROPOSAL', 'receive PROPOSAL', 'send ACK', 'receive ACK', 'send COMMIT', 'receive COMMIT', 'send PIPELINE', 'receive PIPELINE', 'journal write', 'durable', 'journal create', 'journal remove',
  'state batch', 'flushed', 'SteppedDown',
] as const;

/** A fault without its id; `after`: the how-manieth fault of the same recipe it waits for. */
export interface Drawn {
  readonly when?: Omit<Moment, 'after' | 'atMs'>;
  readonly afterDrawn?: number;
  readonly action: FaultAction;
}

type Recipe = (prng: Prng, servers: number) => Drawn | readonly Drawn[];

const ms = (value: number): number => Math.round(value * 10) / 10;
const name = (prng: Prng, servers: number): Target => `server-${1 + prng.below(servers)}`;
/** Where it hurts most, or anyone. */
const victim = (prng: Prng, servers: number): Target => (prng.chance(0.4) ? 'leader' : name(prng, servers));
const all = (servers: number): Target[] => Array.from({ length: servers }, (_, i) => `server-${i + 1}`);
const two = (prng: Prng, servers: number): [Target, Target] => shuffled(all(servers), prng).slice(0, 2) as [Target, Target];

const crash = (on: Target, prng: Prng, downMsMax: number): FaultAction => ({ kind: 'crash', on, keeps: 'durable', downMs: ms(20 + prng.float() * downMsMax) });
/** Half of them within the event itself. */
const at = (prng: Prng, who: Target, event: string, plusMsMax: number, nth = 1): Omit<Moment, 'after' | 'atMs'> => ({ event: { who, name: event, ...(nth === 1 ? {} : { nth }) }, ...(prng.chance(0.5) ? {} : { plusMs: ms(prng.float() * plusMsMax) }) });

const recipes = {
  'crash-leader': (prng) => ({ action: crash('leader', prng, 1500) }),
  'crash-any': (prng, n) => ({ action: crash(name(prng, n), prng, 800) }),
  'crash-in-boot': (prng, n) => {
    const on = victim(prng, n);
    return [
      { action: { kind: 'restart', on, downMs: ms(20 + prng.float() * 300) } },
      { afterDrawn: 0, when: at(prng, 'any', prng.pick(BOOT_POINTS), 3), action: crash('it', prng, 500) },
    ];
  },
  /** Asleep long enough for the others to go ahead, then killed while it is brought in line. */
  'crash-in-sync': (prng, n) => {
    const on = name(prng, n);
    return [
      { action: crash(on, prng, 1500) },
      { afterDrawn: 0, when: at(prng, on, prng.pick(SYNC_POINTS), 4), action: crash(on, prng, 500) },
    ];
  },
  /** Asleep long enough, and one of the two ends of the snapshot that it is sent does not live to see its end. */
  'crash-in-snap': (prng, n) => [
    { action: crash(name(prng, n), prng, 1500) },
    { afterDrawn: 0, when: at(prng, 'any', 'receive SNAP', 40), action: crash(prng.chance(0.7) ? 'it' : 'other', prng, 500) },
  ],
  /** Whoever comes by this place next dies there. */
  'crash-at-point': (prng) => ({ when: at(prng, prng.pick(['any', 'leader', 'follower']), prng.pick([...SYNC_POINTS, ...BROADCAST_POINTS]), 2, prng.pick([1, 1, 2, 5, 30])), action: crash('it', prng, 800) }),
  /** Before or behind a write of this kind: epochs, a cut, the beginning, the middle or the end of a snapshot. */
  'crash-at-write': (prng, n) => {
    const on = name(prng, n);
    const point = at(prng, prng.chance(0.5) ? on : 'any', prng.pick(['journal write', 'durable']), 3);
    const event = { ...(point.event as EventPattern), where: { [prng.pick(WRITES)]: true } };
    return [
      { action: crash(on, prng, 1500) },
      { afterDrawn: 0, when: { ...point, event }, action: { kind: 'crash', on: 'it', keeps: prng.pick(['durable', 'durable', 'page-cache']), downMs: ms(20 + prng.float() * 500) } },
    ];
  },
  /** The leader has hardly been elected, and is gone. */
  'crash-new-leader': (prng) => ({ when: at(prng, 'any', prng.pick(['NewEpoch', 'SynchronizationBegins', 'Established', 'send NEWLEADER', 'send UPTODATE', 'LearnerUp']), 50), action: crash('it', prng, 800) }),
  kill: (prng, n) => ({ action: { kind: 'crash', on: victim(prng, n), keeps: 'page-cache', downMs: ms(20 + prng.float() * 800) } }),
  'kill-at-point': (prng) => ({ when: at(prng, 'any', prng.pick(['journal write', 'durable', 'state batch', 'send ACK', 'receive NEWLEADER']), 2), action: { kind: 'crash', on: 'it', keeps: 'page-cache', downMs: ms(20 + prng.float() * 800) } }),
  'power-failure': (prng, n) => ({ action: powerFailure(prng, n) }),
  /** While they synchronize, which is what the last one made them do. */
  'power-failures': (prng, n) => [
    { action: powerFailure(prng, n) },
    { afterDrawn: 0, when: at(prng, 'any', prng.pick(SYNC_POINTS), 20, prng.pick([1, 2, 4])), action: powerFailure(prng, n) },
  ],
  restart: (prng, n) => ({ action: { kind: 'restart', on: victim(prng, n), downMs: ms(20 + prng.float() * 300) } }),
  /** It comes back with other settings. */
  reconfigure: (prng, n) => ({ action: { kind: 'restart', on: victim(prng, n), downMs: ms(20 + prng.float() * 300), knobs: { flushEntriesMax: prng.pick([5, 50, 1000]), flushIntervalMs: prng.pick([10, 100, 500, 3000]) } } }),
  pause: (prng, n) => ({ action: { kind: 'pause', on: victim(prng, n), forMs: ms(prng.pick([50, 300, 1200, 3000, 30_000]) * (0.5 + prng.float() / 2)) } }),
  'pause-at-point': (prng) => ({ when: at(prng, 'any', prng.pick([...SYNC_POINTS, ...BROADCAST_POINTS]), 2, prng.pick([1, 3, 20])), action: { kind: 'pause', on: 'it', forMs: ms(prng.pick([300, 1200, 3000]) * (0.5 + prng.float() / 2)) } }),

  'cut-leader': (prng) => ({ action: { kind: 'partition', groups: [['leader']], ways: prng.chance(0.3) ? prng.pick(['in', 'out']) : 'both', forMs: ms(100 + prng.float() * 2500) } }),
  split: (prng, n) => {
    const sides: [Target[], Target[]] = [[], []];
    for (const server of all(n)) sides[prng.below(2) as 0 | 1].push(server);
    return { action: { kind: 'partition', groups: sides.filter((side) => side.length > 0), ways: 'both', forMs: ms(200 + prng.float() * 2500) } };
  },
  /** Both sides reach one in the middle. */
  bridge: (prng, n) => {
    const [, ...others] = shuffled(all(n), prng);
    const half = Math.ceil(others.length / 2);
    return { action: { kind: 'partition', groups: [others.slice(0, half), others.slice(half)], ways: prng.chance(0.3) ? 'out' : 'both', forMs: ms(200 + prng.float() * 2500) } };
  },
  ring: (prng) => ({ action: { kind: 'ring', forMs: ms(200 + prng.float() * 2500) } }),
  'cut-pair': (prng, n) => {
    const [a, b] = two(prng, n);
    return { action: { kind: 'partition', groups: [[a], [b]], ways: prng.chance(0.5) ? 'out' : 'both', forMs: ms(200 + prng.float() * 2500) } };
  },
  /** Just when it matters. */
  'cut-at-point': (prng) => ({ when: at(prng, 'any', prng.pick(['NewEpoch', 'SynchronizationBegins', 'send UPTODATE', 'send COMMIT', 'Established', 'receive NEWLEADER', 'send ACK']), 5), action: { kind: 'partition', groups: [['it']], ways: prng.pick(['both', 'in', 'out']), forMs: ms(100 + prng.float() * 2500) } }),
  clog: (prng, n) => {
    const [from, to] = two(prng, n);
    return { action: { kind: 'clog', from, to, forMs: ms(100 + prng.float() * 3000) } };
  },
  /** Half of the links stop in the first half of a window and go on in the second, in another order. */
  'swizzle-clog': (prng, n) => {
    const windowMs = 500 + prng.float() * 4000;
    const drawn: Drawn[] = [];
    for (const from of all(n)) {
      for (const to of all(n)) {
        if (from === to || !prng.chance(0.5)) continue;
        const startMs = (prng.float() * windowMs) / 2;
        drawn.push({ when: { plusMs: ms(startMs) }, action: { kind: 'clog', from, to, forMs: ms(windowMs / 2 - startMs + (prng.float() * windowMs) / 2) } });
      }
    }
    return drawn;
  },
  'slow-server': (prng, n) => ({ action: { kind: 'slow-network', on: victim(prng, n), extraMs: prng.pick([20, 100, 600]), forMs: ms(500 + prng.float() * 2000) } }),
  bandwidth: (prng, n) => ({ action: { kind: 'bandwidth', on: victim(prng, n), bytesPerMs: prng.pick([3, 25, 125]), forMs: ms(500 + prng.float() * 3000) } }),
  break: (prng, n) => {
    const [from, to] = two(prng, n);
    return { action: { kind: 'break', from: prng.chance(0.4) ? 'leader' : from, to, ...(prng.chance(0.5) ? { lateMs: ms(prng.pick([5, 100, 1000]) * (0.5 + prng.float())) } : {}) } };
  },
  drop: (prng) => ({ action: { kind: 'drop', from: prng.pick(['leader', 'follower', 'any']), to: prng.pick(['any', 'follower', 'leader']), type: prng.pick(FRAMES) } }),
  corrupt: (prng) => ({ action: { kind: 'corrupt', from: prng.pick(['leader', 'follower', 'any']), to: prng.pick(['any', 'follower', 'leader']) } }),

  'slow-disk': (prng, n) => ({ action: { kind: 'slow-disk', on: victim(prng, n), extraMs: prng.pick([10, 50, 300]), forMs: ms(300 + prng.float() * 2000) } }),
  'stall-disk': (prng, n) => ({ action: { kind: 'stall-disk', on: victim(prng, n), forMs: ms(prng.pick([100, 800, 3000]) * (0.5 + prng.float())) } }),
  'disk-error': (prng, n) => ({ action: { kind: 'disk-error', on: victim(prng, n), what: prng.pick(['journal write', 'journal write', 'state batch', 'journal create', 'journal read']), times: prng.between(1, 2) } }),
  'disk-full': (prng, n) => ({ action: { kind: 'disk-full', on: victim(prng, n), forMs: ms(200 + prng.float() * 2000) } }),
  rot: (prng, n) => ({ action: { kind: 'rot', on: victim(prng, n), what: prng.pick(['journal', 'journal', 'journal', 'state value', 'state batch', 'journal file']), where: Math.round(prng.float() * 1000) / 1000, downMs: ms(20 + prng.float() * 500) } }),
  misdirect: (prng, n) => ({ action: { kind: 'misdirect', on: victim(prng, n), what: prng.pick(['journal', 'journal', 'state value']), where: Math.round(prng.float() * 1000) / 1000, downMs: prng.chance(0.4) ? null : ms(20 + prng.float() * 500) } }),
  'roll-back': (prng, n) => {
    const on = name(prng, n);
    return [
      { action: { kind: 'image-disk', on } },
      { afterDrawn: 0, when: { plusMs: ms(prng.pick([300, 1500, 4000]) * (0.5 + prng.float())) }, action: { kind: 'roll-back', on, what: prng.pick(['disk', 'journal', 'journal file', 'state']), downMs: ms(20 + prng.float() * 500) } },
    ];
  },
  'lose-disk': (prng, n) => ({ action: { kind: 'lose-disk', on: victim(prng, n), downMs: ms(20 + prng.float() * 800) } }),
  'swap-disks': (prng, n) => {
    const [a, b] = two(prng, n);
    return { action: { kind: 'swap-disks', a, b, downMs: ms(20 + prng.float() * 800) } };
  },

  'clock-jump': (prng, n) => ({ action: { kind: 'clock-jump', on: victim(prng, n), byMs: Math.floor((prng.float() - 0.5) * prng.pick([100, 20_000, 600_000])) } }),
  'clock-rate': (prng, n) => ({ action: { kind: 'clock-rate', on: victim(prng, n), rate: prng.pick([0.5, 0.8, 0.95, 1, 1.05, 1.3, 2]) } }),
  /** A jump right behind a pause. */
  'clock-strobe': (prng, n) => {
    const on = victim(prng, n);
    const jump = (plusMs: number): Drawn => ({ when: { plusMs: ms(plusMs) }, action: { kind: 'clock-jump', on, byMs: Math.floor((prng.float() - 0.5) * 500_000) } });
    const pauseMs = 50 + prng.float() * 1000;
    return [{ action: { kind: 'pause', on, forMs: ms(pauseMs) } }, jump(pauseMs), jump(pauseMs + 5 + prng.float() * 200), jump(pauseMs + 300 + prng.float() * 700)];
  },
} satisfies Record<string, Recipe>;

export type RecipeName = keyof typeof recipes;
export const RECIPES = Object.keys(recipes) as readonly RecipeName[];

const WRITES = ['hardState', 'hardState', 'group', 'truncate', 'snapshotBegin', 'snapshotChunk', 'snapshotInstall'] as const;
const FRAMES = ['FOLLOWERINFO', 'ACKEPOCH', 'ACK', 'PONG', 'LEADERINFO', 'DIFF', 'TRUNC', 'SNAP', 'SNAPCHUNK', 'SNAPEND', 'NEWLEADER', 'UPTODATE', 'PROPOSAL', 'PROPOSAL', 'COMMIT', 'PING', 'PIPELINE', 'NOTIFICATION', 'HEARTBEAT'] as const;

/** A quorum, or everyone, at one instant. */
function powerFailure(prng: Prng, servers: number): FaultAction {
  const on = prng.chance(0.5) ? all(servers) : shuffled(all(servers), prng).slice(0, Math.floor(servers / 2) + 1);
  return { kind: 'power-failure', on, downMs: ms(20 + prng.float() * 300), staggerMs: ms(prng.pick([0, 0.3, 40]) + prng.float() * 60) };
}

/** How dense faults are, by virtual time: half of them come soon after the last. */
export interface Rate {
  readonly soonMs: number;
  readonly apartMs: readonly [min: number, max: number];
  /** Share of the faults without a moment of their own that wait for the next election or synchronization to begin, and strike within a second. */
  readonly onElection: number;
}
export const DENSE: Rate = { soonMs: 400, apartMs: [500, 2000], onElection: 0 };

const ELECTION_BEGINS = ['ElectionDecided', 'NewEpoch', 'SynchronizationBegins', 'SyncPlan', 'receive NEWLEADER', 'Established', 'State'] as const;
const ELECTION_MS = 1000;

/** `before`: how many faults there are already; ids go on from there. */
export function drawFaults(prng: Prng, mix: readonly RecipeName[], servers: number, fromMs: number, untilMs: number, rate: Rate = DENSE, before = 0): FaultPlan[] {
  const faults: FaultPlan[] = [];
  const times = prng.fork('times');
  const which = prng.fork('which');
  let turn = 0;
  for (let atMs = fromMs + 300 + times.float() * 700; atMs <= untilMs; ) {
    const own = prng.fork(`turn-${++turn}`);
    const moment = own.fork('moment');
    const waits = moment.chance(rate.onElection) ? { event: { who: 'any', name: moment.pick(ELECTION_BEGINS) }, plusMs: ms(moment.float() * ELECTION_MS) } : undefined;
    faults.push(...drawRecipe(which.pick(mix), own, servers, ms(atMs), before + faults.length, waits));
    atMs += times.chance(0.5) ? times.float() * rate.soonMs : rate.apartMs[0] + times.float() * (rate.apartMs[1] - rate.apartMs[0]);
  }
  return faults;
}

/** `waits`: for what, unless the recipe has a moment of its own. */
export function drawRecipe(recipe: RecipeName, prng: Prng, servers: number, atMs: number, before: number, waits?: Drawn['when']): FaultPlan[] {
  const drawn = (recipes[recipe] as Recipe)(prng, servers);
  const each = Array.isArray(drawn) ? (drawn as readonly Drawn[]) : [drawn as Drawn];
  return each.map(({ when, afterDrawn, action }, i) => {
    const moment = when ?? (afterDrawn === undefined ? waits : undefined);
    const isPlain = afterDrawn === undefined && moment?.event === undefined;
    return {
      id: `f${before + i + 1}`,
      when: { atMs: ms(isPlain ? atMs + (moment?.plusMs ?? 0) : atMs), ...(afterDrawn === undefined ? {} : { after: `f${before + afterDrawn + 1}` }), ...(isPlain ? {} : moment) },
      action,
    };
  });
}

export function shuffled<T>(items: readonly T[], prng: Prng): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
