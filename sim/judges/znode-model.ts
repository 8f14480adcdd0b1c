/**
 * Znodes as clients are promised them, for the linearizability checker: a sequential object without zxids, servers or watches.
 *
 * Rules: ZooKeeper's PrepRequestProcessor and DataTree. The number of a sequential child is the count of creates that its parent has seen; a session
 * that has ended changes nothing any more, and took its ephemerals with it at once.
 */
import { Code } from '../../coord/wire/codes.ts';
import { mix } from './hash.ts';
import type { SequentialModel } from './linearizability.ts';
import { PersistentMap } from './persistent-map.ts';

export interface Mutation {
  readonly kind: 'create' | 'set' | 'delete' | 'check';
  /** Of a sequential create: without its number. */
  readonly path: string;
  readonly value: string;
  /** Expected; -1 = any. */
  readonly version: number;
  readonly ephemeral: boolean;
  readonly sequential: boolean;
}

/** What was asked, and what was answered: of that only what is given is compared. `outcome` null: nobody knows. */
export interface ZnodeOp {
  readonly kind: 'write' | 'multi' | 'read' | 'children' | 'end-session';
  readonly session: bigint;
  /** One, except of a multi. */
  readonly mutations: readonly Mutation[];
  /** What is read. */
  readonly path: string;
  readonly outcome: Outcome | null;
}
export interface Outcome {
  /** Of a multi: the first that is not 0. */
  readonly err: number;
  /** Of a failed multi: which op failed. */
  readonly failedAt?: number;
  readonly data?: string | null;
  readonly version?: number;
  readonly children?: readonly string[];
  /** What a create made; per op of a multi. */
  readonly created?: readonly (string | null)[];
}

interface Znode {
  readonly data: string | null;
  readonly version: number;
  readonly owner: bigint;
  readonly creates: number;
  /** How many it has. */
  readonly children: number;
}
export interface Znodes {
  readonly nodes: PersistentMap<string, Znode>;
  /** Sessions that have ended, as far as it mattered here. */
  readonly ended: ReadonlySet<bigint>;
  readonly hash: number;
}

const ROOT = '/';
/** In place of all values that nobody read: they are all the same to everybody. */
const UNREAD = '\0unread';

/** '/' cannot be deleted and is everyone's parent: of its children it knows only if `root` says so. `read`: all values that somebody read; null: any may have been. */
export function znodeModel(root: boolean, read: ReadonlySet<string> | null = null): SequentialModel<Znodes, ZnodeOp> {
  const valueOf = (value: string): string => (read === null || read.has(value) ? value : UNREAD);
  const touched = new WeakMap<ZnodeOp, readonly string[]>();
  const touchedBy = (op: ZnodeOp): readonly string[] => {
    let known = touched.get(op);
    if (known === undefined) touched.set(op, (known = op.mutations.length > 0 ? op.mutations.flatMap(({ path, sequential }) => touchedPaths(path, sequential, root)) : touchedPaths(op.path, false, root)));
    return known;
  };
  return {
    init: { nodes: new PersistentMap([[ROOT, { data: '', version: 0, owner: 0n, creates: 0, children: 0 }]]), ended: new Set(), hash: 0 },
    step: (state, op) => stepZnodes(state, op, root, valueOf),
    readsOnly: ({ kind, outcome }) => kind === 'read' || kind === 'children' || (kind !== 'end-session' && outcome !== null && outcome.err !== 0),
    hash: (state) => state.hash,
    equal: (a, b) => a === b || sameZnodes(a, b),
    commute: (a, b) => {
      if (a.kind === 'end-session' || b.kind === 'end-session') return false;
      const others = touchedBy(b);
      return !touchedBy(a).some((path) => others.includes(path));
    },
    likeness: ({ kind, session, mutations }) =>
      kind === 'end-session' ? null : `${session} ${kind} ${mutations.map((each) => `${each.kind} ${each.path} ${each.kind === 'set' || each.kind === 'create' ? valueOf(each.value) : ''} ${each.version} ${each.ephemeral} ${each.sequential}`).join(' ')}`,
  };
}

/** What an operation on this path looks at or changes; '/' is always there and everyone's, so it counts only when somebody looks at its children. */
export function touchedPaths(path: string, sequential: boolean, root: boolean): string[] {
  const parent = parentOf(path);
  const paths = sequential ? [] : [path];
  if (parent !== ROOT || root) paths.push(parent);
  return paths;
}

function stepZnodes(state: Znodes, op: ZnodeOp, root: boolean, valueOf: (value: string) => string): Znodes | null {
  const { outcome } = op;
  switch (op.kind) {
    case 'end-session':
      return state.ended.has(op.session) ? state : new Draft(state, op.session, root, valueOf).end(op.session);
    case 'read': {
      const node = state.nodes.get(op.path);
      if (outcome === null) return state;
      if (outcome.err !== (node === undefined ? Code.NONODE : Code.OK)) return null;
      if (node === undefined) return state;
      if (outcome.data !== undefined && outcome.data !== node.data) return null;
      return outcome.version !== undefined && outcome.version !== node.version ? null : state;
    }
    case 'children': {
      const node = state.nodes.get(op.path);
      if (outcome === null) return state;
      if (outcome.err !== (node === undefined ? Code.NONODE : Code.OK)) return null;
      if (node === undefined || outcome.children === undefined) return state;
      if (node.children !== outcome.children.length) return null;
      const prefix = op.path === ROOT ? ROOT : `${op.path}/`;
      return outcome.children.every((name) => state.nodes.has(prefix + name)) ? state : null;
    }
    case 'write':
    case 'multi': {
      const draft = new Draft(state, op.session, root, valueOf);
      let err: number = state.ended.has(op.session) ? Code.SESSIONEXPIRED : Code.OK;
      let failedAt = 0;
      const created: (string | null)[] = [];
      for (let i = 0; i < op.mutations.length && err === 0; i++) {
        err = draft.mutate(op.mutations[i] as Mutation);
        if (err !== 0) failedAt = i;
        created.push(draft.created);
      }
      if (outcome === null) return err === 0 ? draft.state() : state;
      if (outcome.err !== err || (err !== 0 && outcome.failedAt !== undefined && outcome.failedAt !== failedAt)) return null;
      if (err !== 0) return state;
      if (outcome.version !== undefined && outcome.version !== draft.version) return null;
      if (outcome.created !== undefined && !outcome.created.every((path, i) => path === null || path === created[i])) return null;
      return draft.state();
    }
  }
}

