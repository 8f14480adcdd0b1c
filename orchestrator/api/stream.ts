/**
 * The streams that a job's define() connects. They only take notes: nothing runs until a master deploys what buildGraph makes of them.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { OperatorKind } from '../graph/job-graph.ts';
import { callSite } from './call-site.ts';
import type { AggregateFunction, Key, OperatorDefinition, TumblingWindows, WatermarkStrategy, WindowAggregateFunction } from './operators.ts';
import type { Sink } from './sink.ts';
import type { Source } from './source.ts';

export interface OperatorOptions {
  /** Shown to people. */
  readonly name?: string;
  /** Identifies the operator's state over new versions of the job: letters, digits, "-" and "_". Without it: derived from the position. */
  readonly uid?: string;
  readonly parallelism?: number;
}

export interface SourceOptions<T> extends OperatorOptions {
  /** Event time of a record in ms since 1970. Without it the source's own timestamps are used, if it has any. */
  readonly timestamp?: (value: T) => number;
  /** How event time advances. Windows need it. */
  readonly watermarks?: WatermarkStrategy;
}

type WithoutSpec<D> = D extends OperatorDefinition ? Omit<D, 'spec'> : never;

/** One call of the API. */
export interface StreamNode {
  readonly index: number;
  readonly input: StreamNode | null;
  readonly definition: WithoutSpec<OperatorDefinition>;
  readonly kind: OperatorKind;
  readonly options: OperatorOptions;
  readonly origin: string;
  readonly defaultName: string;
  /** The records are spread over the subtasks by turns, instead of staying where they are. */
  readonly rebalanced: boolean;
}

/** What define() gets. */
export class StreamEnvironment {
  readonly nodes: StreamNode[] = [];

  source<T>(source: Source<T>, options: SourceOptions<T> = {}): DataStream<T> {
    const origin = callSite();
    if (typeof source !== 'object' || source === null || typeof source.discoverSplits !== 'function' || typeof source.createReader !== 'function') {
      throw new DreyError('JOB_GRAPH', `${origin}: source(source, options): this is not a source; take one from 'drey/connectors'`);
    }
    const timestampOf = checkFunction(options.timestamp ?? null, origin, 'timestamp', true) as ((value: unknown) => number) | null;
    const node = this.add(null, { kind: 'source', source, timestampOf, watermarks: options.watermarks ?? null }, options, origin, source.description, false);
    return new DataStream<T>(this, node);
  }

  /** For the streams. */
  add(input: StreamNode | null, definition: WithoutSpec<OperatorDefinition>, options: OperatorOptions, origin: string, defaultName: string, rebalanced: boolean): StreamNode {
    const node = { index: this.nodes.length, input, definition, kind: definition.kind, options, origin, defaultName, rebalanced };
    this.nodes.push(node);
    return node;
  }
}

export class DataStream<T> {
  readonly #env: StreamEnvironment;
  readonly #node: StreamNode;
  readonly #rebalanced: boolean;

  constructor(env: StreamEnvironment, node: StreamNode, rebalanced = false) {
    this.#env = env;
    this.#node = node;
    this.#rebalanced = rebalanced;
  }

  map<R>(fn: (value: T) => R, options: OperatorOptions = {}): DataStream<R> {
    const origin = callSite();
    return this.#then<R>({ kind: 'map', fn: checkFunction(fn, origin, 'map') as (value: unknown) => unknown }, options, origin, 'map');
  }

  flatMap<R>(fn: (value: T) => Iterable<R>, options: OperatorOptions = {}): DataStream<R> {
    const origin = callSite();
    return this.#then<R>({ kind: 'flatMap', fn: checkFunction(fn, origin, 'flatMap') as (value: unknown) => Iterable<unknown> }, options, origin, 'flatMap');
  }

  filter<S extends T>(fn: (value: T) => value is S, options?: OperatorOptions): DataStream<S>;
  filter(fn: (value: T) => boolean, options?: OperatorOptions): DataStream<T>;
  filter(fn: (value: T) => boolean, options: OperatorOptions = {}): DataStream<T> {
    const origin = callSite();
    return this.#then<T>({ kind: 'filter', fn: checkFunction(fn, origin, 'filter') as (value: unknown) => boolean }, options, origin, 'filter');
  }

