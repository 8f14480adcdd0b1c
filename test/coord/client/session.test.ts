import test from 'ava';
import { OpCode, EventType } from '../../../coord/wire/codes.ts';
import type { Result } from '../../../coord/wire/types.ts';
import type { Watcher } from '../../../coord/client/api.ts';
import { Script } from './scripted.ts';

const stat = { czxid: 1, mzxid: 1, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 0, numChildren: 0, pzxid: 1 };
const three = [{ host: 'a', port: 1 }, { host: 'b', port: 1 }, { host: 'c', port: 1 }];

test('a new session: nothing is known at first; what waited goes out in order', (t) => {
  const s = new Script();
  s.request('/1');
  s.request('/2');
  const hello = s.establish(7n);
  t.is(hello.sessionId, 0n);
  t.is(hello.lastZxidSeen, 0);
  t.is(s.session.sessionId, 7n);
  t.deepEqual(s.received().map((request) => [request.xid, request.path]), [[1, '/1'], [2, '/2']]);
  t.deepEqual(s.signals, ['connected']);
  s.reply(1, 10);
  s.reply(2, 11, -101);
  t.deepEqual(s.outcomes, ['/1 OK 10', '/2 NONODE 11']);
  t.is(s.session.lastZxid, 11);
});

test('what was sent is lost with the connection, what waits is not; the session is resumed with what it has seen', (t) => {
  const s = new Script();
  s.establish(7n);
  s.request('/answered');
  s.request('/sent');
  t.is(s.received().length, 2);
  s.reply(1, 10);
  s.lose();
  s.request('/waits');
  t.deepEqual(s.outcomes, ['/answered OK 10', '/sent CONNECTIONLOSS 0']);
  t.is(s.session.state, 'suspended');
  s.time.advance(0);
  const hello = s.establish(7n);
  t.is(hello.sessionId, 7n);
  t.is(hello.lastZxidSeen, 10);
  t.deepEqual([...hello.password], Array.from({ length: 16 }, () => 9));
  t.deepEqual(s.received().map((request) => request.path), ['/waits']);
  t.deepEqual(s.signals, ['connected', 'suspended', 'reconnected']);
});

test('more than the queue holds is refused at once', (t) => {
  const s = new Script();
  for (const path of ['/1', '/2', '/3', '/4']) s.request(path);
  s.time.endTurn();
  t.deepEqual(s.outcomes, ['/4 OPERATIONTIMEOUT 0']);
});

test('a request that servers would refuse is not sent, and costs no other', (t) => {
  const s = new Script({ requestBytesMax: 100 });
  s.establish();
  s.request('/1');
  s.request(`/${'x'.repeat(100)}`);
  s.request('/3');
  t.deepEqual(s.received().map((request) => request.path), ['/1', '/3']);
  t.regex(s.outcomes[0] ?? '', /REQUESTTOOLARGE 0$/);
  s.reply(1, 1);
  s.reply(3, 2);
  t.deepEqual(s.outcomes.slice(1), ['/1 OK 1', '/3 OK 2']);
});

test('the servers are tried in turn: at once, then with growing pauses', (t) => {
  const s = new Script({ servers: three });
  s.establish();
  s.lose();
  for (let i = 0; i < 12; i++) {
    s.time.advance(2000);
    s.lose();
  }
  const names = s.attempts.map(({ server }) => server.host);
  t.is(new Set(names.slice(0, 3)).size, 3);
  t.deepEqual(names.slice(3, 6), names.slice(0, 3));
});

test('back-off: the first attempt after a loss is immediate, a round costs tens of milliseconds, never more than a second', (t) => {
  const s = new Script({ servers: three, sessionTimeoutMs: 60_000 });
  s.accept();
  s.welcome(1n, 60_000);
  const pauses: number[] = [];
  s.lose();
  for (let i = 0; i < 30; i++) {
    const before = s.time.nowMs;
    const count = s.attempts.length;
    while (s.attempts.length === count) s.time.advance(1);
    pauses.push(s.time.nowMs - before);
    s.lose();
  }
  t.true((pauses[0] as number) <= 1);
  t.true(pauses.slice(1, 4).every((ms) => ms >= 7 && ms <= 11), String(pauses));
  t.true(pauses.slice(0, 4).reduce((a, b) => a + b) < 40);
  t.true(pauses.every((ms) => ms <= 1001));
  t.true(Math.max(...pauses) > 700);
});

