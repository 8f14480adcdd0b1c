import test from 'ava';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DreyError } from '../../../coord/base/errors.ts';
import { nodeFiles, type Files } from '../../../connectors/file/files.ts';
import { fileSink } from '../../../connectors/file/sink.ts';
import { fileSource } from '../../../connectors/file/source.ts';
import type { Json } from '../../../orchestrator/api/source.ts';
import { drain, sinkContext } from '../lib/harness.ts';

const fresh = (): string => join(mkdtempSync(join(tmpdir(), 'drey-file-sink-')), 'out');
const commit = (path: string, committables: Json[]): Promise<void> => fileSink({ path, format: 'text' }).commit?.(committables, sinkContext()) as Promise<void>;
const recover = (path: string, over: Parameters<typeof sinkContext>[0]): Promise<void> => fileSink({ path, format: 'text' }).recover?.(sinkContext(over)) as Promise<void>;
const visible = (path: string): string[] => readdirSync(path).filter((name) => !name.startsWith('.'));
const lines = (path: string): string[] => visible(path).flatMap((name) => readFileSync(join(path, name), 'utf8').split('\n').slice(0, -1)).sort();

test('nothing is visible before the commit, everything after it', async (t) => {
  const path = fresh();
  const writer = await fileSink<string>({ path, format: 'text' }).createWriter(sinkContext());
  await writer.write(['one', 'two']);
  t.deepEqual(visible(path), []);
  const committables = await writer.prepareCommit(1);
  t.deepEqual(visible(path), []);
  t.deepEqual(await writer.prepareCommit(2), [], 'an epoch without values makes no file');
  await commit(path, committables);
  t.deepEqual(lines(path), ['one', 'two']);
  await writer.close();
  t.is(readdirSync(path).length, 1);
});

/**
 * The life of one epoch as steps. A crash after any of them, then what a restart does (commit what the restored checkpoint holds, recover,
 * write again what the source repeats), must leave each line exactly once.
 */
for (const crashAfter of ['open', 'write', 'prepare', 'checkpoint', 'commit'] as const) {
  test(`a crash after ${crashAfter} neither loses nor repeats a line`, async (t) => {
    const path = fresh();
    const sink = fileSink<string>({ path, format: 'text' });
    const first = await sink.createWriter(sinkContext({ attempt: 1 }));
    await first.write(['a']);
    const before = await first.prepareCommit(1);
    await commit(path, before);

    // Epoch 2 of attempt 1, cut off at the crash. The process is gone: nothing is closed.
    let restored: { id: number; committables: Json[] } = { id: 1, committables: before };
    const big = 'b'.repeat(100_000);
    if (crashAfter === 'open') await first.write(['b']);
    else await first.write(['b', big]);
    if (crashAfter !== 'open' && crashAfter !== 'write') {
      const committables = await first.prepareCommit(2);
      if (crashAfter !== 'prepare') restored = { id: 2, committables };
      if (crashAfter === 'commit') await commit(path, committables);
    }

    // Attempt 2, itself cut off once between commit and recover and run again.
    const context = { attempt: 2, restoredCheckpointId: restored.id };
    await commit(path, restored.committables);
    await commit(path, restored.committables);
    await recover(path, context);
    await recover(path, context);
    const second = await sink.createWriter(sinkContext(context));
    await second.write(restored.id === 1 ? ['b', big, 'c'] : ['c']);
    await commit(path, await second.prepareCommit(3));
    t.deepEqual(lines(path), ['a', 'b', big, 'c'].sort());
    t.deepEqual(readdirSync(path).filter((name) => name.startsWith('.')), []);
  });
}

