import test from 'ava';
import fc from 'fast-check';
import { datagenSource, randomSentence } from '../../connectors/datagen.ts';
import { drain, readerContext } from './lib/harness.ts';

test('a lane read on from any position repeats the rest exactly', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 1500 }), async (seed, lanes, count) => {
      const make = () => datagenSource({ seed, lanes, count, generate: (index, prng) => `${index} ${randomSentence(index, prng)}`, timestampOf: (index) => index * 10 });
      const all = await drain(make());
      for (const [id, values] of all.values) {
        t.is(values.length, count, id);
        t.deepEqual(all.timestamps.get(id) ?? [], values.map((_, i) => i * 10));
      }
      for (const { split, position, values } of all.positions) {
        const rest = await drain(make(), { splits: [{ split, position }] });
        t.deepEqual(rest.values.get(split.id), all.values.get(split.id)?.slice(values));
      }
    }),
    { numRuns: 25 },
  );
});

test('lanes and seeds differ', async (t) => {
  const read = async (seed: number) => [...(await drain(datagenSource({ seed, lanes: 2, count: 50, generate: randomSentence }))).values.values()];
  const [a, b] = (await read(1)) as [string[], string[]];
  t.notDeepEqual(a, b);
  t.notDeepEqual((await read(2))[0], a);
  t.deepEqual(await read(1), [a, b]);
});

test('a rate holds records back', async (t) => {
  const source = datagenSource({ seed: 1, recordsPerSecond: 0.001, generate: (index) => index });
  const reader = source.createReader(readerContext);
  await reader.addSplits((await source.discoverSplits()).map((split) => ({ split, position: undefined })));
  t.is(await reader.poll(20), null);
  const pending = reader.poll(1_000_000);
  await reader.close();
  t.is(await pending, null);
});

test('a rate lets through what is due and goes on from there', async (t) => {
  const started = performance.now();
  const { values } = await drain(datagenSource({ seed: 1, recordsPerSecond: 2000, count: 200, generate: (index) => index }));
  t.deepEqual(values.get('lane-0'), Array.from({ length: 200 }, (_, i) => i));
  t.true(performance.now() - started >= 99, 'records are never early');
});
