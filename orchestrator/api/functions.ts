/** Ready-made windows, watermark strategies and aggregates. */
import { DreyError } from '../../coord/base/errors.ts';
import { callSite } from './call-site.ts';
import type { Key, TumblingWindows, WatermarkStrategy, Window } from './operators.ts';

/** Windows of `sizeMs` of event time, one after the other, aligned to 1970. */
export function tumbling(sizeMs: number): TumblingWindows {
  if (!Number.isSafeInteger(sizeMs) || sizeMs < 1) throw new DreyError('JOB_GRAPH', `${callSite()}: tumbling(sizeMs): the size is a whole number of milliseconds from 1, not ${sizeMs}`);
  return { type: 'tumbling', sizeMs };
}

/**
 * No record of a split is more than `maxOutOfOrdernessMs` older than the newest before it; one that is, and whose window is over, is
 * dropped and counted. `idleAfterMs`: a split without records for so long holds nobody back (default: never idle).
 */
export function boundedOutOfOrderness(maxOutOfOrdernessMs: number, options: { readonly idleAfterMs?: number } = {}): WatermarkStrategy {
  const idleAfterMs = options.idleAfterMs ?? Infinity;
  if (!(maxOutOfOrdernessMs >= 0)) throw new DreyError('JOB_GRAPH', `${callSite()}: boundedOutOfOrderness(ms): a number of milliseconds from 0, not ${maxOutOfOrdernessMs}`);
  if (!(idleAfterMs > 0)) throw new DreyError('JOB_GRAPH', `${callSite()}: idleAfterMs is a number of milliseconds above 0, not ${idleAfterMs}`);
  return { type: 'bounded-out-of-order', maxOutOfOrdernessMs, idleAfterMs };
}

export interface Counted<K extends Key> {
  readonly key: K;
  readonly count: number;
  /** Of the window, ms since 1970; absent in a running count. */
  readonly windowStart?: number;
  readonly windowEnd?: number;
}

/** Counts the records of a key: for .window(…).aggregate(count()) and for a running .aggregate(count()). */
export function count<K extends Key = Key>(): {
  readonly create: () => number;
  readonly add: (n: number) => number;
  readonly result: (n: number, key: K, window?: Window) => Counted<K>;
} {
  return {
    create: () => 0,
    add: (n) => n + 1,
    result: (n, key, window) => ({ key, count: n, ...(window === undefined ? {} : { windowStart: window.start, windowEnd: window.end }) }),
  };
}
