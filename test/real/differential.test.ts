/**
 * The same bytes to Apache ZooKeeper and to drey, the replies side by side: codes, records, closings. What must differ (zxids, times, session
 * ids, passwords) is masked; what differs on purpose is listed here and nowhere else.
 */
import test from 'ava';
import { OpCode } from '../../coord/wire/codes.ts';
import { decodeReplyBody, decodeWatcherEvent, REPLY_HEADER_BYTES } from '../../coord/wire/replies.ts';
import type { ClientRequest } from '../../coord/wire/types.ts';
import { encoded, RawClient, request, startOneServer } from '../coord/adapters/one-server.ts';
import { plain } from '../coord/wire/arbitraries.ts';
import { zookeeperOrSkip } from '../lib/zookeeper-or-skip.ts';
import { fourLetterWord, startZooKeeper } from '../tools/zookeeper.ts';

const MASKED = new Set(['czxid', 'mzxid', 'pzxid', 'ctime', 'mtime']);

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, MASKED.has(key) ? 'masked' : key === 'ephemeralOwner' ? v !== 0n : masked(v)]));
}

/** What a server answers to one step: frames until the reply of this xid, or the end of the connection. */
async function answer(raw: RawClient, bytes: Buffer, xid: number, op: number): Promise<unknown[]> {
  raw.socket.write(bytes);
  const out: unknown[] = [];
  for (;;) {
    let frame: Buffer;
    try {
      frame = await raw.frame();
    } catch {
      return [...out, 'closed'];
    }
    const [gotXid, err] = [frame.readInt32BE(0), frame.readInt32BE(12)];
    if (gotXid === -1) {
      out.push(decodeWatcherEvent(frame, REPLY_HEADER_BYTES, frame.length));
      continue;
    }
    const body = err === 0 ? masked(plain(decodeReplyBody(op, frame, REPLY_HEADER_BYTES, frame.length))) : `${frame.length - REPLY_HEADER_BYTES} bytes`;
    out.push({ xid: gotXid, err, body: sortedChildren(body) });
    if (gotXid === xid) return out;
  }
}

/** The order of children and of ephemerals is not promised. */
function sortedChildren(body: unknown): unknown {
  if (typeof body === 'object' && body !== null && 'paths' in body) return { ...body, paths: (body.paths as string[]).toSorted() };
  if (typeof body === 'object' && body !== null && 'children' in body) return { ...body, children: (body.children as string[]).toSorted() };
  return body;
}

const world = [{ perms: 31, scheme: 'world', id: 'anyone' }];
const data = (text: string): Buffer => Buffer.from(text);
const create = (path: string, fields: Partial<ClientRequest> = {}): ClientRequest => request(OpCode.create, { path, data: data('d'), acl: world, ...fields });
const op = (code: number, fields: Partial<ClientRequest> = {}): ClientRequest => request(code, fields);

