import { once } from 'node:events';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { ClientListenerOptions } from '../../../coord/adapters/client-listener.ts';
import { Code, OpCode } from '../../../coord/wire/codes.ts';
import { fourLetterWord } from '../../tools/zookeeper.ts';
import { encoded, handshake, RawClient, request, startOneServer, type OneServer } from './one-server.ts';

const world = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const create = (xid: number, path: string, data: Uint8Array | null = null) => request(OpCode.create, { xid, path, data, acl: world });
const getData = (xid: number, path: string, watch = false) => request(OpCode.getData, { xid, path, watch });

async function server(t: ExecutionContext, options: Partial<ClientListenerOptions> = {}): Promise<OneServer> {
  const one = await startOneServer(options);
  t.teardown(() => one.stop());
  return one;
}
function client(t: ExecutionContext, { port }: OneServer): RawClient {
  const raw = new RawClient(port);
  t.teardown(() => raw.socket.destroy());
  return raw;
}

test('handshake, requests and replies, even when they come byte by byte in one stream', async (t) => {
  const raw = client(t, await server(t));
  for (const byte of Buffer.concat([handshake(), encoded(create(1, '/a', Buffer.from('x')), getData(2, '/a'), request(OpCode.ping, { xid: -2 }))])) raw.socket.write(Buffer.of(byte));
  const connected = await raw.frame();
  t.is(connected.length, 37);
  t.is(connected.readInt32BE(4), 30_000);
  const replies = [await raw.frame(), await raw.frame(), await raw.frame()];
  // Pings need no turn among the others.
  t.deepEqual(replies.map((reply) => reply.readInt32BE(0)).filter((xid) => xid > 0), [1, 2]);
  t.deepEqual(replies.map((reply) => reply.readInt32BE(0)).toSorted(), [-2, 1, 2]);
  t.deepEqual(replies.map((reply) => reply.readInt32BE(12)), [0, 0, 0]);
  t.is(replies.find((reply) => reply.readInt32BE(0) === 2)!.subarray(16, 21).toString('hex'), '0000000178');
});

test('four-letter words, in one piece or several, and the connection is closed after them', async (t) => {
  const one = await server(t);
  t.is(await fourLetterWord(one.port, 'ruok'), 'imok');
  t.regex(await fourLetterWord(one.port, 'srvr'), /^Zookeeper version: 3\.9\..*\n[^]*Mode: standalone\nNode count: \d+\n/);
  t.is(await fourLetterWord(one.port, 'isro'), 'rw');
  const slow = client(t, one);
  let answer = '';
  slow.socket.on('data', (data) => (answer += data.toString()));
  for (const letter of 'ruok') slow.socket.write(letter);
  await slow.untilClosed();
  t.is(answer, 'imok');
});

test('lengths out of range close the connection with no reply, before and after the handshake', async (t) => {
  const one = await server(t, { juteMaxBuffer: 4096 });
  const lengths = [-1, 4097, 0x7fffffff, -0x80000000];
  for (const length of lengths) {
    for (const open of [false, true]) {
      const raw = client(t, one);
      if (open) await raw.open();
      const head = Buffer.alloc(4);
      head.writeInt32BE(length);
      raw.socket.write(head);
      await raw.untilClosed();
      t.deepEqual(raw.frames, []);
    }
  }
  // Nobody else noticed.
  t.is(await fourLetterWord(one.port, 'ruok'), 'imok');
});

test('a frame without a header and a handshake that is none close the connection', async (t) => {
  const one = await server(t);
  const short = client(t, one);
  await short.open();
  short.socket.write(Buffer.from('00000003000000', 'hex'));
  await short.untilClosed();
  const none = client(t, one);
  none.socket.write(Buffer.from('0000000400000000', 'hex'));
  await none.untilClosed();
  t.deepEqual([...short.frames, ...none.frames], []);
});

test('a malformed body is answered, an unknown opcode too and then closed; the reply arrives though more was sent', async (t) => {
  const one = await server(t);
  const raw = client(t, one);
  await raw.open();
  raw.socket.write(Buffer.from('0000000c 00000005 00000004 7fffffff'.replaceAll(' ', ''), 'hex'));
  t.is((await raw.frame()).readInt32BE(12), Code.MARSHALLINGERROR);
  raw.socket.write(Buffer.concat([Buffer.from('00000008 00000006 00000bad'.replaceAll(' ', ''), 'hex'), ...Array.from({ length: 200 }, (_, i) => encoded(getData(i, '/')))]));
  const refused = await raw.frame();
  t.is(refused.readInt32BE(12), Code.UNIMPLEMENTED);
  t.is(refused.readBigInt64BE(4), -1n);
  await raw.untilClosed();
  t.deepEqual(raw.frames, []);
});

