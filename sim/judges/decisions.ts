/**
 * What a request must be answered, by the model alone: written after ZooKeeper's rules and not after our product's code, so that the two can
 * disagree. A write is decided as of right before its own zxid, a read as of the zxid of its reply.
 *
 * Source: PrepRequestProcessor.pRequest2Txn, ZooKeeperServer.checkACL, FinalRequestProcessor.
 */
import type { Zxid } from '../../coord/base/zxid.ts';
import { Code, CreateFlag, OpCode, Perms } from '../../coord/wire/codes.ts';
import type { Acl, AuthId, ClientRequest } from '../../coord/wire/types.ts';
import { parentOf, type Model, type ModelNode } from './model.ts';

/** Whether one of these ids has one of these permissions. World, digest and ip addresses are all that the simulated clients use. */
export function permits(acl: readonly Acl[], perms: number, ids: readonly AuthId[]): boolean {
  if (acl.length === 0) return true;
  return acl.some((entry) => (entry.perms & perms) !== 0 && ((entry.scheme === 'world' && entry.id === 'anyone') || ids.some((id) => id.scheme === entry.scheme && id.id === entry.id)));
}

/** The ACL that is stored for the one that was asked for; null: none can be. */
function storedAcl(asked: readonly Acl[] | null, ids: readonly AuthId[]): readonly Acl[] | null {
  if (asked === null || asked.length === 0) return null;
  const stored: Acl[] = [];
  const add = (entry: Acl): void => {
    if (!stored.some((each) => sameEntry(each, entry))) stored.push(entry);
  };
  for (const entry of asked) {
    if (entry.scheme !== 'auth') add(entry);
    else {
      const own = ids.filter(({ scheme }) => scheme === 'digest');
      if (own.length === 0) return null;
      for (const { scheme, id } of own) add({ perms: entry.perms, scheme, id });
    }
  }
  return stored;
}

export function sameAcl(a: readonly Acl[], b: readonly Acl[]): boolean {
  return a.length === b.length && a.every((entry, i) => sameEntry(entry, b[i] as Acl));
}
function sameEntry(a: Acl, b: Acl): boolean {
  return a.perms === b.perms && a.scheme === b.scheme && a.id === b.id;
}

/** Codes of a multi's operations; one code for everything else. */
export type Decision = number | readonly number[];

/** Of a write that has this zxid. */
export function decideWrite(model: Model, request: ClientRequest, ids: readonly AuthId[], zxid: Zxid): Decision {
  const view = new View(model, zxid - 1);
  if (request.op !== OpCode.multi) return decideOne(view, request, ids);
  const ops = request.ops ?? [];
  const codes: number[] = [];
  for (const op of ops) {
    const failed = codes.some((code) => code !== Code.OK);
    codes.push(failed ? Code.RUNTIMEINCONSISTENCY : decideOne(view, op, ids));
  }
  return codes;
}

/** Of a read whose reply has this zxid. */
export function decideRead(model: Model, request: ClientRequest, ids: readonly AuthId[], zxid: Zxid): number {
  const node = model.at(request.path, zxid);
  if (node === null) return Code.NONODE;
  return permits(node.acl, request.op === OpCode.getACL ? Perms.READ | Perms.ADMIN : Perms.READ, ids) ? Code.OK : Code.NOAUTH;
}

/** The model as of a zxid, and what the operations of one multi have changed in it. */
class View {
  readonly #model: Model;
  readonly #zxid: Zxid;
  readonly #changed = new Map<string, ModelNode | null>();

  constructor(model: Model, zxid: Zxid) {
    this.#model = model;
    this.#zxid = zxid;
  }
  get(path: string): ModelNode | null {
    const changed = this.#changed.get(path);
    return changed === undefined ? this.#model.at(path, this.#zxid) : changed;
  }
  set(path: string, node: ModelNode | null): void {
    this.#changed.set(path, node);
  }
}

const NEW: Omit<ModelNode, 'acl' | 'owner' | 'kind'> = { data: '', czxid: 0, mzxid: 0, pzxid: 0, version: 0, creates: 0, ttlMs: 0, ctime: 0, mtime: 0, aversion: 0, children: new Set() };

function decideOne(view: View, request: ClientRequest, ids: readonly AuthId[]): number {
  const { path, version } = request;
  const node = view.get(path);
  switch (request.op) {
    case OpCode.setData:
      if (node === null) return Code.NONODE;
      if (!permits(node.acl, Perms.WRITE, ids)) return Code.NOAUTH;
      if (version !== -1 && version !== node.version) return Code.BADVERSION;
      view.set(path, { ...node, version: node.version + 1 });
      return Code.OK;
    case OpCode.check:
      if (node === null) return Code.NONODE;
      if (!permits(node.acl, Perms.READ, ids)) return Code.NOAUTH;
      return version !== -1 && version !== node.version ? Code.BADVERSION : Code.OK;
    case OpCode.setACL: {
      const acl = storedAcl(request.acl, ids);
      if (acl === null) return Code.INVALIDACL;
      if (node === null) return Code.NONODE;
      if (!permits(node.acl, Perms.ADMIN, ids)) return Code.NOAUTH;
      return version !== -1 && version !== node.aversion ? Code.BADVERSION : Code.OK;
    }
    case OpCode.delete: {
      const parent = view.get(parentOf(path));
      if (parent === null) return Code.NONODE;
      if (!permits(parent.acl, Perms.DELETE, ids)) return Code.NOAUTH;
      if (node === null) return Code.NONODE;
      if (version !== -1 && version !== node.version) return Code.BADVERSION;
      if (node.children.size > 0) return Code.NOTEMPTY;
      view.set(path, null);
      const children = new Set(parent.children);
      children.delete(nameOf(path));
      view.set(parentOf(path), { ...parent, children });
      return Code.OK;
    }
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return decideCreate(view, request, ids);
    default:
      return Code.UNIMPLEMENTED;
  }
}

function decideCreate(view: View, request: ClientRequest, ids: readonly AuthId[]): number {
  const { flags } = request;
  const acl = storedAcl(request.acl, ids);
  if (acl === null) return Code.INVALIDACL;
  const parentPath = parentOf(request.path);
  const parent = view.get(parentPath);
  if (parent === null) return Code.NONODE;
  if (!permits(parent.acl, Perms.CREATE, ids)) return Code.NOAUTH;
  const isSequential = flags === CreateFlag.PERSISTENT_SEQUENTIAL || flags === CreateFlag.EPHEMERAL_SEQUENTIAL || flags === CreateFlag.PERSISTENT_SEQUENTIAL_WITH_TTL;
  const path = isSequential ? request.path + String(parent.creates).padStart(10, '0') : request.path;
  if (view.get(path) !== null) return Code.NODEEXISTS;
  if (parent.owner !== 0n) return Code.NOCHILDRENFOREPHEMERALS;
  const isEphemeral = request.op !== OpCode.createContainer && (flags === CreateFlag.EPHEMERAL || flags === CreateFlag.EPHEMERAL_SEQUENTIAL);
  view.set(path, { ...NEW, acl, owner: isEphemeral ? 1n : 0n, kind: isEphemeral ? 'ephemeral' : 'persistent' });
  view.set(parentPath, { ...parent, creates: parent.creates + 1, children: new Set(parent.children).add(nameOf(path)) });
  return Code.OK;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
