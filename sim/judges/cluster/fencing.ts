/**
 * One effective master (O1): belief may overlap, effects may not.
 *
 *   MasterEpoch    /drey/epoch only grows: no two masters are granted one epoch
 *   MasterFenced   whatever is written about jobs is written in the session, and says the epoch, to which the newest grant was made
 *   StaleCommand   a task manager that has heard of a newer master starts nothing for an older one, and answers it with `fenced`, at once, and nothing else
 */
import type { Fail } from '../fail.ts';

/** A life of a task manager. */
interface Worker {
  /** The highest that has arrived there. */
  epoch: number;
  /** The newest of each master. */
  readonly heard: Map<string, number>;
  /** What a stale master asked it to run. */
  readonly refused: Set<string>;
  /** The stale master that it has to tell so at once. */
  owes: string | null;
}

export class FencingJudge {
  readonly #fail: Fail;
  #epoch = 0;
  #session = 0n;
  readonly #workers = new Map<string, Worker>();

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
  commanded(worker: string, master: string, epoch: number, deploys: readonly string[]): void {
    const known: Worker = this.#workers.get(worker) ?? { epoch: 0, heard: new Map(), refused: new Set(), owes: null };
    this.#workers.set(worker, known);
    known.heard.set(master, epoch);
    known.owes = epoch < known.epoch ? master : null;
    if (epoch < known.epoch) {
      for (const executionId of deploys) known.refused.add(executionId);
      return;
    }
    known.epoch = epoch;
    for (const executionId of deploys) known.refused.delete(executionId);
  }

  /** The worker sends something to a master. */
  answered(worker: string, master: string, type: string): void {
    const known = this.#workers.get(worker);
    const epoch = known?.heard.get(master);
    if (known?.owes === master && type === 'fenced') known.owes = null;
    if (known === undefined || epoch === undefined || epoch >= known.epoch || type === 'fenced') return;
    this.#fail('StaleCommand', `${worker} answers ${master} of epoch ${epoch} with ${type}, although it has heard of epoch ${known.epoch}`);
  }

  /** The worker has done what it does about a master's message. */
  handled(worker: string, master: string): void {
    const known = this.#workers.get(worker);
    if (known?.owes === master) this.#fail('StaleCommand', `${worker} obeys ${master} of epoch ${known.heard.get(master)}, although it has heard of epoch ${known.epoch}`);
  }

  /** The worker says of an execution that it runs. */
  started(worker: string, executionId: string): void {
    if (this.#workers.get(worker)?.refused.has(executionId) === true) this.#fail('StaleCommand', `${worker} runs ${executionId}, which only a master of an older epoch asked for`);
  }
}
