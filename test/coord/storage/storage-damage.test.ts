/** Damage below the tail: the storage says so, and goes on saying so until a snapshot has been installed. */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { makeZxid, type Zxid } from '../../../coord/base/zxid.ts';
import type { Recovered, Storage } from '../../../coord/storage/storage.ts';
import type { PersistOp } from '../../../coord/zab/contract.ts';
import { StorageModel, type Command } from './storage-model.ts';
import { VirtualDisk } from './virtual-disk.ts';

function group(counter: number, size = 300, epoch = 1): PersistOp {
  const zxid = makeZxid(epoch, counter);
  return { type: 'group', group: { firstZxid: zxid, lastZxid: zxid, bytes: new Uint8Array(size).fill(counter) } };
}

function persist(disk: VirtualDisk, storage: Storage, ops: readonly PersistOp[]): void {
  disk.await<number>((done) => storage.persist(ops.map((op, i) => ({ seq: i + 1, op })), done));
}

/** A stopped server with 60 groups of epoch 1 in the journal, of which the state holds the first 10. */
function stopped(seed: number): VirtualDisk {
  const disk = new VirtualDisk(seed);
  const { storage } = disk.open();
  persist(disk, storage, [{ type: 'hardState', acceptedEpoch: 1, currentEpoch: 1 }]);
  for (let i = 1; i <= 60; i++) persist(disk, storage, [group(i)]);
  disk.await<void>((done) => storage.flush({ puts: [['z/a', new Uint8Array(9)]], dels: [] }, makeZxid(1, 10), done));
  disk.await<void>((done) => storage.close(done));
  return disk;
}

function logNames(disk: VirtualDisk): string[] {
  return disk.files.names().filter((name) => disk.files.bytesOf(name).some((byte) => byte !== 0));
}

function suspect(t: ExecutionContext, disk: VirtualDisk, warning: RegExp): { storage: Storage; recovered: Recovered } {
  const opened = disk.open();
  t.true(opened.recovered.history.suspect);
  t.regex(opened.recovered.warnings.join('\n'), warning);
  t.is(opened.recovered.history.acceptedEpoch, 1);
  return opened;
}

function lastOf(recovered: Recovered): Zxid {
  return recovered.history.tail.at(-1)?.lastZxid ?? recovered.history.appliedZxid;
}

test('a flipped bit below the tail', (t) => {
  const disk = stopped(1);
  disk.files.flipBits(logNames(disk)[2] as string, 1000, 1001);
  suspect(t, disk, /no sound record at log\.\w+:\d+, but it was durable up to log\.\w+:\d+/);
});

test('a hole below the tail', (t) => {
  const disk = stopped(2);
  disk.files.zeroRange(logNames(disk)[2] as string, 512, 4096);
  suspect(t, disk, /a hole at|no sound record at/);
});

test('a segment that is missing', (t) => {
  const disk = stopped(3);
  disk.files.removeFile(logNames(disk)[1] as string);
  suspect(t, disk, /segment log\.\w+ is missing/);
});

test('the newest segments are missing', (t) => {
  const disk = stopped(4);
  for (const name of logNames(disk).slice(2)) disk.files.removeFile(name);
  suspect(t, disk, /log\.\w+ is missing/);
});

test('the whole journal is missing', (t) => {
  const disk = stopped(5);
  for (const name of disk.files.names()) disk.files.removeFile(name);
  const { recovered } = disk.open();
  t.true(recovered.history.suspect);
  t.regex(recovered.warnings.join('\n'), /the journal is missing/);
});

test('the whole state is missing, and the journal does not go back to the beginning', (t) => {
  const disk = stopped(6);
  const { storage } = disk.open();
  disk.await<void>((done) => storage.flush({ puts: [], dels: [] }, makeZxid(1, 40), done));
  storage.purge(Infinity);
  disk.run();
  disk.await<void>((done) => storage.close(done));
  for (const key of disk.kvs.store('state').keys()) disk.kvs.store('state').drop(key);
  suspect(t, disk, /the journal begins after zxid/);
});

