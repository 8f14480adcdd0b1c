/**
 * A directory that all machines share, as the file sink sees it: slow, sometimes failing, and without whatever a machine had not synced when it lost
 * power. Names change at once, for everybody.
 */
import { baseName } from '../../coord/client/paths.ts';
import type { Files, OpenFile } from '../../connectors/file/files.ts';
import type { World } from '../world/world.ts';
import type { Life, Turns } from './machine.ts';

interface Stored {
  readonly by: Life;
  bytes: Buffer;
  /** How much of it survives a loss of power. */
  syncedBytes: number;
}

class FileError extends Error {
  readonly code: string;
  constructor(code: string, path: string) {
    super(`${code}: ${path}`);
    this.code = code;
  }
}

export class SimFiles {
  readonly #world: World;
  readonly #turns: Turns;
  readonly #files = new Map<string, Stored>();
  #failing = 0;
  extraMs = 0;

  constructor(world: World, turns: Turns) {
    this.#world = world;
    this.#turns = turns;
  }

  /** What readers see that skip dot files, by path. */
  visible(): [path: string, text: string][] {
    return [...this.#files].filter(([path]) => !baseName(path).startsWith('.')).map(([path, { bytes }]) => [path, bytes.toString('utf8')]);
  }

  fail(times: number): void {
    this.#failing += times;
  }
  heal(): void {
    this.#failing = 0;
    this.extraMs = 0;
  }
  /** Its machine lost power. */
  lostPower(life: Life): void {
    for (const file of this.#files.values()) if (file.by === life) file.bytes = file.bytes.subarray(0, file.syncedBytes);
  }

  readonly files: Files = {
    mkdir: () => this.#call('mkdir', () => undefined),
    readdir: (dir) => this.#call(dir, () => [...this.#files.keys()].filter((path) => path.startsWith(`${dir}/`)).map(baseName).sort()),
    open: (path, flags) => this.#call(path, () => {
      if (flags === 'r') return this.#handle(path, null);
      const file: Stored = { by: this.#turns.current as Life, bytes: Buffer.alloc(0), syncedBytes: 0 };
      this.#files.set(path, file);
      return this.#handle(path, file);
    }),
    rename: (from, to) => this.#call(from, () => {
      const file = this.#files.get(from);
      if (file === undefined) throw new FileError('ENOENT', from);
      this.#files.delete(from);
      this.#files.set(to, file);
    }),
    rm: (path) => this.#call(path, () => void this.#files.delete(path)),
    size: (path) => this.#call(path, () => this.#files.get(path)?.bytes.length ?? null),
  };

  #handle(path: string, file: Stored | null): OpenFile {
    return {
      write: (bytes) => this.#call(path, () => {
        if (file !== null) file.bytes = Buffer.concat([file.bytes, bytes]);
      }),
      sync: () => this.#call(path, () => {
        if (file !== null) file.syncedBytes = file.bytes.length;
      }),
      close: () => this.#call(path, () => undefined),
    };
  }

  #call<R>(path: string, take: () => R): Promise<R> {
    const life = this.#turns.current as Life;
    const prng = this.#world.streams(`files/${life.name}`);
    return new Promise((resolve, reject) => {
      const tookMs = 0.1 + prng.float() * 3 + this.extraMs;
      const takesPlaceAt = prng.float() * tookMs;
      life.schedule(takesPlaceAt, () => {
        let settle: () => void;
        try {
          if (this.#failing > 0) {
            this.#failing -= 1;
            throw new FileError('EIO', path);
          }
          const result = take();
          settle = () => resolve(result);
        } catch (error) {
          settle = () => reject(error as Error);
        }
        life.schedule(tookMs - takesPlaceAt, settle);
      });
    });
  }
}
