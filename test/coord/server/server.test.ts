import test from 'ava';
import { makeZxid } from '../../../coord/base/zxid.ts';
import { Kind, readRequestFrame, readRevalidateFrame, readTouchFrame, revalidatedFrame, syncFrame, touchFrame } from '../../../coord/server/forwarding.ts';
import { Server } from '../../../coord/server/server.ts';
import { DataTree } from '../../../coord/tree/data-tree.ts';
import { TxnGroupEncoder } from '../../../coord/tree/txn-codec.ts';
import type { Txn } from '../../../coord/tree/txn.ts';
import { OpCode } from '../../../coord/wire/codes.ts';
import { encodeRequestBody } from '../../../coord/wire/requests.ts';
import { ClientRequest, type ClientSink, type ConnectRequest } from '../../../coord/wire/types.ts';
import { ScriptedPeer } from './scripted-peer.ts';

const PASSWORD = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const ORIGIN = 7;

class Client implements ClientSink {
  readonly said: string[] = [];
  connected(timeoutMs: number, sessionId: bigint, password: Uint8Array): void {
    this.said.push(`connected ${timeoutMs} ${sessionId} ${Buffer.from(password).toString('hex')}`);
  }
  reply(xid: number, _op: number, zxid: number, err: number): void {
    this.said.push(`reply ${xid} ${zxid.toString(16)} ${err}`);
  }
  event(type: number, _state: number, path: string): void {
    this.said.push(`event ${type} ${path}`);
  }
  close(): void {
    this.said.push('close');
  }
  resume(): void {
    this.said.push('resume');
  }
  flush(): void {}
  take(): string[] {
    return this.said.splice(0);
  }
}

function follower(): { server: Server; peer: ScriptedPeer; client: Client; connect: (request?: Partial<ConnectRequest>) => number; deliver: (counter: number, txn: Txn, requestNo?: number, sessionId?: bigint) => void } {
  const peer = new ScriptedPeer();
  const server = new Server(
    { sid: 2, standalone: false, voters: 3, tickMs: 2000, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000, juteMaxBuffer: 0xfffff, digest: (text) => text, superDigest: null, configData: '' },
    peer, new DataTree(), { nowMs: 0, wallMs: 1_700_000_000_000 },
  );
  peer.queue({ type: 'serving', serving: 'follower', epoch: 1, originId: ORIGIN });
  server.drain();
  const client = new Client();
  return {
    server, peer, client,
    connect: (request = {}) => server.connect(client, { protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 10_000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true, ...request }, PASSWORD, { address: '127.0.0.1', port: 1, local: true }),
    deliver: (counter, txn, requestNo = 0, sessionId = 1n) => {
      const zxid = makeZxid(1, counter);
      const encoder = new TxnGroupEncoder();
      encoder.begin(zxid);
      encoder.add({ zxid, timeMs: 1, sessionId, originId: requestNo === 0 ? 0 : ORIGIN, requestNo }, txn);
      peer.queue({ type: 'deliver', group: { firstZxid: zxid, lastZxid: zxid, bytes: encoder.finish() } });
      server.drain();
    },
  };
}

function request(op: OpCode, xid: number, path = '/'): ClientRequest {
  const made = Object.assign(new ClientRequest(), { op, xid, path, data: Buffer.from('x'), acl: [{ perms: 31, scheme: 'world', id: 'anyone' }] });
  made.body = encodeRequestBody(made);
  return made;
}

/** A session of its own, connected. */
function connected(): ReturnType<typeof follower> & { handle: number; sessionId: bigint } {
  const all = follower();
  const handle = all.connect();
  all.server.drain();
  all.deliver(1, { type: 'createSession', sessionId: 1n, timeoutMs: 10_000, password: PASSWORD }, 1);
  all.client.take();
  all.peer.sent();
  return { ...all, handle, sessionId: all.server.connections.get(handle)?.sessionId ?? 0n };
}

test('a session that this server does not know yet keeps its password when it moves here', (t) => {
  const { server, peer, client, connect } = follower();
  connect({ sessionId: 99n, password: PASSWORD });
  server.drain();
  const [frame] = peer.sent();
  const { requestNo, sessionId } = readRevalidateFrame(Buffer.from(frame as Uint8Array));
  t.is(sessionId, 99n);
  peer.queue({ type: 'pipeline', channel: null, sid: 3, originId: 0, body: revalidatedFrame(requestNo, 10_000) });
  server.drain();
  t.deepEqual(client.take(), [`connected 10000 99 ${Buffer.from(PASSWORD).toString('hex')}`]);
});