test('a server that accepts and says nothing is given up', (t) => {
  const s = new Script({ servers: three });
  s.accept();
  s.time.advance(999);
  t.is(s.attempts.length, 1);
  s.time.advance(30);
  t.is(s.attempts.length, 2);
});

test('an idle connection is pinged at a third of the timeout, and given up when the answer does not come', (t) => {
  const s = new Script();
  s.establish();
  s.time.advance(999);
  t.deepEqual(s.received(), []);
  s.time.advance(2);
  t.deepEqual(s.received().map((request) => request.op), [OpCode.ping]);
  s.reply(-2, 5);
  t.is(s.session.lastZxid, 5);
  s.time.advance(1001);
  t.deepEqual(s.received().map((request) => request.op), [OpCode.ping]);
  // Unanswered.
  s.time.advance(1990);
  t.is(s.session.state, 'connected');
  s.time.advance(20);
  t.is(s.session.state, 'suspended');
});

test('requests keep the session alive: no pings between them', (t) => {
  const s = new Script();
  s.establish();
  for (let i = 1; i <= 5; i++) {
    s.request(`/${i}`);
    t.deepEqual(s.received().map((request) => request.op), [OpCode.delete]);
    s.reply(i, i);
    s.time.advance(900);
  }
  t.deepEqual(s.received(), []);
});

test('the lease is counted from when an answered request was sent', (t) => {
  const s = new Script();
  t.is(s.session.leaseRemainingMs(), 0);
  s.accept();
  s.time.advance(100);
  s.welcome(1n);
  t.is(s.session.leaseRemainingMs(), 2900);
  s.time.advance(500);
  s.request('/1');
  s.received();
  s.time.advance(200);
  t.is(s.session.leaseRemainingMs(), 2200);
  s.reply(1, 1);
  t.is(s.session.leaseRemainingMs(), 2800);
  s.lose();
  s.time.advance(2799);
  t.false(s.signals.includes('lease-lost'));
  s.time.advance(2);
  t.deepEqual(s.signals, ['connected', 'suspended', 'lease-lost']);
  t.is(s.session.leaseRemainingMs(), 0);
  t.is(s.session.state, 'suspended');
  // The session may have been kept for longer than promised: a new leader gives everybody the whole timeout again.
  s.establish(1n);
  t.deepEqual(s.signals, ['connected', 'suspended', 'lease-lost', 'reconnected']);
  // It is said each time.
  s.lose();
  s.time.advance(3001);
  t.deepEqual(s.signals.slice(4), ['suspended', 'lease-lost']);
});

test('a process that was stopped reads what came meanwhile before it judges a server', (t) => {
  const s = new Script({ pingIntervalMs: 500, silenceTimeoutMs: 500 });
  s.establish();
  s.time.advance(501);
  t.is(s.received().length, 1);
  s.time.pause(1999);
  // The timer fires first, late; then the answer is read.
  s.time.timers.after(0, () => s.reply(-2, 1));
  s.time.advance(1);
  t.deepEqual(s.signals, ['connected']);
});

test('silence is noticed in time even where no ping is due yet', (t) => {
  const s = new Script({ silenceTimeoutMs: 200 });
  s.establish();
  s.time.advance(100);
  s.request('/1');
  s.received();
  s.time.advance(199);
  t.deepEqual(s.outcomes, []);
  s.time.advance(2);
  t.deepEqual(s.outcomes, ['/1 CONNECTIONLOSS 0']);
});

