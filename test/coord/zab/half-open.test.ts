/** Learners that lose their power say nothing: their learner channels stay up at the leader, and when they start again they come on new election channels. */
import test from 'ava';
import { makeZxid } from '../../../coord/base/zxid.ts';
import type { PeerEffect, PeerEvent } from '../../../coord/zab/contract.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';
import { Peer } from '../../../coord/zab/peer.ts';

const config = { sid: 3, voters: [1, 2, 3], detectMs: 1000, heartbeatMs: 200, electionGraceMs: 50, progressMs: 250, learnerWindowBytes: 1 << 20, recentBytesMax: 1 << 20 };
const fresh = { acceptedEpoch: 0, currentEpoch: 0, appliedZxid: 0, tail: [], epochEnds: [], journalStartZxid: 0, suspect: false };

test('a leader steps down when all that it hears of its learners comes from their next lives', (t) => {
  const peer = new Peer(config, fresh, 0);
  let nowMs = 0;
  const traced: string[] = [];
  const step = (event: PeerEvent): void => {
    peer.step(event, nowMs);
    for (let effects: readonly PeerEffect[] = peer.drain().effects; effects.length > 0; effects = peer.drain().effects) {
      const persisted = effects.findLast((effect) => effect.type === 'persist');
      for (const effect of effects) if (effect.type === 'trace') traced.push(effect.name);
      if (persisted !== undefined) peer.step({ type: 'persisted', seq: persisted.seq }, nowMs);
    }
  };
  const message = (channel: number, of: PeerMessage): void => step({ type: 'message', channel, message: of });
  for (const sid of [1, 2]) {
    step({ type: 'channelUp', kind: 'election', channel: sid, sid });
    message(sid, { type: 'NOTIFICATION', vote: { sid: 3, zxid: 0, peerEpoch: 0 }, electionEpoch: 1, state: 'LOOKING' });
  }
  nowMs = 20;
  for (const sid of [1, 2]) {
    step({ type: 'channelUp', kind: 'learner', channel: 10 + sid, sid });
    message(10 + sid, { type: 'FOLLOWERINFO', sid, acceptedEpoch: 0, suspect: false });
    message(10 + sid, { type: 'ACKEPOCH', currentEpoch: 0, lastZxid: 0, history: [], appliedZxid: 0 });
  }
  // 1 has not acked NEWLEADER when the power goes; 2 has.
  message(12, { type: 'ACK', zxid: makeZxid(1, 0) });
  t.true(traced.includes('Established'));
  nowMs = 500;
  for (const sid of [1, 2]) step({ type: 'channelUp', kind: 'election', channel: 20 + sid, sid });
  while (nowMs < 4000 && peer.state === 'LEADING') {
    nowMs += 100;
    for (const sid of [1, 2]) message(20 + sid, { type: 'HEARTBEAT' });
    step({ type: 'clock' });
  }
  t.is(peer.state, 'LOOKING');
  t.true(traced.includes('SteppedDown'));
});
