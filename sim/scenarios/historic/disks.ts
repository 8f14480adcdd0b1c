/** Bugs that begin with a disk. */
import type { Scenario } from '../scenario.ts';
import { followersAs, stories } from './story.ts';

export const diskStories: readonly Scenario[] = [
  ...stories(['ZK-4882'], 'a follower\'s disk fails once and is well again; it rejoins, restarts, and then the leader dies: nothing is missing', ['disk failed', 'the leader died when the disk was well again'], (t) => {
    const begun = t.begins();
    t.writes(1, { after: begun }, 60);
    const failed = t.fault({ after: begun, plusMs: t.ms(5, 40) }, { kind: 'disk-error', on: 'follower as F', what: 'journal write', times: t.prng.between(1, 2) });
    const again = t.fault({ after: failed, event: { who: 'F', name: 'UpToDate' }, plusMs: t.ms(5, 200) }, { kind: 'restart', on: 'F', downMs: t.ms(20, 100) });
    t.crash('L', { after: again, event: { who: 'F', name: 'UpToDate' }, plusMs: t.ms(5, 100) }, null, 'the leader died when the disk was well again');
  }),
  ...stories(['ZK-2247'], 'the leader\'s disk refuses a write: it gives way, and service goes on', ['disk failed', 'another leads after the disk of the first failed'], (t) => {
    const begun = t.begins();
    t.writes(1, { after: begun }, 30);
    const failed = t.fault({ after: begun, plusMs: t.ms(5, 40) }, { kind: 'disk-error', on: 'L', what: 'journal write', times: t.prng.between(1, 3) });
    t.passes({ after: failed, event: { who: 'any', name: 'Established' } }, 'another leads after the disk of the first failed');
  }),
  ...stories(['LAZYFS-ZK-2', 'LAZYFS-ZK-7', 'LAZYFS-ZK-8'], 'power goes at the first write of a segment, before its first sync, or amid a sequence: a torn tail is cut, and the server starts', ['torn tail'], (t) => {
    t.begins();
    for (let i = 0; i < 5; i++) {
      const downMs = t.ms(20, 300);
      const atMs = 1000 + i * t.ms(800, 900);
      const died = t.crash(`it as X${i}`, { atMs, event: { who: t.prng.pick(['any', 'leader', 'follower']), name: t.prng.pick(['journal create', 'journal write', 'journal write', 'durable']), nth: t.prng.between(1, 12) }, plusMs: t.ms(0, 6) }, downMs);
      // And while it writes down what it has found.
      if (t.prng.chance(0.6)) t.crash(`X${i}`, { after: died, plusMs: Math.round(downMs + t.ms(5, 30)) }, t.ms(20, 300));
      // And all of them, with a write on its way to each disk, be it the first of a segment.
      const first = t.prng.chance(0.5);
      const event = first ? { who: 'leader', name: 'journal create' } : { who: 'leader', name: 'journal write', nth: t.prng.between(1, 6) };
      t.fault({ atMs: atMs + t.ms(250, 450), event, plusMs: t.ms(1.5, first ? 12 : 4) }, { kind: 'power-failure', on: t.all, downMs: t.ms(20, 200), staggerMs: t.ms(0, 30) });
    }
  }, { crowd: 4, manners: { burst: 8 }, knobs: { segmentBytes: 4 << 10, writeMs: [2, 10] } }),
  ...stories(['CORDS'], 'a bit of what a server has on disk rots while it is down, and then its leader dies: it knows that it is damaged, does not vote, and has all of it again from another', ['suspect journal', 'SNAP of a suspect'], (t) => {
    const begun = t.begins();
    // Or all who are left with it have been away, and they and it together do not know what was committed.
    const alone = t.prng.chance(0.5);
    const [away, others] = [t.parts('A', t.spare), t.parts('F', t.mates).slice(1)];
    if (alone) t.crashAll(followersAs(away), { after: begun }, null);
    t.writes(1, { after: begun, plusMs: 1 }, 40);
    const rotten = t.fault({ after: begun, plusMs: t.ms(150, 600) }, { kind: 'rot', on: 'follower as F', what: t.prng.pick(['journal', 'journal', 'state batch']), where: t.prng.float(), downMs: t.ms(20, 300) });
    t.crashAll(['L', ...(alone ? followersAs(others) : [])], { after: rotten, plusMs: alone ? t.ms(0, 15) : t.ms(20, 500) }, t.ms(1200, 2000));
    const startMs = t.ms(15, 100);
    if (alone) for (const on of away) t.fault({ after: rotten, plusMs: startMs }, { kind: 'start', on });
  }, { crowd: 3, serverKnobs: { flushIntervalMs: 100 } }),
  ...stories(['ETCD-14370'], 'one server alone: what it has acked is there after it lost its power', ['died alone'], (t) => {
    t.begins();
    for (let i = 0; i < 4; i++) {
      t.crash('server-1', { atMs: 1000 + i * t.ms(700, 900), event: { who: 'server-1', name: t.prng.pick(['Broadcast', 'Deliver', 'journal write', 'durable']), nth: t.prng.between(1, 20) }, plusMs: t.ms(0, 4) }, t.ms(20, 300), 'died alone');
    }
  }, { crowd: 3, servers: 1 }),
];
