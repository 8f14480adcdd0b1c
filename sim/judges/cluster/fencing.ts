/**
 * One effective master (O1): belief may overlap, effects may not.
 *
 *   MasterEpoch    /drey/epoch only grows: no two masters are granted one epoch
 *   MasterFenced   whatever is written about jobs is written in the session, and says the epoch, to which the newest grant was made
 *   StaleCommand   a task manager that has heard of a newer master starts nothing for an older one
 */
import type { Fail } from '../fail.ts';

export class FencingJudge {
  readonly #fail: Fail;
  #epoch = 0;
  #session = 0n;
  /** By life of a task manager: the highest epoch that has arrived there, and what a stale master asked it to run. */
  readonly #workers = new Map<string, { epoch: number; readonly refused: Set<string> }>();

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  get epoch(): number {
    return this.#epoch;
  }

  granted(epoch: number, session: bigint): void {
    // A grant whose outcome was unknown is asked for again, in the same session.
    if (epoch < this.#epoch || (epoch === this.#epoch && session !== this.#session)) this.#fail('MasterEpoch', `epoch ${epoch} is granted after ${this.#epoch}`);
    this.#epoch = epoch;
    this.#session = session;
  }

  /** A committed write of a master; `epoch` where the written data says it. */
  wrote(path: string, session: bigint, epoch: number | null): void {
    if (session !== this.#session) this.#fail('MasterFenced', `${path} is written by a session that was not granted epoch ${this.#epoch}`);
    else if (epoch !== null && epoch !== this.#epoch) this.#fail('MasterFenced', `${path} is written by the master of epoch ${epoch} after epoch ${this.#epoch} was granted`);
  }

  /** A master's message arrives. `deploys`: the executions that it asks for. */
  commanded(worker: string, epoch: number, deploys: readonly string[]): void {
    const known = this.#workers.get(worker) ?? { epoch: 0, refused: new Set<string>() };
    this.#workers.set(worker, known);
    if (epoch < known.epoch) {
      for (const executionId of deploys) known.refused.add(executionId);
      return;
    }
    known.epoch = epoch;
    for (const executionId of deploys) known.refused.delete(executionId);
  }

  /** The worker says of an execution that it runs. */
  started(worker: string, executionId: string): void {
    if (this.#workers.get(worker)?.refused.has(executionId) === true) this.#fail('StaleCommand', `${worker} runs ${executionId}, which only a master of an older epoch asked for`);
  }
}
