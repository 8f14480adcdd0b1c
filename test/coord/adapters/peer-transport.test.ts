import { once } from 'node:events';
import { createServer } from 'node:net';
import test from 'ava';
import { WebSocket } from 'ws';
import type { ChannelKind, PeerTransportHandler } from '../../../coord/base/ports.ts';
import { WsPeerTransport, type PeerAddress } from '../../../coord/adapters/peer-transport.ts';

/** Records what a transport reports and lets a test wait for it. */
class Recorder implements PeerTransportHandler {
  readonly up: { kind: ChannelKind; channel: number; sid: number }[] = [];
  readonly down: number[] = [];
  readonly failed: number[] = [];
  readonly frames: { channel: number; text: string }[] = [];
  readonly drains: number[] = [];
  readonly traces: { name: string; fields: Readonly<Record<string, unknown>> }[] = [];
  receivedBytes = 0;
  #waiting: (() => void)[] = [];

  channelUp(kind: ChannelKind, channel: number, sid: number): void {
    this.up.push({ kind, channel, sid });
    this.#wake();
  }
  channelDown(channel: number): void {
    this.down.push(channel);
    this.#wake();
  }
  dialFailed(sid: number): void {
    this.failed.push(sid);
    this.#wake();
  }
  frame(channel: number, frame: Uint8Array): void {
    this.receivedBytes += frame.length;
    this.frames.push({ channel, text: Buffer.from(frame).toString('latin1', 0, 16) });
    this.#wake();
  }
  drained(channel: number): void {
    this.drains.push(channel);
    this.#wake();
  }
  event(name: string, fields: Readonly<Record<string, unknown>>): void {
    this.traces.push({ name, fields });
    this.#wake();
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

interface Node {
  readonly transport: WsPeerTransport;
  readonly seen: Recorder;
}

function node(sid: number, servers: readonly PeerAddress[]): Node {
  const seen = new Recorder();
  const transport = new WsPeerTransport({ sid, servers, trace: seen });
  transport.handler = seen;
  return { transport, seen };
}
function start({ transport }: Node): Promise<void> {
  return new Promise((resolve, reject) => transport.start((error) => (error === null ? resolve() : reject(error))));
}
function stop({ transport }: Node): Promise<void> {
  return new Promise((resolve) => transport.stop(() => resolve()));
}

async function addresses(n: number): Promise<PeerAddress[]> {
  const held = Array.from({ length: n }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(held.map((server) => once(server, 'listening')));
  const list = held.map((server, i) => ({ sid: i + 1, host: '127.0.0.1', port: (server.address() as { port: number }).port }));
  await Promise.all(held.map((server) => once(server.close(), 'close')));
  return list;
}

async function pair(t: { teardown(fn: () => Promise<unknown>): void }): Promise<{ a: Node; b: Node; servers: PeerAddress[] }> {
  const servers = await addresses(2);
  const a = node(1, servers);
  const b = node(2, servers);
  t.teardown(() => Promise.all([stop(a), stop(b)]));
  await Promise.all([start(a), start(b)]);
  await a.seen.until(() => a.seen.up.length > 0);
  await b.seen.until(() => b.seen.up.length > 0);
  return { a, b, servers };
}

test('the larger sid dials, once for each pair, and frames arrive in order', async (t) => {
  const servers = await addresses(3);
  const nodes = [1, 2, 3].map((sid) => node(sid, servers));
  t.teardown(() => Promise.all(nodes.map(stop)));
  for (const each of nodes) await start(each);
  for (const { seen } of nodes) await seen.until(() => seen.up.length === 2);
  const [one, , three] = nodes as [Node, Node, Node];
  t.deepEqual(one.seen.up.map(({ kind, sid }) => `${kind} ${sid}`).toSorted(), ['election 2', 'election 3']);
  const channel = one.seen.up.find(({ sid }) => sid === 3)?.channel as number;
  for (let i = 0; i < 1000; i++) one.transport.send(channel, Buffer.from(`frame ${i}`));
  one.transport.flush();
  await three.seen.until(() => three.seen.frames.length === 1000);
  t.deepEqual(three.seen.frames.map(({ text }) => text), Array.from({ length: 1000 }, (_, i) => `frame ${i}`));
});

test('a server that comes up later is dialled again and again until it answers', async (t) => {
  const servers = await addresses(2);
  const b = node(2, servers);
  const a = node(1, servers);
  t.teardown(() => Promise.all([stop(a), stop(b)]));
  await start(b);
  await b.seen.until(() => b.seen.traces.some(({ name }) => name === 'DialFailed'));
  await start(a);
  await b.seen.until(() => b.seen.up.length === 1);
  t.deepEqual(b.seen.up.map(({ sid }) => sid), [1]);
});

test('a learner channel: dialled on demand, down at the other end when closed, not told to the closer', async (t) => {
  const { a, b } = await pair(t);
  a.transport.dialLearner(2);
  await a.seen.until(() => a.seen.up.some(({ kind }) => kind === 'learner'));
  await b.seen.until(() => b.seen.up.some(({ kind }) => kind === 'learner'));
  const mine = a.seen.up.find(({ kind }) => kind === 'learner')?.channel as number;
  const theirs = b.seen.up.find(({ kind }) => kind === 'learner')?.channel as number;
  a.transport.close(mine);
  await b.seen.until(() => b.seen.down.includes(theirs));
  a.transport.send(mine, Buffer.from('lost'));
  a.transport.flush();
  t.is(a.transport.buffered(mine), 0);
  t.deepEqual(a.seen.down, []);
  // A new one has a new number.
  a.transport.dialLearner(2);
  await a.seen.until(() => a.seen.up.filter(({ kind }) => kind === 'learner').length === 2);
  t.true(a.seen.up.at(-1)!.channel > mine);
});

test('the newer learner channel of a pair replaces the older one', async (t) => {
  const { a, b } = await pair(t);
  a.transport.dialLearner(2);
  await a.seen.until(() => a.seen.up.filter(({ kind }) => kind === 'learner').length === 1);
  a.transport.dialLearner(2);
  await b.seen.until(() => b.seen.up.filter(({ kind }) => kind === 'learner').length === 2);
  const [older, newer] = b.seen.up.filter(({ kind }) => kind === 'learner');
  t.deepEqual(b.seen.down, [older!.channel]);
  t.true(newer!.channel > older!.channel);
});

test('a dial to a server that is not there fails; to one that is unknown as well', async (t) => {
  const servers = await addresses(2);
  const a = node(1, servers);
  t.teardown(() => stop(a));
  await start(a);
  a.transport.dialLearner(2);
  a.transport.dialLearner(77);
  await a.seen.until(() => a.seen.failed.length === 2);
  t.deepEqual(a.seen.failed.toSorted(), [2, 77]);
});

test('a broken election channel is reported at once and dialled again', async (t) => {
  const { a, b, servers } = await pair(t);
  await stop(a);
  await b.seen.until(() => b.seen.down.length === 1);
  const again = node(1, servers);
  t.teardown(() => stop(again));
  await start(again);
  await b.seen.until(() => b.seen.up.length === 2);
  t.true(b.seen.up[1]!.channel > b.seen.up[0]!.channel);
});

test('an unsent backlog is counted, and drained is told when it has gone', async (t) => {
  const { a, b } = await pair(t);
  const channel = a.seen.up[0]!.channel;
  const megabyte = Buffer.alloc(1 << 20);
  for (let i = 0; i < 24; i++) a.transport.send(channel, megabyte);
  a.transport.flush();
  t.true(a.transport.buffered(channel) > 1 << 20);
  await a.seen.until(() => a.seen.drains.length > 0);
  await b.seen.until(() => b.seen.receivedBytes === 24 << 20);
  t.is(a.transport.buffered(channel), 0);
});

test('strangers are refused with a sentence', async (t) => {
  const { a, servers } = await pair(t);
  const port = servers[0]!.port;
  const refusal = async (path: string, headers: Record<string, string>): Promise<string> => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
    const [, response] = await once(ws, 'unexpected-response');
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    return `${response.statusCode} ${Buffer.concat(parts).toString()}`;
  };
  const hello = { 'x-drey-sid': '2', 'x-drey-to': '1', 'x-drey-peer-protocol': '2' };
  t.is(await refusal('/learner', { ...hello, 'x-drey-sid': '9' }), '403 server.9 is not in the configuration of server 1');
  t.is(await refusal('/learner', { ...hello, 'x-drey-peer-protocol': '1' }), '426 server 1 speaks peer protocol 2, not 1');
  t.is(await refusal('/learner', { ...hello, 'x-drey-to': '3' }), '421 this is server 1, not 3');
  t.is(await refusal('/learner', {}), '426 server 1 speaks peer protocol 2, not undefined');
  t.is(await refusal('/else', hello), '404 no such path');
  t.is(a.seen.up.length, 1);
});

test('a port that is taken is said so', async (t) => {
  const { servers } = await pair(t);
  const error = await t.throwsAsync(start(node(1, servers)));
  t.regex(error!.message, /cannot listen on 127\.0\.0\.1:\d+ for peers: .*EADDRINUSE/);
});