/** In the order of sending, on one connection. */
const conversation: ClientRequest[] = [
  op(OpCode.getData, { path: '/' }), op(OpCode.getChildren2, { path: '/' }), op(OpCode.getACL, { path: '/' }), op(OpCode.exists, { path: '/a', watch: true }),
  create('/a'), create('/a'), create('/a/b/c'), create('/a/null', { data: null }), op(OpCode.getData, { path: '/a/null' }), create('/a/empty', { data: data('') }),
  op(OpCode.getData, { path: '/a/empty' }), op(OpCode.create2, { path: '/a/c2', data: data('x'), acl: world }), create('/a/e', { flags: 1 }), create('/a/e/x'),
  create('/a/s-', { flags: 2 }), create('/a/s-', { flags: 3 }), create('/a/', { flags: 2 }), create('/a/x/', { flags: 2 }), create('/a/t', { flags: 7 }), create('/a/t', { flags: 5 }),
  create('/a/noacl', { acl: [] }), create('/a/nullacl', { acl: null }), create('/a/auth', { acl: [{ perms: 31, scheme: 'auth', id: '' }] }),
  create('/a/scheme', { acl: [{ perms: 31, scheme: 'nonsense', id: 'x' }] }), create('a'), create(''), create('/a//b'), create('/a/./b'), create('/a/b/'), create('/a\u0001'), create('/'),
  op(OpCode.createTTL, { path: '/a/ttl', data: null, acl: world, flags: 5, ttlMs: 100_000 }), op(OpCode.createTTL, { path: '/a/ttl2', data: null, acl: world, flags: 5, ttlMs: 0 }),
  op(OpCode.createTTL, { path: '/a/ttl3', data: null, acl: world, flags: 0, ttlMs: 5 }), op(OpCode.createTTL, { path: '/a/ttl4', data: null, acl: world, flags: 6, ttlMs: 5000 }),
  op(OpCode.checkWatches, { path: '/a', flags: 9 }), op(OpCode.whoAmI),
  op(OpCode.createContainer, { path: '/a/cont', data: data(''), acl: world, flags: 4 }), op(OpCode.createContainer, { path: '/a/cont2', data: data(''), acl: world, flags: 0 }),
  op(OpCode.getData, { path: '/a', watch: true }), op(OpCode.getChildren, { path: '/a', watch: true }), op(OpCode.setData, { path: '/a', data: data('2'), version: 0 }),
  op(OpCode.setData, { path: '/a', data: data('3'), version: 0 }), op(OpCode.setData, { path: '/a', data: null, version: -1 }), op(OpCode.setData, { path: '/none', data: null, version: -1 }),
  op(OpCode.setData, { path: '/', data: data('root'), version: -1 }), op(OpCode.getData, { path: '' }), op(OpCode.getData, { path: 'zz' }), op(OpCode.exists, { path: 'zz' }),
  op(OpCode.getChildren, { path: '/none' }), op(OpCode.getChildren2, { path: '/a' }), op(OpCode.delete, { path: '/a', version: -1 }), op(OpCode.delete, { path: '/a/c2', version: 5 }),
  op(OpCode.delete, { path: '/a/c2', version: 0 }), op(OpCode.delete, { path: '/a/c2', version: 0 }), op(OpCode.delete, { path: '/', version: -1 }),
  op(OpCode.delete, { path: '/zookeeper', version: -1 }), op(OpCode.sync, { path: '/a' }), op(OpCode.setACL, { path: '/a', acl: [{ perms: 1, scheme: 'world', id: 'anyone' }], version: 0 }),
  op(OpCode.setACL, { path: '/a', acl: world, version: 7 }), create('/a/denied'), op(OpCode.setData, { path: '/a', data: null, version: -1 }), op(OpCode.getACL, { path: '/a' }),
  op(OpCode.setACL, { path: '/a', acl: world, version: -1 }), op(OpCode.multi, { ops: [] }),
  op(OpCode.multi, { ops: [create('/m'), op(OpCode.setData, { path: '/m', data: data('1'), version: 0 }), op(OpCode.check, { path: '/m', version: 1 }), create('/m/s', { flags: 2 }), create('/m/s', { flags: 2 })] }),
  op(OpCode.multi, { ops: [create('/m2'), op(OpCode.delete, { path: '/none', version: -1 }), create('/m3')] }), op(OpCode.exists, { path: '/m2' }), create('/m/s', { flags: 2 }),
  op(OpCode.multi, { ops: [op(OpCode.create2, { path: '/m4', data: data(''), acl: world }), op(OpCode.delete, { path: '/m4', version: 0 })] }),
  op(OpCode.multiRead, { ops: [op(OpCode.getData, { path: '/m' }), op(OpCode.getData, { path: '/none' }), op(OpCode.getChildren, { path: '/m2' })] }),
  op(OpCode.addWatch, { path: '/p', flags: 0 }), create('/p'), op(OpCode.setData, { path: '/p', data: null, version: -1 }), op(OpCode.addWatch, { path: '/p', flags: 1 }), create('/p/q'),
  op(OpCode.addWatch, { path: '/p', flags: 9 }), op(OpCode.checkWatches, { path: '/p', flags: 3 }), op(OpCode.checkWatches, { path: '/none', flags: 3 }),
  op(OpCode.removeWatches, { path: '/p', flags: 3 }), op(OpCode.removeWatches, { path: '/p', flags: 3 }), op(OpCode.getEphemerals, { path: '/' }),
  op(OpCode.getAllChildrenNumber, { path: '/a' }), op(OpCode.getAllChildrenNumber, { path: '/none' }),
  op(OpCode.auth, { xid: -4, scheme: 'digest', data: data('u:p') }), create('/mine', { acl: [{ perms: 31, scheme: 'auth', id: '' }] }), op(OpCode.getACL, { path: '/mine' }),
  op(OpCode.setWatches, { xid: -8, relativeZxid: 0, dataWatches: ['/p', '/gone'], existWatches: ['/p', '/none'], childWatches: ['/a', '/gone'] }),
  op(OpCode.ping, { xid: -2 }), op(OpCode.reconfig), op(OpCode.reconfig, { body: Buffer.from('ffffffff ffffffff 00000000 ffffffffffffffff'.replaceAll(' ', ''), 'hex') }), op(OpCode.closeSession),
];

