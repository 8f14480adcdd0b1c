/**
 * The search for an order that explains a history: Wing & Gong (1993) with Lowe's memo of (set of linearized operations, state) (2017).
 *
 * What makes it smaller, and loses nothing:
 *  - candidates are tried in the order that is believed, so that where the belief is wrong in one place only that place is searched;
 *  - an operation that can change nothing (a read, a refused write) is linearized as soon as it fits, and not tried later: moving it forward harms
 *    nobody, unless something optional would come too late;
 *  - an optional operation that changes nothing where it stands is left out, since whatever follows could follow without it; so is one that can be
 *    moved behind its successor. What remains is followed at once by something that notices it;
 *  - of optional operations that do the same, the one that can wait least goes first;
 *  - where the same has been linearized and the state is the same, having used fewer optional operations is at least as good.
 */
import { mix } from './hash.ts';
import type { Operation, SequentialModel, Verdict } from './linearizability.ts';

interface Frame<State> {
  /** What was linearized last; -1: nothing yet. */
  readonly index: number;
  readonly state: State;
  /** The newest call among what is linearized: an optional operation whose time ended before it comes too late. */
  readonly frontier: number;
  /** What to try next, in this order. */
  readonly candidates: readonly number[];
  tried: number;
}

/** A configuration: which mandatory operations are linearized, from the first word that is not full on, and the state. */
interface Seen<State> {
  readonly from: number;
  readonly words: Uint32Array;
  readonly state: State;
  /** The optional operation that must be noticed next; -1: none. */
  readonly unnoticed: number;
  /** Which optional operations had been used, and could have been used still. */
  readonly used: Uint32Array[];
}

export function searchOrder<State, Op>(model: SequentialModel<State, Op>, history: readonly Operation<Op>[], stepsMax: number): Verdict<Op> {
  return new Search(model, history, stepsMax).run();
}

class Search<State, Op> {
  readonly #model: SequentialModel<State, Op>;
  readonly #stepsMax: number;
  /** Mandatory ones by their calls, then optional ones by theirs. */
  readonly #all: readonly Operation<Op>[];
  readonly #mandatory: number;
  readonly #after: Int32Array;
  readonly #until: Int32Array;
  /** What ends the time of something optional, and for which. */
  readonly #ends = new Map<number, number[]>();
  readonly #rank: Int32Array;
  readonly #deadlines: readonly number[];
  /** Optional operations that do the same and can wait less, by optional operation. */
  readonly #sooner: readonly (readonly number[])[];
  /** Mandatory ones not linearized, by call and by return. The head of a list is at its end. */
  readonly #calls: Links;
  readonly #returns: Links;
  /** One bit each; optional ones begin with a word of their own. */
  readonly #done: Uint32Array;
  readonly #optionalWord: number;
  /** Optional ones whose time is over. */
  readonly #over: Uint32Array;
  #hash = 0;
  #left: number;
  #steps: number;
  readonly #seen = new Map<number, Seen<State>[]>();

