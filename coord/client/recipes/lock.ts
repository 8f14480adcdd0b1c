/** A mutual exclusion lock: the contender whose ephemeral sequential znode is the oldest holds it; the others are woken one at a time. */
import type { CoordClient, Data } from '../api.ts';
import { CoordError } from '../errors.ts';
import { Contender, type LostReason, type Place } from './contender.ts';
import type { Timers } from '../../base/ports.ts';

export interface LockOptions {
  /** Kept in the lock's znode: who holds it. */
  readonly data?: Data;
  readonly guid?: () => string;
}

export interface AcquireOptions {
  /** Rejects with OPERATIONTIMEOUT after this time; needs `timers`. Without it waits for as long as the session lives. */
  readonly timeoutMs?: number;
  readonly timers?: Timers;
  /** The lock is held no longer although it was not released: the session's lease is over, or somebody deleted the znode. */
  readonly onLost?: (reason: LostReason) => void;
}

export interface HeldLock extends Place {
  /** False from the moment of release() or of onLost. */
  readonly isHeld: boolean;
  /** Resolves when the znode is gone. */
  release(): Promise<void>;
}

export class Lock {
  readonly #client: CoordClient;
  readonly #directory: string;
  readonly #options: LockOptions;

  constructor(client: CoordClient, directory: string, options: LockOptions = {}) {
    this.#client = client;
    this.#directory = directory;
    this.#options = options;
  }

  /** Not reentrant: every call queues up by itself. */
  acquire(options: AcquireOptions = {}): Promise<HeldLock> {
    const { timeoutMs, timers, onLost } = options;
    if (timeoutMs !== undefined && timers === undefined) throw new TypeError('Lock.acquire: timeoutMs needs timers');
    return new Promise((resolve, reject) => {
      const deadline = timeoutMs === undefined ? null : (timers as Timers).after(timeoutMs, () => {
        void contender.leave();
        reject(new CoordError('OPERATIONTIMEOUT', this.#directory, { message: `OPERATIONTIMEOUT: ${this.#directory}: not acquired within ${timeoutMs} ms` }));
      });
      let releasing = false;
      const contender = new Contender(
        this.#client, this.#directory,
        { name: 'lock-', ...this.#options },
        {
          held: (place) => {
            deadline?.cancel();
            resolve({
              ...place,
              get isHeld() {
                return !releasing && contender.isHeld && contender.place?.path === place.path;
              },
              release() {
                releasing = true;
                return contender.leave();
              },
            });
          },
          lost: (reason) => {
            if (releasing) return;
            releasing = true;
            // A lock that was lost is not taken again behind its holder's back.
            void contender.leave();
            onLost?.(reason);
          },
          ended: (error) => {
            deadline?.cancel();
            reject(error);
          },
        },
      );
      contender.enter();
    });
  }
}

/** Runs `body` under the lock; rejects like acquire(), or as `body` does. */
export async function withLock<T>(lock: Lock, body: (held: HeldLock) => Promise<T>, options: AcquireOptions = {}): Promise<T> {
  const held = await lock.acquire(options);
  try {
    return await body(held);
  } finally {
    await held.release();
  }
}
