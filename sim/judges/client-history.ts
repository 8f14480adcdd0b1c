/**
 * What the clients did and saw, as the linearizability checker wants it. Writes and reads behind a sync must be linearizable in real time; a plain
 * read may show something older, but nothing older than what its session has written, synced or read before (ZooKeeper's ordered sequential
 * consistency). Both are one question: a plain read is an operation that may have begun when the newest write or sync of its session did.
 *
 * It is asked for each part of the tree by itself: an operation on one path belongs to that path, and what touches several (children, sequential
 * creates, creates and deletes below a parent that comes and goes, multi, the end of a session that had ephemerals) holds them together.
 *
 * What is refused for the session's sake (moved, expired) changed nothing and says nothing about znodes; it is left out.
 */
import type { Zxid } from '../../coord/base/zxid.ts';
import { Code, codeName } from '../../coord/wire/codes.ts';
import type { MultiResult, Result } from '../../coord/wire/types.ts';
import type { Call } from '../workloads/call.ts';
import { checkLinearizable, STEPS_MAX, type Operation, type Verdict } from './linearizability.ts';
import { parentOf, touchedPaths, znodeModel, type Mutation, type Outcome, type ZnodeOp } from './znode-model.ts';

/** What was committed, for those who believe the servers: the search begins with it. */
export interface Believed {
  /** Of a write that was not answered, and of the end of a session; Infinity: it was not committed. */
  lost(call: Call): number;
  ended(sessionId: bigint): number;
}
/** A write that was not answered, and the zxids between which its client says that it happened, if it did. */
export interface LostCall {
  readonly call: Call;
  readonly after: Zxid;
  readonly before: number;
}
const NOBODY: Believed = { lost: () => Infinity, ended: () => Infinity };

export interface Recorded {
  readonly call: Call;
  readonly returnMs: number;
  /** As the reply says it; of unknown outcome: as it is believed. */
  readonly zxid: Zxid;
  /** Number of its client, as it has begun, in its session: what these do has an order. */
  readonly chain: number;
  /** null: nobody knows. */
  readonly outcome: Outcome | null;
}
export type Finding =
  | { readonly kind: 'ok'; readonly steps: number; readonly operations: number }
  | { readonly kind: 'illegal'; readonly invariant: 'Linearizability' | 'MonotonicReads'; readonly message: string; readonly paths: readonly string[]; readonly sessions: readonly bigint[]; readonly steps: number }
  | { readonly kind: 'gave-up'; readonly message: string; readonly steps: number };

/** Codes that say what a znode is like. */
const ABOUT_ZNODES: ReadonlySet<number> = new Set([Code.OK, Code.NONODE, Code.BADVERSION, Code.NOCHILDRENFOREPHEMERALS, Code.NODEEXISTS, Code.NOTEMPTY]);

export class ClientHistory {
  /** In the order in which each client learned of them, which is the order in which it asked. */
  readonly #recorded: Recorded[] = [];
  /**
   * When a closeSession was answered. Who is told that its session has expired knows less: the leader refuses a session from the moment in which it
   * proposes its end, and may fall before that is committed; then the next leader ends it, after its whole timeout.
   */
  readonly #closedMs = new Map<bigint, number>();
  readonly #chains = new Map<string, number>();
  /** By client, since it has one session at a time. */
  readonly #newestChain = new Map<number, { readonly sessionId: bigint; readonly incarnation: number; readonly chain: number }>();
  /** A multi whose parts are not known: nothing can be said. */
  #blind = false;

