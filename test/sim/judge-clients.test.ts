/** The judges of the clients are judged: each fires on a made-up bad history, and not on its legal neighbour. */
import test from 'ava';
import { makeZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { Txn } from '../../coord/tree/txn.ts';
import { TxnGroupEncoder } from '../../coord/tree/txn-codec.ts';
import { Code, CreateFlag, EventType, OpCode, Perms } from '../../coord/wire/codes.ts';
import type { Acl, AuthId, ClientRequest, Result } from '../../coord/wire/types.ts';
import { decideRead, decideWrite } from '../../sim/judges/decisions.ts';
import { Judge } from '../../sim/judges/judge.ts';
import { Model } from '../../sim/judges/model.ts';
import { ExpiryJudge, type LeaseHolder } from '../../sim/workloads/expiry-judge.ts';
import { OPEN_ACL, request } from '../../sim/workloads/requests.ts';
import { PersistentWatches } from '../../sim/workloads/persistent-watches.ts';
import { checkProtected, checkReply } from '../../sim/workloads/reply-check.ts';
import { ClientNetwork } from '../../sim/doubles/client-network.ts';
import type { ClientPlan } from '../../sim/plan/plan.ts';
import { LibraryClient } from '../../sim/workloads/library-client.ts';
import { Skips } from '../../sim/workloads/skips.ts';
import { World } from '../../sim/world/world.ts';

const at = (counter: number): Zxid => makeZxid(1, counter);
const ANN: AuthId = { scheme: 'digest', id: 'ann:hash' };
const OWN: readonly Acl[] = [{ perms: Perms.ALL, ...ANN }];
const create = (path: string, parentCVersion: number, more: Partial<Extract<Txn, { type: 'create' }>> = {}): Txn => ({ type: 'create', path, data: Buffer.from('x'), acl: OPEN_ACL, kind: 'persistent', ttlMs: 0, parentCVersion, withStat: true, ...more });
const set = (path: string, version: number): Txn => ({ type: 'setData', path, data: Buffer.from('y'), version });
const session: Txn = { type: 'createSession', sessionId: 7n, timeoutMs: 1000, password: new Uint8Array(16) };

/** Txns 1, 2, 3 … of session 7, a second apart. */
function court(...txns: (Txn | { readonly txn: Txn; readonly sessionId: bigint; readonly requestNo: number })[]): Judge {
  const judge = new Judge(new World('clients'));
  txns.forEach((each, i) => {
    const { txn, sessionId, requestNo } = 'txn' in each ? each : { txn: each, sessionId: 7n, requestNo: 1 };
    const encoder = new TxnGroupEncoder();
    encoder.begin(at(i + 1));
    encoder.add({ zxid: at(i + 1), timeMs: 1000 * (i + 1), sessionId, originId: 1, requestNo }, txn);
    judge.delivered(1, { firstZxid: at(i + 1), lastZxid: at(i + 1), bytes: encoder.finish() });
  });
  return judge;
}
const write = (op: OpCode, path: string, more: Partial<ClientRequest> = {}): ClientRequest => Object.assign(request(op, path), { acl: OPEN_ACL }, more);

test('decisions: who may do what, by the ACL of the znode or of its parent', (t) => {
  const { model, violation } = court(create('/own', 1, { acl: OWN }), create('/own/below', 1), create('/open', 2));
  t.is(violation, null);
  const decide = (r: ClientRequest, ids: AuthId[]): unknown => decideWrite(model, r, ids, at(4));
  t.is(decide(write(OpCode.setData, '/own'), []), Code.NOAUTH);
  t.is(decide(write(OpCode.setData, '/own'), [ANN]), Code.OK);
  t.is(decide(write(OpCode.create2, '/own/new'), []), Code.NOAUTH);
  t.is(decide(write(OpCode.delete, '/own/below'), []), Code.NOAUTH);
  t.is(decide(write(OpCode.delete, '/own/below'), [ANN]), Code.OK);
  t.is(decide(write(OpCode.delete, '/own'), [ANN]), Code.NOTEMPTY);
  t.is(decide(write(OpCode.setACL, '/own'), []), Code.NOAUTH);
  t.is(decide(write(OpCode.create2, '/new', { acl: [{ perms: 31, scheme: 'auth', id: '' }] }), []), Code.INVALIDACL);
  t.is(decide(write(OpCode.create2, '/open', { flags: CreateFlag.EPHEMERAL }), []), Code.NODEEXISTS);
  t.deepEqual(decide(write(OpCode.multi, '', { ops: [write(OpCode.create2, '/m'), write(OpCode.create2, '/m'), write(OpCode.delete, '/m')] }), []), [Code.OK, Code.NODEEXISTS, Code.RUNTIMEINCONSISTENCY]);
  t.is(decideRead(model, request(OpCode.getData, '/own'), [], at(3)), Code.NOAUTH);
  t.is(decideRead(model, request(OpCode.getData, '/own'), [ANN], at(3)), Code.OK);
  t.is(decideRead(model, request(OpCode.getData, '/open'), [], at(2)), Code.NONODE);
});

test('ReadResult and WriteResult: a reply that the ACL, the versions or the znode forbid', (t) => {
  const asked = (r: ClientRequest, ids: AuthId[] = []) => ({ who: 'client-1', request: r, sessionId: 7n, ids, ackedBefore: 0 });
  const fires = (txns: Txn[], r: ClientRequest, zxid: Zxid, err: number, result: Result | null, ids: AuthId[] = []): string | undefined => {
    const judge = court(...txns);
    checkReply(judge, asked(r, ids), zxid, err, result);
    return judge.violation?.invariant;
  };
  const secret = [create('/own', 1, { acl: OWN })];
  t.is(fires(secret, request(OpCode.getData, '/own'), at(1), Code.NOAUTH, null), undefined);
  t.is(fires(secret, request(OpCode.getData, '/own'), at(1), Code.OK, null), 'ReadResult');
  t.is(fires(secret, request(OpCode.getData, '/own'), at(1), Code.NOAUTH, null, [ANN]), 'ReadResult');
  const refused: Txn = { type: 'error', err: Code.NOAUTH };
  t.is(fires([...secret, refused], write(OpCode.setData, '/own'), at(2), Code.NOAUTH, null), undefined);
  t.is(fires([...secret, refused], write(OpCode.setData, '/own'), at(2), Code.NOAUTH, null, [ANN]), 'WriteResult');
  t.is(fires([...secret, set('/own', 1)], write(OpCode.setData, '/own'), at(2), Code.OK, null), 'WriteResult');
  t.is(fires(secret, write(OpCode.setData, '/own'), at(5), Code.OK, null), 'AckedWrites');
  const shown = (acl: readonly Acl[]): Result => ({ kind: 'acl', acl, stat: { czxid: at(1), mzxid: at(1), pzxid: at(1), ctime: 1000, mtime: 1000, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 1, numChildren: 0 } });
  const mixed = [create('/own', 1, { acl: [...OWN, { perms: Perms.READ, scheme: 'world', id: 'anyone' }] })];
  const masked = [{ perms: Perms.ALL, scheme: 'digest', id: 'ann:x' }, { perms: Perms.READ, scheme: 'world', id: 'anyone' }];
  t.is(fires(mixed, request(OpCode.getACL, '/own'), at(1), Code.OK, shown(masked)), undefined);
  t.is(fires(mixed, request(OpCode.getACL, '/own'), at(1), Code.OK, shown([...OWN, masked[1] as Acl])), 'ReadResult');
});

test('TxnDecision: the server deletes by itself only what has had its time', (t) => {
  const reaps = (...txns: Txn[]): string | undefined => {
    let message: string | undefined;
    const model = new Model((_invariant, what) => (message ??= what.replace(/^txn \S+ /, '')));
    txns.forEach((txn, i) => model.apply({ zxid: at(i + 1), timeMs: 1000 * (i + 1), sessionId: txn.type === 'delete' && txn.path !== '/c/x' ? 0n : 7n, originId: 0, requestNo: 0 }, txn));
    return message;
  };
  const reap = (path: string): Txn => ({ type: 'delete', path });
  t.is(reaps(create('/t', 1, { kind: 'ttl', ttlMs: 900 }), reap('/t')), undefined);
  t.is(reaps(create('/t', 1, { kind: 'ttl', ttlMs: 1900 }), reap('/t')), 'reaps /t 900 ms before its TTL is over');
  t.is(reaps(create('/c', 1, { kind: 'container' }), create('/c/x', 1), { type: 'delete', path: '/c/x' }, reap('/c')), undefined);
  t.is(reaps(create('/c', 1, { kind: 'container' }), reap('/c')), 'reaps the container /c, which never had a child');
  t.is(reaps(session, create('/e', 1, { kind: 'ephemeral' }), reap('/e')), 'reaps /e, which is ephemeral');
});

test('WatchOrder of persistent watches: an event too late, twice, out of order or not at all', (t) => {
  const history = (): { judge: Judge; watches: PersistentWatches } => {
    const judge = court(create('/k', 1), set('/k', 1), create('/k/a', 1), set('/k', 2));
    return { judge, watches: new PersistentWatches('client-1', judge) };
  };
  const good = history();
  const both = good.watches.add('persistent', '/k', at(1));
  const deep = good.watches.add('persistent-recursive', '/', at(1));
  for (const [type, path, zxid] of [[EventType.NodeDataChanged, '/k', at(2)], [EventType.NodeChildrenChanged, '/k', at(3)], [EventType.NodeDataChanged, '/k', at(4)]] as const) good.watches.called(both, type, path, zxid);
  for (const [type, path, zxid] of [[EventType.NodeDataChanged, '/k', at(2)], [EventType.NodeCreated, '/k/a', at(3)], [EventType.NodeDataChanged, '/k', at(4)]] as const) good.watches.called(deep, type, path, zxid);
  good.watches.seen(at(4));
  t.is(good.judge.violation, null);
  good.watches.called(both, EventType.NodeDataChanged, '/k', at(4));
  t.is(good.judge.violation?.invariant, 'WatchOrder');

  const late = history();
  late.watches.add('persistent', '/k', at(1));
  late.watches.seen(at(1));
  t.is(late.judge.violation, null);
  late.watches.seen(at(2));
  t.is(late.judge.violation?.invariant, 'WatchOrder');

  const left = history();
  left.watches.called(left.watches.add('persistent', '/k', at(1)), EventType.NodeDataChanged, '/k', at(4));
  t.is(left.judge.violation?.invariant, 'WatchOrder');

  // What happened between two connections is not told, and what came before the end of the old one may be.
  const away = history();
  const watch = away.watches.add('persistent', '/k', at(1));
  away.watches.called(watch, EventType.NodeDataChanged, '/k', at(2));
  away.watches.lost();
  away.watches.setAgain(at(3));
  away.watches.seen(at(3));
  t.is(away.judge.violation, null);
  away.watches.seen(at(4));
  t.is(away.judge.violation?.invariant, 'WatchOrder');

  // READ is needed when the event is delivered.
  const secret = court(create('/own', 1, { acl: OWN }), set('/own', 1));
  const blind = new PersistentWatches('client-1', secret);
  blind.add('persistent', '/own', at(1));
  blind.seen(at(2));
  t.is(secret.violation, null);
  blind.ids = [ANN];
  blind.add('persistent', '/own', at(1));
  blind.seen(at(2));
  t.is(secret.violation?.invariant, 'WatchOrder');
});

test('EarlyExpiry: before the timeout after the leader heard of the session, or began', (t) => {
  const fires = (heardMs: number | null, nowMs: number): string | undefined => {
    const judge = court(session);
    const expiry = new ExpiryJudge(judge, () => true);
    const leadership = expiry.begins(1, 100);
    if (heardMs !== null) expiry.heard(leadership, 7n, heardMs);
    expiry.expires(leadership, 7n, nowMs);
    return judge.violation?.invariant;
  };
  t.is(fires(null, 1100), undefined);
  t.is(fires(null, 1099), 'EarlyExpiry');
  t.is(fires(500, 1500), undefined);
  t.is(fires(500, 1499), 'EarlyExpiry');
});

test('Lease: a client believes in its session when it has been expired', (t) => {
  const fires = (leftMs: number, requestNo: number, clocksHold = true): string | undefined => {
    const judge = court(session);
    const expiry = new ExpiryJudge(judge, () => clocksHold);
    const holder: LeaseHolder = { name: 'client-1', sessionId: 7n, leaseRemainingMs: () => leftMs };
    expiry.holds(holder);
    judge.model.apply({ zxid: at(2), timeMs: 2000, sessionId: 7n, originId: 0, requestNo }, { type: 'closeSession', sessionId: 7n, paths: [] });
    return judge.violation?.invariant;
  };
  t.is(fires(0, 0), undefined);
  t.is(fires(1, 0), 'Lease');
  // Its own close, and a leader whose clock runs too fast.
  t.is(fires(1, 5), undefined);
  t.is(fires(1, 0, false), undefined);
});

test('operations that are left out are named by number or range', (t) => {
  const skips = new Skips(['client-2#14', 'client-3#5-7']);
  t.deepEqual([13, 14, 15].map((n) => skips.has('client-2', n)), [false, true, false]);
  t.deepEqual([4, 5, 7, 8].map((n) => skips.has('client-3', n)), [false, true, true, false]);
  t.throws(() => new Skips(['client-2']), { message: /names no operations/ });
});

test('ProtectedCreate: two znodes for one create whose reply was lost', (t) => {
  const fires = (...txns: Txn[]): string | undefined => {
    const judge = court(create('/q', 1), ...txns);
    checkProtected(judge, 'client-1', '/q/_c_1-');
    return judge.violation?.invariant;
  };
  t.is(fires(create('/q/_c_1-0000000000', 1), create('/q/_c_2-0000000001', 2)), undefined);
  t.is(fires(), 'ProtectedCreate');
  t.is(fires(create('/q/_c_1-0000000000', 1), create('/q/_c_1-0000000001', 2)), 'ProtectedCreate');
});

test('ClientPromise: a library that sends what nobody asked for, forgets what it has seen, or asks for watches that are not kept', (t) => {
  const fires = (misdeed: (client: LibraryClient) => void): string | undefined => {
    const world = new World('promise');
    const judge = court(create('/k', 1));
    const plan: ClientPlan = { id: 1, kind: 'library', draws: false, move: 0, stall: 0, misbehave: 0, timeoutMs: 1000, burst: 1, thinkMs: 10 };
    const stage = { when: () => {}, happened: () => {}, server: () => null };
    const client = new LibraryClient(plan, { world, servers: [], judge, stage, network: new ClientNetwork(world), expiry: new ExpiryJudge(judge, () => true), skips: new Skips([]), client: () => undefined });
    const hello = { protocolVersion: 0, timeoutMs: 1000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true };
    client.connecting({ ...hello, lastZxidSeen: 0 });
    client.connected({ timeoutMs: 1000, sessionId: 7n });
    client.replied(1, at(1), 0);
    misdeed(client);
    return judge.violation?.invariant;
  };
  t.is(fires(() => {}), undefined);
  t.is(fires((client) => client.sending(request(OpCode.setData, '/k'), 10)), 'ClientPromise');
  t.is(fires((client) => client.connecting({ protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 1000, sessionId: 7n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true })), 'ClientPromise');
  t.is(fires((client) => client.sending(Object.assign(request(OpCode.setWatches, ''), { relativeZxid: at(1), dataWatches: ['/k'] }), 10)), 'ClientPromise');
  t.is(fires((client) => client.replied(2, 1, 0)), 'MonotonicReads');
});

test('LateExpiry: a leader that forgets a session which is silent', (t) => {
  const fires = (looksMs: number[]): string | undefined => {
    const judge = court(session);
    const expiry = new ExpiryJudge(judge, () => true);
    const leadership = expiry.begins(1, 0);
    for (const nowMs of looksMs) expiry.heard(leadership, 8n, nowMs);
    return judge.violation?.invariant;
  };
  const every = (fromMs: number, toMs: number): number[] => Array.from({ length: Math.floor((toMs - fromMs) / 400) }, (_, i) => fromMs + i * 400);
  t.is(fires(every(0, 4500)), undefined);
  t.is(fires(every(0, 6000)), 'LateExpiry');
  // It was stalled, and begins to count again.
  t.is(fires([...every(0, 2000), ...every(4000, 8000)]), undefined);
  // The session is made when it has led for long.
  const judge = court();
  const expiry = new ExpiryJudge(judge, () => true);
  const leadership = expiry.begins(1, 0);
  for (const nowMs of every(0, 8000)) expiry.heard(leadership, 8n, nowMs);
  judge.model.apply({ zxid: 1, timeMs: 0, sessionId: 7n, originId: 0, requestNo: 0 }, session);
  for (const nowMs of every(8000, 12_500)) expiry.heard(leadership, 8n, nowMs);
  t.is(judge.violation, null);
  for (const nowMs of every(12_500, 14_000)) expiry.heard(leadership, 8n, nowMs);
  t.is(judge.violation?.invariant, 'LateExpiry');
});