test('another attempt commits the same parts between any two steps of a commit: nobody fails, and every line is there once', async (t) => {
  for (let step = 0; step < 8; step++) {
    const path = fresh();
    const writer = await fileSink<string>({ path, format: 'text' }).createWriter(sinkContext());
    await writer.write(['one', 'two']);
    const committables = await writer.prepareCommit(1);
    await writer.close();
    let left = step;
    const interrupted = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => async (...args: A): Promise<R> => {
      if (left-- === 0) await commit(path, committables);
      return call(...args);
    };
    const files: Files = { ...nodeFiles, size: interrupted(nodeFiles.size), rename: interrupted(nodeFiles.rename), open: interrupted(nodeFiles.open) };
    await t.notThrowsAsync(async () => fileSink({ path, format: 'text', files }).commit?.(committables, sinkContext()), `before step ${step}`);
    t.deepEqual(lines(path), ['one', 'two']);
  }
});

test('recover leaves alone what others write and what a checkpoint may name', async (t) => {
  const path = fresh();
  const open = async (over: Parameters<typeof sinkContext>[0], checkpointId?: number): Promise<void> => {
    const writer = await fileSink<string>({ path, format: 'text' }).createWriter(sinkContext(over));
    await writer.write(['x']);
    if (checkpointId !== undefined) await writer.prepareCommit(checkpointId);
  };
  await open({ jobId: 'other', attempt: 1 });
  await open({ subtask: 1, attempt: 1 });
  await open({ attempt: 1 }, 4);
  await open({ attempt: 2 });
  const kept = readdirSync(path);
  await open({ attempt: 1 });
  await open({ attempt: 1 }, 5);
  await open({ subtask: 2, attempt: 1 });
  await recover(path, { attempt: 2, parallelism: 2, restoredCheckpointId: 4 });
  t.deepEqual(readdirSync(path).sort(), kept.sort());
});

test('a part that a checkpoint names and nobody has is an error, and so is a cut one', async (t) => {
  const path = fresh();
  const writer = await fileSink<string>({ path, format: 'text' }).createWriter(sinkContext());
  await writer.write(['one']);
  const committables = await writer.prepareCommit(1);
  const pending = join(path, (committables[0] as { pending: string }).pending);
  writeFileSync(pending, 'on');
  t.is(((await commit(path, committables).catch((e: unknown) => e)) as DreyError).code, 'FILE_PART_LOST');
  rmSync(pending);
  const error = (await commit(path, committables).catch((e: unknown) => e)) as DreyError;
  t.is(error.code, 'FILE_PART_LOST');
  t.regex(error.message, /neither \.part-0-1-1-[0-9a-f]+\.pending nor part-0-1-1-[0-9a-f]+\.txt/);
});

test('what a sink writes a source reads, in every format', async (t) => {
  const values = { text: ['a', ' b ', ''], ndjson: [{ a: 'x\ny' }, null, [1]], csv: [{ a: '1', b: 'x,"y"\nz' }, { a: '', b: ' é' }] };
  for (const format of ['text', 'ndjson', 'csv'] as const) {
    const path = fresh();
    const writer = await fileSink<unknown>({ path, format }).createWriter(sinkContext());
    await writer.write(values[format]);
    await commit(path, await writer.prepareCommit(1));
    const read = await drain<unknown>(fileSource({ path, format, bounded: true }));
    t.deepEqual([...read.values.values()].flat(), values[format]);
  }
});

test('a value that the format cannot hold is an error', async (t) => {
  const path = fresh();
  const write = async (format: 'text' | 'ndjson' | 'csv', ...values: unknown[]): Promise<string> => {
    const writer = await fileSink<unknown>({ path, format }).createWriter(sinkContext());
    const error = (await writer.write(values).catch((e: unknown) => e)) as DreyError;
    await writer.close();
    return error.code;
  };
  t.is(await write('text', 'two\nlines'), 'FILE_BAD_VALUE');
  t.is(await write('text', { an: 'object' }), 'FILE_BAD_VALUE');
  t.is(await write('ndjson', undefined), 'FILE_BAD_VALUE');
  t.is(await write('csv', { a: 1 }, { a: 1, b: 2 }), 'FILE_BAD_VALUE');
  t.deepEqual(readdirSync(path), []);
});
