/**
 * Is there an order of these operations that a sequential object could have run them in, such that whatever returned before another began comes
 * before it? Black box: it knows what clients sent, saw and when, and nothing of zxids.
 *
 * Wing & Gong's search (1993) with Lowe's memo of (set of linearized operations, state) (2017), over a linked list of calls and returns from which
 * an operation is lifted while it counts as linearized. Intervals are closed: what returns in the instant in which another begins overlaps it.
 *
 * Beyond the classic search:
 *  - an operation whose outcome is unknown is optional. It is tried last, since most histories are explained without it, and not at all where it
 *    would change nothing: whatever follows could follow without it;
 *  - an operation that can change nothing (a read, a refused write) is linearized as soon as it fits, and not tried later: moving it forward harms
 *    nobody, unless something optional would come too late;
 *  - the order within a session (`after`, `until`) is part of the question.
 *
 * Whoever believes to know the order may say so (`hint`). That is not trusted: the order is checked like any other, step by step, and only if it does
 * not hold does the search begin. So histories of a sound system cost a step an operation.
 *
 * Every step counts against a budget, so that a verdict is the same on every machine.
 */

export interface SequentialModel<State, Op> {
  readonly init: State;
  /** What the object is after `op`; null: it cannot have answered so here. Gives `state` itself when nothing changes. */
  step(state: State, op: Op): State | null;
  /** It never changes a state. */
  readsOnly(op: Op): boolean;
  /** 32 bits; equal states have equal hashes. */
  hash(state: State): number;
  equal(a: State, b: State): boolean;
}

export interface Operation<Op> {
  readonly op: Op;
  readonly callAt: number;
  /** When it had happened; of an optional one: when it can happen no more (Infinity: it always may). */
  readonly returnAt: number;
  /** It may also never have happened. */
  readonly optional: boolean;
  /** One that is not optional and comes before this one in every order. */
  readonly after: Operation<Op> | null;
  /** Only of an optional one: once that one has happened, this one cannot any more. */
  readonly until: Operation<Op> | null;
  /** Its place in the order that somebody believes in; Infinity: it has none, or did not happen. */
  readonly hint: number;
}

export type Verdict<Op> =
  | { readonly kind: 'ok'; readonly order: readonly Operation<Op>[]; readonly steps: number }
  /** `longest`: the longest order that was found; `stuck`: what could have come next and does not fit, the one that had to come first. */
  | { readonly kind: 'illegal'; readonly longest: readonly Operation<Op>[]; readonly stuck: readonly Operation<Op>[]; readonly steps: number }
  | { readonly kind: 'unknown'; readonly steps: number };

/** A call or a return in the list, or, with `isCall` and without `match`, an optional operation in a list of its own. */
interface Node<Op> {
  readonly at: number;
  readonly isCall: boolean;
  readonly index: number;
  readonly operation: Operation<Op> | null;
  match: Node<Op> | null;
  previous: Node<Op> | null;
  next: Node<Op> | null;
}

interface Frame<State, Op> {
  readonly node: Node<Op>;
  readonly state: State;
  readonly frontier: number;
  /** It was the only choice that had to be tried. */
  readonly forced: boolean;
}

export const STEPS_MAX = 500_000;

