/**
 * The committables of a sink subtask between pre-commit and commit.
 *
 * Decides: what goes into a checkpoint, and what is to be committed when one is complete.
 * Invariants: a committable is in every checkpoint from the one it was staged for until it is known to be committed, whether or not those
 *   before were aborted; committables are committed in order of checkpoint id; those of a checkpoint that is not complete, nor older than
 *   a complete one, are not committed.
 * Source: Flink's CommittableCollector.
 */
import { assert } from '../../coord/base/assert.ts';
import type { Json } from '../api/source.ts';

export interface StagedEpoch {
  readonly checkpointId: number;
  readonly committables: readonly Json[];
}

export class CommitLog {
  #epochs: StagedEpoch[] = [];

  stage(checkpointId: number, committables: readonly Json[]): void {
    const last = this.#epochs.at(-1);
    assert(last === undefined || last.checkpointId < checkpointId, `checkpoint ${checkpointId} staged after ${last?.checkpointId}`);
    if (committables.length > 0) this.#epochs.push({ checkpointId, committables });
  }

  /** Everything that is not known to be committed, oldest first: what the checkpoint being taken has to hold. */
  uncommitted(): Json[] {
    return this.#epochs.flatMap((epoch) => epoch.committables);
  }

  /** What a complete checkpoint allows to be committed, oldest first. */
  through(checkpointId: number): StagedEpoch[] {
    return this.#epochs.filter((epoch) => epoch.checkpointId <= checkpointId);
  }

  committed(epoch: StagedEpoch): void {
    this.#epochs = this.#epochs.filter((other) => other !== epoch);
  }
}