test('a process that was stopped for longer than its lease finds out at once', (t) => {
  const s = new Script();
  s.establish();
  s.time.pause(5000);
  s.time.advance(2);
  t.deepEqual(s.signals, ['connected', 'suspended', 'lease-lost']);
});

test('an expired session is over, and fails everything', (t) => {
  const s = new Script();
  s.establish(7n);
  s.request('/sent');
  s.lose();
  s.request('/waits');
  s.time.advance(0);
  s.accept();
  s.welcome(0n, 0);
  t.deepEqual(s.signals, ['connected', 'suspended', 'expired']);
  t.deepEqual(s.outcomes, ['/sent CONNECTIONLOSS 0', '/waits SESSIONEXPIRED 0']);
  s.request('/late');
  s.time.advance(10_000);
  t.deepEqual(s.outcomes.slice(2), ['/late SESSIONEXPIRED 0']);
  t.is(s.attempts.length, 2);
  t.is(s.time.armed, 0);
  t.true(s.closed);
});

test('renew: a new session follows the expired one, without its watches, but not behind what was seen', (t) => {
  const s = new Script({ renew: true });
  s.establish(7n);
  s.watch('/w', OpCode.getData, { kind: 'data', watcher: () => t.fail('a watch of the old session fired') });
  s.received();
  s.reply(1, 20, 0, { kind: 'data', data: null, stat });
  s.lose();
  s.request('/waits');
  s.time.advance(0);
  s.accept();
  s.welcome(0n, 0);
  t.deepEqual(s.signals, ['connected', 'suspended', 'expired', 'connecting']);
  t.deepEqual(s.outcomes.slice(1), ['/waits SESSIONEXPIRED 0']);
  s.time.advance(0);
  const hello = s.establish(8n);
  t.is(hello.sessionId, 0n);
  t.is(hello.lastZxidSeen, 20);
  t.is(s.session.sessionId, 8n);
  t.deepEqual(s.received(), []);
  s.event(EventType.NodeDataChanged, '/w', 21);
  t.deepEqual(s.events, []);
});

test('watches: the reply decides what is registered, the event takes it, and a reconnect sets it again before anything else', (t) => {
  const s = new Script();
  s.establish(7n);
  const none = (): void => undefined;
  s.watch('/data', OpCode.getData, { kind: 'data', watcher: none });
  s.watch('/failed', OpCode.getData, { kind: 'data', watcher: none });
  s.watch('/there', OpCode.exists, { kind: 'exists', watcher: none });
  s.watch('/absent', OpCode.exists, { kind: 'exists', watcher: none });
  s.watch('/list', OpCode.getChildren2, { kind: 'child', watcher: none });
  s.received();
  s.reply(1, 10, 0, { kind: 'data', data: null, stat });
  s.reply(2, 10, -101);
  s.reply(3, 10, 0, { kind: 'stat', stat });
  s.reply(4, 10, -101);
  s.reply(5, 10, 0, { kind: 'childrenStat', children: [], count: 0, stat });
  s.event(EventType.NodeDataChanged, '/there', 11);
  t.deepEqual(s.events, ['3 /there 11']);
  // A notification says nothing about what this session's reads have seen.
  t.is(s.session.lastZxid, 10);
  s.lose();
  s.request('/waits');
  s.time.advance(0);
  s.establish(7n);
  const [set, waits] = s.received();
  t.is(set?.op, OpCode.setWatches);
  t.is(set?.xid, -8);
  t.is(set?.relativeZxid, 10);
  t.deepEqual([set?.dataWatches, set?.existWatches, set?.childWatches], [['/data'], ['/absent'], ['/list']]);
  t.is(waits?.path, '/waits');
  // Catch-up events precede the reply and carry no zxid.
  s.event(EventType.NodeDeleted, '/data', -1);
  s.reply(-8, 12);
  s.reply(6, 12);
  t.deepEqual(s.events.slice(1), ['2 /data 0']);
  t.deepEqual(s.outcomes.slice(-1), ['/waits OK 12']);
});

