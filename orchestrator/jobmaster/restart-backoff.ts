/**
 * Whether and when a failed region is restarted.
 *
 * Decides: the delay before the next restart, or that there is none.
 * Source: Flink's RestartBackoffTimeStrategy: none, fixed-delay, exponential-delay (without jitter: one master restarts few regions).
 */
import { assertNever } from '../../coord/base/assert.ts';
import type { RestartStrategy } from '../graph/job-graph.ts';

export interface Backoff {
  readonly restarts: number;
  /** For exponential-delay: the last delay; 0 at the start. */
  readonly backoffMs: number;
}

/** `quietMs`: how long the job ran without a failure. null: do not restart. */
export function nextRestart(strategy: RestartStrategy, { restarts, backoffMs }: Backoff, quietMs: number): (Backoff & { readonly delayMs: number }) | null {
  switch (strategy.type) {
    case 'none':
      return null;
    case 'fixed-delay':
      return restarts >= strategy.attempts ? null : { restarts: restarts + 1, backoffMs: 0, delayMs: strategy.delayMs };
    case 'exponential-delay': {
      const fresh = backoffMs === 0 || quietMs >= strategy.resetAfterMs;
      const delayMs = fresh ? strategy.initialMs : Math.min(strategy.maxMs, Math.ceil(backoffMs * strategy.multiplier));
      return { restarts: restarts + 1, backoffMs: Math.max(1, delayMs), delayMs };
    }
    default:
      return assertNever(strategy);
  }
}