  answered(call: Call, nowMs: number, zxid: Zxid, err: number, result: Result | null): void {
    if (call.kind === 'close') {
      if (err === 0 && !this.#closedMs.has(call.sessionId)) this.#closedMs.set(call.sessionId, nowMs);
      return;
    }
    if (call.kind === 'multi' && call.ops === undefined) this.#blind = true;
    const outcome = outcomeOf(call, err, result);
    if (!ABOUT_ZNODES.has(outcome.err)) return;
    this.#recorded.push({ call, returnMs: nowMs, zxid, chain: this.#chainOf(call), outcome });
  }

  unknown(call: Call): void {
    if (call.kind === 'multi' && call.ops === undefined) this.#blind = true;
    if (isWrite(call)) this.#recorded.push({ call, returnMs: Infinity, zxid: Infinity, chain: this.#chainOf(call), outcome: null });
  }

  /** Everything that is known of every call but closes. */
  get recorded(): readonly Recorded[] {
    return this.#recorded;
  }
  /** The same, had one call been answered so. */
  withOutcome(index: number, outcome: Outcome): ClientHistory {
    const other = new ClientHistory();
    other.#recorded.push(...this.#recorded.map((each, i) => (i === index ? { ...each, outcome } : each)));
    for (const [sessionId, closedMs] of this.#closedMs) other.#closedMs.set(sessionId, closedMs);
    other.#blind = this.#blind;
    return other;
  }

  #chainOf({ client, sessionId, incarnation = 0 }: Call): number {
    const newest = this.#newestChain.get(client);
    if (newest?.sessionId === sessionId && newest.incarnation === incarnation) return newest.chain;
    const key = `${client}/${incarnation}/${sessionId}`;
    const chain = this.#chains.get(key) ?? this.#chains.size;
    this.#chains.set(key, chain);
    this.#newestChain.set(client, { sessionId, incarnation, chain });
    return chain;
  }

  answeredZxids(): Set<Zxid> {
    return new Set(this.#recorded.filter(({ call, outcome }) => outcome !== null && isWrite(call)).map(({ zxid }) => zxid));
  }

  /** Writes of unknown outcome, in the order in which each client sent them. */
  lost(): LostCall[] {
    const lost: LostCall[] = [];
    /** By chain: the newest zxid it was told of, and what may still be behind it. */
    const chains = new Map<number, { told: Zxid; open: { call: Call; after: Zxid; before: number }[] }>();
    for (const { call, chain, outcome, zxid } of this.#recorded) {
      let known = chains.get(chain);
      if (known === undefined) chains.set(chain, (known = { told: 0, open: [] }));
      if (outcome === null) {
        const each = { call, after: Math.max(call.ackedBefore, known.told), before: Infinity };
        known.open.push(each);
        lost.push(each);
        continue;
      }
      known.told = zxid;
      if (!isWrite(call)) continue;
      for (const each of known.open) each.before = zxid;
      known.open.length = 0;
    }
    return lost;
  }

  /** All calls must have been answered or given up. Steps are counted over all parts. */
  check(believed: Believed = NOBODY, stepsMax = STEPS_MAX): Finding {
    let steps = 0;
    if (this.#blind) return { kind: 'gave-up', message: 'a multi of which nobody noted the parts', steps };
    const root = this.#recorded.some(({ call }) => (call.kind === 'children' && call.path === '/') || (call.kind === 'create-sequential' && parentOf(call.path) === '/'));
    const model = znodeModel(root, new Set(this.#recorded.flatMap(({ outcome }) => (typeof outcome?.data === 'string' ? [outcome.data] : []))));
    let operations = 0;
    const began = this.#beginnings();
    for (const part of this.#parts(root, believed)) {
      const history = this.#operationsOf(part, began, believed);
      operations += history.length;
      const verdict = checkLinearizable(model, history, stepsMax - steps);
      steps += verdict.steps;
      if (verdict.kind === 'unknown') {
        // Path by path less is asked, and what is broken there is broken; what is not proves nothing.
        for (const alone of pathsAlone(part)) {
          const on = this.#operationsOf(alone, began, believed);
          const found = checkLinearizable(model, on, stepsMax);
          steps += found.steps;
          if (found.kind !== 'illegal') continue;
          const isStrict = checkLinearizable(model, this.#operationsOf(alone.filter(({ call }) => isWrite(call) || call.kind === 'sync-get'), began, believed), stepsMax).kind === 'illegal';
          return illegalOn(on, on.length, isStrict ? 'Linearizability' : 'MonotonicReads', found, steps);
        }
        return { kind: 'gave-up', message: `${history.length} operations on ${nameOf(history)}: no verdict within ${stepsMax} steps`, steps };
      }
      if (verdict.kind === 'ok') continue;
      // Which of the two promises is broken? Writes and synced reads alone, first.
      const strict = this.#operationsOf(part.filter(({ call }) => isWrite(call) || call.kind === 'sync-get'), began, believed);
      const again = checkLinearizable(model, strict, stepsMax);
      if (again.kind === 'illegal') return illegalOn(history, strict.length, 'Linearizability', again, steps);
      return illegalOn(history, history.length, 'MonotonicReads', verdict, steps);
    }
    return { kind: 'ok', steps, operations };
  }

  // ------------------------------------------------------------ parts

  /** Calls that share a path, directly or over others. */
  #parts(root: boolean, believed: Believed): Iterable<readonly Recorded[]> {
    const parent = new Map<string, string>();
    const find = (key: string): string => {
      let at = key;
      for (let up = parent.get(at); up !== undefined && up !== at; up = parent.get(at)) at = up;
      for (let walk = key; walk !== at; ) {
        const up = parent.get(walk) as string;
        parent.set(walk, at);
        walk = up;
      }
      return at;
    };
    const union = (a: string, b: string): void => {
      const x = find(a);
      const y = find(b);
      if (x !== y) parent.set(x, y);
    };
    /** One key of what each session has in ephemerals. */
    const ephemerals = new Map<bigint, string>();
    const keyOf: string[] = [];
    for (const { call } of this.#recorded) {
      const keys = keysOf(call, root);
      const key = keys[0] as string;
      keyOf.push(key);
      for (let i = 1; i < keys.length; i++) union(keys[i] as string, key);
      if (!isEphemeral(call)) continue;
      const known = ephemerals.get(call.sessionId);
      if (known === undefined) ephemerals.set(call.sessionId, key);
      else union(known, key);
    }
    const parts = new Map<string, Recorded[]>();
    for (const [i, recorded] of this.#recorded.entries()) {
      const key = find(keyOf[i] as string);
      const part = parts.get(key);
      const each = recorded.outcome === null ? { ...recorded, zxid: believed.lost(recorded.call) } : recorded;
      if (part === undefined) parts.set(key, [each]);
      else part.push(each);
    }
    return parts.values();
  }

  #operationsOf(part: readonly Recorded[], began: ReadonlyMap<Recorded, number>, believed: Believed): Operation<ZnodeOp>[] {
    const operations: Operation<ZnodeOp>[] = [];
    /** By client and session: the newest operation, and those of unknown outcome that nothing has come after yet. */
    const chains = new Map<number, { session: bigint; last: Operation<ZnodeOp> | null; lost: Mutable[]; ephemerals: boolean; losses: boolean }>();
    for (const each of part) {
      const { call, returnMs, zxid, outcome } = each;
      let chain = chains.get(each.chain);
      if (chain === undefined) {
        chain = { session: call.sessionId, last: null, lost: [], ephemerals: false, losses: false };
        chains.set(each.chain, chain);
      }
      if (isEphemeral(call)) chain.ephemerals = true;
      if (outcome === null) chain.losses = true;
      const isPlainRead = !isWrite(call) && call.kind !== 'sync-get';
      const operation: Mutable = {
        op: opOf(call, outcome), callAt: isPlainRead ? (began.get(each) ?? 0) : call.invokedMs, returnAt: returnMs, optional: outcome === null, after: chain.last, until: null,
        hint: zxid,
      };
      operations.push(operation);
      if (operation.optional) {
        chain.lost.push(operation);
        continue;
      }
      chain.last = operation;
      if (!isWrite(call)) continue;
      // Writes of a session take effect in the order in which it sent them: what was lost before this one is in time before it or never.
      for (const before of chain.lost) before.until = operation;
      chain.lost.length = 0;
    }
    const ended = new Set<bigint>();
    for (const { session, last, ephemerals, losses } of chains.values()) {
      const closedMs = this.#closedMs.get(session);
      // An end that may never have come explains nothing but ephemerals that are gone; one that did come also forbids what was lost.
      if (ended.has(session) || (!ephemerals && (closedMs === undefined || !losses))) continue;
      ended.add(session);
      // Sessions that several clients share, and closes that overtook answers, may end before their last operation began: only a lower bound is sure.
      operations.push({
        op: { kind: 'end-session', session, mutations: [], path: '', outcome: null }, callAt: last === null ? 0 : last.callAt, returnAt: closedMs ?? Infinity, optional: closedMs === undefined,
        after: last, until: null, hint: believed.ended(session),
      });
    }
    return operations;
  }

  /** When each plain read may have begun at the earliest: with the newest write or synced read of its session before it. */
  #beginnings(): Map<Recorded, number> {
    const began = new Map<Recorded, number>();
    const newest: number[] = [];
    for (const each of this.#recorded) {
      const { call, chain, outcome } = each;
      if (!isWrite(call) && call.kind !== 'sync-get') began.set(each, newest[chain] ?? 0);
      else if (outcome !== null) newest[chain] = Math.max(newest[chain] ?? 0, call.invokedMs);
    }
    return began;
  }
}

type Mutable = { -readonly [key in keyof Operation<ZnodeOp>]: Operation<ZnodeOp>[key] };

function isWrite({ kind }: Call): boolean {
  return kind !== 'get' && kind !== 'sync-get' && kind !== 'exists' && kind !== 'children';
}
function isEphemeral({ kind, ephemeral }: Call): boolean {
  return kind === 'create-ephemeral' || (kind === 'create-sequential' && ephemeral !== false);
}

function mutationsOf({ kind, path, value, version, ephemeral, ops }: Call): Mutation[] {
  if (kind === 'multi') return (ops ?? []).map((op) => ({ ...op, value, ephemeral: false, sequential: false }));
  const isCreate = kind.startsWith('create');
  return [{ kind: isCreate ? 'create' : kind === 'set' ? 'set' : 'delete', path, value, version, ephemeral: kind === 'create-ephemeral' || ephemeral === true, sequential: kind === 'create-sequential' }];
}

function opOf(call: Call, outcome: Outcome | null): ZnodeOp {
  const session = call.sessionId;
  if (isWrite(call)) return { kind: call.kind === 'multi' ? 'multi' : 'write', session, mutations: mutationsOf(call), path: '', outcome };
  return { kind: call.kind === 'children' ? 'children' : 'read', session, mutations: [], path: call.path, outcome };
}

function keysOf(call: Call, root: boolean): string[] {
  return isWrite(call) ? mutationsOf(call).flatMap(({ path, sequential }) => touchedPaths(path, sequential, root)) : touchedPaths(call.path, false, root);
}

function outcomeOf(call: Call, err: number, result: Result | null): Outcome {
  if (call.kind === 'multi') {
    const results: readonly MultiResult[] = result?.kind === 'multi' ? result.results : [];
    const failedAt = results.findIndex((each) => each.err !== 0 && each.err !== Code.RUNTIMEINCONSISTENCY);
    if (failedAt >= 0) return { err: (results[failedAt] as MultiResult).err, failedAt };
    return { err };
  }
  if (err !== 0) return { err };
  switch (result?.kind) {
    case 'data':
      return { err, data: result.data === null ? null : Buffer.from(result.data).toString(), version: result.stat.version };
    case 'stat':
      return { err, version: result.stat.version };
    case 'children':
    case 'childrenStat':
      return { err, children: [...result.children] };
    case 'path':
    case 'pathStat':
      return { err, created: [result.path] };
    default:
      return { err };
  }
}

/** The same calls, each path by itself, multis in pieces; nothing where a path has children that matter. */
function pathsAlone(part: readonly Recorded[]): Iterable<readonly Recorded[]> {
  const alone = new Map<string, Recorded[]>();
  for (const each of part) {
    const { call, outcome } = each;
    if (call.kind === 'children' || call.kind === 'create-sequential') return [];
    // Why one failed may lie with any of its paths.
    if (call.kind === 'multi' && outcome !== null && outcome.err !== 0) continue;
    const paths = call.kind === 'multi' ? new Set(call.ops?.map(({ path }) => path)) : [call.path];
    for (const path of paths) {
      if (parentOf(path) !== '/') return [];
      const piece = call.ops === undefined ? each : { ...each, call: { ...call, ops: call.ops.filter((op) => op.path === path) }, outcome: outcome === null ? null : { err: outcome.err } };
      const known = alone.get(path);
      if (known === undefined) alone.set(path, [piece]);
      else known.push(piece);
    }
  }
  return alone.values();
}

// ------------------------------------------------------------ words

function illegalOn(history: readonly Operation<ZnodeOp>[], count: number, invariant: 'Linearizability' | 'MonotonicReads', { longest, stuck }: Extract<Verdict<ZnodeOp>, { kind: 'illegal' }>, steps: number): Finding {
  return {
    kind: 'illegal', invariant, steps, paths: pathsOf(stuck.map(({ op }) => op)), sessions: [...new Set(stuck.map(({ op }) => op.session))],
    message: `no order explains ${stuck.slice(0, 3).map((each) => describe(each)).join(', nor ')}: ${longest.length} of ${count} operations on ${nameOf(history)} fit${longest.length === 0 ? '' : `, the last ${longest.slice(-3).map((each) => describe(each)).join(', ')}`}`,
  };
}

function describe({ op, callAt, returnAt }: Operation<ZnodeOp>): string {
  const { outcome } = op;
  const what = op.kind === 'end-session' ? `the end of session ${op.session.toString(16)}` : op.kind === 'write' || op.kind === 'multi' ? op.mutations.map(({ kind, path, value }) => `${kind} ${path}${kind === 'set' || kind === 'create' ? ` = ${value}` : ''}`).join(' + ') : `${op.kind} ${op.path}`;
  const seen = outcome === null ? 'unanswered' : outcome.err !== 0 ? codeName(outcome.err) : outcome.data !== undefined ? `"${outcome.data}" version ${outcome.version}` : outcome.version !== undefined ? `version ${outcome.version}` : outcome.created !== undefined ? outcome.created.join(' ') : outcome.children !== undefined ? `[${outcome.children.join(' ')}]` : 'ok';
  return `${what} → ${seen} (${callAt.toFixed(1)}–${returnAt === Infinity ? '…' : returnAt.toFixed(1)} ms)`;
}

function pathsOf(ops: readonly ZnodeOp[]): string[] {
  return [...new Set(ops.flatMap((op) => (op.path === '' ? op.mutations.map(({ path }) => path) : [op.path])))];
}
function nameOf(history: readonly Operation<ZnodeOp>[]): string {
  const paths = pathsOf(history.map(({ op }) => op));
  return paths.length <= 3 ? paths.join(' ') : `${paths.slice(0, 3).join(' ')} and ${paths.length - 3} more`;
}
