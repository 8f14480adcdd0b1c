/** Bugs around a state that is sent or written whole. drey has no snapshot files: the state is flushed with its zxid in one batch; SNAP is installed as a new generation. */
import type { Moment } from '../../plan/plan.ts';
import type { Scenario } from '../scenario.ts';
import { followersAs, stories, type Story, type StoryOptions } from './story.ts';

/** F is so far behind that it can only be sent the state. */
const NO_LOG: StoryOptions = { knobs: { keepBytes: 0, segmentBytes: 4 << 10, recentBytesMax: 256, znodesBefore: 200 }, serverKnobs: { flushIntervalMs: 10 } };

function farBehind(t: Story): { readonly back: string } {
  const begun = t.begins();
  const down = t.crash('follower as F', { after: begun, plusMs: t.ms(5, 40) }, null);
  const written = t.writes(1, { after: down, plusMs: 5 }, 60);
  const back = t.fault({ after: written, plusMs: t.ms(30, 100) }, { kind: 'start', on: 'F' });
  return { back };
}

const soon = (t: Story, name: string, plusMsMax: number): Moment => ({ event: { who: 'F', name }, ...(t.prng.chance(0.4) ? {} : { plusMs: t.ms(0, plusMsMax) }) });

export const snapshotStories: readonly Scenario[] = [
  ...stories(['ZK-3642'], 'the leader dies after its SNAP has been received and before it is durable; the next leader must not build upon it', ['the leader died before its SNAP was durable'], (t) => {
    const { back } = farBehind(t);
    t.slowDisk('F', { after: back }, t.prng.pick([10, 40]), 2000);
    // What comes between SNAP and NEWLEADER has to be read, which takes its time.
    t.writes(1, { after: back }, 40);
    t.slowDisk('L', { after: back }, t.prng.pick([10, 30]), 1500);
    const dead = t.crash('L', { after: back, ...soon(t, 'receive SNAPEND', 8) }, t.ms(800, 1500), 'the leader died before its SNAP was durable');
    t.crash('F', { after: dead, event: { who: 'F', name: t.prng.pick(['send ACKEPOCH', 'receive DIFF', 'receive NEWLEADER', 'receive SNAP', 'LeftLeader']) }, plusMs: t.ms(0, 30) }, t.ms(20, 200));
  }, { ...NO_LOG, serverKnobs: { flushIntervalMs: 150 } }),
  ...stories(['ZK-3104'], 'a follower dies at NEWLEADER behind a SNAP, while writes go on: what was skipped by the SNAP must not be taken for there', ['died at NEWLEADER behind a SNAP'], (t) => {
    const { back } = farBehind(t);
    t.writes(1, { after: back }, 40);
    const snap = t.passes({ after: back, event: { who: 'F', name: 'receive SNAPEND' } });
    t.crash('F', { after: snap, ...soon(t, 'receive NEWLEADER', 15) }, t.ms(20, 200), 'died at NEWLEADER behind a SNAP');
  }, NO_LOG),
  ...stories(['ZK-3104-SUSPECT'], 'a server whose journal has rotted is sent a SNAP that is older than what it has acked: it must have that again before it counts', ['died when brought in line by SNAP again'], (t) => {
    // S and its like follow, and have none of the writes on their disks.
    const [stalling, others] = [t.parts('S', t.spare), t.parts('F', t.mates).slice(1)];
    const begun = t.begins();
    let stalled = begun;
    for (const on of followersAs(stalling)) stalled = t.fault({ after: begun, plusMs: 5 }, { kind: 'stall-disk', on, forMs: 3000 });
    const written = t.writes(1, { after: stalled, plusMs: 5 }, t.prng.between(10, 30));
    const rotten = t.fault({ after: written }, { kind: 'rot', on: 'follower as F', what: 'journal', where: t.prng.float(), downMs: t.ms(20, 60) });
    t.slowDisk('F', { after: rotten }, t.prng.pick([5, 20]), 2500);
    const newLeader = t.passes({ after: rotten, event: { who: 'F', name: 'receive NEWLEADER' } });
    const moment = { after: newLeader, event: { who: 'F', name: t.prng.pick(['send ACK', 'durable']) } };
    t.crashAll(['L', ...followersAs(others)], moment, null);
    t.crashAll(stalling, moment, t.ms(80, 200));
    t.crash('F', moment, t.ms(80, 200), 'died when brought in line by SNAP again');
  }, { knobs: { recentBytesMax: 256 }, serverKnobs: { flushIntervalMs: 3000, flushEntriesMax: 1000 }, crowd: 0 }),
  ...stories(['ZK-962'], 'a follower is sent SNAP, crashes, is sent DIFF while the leader writes on, and serves: it must have had all of it', ['died amid a SNAP'], (t) => {
    const { back } = farBehind(t);
    t.writes(1, { after: back }, 60);
    const died = t.crash('F', { after: back, ...soon(t, t.prng.pick(['receive SNAP', 'receive SNAPCHUNK', 'receive SNAPEND', 'receive PROPOSAL']), 20) }, t.ms(20, 200), 'died amid a SNAP');
    const upToDate = t.passes({ after: died, event: { who: 'F', name: 'UpToDate' } });
    t.op(2, 'connect', { after: upToDate }, { to: 'F' });
    t.op(2, 'sync-get', { after: upToDate, plusMs: 0.1 }, { path: '/w', times: 3 });
  }, { ...NO_LOG, clients: 2, crowd: 1 }),
  ...stories(['ZK-3144', 'ZK-3145', 'ZK-3127', 'ZK-3125', 'ZK-3249'], 'servers die in a flush of the state, while sessions end, multis and creates run: what is replayed over the state must give the same tree', ['died in a flush'], (t) => {
    const begun = t.begins();
    t.op(1, 'create-ephemeral', { after: begun }, { path: '/e', times: 8 });
    t.op(1, 'close', { after: begun, plusMs: t.ms(50, 200) });
    for (let i = 0; i < 4; i++) {
      const within = i === 0 || t.prng.chance(0.5);
      const name = i === 0 ? 'state batch' : t.prng.pick(['state batch', 'state batch', 'flushed']);
      t.crash('it', { atMs: 1000 + i * t.ms(700, 900), event: { who: t.prng.pick(['any', 'leader', 'follower']), name, nth: t.prng.between(1, 5) }, ...(within ? {} : { plusMs: t.ms(0, 4) }) }, t.ms(20, 300), within && name === 'state batch' ? 'died in a flush' : undefined);
    }
  }, { crowd: 4, serverKnobs: { flushIntervalMs: 10 }, manners: { misbehave: 0.05, move: 0.05 } }),
  ...stories(['ZK-1573'], 'the journal of a follower lags behind what the others commit, and the follower loses power about a flush: its state must not be ahead of its journal', ['died at a flush'], (t) => {
    const begun = t.begins();
    t.slowDisk('follower as F', { after: begun }, t.prng.pick([20, 60, 150]), 3000);
    t.writes(1, { after: begun }, 80);
    for (let i = 0; i < 3; i++) {
      t.crash('F', { after: begun, atMs: 1100 + i * 600, event: { who: 'F', name: t.prng.pick(['flushed', 'flushed', 'state batch']), nth: t.prng.between(1, 3) }, plusMs: t.ms(0, 20) }, t.ms(20, 200), 'died at a flush');
    }
  }, { crowd: 3, serverKnobs: { flushIntervalMs: 10 } }),
  ...stories(['ZK-3056'], 'segments of the journal are let go of while bursts of writes outrun the state, and servers die there: what is left of the log continues the state', ['segment purged', 'died at a flush'], (t) => {
    t.begins();
    for (let i = 0; i < 4; i++) {
      t.crash('it', { atMs: 1000 + i * t.ms(500, 600), event: { who: t.prng.pick(['any', 'leader', 'follower']), name: t.prng.pick(['state batch', 'flushed']), nth: t.prng.between(1, 4) }, plusMs: t.ms(0, 25) }, t.ms(20, 200), 'died at a flush');
    }
  }, { crowd: 3, untilMs: 3500, manners: { burst: 40, thinkMs: 400 }, knobs: { segmentBytes: 1 << 10, keepBytes: 0, writeMs: [5, 20] }, serverKnobs: { flushIntervalMs: 60 } }),
  ...stories(['ZK-2201', 'ZK-3531'], 'a follower stalls amid a SNAP that it is sent: the others go on meanwhile', ['writes go on beside a stalled SNAP'], (t) => {
    const { back } = farBehind(t);
    const stalled = t.fault({ after: back, event: { who: 'F', name: 'receive SNAP' }, plusMs: t.ms(0, 2) }, t.prng.chance(0.5) ? { kind: 'pause', on: 'F', forMs: 3000 } : { kind: 'clog', from: 'L', to: 'F', forMs: 3000 });
    const written = t.writes(1, { after: stalled, plusMs: 1 }, 10);
    t.passes({ after: written }, 'writes go on beside a stalled SNAP');
  }, NO_LOG),
];
