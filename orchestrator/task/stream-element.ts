/**
 * What flows through the channels of a job. Elements of one channel stay in order; only records cost credit (see orchestrator/exchange).
 *
 * Records are values that nobody changes any more once they were emitted: between tasks of one process they are handed over as they are.
 */

/** Event time before any record: a safe integer, so that it is the same in JSON and msgpack. */
export const MIN_WATERMARK = Number.MIN_SAFE_INTEGER;
/** The end of event time: no record comes after it. */
export const MAX_WATERMARK = Number.MAX_SAFE_INTEGER;

/** Some records of one origin, in order. `timestamps` has one entry per value: event time in ms since 1970, MIN_WATERMARK for none. */
export interface Batch {
  readonly values: readonly unknown[];
  readonly timestamps: readonly number[];
}

export interface Barrier {
  readonly type: 'barrier';
  readonly checkpointId: number;
  /** Sources read nothing after it; the job ends when the checkpoint is complete. */
  readonly stop: boolean;
  /** All input of the job had ended before it was triggered; the job ends when the checkpoint is complete. */
  readonly final: boolean;
  /** All input of the sender had ended before it. */
  readonly ended: boolean;
}

export type StreamElement =
  | ({ readonly type: 'records' } & Batch)
  | { readonly type: 'watermark'; readonly timestampMs: number }
  /** The channel is idle: it does not hold back event time until it is active again. */
  | { readonly type: 'status'; readonly idle: boolean }
  | Barrier
  /** The sender has finished. The last element of a channel. */
  | { readonly type: 'end' };
