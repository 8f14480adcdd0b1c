/**
 * Checkpoints are monotone and complete (O4).
 *
 *   CheckpointId        an id is reserved once, and ids grow
 *   CheckpointPointer   pointers grow, point to reserved ids, and to metadata and states that are in storage
 *   CheckpointComplete  a checkpoint holds one state of each subtask, all acked by one attempt of their region
 *   OffsetBack          no split's position goes back from one completed checkpoint to the next
 *   RestoreNewest       a deployment restores the newest completed checkpoint
 */
import type { Fail } from '../fail.ts';

export interface PointedCheckpoint {
  readonly checkpointId: number;
  readonly kind: string;
}
export interface StateOfTask {
  readonly vertexId: string;
  readonly subtask: number;
  readonly keyedStateFile: string | null;
  readonly splits: Readonly<Record<string, { readonly position: unknown }>>;
}
export interface SubtaskOfJob {
  readonly vertexId: string;
  readonly subtask: number;
  readonly region: number;
}

export interface CheckpointsWorld {
  /** Of the checkpoint's metadata; null: it is not there, or cannot be read. */
  statesOf(checkpointId: number): readonly StateOfTask[] | null;
  isStored(file: string): boolean;
  readonly subtasks: readonly SubtaskOfJob[];
}

const NUMBER = (position: unknown): number => (typeof position === 'number' ? position : typeof position === 'object' && position !== null && 'offset' in position ? Number(position.offset) : Number.NaN);

export class CheckpointsJudge {
  readonly #fail: Fail;
  readonly #world: CheckpointsWorld;
  #reserved = 0;
  /** How many have been completed. */
  completed = 0;
  #reservedBy = 0n;
  #newest = 0;
  /** By checkpoint and "vertex/subtask": the attempt that acked. */
  readonly #acks = new Map<number, Map<string, number>>();
  readonly #positions = new Map<string, number>();
  /** Deployments that nobody may run. */
  readonly #outdated = new Map<string, string>();

  constructor(fail: Fail, world: CheckpointsWorld) {
    this.#fail = fail;
    this.#world = world;
  }

  get newest(): number {
    return this.#newest;
  }
  /** Of a split, as the newest completed checkpoint has it. */
  positionOf(splitId: string): number {
    return this.#positions.get(splitId) ?? 0;
  }

  /** The counter is written. The same once more, in the same session: a write whose outcome was unknown. */
  reserved(checkpointId: number, session: bigint): void {
    const isRepeated = checkpointId === this.#reserved && session === this.#reservedBy;
    this.#reservedBy = session;
    if (checkpointId <= this.#reserved && !isRepeated) this.#fail('CheckpointId', `checkpoint id ${checkpointId} is reserved after ${this.#reserved}`);
    this.#reserved = checkpointId;
  }

  acked(checkpointId: number, vertexId: string, subtask: number, attempt: number): void {
    const acks = this.#acks.get(checkpointId) ?? new Map<string, number>();
    this.#acks.set(checkpointId, acks);
    // An older attempt's ack comes to nothing where a newer one's is there.
    acks.set(`${vertexId}/${subtask}`, Math.max(attempt, acks.get(`${vertexId}/${subtask}`) ?? 0));
  }

  /** The list of pointers is written. */
  pointed(pointers: readonly PointedCheckpoint[]): void {
    const ids = pointers.map(({ checkpointId }) => checkpointId);
    const newest = ids.at(-1) ?? 0;
    if (ids.some((id, i) => i > 0 && id <= (ids[i - 1] as number))) this.#fail('CheckpointPointer', `the pointers are ${ids.join(', ')}`);
    if (newest < this.#newest) this.#fail('CheckpointPointer', `checkpoint ${newest} is the newest after ${this.#newest} was`);
    if (newest > this.#reserved) this.#fail('CheckpointPointer', `checkpoint ${newest} was never reserved`);
    if (newest <= this.#newest) return;
    this.#newest = newest;
    this.#completed(newest, pointers.at(-1)?.kind ?? '');
    for (const id of this.#acks.keys()) if (id < newest) this.#acks.delete(id);
  }

  #completed(checkpointId: number, kind: string): void {
    this.completed += 1;
    const states = this.#world.statesOf(checkpointId);
    if (states === null) return this.#fail('CheckpointPointer', `the metadata of checkpoint ${checkpointId} is not in storage`);
    for (const { keyedStateFile } of states) if (keyedStateFile !== null && !this.#world.isStored(keyedStateFile)) this.#fail('CheckpointPointer', `${keyedStateFile} of checkpoint ${checkpointId} is not in storage`);
    const counts = new Map<string, number>();
    for (const { vertexId, subtask } of states) counts.set(`${vertexId}/${subtask}`, (counts.get(`${vertexId}/${subtask}`) ?? 0) + 1);
    const attempts = new Map<number, number>();
    for (const { vertexId, subtask, region } of this.#world.subtasks) {
      const name = `${vertexId}/${subtask}`;
      if (counts.get(name) !== 1) this.#fail('CheckpointComplete', `checkpoint ${checkpointId} holds ${counts.get(name) ?? 0} states of ${name}`);
      const attempt = this.#acks.get(checkpointId)?.get(name);
      // After a final checkpoint tasks end, and their last state stands.
      if (attempt === undefined) {
        if (kind === 'periodic') this.#fail('CheckpointComplete', `checkpoint ${checkpointId} is complete without an ack of ${name}`);
        continue;
      }
      const ofRegion = attempts.get(region);
      if (ofRegion !== undefined && ofRegion !== attempt) this.#fail('CheckpointComplete', `checkpoint ${checkpointId} holds states of attempts ${ofRegion} and ${attempt} of one region`);
      attempts.set(region, attempt);
    }
    for (const { splits } of states) {
      for (const [splitId, { position }] of Object.entries(splits)) {
        const offset = NUMBER(position);
        const before = this.#positions.get(splitId) ?? 0;
        if (offset < before) this.#fail('OffsetBack', `split ${splitId} is at ${offset} in checkpoint ${checkpointId}, and was at ${before} before`);
        this.#positions.set(splitId, Number.isNaN(offset) ? before : offset);
      }
    }
  }

  /** A deployment arrives at its worker, which may refuse it; `restored` 0: from nothing. */
  deployed(executionId: string, restored: number): void {
    if (restored !== this.#newest) this.#outdated.set(executionId, `${executionId} restores checkpoint ${restored}, the newest completed one was ${this.#newest}`);
  }
  /** The worker runs it. */
  began(executionId: string): void {
    const outdated = this.#outdated.get(executionId);
    if (outdated !== undefined) this.#fail('RestoreNewest', outdated);
  }
}
