/**
 * Whether the reply to a request is the one that the model gives: its code by decisions.ts, its body by the model at the reply's zxid.
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import { Code, codeName, OpCode, Perms } from '../../coord/wire/codes.ts';
import type { Acl, AuthId, ClientRequest, Result, Stat } from '../../coord/wire/types.ts';
import { decideRead, decideWrite, permits, sameAcl } from '../judges/decisions.ts';
import type { Judge } from '../judges/judge.ts';
import type { Model } from '../judges/model.ts';

const WRITES = new Set<number>([OpCode.create, OpCode.create2, OpCode.createContainer, OpCode.createTTL, OpCode.delete, OpCode.setData, OpCode.setACL, OpCode.multi]);
const READS = new Set<number>([OpCode.getData, OpCode.exists, OpCode.getChildren, OpCode.getChildren2, OpCode.getACL]);

export interface Asked {
  readonly who: string;
  readonly request: ClientRequest;
  readonly sessionId: bigint;
  /** What the connection had proved when it was sent. */
  readonly ids: readonly AuthId[];
  readonly ackedBefore: Zxid;
}

export function isWrite(op: number): boolean {
  return WRITES.has(op);
}

export function checkReply(judge: Judge, asked: Asked, zxid: Zxid, err: number, result: Result | null): void {
  const { who, request, ids } = asked;
  const what = `${who}'s ${nameOf(request.op)} of ${request.path}`;
  const at = formatZxid(zxid);
  if (zxid > judge.committedZxid) return judge.fail('AckedWrites', `${what} was told of ${at}, which nobody has delivered`);
  if (READS.has(request.op)) {
    const expected = decideRead(judge.model, request, ids, zxid);
    if (err !== expected) return judge.fail('ReadResult', `${what} is answered ${codeName(err)} at ${at}, not ${codeName(expected)}`);
  } else if (isWrite(request.op)) {
    const wrong = writeDiffers(judge, asked, zxid, err, result);
    if (wrong !== null) return judge.fail('WriteResult', `${what} at ${at}: ${wrong}`);
  }
  const differs = err === Code.OK && result !== null ? resultDiffers(judge.model, asked, zxid, result) : null;
  if (differs !== null) judge.fail(isWrite(request.op) ? 'WriteResult' : 'ReadResult', `${what} at ${at}: ${differs}`);
}

function writeDiffers(judge: Judge, { request, sessionId, ids, ackedBefore }: Asked, zxid: Zxid, err: number, result: Result | null): string | null {
  if (zxid <= ackedBefore) judge.fail('RealTimeOrder', `a ${nameOf(request.op)} has ${formatZxid(zxid)}, not after ${formatZxid(ackedBefore)}, which was acked before it began`);
  const recorded = judge.model.txn(zxid);
  if (recorded === undefined) return 'there is no such txn';
  if (recorded.header.sessionId !== sessionId) return 'that txn is another session\'s';
  const decided = decideWrite(judge.model, request, ids, zxid);
  if (err === Code.SESSIONEXPIRED) return judge.model.sessions.has(sessionId) ? 'refused as expired, and the session lives' : null;
  if (typeof decided === 'number') return err === decided ? null : `answered ${codeName(err)}, not ${codeName(decided)}`;
  // A failed multi is no error of the reply.
  if (err !== Code.OK) return `answered ${codeName(err)}`;
  const codes = result?.kind === 'multi' ? result.results.map((each) => each.err) : [];
  const failed = decided.some((code) => code !== Code.OK);
  const expected = failed ? decided.map((code, i) => (decided.findIndex((each) => each !== Code.OK) > i ? Code.OK : code)) : decided;
  return codes.length === expected.length && codes.every((code, i) => code === expected[i]) ? null : `answered ${codes.map(codeName).join(' ')}, not ${expected.map(codeName).join(' ')}`;
}

function resultDiffers(model: Model, { request, ids, sessionId }: Asked, zxid: Zxid, result: Result): string | null {
  const { path } = request;
  switch (result.kind) {
    case 'data': {
      const seen = result.data === null ? null : Buffer.from(result.data).toString();
      const { data } = model.at(path, zxid) ?? { data: null };
      return seen === data ? model.differs(path, zxid, result.stat) : `shows ${String(seen).slice(0, 40)}, not ${String(data).slice(0, 40)}`;
    }
    case 'stat':
      return model.differs(path, zxid, result.stat);
    case 'pathStat': {
      const { txn } = model.txn(zxid) ?? {};
      return txn?.type === 'create' && txn.path === result.path ? model.differs(result.path, zxid, result.stat) : `created ${result.path}`;
    }
    case 'children':
    case 'childrenStat': {
      const names = new Set(result.children);
      const node = model.at(path, zxid);
      if (node === null || names.size !== node.children.size || [...node.children].some((name) => !names.has(name))) return `shows ${names.size} children, there are ${node?.children.size ?? 0}`;
      return result.kind === 'childrenStat' ? model.differs(path, zxid, result.stat) : null;
    }
    case 'acl': {
      const node = model.at(path, zxid);
      if (node === null) return 'there is no such znode';
      const acl = permits(node.acl, Perms.ADMIN, ids) ? node.acl : node.acl.map(masked);
      return sameAcl(result.acl, acl) ? model.differs(path, zxid, result.stat) : `shows ${JSON.stringify(result.acl)}, not ${JSON.stringify(acl)}`;
    }
    case 'ephemerals': {
      const expected = model.ephemeralsAt(sessionId, zxid);
      return result.paths.length === expected.length && expected.every((each) => result.paths.includes(each)) ? null : `shows ${result.paths.join(' ')}, not ${expected.join(' ')}`;
    }
    case 'multi':
      return multiDiffers(model, request, zxid, result.results);
    default:
      return null;
  }
}

function multiDiffers(model: Model, request: ClientRequest, zxid: Zxid, results: readonly { readonly err: number; readonly result: Result | null }[]): string | null {
  const { txn } = model.txn(zxid) ?? {};
  if (results.some(({ err }) => err !== Code.OK)) return txn?.type === 'failedMulti' ? null : `it failed, the txn is ${txn?.type}`;
  if (txn?.type !== 'multi') return `it succeeded, the txn is ${txn?.type}`;
  const ops = request.ops ?? [];
  for (const [i, { result }] of results.entries()) {
    const op = ops[i] as ClientRequest;
    const done = txn.txns[i];
    if (done === undefined || !done.path.startsWith(op.path)) return `operation ${i} was done to ${done?.path}`;
    // Others of the same multi may have changed the znode after it: only what cannot change is compared.
    const stat: Stat | null = result !== null && 'stat' in result ? result.stat : null;
    if (stat !== null && stat.mzxid !== zxid) return `operation ${i} shows mzxid ${formatZxid(stat.mzxid)}`;
    if (result?.kind === 'pathStat' && result.path !== done.path) return `operation ${i} names ${result.path}, not ${done.path}`;
  }
  return null;
}

function masked(entry: Acl): Acl {
  return entry.scheme === 'digest' ? { ...entry, id: entry.id.replace(/:.*/s, ':x') } : entry;
}

/** Whoever looks before it tries again makes one znode, however many replies are lost. */
export function checkProtected(judge: Judge, who: string, prefix: string): void {
  const made = judge.model.everCreated(prefix);
  if (made.length !== 1) judge.fail('ProtectedCreate', `${who} made ${made.length === 0 ? 'nothing' : made.join(' and ')} for one protected create`);
}

const NAMES = new Map<number, string>(Object.entries(OpCode).map(([name, code]) => [code, name]));
export function nameOf(op: number): string {
  return NAMES.get(op) ?? String(op);
}
