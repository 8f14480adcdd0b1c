/**
 * Exactly-once part files in a directory. A part goes through three names, and only the last can be seen by readers that skip dot files:
 *
 *   .part-…inprogress   being written by one attempt
 *   .part-….pending     complete and durable, named by a checkpoint
 *   part-…              committed
 *
 * Invariants:
 *  - a pending file is durable, and so is its name, before the checkpoint can name it;
 *  - a committed file never changes and is never written over: its name holds job and sink (as a hash), subtask, attempt and checkpoint;
 *  - discarding touches only what the restored checkpoint cannot name: files of older attempts that are in progress, or pending for a later
 *    checkpoint.
 */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { DreyError } from '../../coord/base/errors.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { Sink, SinkContext, SinkWriter } from '../../orchestrator/api/sink.ts';
import { nodeFiles, type Files, type OpenFile } from './files.ts';
import { encodeCsvHeader, encodeValues, extensions, type FileFormat } from './format.ts';

export interface FileSinkOptions {
  /** The directory; made when it is not there. */
  readonly path: string;
  readonly format: FileFormat;
  /** For CSV: the header. Without it the keys of a part's first value. */
  readonly columns?: readonly string[];
  /** Where the directory is; this machine's file system without it. */
  readonly files?: Files;
}

/** What stands in a checkpoint. Names are relative to the sink's directory. */
interface PartCommittable {
  readonly pending: string;
  readonly part: string;
  readonly bytes: number;
}

interface OpenPart {
  readonly handle: OpenFile;
  readonly name: string;
  readonly columns: readonly string[];
  bytes: number;
}

const FLUSH_CHARS = 64 * 1024;

export function fileSink<T>(options: FileSinkOptions): Sink<T> {
  const { path, files = nodeFiles } = options;
  if (typeof path !== 'string' || path === '') throw new DreyError('CONNECTOR_BAD_OPTION', 'fileSink: path is the name of a directory; none was given');
  return {
    description: `file(${path})`,
    guarantee: 'exactly-once',
    recover: (context) => discardLeftovers(files, path, context),
    createWriter: async (context) => {
      await makeDirectory(files, path);
      return new PartWriter<T>(options, files, context);
    },
    commit: (committables) => commitParts(files, path, committables as unknown as PartCommittable[]),
  };
}

class PartWriter<T> implements SinkWriter<T> {
  readonly #options: FileSinkOptions;
  readonly #files: Files;
  readonly #prefix: string;
  readonly #context: SinkContext;
  #part: OpenPart | null = null;
  #buffer = '';
  #serial = 0;

  constructor(options: FileSinkOptions, files: Files, context: SinkContext) {
    this.#options = options;
    this.#files = files;
    this.#context = context;
    this.#prefix = ownerHash(context);
  }

  async write(values: readonly T[]): Promise<void> {
    if (values.length === 0) return;
    const part = (this.#part ??= await this.#writing(() => this.#openPart(values[0])));
    this.#buffer += encodeValues(this.#options.format, values, part.columns);
    if (this.#buffer.length >= FLUSH_CHARS) await this.#writing(() => this.#flush());
  }

  async prepareCommit(checkpointId: number): Promise<Json[]> {
    const part = this.#part;
    if (part === null) return [];
    const name = `part-${this.#context.subtask}-${checkpointId}-${this.#context.attempt}-${this.#prefix}`;
    const pending = `.${name}.pending`;
    await this.#writing(async () => {
      await this.#flush();
      await part.handle.sync();
      await part.handle.close();
      this.#part = null;
      await this.#files.rename(join(this.#options.path, part.name), join(this.#options.path, pending));
      await syncDirectory(this.#files, this.#options.path);
    });
    return [{ pending, part: `${name}.${extensions[this.#options.format]}`, bytes: part.bytes } satisfies PartCommittable];
  }

  async close(): Promise<void> {
    const part = this.#part;
    if (part === null) return;
    this.#part = null;
    this.#buffer = '';
    await part.handle.close();
    await this.#files.rm(join(this.#options.path, part.name));
  }

  async #openPart(first: unknown): Promise<OpenPart> {
    const name = `.part-${this.#context.subtask}-${this.#serial++}-${this.#context.attempt}-${this.#prefix}.inprogress`;
    const csv = this.#options.format === 'csv';
    const columns = csv ? (this.#options.columns ?? (typeof first === 'object' && first !== null ? Object.keys(first) : [])) : [];
    const handle = await this.#files.open(join(this.#options.path, name), 'w');
    if (csv) this.#buffer = encodeCsvHeader(columns);
    return { handle, name, bytes: 0, columns };
  }

  /** After a failed write nobody knows what the part holds: the task starts again from its checkpoint, and recover() discards the part. */
  async #writing<R>(step: () => Promise<R>): Promise<R> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof DreyError) throw error;
      throw new DreyError('FILE_WRITE_FAILED', `${this.#options.path}: a part file cannot be written: ${(error as Error).message}`, { retryable: true, cause: error });
    }
  }

  async #flush(): Promise<void> {
    const part = this.#part;
    if (part === null || this.#buffer === '') return;
    const bytes = Buffer.from(this.#buffer, 'utf8');
    this.#buffer = '';
    await part.handle.write(bytes);
    part.bytes += bytes.length;
  }
}

