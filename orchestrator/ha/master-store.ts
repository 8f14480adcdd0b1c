/**
 * What a leading master writes, fenced.
 *
 * Invariants: the grant raises /drey/epoch, and every later write stands in one multi with a check of the version that this gave it; so after a
 *   newer master's grant no write of an older one takes place. A write whose outcome a lost connection hid is repeated (it puts the same
 *   value, and the check makes it harmless), and is abandoned only when the check fails. Writes about one job are carried out in order.
 */
import type { Timers } from '../../coord/base/ports.ts';
import type { CoordClient, Op } from '../../coord/client/index.ts';
import { isCoordError } from '../../coord/client/index.ts';
import { DreyError } from '../../coord/base/errors.ts';
import type { CheckpointMetadata, CompletedCheckpoint, JobRecord } from '../jobmaster/records.ts';
import type { Storage } from '../storage/storage.ts';
import { encodeMetadata } from './checkpoint-metadata.ts';
import { checkpointCounterPath, checkpointsPath, encodeJson, EPOCH_PATH, metadataPath, recordPath } from './layout.ts';

const RETRY_MS = 50;

/** A newer master has been granted the epoch. */
export class Fenced extends DreyError {
  constructor(epoch: number) {
    super('MASTER_FENCED', `the master of epoch ${epoch} is no longer the leader`);
  }
}

export class MasterStore {
  readonly epoch: number;
  readonly #coord: CoordClient;
  readonly #guard: Op;
  readonly #timers: Timers;
  readonly #over: () => boolean;
  readonly #tails = new Map<string, Promise<unknown>>();

  private constructor(coord: CoordClient, timers: Timers, epoch: number, version: number, over: () => boolean) {
    this.#coord = coord;
    this.#timers = timers;
    this.epoch = epoch;
    this.#guard = { type: 'check', path: EPOCH_PATH, version };
    this.#over = over;
  }

  /**
   * Takes the epoch. `leadershipPath` is the candidate's znode: the multi fails if it is gone. `over`: whether this leadership has ended, so
   * that nothing is repeated for it. Throws Fenced.
   */
  static async grant(coord: CoordClient, timers: Timers, epoch: number, leadershipPath: string, over: () => boolean): Promise<MasterStore> {
    const results = await repeated(coord, timers, [{ type: 'check', path: leadershipPath }, { type: 'setData', path: EPOCH_PATH, data: String(epoch) }], epoch, over);
    const raised = results[1];
    if (raised?.type !== 'setData') throw new Fenced(epoch);
    return new MasterStore(coord, timers, epoch, raised.stat.version, over);
  }

  /** These throw Fenced, or what storage threw. */
  writeRecord(jobId: string, record: JobRecord): Promise<void> {
    return this.#inOrder(jobId, () => this.#put(recordPath(jobId), encodeJson(record)));
  }
  reserveCheckpointId(jobId: string, checkpointId: number): Promise<void> {
    return this.#inOrder(jobId, () => this.#put(checkpointCounterPath(jobId), String(checkpointId)));
  }
  completeCheckpoint(jobId: string, storage: Storage, metadata: CheckpointMetadata, completed: readonly CompletedCheckpoint[]): Promise<void> {
    return this.#inOrder(jobId, async () => {
      await storage.put(metadataPath(jobId, metadata.checkpointId), encodeMetadata(metadata));
      await this.#put(checkpointsPath(jobId), encodeJson(completed));
    });
  }

  async #put(path: string, data: Uint8Array | string): Promise<void> {
    await repeated(this.#coord, this.#timers, [this.#guard, { type: 'setData', path, data }], this.epoch, this.#over);
  }

  #inOrder(jobId: string, write: () => Promise<void>): Promise<void> {
    const result = (this.#tails.get(jobId) ?? Promise.resolve()).then(write);
    this.#tails.set(jobId, result.catch(() => undefined));
    return result;
  }
}

async function repeated(coord: CoordClient, timers: Timers, ops: readonly Op[], epoch: number, over: () => boolean): Promise<Awaited<ReturnType<CoordClient['multi']>>> {
  for (;;) {
    if (over()) throw new Fenced(epoch);
    try {
      return await coord.multi(ops);
    } catch (error) {
      if (isCoordError(error, 'BADVERSION', 'NONODE', 'SESSIONEXPIRED', 'CLOSED')) throw new Fenced(epoch);
      if (!isCoordError(error) || !error.retryable) throw error;
    }
    await new Promise<void>((resolve) => {
      timers.after(RETRY_MS, resolve);
    });
  }
}
