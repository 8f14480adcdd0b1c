/** The judges are judged: each fires on a made-up bad history, and not on its legal neighbour. Those that look at disks are in judge-disks.test.ts. */
import test from 'ava';
import { TxnGroupEncoder } from '../../coord/tree/txn-codec.ts';
import type { CreateTxn, Txn } from '../../coord/tree/txn.ts';
import { makeZxid, zxidCounter, type Zxid } from '../../coord/base/zxid.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import type { Stat } from '../../coord/wire/types.ts';
import { ClientHistory } from '../../sim/judges/client-history.ts';
import { Judge } from '../../sim/judges/judge.ts';
import { relevantEntries } from '../../sim/judges/relevant.ts';
import { TxnRules } from '../../sim/judges/txn-rules.ts';
import { SessionWatches } from '../../sim/workloads/session-watches.ts';
import { Marks } from '../../sim/world/marks.ts';
import type { Call } from '../../sim/workloads/call.ts';
import { Network } from '../../sim/doubles/network.ts';
import { SimServer } from '../../sim/world/sim-server.ts';
import { drawKnobs, drawServerKnobs } from '../../sim/world/knobs.ts';
import { World, type Violation } from '../../sim/world/world.ts';

function group(zxid: Zxid, value: string): TxnGroup {
  const encoder = new TxnGroupEncoder();
  encoder.begin(zxid);
  const isFirst = zxidCounter(zxid) === 1;
  const txn: Txn = isFirst
    ? { type: 'create', path: '/k', data: Buffer.from(value), acl: [], kind: 'persistent', ttlMs: 0, parentCVersion: 1, withStat: false }
    : { type: 'setData', path: '/k', data: Buffer.from(value), version: zxidCounter(zxid) - 1 };
  encoder.add({ zxid, timeMs: 0, sessionId: 1n, originId: 0, requestNo: 0 }, txn);
  return { firstZxid: zxid, lastZxid: zxid, bytes: encoder.finish() };
}
/** Changes nothing. */
function empty(zxid: Zxid): TxnGroup {
  const encoder = new TxnGroupEncoder();
  encoder.begin(zxid);
  encoder.add({ zxid, timeMs: 0, sessionId: 1n, originId: 0, requestNo: 0 }, { type: 'error', err: -110 });
  return { firstZxid: zxid, lastZxid: zxid, bytes: encoder.finish() };
}
const at = (counter: number, epoch = 1): Zxid => makeZxid(epoch, counter);
const call = (kind: Call['kind'], ackedBefore: Zxid, value = 'x'): Call => ({ client: 1, kind, path: '/k', value, version: -1, sessionId: 1n, invokedMs: 0, ackedBefore });

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

test('TotalOrder: another order', (t) => {
  const order = court();
  order.deliver(1, group(at(1), 'a'), group(at(2), 'b'));
  order.deliver(3, group(at(1), 'a'), group(at(2), 'b'));
  t.is(order.judge.violation, null);
  order.deliver(2, group(at(2), 'b'));
  t.is(order.judge.violation?.invariant, 'TotalOrder');
});

test('LocalPrimaryOrder: a gap within an epoch, or at its beginning', (t) => {
  const gap = court();
  gap.deliver(1, group(at(1), 'a'), group(at(3), 'c'));
  t.is(gap.judge.violation?.invariant, 'LocalPrimaryOrder');
  const late = court();
  late.deliver(1, group(at(1), 'a'), group(at(2, 2), 'b'));
  t.is(late.judge.violation?.invariant, 'LocalPrimaryOrder');
});

test('GlobalPrimaryOrder: an older epoch after a newer one', (t) => {
  const on = court();
  on.deliver(1, group(at(1), 'a'), empty(at(1, 4)));
  t.is(on.judge.violation, null);
  const back = court();
  back.deliver(1, group(at(1, 2), 'a'), group(at(5, 1), 'b'));
  t.is(back.judge.violation?.invariant, 'GlobalPrimaryOrder');
});

test('AckedWrites: a reply for what nobody delivered, or for another value', (t) => {
  const early = court();
  early.judge.answered(call('set', 0), at(1), 0, null);
  t.is(early.judge.violation?.invariant, 'AckedWrites');
  const other = court();
  other.deliver(1, group(at(1), 'other'));
  other.judge.answered(call('create', 0), at(1), 0, null);
  t.is(other.judge.violation?.invariant, 'AckedWrites');
});

test('RealTimeOrder: a later write with a smaller zxid', (t) => {
  const { judge, deliver } = court();
  deliver(1, group(at(1), 'x'), group(at(2), 'x'));
  judge.answered(call('set', 0), at(2), 0, null);
  t.is(judge.violation, null);
  judge.answered(call('create', at(2)), at(1), 0, null);
  t.is(judge.violation?.invariant, 'RealTimeOrder');
});

