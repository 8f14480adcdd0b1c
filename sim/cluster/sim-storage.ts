/**
 * Checkpoint storage that all machines share: a put is atomic and durable when it resolves; one that failed or whose process died may have taken
 * place or not, as a whole. It may be slow, and it may fail.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Prng } from '../../coord/base/prng.ts';
import type { Storage } from '../../orchestrator/storage/storage.ts';
import type { World } from '../world/world.ts';
import type { Life } from './machine.ts';

export type StorageVerb = 'put' | 'get' | 'list' | 'delete';

export const STORAGE_URL = 'sim://storage';

export class SimStorage {
  readonly #world: World;
  readonly blobs = new Map<string, Uint8Array>();
  extraMs = 0;
  /** By machine and verb: how many of the next calls fail. */
  readonly #failing = new Map<string, number>();
  /** Sees each put that has taken place. */
  onPut: ((life: Life, path: string) => void) | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  fail(machine: string, verb: StorageVerb, times: number): void {
    const key = `${machine}/${verb}`;
    this.#failing.set(key, (this.#failing.get(key) ?? 0) + times);
  }
  heal(): void {
    this.extraMs = 0;
    this.#failing.clear();
  }

  open(life: Life): Storage {
    const prng = this.#world.streams(`storage/${life.name}`);
    const call = <R>(verb: StorageVerb, path: string, take: () => R): Promise<R> => this.#call(life, prng, verb, path, take);
    return {
      url: STORAGE_URL,
      put: (path, bytes) => {
        const copy = bytes.slice();
        return call('put', path, () => {
          this.blobs.set(path, copy);
          this.onPut?.(life, path);
        });
      },
      get: (path) => call('get', path, () => {
        const bytes = this.blobs.get(path);
        if (bytes === undefined) throw new DreyError('STORAGE_NOT_FOUND', `${path} is not in ${STORAGE_URL}`);
        return bytes.slice();
      }),
      delete: (path) => call('delete', path, () => void this.blobs.delete(path)),
      list: (prefix) => call('list', prefix, () => [...this.blobs.keys()].filter((path) => path.startsWith(prefix)).sort()),
    };
  }

  #call<R>(life: Life, prng: Prng, verb: StorageVerb, path: string, take: () => R): Promise<R> {
    return new Promise((resolve, reject) => {
      // One that is slow is not equally slow for everybody: what was asked for later may be done earlier.
      const tookMs = 0.2 + prng.float() * 2 + (this.extraMs === 0 ? 0 : this.extraMs * prng.float() * 1.5);
      const takesPlaceAt = prng.float() * tookMs;
      const isLost = prng.chance(0.5);
      const key = `${life.name}/${verb}`;
      const left = this.#failing.get(key) ?? this.#failing.get(`any/${verb}`) ?? 0;
      const fails = left > 0;
      if (fails) this.#failing.set(this.#failing.has(key) ? key : `any/${verb}`, left - 1);
      life.schedule(takesPlaceAt, () => {
        let settle: () => void;
        try {
          const result = fails && isLost ? null : take();
          settle = () => resolve(result as R);
        } catch (error) {
          settle = () => reject(error as Error);
        }
        if (fails) settle = () => reject(new DreyError('STORAGE_IO', `cannot ${verb} ${path} in ${STORAGE_URL}: EIO`, { retryable: true }));
        life.schedule(tookMs - takesPlaceAt, settle);
      });
    });
  }
}
