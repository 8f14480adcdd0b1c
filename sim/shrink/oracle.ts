/** Asks runs whether a smaller plan still fails in the same way, within a budget. When it is used up, nothing fails any more, so that whoever asks comes to an end. */
import type { Plan } from '../plan/plan.ts';
import type { RunResult } from '../run/result.ts';
import { isSameFailure } from '../cli/seed-report.ts';

/** `stopAtMs`: what comes later in phase 1 does not matter. */
export type RunPlan = (plan: Plan, options?: { readonly stopAtMs: number }) => Promise<RunResult>;

/** A smaller plan may fail somewhat later; one that fails later still is taken for another failure. */
function latest(virtualMs: number): number {
  return virtualMs * 1.25 + 250;
}

export class Oracle {
  readonly #run: RunPlan;
  readonly failure: { readonly kind: string; readonly invariant: string };
  readonly #latestMs: number;
  readonly #expired: () => boolean;
  readonly #onRun: () => void;
  readonly #seen = new Set<string>();
  runs = 0;
  /** The budget was used up before the end. */
  outOfTime = false;
  /** The last that failed. */
  plan: Plan;
  result: RunResult;

  constructor(run: RunPlan, plan: Plan, result: RunResult, failure: { readonly kind: string; readonly invariant: string }, expired: () => boolean, onRun: () => void) {
    this.#run = run;
    this.plan = plan;
    this.result = result;
    this.failure = failure;
    // A violation in phase 2, or none but that phase 2 comes to no end, has no such bound.
    this.#latestMs = failure.kind === 'safety' && result.virtualMs <= plan.untilMs ? latest(result.virtualMs) : Infinity;
    this.#expired = expired;
    this.#onRun = onRun;
    this.#seen.add(JSON.stringify(plan));
  }

  /** Does it fail as the original did? If so it is what is gone on from. */
  async fails(plan: Plan): Promise<boolean> {
    const key = JSON.stringify(plan);
    if (key === JSON.stringify(this.plan)) return true;
    if (this.#seen.has(key)) return false;
    if (this.#expired()) {
      this.outOfTime = true;
      return false;
    }
    this.#seen.add(key);
    this.runs++;
    const result = await this.#run(plan, { stopAtMs: this.#latestMs });
    const same = isSameFailure(result, this.failure) && result.virtualMs <= this.#latestMs;
    if (same) {
      this.plan = plan;
      this.result = result;
    }
    this.#onRun();
    return same;
  }
}
