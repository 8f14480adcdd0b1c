/** Bugs in what happens to a tail that was logged and never committed, and in choosing DIFF, TRUNC or SNAP. */
import type { Scenario } from '../scenario.ts';
import { followersAs, stories, type Story } from './story.ts';

/** L alone logs some writes; the others elect another leader and go on. Answers when L is deposed and the new leader has committed something. */
function deposed(t: Story, forMs = t.ms(1600, 2200)): { readonly cut: string; readonly ahead: string } {
  const begun = t.begins();
  const cut = t.isolate('L', { after: begun, plusMs: t.ms(5, 30) }, forMs);
  t.writes(1, { after: cut, plusMs: 2 }, t.prng.between(1, 3));
  const next = t.cast('it as N', { after: cut, event: { who: 'any', name: 'Established' }, plusMs: 1 });
  t.op(2, 'connect', { after: next }, { to: 'N' });
  const ahead = t.writes(2, { after: next, plusMs: 1 }, t.prng.between(1, 8));
  return { cut, ahead };
}

export const truncationStories: readonly Scenario[] = [
  ...stories(['ZK-2845'], 'an isolated leader logs what never commits, comes back in the same process and must not show it', ['TRUNC'], (t) => {
    const { cut } = deposed(t);
    const back = t.passes({ after: cut, event: { who: 'L', name: 'UpToDate' } });
    t.op(1, 'connect', { after: back }, { to: 'L' });
    t.op(1, 'get', { after: back, plusMs: 1 }, { path: '/w' });
    // And once more, as a leader if it gets so far.
    t.crash('N', { after: back, plusMs: t.ms(10, 300) }, t.ms(300, 800));
  }, { clients: 2, crowd: 1 }),
  ...stories(['ZK-1156'], 'two leaders in turn log what never commits, and each joins late: the older tail must not win against a newer epoch, nor may the higher zxid undo what was committed', ['an older tail against a newer epoch'], (t) => {
    // Their sessions are there: none of the leaders has to make one.
    t.op(2, 'connect', { atMs: 600 });
    t.op(3, 'connect', { atMs: 600 });
    const begun = t.begins();
    const cut = t.isolate('L', { after: begun, plusMs: t.ms(5, 30) }, 600);
    t.writes(1, { after: cut, plusMs: 2 }, 1);
    t.crash('L', { after: cut, plusMs: t.ms(60, 300) }, null);
    const next = t.cast('it as N', { after: cut, event: { who: 'any', name: 'Established' }, plusMs: 1 });
    t.op(2, 'connect', { after: next }, { to: 'N' });
    const alone = t.isolate('N', { after: next, plusMs: t.ms(8, 20) }, 100);
    t.writes(2, { after: alone }, 1);
    const dead = t.crash('N', { after: alone, plusMs: t.ms(15, 40) }, null);
    const back = t.fault({ after: dead, plusMs: t.ms(100, 300) }, { kind: 'start', on: 'L' });
    const leads = t.passes({ after: back, event: { who: 'any', name: 'Established' } }, 'an older tail against a newer epoch');
    t.op(3, 'connect', { after: leads }, { to: 'leader' });
    t.op(3, 'sync-get', { after: leads, plusMs: 1 }, { path: '/w' });
    const again = t.crash('L', { after: leads, plusMs: t.ms(30, 80) }, null);
    t.fault({ after: again, plusMs: 5 }, { kind: 'start', on: 'N' });
  }, { clients: 3, crowd: 0 }),
  ...stories(['ZK-1154'], 'the server with the highest zxid, which never committed, is away at the election and joins late: exactly its own tail goes', ['TRUNC'], (t) => {
    const { cut } = deposed(t, t.ms(500, 700));
    t.crash('L', { after: cut, plusMs: t.ms(20, 200) }, t.ms(1500, 2500));
  }, { clients: 2, crowd: 1 }),
  ...stories(['ZK-4837'], 'a server applies and flushes all it can, logs an ephemeral that never commits, restarts and is truncated: the ephemeral must be gone', ['TRUNC'], (t) => {
    const begun = t.begins();
    const cut = t.isolate('L', { after: begun, plusMs: t.ms(5, 30) }, t.ms(500, 700));
    t.op(1, 'create-ephemeral', { after: cut, plusMs: 2 }, { path: '/dead', times: 3 });
    t.crash('L', { after: cut, plusMs: t.ms(40, 300) }, t.ms(1200, 1800));
    const next = t.cast('it as N', { after: cut, event: { who: 'any', name: 'Established' }, plusMs: 1 });
    t.op(2, 'connect', { after: next }, { to: 'N' });
    t.writes(2, { after: next, plusMs: 1 }, 5);
    const back = t.passes({ after: cut, event: { who: 'L', name: 'UpToDate' } });
    t.op(2, 'connect', { after: back }, { to: 'L' });
    t.op(2, 'exists', { after: back, plusMs: 1 }, { path: '/dead-1' });
  }, { clients: 2, crowd: 1, serverKnobs: { flushIntervalMs: 10, flushEntriesMax: 5 } }),
  ...stories(['ZK-5094'], 'the channel breaks amid TRUNC; the next synchronization must begin from what is on disk', ['broken at TRUNC'], (t) => {
    const { cut } = deposed(t);
    t.slowDisk('L', { after: cut, plusMs: 800 }, t.prng.pick([5, 20, 60]), 2500);
    const broken = t.fault({ after: cut, event: { who: 'L', name: 'receive TRUNC' }, ...(t.prng.chance(0.5) ? {} : { plusMs: t.ms(0, 10) }) }, { kind: 'break', from: 'N', to: 'L', ...(t.prng.chance(0.5) ? {} : { lateMs: t.ms(1, 100) }) }, 'broken at TRUNC');
    if (t.prng.chance(0.5)) t.crash('L', { after: broken, plusMs: t.ms(0, 60) }, t.ms(20, 200));
  }, { clients: 2, crowd: 1 }),
  ...stories(['ZK-2846', 'ZK-3526', 'ZK-4352'], 'a leader that has restarted brings a follower in line from its journal, of which little is in memory', ['journal read'], (t) => {
    const begun = t.begins();
    const down = t.crash('follower as F', { after: begun, plusMs: t.ms(5, 60) }, null);
    const written = t.writes(1, { after: down, plusMs: 5 }, t.prng.between(10, 30));
    const again = t.crash('L', { after: written, plusMs: t.ms(5, 30) }, t.ms(20, 60));
    t.fault({ after: again, plusMs: t.ms(50, 500) }, { kind: 'start', on: 'F' });
  }, { knobs: { recentBytesMax: 256, segmentBytes: 8 << 10 } }),
  ...stories(['ZK-1319'], 'a quorum writes while the others are away; all of it restarts; then they start, and one is brought in line in the new epoch', ['a DIFF into a new epoch'], (t) => {
    const begun = t.begins();
    const away = t.parts('A', t.spare);
    const gone = t.crashAll(followersAs(away), { after: begun, plusMs: 5 }, null);
    const written = t.writes(1, { after: gone, plusMs: 5 }, 10);
    const restarted = t.fault({ after: written }, { kind: 'power-failure', on: ['L', ...followersAs(t.parts('F', t.mates))], downMs: t.ms(20, 100), staggerMs: t.ms(0, 60) });
    const startMs = t.ms(0, 500);
    for (const on of away) t.fault({ after: restarted, plusMs: startMs }, { kind: 'start', on });
    const led = t.passes({ after: restarted, event: { who: 'any', name: 'NewEpoch' } });
    t.passes({ after: led, event: { who: 'A', name: 'receive DIFF' } }, 'a DIFF into a new epoch');
  }),
];
