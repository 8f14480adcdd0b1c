/**
 * The keyed operators: event-time tumbling windows and running aggregates.
 *
 * Decides: which window a record belongs to, when a window is emitted, which record is late.
 * Invariants: a window [start, end) is emitted once, when event time reaches end - 1; what it emits has that timestamp; a record whose window
 *   has been emitted is dropped and counted (allowed lateness is 0); no state remains of an emitted window.
 * Source: Flink's TumblingEventTimeWindows, WindowOperator, EventTimeTrigger.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { AggregateFunction, WindowAggregateFunction } from '../api/operators.ts';
import type { OperatorSpec } from '../graph/job-graph.ts';
import type { KeyGroupRange } from '../state/key-groups.ts';
import { checkKey } from '../state/key-groups.ts';
import { KeyedState } from '../state/keyed-state.ts';
import type { Batch } from '../task/stream-element.ts';
import { MIN_WATERMARK } from '../task/stream-element.ts';
import type { Operator } from './operator.ts';
import { userCodeError } from './operator.ts';

export interface KeyedScope {
  readonly keyOf: (value: unknown) => unknown;
  readonly range: KeyGroupRange;
  readonly maxParallelism: number;
}

export class TumblingWindowOperator implements Operator {
  readonly spec: OperatorSpec;
  readonly #scope: KeyedScope;
  readonly #sizeMs: number;
  readonly #aggregate: WindowAggregateFunction<unknown, unknown, unknown>;
  /** Namespace: the window's start. */
  readonly #state: KeyedState<unknown>;
  #watermarkMs: number;
  #late = 0;

  /** `restoredWatermarkMs`: windows that were emitted before the checkpoint are not opened again. */
  constructor(spec: OperatorSpec, scope: KeyedScope, sizeMs: number, aggregate: WindowAggregateFunction<unknown, unknown, unknown>, restoredWatermarkMs: number) {
    this.spec = spec;
    this.#scope = scope;
    this.#sizeMs = sizeMs;
    this.#aggregate = aggregate;
    this.#state = new KeyedState(scope.range, scope.maxParallelism);
    this.#watermarkMs = restoredWatermarkMs;
  }

  get numLateRecordsDropped(): number {
    return this.#late;
  }

  process({ values, timestamps }: Batch): null {
    const aggregate = this.#aggregate;
    const { keyOf } = this.#scope;
    const sizeMs = this.#sizeMs;
    try {
      for (let i = 0; i < values.length; i++) {
        const timestampMs = timestamps[i] as number;
        if (timestampMs === MIN_WATERMARK) throw new DreyError('NO_TIMESTAMP', 'a record without a timestamp reached an event-time window; the source must give timestamps');
        const start = timestampMs - (((timestampMs % sizeMs) + sizeMs) % sizeMs);
        if (start + sizeMs - 1 <= this.#watermarkMs) {
          this.#late += 1;
          continue;
        }
        const key = checkKey(keyOf(values[i]));
        const accumulators = this.#state.values(start, key);
        const accumulator = accumulators.get(key);
        accumulators.set(key, aggregate.add(accumulator === undefined ? aggregate.create() : accumulator, values[i]));
      }
    } catch (error) {
      throw userCodeError(this.spec, error);
    }
    return null;
  }

  advance(watermarkMs: number): Batch | null {
    this.#watermarkMs = Math.max(this.#watermarkMs, watermarkMs);
    const due = [...this.#state.namespaces].filter((start) => start + this.#sizeMs - 1 <= watermarkMs).sort((a, b) => a - b);
    if (due.length === 0) return null;
    const values: unknown[] = [];
    const timestamps: number[] = [];
    try {
      for (const start of due) {
        const window = { start, end: start + this.#sizeMs };
        this.#state.takeNamespace(start, (key, accumulator) => {
          values.push(this.#aggregate.result(accumulator, key, window));
          timestamps.push(window.end - 1);
        });
      }
    } catch (error) {
      throw userCodeError(this.spec, error);
    }
    return { values, timestamps };
  }

  snapshot(): ReadonlyMap<number, Uint8Array> {
    return this.#state.snapshot();
  }

  restore(snapshot: ReadonlyMap<number, Uint8Array>): void {
    this.#state.restore(snapshot);
  }
}

/** Emits, for each record, its key's result so far, with the record's timestamp. */
export class RunningAggregateOperator implements Operator {
  readonly spec: OperatorSpec;
  readonly #scope: KeyedScope;
  readonly #aggregate: AggregateFunction<unknown, unknown, unknown>;
  readonly #state: KeyedState<unknown>;

  constructor(spec: OperatorSpec, scope: KeyedScope, aggregate: AggregateFunction<unknown, unknown, unknown>) {
    this.spec = spec;
    this.#scope = scope;
    this.#aggregate = aggregate;
    this.#state = new KeyedState(scope.range, scope.maxParallelism);
  }

  process({ values, timestamps }: Batch): Batch {
    const aggregate = this.#aggregate;
    const { keyOf } = this.#scope;
    const out: unknown[] = [];
    try {
      for (let i = 0; i < values.length; i++) {
        const key = checkKey(keyOf(values[i]));
        const accumulators = this.#state.values(0, key);
        const before = accumulators.get(key);
        const accumulator = aggregate.add(before === undefined ? aggregate.create() : before, values[i]);
        accumulators.set(key, accumulator);
        const result = aggregate.result(accumulator, key);
        // An accumulator that is its own result is copied: the next record may change it in place, while this one is still under way.
        out.push(result === accumulator && typeof result === 'object' ? structuredClone(result) : result);
      }
    } catch (error) {
      throw userCodeError(this.spec, error);
    }
    return { values: out, timestamps };
  }

  snapshot(): ReadonlyMap<number, Uint8Array> {
    return this.#state.snapshot();
  }

  restore(snapshot: ReadonlyMap<number, Uint8Array>): void {
    this.#state.restore(snapshot);
  }
}