export function checkLinearizable<State, Op>(model: SequentialModel<State, Op>, history: readonly Operation<Op>[], stepsMax = STEPS_MAX): Verdict<Op> {
  const witness = followHints(model, history);
  if (witness !== null) return { kind: 'ok', order: witness, steps: witness.length };
  const sorted = [...history].sort((a, b) => Number(a.optional) - Number(b.optional) || a.callAt - b.callAt);
  const indexOf = new Map(sorted.map((operation, index) => [operation, index]));
  const afterOf = sorted.map(({ after }) => (after === null ? -1 : (indexOf.get(after) ?? -1)));
  const untilOf = sorted.map(({ until }) => (until === null ? -1 : (indexOf.get(until) ?? -1)));
  const ends = new Set(untilOf);
  const { calls, optionals, mandatory } = listsOf(sorted);
  const deadlines = sorted.filter(({ optional, returnAt }) => optional && returnAt !== Infinity).map(({ returnAt }) => returnAt).sort((a, b) => a - b);

  const linearized = new Uint32Array((sorted.length + 31) >>> 5);
  const has = (index: number): boolean => index < 0 || ((linearized[index >>> 5] as number) & (1 << (index & 31))) !== 0;
  let setHash = 0;
  const toggle = (index: number): void => {
    linearized[index >>> 5] = (linearized[index >>> 5] as number) ^ (1 << (index & 31));
    setHash ^= mix(index + 1);
  };

  const seen = new Map<number, { readonly set: Uint32Array; readonly state: State }[]>();
  /** Whether this pair is new; remembers it. */
  const isNew = (state: State): boolean => {
    const key = (setHash ^ mix(model.hash(state))) >>> 0;
    const known = seen.get(key);
    if (known === undefined) {
      seen.set(key, [{ set: linearized.slice(), state }]);
      return true;
    }
    if (known.some((each) => sameSet(each.set, linearized) && model.equal(each.state, state))) return false;
    known.push({ set: linearized.slice(), state });
    return true;
  };

  const stack: Frame<State, Op>[] = [];
  let state = model.init;
  /** The newest call among what is linearized: an optional operation whose time ended before it comes too late. */
  let frontier = Number.NEGATIVE_INFINITY;
  let left = mandatory;
  let steps = history.length;
  let node = calls.next;
  let inOptionals = false;
  let bestLeft = mandatory + 1;
  let longest: Operation<Op>[] = [];
  let stuck: Operation<Op>[] = [];

  const enter = (entered: Node<Op>, next: State, forced: boolean): void => {
    stack.push({ node: entered, state, frontier, forced });
    state = next;
    lift(entered);
    if (entered.match !== null) {
      left--;
      frontier = Math.max(frontier, entered.at);
    }
    node = calls.next;
    inOptionals = false;
  };

  while (left > 0) {
    if (++steps > stepsMax) return { kind: 'unknown', steps };
    if (!inOptionals && node?.isCall === true) {
      const { index, operation } = node as Node<Op> & { operation: Operation<Op> };
      const next = has(afterOf[index] as number) ? model.step(state, operation.op) : null;
      if (next !== null) {
        const forced = model.readsOnly(operation.op) && !ends.has(index) && (node.at <= frontier || !anyWithin(deadlines, frontier, node.at));
        toggle(index);
        if (forced || isNew(next)) {
          enter(node, next, forced);
          continue;
        }
        toggle(index);
      }
      node = node.next;
      continue;
    }
    if (!inOptionals) {
      // A return: what has returned must have happened, unless something of unknown outcome comes before it.
      inOptionals = true;
      node = optionals.next;
    }
    const deadline = firstReturn(calls);
    if (node !== null && node.at <= deadline) {
      const { index, operation } = node as Node<Op> & { operation: Operation<Op> };
      const until = untilOf[index] as number;
      if (operation.returnAt >= frontier && has(afterOf[index] as number) && (until < 0 || !has(until))) {
        const next = model.step(state, operation.op);
        if (next !== null && next !== state) {
          toggle(index);
          if (isNew(next)) {
            enter(node, next, false);
            continue;
          }
          toggle(index);
        }
      }
      node = node.next;
      continue;
    }
    // Nothing fits here: back to the last choice.
    if (left < bestLeft) {
      bestLeft = left;
      longest = stack.map((frame) => frame.node.operation as Operation<Op>);
      stuck = candidates(calls);
    }
    for (;;) {
      const frame = stack.pop();
      if (frame === undefined) return { kind: 'illegal', longest, stuck, steps };
      unlift(frame.node);
      toggle(frame.node.index);
      state = frame.state;
      frontier = frame.frontier;
      if (frame.node.match !== null) left++;
      if (frame.forced) continue;
      inOptionals = frame.node.match === null;
      node = frame.node.next;
      break;
    }
  }
  return { kind: 'ok', order: stack.map((frame) => frame.node.operation as Operation<Op>), steps };
}

