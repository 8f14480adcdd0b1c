/** Bugs in elections, in the epochs that servers promise each other, and in what they write down of them. */
import type { Scenario } from '../scenario.ts';
import { followersAs, stories } from './story.ts';

export const epochStories: readonly Scenario[] = [
  ...stories(['ZK-335', 'ZK-1082', 'ZK-790'], 'leaders die again and again between the new epoch and its establishment; the quorum must form again, and no epoch twice', ['leader died in discovery'], (t) => {
    t.begins();
    t.crash('L', { atMs: t.ms(1000, 1200) }, t.ms(300, 900));
    for (let i = 0; i < 4; i++) {
      const name = t.prng.pick(['NewEpoch', 'SynchronizationBegins', 'send LEADERINFO', 'receive ACKEPOCH', 'send NEWLEADER', 'journal write']);
      // What a leader writes there are its epochs.
      t.crash('it', { atMs: 1200 + i * t.ms(500, 700), event: { who: 'leader', name, ...(name === 'journal write' ? { where: { hardState: true } } : {}) }, ...(t.prng.chance(0.5) ? {} : { plusMs: t.ms(0, 5) }) }, t.ms(20, 500), 'leader died in discovery');
    }
    t.crash('any', { atMs: t.ms(1300, 2000), event: { who: 'follower', name: 'send ACKEPOCH' } }, t.ms(20, 300));
  }),
  ...stories(['ZK-1081'], 'an epoch is promised to a leader that dies with it, and who was away then leads next: it must not take the same epoch again', ['led by one who missed a promise'], (t) => {
    const begun = t.begins();
    const dead = t.crash('L', { after: begun, plusMs: t.ms(5, 60) }, null);
    // A quorum has promised it; that it has heard them nobody hears.
    const heard = t.fault({ after: dead, event: { who: 'leader', name: 'receive ACKEPOCH', nth: Math.floor(t.servers / 2) } }, { kind: 'partition', groups: [['it as N']], ways: 'out', forMs: 300 });
    const promised = t.crash('N', { after: heard, plusMs: t.ms(1, 10) }, t.ms(2000, 2500));
    t.fault({ after: promised, plusMs: t.ms(5, 100) }, { kind: 'start', on: 'L' });
    t.passes({ after: promised, event: { who: 'L', name: 'NewEpoch' } }, 'led by one who missed a promise');
  }, { crowd: 0 }),
  ...stories(['STALE-VOTE'], 'a leader votes with a tail that its disk does not have yet, and loses it: the others have voted for it, and hold it to a vote that is not true any more; it must see in discovery that it is behind', ['elected by a vote that is not true any more'], (t) => {
    const begun = t.begins();
    t.crash('follower as B', { after: begun }, null);
    const stalled = t.fault({ after: begun }, { kind: 'stall-disk', on: 'L', forMs: 1400 });
    for (const part of ['F', 'G', 'A']) t.cast(`follower as ${part}`, { after: begun });
    // F, G and A commit it.
    t.writes(1, { after: stalled, plusMs: 1 }, t.prng.between(3, 15));
    const alone = t.crash('A', { after: stalled, plusMs: 100 }, null);
    // F and G hear L's vote and take it for theirs; nobody hears them before L is there again, and they each other not before L has dialled them and heard their votes.
    const forMs = t.ms(1500, 1900);
    for (const [from, to] of [['F', 'L'], ['G', 'L']] as const) t.fault({ after: alone }, { kind: 'clog', from, to, forMs });
    for (const [from, to] of [['F', 'G'], ['G', 'F']] as const) t.fault({ after: alone }, { kind: 'clog', from, to, forMs: forMs + t.ms(60, 100) });
    // It is the best vote of all, whoever L is: one write more never leaves it.
    for (const to of ['F', 'G']) t.fault({ after: alone }, { kind: 'drop', from: 'L', to, type: 'PROPOSAL' });
    t.writes(1, { after: alone, plusMs: 1 }, 1);
    const dead = t.crash('L', { after: alone, plusMs: t.ms(700, 1000) }, t.ms(420, 480));
    t.passes({ after: dead, event: { who: 'L', name: 'State', where: { state: 'LEADING' } } }, 'elected by a vote that is not true any more');
  }, { crowd: 0, servers: 5 }),
  ...stories(['ZK-2307', 'ZK-4269'], 'the write of the epochs fails; what was promised must not run ahead of the disk, and the server must start again', ['an epoch that was not written', 'disk failed'], (t) => {
    t.begins();
    const slow = t.prng.chance(0.5);
    const dead = t.crashAll(['L', ...(slow ? followersAs(t.parts('A', t.spare - 1)) : [])], { atMs: t.ms(1000, 1200) }, t.ms(300, 900));
    if (slow) {
      // It is not refused, it is slow: all who are there have promised the epoch, and who wants to lead it loses its power before it has itself.
      const wants = t.fault({ after: dead, event: { who: 'any', name: 'NewEpoch' } }, { kind: 'stall-disk', on: 'it as N', forMs: 200 });
      t.crash('N', { after: wants, plusMs: t.ms(20, 100) }, t.ms(200, 250));
      t.fault({ after: wants, plusMs: t.ms(15, 20) }, { kind: 'partition', groups: [followersAs(t.parts('F', t.mates))], ways: 'both', forMs: 1200 });
    }
    t.fault({ atMs: 1250, event: { who: 'leader', name: 'NewEpoch' } }, { kind: 'disk-error', on: 'it', what: 'journal write', times: t.prng.between(1, 2) }, 'an epoch that was not written');
    t.fault({ atMs: 1250, event: { who: 'follower', name: t.prng.pick(['receive LEADERINFO', 'receive NEWLEADER']), nth: t.prng.between(1, 2) } }, { kind: 'disk-error', on: 'it', what: 'journal write', times: 1 }, 'an epoch that was not written');
    t.fault({ atMs: t.ms(2000, 3000) }, { kind: 'power-failure', on: t.all, downMs: t.ms(20, 200), staggerMs: t.ms(0, 50) });
  }),
  ...stories(['ZK-1277'], 'the counter of zxids comes to its end (which is near here): the leader gives way to a new epoch, and service goes on', ['roll-over'], (t) => {
    const begun = t.begins();
    t.writes(1, { after: begun }, 150);
  }, { knobs: { epochTxnsMax: 60 }, crowd: 3 }),
  ...stories(['ZK-1514', 'ZK-1732'], 'a server that has seen many rounds alone, and one that has restarted and seen none, join a leader of another round', ['joined in another round'], (t) => {
    const begun = t.begins();
    const cut = t.isolate('follower as F', { after: begun, plusMs: 5 }, t.ms(1500, 2500));
    t.crash('L', { after: cut, plusMs: t.ms(10, 100) }, t.ms(20, 60));
    t.crash('F', { after: cut, plusMs: t.ms(600, 1400) }, t.ms(20, 300));
    t.passes({ after: cut, plusMs: 0, event: { who: 'F', name: 'ElectionDecided', where: { how: 'existing' } } }, 'joined in another round');
  }),
  ...stories(['ZK-1818'], 'leaders have come and gone, and a quorum is left of one who has seen all of their rounds and one who has started again and seen none: they find each other', ['joined in another round'], (t) => {
    t.begins();
    // For longer than it takes to notice: each is a new round.
    for (let i = 0; i < 2; i++) t.crash('leader', { atMs: 1000 + i * 1700 + t.ms(0, 100) }, t.ms(600, 800));
    // The first server stays, and looks for a leader by itself until the others of the quorum have started again, whose votes are as good.
    for (let sid = 2; sid <= t.servers; sid++) t.crash(`server-${sid}`, { atMs: 4400 }, sid > Math.floor(t.servers / 2) + 1 ? null : t.ms(600, 1200));
    t.passes({ atMs: 4400, event: { who: 'server-1', name: 'ElectionDecided' } }, 'joined in another round');
  }, { quorumOnly: true, crowd: 0 }),
  ...stories(['ZK-975'], 'a server joins an ensemble that has a leader, and has the best vote itself: it follows', ['joined in another round'], (t) => {
    const begun = t.begins();
    const cut = t.isolate('L', { after: begun, plusMs: t.ms(5, 20) }, t.ms(1200, 1800));
    t.writes(1, { after: cut, plusMs: 2 }, 2);
    t.passes({ after: cut, event: { who: 'L', name: 'ElectionDecided', where: { how: 'existing' } } }, 'joined in another round');
  }),
  ...stories(['ZK-3109'], 'votes arrive late and change at the last moment; whoever is elected and left alone gives up soon, and the others find a leader', ['elected and left alone'], (t) => {
    const begun = t.begins();
    // So many that the others are no quorum.
    let slow = begun;
    for (const on of followersAs(t.parts('F', t.mates))) slow = t.fault({ after: begun }, { kind: 'slow-network', on, extraMs: t.prng.pick([30, 60, 120]), forMs: 3000 });
    // It is back, with the best vote of all, before the others see that it was gone.
    const dead = t.crash('L', { after: slow, plusMs: t.ms(5, 50) }, t.ms(370, 420));
    const established = t.passes({ after: dead, event: { who: 'any', name: 'Established' } });
    const elected = t.passes({ after: dead, event: { who: 'any', name: 'State', where: { state: 'LEADING' } } });
    t.passes({ after: elected, event: { who: 'any', name: 'SteppedDown' }, before: established }, 'elected and left alone');
  }),
  ...stories(['ZK-3756'], 'one peer cannot be reached while the others elect: they do not wait for it', ['elected beside an unreachable peer'], (t) => {
    const begun = t.begins();
    const cut = t.isolate('follower as U', { after: begun, plusMs: 5 }, 3500);
    const dead = t.crash('L', { after: cut, plusMs: t.ms(5, 600) }, t.ms(100, 200));
    t.passes({ after: dead, event: { who: 'any', name: 'Established' } }, 'elected beside an unreachable peer');
  }, { servers: 3 }),
  ...stories(['ZK-1699'], 'does not apply as it was: drey has no reconfig; in its place a leader loses its quorum in the instant in which it is established', ['cut off when established'], (t) => {
    t.begins();
    const dead = t.crash('L', { atMs: t.ms(1000, 1200) }, t.ms(100, 900));
    t.fault({ after: dead, event: { who: 'any', name: t.prng.pick(['Established', 'SynchronizationBegins']) } }, { kind: 'partition', groups: [['it']], ways: t.prng.pick(['both', 'in', 'out']), forMs: t.ms(800, 2000) }, 'cut off when established');
  }),
  ...stories(['ZK-2172'], 'does not apply as it was: drey has no reconfig; in its place proposals and commits come between SNAP and UPTODATE', ['proposals between SNAP and UPTODATE'], (t) => {
    const begun = t.begins();
    const down = t.crash('follower as F', { after: begun, plusMs: t.ms(5, 40) }, null);
    const written = t.writes(1, { after: down, plusMs: 5 }, 60);
    const back = t.fault({ after: written, plusMs: t.ms(30, 100) }, { kind: 'start', on: 'F' });
    t.slowDisk('F', { after: back }, t.prng.pick([10, 40]), 2000);
    t.writes(1, { after: back }, 80);
    const snap = t.passes({ after: back, event: { who: 'F', name: 'receive SNAP' } });
    const proposed = t.passes({ after: snap, event: { who: 'L', name: 'Deliver' } });
    t.passes({ after: proposed, event: { who: 'F', name: 'UpToDate' } }, 'proposals between SNAP and UPTODATE');
  }, { knobs: { keepBytes: 0, segmentBytes: 4 << 10, recentBytesMax: 256, znodesBefore: 200 }, serverKnobs: { flushIntervalMs: 10 } }),
];
