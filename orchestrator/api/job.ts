/** job(): what a user's module exports by default. */
import { DreyError } from '../../coord/base/errors.ts';
import type { PlacementStrategy, RestartStrategy } from '../graph/job-graph.ts';
import { callSite } from './call-site.ts';
import type { StreamEnvironment } from './stream.ts';

/** Values of `--param key=value`, as strings; what was not given is undefined. */
// oxlint-disable-next-line no-explicit-any -- so that params.in is a string for people who compile with noUncheckedIndexedAccess, too
export type JobParams = Readonly<Record<string, any>>;

export interface JobOptions {
  /** Of every operator that does not say its own. Default 1. */
  readonly parallelism?: number;
  /** Number of key groups, fixed for the life of the job's state. Default 128. */
  readonly maxParallelism?: number;
  readonly checkpoint?: {
    /** Default 10,000. */
    readonly intervalMs?: number;
    /** A checkpoint that is not complete after this time is given up. Default 60,000. */
    readonly timeoutMs?: number;
    /** How many completed checkpoints are kept. Default 2. */
    readonly retained?: number;
  };
  /** Default: exponential-delay from 100 ms, doubling up to 60 s, back to the start after 10 minutes without a failure. */
  readonly restart?: RestartStrategy;
  /** Default 'round-robin'. */
  readonly placement?: PlacementStrategy;
}

export interface JobDefinition {
  readonly type: 'drey-job';
  readonly name: string;
  readonly define: (env: StreamEnvironment, params: JobParams) => void;
  readonly options: JobOptions;
  readonly origin: string;
}

/**
 * Describes a job; `export default job(…)`. `define` is called once at submit and again in each process that runs a part of the job: it must
 * describe the same graph each time, so it may look at nothing but its arguments.
 */
export function job(name: string, define: (env: StreamEnvironment, params: JobParams) => void, options: JobOptions = {}): JobDefinition {
  const origin = callSite();
  if (typeof name !== 'string' || name.trim() === '') throw new DreyError('JOB_GRAPH', `${origin}: job(name, define, options): the name is a string that is not empty`);
  if (typeof define !== 'function') throw new DreyError('JOB_GRAPH', `${origin}: job(name, define, options): define is a function (env, params) => { … }`);
  return { type: 'drey-job', name, define, options, origin };
}

export function isJobDefinition(value: unknown): value is JobDefinition {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'drey-job';
}
