/** A server that found no leader for some time dials less often. Leaders that change more often than that must be dialled nevertheless. */
import test from 'ava';
import type { PeerEvent } from '../../../coord/zab/contract.ts';
import type { PeerMessage, ServerState } from '../../../coord/zab/messages.ts';
import { Peer } from '../../../coord/zab/peer.ts';

const config = { sid: 1, voters: [1, 2, 3], detectMs: 1000, heartbeatMs: 200, electionGraceMs: 10, progressMs: 120, learnerWindowBytes: 1 << 20, recentBytesMax: 1 << 20 };
const fresh = { acceptedEpoch: 0, currentEpoch: 0, appliedZxid: 0, tail: [], epochEnds: [], journalStartZxid: 0, suspect: false };

test('a leader is dialled at least once in about a second, however often it is elected anew', (t) => {
  const peer = new Peer(config, fresh, 0);
  let nowMs = 0;
  const dialledMs: number[] = [];
  const step = (event: PeerEvent): void => {
    peer.step(event, nowMs);
    for (let { effects } = peer.drain(); effects.length > 0; { effects } = peer.drain()) {
      const persisted = effects.findLast((effect) => effect.type === 'persist');
      for (const effect of effects) if (effect.type === 'dialLearner') dialledMs.push(nowMs);
      if (persisted !== undefined) peer.step({ type: 'persisted', seq: persisted.seq }, nowMs);
    }
  };
  const message = (channel: number, of: PeerMessage): void => step({ type: 'message', channel, message: of });
  const notify = (sid: number, state: ServerState, round: number): void => message(sid, { type: 'NOTIFICATION', vote: { sid: 3, zxid: 0, peerEpoch: 0 }, electionEpoch: round, state });
  for (const sid of [2, 3]) step({ type: 'channelUp', kind: 'election', channel: sid, sid });
  // Each leader gives way after 200 ms, and is elected again at once; whoever dials is not answered.
  for (let round = 1; nowMs < 12_000; round++) {
    for (const sid of [2, 3]) notify(sid, 'LOOKING', round);
    for (let i = 0; i < 10; i++) {
      nowMs += 20;
      if (i === 1) notify(3, 'LEADING', round);
      if (i === 1) notify(2, 'FOLLOWING', round);
      for (const sid of [2, 3]) message(sid, { type: 'HEARTBEAT' });
      step({ type: 'clock' });
    }
  }
  const gaps = dialledMs.map((at, i) => (dialledMs[i + 1] ?? nowMs) - at);
  t.true(dialledMs.length > 10, `dialled at ${dialledMs.join(', ')}`);
  t.true(Math.max(...gaps) < 1600, `gaps ${gaps.join(', ')}`);
});