/** The order of the hints, if it is one that answers the question. */
function followHints<State, Op>(model: SequentialModel<State, Op>, history: readonly Operation<Op>[]): Operation<Op>[] | null {
  const hinted: Operation<Op>[] = [];
  for (const operation of history) {
    if (operation.hint !== Infinity) hinted.push(operation);
    else if (!operation.optional) return null;
  }
  // What reads stands behind what was written in the same place.
  hinted.sort((a, b) => (a.hint === b.hint ? Number(model.readsOnly(a.op)) - Number(model.readsOnly(b.op)) : a.hint - b.hint));
  const done = new Set<Operation<Op>>();
  let state = model.init;
  let newestCall = Number.NEGATIVE_INFINITY;
  let frontier = Number.NEGATIVE_INFINITY;
  const order: Operation<Op>[] = [];
  for (const operation of hinted) {
    const { op, callAt, returnAt, optional, after, until } = operation;
    const inTime = returnAt >= (optional ? frontier : newestCall) && (after === null || done.has(after)) && (!optional || until === null || !done.has(until));
    const next = inTime ? model.step(state, op) : null;
    if (next === null) {
      if (optional) continue;
      return null;
    }
    state = next;
    order.push(operation);
    done.add(operation);
    newestCall = Math.max(newestCall, callAt);
    if (!optional) frontier = Math.max(frontier, callAt);
  }
  return order;
}

function listsOf<Op>(sorted: readonly Operation<Op>[]): { calls: Node<Op>; optionals: Node<Op>; mandatory: number } {
  const inOrder: Node<Op>[] = [];
  const optional: Node<Op>[] = [];
  let mandatory = 0;
  for (const [index, operation] of sorted.entries()) {
    const call: Node<Op> = { at: operation.callAt, isCall: true, index, operation, match: null, previous: null, next: null };
    if (operation.optional) optional.push(call);
    else {
      mandatory++;
      const end: Node<Op> = { at: operation.returnAt, isCall: false, index, operation, match: call, previous: null, next: null };
      call.match = end;
      inOrder.push(call, end);
    }
  }
  inOrder.sort((a, b) => a.at - b.at || Number(b.isCall) - Number(a.isCall) || a.index - b.index);
  return { calls: linked(inOrder), optionals: linked(optional), mandatory };
}

/** The head of a list of these, itself none of them. */
function linked<Op>(nodes: readonly Node<Op>[]): Node<Op> {
  const head: Node<Op> = { at: Number.NEGATIVE_INFINITY, isCall: false, index: -1, operation: null, match: null, previous: null, next: null };
  let last = head;
  for (const node of nodes) {
    node.previous = last;
    last.next = node;
    last = node;
  }
  return head;
}

/** Takes a call and its return out of the list; each keeps its neighbours. */
function lift<Op>(node: Node<Op>): void {
  unlink(node);
  if (node.match !== null) unlink(node.match);
}
function unlink<Op>(node: Node<Op>): void {
  (node.previous as Node<Op>).next = node.next;
  if (node.next !== null) node.next.previous = node.previous;
}
/** In the reverse order of lift. */
function unlift<Op>(node: Node<Op>): void {
  if (node.match !== null) relink(node.match);
  relink(node);
}
function relink<Op>(node: Node<Op>): void {
  (node.previous as Node<Op>).next = node;
  if (node.next !== null) node.next.previous = node;
}

function firstReturn<Op>(head: Node<Op>): number {
  let node = head.next;
  while (node?.isCall === true) node = node.next;
  return node?.at ?? Infinity;
}

/** What may come next by its time, that which must come first in front. */
function candidates<Op>(head: Node<Op>): Operation<Op>[] {
  const found: Operation<Op>[] = [];
  let node = head.next;
  for (; node?.isCall === true; node = node.next) found.push(node.operation as Operation<Op>);
  const must = node?.operation;
  return must === undefined || must === null ? found : [must, ...found.filter((operation) => operation !== must)];
}

/** Whether one of these, ascending, is at least `from` and less than `to`. */
function anyWithin(ascending: readonly number[], from: number, to: number): boolean {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return low < ascending.length && (ascending[low] as number) < to;
}

function sameSet(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The finalizer of MurmurHash3. */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