/** Throws DreyError FILE_PART_LOST when a part that a checkpoint names is neither pending nor committed. */
async function commitParts(files: Files, path: string, committables: readonly PartCommittable[]): Promise<void> {
  if (committables.length === 0) return;
  for (const { pending, part, bytes } of committables) {
    const pendingBytes = await files.size(join(path, pending));
    const partBytes = await files.size(join(path, part));
    if (partBytes !== null) {
      // Looked at again: another attempt that holds the same committable may have been first, between the two looks.
      if (pendingBytes !== null && (await files.size(join(path, pending))) !== null) throw new DreyError('FILE_PART_CONFLICT', `${join(path, part)} is there, and so is ${pending}, which should become it`);
      continue;
    }
    if (pendingBytes === null) throw new DreyError('FILE_PART_LOST', `neither ${pending} nor ${part}, named by a checkpoint, is in ${path}`);
    if (pendingBytes !== bytes) throw new DreyError('FILE_PART_LOST', `${join(path, pending)} has ${pendingBytes} bytes where its checkpoint says ${bytes}`);
    await files.rename(join(path, pending), join(path, part)).catch(async (error: NodeJS.ErrnoException) => {
      // Another attempt that holds the same committable may have been first.
      if (error.code !== 'ENOENT' || (await files.size(join(path, part))) === null) throw error;
    });
  }
  await syncDirectory(files, path);
}

async function discardLeftovers(files: Files, path: string, context: SinkContext): Promise<void> {
  await makeDirectory(files, path);
  const owner = ownerHash(context);
  let discarded = 0;
  for (const name of await files.readdir(path)) {
    const match = /^\.part-(\d+)-(\d+)-(\d+)-([0-9a-f]+)\.(inprogress|pending)$/.exec(name);
    if (match === null || match[4] !== owner) continue;
    const [subtask, checkpointId, attempt] = [Number(match[1]), Number(match[2]), Number(match[3])];
    const ours = subtask === context.subtask ? attempt < context.attempt : context.subtask === 0 && subtask >= context.parallelism;
    if (!ours || (match[5] === 'pending' && checkpointId <= context.restoredCheckpointId)) continue;
    await files.rm(join(path, name));
    discarded++;
  }
  if (discarded > 0) {
    await syncDirectory(files, path);
    context.log(`file(${path}): discarded ${discarded} part files of older attempts that no checkpoint names`);
  }
}

/** Two jobs, or two sinks of one, may write into one directory. */
function ownerHash(context: SinkContext): string {
  return createHash('sha256').update(JSON.stringify([context.jobId, context.sinkId])).digest('hex').slice(0, 12);
}

async function makeDirectory(files: Files, path: string): Promise<void> {
  try {
    const made = await files.mkdir(path);
    if (made !== undefined) await syncDirectory(files, dirname(made));
  } catch (error) {
    throw new DreyError('FILE_NO_DIRECTORY', `the directory ${path} of a file sink cannot be made: ${(error as Error).message}`, { retryable: true, cause: error });
  }
}

/** A rename is durable only when its directory is. */
async function syncDirectory(files: Files, path: string): Promise<void> {
  const directory = await files.open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
