/** What one task runs: the part of a job that is its vertex, with the user's functions in it. */
import type { Sink } from '../api/sink.ts';
import type { WatermarkStrategy } from '../api/operators.ts';
import type { Source } from '../api/source.ts';
import type { OperatorSpec, Partitioning } from '../graph/job-graph.ts';
import type { Operator } from '../operators/operator.ts';

export interface TaskProgram {
  readonly parallelism: number;
  readonly maxParallelism: number;
  /** Those of the vertex, in the order of the chain. */
  readonly operatorSpecs: readonly OperatorSpec[];
  /** Null for a vertex that reads from channels. */
  readonly source: SourceProgram | null;
  readonly operators: readonly Operator[];
  readonly sink: Sink<unknown> | null;
  /** One for each edge that leaves the vertex. */
  readonly outputs: readonly OutputProgram[];
}

export interface SourceProgram {
  readonly source: Source<unknown>;
  /** Event time of a value; null: as the reader says. */
  readonly timestampOf: ((value: unknown) => number) | null;
  /** Null: event time stands still until the end of the input. */
  readonly watermarks: WatermarkStrategy | null;
}

export interface OutputProgram {
  readonly to: string;
  readonly partitioning: Partitioning;
  /** For 'hash'. */
  readonly keyOf: ((value: unknown) => unknown) | null;
}
