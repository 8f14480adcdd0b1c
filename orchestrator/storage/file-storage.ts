/**
 * Storage in a directory, which several hosts may share. Each put writes a temporary file, syncs it, renames it over the name and syncs the
 * directories whose entries changed. Temporary names begin with ".tmp-" and are never listed; one that a crash left behind is harmless.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nanoid } from 'nanoid';
import { DreyError } from '../../coord/base/errors.ts';
import type { Storage } from './storage.ts';

const TMP_PREFIX = '.tmp-';

export class FileStorage implements Storage {
  readonly url: string;
  readonly #root: string;

  constructor(url: string, root: string) {
    this.url = url;
    this.#root = root;
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    const file = this.#file(path);
    const dir = dirname(file);
    try {
      await this.#makeDirectory(dir);
      const tmp = join(dir, `${TMP_PREFIX}${nanoid()}`);
      try {
        const handle = await open(tmp, 'wx');
        try {
          await handle.writeFile(bytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(tmp, file);
      } catch (error) {
        await rm(tmp, { force: true });
        throw error;
      }
      await syncDirectory(dir);
    } catch (error) {
      throw failed('write', path, this.url, error);
    }
  }

  async get(path: string): Promise<Uint8Array> {
    try {
      return await readFile(this.#file(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new DreyError('STORAGE_NOT_FOUND', `${path} is not in ${this.url}`, { cause: error });
      throw failed('read', path, this.url, error);
    }
  }

  async delete(path: string): Promise<void> {
    try {
      await rm(this.#file(path), { force: true });
    } catch (error) {
      throw failed('delete', path, this.url, error);
    }
  }

  async list(prefix: string): Promise<string[]> {
    // Only the directory that the prefix names for certain is walked, not the whole storage.
    const cut = prefix.lastIndexOf('/');
    const from = cut === -1 ? '' : prefix.slice(0, cut);
    try {
      const entries = await readdir(join(this.#root, from), { recursive: true, withFileTypes: true });
      const base = this.#root.replace(/\/+$/, '').length + 1;
      return entries
        .filter((entry) => entry.isFile() && !entry.name.startsWith(TMP_PREFIX))
        .map((entry) => join(entry.parentPath, entry.name).slice(base))
        .filter((path) => path.startsWith(prefix))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw failed('list', prefix, this.url, error);
    }
  }

  #file(path: string): string {
    const bad = path === '' || path.split('/').some((part) => part === '' || part === '.' || part === '..' || part.startsWith(TMP_PREFIX));
    if (bad) throw new DreyError('STORAGE_BAD_PATH', `${JSON.stringify(path)} is not a path in a storage`);
    return join(this.#root, path);
  }

  /** A new directory is durable once its parent is synced; so every parent on the way to the first that existed. */
  async #makeDirectory(dir: string): Promise<void> {
    const first = await mkdir(dir, { recursive: true });
    if (first === undefined) return;
    for (let made = dir; ; made = dirname(made)) {
      await syncDirectory(dirname(made));
      if (made === first || made === dirname(made)) return;
    }
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A full or failing disk may be well again later, so all of these are retryable. */
function failed(verb: string, path: string, url: string, error: unknown): DreyError {
  if (error instanceof DreyError) return error;
  return new DreyError('STORAGE_IO', `cannot ${verb} ${path} in ${url}: ${(error as Error).message}`, { retryable: true, cause: error });
}
