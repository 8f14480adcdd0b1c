/**
 * No partition is owned by two unfenced tasks (O2).
 *
 *   TwoOwners   of the attempts of one subtask at most one takes steps: in a process that runs, with a lease that is not over
 *   Orphan      what runs after everything has healed is what the assignment says
 */
import type { Fail } from '../fail.ts';

export interface RunningTask {
  readonly executionId: string;
  readonly worker: string;
}

/** "job/vertex/subtask" of an execution id. */
function subtaskOf(executionId: string): string {
  return executionId.slice(0, executionId.lastIndexOf('/'));
}
export function attemptOf(executionId: string): number {
  return Number(executionId.slice(executionId.lastIndexOf('/') + 1));
}

export class OwnershipJudge {
  readonly #fail: Fail;

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  /** All tasks that take steps now. */
  look(running: readonly RunningTask[]): void {
    const owners = new Map<string, RunningTask>();
    for (const task of running) {
      const subtask = subtaskOf(task.executionId);
      const other = owners.get(subtask);
      if (other !== undefined) this.#fail('TwoOwners', `${other.executionId} on ${other.worker} and ${task.executionId} on ${task.worker} both run`);
      owners.set(subtask, task);
    }
  }

  /** `assigned`: the execution that should run, by subtask. */
  settled(running: readonly RunningTask[], assigned: ReadonlyMap<string, string>): void {
    for (const { executionId, worker } of running) {
      const expected = assigned.get(subtaskOf(executionId));
      if (expected !== executionId) this.#fail('Orphan', `${worker} runs ${executionId}, the assignment says ${expected ?? 'nobody should'}`);
    }
  }
}
