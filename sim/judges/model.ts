/**
 * A plain model of the tree, fed with every committed txn once, in order. It decides nothing and trusts nobody: each txn must be one that may be
 * decided where it stands, and every reply is compared with the model as it was at the reply's zxid. Versions of znodes are kept for that.
 *
 * It also keeps what every watcher with all permissions would have heard, in order (changes). What a request may be answered is decided in
 * decisions.ts.
 *
 * Source of the rules: ZooKeeper's DataTree and PrepRequestProcessor.
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { CreateTxn, Txn, TxnHeader } from '../../coord/tree/txn.ts';
import { Code, EventType } from '../../coord/wire/codes.ts';
import type { Acl, Stat } from '../../coord/wire/types.ts';

export interface ModelNode {
  readonly data: string | null;
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly pzxid: Zxid;
  readonly version: number;
  readonly creates: number;
  readonly owner: bigint;
  readonly kind: CreateTxn['kind'];
  readonly ttlMs: number;
  readonly ctime: number;
  readonly mtime: number;
  readonly acl: readonly Acl[];
  readonly aversion: number;
  readonly children: ReadonlySet<string>;
}
/** What a watcher hears of one change: the znode's own event, then its parent's. `acl`: of the znode; of a deleted one, what it had. */
export interface Change {
  readonly zxid: Zxid;
  readonly type: EventType;
  readonly path: string;
  readonly acl: readonly Acl[];
}
interface Version {
  readonly zxid: Zxid;
  readonly node: ModelNode | null;
  /** Came and went within one multi. */
  readonly blip: boolean;
}
export interface Recorded {
  readonly header: TxnHeader;
  readonly txn: Txn;
}

const NO_CHILDREN: ReadonlySet<string> = new Set();
const ROOT: ModelNode = { data: '', czxid: 0, mzxid: 0, pzxid: 0, version: 0, creates: 0, owner: 0n, kind: 'persistent', ttlMs: 0, ctime: 0, mtime: 0, acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], aversion: 0, children: NO_CHILDREN };

export class Model {
  readonly #fail: (invariant: string, message: string) => void;
  readonly #versions = new Map<string, Version[]>([['/', [{ zxid: 0, node: ROOT, blip: false }]]]);
  readonly #txns = new Map<Zxid, Recorded>();
  /** Everything that watches tell of, in order. */
  readonly changes: Change[] = [];
  /** Live sessions and their ephemerals. */
  readonly sessions = new Map<bigint, Set<string>>();
  /** As negotiated, of every session that ever was. */
  readonly timeouts = new Map<bigint, number>();
  /** The leader ended a session by itself. */
  onExpired: ((sessionId: bigint) => void)[] = [];
  /** The leader deleted a container or a TTL znode by itself. */
  onReaped: ((kind: ModelNode['kind']) => void)[] = [];
  #zxid: Zxid = 0;

  constructor(fail: (invariant: string, message: string) => void) {
    this.#fail = fail;
  }

  txn(zxid: Zxid): Recorded | undefined {
    return this.#txns.get(zxid);
  }

