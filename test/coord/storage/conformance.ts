/** What every pair of disk ports must do for the storage: run on the doubles and on the real adapters alike. */
import type { TestFn } from 'ava';
import { makeZxid, type Zxid } from '../../../coord/base/zxid.ts';
import type { Callback, JournalFile, JournalFiles, Kv, KvOp, KvStores } from '../../../coord/base/ports.ts';
import { Storage, type Recovered, type StorageOptions } from '../../../coord/storage/storage.ts';
import type { PersistOp } from '../../../coord/zab/contract.ts';
import type { TxnGroup } from '../../../coord/zab/txn-group.ts';

export interface DiskUnderTest {
  readonly files: JournalFiles;
  readonly kvs: KvStores;
}

const SMALL: StorageOptions = { segmentBytes: 16 * 1024, keepBytes: 0 };

function call<T>(fn: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => fn((error, value) => (error === null ? resolve(value) : reject(error))));
}

function group(counter: number, size: number, epoch = 1): PersistOp & { type: 'group' } {
  const zxid = makeZxid(epoch, counter);
  return { type: 'group', group: { firstZxid: zxid, lastZxid: zxid, bytes: new Uint8Array(size).fill(counter) } };
}

async function open(disk: DiskUnderTest): Promise<{ storage: Storage; recovered: Recovered }> {
  const storage = new Storage(disk.files, disk.kvs, SMALL);
  return { storage, recovered: await call<Recovered>((done) => storage.open(done)) };
}

function persist(storage: Storage, ops: readonly PersistOp[]): Promise<number> {
  return call((done) => storage.persist(ops.map((op, i) => ({ seq: i + 1, op })), done));
}

function lastOf(recovered: Recovered): Zxid {
  return recovered.history.tail.at(-1)?.lastZxid ?? recovered.history.appliedZxid;
}

async function stateOf(recovered: Recovered): Promise<Map<string, number>> {
  const state = new Map<string, number>();
  await call<void>((done) => recovered.loadState((entries) => entries.forEach(([key, value]) => state.set(key, value.length)), done));
  return state;
}

