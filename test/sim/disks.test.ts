/** What the simulated disks do beyond what the storage tests ask of them: who is told, and what is lost. */
import test from 'ava';
import type { Kv, KvOp } from '../../coord/base/ports.ts';
import { CrashableJournalFiles } from '../../sim/doubles/journal-files.ts';
import { CrashableKvStores } from '../../sim/doubles/kv.ts';
import { Process } from '../../sim/world/process.ts';
import { World } from '../../sim/world/world.ts';

function disk(): { world: World; process: Process; files: CrashableJournalFiles; kvs: CrashableKvStores } {
  const world = new World('disks');
  const process = new Process(world, 'server-1');
  process.begin();
  const options = { schedule: (delayMs: number, fn: () => void) => void world.schedule(delayMs, fn), prng: world.streams('disk/server-1'), answer: (fn: () => void) => process.run(fn) };
  return { world, process, files: new CrashableJournalFiles(options), kvs: new CrashableKvStores(options) };
}

function open(world: World, kvs: CrashableKvStores): Kv {
  let opened: Kv | null = null;
  kvs.open('state', (error, kv) => {
    if (error === null) opened = kv;
  });
  world.run(world.nowMs + 10);
  return opened as unknown as Kv;
}

const put = (key: string, value: string): KvOp => ({ type: 'put', key, value: Buffer.from(value) });

test('a paused process hears of a durable write when it goes on', (t) => {
  const { world, process, files } = disk();
  const seen: string[] = [];
  files.create('a', 1024, () => files.open('a', (_error, file) => {
    process.pause(100);
    file.write([Buffer.from('x')], 0, () => seen.push(`written at ${world.nowMs}`));
  }));
  world.run(50);
  t.is(files.bytesOf('a')[0], 'x'.charCodeAt(0));
  t.deepEqual(seen, []);
  world.run(300);
  t.is(seen.length, 1);
  t.true(Number(seen[0]?.split(' ').at(-1)) > 100);
});

test('a batch is lost and later ones are there: its keys are what they were before it', (t) => {
  const { world, kvs } = disk();
  const kv = open(world, kvs);
  const batches: KvOp[][] = [[put('a', '1'), put('b', '1')], [put('a', '2'), put('note', '2'), { type: 'del', key: 'b' }], [put('a', '3'), put('c', '3')]];
  for (const batch of batches) kv.batch(batch, { sync: true }, () => {});
  world.run(100);
  const store = kvs.store('state');
  kvs.crash();
  t.true(store.loseBatch('note'));
  const state = (): string => store.keys().map((key) => `${key}=${Buffer.from(store.data.get(key) ?? []).toString()}`).join(' ');
  t.is(state(), 'a=3 b=1 c=3');
  t.true(store.loseBatch('c'));
  t.is(state(), 'a=1 b=1', 'a is what it was before the batches that are lost');
  t.false(store.loseBatch('note'));
  kvs.crash();
  t.is(state(), 'a=1 b=1', 'it is lost on the platter');
});

test('batches that were not synced are lost under later ones that were', (t) => {
  const outcomes = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const world = new World(`kv ${i}`);
    const options = { schedule: (delayMs: number, fn: () => void) => void world.schedule(delayMs, fn), prng: world.streams('disk') };
    const kvs = new CrashableKvStores(options);
    const kv = open(world, kvs);
    kv.batch([put('a', '1')], { sync: false }, () => kv.batch([put('b', '1')], { sync: true }, () => {}));
    world.run(100);
    kvs.crash();
    outcomes.add(kvs.store('state').keys().join(' '));
  }
  t.deepEqual([...outcomes].sort(), ['a b', 'b']);
});