test('a refused session is told so, and the connection ends', (t) => {
  const { server, peer, client, connect } = follower();
  connect({ sessionId: 99n, password: PASSWORD });
  server.drain();
  const { requestNo } = readRevalidateFrame(Buffer.from(peer.sent()[0] as Uint8Array));
  peer.queue({ type: 'pipeline', channel: null, sid: 3, originId: 0, body: revalidatedFrame(requestNo, 0) });
  server.drain();
  t.deepEqual(client.take(), [`connected 0 0 ${'00'.repeat(16)}`, 'close']);
});

test('a client that has seen more than this server is sent away without an answer', (t) => {
  const { client, connect } = follower();
  connect({ lastZxidSeen: makeZxid(1, 5) });
  t.deepEqual(client.take(), ['close']);
});

test('a read waits for the earlier writes of its connection, and replies keep the order', (t) => {
  const { server, peer, client, handle, deliver } = connected();
  server.request(handle, request(OpCode.create, 10, '/a'));
  server.request(handle, request(OpCode.exists, 11, '/a'));
  server.request(handle, request(OpCode.create, 12, '/b'));
  server.drain();
  const sent: number[] = [];
  readRequestFrame(Buffer.from(peer.sent()[0] as Uint8Array), (requestNo) => sent.push(requestNo));
  t.is(sent.length, 2, 'both writes are on their way, in one frame');
  t.deepEqual(client.take(), []);
  const create = (path: string, parentCVersion: number): Txn => ({ type: 'create', path, data: null, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], kind: 'persistent', ttlMs: 0, parentCVersion, withStat: false });
  deliver(2, create('/a', 1), sent[0]);
  t.deepEqual(client.take(), ['reply 10 100000002 0', 'reply 11 100000002 0']);
  deliver(3, create('/b', 2), sent[1]);
  t.deepEqual(client.take(), ['reply 12 100000003 0']);
});

test('what comes behind a SYNC waits for it, writes too', (t) => {
  const { server, peer, client, handle } = connected();
  server.request(handle, request(OpCode.sync, 10, '/'));
  server.request(handle, request(OpCode.create, 11, '/a'));
  server.request(handle, request(OpCode.exists, 12, '/zookeeper'));
  server.drain();
  const [sync, ...others] = peer.sent();
  t.is((sync as Uint8Array)[0], Kind.SYNC);
  t.deepEqual(others, [], 'the write behind it has not left');
  const requestNo = Buffer.from(sync as Uint8Array).readUInt32BE(1);
  peer.queue({ type: 'pipeline', channel: null, sid: 3, originId: 0, body: syncFrame(Kind.SYNCED, requestNo) });
  server.drain();
  t.deepEqual(client.take(), ['reply 10 100000001 0']);
  t.is(peer.sent().length, 1, 'now it has');
});

test('what an old connection still holds is not sent when its session comes back through another one', (t) => {
  for (const accepted of [true, false]) {
    const { server, peer, client, handle, sessionId, connect } = connected();
    server.request(handle, request(OpCode.sync, 10, '/'));
    server.request(handle, request(OpCode.create, 11, '/a'));
    server.drain();
    const sync = Buffer.from(peer.sent()[0] as Uint8Array).readUInt32BE(1);
    // Its client has been elsewhere meanwhile, has written there, and is back.
    const again = connect({ sessionId, password: PASSWORD });
    server.drain();
    const { requestNo } = readRevalidateFrame(Buffer.from(peer.sent()[0] as Uint8Array));
    peer.queue({ type: 'pipeline', channel: null, sid: 3, originId: 0, body: syncFrame(Kind.SYNCED, sync) });
    server.drain();
    t.deepEqual(client.take(), ['reply 10 100000001 0']);
    t.deepEqual(peer.sent(), [], 'the write behind the SYNC is older than what was written elsewhere');
    if (!accepted) server.disconnected(again);
    peer.queue({ type: 'pipeline', channel: null, sid: 3, originId: 0, body: revalidatedFrame(requestNo, 10_000) });
    server.drain();
    t.deepEqual(client.take(), accepted ? ['close', `connected 10000 ${sessionId} ${Buffer.from(PASSWORD).toString('hex')}`] : ['close'], 'the old connection is over, also if the new one is gone by now');
    t.deepEqual(peer.sent(), []);
  }
});