export function testDisk(test: TestFn, name: string, make: () => DiskUnderTest): void {
  test(`${name}: files are made zero-filled, written in place, listed, removed`, async (t) => {
    const { files } = make();
    t.deepEqual(await call<string[]>((done) => files.list(done)), []);
    await call<void>((done) => files.create('a', 10_000, done));
    await t.throwsAsync(call<void>((done) => files.create('a', 10, done)));
    const file = await call<JournalFile>((done) => files.open('a', done));
    const chunks = Array.from({ length: 3000 }, (_, i) => new Uint8Array([i & 0xff, 1]));
    await Promise.all([
      call<void>((done) => file.write([new Uint8Array([1, 2, 3])], 5, done)),
      call<void>((done) => file.write(chunks, 1000, done)),
    ]);
    await call<void>((done) => file.close(done));
    const bytes = await call<Uint8Array>((done) => files.read('a', done));
    const expected = new Uint8Array(10_000);
    expected.set([1, 2, 3], 5);
    for (const [i, chunk] of chunks.entries()) expected.set(chunk, 1000 + 2 * i);
    t.true(Buffer.from(bytes).equals(expected));
    await t.throwsAsync(call<JournalFile>((done) => files.open('b', done)));
    await t.throwsAsync(call<Uint8Array>((done) => files.read('b', done)));
    t.deepEqual(await call<string[]>((done) => files.list(done)), ['a']);
    await call<void>((done) => files.remove('a', done));
    t.deepEqual(await call<string[]>((done) => files.list(done)), []);
  });

  test(`${name}: the store keeps order, views and a single opener`, async (t) => {
    const { kvs } = make();
    const kv = await call<Kv>((done) => kvs.open('s', done));
    await t.throwsAsync(call<Kv>((done) => kvs.open('s', done)));
    const keys = ['a', 'a/\u{1f600}', 'a/\uffff', 'a/é', 'a0', 'b'];
    const put = (key: string, n: number): KvOp => ({ type: 'put', key, value: new Uint8Array([n]) });
    await call<void>((done) => kv.batch(keys.map((key, i) => put(key, i)), { sync: true }, done));
    const view = kv.snapshot();
    await call<void>((done) => kv.batch([{ type: 'del', key: 'a0' }, put('a/é', 9), put('a/x', 9)], { sync: true }, done));
    const range = await call<[string, Uint8Array][]>((done) => view.range('a/', 'b', 10, done));
    t.deepEqual(range.map(([key, value]) => [key, value[0]]), [['a/é', 3], ['a/\uffff', 2], ['a/\u{1f600}', 1], ['a0', 4]]);
    t.is((await call<[string, Uint8Array][]>((done) => view.range('a', 'c', 2, done))).length, 2);
    t.is((await call<Uint8Array | undefined>((done) => view.get('a0', done)))?.[0], 4);
    t.is(await call<Uint8Array | undefined>((done) => kv.get('a0', done)), undefined);
    t.is((await call<Uint8Array | undefined>((done) => kv.get('a/x', done)))?.[0], 9);
    view.close();
    await call<void>((done) => kv.close(done));
    const again = await call<Kv>((done) => kvs.open('s', done));
    t.is((await call<Uint8Array | undefined>((done) => again.get('a/x', done)))?.[0], 9);
    await call<void>((done) => again.close(done));
  });

  test(`${name}: a fresh directory is epoch 0, zxid 0`, async (t) => {
    const disk = make();
    const { storage, recovered } = await open(disk);
    t.deepEqual(recovered.history, { acceptedEpoch: 0, currentEpoch: 0, appliedZxid: 0, tail: [], epochEnds: [], journalStartZxid: 0, suspect: false });
    t.deepEqual(recovered.warnings, []);
    t.is((await stateOf(recovered)).size, 0);
    await call<void>((done) => storage.close(done));
  });

  test(`${name}: log and state over restarts, rolls, flushes, truncation and purge`, async (t) => {
    const disk = make();
    let { storage, recovered } = await open(disk);
    await persist(storage, [{ type: 'hardState', acceptedEpoch: 1, currentEpoch: 1 }, group(1, 10)]);
    // Many appends at once: acknowledged in order, in fewer writes.
    const acked: number[] = [];
    const appends = Array.from({ length: 200 }, (_, i) => persist(storage, [group(i + 2, (i * 7) % 700)]).then(() => acked.push(i)));
    await Promise.all(appends);
    t.deepEqual(acked, Array.from({ length: 200 }, (_, i) => i));
    t.is(storage.lastDurableZxid, makeZxid(1, 201));
    t.true(storage.stats().journalWrites < 150);
    t.true(storage.stats().segments > 3);
    await persist(storage, [group(202, 50_000)]);

    const flushed = makeZxid(1, 150);
    await call<void>((done) => storage.flush({ puts: Array.from({ length: 2500 }, (_, i) => [`z/${i}`, new Uint8Array(i % 50)]), dels: [] }, makeZxid(1, 100), done));
    await call<void>((done) => storage.flush({ puts: [['s1', new Uint8Array(3)]], dels: ['z/7'] }, flushed, done));
    storage.purge(Infinity);
    await persist(storage, [{ type: 'truncate', zxid: makeZxid(1, 160) }, { type: 'hardState', acceptedEpoch: 2, currentEpoch: 2 }, group(1, 20, 2)]);
    await call<void>((done) => storage.close(done));

    ({ storage, recovered } = await open(disk));
    const { history } = recovered;
    t.deepEqual(recovered.warnings, []);
    t.is(history.appliedZxid, flushed);
    t.deepEqual([history.acceptedEpoch, history.currentEpoch], [2, 2]);
    t.is(history.tail.length, 11);
    t.is(lastOf(recovered), makeZxid(2, 1));
    t.deepEqual(history.epochEnds, [{ epoch: 1, lastZxid: makeZxid(1, 160) }, { epoch: 2, lastZxid: makeZxid(2, 1) }]);
    t.true(history.journalStartZxid > 0 && history.journalStartZxid <= flushed);
    const read = await call<TxnGroup[]>((done) => storage.readGroups(history.journalStartZxid, Infinity, done));
    t.is(read[0]?.firstZxid, history.journalStartZxid + 1);
    t.is(read.at(-1)?.lastZxid, makeZxid(2, 1));
    t.deepEqual(await call<TxnGroup[]>((done) => storage.readGroups(makeZxid(1, 180), 1000, done)), [], 'a place that was truncated');
    const state = await stateOf(recovered);
    t.is(state.size, 2500);
    t.false(state.has('z/7'));
    t.is(state.get('s1'), 3);

    const snapshot = storage.openSnapshot();
    t.is(snapshot.baseZxid, flushed);
    await call<void>((done) => storage.flush({ puts: [], dels: ['s1'] }, makeZxid(1, 160), done));
    let entries = 0;
    for (;;) {
      const chunk = await call<[string, Uint8Array][]>((done) => snapshot.next(4096, done));
      if (chunk.length === 0) break;
      entries += chunk.length;
      t.true(chunk.reduce((sum, [key, value]) => sum + key.length + value.length, 0) <= 4096);
    }
    snapshot.close();
    t.is(entries, 2500);
    await call<void>((done) => storage.close(done));
  });

  test(`${name}: a snapshot takes the place of log and state, or nothing of it does`, async (t) => {
    const disk = make();
    let { storage, recovered } = await open(disk);
    await persist(storage, [{ type: 'hardState', acceptedEpoch: 1, currentEpoch: 1 }, group(1, 10), group(2, 10)]);
    await call<void>((done) => storage.flush({ puts: [['z/old', new Uint8Array(1)]], dels: [] }, makeZxid(1, 1), done));
    const baseZxid = makeZxid(4, 9);
    const chunk: PersistOp = { type: 'snapshotChunk', entries: Array.from({ length: 300 }, (_, i) => [`z/${i}`, new Uint8Array(5000)]) };
    await persist(storage, [{ type: 'snapshotBegin', baseZxid }, chunk]);
    await call<void>((done) => storage.close(done));

    ({ storage, recovered } = await open(disk));
    t.is(lastOf(recovered), makeZxid(1, 2));
    t.deepEqual([...(await stateOf(recovered)).keys()], ['z/old']);
    const install: PersistOp = { type: 'snapshotInstall', baseZxid, acceptedEpoch: 5, currentEpoch: 5, groups: [{ ...group(10, 30, 4).group }] };
    await persist(storage, [{ type: 'snapshotBegin', baseZxid }, chunk, install, group(1, 10, 5)]);
    t.is(storage.flushedZxid, baseZxid);
    t.is(storage.lastDurableZxid, makeZxid(5, 1));
    await call<void>((done) => storage.close(done));

    ({ storage, recovered } = await open(disk));
    t.deepEqual(recovered.warnings, []);
    t.is(recovered.history.appliedZxid, baseZxid);
    t.is(recovered.history.journalStartZxid, baseZxid);
    t.deepEqual(recovered.history.tail.map((one) => one.lastZxid), [makeZxid(4, 10), makeZxid(5, 1)]);
    t.is((await stateOf(recovered)).size, 300);
    await call<void>((done) => storage.close(done));
  });

  test(`${name}: a second server on the same directory is turned away`, async (t) => {
    const disk = make();
    const { storage } = await open(disk);
    await t.throwsAsync(open(disk));
    await call<void>((done) => storage.close(done));
    const again = await open(disk);
    await call<void>((done) => again.storage.close(done));
  });
}
