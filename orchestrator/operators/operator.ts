/**
 * What an operator is to the task that runs it: a synchronous machine that takes whole batches. It must not change values it was given,
 * nor values it has emitted.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { OperatorSpec } from '../graph/job-graph.ts';
import type { Batch } from '../task/stream-element.ts';

export interface Operator {
  readonly spec: OperatorSpec;
  /** What comes of these records; null for nothing. */
  process(batch: Batch): Batch | null;
  /** Event time has come to here: no record with a timestamp up to it is expected any more. */
  advance?(watermarkMs: number): Batch | null;
  /** Keyed state by key group; must not be touched by later updates. */
  snapshot?(): ReadonlyMap<number, Uint8Array>;
  restore?(snapshot: ReadonlyMap<number, Uint8Array>): void;
  /** Records dropped because their window had been emitted. */
  readonly numLateRecordsDropped?: number;
}

/**
 * What the user's function threw, with where it stands. It is retryable, since it may depend on something outside, unless the error itself
 * says otherwise (`retryable: false`); what never works is stopped by the restart strategy.
 */
export function userCodeError(spec: OperatorSpec, error: unknown): DreyError {
  const cause = error instanceof Error ? error : new Error(`threw ${String(error)}`);
  const wrapped = new DreyError('USER_CODE', `${spec.name} (${spec.origin}): ${cause.name}: ${cause.message}`, { retryable: isRetryable(error), cause });
  if (cause.stack !== undefined) wrapped.stack = `${wrapped.name}: ${wrapped.message}\n${stackFrames(cause.stack)}`;
  return wrapped;
}

export function isRetryable(error: unknown): boolean {
  const said = (error as { retryable?: unknown } | null | undefined)?.retryable;
  return typeof said === 'boolean' ? said : true;
}

function stackFrames(stack: string): string {
  const at = stack.search(/^\s+at /m);
  return at === -1 ? stack : stack.slice(at);
}
