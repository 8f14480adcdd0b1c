/**
 * Scripts for the tree. The command `do` runs the lines below it, one operation each, and prints each with what came of it; events of a watcher
 * at the root (persistent, recursive) and of plain watches come first. Words: `as=1` session, `ids=digest:u:h,ip:1.2.3.4` what the
 * connection has proved, `v=` expected version, `data=`, `flags=`, `ttl=`, `acl=perms:scheme:id,…`. Subrequests of a multi are separated by ` ; `.
 * `pend` leaves what follows outstanding, `commit` applies it.
 */
import { executeRead } from '../../../coord/tree/read-requests.ts';
import { reapCandidates } from '../../../coord/tree/reaper.ts';
import { OPEN_ACL } from '../../../coord/tree/acl.ts';
import type { ApplyResult } from '../../../coord/tree/data-tree.ts';
import { OpCode, codeName } from '../../../coord/wire/codes.ts';
import type { Acl, AuthId, ClientRequest, Result, Stat } from '../../../coord/wire/types.ts';
import { TreeHarness, dump, requestOf } from './harness.ts';
import type { Command } from '../../lib/datadriven.ts';

const OPS: Record<string, OpCode> = {
  create: OpCode.create, create2: OpCode.create2, container: OpCode.createContainer, ttl: OpCode.createTTL, delete: OpCode.delete,
  set: OpCode.setData, setacl: OpCode.setACL, check: OpCode.check, reap: OpCode.deleteContainer, get: OpCode.getData,
  exists: OpCode.exists, ls: OpCode.getChildren, ls2: OpCode.getChildren2, getacl: OpCode.getACL, ephemerals: OpCode.getEphemerals,
  count: OpCode.getAllChildrenNumber, whoami: OpCode.whoAmI, reconfig: OpCode.reconfig,
};
const READS = new Set(['get', 'exists', 'ls', 'ls2', 'getacl', 'ephemerals', 'count', 'whoami']);

export function interpreter(): (command: Command) => string {
  const harness = new TreeHarness({ juteMaxBuffer: 1000 });
  const events: string[] = [];
  harness.tree.onChange = (event, path, zxid) => events.push(`  ${event} ${path} @${zxid}`);
  let pending: { line: string }[] | null = null;

  const execute = (line: string): string[] => {
    const words = line.trim().split(/\s+/);
    const verb = words[0] as string;
    if (verb === 'pend') {
      pending = [];
      return [];
    }
    if (verb === 'commit') return (pending ?? []).flatMap((waiting) => applied(waiting.line)).concat(((pending = null), []));
    if (verb === 'reapable') return [`${line} -> ${reapCandidates(harness.tree, Number(words[1])).join(' ')}`];
    if (verb === 'time') {
      harness.timeMs = Number(words[1]);
      return [];
    }
    if (READS.has(verb)) {
      const read = executeRead(harness.tree, parse(words), idsOf(words), sessionOf(words));
      return [`${line} -> ${show(read)}`];
    }
    if (verb === 'session') harness.createSession(BigInt(words[1] as string));
    else if (verb === 'close') harness.closeSession(BigInt(words[1] as string));
    else harness.request(verb === 'multi' ? multi(line) : parse(words), sessionOf(words), idsOf(words));
    if (pending !== null) {
      pending.push({ line });
      return [];
    }
    return applied(line);
  };

  const applied = (line: string): string[] => {
    const [result] = harness.commit(1);
    const shown = [...events.splice(0), `${line} -> ${show(result as ApplyResult)}`];
    if (harness.tree.digest !== harness.follower.digest) shown.push(`!! the follower differs\n${dump(harness.follower).join('\n')}`);
    return shown;
  };

  return (command) => {
    if (command.name === 'do') return command.input.split('\n').flatMap(execute).join('\n');
    if (command.name === 'dump') return dump(harness.tree).join('\n');
    throw new Error(`${command.position}: unknown command ${command.name}`);
  };
}

function multi(line: string): ClientRequest {
  const ops = line.replace(/^multi/, '').split(';').map((op) => op.trim().split(/\s+/).filter((word) => word !== '' && !/^(as|ids)=/.test(word)));
  return requestOf({ op: OpCode.multi, ops: ops.filter((words) => words.length > 0).map(parse) });
}

function parse(words: readonly string[]): ClientRequest {
  const option = (name: string): string | undefined => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  const op = OPS[words[0] as string];
  if (op === undefined) throw new Error(`unknown operation ${words.join(' ')}`);
  const data = option('data');
  const size = option('size');
  const path = words[1] === undefined || words[1].includes('=') ? '' : words[1].replaceAll("''", '');
  return requestOf({
    op,
    path: path.replaceAll('\\0', '\0'),
    data: size !== undefined ? Buffer.alloc(Number(size), 'x') : data === undefined ? null : Buffer.from(data),
    version: Number(option('v') ?? -1),
    flags: Number(option('flags') ?? (op === OpCode.createTTL ? 5 : op === OpCode.createContainer ? 4 : 0)),
    ttlMs: Number(option('ttl') ?? 0),
    acl: aclOf(option('acl')),
  });
}

function aclOf(text: string | undefined): readonly Acl[] | null {
  if (text === undefined) return OPEN_ACL;
  if (text === 'null') return null;
  return text.split(',').filter((part) => part !== '').map((part) => {
    const [perms, scheme, ...id] = part.split(':');
    return { perms: Number(perms), scheme: scheme as string, id: id.join(':') };
  });
}

function idsOf(words: readonly string[]): AuthId[] {
  const text = words.find((word) => word.startsWith('ids='))?.slice(4) ?? '';
  return text.split(',').filter((part) => part !== '').map((part) => {
    const colon = part.indexOf(':');
    return { scheme: part.slice(0, colon), id: part.slice(colon + 1) };
  });
}

function sessionOf(words: readonly string[]): bigint {
  return BigInt(words.find((word) => word.startsWith('as='))?.slice(3) ?? 0);
}

function show({ err, result }: { err: number; result: Result | null }): string {
  if (err !== 0) return codeName(err);
  if (result === null) return 'OK';
  switch (result.kind) {
    case 'path':
      return `${result.path} OK`;
    case 'pathStat':
      return `${result.path} ${stat(result.stat)} OK`;
    case 'stat':
      return `${stat(result.stat)} OK`;
    case 'data':
      return `${result.data === null ? 'null' : JSON.stringify(Buffer.from(result.data).toString())} ${stat(result.stat)} OK`;
    case 'children':
      return `${[...result.children].sort().join(' ')} OK`;
    case 'childrenStat':
      return `${[...result.children].sort().join(' ')} ${stat(result.stat)} OK`;
    case 'acl':
      return `${result.acl.map((entry) => `${entry.perms}:${entry.scheme}:${entry.id}`).join(',')} aversion=${result.stat.aversion} OK`;
    case 'multi':
      return `[${result.results.map((sub) => `${sub.op} ${show(sub)}`).join(' | ')}] OK`;
    case 'ephemerals':
      return `${[...result.paths].sort().join(' ')} OK`;
    case 'number':
      return `${result.value} OK`;
    case 'whoAmI':
      return `${result.ids.map((id) => `${id.scheme}:${id.id}`).join(',')} OK`;
    default:
      return JSON.stringify(result);
  }
}

function stat(s: Stat): string {
  const owner = s.ephemeralOwner === 0n ? '' : ` owner=${s.ephemeralOwner}`;
  return `{c${s.czxid} m${s.mzxid} p${s.pzxid} v${s.version} cv${s.cversion} av${s.aversion} len${s.dataLength} n${s.numChildren}${owner}}`;
}