test('SyncRead: a read after sync that misses an acked write', (t) => {
  const { judge, deliver } = court();
  deliver(1, group(at(1), 'x'), group(at(2), 'x'));
  judge.answered(call('sync-get', at(2)), at(1), 0, null);
  t.is(judge.violation?.invariant, 'SyncRead');
});

test('QuorumDurability: an ACK of what the disk does not hold', (t) => {
  const world = new World('durability');
  const judge = new Judge(world);
  const network = new Network(world, { latencyMs: 1, jitterMs: 0 });
  const prng = world.prng.fork('knobs');
  judge.started(1, new SimServer(world, network, judge, { sid: 1, voters: [1, 2, 3], knobs: drawKnobs(prng), own: drawServerKnobs(prng) }));
  judge.onSend(1, 2, { type: 'ACK', zxid: at(7) });
  t.is(judge.violation?.invariant, 'QuorumDurability');
});

test('TxnDecision: what is decided must be possible where it stands', (t) => {
  const header = { zxid: at(1), timeMs: 0, sessionId: 7n, originId: 0, requestNo: 0 };
  const decided = (...txns: Txn[]): string | undefined => {
    const { judge } = court();
    txns.forEach((txn, i) => judge.model.apply({ ...header, zxid: at(i + 1) }, txn));
    return judge.violation?.message.replace(/^txn \S+ /, '');
  };
  const create = (path: string, parentCVersion: number, kind: 'persistent' | 'ephemeral' = 'persistent'): Txn => ({ type: 'create', path, data: null, acl: [], kind, ttlMs: 0, parentCVersion, withStat: false });
  const session: Txn = { type: 'createSession', sessionId: 7n, timeoutMs: 1000, password: new Uint8Array(16) };
  t.is(decided(create('/a', 1), create('/a/b', 1), { type: 'delete', path: '/a/b' }), undefined);
  t.is(decided(create('/a', 1), create('/a', 2)), 'creates /a, which is there');
  t.is(decided(create('/a', 1), create('/b', 1)), 'creates /b as number 1, its parent has had 1');
  t.is(decided({ type: 'delete', path: '/a' }), 'deletes /a, which is not there');
  t.is(decided(create('/a', 1, 'ephemeral')), 'creates the ephemeral /a of a session that has ended');
  t.is(decided(session, create('/a', 1, 'ephemeral'), { type: 'closeSession', sessionId: 7n, paths: [] }), 'closes session 7 with , it has /a');
});

test('ReadResult: a read that shows another state than that of its zxid', (t) => {
  const stale = court();
  stale.deliver(1, group(at(1), 'old'), group(at(2), 'new'));
  const stat = { czxid: at(1), mzxid: at(1), pzxid: at(1), ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 3, numChildren: 0 };
  stale.judge.answered(call('get', 0), at(1), 0, { kind: 'data', data: Buffer.from('old'), stat });
  t.is(stale.judge.violation, null);
  stale.judge.answered(call('get', 0), at(2), 0, { kind: 'data', data: Buffer.from('old'), stat });
  t.is(stale.judge.violation?.invariant, 'ReadResult');
});

test('WatchOrder and WatchSpurious: an event too late, or out of nothing', (t) => {
  const late = court();
  late.deliver(1, group(at(1), 'x'), group(at(2), 'y'));
  const watches = new SessionWatches(1, late.judge, new Marks());
  watches.add('data', '/k', at(1));
  watches.seen(at(1));
  t.is(late.judge.violation, null);
  watches.seen(at(2));
  t.is(late.judge.violation?.invariant, 'WatchOrder');
  const spurious = court();
  new SessionWatches(1, spurious.judge, new Marks()).event(3, '/k', at(1));
  t.is(spurious.judge.violation?.invariant, 'WatchSpurious');
});

test('SessionOrder: an older write of the session after a newer one', (t) => {
  const { judge, deliver } = court();
  deliver(1, group(at(1), '1:4'), group(at(2), '1:6'));
  t.is(judge.violation, null);
  deliver(1, group(at(3), '1:5'));
  t.is(judge.violation?.invariant, 'SessionOrder');
});

const HEADER = { timeMs: 0, sessionId: 7n, originId: 0, requestNo: 0 };
function rules(...txns: [Txn, bigint?][]): string | undefined {
  let found: string | undefined;
  const judge = new TxnRules((invariant) => {
    found ??= invariant;
  });
  txns.forEach(([txn, sessionId = 7n], i) => judge.apply({ ...HEADER, zxid: at(i + 1), sessionId }, txn));
  return found;
}
const created = (path: string, parentCVersion = 1): Txn => ({ type: 'create', path, data: null, acl: [], kind: 'persistent', ttlMs: 0, parentCVersion, withStat: false });
const CLOSE: Txn = { type: 'closeSession', sessionId: 7n, paths: [] };