test('setWatches is cut at 128 KB', (t) => {
  const s = new Script();
  s.establish(7n);
  const long = 'x'.repeat(1000);
  for (let i = 0; i < 100; i++) {
    s.watch(`/${long}${i}`, OpCode.exists, { kind: 'exists', watcher: () => undefined });
    s.received();
    s.reply(i + 1, 1, -101);
  }
  s.lose();
  s.time.advance(0);
  s.establish(7n);
  const requests = s.received();
  t.true(requests.length > 1);
  t.true(requests.every((request) => request.op === OpCode.setWatches && request.existWatches.reduce((sum, path) => sum + path.length + 4, 0) <= 128 * 1024));
  t.is(requests.flatMap((request) => request.existWatches).length, 100);
  for (let i = 0; i < requests.length; i++) s.reply(-8, 1);
  t.is(s.session.state, 'connected');
});

test('a reply out of order, or a frame that is none, ends the connection', (t) => {
  for (const misbehave of [(s: Script) => s.reply(2, 1), (s: Script) => s.garbage(), (s: Script) => s.reply(-8, 1)]) {
    const s = new Script();
    s.establish(7n);
    s.request('/1');
    s.request('/2');
    s.received();
    misbehave(s);
    t.true(s.closed);
    t.is(s.session.state, 'suspended');
    t.deepEqual(s.outcomes, ['/1 CONNECTIONLOSS 0', '/2 CONNECTIONLOSS 0']);
  }
});

test('what belongs to an old connection is dropped', (t) => {
  const s = new Script();
  s.establish(7n);
  const old = s.connection;
  s.lose();
  s.time.advance(0);
  s.establish(7n);
  s.handler?.lost(old, 'late news');
  s.handler?.frame(old, new Uint8Array([1]));
  s.handler?.opened(old);
  t.is(s.session.state, 'connected');
});

test('refused credentials are final', (t) => {
  const s = new Script();
  s.establish(7n);
  const added: (string | null)[] = [];
  s.session.addAuth('bad', new Uint8Array(1), (error) => added.push(error));
  s.request('/1');
  t.deepEqual(s.received().map((request) => [request.xid, request.op]), [[-4, OpCode.auth], [1, OpCode.delete]]);
  s.reply(-4, 0, -115);
  t.deepEqual(s.signals, ['connected', 'auth-failed']);
  t.deepEqual(added, ['AUTHFAILED']);
  t.deepEqual(s.outcomes, ['/1 AUTHFAILED 0']);
  t.is(s.time.armed, 0);
});

test('credentials are sent again on each connection, before the watches', (t) => {
  const s = new Script();
  s.establish(7n);
  let added = 0;
  s.session.addAuth('digest', new Uint8Array(1), () => added++);
  s.watch('/w', OpCode.exists, { kind: 'exists', watcher: () => undefined });
  s.received();
  s.reply(-4, 0);
  s.reply(1, 1, -101);
  s.lose();
  s.time.advance(0);
  s.establish(7n);
  t.deepEqual(s.received().map((request) => request.op), [OpCode.auth, OpCode.setWatches]);
  s.reply(-4, 0);
  s.reply(-8, 1);
  t.is(added, 1);
  t.is(s.session.state, 'connected');
});

test('close: everything before it is answered, and the session ended', (t) => {
  const s = new Script();
  s.establish(7n);
  s.request('/1');
  let done = false;
  s.session.close(() => (done = true));
  s.request('/after');
  t.deepEqual(s.received().map((request) => request.op), [OpCode.delete, OpCode.closeSession]);
  s.reply(1, 5);
  s.reply(2, 6);
  t.true(done);
  t.deepEqual(s.signals, ['connected', 'closed']);
  t.deepEqual([...s.outcomes].sort(), ['/1 OK 5', '/after CLOSED 0']);
  t.is(s.time.armed, 0);
});

