/**
 * The job graph: what the user's code describes, as pure data. Functions are not in it: whoever runs a task evaluates the job's bundle again and
 * finds them by operator id. So building a graph from the same bundle and the same parameters must give the same graph; the
 * graph's hash is compared when a task is deployed.
 */
import type { Json } from '../api/source.ts';

export type Partitioning =
  /** Subtask i to subtask i; only between equal parallelism. */
  | 'forward'
  /** By key group of the record's key. */
  | 'hash'
  /** Round-robin. */
  | 'rebalance';

export type OperatorKind = 'source' | 'map' | 'flatMap' | 'filter' | 'window' | 'aggregate' | 'sink';

export interface OperatorSpec {
  /** Stable: given by the user (options.uid), else derived from the position in the graph. */
  readonly id: string;
  readonly kind: OperatorKind;
  readonly name: string;
  /** file:line:column in the user's source, for errors. */
  readonly origin: string;
}

/** A chain of operators that run in one task. */
export interface JobVertex {
  readonly id: string;
  readonly name: string;
  readonly parallelism: number;
  readonly operators: readonly OperatorSpec[];
}

export interface JobEdge {
  readonly from: string;
  readonly to: string;
  readonly partitioning: Partitioning;
}

export type RestartStrategy =
  | { readonly type: 'none' }
  | { readonly type: 'fixed-delay'; readonly attempts: number; readonly delayMs: number }
  | { readonly type: 'exponential-delay'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number; readonly resetAfterMs: number };

export type PlacementStrategy = 'round-robin' | 'random' | 'least-loaded' | 'consistent-hash';

export interface JobGraph {
  readonly name: string;
  readonly vertices: readonly JobVertex[];
  readonly edges: readonly JobEdge[];
  /** Number of key groups; fixed for the life of the job's state. Default 128. */
  readonly maxParallelism: number;
  readonly checkpoint: { readonly intervalMs: number; readonly timeoutMs: number; readonly retained: number };
  readonly restart: RestartStrategy;
  readonly placement: PlacementStrategy;
  readonly params: Readonly<Record<string, Json>>;
}
