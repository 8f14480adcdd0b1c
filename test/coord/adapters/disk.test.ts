import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { NodeJournalFiles } from '../../../coord/adapters/journal-files.ts';
import { LevelKvStores } from '../../../coord/adapters/level-kv.ts';
import { testDisk } from '../storage/conformance.ts';

const dirs: string[] = [];
test.after.always(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'drey-disk-'));
  dirs.push(dir);
  return dir;
}

testDisk(test, 'files and LevelDB', () => {
  const dir = directory();
  return { files: new NodeJournalFiles(join(dir, 'journal')), kvs: new LevelKvStores(dir) };
});

test('a data directory in use is named in one line', async (t) => {
  const kvs = new LevelKvStores(directory());
  await new Promise<void>((resolve) => kvs.open('state', () => resolve()));
  const error = await new Promise<Error | null>((resolve) => kvs.open('state', resolve));
  t.is((error as { code?: string } | null)?.code, 'COORD_DATA_DIR_LOCKED');
  t.regex(error?.message ?? '', /^\S+state is in use by another server$/);
});
