import test, { type ExecutionContext } from 'ava';
import type { Kv } from '../../../coord/base/ports.ts';
import { NOWHERE } from '../../../coord/storage/journal-record.ts';
import { StateStore } from '../../../coord/storage/state-store.ts';
import { VirtualDisk } from './virtual-disk.ts';

const MB = 1 << 20;

function opened(t: ExecutionContext, disk: VirtualDisk): StateStore {
  const kvs: Kv[] = [];
  disk.kvs.open('state', (error, kv) => {
    t.is(error, null);
    kvs.push(kv);
  });
  while (disk.step());
  const state = new StateStore(kvs[0] as Kv);
  state.openGeneration(0, (error, found) => {
    t.is(error, null);
    t.deepEqual(found.problems, []);
  });
  while (disk.step());
  return state;
}

test('the keys of flushes are kept for as many bytes as the store may still drop, and at least of the last eight; also across a restart', (t) => {
  const disk = new VirtualDisk('flushes kept');
  const numbers = (): number[] => disk.kvs.store('state').keys().filter((key) => key.includes('.flush/')).map((key) => Number.parseInt(key.slice(-12), 16));
  let flushes = 0;
  const flush = (state: StateStore, bytes: number): void => {
    state.flush([['z/a', new Uint8Array(bytes)]], [], ++flushes, NOWHERE, (error) => t.is(error, null));
    while (disk.step());
  };
  const upTo = (first: number): number[] => Array.from({ length: flushes - first + 1 }, (_, i) => first + i);

  let state = opened(t, disk);
  for (let i = 0; i < 20; i++) flush(state, 1000);
  t.deepEqual(numbers(), upTo(1));
  for (let i = 0; i < 12; i++) flush(state, MB);
  t.deepEqual(numbers(), upTo(1));
  for (let i = 0; i < 6; i++) flush(state, MB);
  // What is older than the last sixteen of 1 MB is no longer in the store's logs; the flush that crosses the bound is kept.
  t.deepEqual(numbers(), upTo(flushes - 15));

  state.close(null, (error) => t.is(error, null));
  while (disk.step());
  state = opened(t, disk);
  flush(state, 3 * MB);
  t.deepEqual(numbers(), upTo(flushes - 13));
  for (let i = 0; i < 9; i++) flush(state, 4 * MB);
  t.deepEqual(numbers(), upTo(flushes - 7));
});
