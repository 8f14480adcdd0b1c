import test from 'ava';
import fc from 'fast-check';
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DreyError } from '../../../coord/base/errors.ts';
import { fileSource } from '../../../connectors/file/source.ts';
import { drain, readerContext } from '../lib/harness.ts';

function directory(files: Record<string, string> = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'drey-file-source-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

async function failure(run: Promise<unknown>): Promise<DreyError> {
  const error = await run.then(() => null, (e: unknown) => e);
  if (!(error instanceof DreyError)) throw error ?? new Error('nothing was thrown');
  return error;
}

test('every file that is not hidden is a split, and its lines are its records', async (t) => {
  const path = directory({ 'b.txt': 'three\r\n\nfour é\n', 'a.txt': '\uFEFFone\ntwo\n', '.part.pending': 'hidden\n' });
  const { values } = await drain(fileSource({ path, format: 'text', bounded: true }));
  t.deepEqual([...values], [['a.txt', ['one', 'two']], ['b.txt', ['three', '', 'four é']]]);
});

test('a partial last line is not a record, and the log says so', async (t) => {
  const path = directory({ 'a.ndjson': '{"n":1}\n\n[2]\n{"n":' });
  const lines: string[] = [];
  const { values, positions } = await drain(fileSource({ path, format: 'ndjson', bounded: true }), { log: (line) => lines.push(line) });
  t.deepEqual(values.get('a.ndjson'), [{ n: 1 }, [2]]);
  t.deepEqual(positions.at(-1)?.position, { offset: 13, end: 18 });
  t.regex(lines.join(), /a\.ndjson: the last 5 bytes are left out/);
});

test('reading on from any position gives what was left, in every format', async (t) => {
  const cell = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r\n', ' ', '𝄞'), maxLength: 5 });
  const quoted = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ x: cell, y: cell }), { minLength: 1, maxLength: 40 }), fc.constantFrom('csv', 'ndjson', 'text'), fc.boolean(), async (records, format, large) => {
      // Large ones span several blocks.
      const rows = large ? Array.from({ length: 3000 }, (_, i) => ({ x: `${i} ${'.'.repeat(40)}${records[i % records.length]?.x}`, y: records[i % records.length]?.y ?? '' })) : records.map(({ x, y }) => ({ x: `x${x}`, y }));
      const line = { csv: (r: { x: string; y: string }) => `${quoted(r.x)},${quoted(r.y)}`, ndjson: (r: { x: string }) => JSON.stringify(r), text: (r: { x: string }) => JSON.stringify(r.x) }[format];
      const path = directory({ f: (format === 'csv' ? 'x,y\n' : '') + rows.map((r) => `${line(r)}\n`).join('') });
      const source = fileSource({ path, format, bounded: true });
      const all = await drain<unknown>(source);
      const values = all.values.get('f') as unknown[];
      t.deepEqual(values, format === 'text' ? rows.map(line) : rows);
      t.true(!large || all.positions.length > 1);
      for (const { split, position, values: before } of all.positions) {
        const rest = await drain<unknown>(source, { splits: [{ split, position }] });
        t.deepEqual(rest.values.get('f'), values.slice(before));
      }
      rmSync(path, { recursive: true });
    }),
    { numRuns: 30 },
  );
});

test('a bounded split ends where it was discovered, whatever is appended', async (t) => {
  const path = directory({ a: 'one\ntwo\n' });
  const source = fileSource({ path, format: 'text', bounded: true });
  const splits = (await source.discoverSplits()).map((split) => ({ split, position: undefined }));
  appendFileSync(join(path, 'a'), 'three\n');
  t.deepEqual((await drain(source, { splits })).values.get('a'), ['one', 'two']);
});

test('an unbounded file is tailed: a line counts when its end arrives', async (t) => {
  const path = directory({ a: 'one\ntw' });
  const source = fileSource({ path, format: 'text' });
  const reader = source.createReader(readerContext);
  await reader.addSplits((await source.discoverSplits()).map((split) => ({ split, position: undefined })));
  t.deepEqual(await reader.poll(1000), { splitId: 'a', values: ['one'], position: 4 });
  t.is(await reader.poll(0), null);
  appendFileSync(join(path, 'a'), 'o\nthree\n');
  t.deepEqual(await reader.poll(10_000), { splitId: 'a', values: ['two', 'three'], position: 14 });
  writeFileSync(join(path, 'b'), 'new\n');
  t.deepEqual((await source.discoverSplits()).map(({ id }) => id), ['a', 'b']);
  await reader.close();
  t.is(await reader.poll(10_000), null);
});

test('a truncated, a replaced and a missing file are errors that name what was expected', async (t) => {
  const path = directory({ a: 'one\ntwo\n' });
  const file = join(path, 'a');
  const source = fileSource({ path, format: 'text' });
  const [split] = await source.discoverSplits();
  const reader = source.createReader(readerContext);
  await reader.addSplits([{ split: split as NonNullable<typeof split>, position: undefined }]);
  await reader.poll(1000);
  truncateSync(file, 3);
  const truncated = await failure(reader.poll(0));
  t.is(truncated.code, 'FILE_TRUNCATED');
  t.false(truncated.retryable);
  t.regex(truncated.message, /a has 3 bytes, and was read or promised up to byte 8/);
  writeFileSync(join(path, '.new'), 'another file, a longer one\n');
  renameSync(join(path, '.new'), file);
  t.is((await failure(reader.poll(0))).code, 'FILE_REPLACED');
  rmSync(file);
  t.is((await failure(reader.poll(0))).code, 'FILE_MISSING');
});

test('a bad record is an error with file and byte', async (t) => {
  const path = directory({ a: '{"é":1}\n{nope\n' });
  const error = await failure(drain(fileSource({ path, format: 'ndjson', bounded: true })));
  t.is(error.code, 'FILE_BAD_RECORD');
  t.regex(error.message, /a: the record at byte 9 is not JSON/);
  const csv = directory({ a: 'x,y\n1,2\n3\n' });
  t.regex((await failure(drain(fileSource({ path: csv, format: 'csv', bounded: true })))).message, /at byte 8 is 1 fields where the header has 2/);
});

test('a line longer than the limit is an error, not memory', async (t) => {
  const path = directory({ a: `short\n${'x'.repeat(300_000)}\n` });
  t.is((await drain(fileSource({ path, format: 'text', bounded: true }))).values.get('a')?.length, 2);
  const error = await failure(drain(fileSource({ path, format: 'text', bounded: true, lineBytesMax: 100_000 })));
  t.is(error.code, 'FILE_LINE_TOO_LONG');
  t.regex(error.message, /the line at byte 6 is longer than 100000 bytes/);
});
