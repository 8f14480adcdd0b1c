/** Bugs in bringing a follower to its leader's history: what is acked, counted and served before it is on disk. */
import type { Moment } from '../../plan/plan.ts';
import type { Scenario } from '../scenario.ts';
import { followersAs, stories, type Story } from './story.ts';

/** L alone logs a write, nobody else; then it is elected with F and its like, no more than a quorum, who take that write over. A and its like are away. */
function leaderWithATail(t: Story): { readonly cut: string; readonly newLeader: string } {
  const begun = t.begins();
  const gone = t.crashAll(followersAs(t.parts('A', t.spare)), { after: begun, plusMs: t.ms(5, 40) }, t.ms(2400, 2800));
  const cut = t.isolate('L', { after: gone, plusMs: t.ms(5, 30) }, t.ms(800, 1000));
  t.writes(1, { after: cut, plusMs: 2 }, 1);
  const extraMs = t.prng.pick([20, 40, 80]);
  for (const part of followersAs(t.parts('F', t.mates))) t.slowDisk(part, { after: cut, plusMs: 1 }, extraMs, 2500);
  const newLeader = t.passes({ after: cut, event: { who: 'F', name: 'receive NEWLEADER' } });
  return { cut, newLeader };
}

/** F misses some writes, comes back and is brought in line, with a disk that takes its time. */
function lateFollower(t: Story, writes: number, delays: readonly number[] = [10, 30, 60]): { readonly back: string; readonly extraMs: number } {
  const begun = t.begins();
  const down = t.crash('follower as F', { after: begun, plusMs: t.ms(5, 60) }, t.ms(400, 700));
  t.writes(1, { after: down, plusMs: 5 }, writes);
  const extraMs = t.prng.pick(delays);
  t.slowDisk('F', { after: down }, extraMs, 3000);
  return { back: down, extraMs };
}

/** F has been sent NEWLEADER, and has a proposal before it can ack it. */
function proposedBeforeAck(t: Story, newLeader: string): string {
  const acked = t.passes({ after: newLeader, event: { who: 'F', name: 'send ACK' } });
  return t.passes({ after: newLeader, event: { who: 'F', name: 'receive PROPOSAL' }, before: acked }, 'a proposal before NEWLEADER is acked');
}

/** What F answers NEWLEADER with is on its disk: the ACK of that leaves. Those of what came before it have left already. */
function epochWritten(t: Story, newLeader: string): string {
  return t.passes({ after: newLeader, event: { who: 'F', name: 'durable', where: { hardState: true } } });
}

/** The leader for good, and all who have its history. */
function quorumDies(t: Story, when: Moment, mark: 'died after NEWLEADER was acked' | 'died at an ACK'): void {
  t.crash('L', when, null);
  t.crashAll(t.parts('F', t.mates), when, t.ms(50, 200), mark);
}