test('SessionRules: a write of a session after its end; a refusal may come then, and others go on', (t) => {
  t.is(rules([created('/a')], [CLOSE], [created('/b')]), 'SessionRules');
  t.is(rules([CLOSE], [{ type: 'createSession', sessionId: 7n, timeoutMs: 1000, password: new Uint8Array(16) }]), 'SessionRules');
  t.is(rules([created('/a')], [CLOSE], [{ type: 'error', err: -112 }], [created('/b'), 8n]), undefined);
});

test('SequenceNumbers: a number that was given before', (t) => {
  t.is(rules([created('/q/s-0000000000')], [created('/q/s-0000000003')], [created('/p/s-0000000001')]), undefined);
  t.is(rules([created('/q/s-0000000003')], [{ type: 'delete', path: '/q/s-0000000003' }], [{ type: 'delete', path: '/q' }], [created('/q/s-0000000000')]), undefined);
  t.is(rules([created('/q/s-0000000003')], [created('/q/t-0000000003')]), 'SequenceNumbers');
  t.is(rules([created('/q/s-0000000003')], [{ type: 'multi', txns: [created('/q/s-0000000002') as CreateTxn] }]), 'SequenceNumbers');
});

test('SequenceNumbers: a client is told of another number than its parent had', (t) => {
  const told = (number: string): string | undefined => {
    const { judge } = court();
    const encoder = new TxnGroupEncoder();
    encoder.begin(at(1));
    encoder.add({ ...HEADER, zxid: at(1), sessionId: 1n }, { ...(created(`/s-${number}`) as CreateTxn), data: Buffer.from('x') });
    judge.delivered(1, { firstZxid: at(1), lastZxid: at(1), bytes: encoder.finish() });
    judge.answered({ ...call('create-sequential', 0), path: '/s-' }, at(1), 0, { kind: 'path', path: `/s-${number}` });
    return judge.violation?.invariant;
  };
  t.is(told('0000000000'), undefined);
  t.is(told('0000000001'), 'SequenceNumbers');
});

test('MultiAtomicity: a failed multi with two reasons, or with none', (t) => {
  t.is(rules([{ type: 'failedMulti', errs: [0, -101, -2] }]), undefined);
  t.is(rules([{ type: 'failedMulti', errs: [0, -101, 0] }]), 'MultiAtomicity');
  t.is(rules([{ type: 'failedMulti', errs: [0, 0] }]), 'MultiAtomicity');
});

test('MultiAtomicity: a client is told of a part', (t) => {
  const told = (...errs: number[]): string | undefined => {
    const { judge } = court();
    const encoder = new TxnGroupEncoder();
    encoder.begin(at(1));
    encoder.add({ ...HEADER, zxid: at(1), sessionId: 1n }, { type: 'multi', txns: [created('/a') as CreateTxn, created('/b', 2) as CreateTxn] });
    judge.delivered(1, { firstZxid: at(1), lastZxid: at(1), bytes: encoder.finish() });
    judge.answered(call('multi', 0), at(1), 0, { kind: 'multi', results: errs.map((err) => ({ op: 1, err, result: null })) });
    return judge.violation?.invariant;
  };
  t.is(told(0, 0), undefined);
  t.is(told(0), 'MultiAtomicity');
  t.is(told(0, -110), 'MultiAtomicity');
});

test('Linearizability: clients alone show a stale synced read, whatever zxids say', (t) => {
  const stat = (version: number): Stat => ({ czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, version, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 0, numChildren: 0 });
  const seen = (kind: Call['kind'], value: string, version: number): string => {
    const history = new ClientHistory();
    history.answered({ ...call('create', 0, '1:0'), invokedMs: 1 }, 2, at(1), 0, { kind: 'path', path: '/k' });
    history.answered({ ...call('set', 0, '1:1'), invokedMs: 3 }, 4, at(2), 0, { kind: 'stat', stat: stat(1) });
    // Another client, that has done nothing before.
    history.answered({ ...call(kind, 0), client: 2, sessionId: 2n, invokedMs: 5 }, 6, at(2), 0, { kind: 'data', data: Buffer.from(value), stat: stat(version) });
    const finding = history.check();
    return finding.kind === 'illegal' ? finding.invariant : finding.kind;
  };
  t.is(seen('sync-get', '1:1', 1), 'ok');
  t.is(seen('sync-get', '1:0', 0), 'Linearizability');
  // Without sync a read may be old; it may not show what never was.
  t.is(seen('get', '1:0', 0), 'ok');
  t.is(seen('get', '1:0', 1), 'MonotonicReads');
});