  /** Spreads the records over all subtasks of what follows, by turns. */
  rebalance(): DataStream<T> {
    return new DataStream<T>(this.#env, this.#node, true);
  }

  /** Records of one key go to one subtask, in order. The key must depend on the record alone. */
  keyBy<K extends Key>(keyOf: (value: T) => K): KeyedStream<T, K> {
    checkFunction(keyOf, callSite(), 'keyBy');
    return new KeyedStream<T, K>(this.#env, this.#node, keyOf as (value: unknown) => unknown);
  }

  /** Only a keyed stream has windows. */
  window(_windows: TumblingWindows): never {
    throw new DreyError('JOB_GRAPH', `${callSite()}: window() needs keys: call .keyBy((value) => …) first`);
  }

  sink(sink: Sink<T>, options: OperatorOptions = {}): void {
    const origin = callSite();
    if (typeof sink !== 'object' || sink === null || typeof sink.createWriter !== 'function') {
      throw new DreyError('JOB_GRAPH', `${origin}: sink(sink, options): this is not a sink; take one from 'drey/connectors'`);
    }
    this.#then({ kind: 'sink', sink: sink as Sink<unknown> }, options, origin, sink.description);
  }

  #then<R>(definition: WithoutSpec<OperatorDefinition>, options: OperatorOptions, origin: string, name: string): DataStream<R> {
    return new DataStream<R>(this.#env, this.#env.add(this.#node, definition, options, origin, name, this.#rebalanced));
  }
}

export class KeyedStream<T, K extends Key> {
  readonly #env: StreamEnvironment;
  readonly #node: StreamNode;
  readonly #keyOf: (value: unknown) => unknown;

  constructor(env: StreamEnvironment, node: StreamNode, keyOf: (value: unknown) => unknown) {
    this.#env = env;
    this.#node = node;
    this.#keyOf = keyOf;
  }

  window(windows: TumblingWindows): WindowedStream<T, K> {
    const origin = callSite();
    if (windows?.type !== 'tumbling') throw new DreyError('JOB_GRAPH', `${origin}: window(windows): give tumbling(sizeMs)`);
    return new WindowedStream<T, K>(this.#env, this.#node, this.#keyOf, windows, origin);
  }

  /** A running aggregate: emits the new result of a key after each of its records. */
  aggregate<A, R>(aggregate: AggregateFunction<T, A, R, K>, options: OperatorOptions = {}): DataStream<R> {
    const origin = callSite();
    checkAggregate(aggregate, origin);
    const definition = { kind: 'aggregate' as const, keyOf: this.#keyOf, aggregate: aggregate as unknown as AggregateFunction<unknown, unknown, unknown> };
    return new DataStream<R>(this.#env, this.#env.add(this.#node, definition, options, origin, 'aggregate', false));
  }
}

export class WindowedStream<T, K extends Key> {
  readonly #env: StreamEnvironment;
  readonly #node: StreamNode;
  readonly #keyOf: (value: unknown) => unknown;
  readonly #windows: TumblingWindows;
  readonly #origin: string;

  constructor(env: StreamEnvironment, node: StreamNode, keyOf: (value: unknown) => unknown, windows: TumblingWindows, origin: string) {
    this.#env = env;
    this.#node = node;
    this.#keyOf = keyOf;
    this.#windows = windows;
    this.#origin = origin;
  }

  /** Emits one result for each key and window, when event time has passed the window's end. */
  aggregate<A, R>(aggregate: WindowAggregateFunction<T, A, R, K>, options: OperatorOptions = {}): DataStream<R> {
    checkAggregate(aggregate, callSite());
    const definition = { kind: 'window' as const, keyOf: this.#keyOf, windows: this.#windows, aggregate: aggregate as unknown as WindowAggregateFunction<unknown, unknown, unknown> };
    return new DataStream<R>(this.#env, this.#env.add(this.#node, definition, options, this.#origin, `tumbling(${this.#windows.sizeMs})`, false));
  }
}

function checkFunction(fn: unknown, origin: string, method: string, nullable = false): unknown {
  if (isAsync(fn)) throw new DreyError('JOB_GRAPH', `${origin}: ${method} takes a function that returns at once; this one is async, and its promise would be taken for the record`);
  if (typeof fn === 'function' || (nullable && fn === null)) return fn;
  throw new DreyError('JOB_GRAPH', `${origin}: ${method} takes a function, not ${fn === null ? 'null' : typeof fn}`);
}

function isAsync(fn: unknown): boolean {
  return /^\[object Async(Generator)?Function\]$/.test(Object.prototype.toString.call(fn));
}

function checkAggregate(aggregate: unknown, origin: string): void {
  const { create, add, result } = (aggregate ?? {}) as Record<string, unknown>;
  if ([create, add, result].some(isAsync)) throw new DreyError('JOB_GRAPH', `${origin}: create, add and result of an aggregate return at once; one of these is async`);
  if (typeof create === 'function' && typeof add === 'function' && typeof result === 'function') return;
  throw new DreyError('JOB_GRAPH', `${origin}: aggregate takes { create, add, result }, three functions (or count())`);
}