test('the store has dropped a batch that it had synced', (t) => {
  const disk = stopped(7);
  const { storage } = disk.open();
  for (let i = 11; i < 20; i++) disk.await<void>((done) => storage.flush({ puts: [[`z/${i}`, new Uint8Array(9)]], dels: [] }, makeZxid(1, i), done));
  disk.await<void>((done) => storage.close(done));
  const store = disk.kvs.store('state');
  store.drop(store.keys().filter((key) => key.includes('flush'))[4] as string);
  store.drop(store.keys().find((key) => key.endsWith('z/14')) as string);
  suspect(t, disk, /has lost flush \d+/);
});

test('of a state between whose flushes one is missing nothing is loaded: entries may need what was in it', (t) => {
  const disk = stopped(13);
  const { storage } = disk.open();
  disk.await<void>((done) => storage.flush({ puts: [['s/1', new Uint8Array(9)]], dels: [] }, makeZxid(1, 20), done));
  const store = disk.kvs.store('state');
  const lost = store.keys().findLast((key) => key.includes('.flush/')) as string;
  disk.await<void>((done) => storage.flush({ puts: [['z/a/of-session-1', new Uint8Array(9)]], dels: [] }, makeZxid(1, 30), done));
  disk.run();
  disk.crash();
  t.true(store.loseBatch(lost));
  for (const warning of [/has lost flush \d+/, /found damaged before/]) {
    const { storage: again, recovered } = suspect(t, disk, warning);
    t.is(recovered.history.appliedZxid, 0);
    const keys: string[] = [];
    disk.await<void>((done) => recovered.loadState((entries) => entries.forEach(([key]) => keys.push(key)), done));
    t.deepEqual(keys, []);
    disk.await<void>((done) => again.close(done));
  }
});

test('a flipped bit in an entry of the state fails its loading and its sending, and makes the next start suspect', (t) => {
  const disk = stopped(8);
  const store = disk.kvs.store('state');
  store.flipBit(store.keys().find((key) => key.endsWith('z/a')) as string, 3);
  const { storage, recovered } = disk.open();
  t.throws(() => disk.await<void>((done) => recovered.loadState(() => {}, done)), { code: 'COORD_STATE_DAMAGED', message: /z\/a/ });
  const snapshot = storage.openSnapshot();
  t.throws(() => disk.await<[string, Uint8Array][]>((done) => snapshot.next(1000, done)), { code: 'COORD_STATE_DAMAGED' });
  snapshot.close();
  disk.await<void>((done) => storage.close(done));
  for (let i = 0; i < 2; i++) {
    const again = suspect(t, disk, /the state was found damaged before/);
    t.is(again.recovered.history.appliedZxid, 0);
    disk.await<void>((done) => again.recovered.loadState(() => t.fail('nothing of it is to be believed'), done));
    disk.await<void>((done) => again.storage.close(done));
  }
});

test('damage is remembered over restarts', (t) => {
  const disk = stopped(9);
  disk.files.flipBits(logNames(disk)[2] as string, 1000, 1001);
  let { storage, recovered } = suspect(t, disk, /no sound record/);
  for (let i = 0; i < 3; i++) {
    // Promises given meanwhile are kept like any other.
    persist(disk, storage, [{ type: 'truncate', zxid: lastOf(recovered) }, { type: 'hardState', acceptedEpoch: 2 + i, currentEpoch: 1 }]);
    if (i === 1) disk.crash();
    else disk.await<void>((done) => storage.close(done));
    ({ storage, recovered } = disk.open());
    t.true(recovered.history.suspect);
    t.is(recovered.history.acceptedEpoch, 2 + i);
    t.regex(recovered.warnings.join('\n'), /found damaged before/);
  }
});