test('MonotonicReads: a session sees the new value and then the old one; another session may', (t) => {
  const stat: Stat = { czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 0, numChildren: 0 };
  const seen = (second: number, session = second, incarnation = 0): string => {
    const history = new ClientHistory();
    history.answered({ ...call('create', 0, '1:0'), invokedMs: 1 }, 2, at(1), 0, { kind: 'path', path: '/k' });
    history.answered({ ...call('set', 0, '1:1'), invokedMs: 3 }, 4, at(2), 0, null);
    history.answered({ ...call('get', 0), client: 2, sessionId: 2n, invokedMs: 5 }, 6, at(2), 0, { kind: 'data', data: Buffer.from('1:1'), stat: { ...stat, version: 1 } });
    history.answered({ ...call('get', 0), client: second, sessionId: BigInt(session), incarnation, invokedMs: 7 }, 8, at(1), 0, { kind: 'data', data: Buffer.from('1:0'), stat });
    const finding = history.check();
    return finding.kind === 'illegal' ? finding.invariant : finding.kind;
  };
  t.is(seen(3), 'ok');
  t.is(seen(2), 'MonotonicReads');
  t.is(seen(2, 2, 1), 'ok', 'a client that has begun anew, and has taken up the session');
});

test('Linearizability: an ephemeral after its session was closed; after its client was told of expiry it may be there for a while', (t) => {
  const seen = (isClosed: boolean): string => {
    const history = new ClientHistory();
    history.answered({ ...call('create-ephemeral', 0, '1:0'), invokedMs: 1 }, 2, at(1), 0, { kind: 'path', path: '/k' });
    if (isClosed) history.answered({ ...call('close', 0), path: '', invokedMs: 3 }, 4, at(2), 0, null);
    history.answered({ ...call('sync-get', 0), client: 2, sessionId: 2n, invokedMs: 5 }, 6, at(2), 0, { kind: 'data', data: Buffer.from('1:0'), stat: { czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 1n, dataLength: 3, numChildren: 0 } });
    history.answered({ ...call('sync-get', 0), client: 2, sessionId: 2n, invokedMs: 7 }, 8, at(3), -101, null);
    const finding = history.check();
    return finding.kind === 'illegal' ? finding.invariant : finding.kind;
  };
  t.is(seen(false), 'ok');
  t.is(seen(true), 'Linearizability');
});

test('Linearizability: where all paths together are too much for the budget, a path by itself shows it; what is in order there proves nothing', (t) => {
  const seen = (value: string): string => {
    const history = new ClientHistory();
    const paths = Array.from({ length: 6 }, (_, i) => `/k${i}`);
    // One multi holds them together; then everybody writes at once.
    history.answered({ ...call('multi', 0, '1:0'), invokedMs: 1, ops: paths.map((path) => ({ kind: 'create', path, version: -1 })) }, 2, 0, 0, { kind: 'multi', results: paths.map(() => ({ op: 1, err: 0, result: null })) });
    for (const [i, path] of paths.entries()) {
      for (const client of [2, 3]) history.answered({ ...call('set', 0, `${client}:${i}`), path, client: client * 10 + i, sessionId: BigInt(client * 10 + i), invokedMs: 3 }, 50, 0, 0, null);
    }
    history.answered({ ...call('sync-get', 0), path: '/k0', client: 2, sessionId: 2n, invokedMs: 60 }, 61, 0, 0, { kind: 'data', data: Buffer.from(value), stat: { czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, version: 2, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 0, numChildren: 0 } });
    const finding = history.check({ lost: () => Infinity, ended: () => Infinity }, 60);
    return finding.kind === 'illegal' ? finding.invariant : finding.kind;
  };
  t.is(seen('1:0'), 'Linearizability');
  t.is(seen('2:0'), 'gave-up');
});

test('a violation says whom it concerns, and the entries that matter are found by it', (t) => {
  const world = new World('related');
  const judge = new Judge(world);
  for (let i = 0; i < 30; i++) world.trace('server-2', 'Deliver', { zxid: i });
  world.trace('server-1', 'Broadcast', { zxid: at(7) });
  world.trace('server-3', 'Boot', { lastZxid: 5 });
  for (let i = 0; i < 30; i++) world.trace('server-3', 'CloseChannel', { channel: i });
  judge.fail('QuorumDurability', 'server 3 acked 0x100000007, its disk ends at 0x5', { processes: ['server-3'], zxids: [at(7)] });
  const { violation } = judge;
  t.is(violation?.lane, 'server-3');
  const shown = relevantEntries(world.recent, violation as Violation, 5);
  t.deepEqual(shown.map(({ who, name }) => `${who} ${name.split(' ')[0]}`), ['server-1 Broadcast', 'server-3 Boot', 'server-3 CloseChannel', 'server-3 CloseChannel', 'judge VIOLATION']);
});
