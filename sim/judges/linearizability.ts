/**
 * Is there an order of these operations that a sequential object could have run them in, such that whatever returned before another began comes
 * before it? Black box: it knows what clients sent, saw and when, and nothing of zxids.
 *
 * Whoever believes to know the order may say so (`hint`). That is not trusted: the order is checked like any other, step by step, and only if it does
 * not hold does the search begin. So histories of a sound system cost a step an operation.
 *
 * If it does not, linearization-search.ts looks for another one. Intervals are closed: what returns in the instant in which another begins overlaps it.
 *
 * Every step counts against a budget, so that a verdict is the same on every machine.
 */

import { searchOrder } from './linearization-search.ts';

export interface SequentialModel<State, Op> {
  readonly init: State;
  /** What the object is after `op`; null: it cannot have answered so here. Gives `state` itself when nothing changes. */
  step(state: State, op: Op): State | null;
  /** It never changes a state. */
  readsOnly(op: Op): boolean;
  /** 32 bits; equal states have equal hashes. */
  hash(state: State): number;
  equal(a: State, b: State): boolean;
  /** In every state the one leaves the same, and is answered the same, whether it comes before or behind the other. */
  commute(a: Op, b: Op): boolean;
  /** Operations with equal names do the same in every state; null: it is like no other. */
  likeness(op: Op): string | null;
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

export const STEPS_MAX = 500_000;

export function checkLinearizable<State, Op>(model: SequentialModel<State, Op>, history: readonly Operation<Op>[], stepsMax = STEPS_MAX): Verdict<Op> {
  const witness = followHints(model, history);
  return witness === null ? searchOrder(model, history, stepsMax) : { kind: 'ok', order: witness, steps: witness.length };
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