test('close whose answer is lost is repeated on the next server, and not for ever', (t) => {
  const s = new Script({ servers: three });
  s.establish(7n);
  let done = 0;
  s.session.close(() => done++);
  t.is(s.received().length, 1);
  s.lose();
  s.time.advance(0);
  s.establish(7n);
  t.deepEqual(s.received().map((request) => request.op), [OpCode.closeSession]);
  s.lose();
  s.time.advance(0);
  t.is(done, 0);
  s.time.advance(2001);
  t.is(done, 1);
  t.is(s.session.state, 'closed');
  t.is(s.time.armed, 0);
});

test('close of a session that expired meanwhile is a close', (t) => {
  const s = new Script();
  s.establish(7n);
  s.lose();
  let done = false;
  s.session.close(() => (done = true));
  s.time.advance(0);
  s.accept();
  s.welcome(0n, 0);
  t.true(done);
  t.deepEqual(s.signals, ['connected', 'suspended', 'closed']);
});

test('a session of a read-only server is not offered to one with a quorum', (t) => {
  const s = new Script({ servers: three, readOnly: true });
  s.accept();
  s.welcome(7n, 3000, true);
  t.true(s.session.readOnly);
  s.lose();
  s.time.advance(0);
  t.is(s.accept().sessionId, 0n);
  s.welcome(8n);
  t.false(s.session.readOnly);
  t.deepEqual(s.signals, ['connected', 'suspended', 'connected']);
});

test('a read-only server is left, when nothing is asked of it, for one with a quorum', (t) => {
  const s = new Script({ servers: three, readOnly: true });
  s.accept();
  s.welcome(7n, 3000, true);
  s.request('/1');
  s.received();
  s.time.advance(1500);
  t.is(s.session.state, 'connected');
  s.reply(1, 1);
  s.time.advance(1);
  t.is(s.session.state, 'suspended');
  s.accept();
  s.welcome(8n, 3000, true);
  // The next one is given twice as long.
  s.time.advance(1001);
  t.is(s.received()[0]?.op, OpCode.ping);
  s.reply(-2, 1);
  s.time.advance(990);
  t.is(s.session.state, 'connected');
  s.time.advance(20);
  t.is(s.session.state, 'suspended');
  s.establish(9n);
  for (let i = 0; i < 100; i++) {
    s.time.advance(1000);
    for (const { op } of s.received()) if (op === OpCode.ping) s.reply(-2, 1);
  }
  t.is(s.session.state, 'connected');
  t.is(s.attempts.length, 3);
});

const added: Result = { kind: 'error', err: 0 };

test('a persistent watch is not removed from the server while another one of the kind is on its way there', (t) => {
  const s = new Script();
  s.establish();
  const seen: string[] = [];
  const one: Watcher = () => seen.push('one');
  s.watch('/p', OpCode.addWatch, { kind: 'persistent', watcher: one });
  s.received();
  s.reply(1, 10, 0, added);
  s.watch('/p', OpCode.addWatch, { kind: 'persistent', watcher: () => seen.push('two') });
  let removed = 0;
  s.session.removeWatch('persistent', '/p', one, () => removed++);
  s.time.endTurn();
  t.is(removed, 1);
  t.deepEqual(s.received().map(({ op }) => op), [OpCode.addWatch]);
  s.reply(2, 10, 0, added);
  s.event(EventType.NodeDataChanged, '/p', 11);
  t.deepEqual(seen, ['two']);
});

test('the last persistent watch of its kind is removed from the server', (t) => {
  const s = new Script();
  s.establish();
  const watcher: Watcher = () => {};
  s.watch('/p', OpCode.addWatch, { kind: 'persistent-recursive', watcher });
  s.received();
  s.reply(1, 10, 0, added);
  let removed = 0;
  s.session.removeWatch('persistent-recursive', '/p', watcher, () => removed++);
  s.time.endTurn();
  t.deepEqual(s.received().map(({ op, flags }) => [op, flags]), [[OpCode.removeWatches, 5]]);
  t.is(removed, 0);
  s.reply(2, 10);
  t.is(removed, 1);
});
