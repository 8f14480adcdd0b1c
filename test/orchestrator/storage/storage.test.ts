import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { openStorage } from '../../../orchestrator/storage/storage.ts';

async function temporary(t: { teardown: (fn: () => Promise<void>) => void }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'drey-storage-'));
  t.teardown(async () => rm(dir, { recursive: true, force: true }));
  return dir;
}

test('put, get, replace, list by prefix, delete', async (t) => {
  const dir = await temporary(t);
  const storage = openStorage(pathToFileURL(join(dir, 'not', 'yet', 'there')).href);
  t.deepEqual(await storage.list(''), []);
  await storage.put('job-1/chk-1/a-0.state', Buffer.from('one'));
  await storage.put('job-1/chk-10/a-0.state', Buffer.from('ten'));
  await storage.put('job-1/chk-1/a-0.state', Buffer.from('one again'));
  await storage.put('bundles/abc.mjs', Buffer.from(''));
  t.is(Buffer.from(await storage.get('job-1/chk-1/a-0.state')).toString(), 'one again');
  t.is((await storage.get('bundles/abc.mjs')).length, 0);
  t.deepEqual(await storage.list('job-1/chk-1'), ['job-1/chk-1/a-0.state', 'job-1/chk-10/a-0.state']);
  t.deepEqual(await storage.list('job-1/chk-1/'), ['job-1/chk-1/a-0.state']);
  t.deepEqual(await storage.list(''), ['bundles/abc.mjs', 'job-1/chk-1/a-0.state', 'job-1/chk-10/a-0.state']);
  await storage.delete('job-1/chk-1/a-0.state');
  await storage.delete('job-1/chk-1/a-0.state');
  await t.throwsAsync(async () => storage.get('job-1/chk-1/a-0.state'), { code: 'STORAGE_NOT_FOUND' });
});

test('what a crash left half written is not listed, and no put leaves anything behind', async (t) => {
  const dir = await temporary(t);
  const storage = openStorage(pathToFileURL(dir).href);
  await Promise.all(Array.from({ length: 20 }, async (_, i) => storage.put('same/name', Buffer.from(`${i}`))));
  t.deepEqual(await readdir(join(dir, 'same')), ['name']);
  await writeFile(join(dir, 'same', '.tmp-half'), 'ha');
  t.deepEqual(await storage.list('same/'), ['same/name']);
});

test('a path cannot leave the storage, and a disk error is retryable', async (t) => {
  const dir = await temporary(t);
  const storage = openStorage(pathToFileURL(dir).href);
  for (const path of ['', '../x', 'a/../b', '/a', 'a//b', './a']) await t.throwsAsync(async () => storage.put(path, Buffer.from('x')), { code: 'STORAGE_BAD_PATH' }, path);
  await writeFile(join(dir, 'file'), 'not a directory');
  const error = await t.throwsAsync(async () => storage.put('file/below', Buffer.from('x')), { code: 'STORAGE_IO' });
  t.true((error as unknown as { retryable: boolean }).retryable);
});

test('an unknown scheme is refused by name', (t) => {
  t.throws(() => openStorage('s3://bucket/x'), { code: 'STORAGE_BAD_URL', message: /s3: is not supported/ });
  t.throws(() => openStorage('/var/lib/x'), { code: 'STORAGE_BAD_URL' });
  t.throws(() => openStorage('file://var/lib'), { code: 'STORAGE_BAD_URL', message: /file:\/\/\/var\/lib/ });
});