test('a connection without a handshake is closed after a while', async (t) => {
  const one = await server(t, { handshakeTimeoutMs: 50 });
  const silent = client(t, one);
  const begun = client(t, one);
  begun.socket.write(handshake().subarray(0, 20));
  await Promise.all([silent.untilClosed(), begun.untilClosed()]);
  // The server hears of the end of its own sockets in a later turn.
  while (one.clients.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve));
  t.is(one.clients.connectionCount, 0);
});

test('a session that says nothing for its timeout loses its connection', async (t) => {
  const raw = client(t, await server(t));
  await raw.open(100);
  await raw.untilClosed();
  t.pass();
});

test('connections from one address are limited', async (t) => {
  const one = await server(t, { maxClientCnxns: 2 });
  const first = client(t, one);
  const second = client(t, one);
  await first.open();
  await second.open();
  const third = client(t, one);
  await third.untilClosed();
  first.socket.destroy();
  // A place is free again as soon as the server has seen the first one go.
  for (;;) {
    const again = client(t, one);
    const closed = await Promise.race([again.open().then(() => false, () => true), again.untilClosed().then(() => true)]);
    if (!closed) break;
  }
  t.pass();
});

test('a reader that does not read is not read from, and is served in full when it reads again', async (t) => {
  const one = await server(t, { outputHighBytes: 256 << 10 });
  const raw = client(t, one);
  await raw.open();
  const big = Buffer.alloc(500_000, 7);
  raw.send(create(1, '/big', big));
  await raw.frame();
  raw.socket.pause();
  const count = 200;
  raw.send(...Array.from({ length: count }, (_, i) => getData(i + 2, '/big')));
  // Other clients are served meanwhile, and the server does not hold 100 MB for this one.
  const other = client(t, one);
  await other.open();
  for (let i = 0; i < 50; i++) {
    other.send(getData(i, '/'));
    await other.frame();
  }
  const before = process.memoryUsage().arrayBuffers;
  t.true(before < 60 << 20, `${before} bytes of buffers`);
  raw.socket.resume();
  await raw.until(() => raw.frames.length === count);
  t.deepEqual(raw.frames.map((frame) => frame.readInt32BE(0)), Array.from({ length: count }, (_, i) => i + 2));
  t.true(raw.frames.every((frame) => frame.length === 16 + 4 + big.length + 68));
});

test('closeSession: the reply, then the end', async (t) => {
  const raw = client(t, await server(t));
  await raw.open();
  raw.send(request(OpCode.closeSession, { xid: 9 }));
  t.is((await raw.frame()).readInt32BE(0), 9);
  await raw.untilClosed();
});

test('thousands of requests in flight on one connection are answered in order', async (t) => {
  const raw = client(t, await server(t));
  await raw.open();
  raw.send(create(0, '/n'));
  await raw.frame();
  const count = 12_000;
  raw.send(...Array.from({ length: count }, (_, i) => (i % 3 === 0 ? request(OpCode.setData, { xid: i, path: '/n', data: null }) : getData(i, '/n'))));
  await raw.until(() => raw.frames.length === count);
  t.deepEqual(raw.frames.map((frame) => frame.readInt32BE(0)), Array.from({ length: count }, (_, i) => i));
  t.true(raw.frames.every((frame) => frame.readInt32BE(12) === 0));
});

test('stop sends what was written and closes everything', async (t) => {
  const one = await startOneServer();
  const raw = new RawClient(one.port);
  await raw.open();
  const idle = connect(one.port, '127.0.0.1');
  await once(idle, 'connect');
  idle.resume();
  const ended = once(idle, 'close');
  await one.stop();
  await raw.untilClosed();
  await ended;
  t.pass();
});

test('a port that is taken is said so', async (t) => {
  const one = await server(t);
  const error = await t.throwsAsync(startOneServer({ port: one.port }));
  t.regex(error!.message, /cannot listen on 127\.0\.0\.1:\d+ for clients: .*EADDRINUSE/);
});
