import test from 'ava';
import { collectSink, collectionSource } from '../../connectors/collection.ts';
import { printSink } from '../../connectors/print.ts';
import { drain, sinkContext } from './lib/harness.ts';

test('a collection is dealt out to lanes and can be read on from any position', async (t) => {
  const source = collectionSource(['a', 'b', 'c', 'd', 'e'], { lanes: 2, batchRecords: 2, timestampOf: (value) => value.charCodeAt(0) });
  const all = await drain(source);
  t.deepEqual([...all.values], [['lane-0', ['a', 'c', 'e']], ['lane-1', ['b', 'd']]]);
  t.deepEqual(all.timestamps.get('lane-1'), [98, 100]);
  for (const { split, position, values } of all.positions) {
    t.deepEqual((await drain(source, { splits: [{ split, position }] })).values.get(split.id), all.values.get(split.id)?.slice(values));
  }
});

test('a collecting sink counts a committable once and forgets what was not prepared', async (t) => {
  const sink = collectSink<number>();
  const writer = await sink.createWriter(sinkContext());
  await writer.write([1, 2]);
  const committables = await writer.prepareCommit(1);
  await writer.write([3]);
  await writer.close();
  t.deepEqual(sink.committed, []);
  await sink.commit?.(committables, sinkContext());
  await sink.commit?.(JSON.parse(JSON.stringify(committables)), sinkContext());
  t.deepEqual(sink.committed, [1, 2]);
});

test('print writes a line per value', async (t) => {
  const lines: string[] = [];
  const writer = await printSink<unknown>({ prefix: 'out', write: (line) => void lines.push(line) }).createWriter(sinkContext({ subtask: 1, parallelism: 2 }));
  await writer.write(['text', { n: 1 }]);
  t.deepEqual(lines, ['out:1> text', 'out:1> {"n":1}']);
  t.deepEqual(await writer.prepareCommit(1), []);
});
