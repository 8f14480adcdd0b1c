/**
 * The task managers and their slots.
 *
 * Decides: which are there, how many slots of each are free, and (by placement) where new slots come from.
 * Invariants: all slots that are asked for together are given, or none (so jobs cannot starve each other half-served); a task manager that
 *   has not answered this master's hello gives no slot. One slot holds one subtask of every vertex of a job (Flink's slot sharing), so
 *   a job needs as many slots as its greatest parallelism.
 */
import type { Prng } from '../../coord/base/prng.ts';
import type { PlacementStrategy } from '../graph/job-graph.ts';
import type { Candidate, PlacementCursor } from './placement.ts';
import { chooseTaskManager } from './placement.ts';

export interface TaskManagerEntry {
  readonly taskManagerId: string;
  readonly address: string;
  readonly slots: number;
  connected: boolean;
  /** It has answered hello on the present connection: what it runs is known. */
  registered: boolean;
  used: number;
}

export class SlotPool {
  readonly #entries = new Map<string, TaskManagerEntry>();
  readonly #cursor: PlacementCursor = { last: '' };
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  add(taskManagerId: string, address: string, slots: number): void {
    this.#entries.set(taskManagerId, { taskManagerId, address, slots, connected: false, registered: false, used: 0 });
  }
  remove(taskManagerId: string): void {
    this.#entries.delete(taskManagerId);
  }
  get(taskManagerId: string): TaskManagerEntry | undefined {
    return this.#entries.get(taskManagerId);
  }
  isRegistered(taskManagerId: string): boolean {
    return this.#entries.get(taskManagerId)?.registered === true;
  }
  /** By id. */
  all(): TaskManagerEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.taskManagerId < b.taskManagerId ? -1 : 1));
  }

  /** A slot that is held already, known from coord. */
  hold(taskManagerId: string): void {
    const entry = this.#entries.get(taskManagerId);
    if (entry !== undefined) entry.used += 1;
  }
  release(taskManagerId: string): void {
    const entry = this.#entries.get(taskManagerId);
    if (entry !== undefined) entry.used -= 1;
  }

  /** One task manager for each key, held; null: there is not enough room for all of them. */
  allocate(strategy: PlacementStrategy, slotKeys: readonly string[]): string[] | null {
    const candidates = this.all().filter((entry) => entry.registered);
    if (candidates.reduce((sum, entry) => sum + Math.max(0, entry.slots - entry.used), 0) < slotKeys.length) return null;
    return slotKeys.map((key) => {
      const free: Candidate[] = candidates.filter((entry) => entry.used < entry.slots).map((entry) => ({ taskManagerId: entry.taskManagerId, slots: entry.slots, free: entry.slots - entry.used }));
      const chosen = chooseTaskManager(strategy, free, key, this.#cursor, this.#prng);
      this.hold(chosen);
      return chosen;
    });
  }
}