export const synchronizationStories: readonly Scenario[] = [
  ...stories(['ZK-3911', 'ZK-3023'], 'a new leader and its follower lose power right after NEWLEADER was acked and counted; the leader stays away, the others elect', ['died after NEWLEADER was acked'], (t) => {
    const { newLeader } = leaderWithATail(t);
    const serves = t.passes({ after: newLeader, event: { who: 'L', name: 'Established' } });
    t.op(2, 'connect', { after: serves, plusMs: 0.5 }, { to: 'L' });
    t.op(2, 'get', { after: serves, plusMs: 0.6 }, { path: '/w' });
    quorumDies(t, { after: serves, plusMs: t.ms(0, 12) }, 'died after NEWLEADER was acked');
  }, { clients: 2, crowd: 1 }),
  ...stories(['ZK-4646'], 'a follower and its leader lose power in the instant in which the follower sends the ACK of NEWLEADER', ['died at an ACK'], (t) => {
    const { newLeader } = leaderWithATail(t);
    quorumDies(t, { after: newLeader, event: { who: 'F', name: 'send ACK', nth: t.prng.pick([1, 1, 2]) } }, 'died at an ACK');
  }),
  ...stories(['ZK-4643'], 'a follower dies between NEWLEADER and its disk; with its epoch it must not win against one that has more', ['died with NEWLEADER on its way to disk'], (t) => {
    // A and its like hold what F and its like and L are about to agree on, in an older epoch.
    const [F, A] = [t.parts('F', t.mates), t.parts('A', t.spare)];
    const begun = t.begins();
    const down = t.crashAll(followersAs(F), { after: begun, plusMs: t.ms(5, 40) }, t.ms(400, 500));
    const written = t.writes(1, { after: down, plusMs: 5 }, t.prng.between(5, 15));
    const gone = t.crashAll(followersAs(A), { after: written, plusMs: t.ms(1, 5) }, t.ms(2600, 3000));
    t.crash('L', { after: gone, plusMs: t.ms(1, 5) }, t.ms(20, 60));
    const extraMs = t.prng.pick([10, 30, 60]);
    for (const part of F) t.slowDisk(part, { after: gone }, extraMs, 2500);
    const newLeader = t.passes({ after: gone, event: { who: 'F', name: 'receive NEWLEADER' } });
    const acked = epochWritten(t, newLeader);
    const died = t.crashAll(F, { after: newLeader, plusMs: t.ms(0.5, Math.min(15, extraMs)), before: acked }, t.ms(700, 900), 'died with NEWLEADER on its way to disk');
    t.crash('L', { after: died, plusMs: t.ms(0, 3) }, null);
  }, { knobs: { learnerWindowBytes: 300 } }),
  ...stories(['ZK-EPOCH-WINDOW'], 'a late follower dies while txns of the new epoch come in behind NEWLEADER: it must be able to start again', ['died between NEWLEADER and its epoch on disk'], (t) => {
    const { back } = lateFollower(t, t.prng.between(3, 10), [30, 60]);
    const newLeader = t.passes({ after: back, event: { who: 'F', name: 'receive NEWLEADER' } });
    t.writes(1, { after: newLeader }, 20);
    const acked = epochWritten(t, newLeader);
    t.crash('F', { after: newLeader, event: { who: 'F', name: t.prng.pick(['journal write', 'receive PROPOSAL', 'receive PROPOSAL']), nth: t.prng.between(1, 2) }, ...(t.prng.chance(0.5) ? {} : { plusMs: t.ms(0, 10) }), before: acked }, t.ms(20, 200), 'died between NEWLEADER and its epoch on disk');
  }),
  ...stories(['ZK-4685'], 'proposals of the new epoch reach a follower before it can ack NEWLEADER: its ACKs may say so in one, and the leader stays', ['a proposal before NEWLEADER is acked'], (t) => {
    const { back } = lateFollower(t, 5);
    const newLeader = t.passes({ after: back, event: { who: 'F', name: 'receive NEWLEADER' } });
    t.writes(1, { after: newLeader }, 20);
    proposedBeforeAck(t, newLeader);
  }),
  ...stories(['ZK-4394', 'ZAB-SPEC-3'], 'DIFF, PROPOSAL, NEWLEADER, and commits before UPTODATE, and none after it: UPTODATE must carry all that is committed by then', ['commit between NEWLEADER and UPTODATE'], (t) => {
    t.op(2, 'connect', { atMs: 600 });
    const { back } = lateFollower(t, t.prng.between(2, 8), [60, 90]);
    const newLeader = t.passes({ after: back, event: { who: 'F', name: 'receive NEWLEADER' } });
    t.writes(1, { after: newLeader }, t.prng.between(1, 4));
    const upToDate = t.passes({ after: newLeader, event: { who: 'F', name: 'UpToDate' } });
    t.passes({ after: newLeader, event: { who: 'L', name: 'Deliver' }, before: upToDate }, 'commit between NEWLEADER and UPTODATE');
    t.op(2, 'connect', { after: upToDate }, { to: 'F' });
    t.op(2, 'sync-get', { after: upToDate, plusMs: t.ms(0.1, 40) }, { path: '/w', times: 3 });
  }, { clients: 2, crowd: 0 }),
  ...stories(['ZAB-SPEC-1'], 'what is proposed while a follower has NEWLEADER and has not acked it must reach that follower too', ['a proposal before NEWLEADER is acked'], (t) => {
    const { back } = lateFollower(t, t.prng.between(2, 8));
    const newLeader = t.passes({ after: back, event: { who: 'F', name: 'receive NEWLEADER' } });
    const written = t.writes(1, { after: newLeader }, 10);
    proposedBeforeAck(t, newLeader);
    // Only F and whoever is left know of it.
    t.crash('L', { after: written, plusMs: t.ms(50, 300) }, null);
  }),
  ...stories(['ZAB-SPEC-2'], 'proposals come behind NEWLEADER, and the channel breaks and is dialled again: none may be logged twice', ['a proposal before NEWLEADER is acked'], (t) => {
    const { back } = lateFollower(t, 5);
    const newLeader = t.passes({ after: back, event: { who: 'F', name: 'receive NEWLEADER' } });
    t.writes(1, { after: newLeader }, 20);
    t.fault({ after: proposedBeforeAck(t, newLeader), plusMs: t.ms(0, 10) }, { kind: 'break', from: 'L', to: 'F', lateMs: t.ms(1, 200) });
  }),
  ...stories(['ZK-4785'], 'a follower is bounced while the txns of its synchronization are on their way to its disk; then the leader dies', ['died amid a DIFF'], (t) => {
    const { back, extraMs } = lateFollower(t, t.prng.between(8, 20));
    const acked = epochWritten(t, t.passes({ after: back, event: { who: 'F', name: 'receive NEWLEADER' } }));
    const died = t.crash('F', { after: back, event: { who: 'F', name: 'receive PROPOSAL', nth: t.prng.between(1, 6) }, ...(t.prng.chance(0.3) ? {} : { plusMs: t.ms(0, Math.min(20, extraMs)) }), before: acked }, t.ms(20, 100), 'died amid a DIFF');
    t.crash('L', { after: died, plusMs: t.ms(100, 400) }, null);
  }),
  ...stories(['ZK-4712', 'ZK-4541'], 'a follower loses its leader with journal writes in flight, and follows the next one in the same process', ['new role with writes in flight'], (t) => {
    const begun = t.begins();
    t.slowDisk('follower as F', { after: begun }, t.prng.pick([50, 150, 400]), 2500);
    t.writes(1, { after: begun, plusMs: 5 }, 30);
    const inFlight = t.passes({ after: begun, event: { who: 'F', name: 'journal write', nth: t.prng.between(2, 6) } });
    // It says good-bye: who loses its power is missed later than any of these writes takes.
    const dead = t.fault({ after: inFlight, plusMs: t.ms(0, 5) }, { kind: 'restart', on: 'L', downMs: t.ms(300, 900) });
    const durable = t.passes({ after: dead, event: { who: 'F', name: 'durable' } });
    t.passes({ after: dead, event: { who: 'F', name: 'LeftLeader' }, before: durable }, 'new role with writes in flight');
    const left = t.passes({ after: dead, event: { who: 'F', name: 'LeftLeader' } });
    t.crash('F', { after: left, event: { who: 'F', name: 'UpToDate' }, plusMs: t.ms(0, 300) }, t.ms(20, 200));
  }),
  ...stories(['ZK-4925'], 'F2 down, writes, F1 down, writes, F1 back by DIFF, the leader dies, F1 leads and sends a DIFF to F2', ['a leader that was synchronized sends a DIFF'], (t) => {
    const begun = t.begins();
    const down2 = t.crash('follower as F2', { after: begun, plusMs: 10 }, null);
    const first = t.writes(1, { after: down2, plusMs: 5 }, 10);
    const down1 = t.crash('follower as F1', { after: first }, null);
    const second = t.writes(1, { after: down1, plusMs: 5 }, 10);
    const back = t.fault({ after: second, plusMs: 5 }, { kind: 'start', on: 'F1' });
    const upToDate = t.passes({ after: back, event: { who: 'F1', name: 'UpToDate' } });
    // One write more comes to F1 alone: it is elected.
    const cut = t.fault({ after: upToDate, plusMs: t.ms(5, 100) }, { kind: 'partition', groups: [['L', 'F1'], followersAs(['O', "O'"])], ways: 'both', forMs: 300 });
    t.writes(1, { after: cut, plusMs: 1 }, 1);
    const logged = t.passes({ after: cut, plusMs: 1, event: { who: 'F1', name: 'journal write' } });
    const dead = t.crash('L', { after: logged, event: { who: 'F1', name: 'durable' } }, null);
    const leads = t.passes({ after: dead, event: { who: 'F1', name: 'NewEpoch' } });
    t.fault({ after: leads, plusMs: t.ms(0, 300) }, { kind: 'start', on: 'F2' });
    t.passes({ after: leads, event: { who: 'F2', name: 'receive DIFF' } }, 'a leader that was synchronized sends a DIFF');
  }, { servers: 5 }),
];
