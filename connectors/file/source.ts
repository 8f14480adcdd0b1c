/**
 * A directory of line files as a source: each file is a split, read by byte offset, and tailed when the source is unbounded. Files that begin
 * with a dot are not there (a file sink that writes into the directory keeps what is not committed under such names).
 *
 * A line counts when its line end is there, bounded or not: what comes after the last one may still be in the middle of being written, so
 * it is never a record. A bounded split ends at the size the file had when it was discovered, and says so in the log when it leaves a partial
 * line behind.
 *
 * Files only grow. One that is shorter than the position, or has become another file, is an error: its lines can no longer be told from those
 * already read.
 */
import { open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { DreyError } from '../../coord/base/errors.ts';
import type { Json, ReaderContext, RecordBatch, Source, SourceReader, SourceSplit } from '../../orchestrator/api/source.ts';
import { fromPosition, toPosition } from '../position.ts';
import { Wait } from '../wait.ts';
import { BadRecord, csvRecord, decodeBlock, type FileFormat, type FileValues } from './format.ts';

export interface FileSourceOptions<F extends FileFormat> {
  /** The directory. */
  readonly path: string;
  readonly format: F;
  /** Read what is there and end. Unbounded without it: files are tailed and new ones are found. */
  readonly bounded?: boolean;
  /** A longer line fails the job. 1 MiB without it. */
  readonly lineBytesMax?: number;
}

interface OpenFile {
  readonly id: string;
  readonly path: string;
  /** Where a bounded split ends. */
  readonly end: number | undefined;
  offset: number;
  /** Of the file first opened; null before. */
  inode: number | null;
  columns: readonly string[] | null;
  /** Nothing to read until the file is larger than this: it ends in a partial line. */
  idleAt: number;
}

const BLOCK_BYTES = 64 * 1024;
const LINE_BYTES_MAX = 1024 * 1024;
const TAIL_INTERVAL_MS = 50;
const NEWLINE = 0x0a;

export function fileSource<F extends FileFormat>(options: FileSourceOptions<F>): Source<FileValues[F]> {
  if (typeof options.path !== 'string' || options.path === '') throw new DreyError('CONNECTOR_BAD_OPTION', 'fileSource: path is the name of a directory; none was given');
  return {
    description: `file(${options.path})`,
    boundedness: options.bounded ? 'bounded' : 'unbounded',
    discoverSplits: () => discoverFiles(options.path, options.bounded ?? false),
    createReader: (context) => new FileReader(options, context) as unknown as SourceReader<FileValues[F]>,
  };
}

async function discoverFiles(path: string, bounded: boolean): Promise<SourceSplit[]> {
  let names: string[];
  try {
    const entries = await readdir(path, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name);
  } catch (error) {
    throw new DreyError('FILE_NO_DIRECTORY', `the directory ${path} of a file source cannot be read: ${(error as Error).message}`, { retryable: true, cause: error });
  }
  names.sort();
  return Promise.all(names.map(async (name) => ({ id: name, spec: bounded ? (await stat(join(path, name))).size : null })));
}

class FileReader implements SourceReader<Json> {
  readonly #options: FileSourceOptions<FileFormat>;
  readonly #context: ReaderContext;
  readonly #files: OpenFile[] = [];
  readonly #wait: Wait;
  readonly #lineBytesMax: number;
  #turn = 0;
  #closed = false;

  constructor(options: FileSourceOptions<FileFormat>, context: ReaderContext) {
    this.#options = options;
    this.#context = context;
    this.#wait = new Wait(context.timers);
    this.#lineBytesMax = options.lineBytesMax ?? LINE_BYTES_MAX;
  }

  async addSplits(splits: readonly { split: SourceSplit; position: Json | undefined }[]): Promise<void> {
    for (const { split, position } of splits) {
      const from = position === undefined ? { offset: 0, end: undefined } : fromPosition(position, split.id);
      const end = this.#options.bounded ? (from.end ?? (split.spec as number)) : undefined;
      this.#files.push({ id: split.id, path: join(this.#options.path, split.id), end, offset: from.offset, inode: null, columns: null, idleAt: -1 });
    }
    this.#wait.wake();
  }

  async poll(waitMs: number): Promise<RecordBatch<Json> | null> {
    const deadlineMs = this.#context.clock.monotonicMs() + waitMs;
    for (;;) {
      for (let i = 0; i < this.#files.length && !this.#closed; i++) {
        const at = (this.#turn + i) % this.#files.length;
        const file = this.#files[at] as OpenFile;
        const batch = await this.#read(file);
        if (batch === null) continue;
        this.#turn = at + 1;
        if (batch.ended) this.#files.splice(at, 1);
        return batch;
      }
      const leftMs = deadlineMs - this.#context.clock.monotonicMs();
      if (this.#closed || leftMs <= 0) return null;
      await this.#wait.sleep(this.#files.length === 0 ? leftMs : Math.min(leftMs, TAIL_INTERVAL_MS));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wait.wake();
  }

  /** The next block of a file, or null when there is no whole line. The file is open only meanwhile: there may be thousands of them. */
  async #read(file: OpenFile): Promise<RecordBatch<Json> | null> {
    const handle = await openFile(file.path);
    try {
      const { size, ino } = await handle.stat();
      file.inode ??= ino;
      if (ino !== file.inode) {
        throw new DreyError('FILE_REPLACED', `${file.path} is another file than the one that was read up to byte ${file.offset}; the new one has ${size} bytes`);
      }
      const whole = Math.max(file.offset, file.end ?? 0);
      if (size < whole) throw new DreyError('FILE_TRUNCATED', `${file.path} has ${size} bytes, and was read or promised up to byte ${whole}: it was truncated or replaced`);
      const end = file.end ?? size;
      if (file.offset >= end) return file.end === undefined ? null : this.#ended(file, []);
      if (end <= file.idleAt) return null;
      if (this.#options.format === 'csv' && file.columns === null && !(await this.#readHeader(file, handle, end))) {
        return this.#partial(file, end);
      }
      return await this.#readBlock(file, handle, end);
    } finally {
      await handle.close();
    }
  }

  async #readBlock(file: OpenFile, handle: FileHandle, end: number): Promise<RecordBatch<Json> | null> {
    for (let bytes = BLOCK_BYTES; ; bytes *= 4) {
      const length = Math.min(bytes, this.#lineBytesMax + 1, end - file.offset);
      const block = await readExactly(handle, file, length);
      const decoded = this.#decode(file, block);
      if (decoded.bytes > 0) {
        file.offset += decoded.bytes;
        if (file.offset === file.end) return this.#ended(file, decoded.values);
        return { splitId: file.id, values: decoded.values, position: toPosition(file.offset, file.end) };
      }
      if (length > this.#lineBytesMax) {
        throw new DreyError('FILE_LINE_TOO_LONG', `${file.path}: the line at byte ${file.offset} is longer than ${this.#lineBytesMax} bytes`);
      }
      if (length === end - file.offset) return this.#partial(file, end);
    }
  }

  /** Decodes the whole lines of a block; bytes is 0 when there is none. */
  #decode(file: OpenFile, block: Buffer): { values: Json[]; bytes: number } {
    const lines = block.lastIndexOf(NEWLINE) + 1;
    if (lines === 0) return { values: [], bytes: 0 };
    const start = file.offset === 0 && hasByteOrderMark(block) ? 3 : 0;
    const text = block.toString('utf8', start, lines);
    try {
      const { values, consumed } = decodeBlock(this.#options.format, text, file.columns ?? []);
      if (consumed === 0) return { values, bytes: 0 };
      return { values, bytes: start + (consumed === text.length ? lines - start : Buffer.byteLength(text.slice(0, consumed))) };
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      const at = file.offset + start + Buffer.byteLength(text.slice(0, error.at));
      throw new DreyError('FILE_BAD_RECORD', `${file.path}: the record at byte ${at} is ${error.message}`, { cause: error });
    }
  }

  /** The header is the first record of the file, wherever reading goes on. False when it is not there yet. */
  async #readHeader(file: OpenFile, handle: FileHandle, end: number): Promise<boolean> {
    const length = Math.min(this.#lineBytesMax, end);
    const block = Buffer.alloc(length);
    const { bytesRead } = await handle.read(block, 0, length, 0);
    const start = hasByteOrderMark(block) ? 3 : 0;
    const header = csvRecord(block.toString('utf8', start, bytesRead), 0);
    if (header === null) return false;
    file.columns = header.fields;
    if (file.offset === 0) file.offset = start + Buffer.byteLength(block.toString('utf8', start, bytesRead).slice(0, header.next));
    return true;
  }

  #partial(file: OpenFile, end: number): RecordBatch<Json> | null {
    if (file.end !== undefined) return this.#ended(file, []);
    file.idleAt = end;
    return null;
  }

  #ended(file: OpenFile, values: Json[]): RecordBatch<Json> {
    const left = (file.end ?? file.offset) - file.offset;
    if (left > 0) this.#context.log(`${file.path}: the last ${left} bytes are left out: they have no line end`);
    return { splitId: file.id, values, position: toPosition(file.offset, file.end), ended: true };
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new DreyError(missing ? 'FILE_MISSING' : 'FILE_UNREADABLE', `${path} cannot be read: ${(error as Error).message}`, { retryable: !missing, cause: error });
  }
}

async function readExactly(handle: FileHandle, file: OpenFile, length: number): Promise<Buffer> {
  const block = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(block, filled, length - filled, file.offset + filled);
    if (bytesRead === 0) throw new DreyError('FILE_TRUNCATED', `${file.path} ended at byte ${file.offset + filled} while it was read up to byte ${file.offset + length}: it was truncated`);
    filled += bytesRead;
  }
  return block;
}

function hasByteOrderMark(block: Buffer): boolean {
  return block.length >= 3 && block[0] === 0xef && block[1] === 0xbb && block[2] === 0xbf;
}
