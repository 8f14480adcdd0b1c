/**
 * The job's state machine takes legal steps only (O5), and when nothing is wrong any more the job comes to run (O6).
 *
 *   JobStatus    the status in coord moves along the arrows below, and from a terminal one nowhere
 *   JobAttempt   attempts only grow
 *   Flapping     it restarts again and again although everything has healed
 */
import type { Fail } from '../fail.ts';

/** Staying is always legal. */
const next: Readonly<Record<string, readonly string[]>> = {
  CREATED: ['RUNNING', 'RESTARTING', 'STOPPING', 'CANCELING', 'FAILING'],
  RUNNING: ['RESTARTING', 'STOPPING', 'CANCELING', 'FAILING', 'FINISHED'],
  RESTARTING: ['RUNNING', 'STOPPING', 'CANCELING', 'FAILING', 'FINISHED'],
  STOPPING: ['FINISHED', 'CANCELING', 'FAILING'],
  CANCELING: ['CANCELED'],
  FAILING: ['FAILED'],
  CANCELED: [],
  FINISHED: [],
  FAILED: [],
};

/** Restarts after everything has healed: more is flapping. */
const RESTARTS_MAX = 6;

export class JobStatusJudge {
  readonly #fail: Fail;
  #status = 'CREATED';
  #attempt = 0;
  /** Times that the job was seen to restart. */
  restarts = 0;
  /** As many of them may there be. */
  #restartsMax = Infinity;

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  get status(): string {
    return this.#status;
  }

  healed(): void {
    this.#restartsMax = this.restarts + RESTARTS_MAX;
  }

  wrote(record: { readonly status: string; readonly attempt: number; readonly regions: readonly number[] }): void {
    const { status, attempt, regions } = record;
    if (status !== this.#status && next[this.#status]?.includes(status) !== true) this.#fail('JobStatus', `the job goes from ${this.#status} to ${status}`);
    if (attempt < this.#attempt || regions.some((each) => each > attempt)) this.#fail('JobAttempt', `attempt ${attempt} with regions at ${regions.join(', ')} after attempt ${this.#attempt}`);
    if (status === 'RESTARTING' && this.#status !== 'RESTARTING' && ++this.restarts > this.#restartsMax) {
      this.#fail('Flapping', `the job has restarted more than ${RESTARTS_MAX} times since everything healed`);
    }
    this.#status = status;
    this.#attempt = attempt;
  }
}