/**
 * Each on a connection of its own, after the handshake. Not here, because drey refuses with -6 what ZooKeeper does: deleteContainer and
 * createSession sent by a client.
 */
const bad: Record<string, string> = {
  'getData without a body': '00000008 00000001 00000004', 'a string longer than the frame': '0000000c 00000001 00000004 7fffffff', 'a negative string length': '0000000c 00000001 00000004 80000000',
  'an unknown op': '00000008 00000001 00000bad', 'check outside of a multi': '00000012 00000001 0000000d 00000002 2f61 00000000',
  'a create without a body': '00000008 00000001 00000001', 'a multi that ends early': '00000011 00000001 0000000e 00000001 00 ffffffff',
  'a header cut short': '00000004 00000001', 'an empty frame': '00000000', 'a negative length': 'ffffffff', 'a length above the limit': '00100001', 'failed auth': '0000001a fffffffc 00000064 00000000 00000002 7a7a 00000000',
};

if (await zookeeperOrSkip(test, 'the comparison with Apache ZooKeeper')) {
  test('the same conversation, reply by reply', async (t) => {
    const [real, ours] = await Promise.all([startZooKeeper({ config: { extendedTypesEnabled: 'true' } }), startOneServer()]);
    t.teardown(() => Promise.all([real.stop(), ours.stop()]));
    const clients = [new RawClient(real.ports[0] as number), new RawClient(ours.port)] as const;
    await Promise.all(clients.map((client) => client.open()));
    const differences: string[] = [];
    let xid = 1;
    for (const each of conversation) {
      if (each.xid === 0) each.xid = xid++;
      const [expected, actual] = await Promise.all(clients.map((client) => answer(client, encoded(each), each.xid, each.op)));
      const [want, got] = [JSON.stringify(expected), JSON.stringify(actual)];
      if (want !== got) differences.push(`op ${each.op} ${each.path} flags ${each.flags}\n  ZooKeeper ${want}\n  drey      ${got}`);
    }
    t.deepEqual(differences, []);
    for (const [what, hex] of Object.entries(bad)) {
      const answers = await Promise.all([real.ports[0] as number, ours.port].map(async (port) => {
        const client = new RawClient(port);
        // Short, because ZooKeeper leaves some of these to the session's timeout.
        await client.open(4000);
        const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
        // Whoever answers and stays open answers a ping after it.
        const xid = bytes.length >= 8 ? bytes.readInt32BE(4) : 0;
        const first = await answer(client, bytes, xid, OpCode.ping);
        const then = first.at(-1) === 'closed' ? [] : await answer(client, encoded(op(OpCode.ping, { xid: -2 })), -2, OpCode.ping);
        client.socket.destroy();
        return JSON.stringify([...first, ...then]);
      }));
      if (answers[0] !== answers[1]) differences.push(`${what}\n  ZooKeeper ${answers[0]}\n  drey      ${answers[1]}`);
    }
    t.deepEqual(differences, []);
  });

  test('four-letter words have the lines and keys of the real ones', async (t) => {
    const [real, ours] = await Promise.all([startZooKeeper({ config: { extendedTypesEnabled: 'true' } }), startOneServer()]);
    t.teardown(() => Promise.all([real.stop(), ours.stop()]));
    const both = (word: string): Promise<string[]> => Promise.all([real.ports[0] as number, ours.port].map((port) => fourLetterWord(port, word)));
    const shape = (text: string): string[] => text.split('\n').map((line) => line.split(/[:=\t]/, 1)[0] as string);
    for (const word of ['ruok', 'isro', 'wchs']) {
      const [expected, actual] = await both(word);
      t.is(actual, expected, word);
    }
    for (const word of ['srvr', 'stat']) {
      const [expected, actual] = await both(word);
      t.deepEqual(shape(actual!).filter((line) => !line.startsWith(' /')), shape(expected!).filter((line) => !line.startsWith(' /')), word);
    }
    const [realKeys, ourKeys] = (await both('mntr')).map((text) => new Set(shape(text)));
    const oursAlone = [...ourKeys!].filter((key) => !realKeys!.has(key));
    t.deepEqual(oursAlone.filter((key) => !key.endsWith('latency')), [], 'mntr has no keys of its own');
    const [realConf, ourConf] = (await both('conf')).map((text) => shape(text));
    t.deepEqual(ourConf!.filter((key) => !realConf!.includes(key)), []);
  });
}
