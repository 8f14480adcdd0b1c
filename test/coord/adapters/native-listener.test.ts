import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { WebSocket, type ClientOptions } from 'ws';
import { Code, OpCode } from '../../../coord/wire/codes.ts';
import {
  decodeNativeConnected, decodeNativeEvent, decodeNativeReply, decodeNativeResult, encodeNativeConnect, encodeNativeRequest, type NativeReply,
} from '../../../coord/wire/native.ts';
import { encodeMsgpack } from '../../../coord/wire/msgpack.ts';
import { RawClient, request, startOneServer, type OneServer } from './one-server.ts';

async function server(t: ExecutionContext): Promise<OneServer> {
  const one = await startOneServer();
  t.teardown(() => one.stop());
  return one;
}

/** One WebSocket with its messages in a queue. */
class NativeClient {
  readonly ws: WebSocket;
  readonly messages: Buffer[] = [];
  #waiting: (() => void)[] = [];
  closeCode = 0;

  constructor({ httpPort }: OneServer, options: ClientOptions = {}) {
    this.ws = new WebSocket(`ws://127.0.0.1:${httpPort}/coord/v1`, options);
    this.ws.on('message', (data) => {
      this.messages.push(data as Buffer);
      this.#wake();
    });
    this.ws.on('error', () => undefined);
    this.ws.on('close', (code) => {
      this.closeCode = code;
      this.#wake();
    });
  }
  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
  async message(): Promise<Buffer> {
    while (this.messages.length === 0) {
      if (this.closeCode !== 0) throw new Error(`closed with ${this.closeCode}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.messages.shift() as Buffer;
  }
  async reply(): Promise<NativeReply> {
    return decodeNativeReply(await this.message());
  }
  async untilClosed(): Promise<number> {
    while (this.closeCode === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.closeCode;
  }
  async open(): Promise<ReturnType<typeof decodeNativeConnected>> {
    await once(this.ws, 'open');
    this.ws.send(encodeNativeConnect({ protocolVersion: 1, lastZxidSeen: 0, timeoutMs: 10_000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true }));
    return decodeNativeConnected(await this.message());
  }
  send(...requests: ReturnType<typeof request>[]): void {
    for (const each of requests) this.ws.send(encodeNativeRequest(each));
  }
}
function client(t: ExecutionContext, one: OneServer): NativeClient {
  const native = new NativeClient(one);
  t.teardown(() => native.ws.terminate());
  return native;
}

const world = [{ perms: 31, scheme: 'world', id: 'anyone' }];

test('a session, writes, reads, a watch, seen by both faces', async (t) => {
  const one = await server(t);
  const native = client(t, one);
  const connected = await native.open();
  t.is(connected.timeoutMs, 10_000);
  t.not(connected.sessionId, 0n);
  native.send(request(OpCode.create, { xid: 1, path: '/n', data: Buffer.from('one'), acl: world }), request(OpCode.getData, { xid: 2, path: '/n', watch: true }));
  t.like(await native.reply(), { xid: 1, err: 0, fields: ['/n'] });
  const read = await native.reply();
  t.like(decodeNativeResult(OpCode.getData, read.fields), { kind: 'data', stat: { version: 0, dataLength: 3 } });

  const jute = new RawClient(one.port);
  t.teardown(() => jute.socket.destroy());
  await jute.open();
  jute.send(request(OpCode.setData, { xid: 5, path: '/n', data: Buffer.from('two'), version: 0 }));
  t.is((await jute.frame()).readInt32BE(12), 0);
  const event = await native.reply();
  t.is(event.xid, -1);
  t.deepEqual(decodeNativeEvent(event.fields), { type: 3, state: 3, path: '/n' });

  native.send(request(OpCode.multi, { xid: 3, ops: [request(OpCode.check, { path: '/n', version: 0 }), request(OpCode.delete, { path: '/n' })] }));
  const multi = await native.reply();
  t.like(multi, { xid: 3, err: 0 });
  t.deepEqual(decodeNativeResult(OpCode.multi, multi.fields), {
    kind: 'multi', results: [{ op: -1, err: Code.BADVERSION, result: null }, { op: -1, err: Code.RUNTIMEINCONSISTENCY, result: null }],
  });
  native.send(request(OpCode.closeSession, { xid: 4 }));
  t.like(await native.reply(), { xid: 4, err: 0 });
  t.is(await native.untilClosed(), 1000);
});

test('what is malformed is answered; what cannot be answered closes this connection only', async (t) => {
  const one = await server(t);
  const native = client(t, one);
  await native.open();
  native.ws.send(encodeMsgpack([7, OpCode.getData, 5]));
  t.like(await native.reply(), { xid: 7, err: Code.MARSHALLINGERROR });
  const good = client(t, one);
  await good.open();
  native.ws.send(Buffer.from('ddffffffff', 'hex'));
  t.is(await native.untilClosed(), 1002);
  const text = client(t, one);
  await text.open();
  text.ws.send('hello');
  t.is(await text.untilClosed(), 1002);
  const noHandshake = client(t, one);
  await once(noHandshake.ws, 'open');
  noHandshake.send(request(OpCode.ping, { xid: -2 }));
  t.is(await noHandshake.untilClosed(), 1002);
  const large = client(t, one);
  await large.open();
  large.ws.send(Buffer.alloc(0x100000));
  t.is(await large.untilClosed(), 1009);
  good.send(request(OpCode.ping, { xid: -2 }));
  t.like(await good.reply(), { xid: -2, err: 0 });
});

test('many requests in flight are answered in order, also to one that reads late', async (t) => {
  const one = await server(t);
  const native = client(t, one);
  await native.open();
  native.send(request(OpCode.create, { xid: 0, path: '/big', data: Buffer.alloc(200_000), acl: world }));
  await native.reply();
  native.ws.pause();
  const count = 300;
  native.send(...Array.from({ length: count }, (_, i) => request(OpCode.getData, { xid: i, path: '/big' })));
  const other = client(t, one);
  await other.open();
  for (let i = 0; i < 20; i++) {
    other.send(request(OpCode.exists, { xid: i, path: '/' }));
    await other.reply();
  }
  native.ws.resume();
  for (let i = 0; i < count; i++) t.is((await native.reply()).xid, i);
});

test('pages of a foreign origin are refused, those of this host are not', async (t) => {
  const one = await server(t);
  const status = async (headers: Record<string, string>): Promise<number> => {
    const ws = new WebSocket(`ws://127.0.0.1:${one.httpPort}/coord/v1`, { headers });
    t.teardown(() => ws.terminate());
    return Promise.race([
      once(ws, 'open').then(() => 101),
      once(ws, 'unexpected-response').then(([, response]) => response.statusCode as number),
    ]);
  };
  t.is(await status({}), 101);
  t.is(await status({ origin: `http://127.0.0.1:${one.httpPort}` }), 101);
  t.is(await status({ origin: 'http://evil.example' }), 403);
  t.is(await status({ origin: 'null' }), 403);
  t.is(await status({ origin: `http://127.0.0.1:${one.httpPort + 1}` }), 403);
  // A foreign name that resolves to this machine.
  t.is(await status({ origin: 'http://evil.example:80', host: 'evil.example' }), 403);
});

test('health and commands', async (t) => {
  const one = await server(t);
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${one.httpPort}${path}`);
    return [response.status, await response.text()];
  };
  t.deepEqual(await get('/livez'), [200, 'ok\n']);
  t.deepEqual(await get('/readyz'), [200, 'ok\n']);
  t.deepEqual(JSON.parse((await get('/commands/ruok'))[1]), { command: 'ruok', error: null });
  t.like(JSON.parse((await get('/commands/srvr'))[1]), { command: 'server_stats', error: null, read_only: false, server_stats: { server_state: 'standalone' } });
  t.like(JSON.parse((await get('/commands/mntr'))[1]), { command: 'monitor', server_state: 'standalone', num_alive_connections: 0 });
  t.true(Array.isArray(JSON.parse((await get('/commands/cons'))[1]).connections));
  t.is((await get('/commands/constructor'))[0], 404);
  t.is((await get('/commands/nonsense'))[0], 404);
  t.is((await get('/else'))[0], 404);
  t.is((await fetch(`http://127.0.0.1:${one.httpPort}/livez`, { method: 'POST' })).status, 405);
});
