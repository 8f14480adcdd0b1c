/**
 * JournalFiles on a directory: O_DSYNC writes into files that were filled with zeros before, so that a write needs no change of the file's
 * size or extents and one trip makes it durable.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Callback, JournalFile, JournalFiles } from '../base/ports.ts';

const ZEROS = Buffer.alloc(1024 * 1024);

export class NodeJournalFiles implements JournalFiles {
  readonly #dir: string;

  /** The directory is made when it does not exist. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  list(done: Callback<string[]>): void {
    fs.mkdir(this.#dir, { recursive: true }, (error) => {
      if (error !== null) return done(error, []);
      fs.readdir(this.#dir, (readError, names) => done(readError, names ?? []));
    });
  }

  read(name: string, done: Callback<Uint8Array>): void {
    fs.open(join(this.#dir, name), 'r', (error, fd) => {
      if (error !== null) return done(error, EMPTY);
      readAll(fd, (readError, bytes) => fs.close(fd, (closeError) => done(readError ?? closeError, bytes)));
    });
  }

  create(name: string, size: number, done: Callback): void {
    const path = join(this.#dir, name);
    fs.open(path, 'wx', (error, fd) => {
      if (error !== null) return done(error);
      const end = (failed: Error | null): void =>
        fs.close(fd, (closeError) => {
          if (failed ?? closeError) fs.unlink(path, () => done(failed ?? closeError));
          else this.#syncDirectory(done);
        });
      fillWithZeros(fd, size, (fillError) => {
        if (fillError !== null) return end(fillError);
        fs.fsync(fd, end);
      });
    });
  }

  open(name: string, done: Callback<JournalFile>): void {
    fs.open(join(this.#dir, name), fs.constants.O_WRONLY | fs.constants.O_DSYNC, (error, fd) => done(error, new NodeJournalFile(fd)));
  }

  remove(name: string, done: Callback): void {
    fs.unlink(join(this.#dir, name), (error) => (error === null ? this.#syncDirectory(done) : done(error)));
  }

  #syncDirectory(done: Callback): void {
    fs.open(this.#dir, 'r', (error, fd) => {
      if (error !== null) return done(error);
      fs.fsync(fd, (syncError) => fs.close(fd, (closeError) => done(syncError ?? closeError)));
    });
  }
}

class NodeJournalFile implements JournalFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(chunks: readonly Uint8Array[], position: number, done: Callback): void {
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    const wrote = (error: Error | null, written: number): void => {
      if (error !== null) done(error);
      else if (written === length) done(null);
      else if (written === 0) done(new Error('the disk took nothing'));
      else this.write(withoutFirst(chunks, written), position + written, done);
    };
    if (chunks.length === 1) fs.write(this.#fd, chunks[0] as Uint8Array, 0, length, position, wrote);
    else fs.writev(this.#fd, chunks as Uint8Array[], position, wrote);
  }

  close(done: Callback): void {
    fs.close(this.#fd, (error) => done(error ?? null));
  }
}

const EMPTY = new Uint8Array(0);

/** In as few reads as the system allows; fs.readFile makes one for each half megabyte. */
function readAll(fd: number, done: Callback<Uint8Array>): void {
  fs.fstat(fd, (error, stat) => {
    if (error !== null) return done(error, EMPTY);
    const bytes = Buffer.allocUnsafeSlow(stat.size);
    const from = (at: number): void => {
      if (at === bytes.length) return done(null, bytes);
      fs.read(fd, bytes, at, bytes.length - at, at, (readError, got) => {
        if (readError !== null) done(readError, EMPTY);
        else if (got === 0) done(null, bytes.subarray(0, at));
        else from(at + got);
      });
    };
    from(0);
  });
}

function fillWithZeros(fd: number, size: number, done: Callback): void {
  const from = (at: number): void => {
    if (at >= size) return done(null);
    fs.write(fd, ZEROS, 0, Math.min(ZEROS.length, size - at), at, (error, written) => {
      if (error !== null) return done(error);
      from(at + written);
    });
  };
  from(0);
}

/** What is left when the first `bytes` have been written. */
function withoutFirst(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (bytes < chunk.length) left.push(chunk.subarray(bytes));
    bytes = Math.max(0, bytes - chunk.length);
  }
  return left;
}
