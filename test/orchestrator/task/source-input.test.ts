import test from 'ava';
import type { Json, RecordBatch, SourceReader, SourceSplit } from '../../../orchestrator/api/source.ts';
import { SourceInput } from '../../../orchestrator/task/source-input.ts';
import { MAX_WATERMARK, MIN_WATERMARK } from '../../../orchestrator/task/stream-element.ts';

/** A reader that gives what the test hands it. */
class ScriptedReader implements SourceReader<unknown> {
  readonly added: { id: string; position: Json | undefined }[] = [];
  polls: { resolve: (batch: RecordBatch<unknown> | null) => void; reject: (error: Error) => void }[] = [];

  async addSplits(splits: readonly { split: SourceSplit; position: Json | undefined }[]): Promise<void> {
    this.added.push(...splits.map(({ split, position }) => ({ id: split.id, position })));
  }

  async poll(): Promise<RecordBatch<unknown> | null> {
    return new Promise((resolve, reject) => this.polls.push({ resolve, reject }));
  }

  async close(): Promise<void> {
    this.polls.at(-1)?.resolve(null);
  }
}

type Splits = Record<string, { position: Json; ended: boolean; maxTimestampMs?: number }>;

function input(boundedness: 'bounded' | 'unbounded', restored: Splits | null = null): { reader: ScriptedReader; input: SourceInput; polled: () => Promise<void> } {
  const reader = new ScriptedReader();
  let wake = (): void => undefined;
  const source = { description: 'scripted', boundedness, discoverSplits: async () => [], createReader: () => reader };
  const state = { vertexId: 'v', subtask: 0, keyedStateFile: null, keyedStateBytes: 0, committables: [], watermarkMs: 0, ended: false };
  const sourceInput = new SourceInput(
    { source, timestampOf: (value) => value as number, watermarks: { type: 'bounded-out-of-order', maxOutOfOrdernessMs: 0, idleAfterMs: Infinity } },
    { id: 'v', kind: 'source', name: 'scripted', origin: 'job.ts:1:1' },
    reader,
    restored === null ? null : { checkpointId: 1, states: [{ ...state, splits: restored }] },
    () => wake(),
  );
  const polled = async (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  return { reader, input: sourceInput, polled };
}
const split = (id: string): SourceSplit => ({ id, spec: null });

test('a batch counts for the position when it is taken, not when it was polled; polls never overlap', async (t) => {
  const { reader, input: source, polled } = input('bounded');
  await source.addSplits([split('a'), split('b')], 0);
  t.is(source.take(0), null);
  t.is(source.take(0), null);
  t.is(reader.polls.length, 1);
  reader.polls[0]?.resolve({ splitId: 'a', values: [10, 30, 20], position: 3 });
  await polled();
  t.deepEqual(source.positions(), {}, 'a split that has shown nothing begins at its start again');
  t.deepEqual(source.take(0), { batch: { values: [10, 30, 20], timestamps: [10, 30, 20] }, numRecords: 3 });
  t.deepEqual(source.positions(), { a: { position: 3, ended: false, maxTimestampMs: 30 } });
  t.is(reader.polls.length, 2);
  t.deepEqual(source.watermark(0), { watermarkMs: MIN_WATERMARK, idle: false });
  reader.polls[1]?.resolve({ splitId: 'a', values: [], position: 3, ended: true });
  await polled();
  source.take(0);
  t.false(source.ended);
  reader.polls[2]?.resolve({ splitId: 'b', values: [5], position: 1, ended: true });
  await polled();
  source.take(0);
  t.true(source.ended);
  t.is(reader.polls.length, 3, 'nothing is polled after the end');
  t.deepEqual(source.watermark(0), { watermarkMs: MAX_WATERMARK, idle: false });
  await source.close();
});

test('restored: ended splits stay ended, the others go on from their positions, new ones begin at their start', async (t) => {
  const restored = { a: { position: 7, ended: true, maxTimestampMs: 100 }, b: { position: 'x', ended: false, maxTimestampMs: 50 } };
  const { reader, input: source } = input('bounded', restored);
  await source.addSplits([split('a'), split('b'), split('c')], 0);
  await source.addSplits([split('b')], 0);
  t.deepEqual(reader.added, [{ id: 'b', position: 'x' }, { id: 'c', position: undefined }]);
  t.deepEqual(source.positions(), restored);
  const { reader: noReader, input: ended } = input('bounded', { a: restored.a });
  await ended.addSplits([split('a')], 0);
  t.true(ended.ended);
  t.is(ended.take(0), null);
  t.is(noReader.polls.length, 0);
});

test('an unbounded source without splits is idle, not ended', async (t) => {
  const { input: source } = input('unbounded');
  await source.addSplits([], 0);
  t.false(source.ended);
  t.deepEqual(source.watermark(0), { watermarkMs: MIN_WATERMARK, idle: true });
});

test('what a poll throws, and a batch of a foreign split, fail the task', async (t) => {
  const first = input('bounded');
  await first.input.addSplits([split('a')], 0);
  first.input.take(0);
  first.reader.polls[0]?.reject(new Error('broker away'));
  await first.polled();
  t.throws(() => first.input.take(0), { message: 'broker away' });

  const second = input('bounded');
  await second.input.addSplits([split('a')], 0);
  second.input.take(0);
  second.reader.polls[0]?.resolve({ splitId: 'z', values: [1], position: 1 });
  await second.polled();
  t.throws(() => second.input.take(0), { code: 'SOURCE_UNKNOWN_SPLIT' });
});
