/**
 * Checkpoint storage: named, immutable blobs behind a URL. Bundles, states of subtasks and metadata of checkpoints live here; coord holds
 * only pointers to them. Paths are relative, separated by "/", and are the same for every scheme (see paths.ts).
 *
 * A put is atomic and durable when it resolves: a reader sees the whole blob or none, also after a power loss.
 */
import { fileURLToPath } from 'node:url';
import { DreyError } from '../../coord/base/errors.ts';
import { FileStorage } from './file-storage.ts';

export interface Storage {
  readonly url: string;
  /** Replaces what was there. */
  put(path: string, bytes: Uint8Array): Promise<void>;
  /** Rejects with STORAGE_NOT_FOUND when there is no such blob. */
  get(path: string): Promise<Uint8Array>;
  /** Deleting what is not there is no error. */
  delete(path: string): Promise<void>;
  /** The paths of all blobs that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
}

/** Throws DreyError STORAGE_BAD_URL for a scheme that nobody serves. */
export function openStorage(url: string): Storage {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new DreyError('STORAGE_BAD_URL', `${JSON.stringify(url)} is not a storage URL; one looks like file:///var/lib/drey/storage`);
  }
  if (parsed.protocol === 'file:') {
    if (parsed.host !== '') throw new DreyError('STORAGE_BAD_URL', `${url}: a file URL names no host; write file:///${parsed.host}${parsed.pathname} for an absolute path`);
    return new FileStorage(url, fileURLToPath(parsed));
  }
  throw new DreyError('STORAGE_BAD_URL', `${url}: the scheme ${parsed.protocol} is not supported; supported: file:`);
}