  constructor(model: SequentialModel<State, Op>, history: readonly Operation<Op>[], stepsMax: number) {
    this.#model = model;
    this.#stepsMax = stepsMax;
    const all = [...history].sort((a, b) => Number(a.optional) - Number(b.optional) || a.callAt - b.callAt);
    this.#all = all;
    this.#mandatory = all.filter(({ optional }) => !optional).length;
    const indexOf = new Map(all.map((operation, index) => [operation, index]));
    const indexesOf = (of: (operation: Operation<Op>) => Operation<Op> | null): Int32Array => Int32Array.from(all, (operation) => indexOf.get(of(operation) as Operation<Op>) ?? -1);
    this.#after = indexesOf(({ after }) => after);
    this.#until = indexesOf(({ until }) => until);
    this.#rank = new Int32Array(all.length);
    const ranked = all.map((_, index) => index).sort((a, b) => {
      const x = all[a] as Operation<Op>;
      const y = all[b] as Operation<Op>;
      return x.hint === y.hint ? Number(x.optional) - Number(y.optional) || x.callAt - y.callAt : x.hint - y.hint;
    });
    for (const [rank, index] of ranked.entries()) this.#rank[index] = rank;
    this.#deadlines = all.filter(({ optional, returnAt }) => optional && returnAt !== Infinity).map(({ returnAt }) => returnAt).sort((a, b) => a - b);
    this.#sooner = this.#findAlike();
    const mandatory = all.slice(0, this.#mandatory).map((_, index) => index);
    this.#calls = new Links(mandatory);
    this.#returns = new Links([...mandatory].sort((a, b) => (all[a] as Operation<Op>).returnAt - (all[b] as Operation<Op>).returnAt));
    this.#optionalWord = (this.#mandatory + 31) >>> 5;
    this.#done = new Uint32Array(this.#optionalWord + ((all.length - this.#mandatory + 31) >>> 5));
    this.#over = new Uint32Array(this.#done.length);
    for (let index = this.#mandatory; index < all.length; index++) {
      const until = this.#until[index] as number;
      if (until < 0) continue;
      const ended = this.#ends.get(until);
      if (ended === undefined) this.#ends.set(until, [index]);
      else ended.push(index);
    }
    this.#left = this.#mandatory;
    this.#steps = history.length;
  }

  run(): Verdict<Op> {
    const stack: Frame<State>[] = [];
    let longest: Operation<Op>[] = [];
    let stuck: Operation<Op>[] = [];
    let bestLeft = this.#mandatory + 1;
    const orderOf = (): Operation<Op>[] => stack.filter(({ index }) => index >= 0).map(({ index }) => this.#all[index] as Operation<Op>);
    const enter = (index: number, state: State, frontier: number): void => {
      stack.push({ index, state, frontier, candidates: this.#left === 0 ? [] : this.#candidates(index, state, frontier), tried: 0 });
      if (this.#left >= bestLeft) return;
      bestLeft = this.#left;
      longest = orderOf();
      stuck = this.#left === 0 ? [] : this.#next();
    };
    enter(-1, this.#model.init, Number.NEGATIVE_INFINITY);
    while (this.#left > 0) {
      const top = stack.at(-1) as Frame<State>;
      const index = top.candidates[top.tried++];
      if (index === undefined) {
        stack.pop();
        if (top.index < 0) return { kind: 'illegal', longest, stuck, steps: this.#steps };
        this.#undo(top.index);
        continue;
      }
      if (++this.#steps > this.#stepsMax) return { kind: 'unknown', steps: this.#steps };
      const operation = this.#all[index] as Operation<Op>;
      const next = this.#model.step(top.state, operation.op);
      if (next === null || (operation.optional && next === top.state)) continue;
      this.#do(index);
      const isForced = top.candidates.length === 1 && this.#model.readsOnly(operation.op);
      if (isForced || this.#isNew(next, operation.optional ? index : -1)) enter(index, next, operation.optional ? top.frontier : Math.max(top.frontier, operation.callAt));
      else this.#undo(index);
    }
    return { kind: 'ok', order: orderOf(), steps: this.#steps };
  }

  // ------------------------------------------------------------ what may come next

  /** What can come next, in the order in which to try it: behind `last`, in this state. */
  #candidates(last: number, state: State, frontier: number): number[] {
    const firstReturn = (this.#all[this.#returns.first] as Operation<Op>).returnAt;
    const unnoticed = last >= this.#mandatory ? last : -1;
    const found: number[] = [];
    const calls = this.#calls;
    for (let index = calls.first; index !== calls.head; index = calls.after(index)) {
      const { op, callAt } = this.#all[index] as Operation<Op>;
      if (callAt > firstReturn) break;
      if (!this.#has(this.#after[index] as number) || (unnoticed >= 0 && !this.#notices(index, unnoticed))) continue;
      if (this.#model.readsOnly(op)) {
        this.#steps++;
        if (this.#model.step(state, op) === null) continue;
        if (!this.#ends.has(index) && (callAt <= frontier || !anyWithin(this.#deadlines, frontier, callAt))) return [index];
      }
      found.push(index);
    }
    for (let index = this.#mandatory; index < this.#all.length; index++) {
      const { callAt } = this.#all[index] as Operation<Op>;
      if (callAt > firstReturn) break;
      if (!this.#canHappen(index, frontier) || (unnoticed >= 0 && !this.#notices(index, unnoticed))) continue;
      if ((this.#sooner[index - this.#mandatory] as readonly number[]).some((other) => this.#canHappen(other, frontier))) continue;
      found.push(index);
    }
    return found.sort((a, b) => (this.#rank[a] as number) - (this.#rank[b] as number));
  }

  #canHappen(optional: number, frontier: number): boolean {
    if (this.#has(optional) || bit(this.#over, this.#placeOf(optional))) return false;
    return (this.#all[optional] as Operation<Op>).returnAt >= frontier && this.#has(this.#after[optional] as number);
  }

  /** Whether the optional operation before it could not as well come behind it. */
  #notices(index: number, optional: number): boolean {
    const { op, callAt, optional: isOptional } = this.#all[index] as Operation<Op>;
    const before = this.#all[optional] as Operation<Op>;
    return this.#until[optional] === index || (!isOptional && callAt > before.returnAt) || !this.#model.commute(before.op, op);
  }

  /** What may come next by its time, that which must come first in front. */
  #next(): Operation<Op>[] {
    const must = this.#returns.first;
    const { returnAt } = this.#all[must] as Operation<Op>;
    const found: Operation<Op>[] = [this.#all[must] as Operation<Op>];
    const calls = this.#calls;
    for (let index = calls.first; index !== calls.head; index = calls.after(index)) {
      const operation = this.#all[index] as Operation<Op>;
      if (operation.callAt > returnAt) break;
      if (index !== must) found.push(operation);
    }
    return found;
  }

  #findAlike(): number[][] {
    const groups = new Map<string, number[]>();
    return this.#all.slice(this.#mandatory).map(({ op, returnAt, until }, i) => {
      const likeness = this.#model.likeness(op);
      if (likeness === null) return [];
      const group = groups.get(likeness) ?? [];
      groups.set(likeness, group);
      const index = this.#mandatory + i;
      const sooner = group.filter((other) => {
        const before = this.#all[other] as Operation<Op>;
        return before.returnAt <= returnAt && (until === null || before.until === until);
      });
      group.push(index);
      return sooner;
    });
  }

  // ------------------------------------------------------------ what has happened

  #placeOf(index: number): number {
    return index < this.#mandatory ? index : (this.#optionalWord << 5) + index - this.#mandatory;
  }
  #has(index: number): boolean {
    return index < 0 || bit(this.#done, this.#placeOf(index));
  }

  #do(index: number): void {
    flip(this.#done, this.#placeOf(index));
    if (index >= this.#mandatory) return;
    this.#hash ^= mix(index + 1);
    this.#left--;
    this.#calls.remove(index);
    this.#returns.remove(index);
    for (const optional of this.#ends.get(index) ?? []) flip(this.#over, this.#placeOf(optional));
  }
  /** Of the one that was done last. */
  #undo(index: number): void {
    flip(this.#done, this.#placeOf(index));
    if (index >= this.#mandatory) return;
    this.#hash ^= mix(index + 1);
    this.#left++;
    this.#returns.restore(index);
    this.#calls.restore(index);
    for (const optional of this.#ends.get(index) ?? []) flip(this.#over, this.#placeOf(optional));
  }

  /** Whether nothing at least as good has been here; remembers it. */
  #isNew(state: State, unnoticed: number): boolean {
    const done = this.#done;
    const from = this.#left === 0 ? this.#optionalWord : this.#calls.first >>> 5;
    let to = this.#optionalWord;
    while (to > from && done[to - 1] === 0) to--;
    const used = done.slice(this.#optionalWord);
    for (let i = 0; i < used.length; i++) used[i] = (used[i] as number) & ~(this.#over[this.#optionalWord + i] as number);
    const key = this.#hash ^ mix(this.#model.hash(state));
    let known = this.#seen.get(key);
    if (known === undefined) this.#seen.set(key, (known = []));
    let own: Seen<State> | null = null;
    for (const each of known) {
      if (each.from !== from || each.words.length !== to - from || (each.unnoticed >= 0 && each.unnoticed !== unnoticed)) continue;
      if (!each.words.every((word, i) => word === done[from + i]) || !this.#model.equal(each.state, state)) continue;
      if (each.used.some((other) => isWithin(other, used))) return false;
      if (each.unnoticed === unnoticed) own = each;
    }
    if (own === null) known.push({ from, words: done.slice(from, to), state, unnoticed, used: [used] });
    else own.used.push(used);
    return true;
  }
}

/** A list of indexes, from which one is taken out while it counts as done; what was taken out last comes back first. */
class Links {
  readonly head: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  /** `order`: all of 0, 1, … */
  constructor(order: readonly number[]) {
    this.head = order.length;
    this.#next = new Int32Array(order.length + 1);
    this.#previous = new Int32Array(order.length + 1);
    let last = this.head;
    for (const index of [...order, this.head]) {
      this.#next[last] = index;
      this.#previous[index] = last;
      last = index;
    }
  }
  get first(): number {
    return this.after(this.head);
  }
  after(index: number): number {
    return this.#next[index] as number;
  }
  remove(index: number): void {
    this.#next[this.#previous[index] as number] = this.after(index);
    this.#previous[this.after(index)] = this.#previous[index] as number;
  }
  restore(index: number): void {
    this.#next[this.#previous[index] as number] = index;
    this.#previous[this.after(index)] = index;
  }
}

function bit(words: Uint32Array, place: number): boolean {
  return ((words[place >>> 5] as number) & (1 << (place & 31))) !== 0;
}
function flip(words: Uint32Array, place: number): void {
  words[place >>> 5] = (words[place >>> 5] as number) ^ (1 << (place & 31));
}
function isWithin(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (((a[i] as number) & ~(b[i] as number)) !== 0) return false;
  return true;
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
