/** A disk that fills up: no acknowledgement that does not hold, well again when there is room. */
import test from 'ava';
import { makeZxid } from '../../../coord/base/zxid.ts';
import type { Storage } from '../../../coord/storage/storage.ts';
import { VirtualDisk } from './virtual-disk.ts';

/** Appends groups of epoch 1 until it fails; gives the last that was acknowledged and the error. */
function fill(disk: VirtualDisk, storage: Storage, from: number, until: number): { acked: number; error: (Error & { code?: string }) | null } {
  for (let i = from; i <= until; i++) {
    const zxid = makeZxid(1, i);
    try {
      const op = { type: 'group', group: { firstZxid: zxid, lastZxid: zxid, bytes: new Uint8Array(200).fill(i) } } as const;
      disk.await<number>((done) => storage.persist([{ seq: i, op }], done));
    } catch (error) {
      return { acked: i - 1, error: error as Error };
    }
  }
  return { acked: until, error: null };
}

test('what is made ahead still takes appends; then they fail; with room they go on', (t) => {
  const disk = new VirtualDisk(1);
  const first = disk.open();
  disk.run();
  disk.files.setCapacity(disk.files.usedBytes());
  // The current segment and the one made ahead still take this.
  const before = fill(disk, first.storage, 1, 20);
  t.is(before.error, null);
  disk.run();
  const { acked, error } = fill(disk, first.storage, 21, 1000);
  t.is(error?.code, 'COORD_NO_ROOM');
  t.true(acked > 20 && acked < 40);
  disk.await<void>((done) => first.storage.close(done));

  t.throws(() => disk.open(), { code: 'COORD_NO_ROOM' });
  disk.files.setCapacity(Infinity);
  const second = disk.open();
  t.false(second.recovered.history.suspect);
  t.is(second.recovered.history.tail.at(-1)?.lastZxid, makeZxid(1, acked));
  t.is(fill(disk, second.storage, acked + 1, 200).error, null);
});

test('room that comes back before the segment is full: nobody noticed', (t) => {
  const disk = new VirtualDisk(2);
  const { storage } = disk.open();
  disk.run();
  disk.files.setCapacity(disk.files.usedBytes());
  fill(disk, storage, 1, 20);
  disk.run();
  // A flush lets the oldest segment go, which makes the room.
  disk.await<void>((done) => storage.flush({ puts: [], dels: [] }, makeZxid(1, 20), done));
  storage.purge(Infinity);
  disk.run();
  storage.purge(Infinity);
  disk.run();
  t.is(fill(disk, storage, 21, 40).error, null);
});

test('a server that stopped with a full disk starts again in the segment that was made ahead', (t) => {
  const disk = new VirtualDisk(3);
  const first = disk.open();
  disk.run();
  t.is(fill(disk, first.storage, 1, 5).error, null);
  disk.files.setCapacity(disk.files.usedBytes());
  disk.await<void>((done) => first.storage.close(done));
  const second = disk.open();
  t.is(second.recovered.history.tail.length, 5);
  t.is(fill(disk, second.storage, 6, 8).error, null);
});
