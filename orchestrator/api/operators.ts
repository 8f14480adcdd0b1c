/**
 * Operators as the user described them, functions included: what a task runs. buildGraph makes them, by operator id; values are
 * untyped here, since the typed stream classes have checked them.
 */
import type { OperatorSpec } from '../graph/job-graph.ts';
import type { Sink } from './sink.ts';
import type { Source } from './source.ts';

/** What keyBy may return. */
export type Key = string | number | boolean | bigint;

/** [start, end) in ms since 1970. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

/**
 * How the values of one key (and window) become one result. `add` may change the accumulator in place and returns it; an accumulator is
 * kept in checkpoints, so it must be plain data (what structuredClone can copy: objects, arrays, Maps, Sets, Dates, typed arrays).
 */
export interface AggregateFunction<T, A, R, K extends Key = Key> {
  readonly create: () => A;
  readonly add: (accumulator: A, value: T) => A;
  readonly result: (accumulator: A, key: K) => R;
}
export interface WindowAggregateFunction<T, A, R, K extends Key = Key> {
  readonly create: () => A;
  readonly add: (accumulator: A, value: T) => A;
  readonly result: (accumulator: A, key: K, window: Window) => R;
}

/** Tumbling event-time windows, aligned to 1970. */
export interface TumblingWindows {
  readonly type: 'tumbling';
  readonly sizeMs: number;
}

/** How event time advances at a source: in each split it is the greatest timestamp seen minus the bound; splits merge by minimum. */
export interface WatermarkStrategy {
  readonly type: 'bounded-out-of-order';
  readonly maxOutOfOrdernessMs: number;
  /** A split without records for this long holds nobody back. Infinity: never idle. */
  readonly idleAfterMs: number;
}

export type OperatorDefinition =
  | {
      readonly kind: 'source';
      readonly spec: OperatorSpec;
      readonly source: Source<unknown>;
      /** null: the source's own timestamps. */
      readonly timestampOf: ((value: unknown) => number) | null;
      /** null: the job does not use event time. */
      readonly watermarks: WatermarkStrategy | null;
    }
  | { readonly kind: 'map'; readonly spec: OperatorSpec; readonly fn: (value: unknown) => unknown }
  | { readonly kind: 'flatMap'; readonly spec: OperatorSpec; readonly fn: (value: unknown) => Iterable<unknown> }
  | { readonly kind: 'filter'; readonly spec: OperatorSpec; readonly fn: (value: unknown) => boolean }
  /** First operator of a vertex whose input is partitioned by hash of `keyOf`: the upstream task applies keyOf too. */
  | {
      readonly kind: 'window';
      readonly spec: OperatorSpec;
      readonly keyOf: (value: unknown) => unknown;
      readonly windows: TumblingWindows;
      readonly aggregate: WindowAggregateFunction<unknown, unknown, unknown>;
    }
  /** Emits the new result after each record. Partitioned as 'window'. */
  | { readonly kind: 'aggregate'; readonly spec: OperatorSpec; readonly keyOf: (value: unknown) => unknown; readonly aggregate: AggregateFunction<unknown, unknown, unknown> }
  | { readonly kind: 'sink'; readonly spec: OperatorSpec; readonly sink: Sink<unknown> };
