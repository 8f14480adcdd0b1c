/**
 * Bad input on every port of every server of an ensemble. A healthy session reads and writes all the while and meets no error; no process dies,
 * none keeps the memory.
 */
import test from 'ava';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { NATIVE_PATH } from '../../coord/adapters/native-listener.ts';
import { PEER_PROTOCOL_VERSION as VERSION } from '../../coord/adapters/peer-transport.ts';
import { connect, type CoordClient } from '../../coord/client/index.ts';
import { sealFrame } from '../../coord/runtime/peer-frame.ts';
import { OpCode } from '../../coord/wire/codes.ts';
import { fourLetterWord } from '../tools/zookeeper.ts';
import { encodeMsgpack } from '../../coord/wire/msgpack.ts';
import { encodeNativeConnect } from '../../coord/wire/native.ts';
import { encoded, handshake, RawClient, request } from '../coord/adapters/one-server.ts';
import { startEnsemble, type Ensemble, type EnsembleServer } from '../tools/ensemble.ts';

let ensemble: Ensemble;
let healthy: CoordClient;
let healthyRounds = 0;
let longestMs = 0;
let stopped = false;
let loop: Promise<void>;
const failures: string[] = [];
const open = new Set<Socket>();

test.before(async () => {
  ensemble = await startEnsemble({ verbose: true, config: { maxClientCnxns: 300 } });
  healthy = await connect(ensemble.connectString);
  await healthy.create('/healthy', '0');
  healthy.onState((signal) => failures.push(signal));
  loop = (async () => {
    while (!stopped) {
      const began = performance.now();
      // A lost connection leaves it open whether the write took place: only one that was acknowledged must be read.
      try {
        await healthy.setData('/healthy', String(++healthyRounds));
        const { data } = await healthy.getData('/healthy');
        const read = Buffer.from(data ?? []).toString();
        if (read !== String(healthyRounds)) failures.push(`read ${read} after ${healthyRounds}`);
      } catch (error) {
        failures.push(String(error));
      }
      longestMs = Math.max(longestMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
});
test.after.always(async () => {
  stopped = true;
  for (const socket of open) socket.destroy();
  await healthy?.close();
  await loop;
  await ensemble?.stop();
});

const ended = (socket: { on(event: 'close', fn: () => void): unknown }): Promise<void> => new Promise((resolve) => socket.on('close', () => resolve()));
const peerPort = (server: EnsembleServer): number => {
  const sid = ensemble.servers.indexOf(server) + 1;
  return Number(new RegExp(`^server\\.${sid}=127\\.0\\.0\\.1:(\\d+)`, 'm').exec(readFileSync(`${server.home}/zoo.cfg`, 'utf8'))?.[1]);
};
const rssMb = (server: EnsembleServer): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024;

/** Sent on a new connection, which the server ends or not; it is gone when this resolves. */
async function throwAt(port: number, ...chunks: readonly Uint8Array[]): Promise<void> {
  const socket = dial(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  for (const chunk of chunks) socket.write(chunk);
  socket.end();
  await ended(socket);
}

/** What was thrown at the servers left no mark: the loop goes on in the same session, and all three serve. */
async function unharmed(): Promise<void> {
  const until = healthyRounds + 20;
  while (healthyRounds < until && failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  if (failures.length > 0) throw new Error(failures.join('\n'));
  for (const server of ensemble.servers) await server.serving();
}

function int32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeInt32BE(value, 4 * i);
  return bytes;
}
const framed = (body: Uint8Array): Buffer => Buffer.concat([int32(body.length), body]);

test.serial('client port: garbage instead of a handshake, and after one', async (t) => {
  const world = [{ perms: 31, scheme: 'world', id: 'anyone' }];
  const whole = encoded(request(OpCode.create, { xid: 1, path: '/x', data: Buffer.from('d'), acl: world }));
  const bad: Buffer[] = [
    randomBytes(1000), int32(-1), int32(0x7fffffff), int32(0x100000), int32(-2147483648), int32(0), int32(3, 1), framed(randomBytes(44)), whole.subarray(0, 20),
    framed(int32(1, 99999, 0)), framed(int32(1, -1, 0)), framed(int32(1, OpCode.multi)), framed(int32(1, OpCode.getData, 0x7fffffff)), framed(int32(1, OpCode.getData, -5)),
    // counts: ACLs, watches, ops
    framed(Buffer.concat([int32(1, OpCode.create, 2), Buffer.from('/x'), int32(0, 0x7fffffff)])), framed(int32(-8, OpCode.setWatches, 0, 0, 0x7fffffff)), framed(int32(1, OpCode.setWatches2, 0, 0, 0x10000000, -1)),
    ...Array.from({ length: 40 }, () => framed(Buffer.concat([int32(1, Math.floor(Math.random() * 110) - 11), randomBytes(Math.floor(Math.random() * 200))]))),
  ];
  for (const server of ensemble.servers) {
    await Promise.all(bad.map((bytes) => throwAt(server.clientPort, bytes)));
    await Promise.all(bad.map((bytes) => throwAt(server.clientPort, Buffer.concat([handshake(), bytes]))));
  }
  await unharmed();
  t.pass();
});

test.serial('HTTP port: garbage, half requests, upgrades with bad messages', async (t) => {
  const bad: Uint8Array[] = [
    Buffer.alloc(0), randomBytes(300), encodeMsgpack([]), encodeMsgpack(7), encodeMsgpack([1, 99999]), encodeMsgpack([1, OpCode.create, '/x', null, 'no acl']), encodeMsgpack([1, OpCode.multi, [[1], [2, 3]]]),
    Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]), Buffer.from([0xc6, 0xff, 0xff, 0xff, 0xff, 1]), Buffer.alloc(100_000, 0x91),
    ...Array.from({ length: 30 }, () => randomBytes(1 + Math.floor(Math.random() * 100))),
  ];
  const hello = encodeNativeConnect({ protocolVersion: 1, lastZxidSeen: 0, timeoutMs: 4000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true });
  for (const server of ensemble.servers) {
    for (const path of ['/', '/native', '/metrics', '/%00', `/${'x'.repeat(100_000)}`]) await throwAt(server.httpPort, Buffer.from(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`));
    await throwAt(server.httpPort, randomBytes(5000), randomBytes(5000));
    await throwAt(server.httpPort, Buffer.from('POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n'), randomBytes(100));
    for (const withHello of [false, true]) {
      await Promise.all(bad.map(async (bytes) => {
        const ws = new WebSocket(`ws://127.0.0.1:${server.httpPort}${NATIVE_PATH}`);
        ws.on('error', () => undefined);
        ws.on('open', () => {
          if (withHello) ws.send(hello);
          ws.send(bytes);
          ws.close();
        });
        await ended(ws);
      }));
    }
  }
  await unharmed();
  t.pass();
});

test.serial('peer port: strangers, wrong and doubled names, messages that are none', async (t) => {
  const leader = (await ensemble.leader()) as EnsembleServer;
  for (const server of ensemble.servers) {
    const [port, sid] = [peerPort(server), ensemble.servers.indexOf(server) + 1];
    await throwAt(port, randomBytes(5000));
    await throwAt(port, Buffer.from('GET /election HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'));
    const headers = (from: number | string, to: number | string, version: number | string): Record<string, string> => ({ 'x-drey-sid': String(from), 'x-drey-to': String(to), 'x-drey-peer-protocol': String(version) });
    const refusals: (readonly [string, Record<string, string>])[] = [
      ['/election', {}], ['/learner', headers(200, sid, VERSION)], ['/learner', headers('x', sid, VERSION)], ['/learner', headers(sid, sid, VERSION)], ['/learner', headers(sid % 3 + 1, sid + 1, VERSION)],
      ['/learner', headers(sid % 3 + 1, sid, 99)], ['/nothing', headers(sid % 3 + 1, sid, VERSION)],
    ];
    for (const [path, each] of refusals) {
      const status = await new Promise<number>((resolve) => {
        const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: each });
        ws.on('unexpected-response', (_request, response) => {
          resolve(response.statusCode ?? 0);
          ws.terminate();
        });
        ws.on('open', () => resolve(101));
        ws.on('error', () => undefined);
      });
      t.true(status >= 400, `${path} ${JSON.stringify(each)}: ${status}`);
    }
  }
  // In the name of a server that is known: only to the leader's learner port, and only what no peer says. A channel of that name falls with it, not more.
  const [port, sid] = [peerPort(leader), ensemble.servers.indexOf(leader) + 1];
  const lies = [
    Buffer.alloc(0), randomBytes(200), encodeMsgpack([3, 1, 1, false]),
    // With a checksum that is right.
    ...[
      Buffer.alloc(0), encodeMsgpack([]), encodeMsgpack([99]), encodeMsgpack([1, 'x']), encodeMsgpack([16, 2 ** 60]), encodeMsgpack([15, 1, 1, Buffer.alloc(10)]),
      encodeMsgpack([5, 2 ** 50]), Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), encodeMsgpack([3, 77, 1, false]), encodeMsgpack([18, 1, 'x']),
    ].map(sealFrame),
  ];
  const impersonated = sid % 3 + 1;
  // A channel in the name of a follower takes the place of its own, which costs that follower its leader for a moment: this is not what a stranger can do to an ensemble in its own network.
  failures.length = 0;
  for (const lie of lies) {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/learner`, { headers: { 'x-drey-sid': String(impersonated), 'x-drey-to': String(sid), 'x-drey-peer-protocol': String(VERSION) } });
    ws.on('error', () => undefined);
    ws.on('open', () => ws.send(lie));
    const timer = setTimeout(() => ws.terminate(), 1500);
    await ended(ws);
    clearTimeout(timer);
  }
  for (const server of ensemble.servers) {
    t.true(server.pid > 0);
    await server.serving();
  }
  // The session may have moved to another server meanwhile, and is the same.
  t.deepEqual(failures.filter((each) => each === 'expired' || each === 'lease-lost' || each.startsWith('read')), []);
  while (healthy.state !== 'connected') await new Promise((resolve) => setTimeout(resolve, 20));
  failures.length = 0;
  await unharmed();
});

test.serial('thousands of connections: those over the limit are refused, those that say nothing are let go', async (t) => {
  const server = ensemble.servers[0] as EnsembleServer;
  const sockets: Socket[] = [];
  // In turns that fit the listen queue: beyond it the kernel lets a client believe in a connection that the server never hears of, and that never ends.
  while (sockets.length < 2000) {
    const turn = Array.from({ length: 200 }, () => {
      const socket = dial(server.clientPort, '127.0.0.1');
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
      return socket;
    });
    await Promise.all(turn.map((socket) => new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))));
    // The queue is emptied in order: whatever comes of this connection, the server has taken those before it.
    await fourLetterWord(server.clientPort, 'ruok');
    sockets.push(...turn);
  }
  // Over the limit: closed at once. The rest after ten seconds without a handshake.
  await Promise.all(sockets.map((socket) => (socket.closed ? undefined : ended(socket))));
  t.is(open.size, 0);
  const client = await connect(`127.0.0.1:${server.clientPort}`);
  await client.close();
  await unharmed();
});

test.serial('clients that never read what they asked for: memory stays bounded, others do not notice', async (t) => {
  const big = await connect(ensemble.connectString);
  await big.create('/big', Buffer.alloc(1_000_000, 1));
  await big.close();
  const server = ensemble.servers[1] as EnsembleServer;
  const before = rssMb(server);
  const requests = Buffer.concat(Array.from({ length: 200 }, (_, i) => encoded(request(OpCode.getData, { xid: i + 1, path: '/big' }))));
  const slow = await Promise.all(Array.from({ length: 20 }, async () => {
    const client = new RawClient(server.clientPort);
    open.add(client.socket);
    await client.open();
    client.socket.pause();
    client.socket.write(requests);
    return client;
  }));
  await unharmed();
  await unharmed();
  const grown = rssMb(server) - before;
  // 20 times 200 MB were asked for.
  t.true(grown < 600, `grew by ${grown} MB`);
  t.log(`grew by ${Math.round(grown)} MB; the healthy session's slowest round took ${Math.round(longestMs)} ms of ${healthyRounds} rounds`);
  for (const { socket } of slow) socket.destroy();
  await unharmed();
  // A bound for a machine that does much else; what it guards against is a server that stands still.
  t.true(longestMs < 15_000);
});
