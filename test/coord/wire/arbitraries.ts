/** Requests and results of every kind, for property tests of the codecs. */
import fc from 'fast-check';
import { Code, OpCode } from '../../../coord/wire/codes.ts';
import { ClientRequest, type Acl, type MultiResult, type Result, type Stat } from '../../../coord/wire/types.ts';

const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const zxid = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
/** Well-formed strings only: a lone surrogate has no UTF-8. */
const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 30 }));
const path = text.map((s) => `/${s}`);
const data = fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.from(bytes)), { nil: null });
const acl: fc.Arbitrary<Acl> = fc.record({ perms: int, scheme: text, id: text });
const aclList = fc.option(fc.array(acl, { maxLength: 4 }), { nil: null });
const paths = fc.array(path, { maxLength: 5 });

function request(op: number, fields: Partial<Record<keyof ClientRequest, fc.Arbitrary<unknown>>>): fc.Arbitrary<ClientRequest> {
  return fc.record(fields as Record<string, fc.Arbitrary<unknown>>).map((values) => Object.assign(new ClientRequest(), { op }, values));
}

const writes = (): fc.Arbitrary<ClientRequest>[] => [
  ...[OpCode.create, OpCode.create2, OpCode.createContainer].map((op) => request(op, { path, data, acl: aclList, flags: int })),
  request(OpCode.createTTL, { path, data, acl: aclList, flags: int, ttlMs: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }) }),
  request(OpCode.delete, { path, version: int }),
  request(OpCode.setData, { path, data, version: int }),
];
const check = request(OpCode.check, { path, version: int });
const reads = [OpCode.getData, OpCode.getChildren].map((op) => request(op, { path, watch: fc.boolean() }));

/** One of every opcode that a client may send; xid set, body null. */
export const anyRequest: fc.Arbitrary<ClientRequest> = fc
  .tuple(
    int,
    fc.oneof(
      ...writes(),
      check,
      ...[OpCode.exists, OpCode.getData, OpCode.getChildren, OpCode.getChildren2].map((op) => request(op, { path, watch: fc.boolean() })),
      ...[OpCode.getACL, OpCode.sync, OpCode.getEphemerals, OpCode.getAllChildrenNumber].map((op) => request(op, { path })),
      request(OpCode.addWatch, { path, flags: fc.nat(1) }),
      ...[OpCode.checkWatches, OpCode.removeWatches].map((op) => request(op, { path, flags: fc.integer({ min: 1, max: 5 }) })),
      ...[OpCode.ping, OpCode.closeSession, OpCode.whoAmI].map((op) => request(op, {})),
      request(OpCode.setACL, { path, acl: aclList, version: int }),
      request(OpCode.auth, { scheme: text, data }),
      request(OpCode.setWatches, { relativeZxid: zxid, dataWatches: paths, existWatches: paths, childWatches: paths }),
      request(OpCode.setWatches2, {
        relativeZxid: zxid, dataWatches: paths, existWatches: paths, childWatches: paths, persistentWatches: paths, persistentRecursiveWatches: paths,
      }),
      request(OpCode.multi, { ops: fc.array(fc.oneof(...writes(), check), { maxLength: 5 }) }),
      request(OpCode.multiRead, { ops: fc.array(fc.oneof(...reads), { maxLength: 5 }) }),
    ),
  )
  .map(([xid, it]) => Object.assign(it, { xid }));

const stat: fc.Arbitrary<Stat> = fc.record({
  czxid: zxid, mzxid: zxid, ctime: zxid, mtime: zxid, version: int, cversion: int, aversion: int, ephemeralOwner: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  dataLength: int, numChildren: int, pzxid: zxid,
});

const children = fc.array(text, { maxLength: 6 }).map((list) => ({ children: list, count: list.length }));
const multiResult: fc.Arbitrary<MultiResult> = fc.oneof(
  fc.constantFrom(0, Code.NONODE, Code.RUNTIMEINCONSISTENCY).map((err) => ({ op: OpCode.error, err, result: null })),
  path.map((p) => ({ op: OpCode.create, err: 0, result: { kind: 'path' as const, path: p } })),
  fc.tuple(path, stat).map(([p, s]) => ({ op: OpCode.create2, err: 0, result: { kind: 'pathStat' as const, path: p, stat: s } })),
  stat.map((s) => ({ op: OpCode.setData, err: 0, result: { kind: 'stat' as const, stat: s } })),
  fc.tuple(data, stat).map(([d, s]) => ({ op: OpCode.getData, err: 0, result: { kind: 'data' as const, data: d, stat: s } })),
  children.map((c) => ({ op: OpCode.getChildren, err: 0, result: { kind: 'children' as const, ...c } })),
  fc.constantFrom(OpCode.delete, OpCode.check).map((op) => ({ op, err: 0, result: { kind: 'empty' as const } })),
);

/** A result, and an opcode that it answers. */
export const anyResult: fc.Arbitrary<{ op: number; result: Result }> = fc.oneof(
  fc.constantFrom(OpCode.delete, OpCode.ping, OpCode.setWatches, OpCode.closeSession, OpCode.checkWatches).map((op) => ({ op, result: { kind: 'empty' as const } })),
  fc.tuple(fc.constantFrom(OpCode.create, OpCode.sync), path).map(([op, p]) => ({ op, result: { kind: 'path' as const, path: p } })),
  fc.tuple(fc.constantFrom(OpCode.create2, OpCode.createContainer, OpCode.createTTL), path, stat).map(([op, p, s]) => ({ op, result: { kind: 'pathStat' as const, path: p, stat: s } })),
  fc.tuple(fc.constantFrom(OpCode.exists, OpCode.setData, OpCode.setACL), stat).map(([op, s]) => ({ op, result: { kind: 'stat' as const, stat: s } })),
  fc.tuple(data, stat).map(([d, s]) => ({ op: OpCode.getData, result: { kind: 'data' as const, data: d, stat: s } })),
  children.map((c) => ({ op: OpCode.getChildren, result: { kind: 'children' as const, ...c } })),
  fc.tuple(children, stat).map(([c, s]) => ({ op: OpCode.getChildren2, result: { kind: 'childrenStat' as const, ...c, stat: s } })),
  fc.tuple(fc.array(acl, { maxLength: 4 }), stat).map(([a, s]) => ({ op: OpCode.getACL, result: { kind: 'acl' as const, acl: a, stat: s } })),
  fc.array(multiResult, { maxLength: 5 }).map((results) => ({ op: OpCode.multi, result: { kind: 'multi' as const, results } })),
  fc.constant({ op: OpCode.addWatch, result: { kind: 'error' as const, err: 0 } }),
  paths.map((p) => ({ op: OpCode.getEphemerals, result: { kind: 'ephemerals' as const, paths: p } })),
  int.map((value) => ({ op: OpCode.getAllChildrenNumber, result: { kind: 'number' as const, value } })),
  fc.array(fc.record({ scheme: text, id: text }), { maxLength: 3 }).map((ids) => ({ op: OpCode.whoAmI, result: { kind: 'whoAmI' as const, ids } })),
);

/** Views and buffers as plain arrays, so that deepEqual compares content. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]));
  return value;
}
