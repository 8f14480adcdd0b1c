/** The judges are judged: each fires on a made-up bad history. */
import test from 'ava';
import { TxnGroupEncoder } from '../../coord/tree/txn-codec.ts';
import type { Txn } from '../../coord/tree/txn.ts';
import { makeZxid, type Zxid } from '../../coord/base/zxid.ts';
import { encodePeerMessage } from '../../coord/wire/peer-codec.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import { Judge } from '../../sim/judges/judge.ts';
import type { Call } from '../../sim/workloads/sim-client.ts';
import { Network } from '../../sim/doubles/network.ts';
import { SimServer } from '../../sim/world/sim-server.ts';
import { World } from '../../sim/world/world.ts';

function group(zxid: Zxid, value: string): TxnGroup {
  const encoder = new TxnGroupEncoder();
  encoder.begin(zxid);
  const txn: Txn = { type: 'setData', path: '/k', data: Buffer.from(value), version: 1 };
  encoder.add({ zxid, timeMs: 0, sessionId: 1n, originId: 0, requestNo: 0 }, txn);
  return { firstZxid: zxid, lastZxid: zxid, bytes: encoder.finish() };
}
const at = (counter: number, epoch = 1): Zxid => makeZxid(epoch, counter);
const call = (kind: Call['kind'], ackedBefore: Zxid, value = 'x'): Call => ({ client: 1, kind, path: '/k', value, invokedMs: 0, ackedBefore });

/** A judge, and two servers that are named to it: their deliveries are fed by hand. */
function court(): { judge: Judge; deliver: (sid: number, ...groups: TxnGroup[]) => void } {
  const world = new World('judge');
  const judge = new Judge(world);
  return { judge, deliver: (sid, ...groups) => groups.forEach((each) => judge.delivered(sid, each)) };
}

test('Leadership: two leaders of one epoch', (t) => {
  const { judge } = court();
  judge.onTrace(1, 'Established', { epoch: 3 });
  judge.onTrace(1, 'Established', { epoch: 3 });
  t.is(judge.violation, null);
  judge.onTrace(2, 'Established', { epoch: 3 });
  t.is(judge.violation?.invariant, 'Leadership');
});

test('Integrity: one zxid, two contents', (t) => {
  const { judge, deliver } = court();
  deliver(1, group(at(1), 'a'));
  deliver(2, group(at(1), 'b'));
  t.is(judge.violation?.invariant, 'Integrity');
});

test('TotalOrder: another order, a gap, an older epoch', (t) => {
  const order = court();
  order.deliver(1, group(at(1), 'a'), group(at(2), 'b'));
  order.deliver(2, group(at(2), 'b'));
  t.is(order.judge.violation?.invariant, 'TotalOrder');
  const gap = court();
  gap.deliver(1, group(at(1), 'a'), group(at(3), 'c'));
  t.is(gap.judge.violation?.invariant, 'TotalOrder');
  const back = court();
  back.deliver(1, group(at(1, 2), 'a'), group(at(5, 1), 'b'));
  t.is(back.judge.violation?.invariant, 'TotalOrder');
});

test('AckedWrites: a reply for what nobody delivered, or for another value', (t) => {
  const early = court();
  early.judge.answered(call('set', 0), at(1), 0, null);
  t.is(early.judge.violation?.invariant, 'AckedWrites');
  const other = court();
  other.deliver(1, group(at(1), 'other'));
  other.judge.answered(call('set', 0), at(1), 0, null);
  t.is(other.judge.violation?.invariant, 'AckedWrites');
});

test('RealTimeOrder: a later write with a smaller zxid', (t) => {
  const { judge, deliver } = court();
  deliver(1, group(at(1), 'x'), group(at(2), 'x'));
  judge.answered(call('set', 0), at(2), 0, null);
  judge.answered(call('set', at(2)), at(1), 0, null);
  t.is(judge.violation?.invariant, 'RealTimeOrder');
});

test('SyncRead: a read after sync that misses an acked write', (t) => {
  const { judge } = court();
  judge.answered(call('sync-get', at(5)), at(4), 0, null);
  t.is(judge.violation?.invariant, 'SyncRead');
});

test('QuorumDurability: an ACK of what the disk does not hold', (t) => {
  const world = new World('durability');
  const judge = new Judge(world);
  const network = new Network(world, world.prng.fork('network'), { latencyMs: 1, jitterMs: 0 });
  judge.started(1, new SimServer(world, network, judge, { sid: 1, voters: [1, 2, 3], mutant: null }));
  judge.onSend(1, encodePeerMessage({ type: 'ACK', zxid: at(7) }));
  t.is(judge.violation?.invariant, 'QuorumDurability');
});