test('a wrong password does not hold up the connection that has the session', (t) => {
  const { server, peer, client, handle, sessionId, connect } = connected();
  connect({ sessionId, password: new Uint8Array(16) });
  server.request(handle, request(OpCode.create, 11, '/a'));
  server.drain();
  const [frame, ...others] = peer.sent();
  const { requestNo } = readRevalidateFrame(Buffer.from(frame as Uint8Array));
  t.deepEqual(others, []);
  peer.queue({ type: 'pipeline', channel: null, sid: 3, originId: 0, body: revalidatedFrame(requestNo, 0) });
  server.drain();
  t.deepEqual(client.take(), [`connected 0 0 ${'00'.repeat(16)}`, 'close']);
  t.is(peer.sent().length, 1, 'the write has left');
});

test('a write leaves before the REVALIDATE that came behind it', (t) => {
  const { server, peer, handle, sessionId, connect } = connected();
  server.request(handle, request(OpCode.create, 11, '/a'));
  connect({ sessionId, password: PASSWORD });
  server.drain();
  t.deepEqual(peer.sent().map((frame) => frame[0]), [Kind.REQUEST, Kind.REVALIDATE]);
});

test('a watch event leaves before the reply that could show its change', (t) => {
  const { server, peer, client, handle, deliver } = connected();
  const exists = request(OpCode.exists, 10, '/a');
  exists.watch = true;
  server.request(handle, exists);
  server.request(handle, request(OpCode.create, 11, '/a'));
  server.drain();
  const sent: number[] = [];
  readRequestFrame(Buffer.from(peer.sent().at(-1) as Uint8Array), (requestNo) => sent.push(requestNo));
  deliver(2, { type: 'create', path: '/a', data: null, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], kind: 'persistent', ttlMs: 0, parentCVersion: 1, withStat: false }, sent[0]);
  t.deepEqual(client.take(), ['reply 10 100000001 -101', 'event 1 /a', 'reply 11 100000002 0']);
});

test('a malformed message of a peer costs that peer its channel, and nothing else', (t) => {
  const { server, peer } = follower();
  for (const body of [new Uint8Array(0), Uint8Array.of(99), Uint8Array.of(Kind.REVALIDATED, 1), Uint8Array.of(Kind.SYNCED)]) {
    peer.queue({ type: 'pipeline', channel: 5, sid: 3, originId: 0, body });
    const { actions } = server.drain();
    t.true(actions.some((action) => action.type === 'closeChannel' && action.channel === 5));
  }
});

test('a face that was stopped because the whole server is behind is resumed, though its own connection waits for nothing', (t) => {
  const { server, peer, client, handle, deliver } = connected();
  const other = new Client();
  const idle = server.connect(other, { protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 10_000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true }, PASSWORD, { address: '127.0.0.1', port: 2, local: true });
  server.drain();
  deliver(2, { type: 'createSession', sessionId: 2n, timeoutMs: 10_000, password: PASSWORD }, 2, 2n);
  other.take();
  const big = request(OpCode.setData, 1, '/zookeeper/quota');
  big.body = new Uint8Array(1 << 20);
  const sent: number[] = [];
  for (let i = 0; i < 70; i++) {
    server.request(handle, big);
    server.drain();
    readRequestFrame(Buffer.from(peer.sent().at(-1) as Uint8Array), (requestNo) => sent.push(requestNo));
  }
  t.false(server.writable(idle));
  t.false(server.writable(handle));
  for (const [i, requestNo] of sent.entries()) deliver(3 + i, { type: 'error', err: -101 }, requestNo);
  t.deepEqual(other.take(), ['resume']);
  t.true(client.take().includes('resume'));
  t.true(server.writable(idle));
});

test('the leader hears of a session whose connection ended right after its ping was answered', (t) => {
  const { server, peer, client, handle, sessionId } = connected();
  // The first is told at once, the next ones every half tick.
  server.request(handle, request(OpCode.ping, -2));
  server.drain();
  peer.sent();
  server.time(100, 0);
  server.request(handle, request(OpCode.ping, -2));
  server.drain();
  t.is(client.take().length, 2);
  server.disconnected(handle);
  const deadlineMs = server.drain().deadlineMs;
  t.deepEqual(peer.sent(), []);
  server.time(deadlineMs, 0);
  server.drain();
  const touched: bigint[] = [];
  for (const frame of peer.sent()) readTouchFrame(Buffer.from(frame as Uint8Array), (id) => touched.push(id));
  t.deepEqual(touched, [sessionId]);
});