  at(path: string, zxid: Zxid): ModelNode | null {
    const versions = this.#versions.get(path);
    if (versions === undefined) return null;
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version;
      if (version.zxid <= zxid) return version.node;
    }
    return null;
  }
  now(path: string): ModelNode | null {
    return this.#versions.get(path)?.at(-1)?.node ?? null;
  }
  *nodes(): Iterable<[string, ModelNode]> {
    for (const [path, versions] of this.#versions) {
      const node = versions.at(-1)?.node ?? null;
      if (node !== null) yield [path, node];
    }
  }

  /** Index of the first of `changes` with a zxid above this one. */
  changesAfter(zxid: Zxid): number {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.changes[middle] as Change).zxid > zxid) high = middle;
      else low = middle + 1;
    }
    return low;
  }
  /** Every path that ever was and begins so. */
  everCreated(prefix: string): string[] {
    return [...this.#versions.keys()].filter((path) => path.startsWith(prefix));
  }
  ephemeralsAt(sessionId: bigint, zxid: Zxid): string[] {
    return [...this.#versions.keys()].filter((path) => this.at(path, zxid)?.owner === sessionId);
  }

  /** First zxid after `after` at which a data watch (`child` false) or a child watch on the path would have fired; Infinity = none so far. */
  firstChange(path: string, after: Zxid, child: boolean): Zxid {
    const versions = this.#versions.get(path);
    if (versions === undefined) return Infinity;
    let first = Infinity;
    for (let i = versions.length - 1; i >= 0; i--) {
      const { zxid, node, blip } = versions[i] as Version;
      if (zxid <= after) break;
      const before = versions[i - 1]?.node ?? null;
      const isData = blip || (node === null) !== (before === null) || node?.mzxid !== before?.mzxid || node?.czxid !== before?.czxid;
      const isChild = node === null || (before !== null && node.pzxid !== before.pzxid);
      if (child ? isChild : isData) first = zxid;
    }
    return first;
  }

  // ------------------------------------------------------------ txns

  apply(header: TxnHeader, txn: Txn): void {
    const { zxid } = header;
    this.#zxid = zxid;
    this.#txns.set(zxid, { header: { ...header }, txn });
    this.#apply(header, txn);
  }

  #apply(header: TxnHeader, txn: Txn): void {
    switch (txn.type) {
      case 'create': {
        const parentPath = parentOf(txn.path);
        const parent = this.now(parentPath);
        if (parent === null) return this.#refuse(header, `creates ${txn.path} without a parent`);
        if (parent.owner !== 0n) return this.#refuse(header, `creates ${txn.path} below an ephemeral`);
        if (this.now(txn.path) !== null) return this.#refuse(header, `creates ${txn.path}, which is there`);
        if (txn.parentCVersion !== parent.creates + 1) return this.#refuse(header, `creates ${txn.path} as number ${txn.parentCVersion}, its parent has had ${parent.creates}`);
        const owner = txn.kind === 'ephemeral' ? header.sessionId : 0n;
        if (owner !== 0n) {
          const ephemerals = this.sessions.get(owner);
          if (ephemerals === undefined) return this.#refuse(header, `creates the ephemeral ${txn.path} of a session that has ended`);
          ephemerals.add(txn.path);
        }
        const zxid = header.zxid;
        const { timeMs } = header;
        this.#put(txn.path, {
          data: text(txn.data), czxid: zxid, mzxid: zxid, pzxid: zxid, version: 0, creates: 0, owner, kind: txn.kind, ttlMs: txn.ttlMs, ctime: timeMs, mtime: timeMs,
          acl: txn.acl, aversion: 0, children: NO_CHILDREN,
        });
        this.#put(parentPath, { ...parent, creates: txn.parentCVersion, pzxid: zxid, children: new Set(parent.children).add(nameOf(txn.path)) });
        this.changes.push({ zxid, type: EventType.NodeCreated, path: txn.path, acl: txn.acl }, { zxid, type: EventType.NodeChildrenChanged, path: parentPath, acl: parent.acl });
        return;
      }
      case 'delete':
        if (header.sessionId === 0n) this.#mayReap(header, txn.path);
        return this.#delete(header, txn.path);
      case 'setData': {
        const node = this.now(txn.path);
        if (node === null) return this.#refuse(header, `writes ${txn.path}, which is not there`);
        if (txn.version !== node.version + 1) return this.#refuse(header, `writes version ${txn.version} of ${txn.path} after ${node.version}`);
        this.#put(txn.path, { ...node, data: text(txn.data), version: txn.version, mzxid: header.zxid, mtime: header.timeMs });
        this.changes.push({ zxid: header.zxid, type: EventType.NodeDataChanged, path: txn.path, acl: node.acl });
        return;
      }
      case 'setACL': {
        const node = this.now(txn.path);
        if (node === null) return this.#refuse(header, `sets the ACL of ${txn.path}, which is not there`);
        if (txn.aversion !== node.aversion + 1) return this.#refuse(header, `writes aversion ${txn.aversion} of ${txn.path} after ${node.aversion}`);
        this.#put(txn.path, { ...node, acl: txn.acl, aversion: txn.aversion });
        return;
      }
      case 'createSession':
        if (this.sessions.has(txn.sessionId)) this.#refuse(header, `creates session ${txn.sessionId}, which is there`);
        this.sessions.set(txn.sessionId, new Set());
        this.timeouts.set(txn.sessionId, txn.timeoutMs);
        return;
      case 'closeSession': {
        const ephemerals = this.sessions.get(txn.sessionId) ?? new Set<string>();
        if (ephemerals.size !== txn.paths.length || !txn.paths.every((path) => ephemerals.has(path))) {
          return this.#refuse(header, `closes session ${txn.sessionId} with ${txn.paths.join(' ')}, it has ${[...ephemerals].join(' ')}`);
        }
        for (const path of txn.paths) this.#delete(header, path);
        this.sessions.delete(txn.sessionId);
        if (header.requestNo === 0) for (const each of this.onExpired) each(txn.sessionId);
        return;
      }
      case 'multi':
        for (const op of txn.txns) {
          if (op.type !== 'check') this.#apply(header, op);
          else if (this.now(op.path) === null) this.#refuse(header, `checks ${op.path}, which is not there`);
        }
        return;
      case 'error':
      case 'failedMulti':
        return;
    }
  }

  /** Nobody but the server itself deletes as session 0: containers that had a child and have none, TTL znodes whose time is over. */
  #mayReap(header: TxnHeader, path: string): void {
    const node = this.now(path);
    if (node === null) return;
    const { timeMs } = header;
    for (const each of this.onReaped) each(node.kind);
    if (node.kind === 'container') {
      if (node.creates === 0) this.#refuse(header, `reaps the container ${path}, which never had a child`);
    } else if (node.kind !== 'ttl') this.#refuse(header, `reaps ${path}, which is ${node.kind}`);
    else if (node.mtime + node.ttlMs >= timeMs) this.#refuse(header, `reaps ${path} ${node.mtime + node.ttlMs - timeMs} ms before its TTL is over`);
  }

  #delete(header: TxnHeader, path: string): void {
    const node = this.now(path);
    if (node === null) return this.#refuse(header, `deletes ${path}, which is not there`);
    if (node.children.size > 0) return this.#refuse(header, `deletes ${path}, which has children`);
    if (node.owner !== 0n) this.sessions.get(node.owner)?.delete(path);
    this.#put(path, null);
    const parentPath = parentOf(path);
    const parent = this.now(parentPath) as ModelNode;
    const children = new Set(parent.children);
    children.delete(nameOf(path));
    this.#put(parentPath, { ...parent, pzxid: header.zxid, children });
    this.changes.push({ zxid: header.zxid, type: EventType.NodeDeleted, path, acl: node.acl }, { zxid: header.zxid, type: EventType.NodeChildrenChanged, path: parentPath, acl: parent.acl });
  }

  #put(path: string, node: ModelNode | null): void {
    const versions = this.#versions.get(path);
    const zxid = this.#zxid;
    if (versions === undefined) this.#versions.set(path, [{ zxid, node, blip: false }]);
    else if (versions.at(-1)?.zxid !== zxid) versions.push({ zxid, node, blip: false });
    else versions[versions.length - 1] = { zxid, node, blip: node === null && (versions.at(-2)?.node ?? null) === null };
  }

  #refuse(header: TxnHeader, why: string): void {
    this.#fail('TxnDecision', `txn ${formatZxid(header.zxid)} ${why}`);
  }

  // ------------------------------------------------------------ replies

  /** Null, or in what the stat differs from the znode at that zxid. */
  differs(path: string, zxid: Zxid, stat: Stat): string | null {
    const node = this.at(path, zxid);
    if (node === null) return 'there is no such znode';
    return differing('czxid', stat.czxid, node.czxid) ?? differing('mzxid', stat.mzxid, node.mzxid) ?? differing('pzxid', stat.pzxid, node.pzxid) ??
      differing('version', stat.version, node.version) ?? differing('cversion', stat.cversion, 2 * node.creates - node.children.size) ??
      differing('numChildren', stat.numChildren, node.children.size) ?? differing('ephemeralOwner', stat.ephemeralOwner, node.owner) ??
      differing('dataLength', stat.dataLength, node.data === null ? 0 : Buffer.byteLength(node.data)) ?? differing('aversion', stat.aversion, node.aversion) ??
      differing('ctime', stat.ctime, node.ctime) ?? differing('mtime', stat.mtime, node.mtime);
  }

  /** Whether a write on this path may be refused with this code right before `zxid`. */
  mayRefuse(err: number, path: string, version: number, sessionId: bigint, zxid: Zxid): boolean {
    const node = this.at(path, zxid - 1);
    switch (err) {
      case Code.NODEEXISTS:
        return node !== null;
      case Code.NONODE:
        return node === null || this.at(parentOf(path), zxid - 1) === null;
      case Code.BADVERSION:
        return node !== null && version !== -1 && node.version !== version;
      case Code.NOTEMPTY:
        return node !== null && node.children.size > 0;
      case Code.SESSIONEXPIRED:
        return !this.sessions.has(sessionId);
      default:
        return false;
    }
  }
}

function differing(name: string, seen: number | bigint, expected: number | bigint): string | null {
  return seen === expected ? null : `${name} is ${seen}, not ${expected}`;
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
function text(data: Uint8Array | null): string | null {
  return data === null ? null : Buffer.from(data).toString();
}