/** Changes to a state, of which all or none count. */
class Draft {
  readonly #before: Znodes;
  readonly #session: bigint;
  readonly #root: boolean;
  readonly #valueOf: (value: string) => string;
  #nodes: PersistentMap<string, Znode>;
  #hash: number;
  /** What the last create made, and the version that the last set left. */
  created: string | null = null;
  version = 0;

  constructor(before: Znodes, session: bigint, root: boolean, valueOf: (value: string) => string) {
    this.#before = before;
    this.#session = session;
    this.#root = root;
    this.#valueOf = valueOf;
    this.#nodes = before.nodes;
    this.#hash = before.hash;
  }

  mutate({ kind, path, value, version, ephemeral, sequential }: Mutation): number {
    this.created = null;
    if (kind === 'create') {
      const parentPath = parentOf(path);
      const parent = this.#get(parentPath);
      if (parent === undefined) return Code.NONODE;
      if (parent.owner !== 0n) return Code.NOCHILDRENFOREPHEMERALS;
      const full = sequential ? path + String(parent.creates).padStart(10, '0') : path;
      if (this.#get(full) !== undefined) return Code.NODEEXISTS;
      this.created = full;
      this.#put(full, { data: this.#valueOf(value), version: 0, owner: ephemeral ? this.#session : 0n, creates: 0, children: 0 });
      if (parentPath !== ROOT || this.#root) this.#put(parentPath, { ...parent, creates: parent.creates + 1, children: parent.children + 1 });
      return Code.OK;
    }
    const node = this.#get(path);
    if (node === undefined) return Code.NONODE;
    if (version !== -1 && version !== node.version) return Code.BADVERSION;
    if (kind === 'set') {
      this.version = node.version + 1;
      this.#put(path, { ...node, data: this.#valueOf(value), version: this.version });
    } else if (kind === 'delete') {
      if (node.children > 0) return Code.NOTEMPTY;
      this.#put(path, undefined);
      this.#orphan(path);
    }
    return Code.OK;
  }

  state(): Znodes {
    return this.#nodes === this.#before.nodes ? this.#before : { nodes: this.#nodes, ended: this.#before.ended, hash: this.#hash };
  }

  /** Its ephemerals go with it, and it can do nothing more. */
  end(session: bigint): Znodes {
    const own: string[] = [];
    for (const [path, node] of this.#nodes.entries()) if (node.owner === session) own.push(path);
    for (const path of own) {
      this.#put(path, undefined);
      this.#orphan(path);
    }
    const hash = this.#hash ^ mix(Number(BigInt.asIntN(32, session)) ^ Number(BigInt.asIntN(32, session >> 32n)) ^ 0x5e55);
    return { nodes: this.#nodes, ended: new Set(this.#before.ended).add(session), hash };
  }

  #get(path: string): Znode | undefined {
    return this.#nodes.get(path);
  }

  #put(path: string, node: Znode | undefined): void {
    const old = this.#nodes.get(path);
    if (old !== undefined) this.#hash ^= hashZnode(path, old);
    if (node !== undefined) this.#hash ^= hashZnode(path, node);
    this.#nodes = this.#nodes.with(path, node);
  }

  #orphan(path: string): void {
    const parentPath = parentOf(path);
    const parent = this.#nodes.get(parentPath);
    if (parent !== undefined && (parentPath !== ROOT || this.#root)) this.#put(parentPath, { ...parent, children: parent.children - 1 });
  }
}

function hashZnode(path: string, { data, version, owner, creates }: Znode): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) h = Math.imul(h ^ path.charCodeAt(i), 0x01000193);
  if (data !== null) for (let i = 0; i < data.length; i++) h = Math.imul(h ^ data.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ version, 0x01000193);
  h = Math.imul(h ^ creates, 0x01000193);
  return mix(h ^ Number(BigInt.asIntN(32, owner)));
}

function sameZnodes(a: Znodes, b: Znodes): boolean {
  if (a.nodes.size !== b.nodes.size || a.ended.size !== b.ended.size) return false;
  for (const session of a.ended) if (!b.ended.has(session)) return false;
  // Walking over one version of the map while another is read would turn it over each time.
  const entries = [...a.nodes.entries()];
  for (const [path, node] of entries) {
    const other = b.nodes.get(path);
    if (other === undefined) return false;
    if (other !== node && (other.data !== node.data || other.version !== node.version || other.owner !== node.owner || other.creates !== node.creates)) return false;
  }
  return true;
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? ROOT : path.slice(0, slash);
}
