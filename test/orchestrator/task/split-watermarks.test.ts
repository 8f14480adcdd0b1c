import test from 'ava';
import { SplitWatermarks } from '../../../orchestrator/task/split-watermarks.ts';
import { MAX_WATERMARK, MIN_WATERMARK } from '../../../orchestrator/task/stream-element.ts';

test('the minimum over the splits of the greatest timestamp less the bound; it never goes back', (t) => {
  const marks = new SplitWatermarks({ maxOutOfOrdernessMs: 100, idleAfterMs: Infinity });
  t.deepEqual(marks.current(0), { watermarkMs: MIN_WATERMARK, idle: true });
  marks.addSplit('a', 0);
  marks.addSplit('b', 0);
  marks.onRecords('a', 5000, 0);
  t.deepEqual(marks.current(0), { watermarkMs: MIN_WATERMARK, idle: false });
  marks.onRecords('b', 1000, 0);
  t.is(marks.current(0).watermarkMs, 899);
  marks.onRecords('b', 900, 0);
  t.is(marks.current(0).watermarkMs, 899);
  marks.addSplit('c', 0);
  t.is(marks.current(0).watermarkMs, 899);
  marks.onRecords('c', 500, 0);
  t.is(marks.current(0).watermarkMs, 899);
});

test('a split that has ended, or shows nothing for the idle time, holds nobody back', (t) => {
  const marks = new SplitWatermarks({ maxOutOfOrdernessMs: 0, idleAfterMs: 50 });
  for (const split of ['a', 'b', 'c']) marks.addSplit(split, 0);
  marks.onEnd('c');
  marks.onRecords('a', 2000, 40);
  t.deepEqual(marks.current(49), { watermarkMs: MIN_WATERMARK, idle: false });
  t.deepEqual(marks.current(50), { watermarkMs: 1999, idle: false });
  t.deepEqual(marks.current(90), { watermarkMs: 1999, idle: true });
  marks.onRecords('b', 1000, 95);
  t.deepEqual(marks.current(95), { watermarkMs: 1999, idle: false });
});

test('the end of all input is the maximal watermark, with or without a strategy', (t) => {
  for (const strategy of [null, { maxOutOfOrdernessMs: 5, idleAfterMs: Infinity }]) {
    const marks = new SplitWatermarks(strategy);
    marks.addSplit('a', 0);
    marks.onRecords('a', 1000, 0);
    t.is(marks.current(0).watermarkMs, strategy === null ? MIN_WATERMARK : 994);
    t.false(marks.allEnded);
    marks.onEnd('a');
    t.true(marks.allEnded);
    marks.finish();
    t.deepEqual(marks.current(0), { watermarkMs: MAX_WATERMARK, idle: false });
  }
});

test('a restored split goes on from the event time it had', (t) => {
  const marks = new SplitWatermarks({ maxOutOfOrdernessMs: 10, idleAfterMs: Infinity });
  marks.addSplit('a', 0, { maxTimestampMs: 3000, ended: false });
  marks.addSplit('b', 0, { maxTimestampMs: 1000, ended: true });
  t.is(marks.current(0).watermarkMs, 2989);
});
