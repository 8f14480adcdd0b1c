/** Kv on LevelDB. Its lock file also keeps a second server out of the same data directory. */
import { mkdir } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import { DreyError } from '../base/errors.ts';
import type { Callback, Kv, KvOp, KvStores, KvView } from '../base/ports.ts';

type Db = Level<string, Uint8Array>;

/** Bytes that the iterator fetches at once; LevelDB's bindings default to 16 KB, which makes a load of many small entries slow. */
const FETCH_BYTES = 256 * 1024;

export class LevelKvStores implements KvStores {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  open(name: string, done: Callback<Kv>): void {
    const location = join(this.#dir, name);
    mkdir(location, { recursive: true }, (mkdirError) => {
      if (mkdirError !== null) return done(mkdirError, NOT_OPEN);
      const db: Db = new Level(location, { keyEncoding: 'utf8', valueEncoding: 'view' });
      db.open().then(
        () => done(null, new LevelKv(db)),
        (error: unknown) => done(openError(location, error), NOT_OPEN),
      );
    });
  }
}

class LevelKv implements Kv {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  batch(ops: readonly KvOp[], options: { sync: boolean }, done: Callback): void {
    settle(this.#db.batch(ops as KvOp[], options), done, undefined);
  }

  get(key: string, done: Callback<Uint8Array | undefined>): void {
    settle(this.#db.get(key), done, undefined);
  }

  snapshot(): KvView {
    return new LevelView(this.#db);
  }

  close(done: Callback): void {
    settle(this.#db.close(), done, undefined);
  }
}

class LevelView implements KvView {
  readonly #db: Db;
  readonly #snapshot: ReturnType<Db['snapshot']>;

  constructor(db: Db) {
    this.#db = db;
    this.#snapshot = db.snapshot();
  }

  get(key: string, done: Callback<Uint8Array | undefined>): void {
    settle(this.#db.get(key, { snapshot: this.#snapshot }), done, undefined);
  }

  range(gte: string, lt: string, limit: number, done: Callback<[string, Uint8Array][]>): void {
    const iterator = this.#db.iterator({ gte, lt, limit, snapshot: this.#snapshot, highWaterMarkBytes: FETCH_BYTES, fillCache: false });
    settle(iterator.all(), done, []);
  }

  close(): void {
    // Nothing depends on when the snapshot is gone; closing the store waits for it.
    this.#snapshot.close().catch(() => {});
  }
}

/** What `done` throws is not the promise's business: it leaves through the unhandled rejection, which ends the process. */
function settle<T>(promise: Promise<T>, done: Callback<T>, none: T): void {
  promise.then(
    (value) => done(null, value),
    (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), none),
  );
}

function openError(location: string, error: unknown): Error {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  if (cause?.code === 'LEVEL_LOCKED') return new DreyError('COORD_DATA_DIR_LOCKED', `${location} is in use by another server`, { cause: error });
  return new DreyError('COORD_DISK_FAILED', `could not open ${location}: ${cause?.message ?? (error as Error).message}`, { cause: error });
}

const NOT_OPEN = null as unknown as Kv;
