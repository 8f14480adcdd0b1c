/**
 * Answers reads from the tree as it stands.
 *
 * Watches are left to the pipeline, which looks at err: with OK, exists and getData leave a data watch, getChildren and getChildren2 a child
 * watch. exists leaves a data watch on NONODE too; no other error, of no other read, leaves one. multiRead leaves none.
 *
 * A result shows the tree, it is no copy: stat, data and children are valid until the next txn is applied. Encode it before.
 * The object that is returned is used again by the next call.
 *
 * Source: FinalRequestProcessor.
 */
import { Code, OpCode, Perms } from '../wire/codes.ts';
import type { AuthId, ClientRequest, MultiResult, Result, Stat } from '../wire/types.ts';
import { checkAcl, maskDigests } from './acl.ts';
import type { DataTree } from './data-tree.ts';
import type { Znode } from './znode.ts';

export interface ReadResult {
  readonly err: number;
  readonly result: Result | null;
}

/** UNIMPLEMENTED for what is no read. */
export function executeRead(tree: DataTree, request: ClientRequest, ids: readonly AuthId[], session: bigint): ReadResult {
  if (request.malformed !== 0) return failed(request.malformed);
  switch (request.op) {
    case OpCode.getData:
    case OpCode.exists: {
      const node = tree.get(request.path);
      if (node === undefined) return failed(Code.NONODE);
      if (!checkAcl(node.acl, Perms.READ, ids)) return failed(Code.NOAUTH);
      if (request.op === OpCode.exists) {
        statResult.stat = node;
        return done(statResult);
      }
      dataResult.data = node.data;
      dataResult.stat = node;
      return done(dataResult);
    }
    case OpCode.multiRead:
      return multiRead(tree, request, ids);
    case OpCode.getEphemerals:
      return done({ kind: 'ephemerals', paths: ephemeralsOf(tree, session, request.path) });
    case OpCode.whoAmI:
      return done({ kind: 'whoAmI', ids: ids.map(withoutDigest) });
    case OpCode.getChildren:
    case OpCode.getChildren2:
    case OpCode.getACL:
    case OpCode.getAllChildrenNumber: {
      const node = tree.get(request.path);
      if (node === undefined) return failed(Code.NONODE);
      const perm = request.op === OpCode.getACL ? Perms.READ | Perms.ADMIN : Perms.READ;
      if (!checkAcl(node.acl, perm, ids)) return failed(Code.NOAUTH);
      return done(readNode(tree, request.op, node, ids));
    }
    default:
      return failed(Code.UNIMPLEMENTED);
  }
}

/** Who, and not by which digest. */
function withoutDigest({ scheme, id }: AuthId): AuthId {
  return { scheme, id: scheme === 'digest' ? (id.split(':', 1)[0] as string) : id };
}

function readNode(
  tree: DataTree, op: typeof OpCode.getChildren | typeof OpCode.getChildren2 | typeof OpCode.getACL | typeof OpCode.getAllChildrenNumber,
  node: Znode, ids: readonly AuthId[],
): Result {
  switch (op) {
    case OpCode.getChildren:
      return { kind: 'children', children: node.names, count: node.numChildren };
    case OpCode.getChildren2:
      return { kind: 'childrenStat', children: node.names, count: node.numChildren, stat: node };
    case OpCode.getACL:
      return { kind: 'acl', acl: checkAcl(node.acl, Perms.ADMIN, ids) ? node.acl : maskDigests(node.acl), stat: node };
    case OpCode.getAllChildrenNumber:
      return { kind: 'number', value: countBelow(tree, node) };
  }
}

/** getData and getChildren, each with its own success or error. */
function multiRead(tree: DataTree, request: ClientRequest, ids: readonly AuthId[]): ReadResult {
  const ops = request.ops ?? [];
  if (!ops.every((op) => op.op === OpCode.getData || op.op === OpCode.getChildren)) return failed(Code.MARSHALLINGERROR);
  const results: MultiResult[] = ops.map((op) => {
    const node = tree.get(op.path);
    if (node === undefined) return { op: OpCode.error, err: Code.NONODE, result: null };
    if (!checkAcl(node.acl, Perms.READ, ids)) return { op: OpCode.error, err: Code.NOAUTH, result: null };
    if (op.op === OpCode.getData) return { op: op.op, err: Code.OK, result: { kind: 'data', data: node.data, stat: node } };
    return { op: op.op, err: Code.OK, result: readNode(tree, OpCode.getChildren, node, ids) };
  });
  return done({ kind: 'multi', results });
}

function ephemeralsOf(tree: DataTree, session: bigint, prefix: string): string[] {
  const ephemerals = tree.sessions.get(session)?.ephemerals;
  if (ephemerals === undefined) return [];
  return prefix === '' || prefix === '/' ? [...ephemerals] : [...ephemerals].filter((path) => path.startsWith(prefix));
}

function countBelow(tree: DataTree, top: Znode): number {
  if (top.path === '/') return tree.nodeCount - 2;
  let count = 0;
  const open: Znode[] = [top];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    count += node.numChildren;
    for (const child of node.children()) if (child.numChildren > 0) open.push(child);
  }
  return count;
}

function failed(err: number): ReadResult {
  shared.err = err;
  shared.result = null;
  return shared;
}

function done(result: Result): ReadResult {
  shared.err = Code.OK;
  shared.result = result;
  return shared;
}

const NO_STAT = null as unknown as Stat;
const shared: { err: number; result: Result | null } = { err: 0, result: null };
const dataResult: { kind: 'data'; data: Uint8Array | null; stat: Stat } = { kind: 'data', data: null, stat: NO_STAT };
const statResult: { kind: 'stat'; stat: Stat } = { kind: 'stat', stat: NO_STAT };
