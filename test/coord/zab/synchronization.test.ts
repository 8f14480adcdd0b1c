/** The last common zxid, computed from the ends of epochs, is the end of what two histories really share. */
import test from 'ava';
import fc from 'fast-check';
import { makeZxid, type Zxid } from '../../../coord/base/zxid.ts';
import { lastCommonZxid } from '../../../coord/zab/synchronization.ts';
import type { EpochEnd } from '../../../coord/zab/txn-group.ts';

interface Epoch {
  /** How many txns the epoch's leader broadcast. */
  readonly txns: number;
  /** Whether the leader of this epoch had been brought up by (followed) the one or the other server, or both. */
  readonly leaderSeen: number;
  readonly learnerSeen: number;
}

const epochs = fc.array(fc.record({ txns: fc.integer({ min: 1, max: 5 }), leaderSeen: fc.integer({ min: 0, max: 5 }), learnerSeen: fc.integer({ min: 0, max: 5 }) }), { maxLength: 8 });

test('the last common zxid is where the histories part', (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4 }), epochs, (shared, later) => {
    // Both hold the first epochs fully; then each holds a prefix of one epoch; then each goes on in epochs of its own.
    const leader: Zxid[] = [];
    const learner: Zxid[] = [];
    const push = (log: Zxid[], epoch: number, count: number): void => {
      for (let counter = 1; counter <= count; counter++) log.push(makeZxid(epoch, counter));
    };
    for (let epoch = 1; epoch <= shared; epoch++) {
      push(leader, epoch, epoch);
      push(learner, epoch, epoch);
    }
    later.forEach(({ txns, leaderSeen, learnerSeen }: Epoch, i) => {
      const epoch = shared + 1 + i;
      if (i === 0) {
        push(leader, epoch, Math.min(txns, leaderSeen));
        push(learner, epoch, Math.min(txns, learnerSeen));
      } else {
        push(i % 2 === 0 ? leader : learner, epoch, txns);
      }
    });
    let common = 0;
    for (let i = 0; i < leader.length && leader[i] === learner[i]; i++) common = leader[i] as Zxid;
    const found = lastCommonZxid(ends(leader), ends(learner), learner.at(-1) ?? 0);
    // Null: they share no epoch, which is the empty history if both are known from the beginning.
    t.is(found ?? 0, common);
  }));
});

function ends(log: readonly Zxid[]): EpochEnd[] {
  const result: EpochEnd[] = [];
  for (const zxid of log) {
    const epoch = Math.floor(zxid / 2 ** 32);
    if (result.at(-1)?.epoch === epoch) result.pop();
    result.push({ epoch, lastZxid: zxid });
  }
  return result;
}
