/**
 * The operators of one task between its input and its output, as one synchronous function of batches.
 *
 * Invariant: what an operator emits because event time moved reaches the next operator before event time moves there.
 */
import type { Operator } from '../operators/operator.ts';
import type { KeyedSnapshots } from '../state/state-file.ts';
import type { Batch } from './stream-element.ts';

export class OperatorChain {
  readonly #operators: readonly Operator[];

  constructor(operators: readonly Operator[]) {
    this.#operators = operators;
  }

  get numLateRecordsDropped(): number {
    return this.#operators.reduce((sum, operator) => sum + (operator.numLateRecordsDropped ?? 0), 0);
  }

  process(batch: Batch): Batch | null {
    let current: Batch | null = batch;
    for (let i = 0; i < this.#operators.length && current !== null; i++) current = (this.#operators[i] as Operator).process(current);
    return current;
  }

  /** What comes out because event time has moved, in order. */
  advance(watermarkMs: number): Batch[] {
    let carried: Batch[] = [];
    for (const operator of this.#operators) {
      const next: Batch[] = [];
      for (const batch of carried) {
        const out = operator.process(batch);
        if (out !== null) next.push(out);
      }
      const fired = operator.advance?.(watermarkMs) ?? null;
      if (fired !== null) next.push(fired);
      carried = next;
    }
    return carried;
  }

  snapshot(): KeyedSnapshots {
    const snapshots = new Map<string, ReadonlyMap<number, Uint8Array>>();
    for (const operator of this.#operators) {
      const snapshot = operator.snapshot?.();
      if (snapshot !== undefined && snapshot.size > 0) snapshots.set(operator.spec.id, snapshot);
    }
    return snapshots;
  }

  restore(snapshots: KeyedSnapshots): void {
    for (const operator of this.#operators) {
      const snapshot = snapshots.get(operator.spec.id);
      if (snapshot !== undefined) operator.restore?.(snapshot);
    }
  }
}