test('a session is not expired while a request that a server has answered may not have been heard of yet', (t) => {
  const peer = new ScriptedPeer();
  const tickMs = 2000;
  const detectMs = 1000;
  const server = new Server(
    { sid: 2, standalone: false, voters: 3, tickMs, detectMs, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000, juteMaxBuffer: 0xfffff, digest: (text) => text, superDigest: null, configData: '' },
    peer, new DataTree(), { nowMs: 0, wallMs: 1_700_000_000_000 },
  );
  const password = Buffer.alloc(16);
  server.tree.apply({ zxid: makeZxid(1, 1), timeMs: 0, sessionId: 0n, originId: 0, requestNo: 0 }, { type: 'createSession', sessionId: 5n, timeoutMs: 4000, password });
  peer.queue({ type: 'serving', serving: 'leader', epoch: 1, originId: 0 });
  server.drain();
  const proposes = (): boolean => peer.events.some(({ type }) => type === 'propose');
  // A follower may have answered up to a tell and a detection after the last that the leader heard of it; then buckets of a tick.
  let expiredMs = 0;
  for (let nowMs = 0; nowMs <= 12_000 && expiredMs === 0; nowMs += 50) {
    server.time(nowMs, 0);
    server.drain();
    if (proposes()) expiredMs = nowMs;
  }
  t.true(expiredMs >= 4000 + 250 + detectMs, `at ${expiredMs} ms`);
  t.true(expiredMs <= 4000 + 2 * tickMs, `at ${expiredMs} ms`);
});

test('the lease of a client that a lost server may have answered until then is not over before the session', (t) => {
  const expiredMs = (lost: readonly { readonly atMs: number; readonly originId: number }[]): number => {
    const peer = new ScriptedPeer();
    const server = new Server(
      { sid: 2, standalone: false, voters: 3, tickMs: 2000, detectMs: 1000, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000, juteMaxBuffer: 0xfffff, digest: (text) => text, superDigest: null, configData: '' },
      peer, new DataTree(), { nowMs: 0, wallMs: 1_700_000_000_000 },
    );
    server.tree.apply({ zxid: makeZxid(1, 1), timeMs: 0, sessionId: 0n, originId: 0, requestNo: 0 }, { type: 'createSession', sessionId: 5n, timeoutMs: 4000, password: Buffer.alloc(16) });
    peer.queue({ type: 'serving', serving: 'leader', epoch: 1, originId: 0 });
    peer.queue({ type: 'pipeline', channel: 7, sid: 3, originId: 9, body: touchFrame([5n]) });
    server.drain();
    for (let nowMs = 0; nowMs <= 30_000; nowMs += 50) {
      for (const { atMs, originId } of lost) if (atMs === nowMs) peer.queue({ type: 'learnerDown', channel: 7, sid: 3, originId });
      server.time(nowMs, 0);
      server.drain();
      if (peer.events.some(({ type }) => type === 'propose')) return nowMs;
    }
    return Infinity;
  };
  const calmMs = expiredMs([]);
  // It had been silent for long, was answered just before its server was lost, and nobody could tell.
  t.true(expiredMs([{ atMs: 4500, originId: 9 }]) >= 4500 + 4000);
  t.is(expiredMs([{ atMs: 4500, originId: 8 }]), calmMs, 'it was not connected there');
  // A server that comes and goes and says nothing of it does not keep it.
  t.is(expiredMs([4500, 7000, 9500, 12_000].map((atMs) => ({ atMs, originId: 9 }))), expiredMs([{ atMs: 4500, originId: 9 }]));
});

test('who comes back after a silence of its whole timeout is not answered: the leader may be ending the session', (t) => {
  const { server, client, handle } = connected();
  const asksAt = (nowMs: number): string[] => {
    server.time(nowMs, 0);
    server.request(handle, request(OpCode.getData, 1));
    server.drain();
    return client.take();
  };
  t.regex(asksAt(9999).join(), /^reply 1 /);
  t.regex(asksAt(19_998).join(), /^reply 1 /);
  t.deepEqual(asksAt(29_998), ['close']);
});
