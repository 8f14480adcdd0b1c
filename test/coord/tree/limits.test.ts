/** Ends of ranges that no script reaches step by step, set up by txns that a long life would have made. */
import test from 'ava';
import { OPEN_ACL } from '../../../coord/tree/acl.ts';
import { DataTree } from '../../../coord/tree/data-tree.ts';
import { PrepRequest } from '../../../coord/tree/prep-request.ts';
import type { CreateTxn, Txn, TxnHeader } from '../../../coord/tree/txn.ts';
import { Code, OpCode } from '../../../coord/wire/codes.ts';
import type { ClientRequest } from '../../../coord/wire/types.ts';
import { dump, reload, requestOf } from './harness.ts';

function world() {
  const tree = new DataTree();
  const prep = new PrepRequest(tree, { juteMaxBuffer: 1_048_575 });
  let zxid = 0;
  const apply = (txn: Txn) => {
    const header: TxnHeader = { zxid, timeMs: 5, sessionId: 0n, originId: 0, requestNo: 0 };
    const result = tree.apply(header, txn);
    prep.committed(zxid);
    return result;
  };
  const next = (txn: Txn) => (zxid++, apply(txn));
  const request = (fields: Partial<ClientRequest>) => apply(prep.prep(requestOf(fields), 0n, [], ++zxid, 5));
  return { tree, prep, next, request };
}

const create = (path: string, parentCVersion: number): CreateTxn => ({
  type: 'create', path, data: null, acl: OPEN_ACL, kind: 'persistent', ttlMs: 0, parentCVersion, withStat: false,
});

test('sequence numbers go on after 2147483647 with negative ones, and the counter does not stand still', (t) => {
  const { tree, next, request } = world();
  next(create('/p', 1));
  next(create('/p/x', 2 ** 31 - 2));
  const paths: string[] = [];
  for (let i = 0; i < 4; i++) {
    const { result } = request({ op: OpCode.create, path: '/p/s', acl: OPEN_ACL, flags: 2 });
    paths.push(result?.kind === 'path' ? result.path : 'refused');
  }
  t.deepEqual(paths, ['/p/s2147483646', '/p/s2147483647', '/p/s-2147483648', '/p/s-2147483647']);
  t.is(tree.get('/p')?.numChildren, 5);
  t.deepEqual(dump(reload(tree.entries(), 9)).slice(0, -1), dump(tree).slice(0, -1));
});

test('a version wraps around and leaves out -1, which would match everything (ZOOKEEPER-4743)', (t) => {
  const { tree, next, request } = world();
  next(create('/p', 1));
  next({ type: 'setData', path: '/p', data: null, version: 2 ** 31 - 1 });
  request({ op: OpCode.setData, path: '/p', version: 2 ** 31 - 1 });
  t.is(tree.get('/p')?.version, -(2 ** 31));
  next({ type: 'setData', path: '/p', data: null, version: -2 });
  t.is(request({ op: OpCode.setData, path: '/p', version: -2 }).err, 0);
  t.is(tree.get('/p')?.version, 0);
});

test('data of every size, growing and shrinking, is what was set last', (t) => {
  const { tree, next } = world();
  next(create('/a', 1));
  next(create('/b', 2));
  const sizes = [0, 1, 31, 32, 33, 64, 65, 96, 128, 129, 192, 256, 257, 384, 512, 513, 768, 1024, 1025, 5000, 70_000, 1024, 100, 0, 1000, 33, 32];
  const held = new Map<string, Buffer | null>([['/a', null], ['/b', null]]);
  for (const [i, size] of sizes.entries()) {
    for (const path of ['/a', '/b']) {
      const data = i % 7 === 6 ? null : Buffer.alloc(size, path + i);
      next({ type: 'setData', path, data, version: i });
      held.set(path, data);
      for (const [other, expected] of held) {
        const actual = tree.get(other)?.data ?? null;
        t.true(expected === null ? actual === null : actual !== null && Buffer.compare(actual, expected) === 0, `${other} after ${size}`);
      }
    }
  }
});

test('a new PrepRequest does not see what an earlier one left outstanding on the same tree', (t) => {
  const { tree, prep, next } = world();
  next(create('/p', 1));
  const set = requestOf({ op: OpCode.setData, path: '/p', data: new Uint8Array(1) });
  t.like(prep.prep(set, 0n, [], 10, 5), { version: 1 });
  t.like(prep.prep(set, 0n, [], 11, 5), { version: 2 });
  const second = new PrepRequest(tree, { juteMaxBuffer: 1000 });
  t.like(second.prep(set, 0n, [], 20, 5), { version: 1 });
  prep.reset();
  t.like(second.prep(set, 0n, [], 21, 5), { version: 2 });
  second.reset();
  t.is(second.outstandingCount, 0);
  t.like(second.prep(set, 0n, [], 30, 5), { version: 1 });
});

test('the config is a server\'s own: set outside the txns, and not in the digest', (t) => {
  const { tree } = world();
  const digest = tree.digest;
  tree.setConfig(Buffer.from('server.1=a:1\nversion=0'));
  t.is(tree.digest, digest);
  t.is(Buffer.from(tree.get('/zookeeper/config')?.data ?? []).toString(), 'server.1=a:1\nversion=0');
  t.is(tree.get('/zookeeper/config')?.version, -1);
  t.deepEqual(dump(reload(tree.entries(), 0)), dump(tree));
});

test('a TTL znode that has just been written is not reaped, though the tree does not show it yet', (t) => {
  const { tree, prep, next } = world();
  next({ ...create('/t', 1), kind: 'ttl', ttlMs: 10 });
  const reap = (zxid: number): Txn => prep.prep(requestOf({ op: OpCode.deleteContainer, path: '/t' }), 0n, [], zxid, 100);
  const written = prep.prep(requestOf({ op: OpCode.setData, path: '/t', data: Buffer.from('x') }), 0n, [], 2, 100);
  t.deepEqual(reap(3), { type: 'error', err: Code.BADVERSION });
  tree.apply({ zxid: 2, timeMs: 100, sessionId: 0n, originId: 0, requestNo: 0 }, written);
  prep.committed(3);
  t.deepEqual(reap(4), { type: 'delete', path: '/t' });
});
