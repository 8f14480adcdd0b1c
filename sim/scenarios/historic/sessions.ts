/** Bugs in sessions, ephemerals, watches and what a client may conclude from a reply. */
import type { Scenario } from '../scenario.ts';
import { stories } from './story.ts';

export const sessionStories: readonly Scenario[] = [
  ...stories(['ZK-2355', 'ZK-5010'], 'followers fail while the closeSession comes to them, and rejoin: the ephemerals are gone everywhere', ['died while a session was closed', 'ephemeral ended'], (t) => {
    const begun = t.begins();
    const made = t.op(1, 'create-ephemeral', { after: begun }, { path: '/e', times: 5 });
    const cast = t.cast('follower as F', { after: made });
    const asked = t.passes({ after: cast, plusMs: 5 });
    const closed = t.op(1, 'close', { after: asked });
    t.crash('F', { after: asked, event: { who: 'F', name: t.prng.pick(['receive PROPOSAL', 'send ACK', 'receive COMMIT', 'journal write']) }, ...(t.prng.chance(0.5) ? {} : { before: closed }) }, t.ms(50, 600), 'died while a session was closed');
    if (t.prng.chance(0.5)) t.crash('L', { after: made, plusMs: t.ms(5, 400) }, t.ms(100, 900));
    // The crowd closes sessions behind creates that are not answered yet.
  }, { crowd: 4, manners: { misbehave: 0.1, burst: 8 } }),
  ...stories(['ZK-1367'], 'the whole ensemble restarts, and a client with ephemerals does not come back: they end with its session, everywhere', ['session expired', 'ephemeral ended'], (t) => {
    const begun = t.begins();
    const made = t.op(1, 'create-ephemeral', { after: begun }, { path: '/e', times: 5 });
    // It has been at another server meanwhile.
    const moved = t.op(1, 'connect', { after: made }, { to: 'follower' });
    const comesBack = t.prng.chance(0.5);
    const gone = comesBack ? moved : t.op(1, 'abandon', { after: moved });
    const down = t.fault({ after: gone, plusMs: t.ms(0, 300) }, { kind: 'power-failure', on: t.all, downMs: t.ms(20, 300), staggerMs: t.ms(0, 80) });
    // Or it comes back once more before it is gone.
    if (comesBack) t.op(1, 'abandon', { after: t.op(1, 'connect', { after: t.passes({ after: down, event: { who: 'any', name: 'Serving' } }) }, { to: 'follower' }) });
  }, { untilMs: 10_000 }),
  ...stories(['ZK-1208', 'ZK-2985'], 'clients send creates right behind their closeSession, lose replies and come back: no ephemeral of a session that has ended', ['request after close'], (t) => {
    t.begins();
    t.crash('L', { atMs: t.ms(1500, 3000) }, t.ms(200, 900));
  }, { crowd: 5, manners: { misbehave: 0.25, move: 0.05 } }),
  ...stories(['ZK-710'], 'clients move to another server with requests in flight that still arrive at the old one: they are refused there', ['SESSIONMOVED'], (t) => {
    t.begins();
  }, { crowd: 3, manners: { move: 0.25, burst: 5, thinkMs: 60 }, untilMs: 4000 }),
  ...stories(['ZK-1412', 'ETCD-15271', 'ETCD-17247'], 'clients with watches move and are cut off: each event once, none that they have seen, none missed', ['watch event missed'], (t) => {
    t.begins();
    t.crash('L', { atMs: t.ms(1500, 2500) }, t.ms(200, 900));
    t.isolate('any', { atMs: t.ms(2500, 3500) }, t.ms(700, 1500));
  }, { crowd: 4, manners: { move: 0.3, burst: 4, thinkMs: 60 }, untilMs: 5000 }),
  ...stories(['ZK-706'], 'clients that ship have more watches than fit one frame, and lose their connections: all are set again, and what was created in doubt is there once', ['watches set again in parts', 'create in doubt'], (t) => {
    t.begins();
    t.crash('L', { atMs: t.ms(1500, 2500) }, t.ms(200, 900));
    t.isolate('any', { atMs: t.ms(2500, 3500) }, t.ms(700, 1500));
    t.fault({ atMs: t.ms(3500, 4500) }, { kind: 'restart', on: 'follower', downMs: t.ms(20, 200) });
  }, { crowd: 4, manners: { kind: 'library', move: 0.2, burst: 6, thinkMs: 60, timeoutMs: 4000 }, untilMs: 5000 }),
  ...stories(['LEASE'], 'clients that ship fall silent for about as long as their sessions live, while servers are cut off and stopped: none of them believes in its session when the leader has ended it', ['session expired'], (t) => {
    t.begins();
    t.isolate('follower', { atMs: t.ms(1200, 2000) }, t.ms(400, 1500));
    t.fault({ atMs: t.ms(2200, 3500) }, { kind: 'pause', on: 'follower', forMs: t.ms(300, 1200) });
    t.fault({ atMs: t.ms(3500, 4500) }, { kind: 'slow-network', on: 'follower', extraMs: t.prng.pick([50, 200, 400]), forMs: t.ms(500, 1500) });
  }, { crowd: 6, manners: { kind: 'library', move: 0.1, stall: 0.1, burst: 4, thinkMs: 120, timeoutMs: 1000 } }),
  ...stories(['ZK-1382'], 'sessions with watches expire and end: their watches do not stay behind', ['session expired', 'watch event'], (t) => {
    t.begins();
    for (const client of [2, 3]) {
      t.op(client, 'abandon', { atMs: t.ms(1200, 2000) });
      t.op(client, 'connect', { atMs: t.ms(4500, 5000) });
    }
  }, { crowd: 4, manners: { timeoutMs: 1000, move: 0.3, stall: 0.05 } }),
  ...stories(['ZK-1675'], 'a leader is cut off and does not know; a client asks it for sync and reads: it must not be shown the past', ['SYNC at a deposed leader'], (t) => {
    const begun = t.begins();
    const cut = t.isolate('L', { after: begun, plusMs: t.ms(5, 30) }, t.ms(1500, 2500));
    // Its clock runs at half the rate: it takes twice as long to notice.
    const next = t.cast('it as N', { after: cut, event: { who: 'any', name: 'Established' } });
    t.op(2, 'connect', { after: next }, { to: 'N' });
    t.writes(2, { after: next, plusMs: 0.5 }, 3);
    t.op(1, 'sync-get', { after: next, plusMs: t.ms(2, 200) }, { path: '/w', mark: 'SYNC at a deposed leader' });
    t.fault({ after: begun }, { kind: 'clock-rate', on: 'L', rate: 0.5 });
  }, { clients: 2, crowd: 1 }),
  ...stories(['K2'], 'a client that has been at the new leader comes back to the old one, which does not know that it is deposed: it is not shown less than it has seen', ['moved to a server that lags'], (t) => {
    // Its session is known to both.
    t.op(2, 'connect', { atMs: 600 });
    const begun = t.begins();
    t.fault({ after: begun }, { kind: 'clock-rate', on: 'L', rate: 0.5 });
    const cut = t.isolate('L', { after: begun, plusMs: t.ms(5, 30) }, t.ms(1500, 2500));
    const next = t.cast('it as N', { after: cut, event: { who: 'any', name: 'Established' }, plusMs: 1 });
    t.op(2, 'connect', { after: next }, { to: 'N' });
    const written = t.writes(2, { after: next }, t.prng.between(1, 3));
    t.op(2, 'connect', { after: written, plusMs: t.ms(0, 60) }, { to: 'L' });
    const deposed = t.passes({ after: cut, event: { who: 'L', name: 'SteppedDown' } });
    t.passes({ after: written, plusMs: 60, before: deposed }, 'moved to a server that lags');
    t.op(2, 'get', { after: written, plusMs: 60 }, { path: '/w' });
  }, { clients: 2, crowd: 1 }),
  ...stories(['ETCD-20418'], 'a leader is stopped and goes on when others have elected: a SYNC that waited for it must not be answered from the past', ['SYNC at a deposed leader'], (t) => {
    t.op(2, 'connect', { atMs: 600 });
    const begun = t.begins();
    // The clocks of the others run at twice the rate: when it goes on it does not think that it was left.
    for (let i = 1; i < t.servers; i++) t.fault({ after: begun }, { kind: 'clock-rate', on: `follower as F${i}`, rate: 2 });
    const heard = t.passes({ after: begun, plusMs: t.ms(5, 30), event: { who: 'L', name: 'receive PONG' } });
    const pausedMs = t.ms(380, 440);
    const paused = t.fault({ after: heard }, { kind: 'pause', on: 'L', forMs: pausedMs });
    // That its followers have left it does not come to it.
    t.isolate('L', { after: heard }, 2400);
    const next = t.cast('it as N', { after: paused, event: { who: 'any', name: 'Established' }, plusMs: 1 });
    t.op(2, 'connect', { after: next }, { to: 'N' });
    const written = t.writes(2, { after: next, plusMs: 0.1 }, 1);
    t.op(1, 'sync-get', { after: written }, { path: '/w' });
    t.passes({ after: written, before: t.passes({ after: paused, plusMs: pausedMs }) }, 'SYNC at a deposed leader');
  }, { clients: 2, crowd: 0 }),
];