test('an installed snapshot makes a suspect log sound again', (t) => {
  const disk = stopped(10);
  disk.files.flipBits(logNames(disk)[2] as string, 1000, 1001);
  const { storage } = suspect(t, disk, /no sound record/);
  const baseZxid = makeZxid(2, 5);
  persist(disk, storage, [
    { type: 'snapshotBegin', baseZxid },
    { type: 'snapshotChunk', entries: [['z/new', new Uint8Array([7])]] },
    { type: 'snapshotInstall', baseZxid, acceptedEpoch: 3, currentEpoch: 3, groups: [{ firstZxid: makeZxid(2, 6), lastZxid: makeZxid(2, 8), bytes: new Uint8Array(10) }] },
    group(1, 50, 3),
  ]);
  disk.run();
  disk.crash();
  const { recovered } = disk.open();
  t.deepEqual(recovered.warnings, []);
  t.false(recovered.history.suspect);
  t.is(recovered.history.appliedZxid, baseZxid);
  t.is(lastOf(recovered), makeZxid(3, 1));
  const keys: string[] = [];
  disk.await<void>((done) => recovered.loadState((entries) => entries.forEach(([key]) => keys.push(key)), done));
  t.deepEqual(keys, ['z/new']);
  disk.run();
  t.true(disk.kvs.store('state').keys().every((key) => key.startsWith('g00000001')), 'the old generation is gone');
});

test('a flipped bit in the last acked group is taken for a torn tail: it has no witness but itself', (t) => {
  const disk = new VirtualDisk(11);
  const { storage } = disk.open();
  persist(disk, storage, [{ type: 'hardState', acceptedEpoch: 1, currentEpoch: 1 }]);
  disk.run();
  persist(disk, storage, [group(1), group(2)]);
  disk.run();
  disk.crash();
  const name = logNames(disk).at(-1) as string;
  const bytes = disk.files.bytesOf(name);
  const end = bytes.findLastIndex((byte) => byte !== 0);
  disk.files.flipBits(name, end, end + 1);
  const { recovered } = disk.open();
  t.false(recovered.history.suspect);
  t.is(lastOf(recovered), makeZxid(1, 1));
  t.regex(recovered.warnings.join('\n'), /cut a torn tail/);
});

test('hard state has a witness as soon as the disk is quiet', (t) => {
  const disk = new VirtualDisk(12);
  const { storage } = disk.open();
  persist(disk, storage, [{ type: 'hardState', acceptedEpoch: 5, currentEpoch: 0 }]);
  disk.run();
  disk.crash();
  const name = logNames(disk).at(-1) as string;
  // Behind the head and the mark after it: the hard state, and the mark after that.
  const at = Buffer.from(disk.files.bytesOf(name)).indexOf(Buffer.from([5, 0, 0, 0, 0, 0, 0, 0]), 144);
  t.true(at > 0);
  disk.files.flipBits(name, at, at + 1);
  t.true(disk.open().recovered.history.suspect);
});

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('groups' as const), sizes: fc.array(fc.nat(400), { minLength: 1, maxLength: 5 }) }) },
  { weight: 2, arbitrary: fc.constant<Command>({ type: 'epoch' }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('truncate' as const), back: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('snapshot' as const), entries: fc.nat(30), groups: fc.nat(3), sameTurn: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('flush' as const), keys: fc.array(fc.nat(20), { maxLength: 6 }) }) },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'purge' }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('steps' as const), n: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.constant<Command>({ type: 'crash' }) },
);
const damage = fc.record({ how: fc.constantFrom('flip', 'zero', 'remove'), file: fc.nat(), at: fc.nat(), length: fc.integer({ min: 1, max: 1500 }) });

test('whatever happens to one place of the journal of a stopped server: nothing is missing, or the storage says so', (t) => {
  const seen = { suspect: 0, sound: 0 };
  fc.assert(
    fc.property(fc.nat(), fc.array(command, { minLength: 10, maxLength: 40 }), damage, (seed, commands, { how, file, at, length }) => {
      const model = new StorageModel(new VirtualDisk(seed));
      for (const one of commands) model.do(one);
      const said = model.damage(({ files }) => {
        const names = files.names();
        const name = names[file % names.length] as string;
        const size = files.bytesOf(name).length;
        const from = at % size;
        if (how === 'flip') files.flipBits(name, from, from + 1);
        else if (how === 'zero') files.zeroRange(name, from, Math.min(size, from + length));
        else files.removeFile(name);
      });
      seen[said ? 'suspect' : 'sound']++;
    }),
    { numRuns: Number(process.env['DREY_STORAGE_RUNS'] ?? 600) },
  );
  t.log(seen);
  t.true(seen.suspect > 20 && seen.sound > 20);
});
