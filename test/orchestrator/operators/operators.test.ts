import test from 'ava';
import type { OperatorKind, OperatorSpec } from '../../../orchestrator/graph/job-graph.ts';
import { RunningAggregateOperator, TumblingWindowOperator } from '../../../orchestrator/operators/keyed.ts';
import { filterOperator, flatMapOperator, mapOperator } from '../../../orchestrator/operators/stateless.ts';
import { OperatorChain } from '../../../orchestrator/task/operator-chain.ts';
import type { Batch } from '../../../orchestrator/task/stream-element.ts';
import { MAX_WATERMARK, MIN_WATERMARK } from '../../../orchestrator/task/stream-element.ts';

const spec = (kind: OperatorKind): OperatorSpec => ({ id: kind, kind, name: kind, origin: 'job.ts:1:1' });
const scope = { keyOf: (value: unknown) => (value as { k: string }).k, range: { first: 0, last: 15 }, maxParallelism: 16 };
const sum = {
  create: () => 0,
  add: (n: unknown, value: unknown) => (n as number) + (value as { v: number }).v,
};

function batch(...records: [timestampMs: number, k: string, v: number][]): Batch {
  return { values: records.map(([, k, v]) => ({ k, v })), timestamps: records.map(([timestampMs]) => timestampMs) };
}

function windows(restoredWatermarkMs = MIN_WATERMARK): TumblingWindowOperator {
  return new TumblingWindowOperator(spec('window'), scope, 10, { ...sum, result: (n, key, { start, end }) => `${String(key)}[${start},${end})=${String(n)}` }, restoredWatermarkMs);
}

test('map, filter and flatMap keep the timestamps', (t) => {
  const input: Batch = { values: [1, 2, 3], timestamps: [10, 20, 30] };
  t.deepEqual(mapOperator(spec('map'), (v) => (v as number) * 2).process(input), { values: [2, 4, 6], timestamps: [10, 20, 30] });
  t.deepEqual(filterOperator(spec('filter'), (v) => v !== 2).process(input), { values: [1, 3], timestamps: [10, 30] });
  t.is(filterOperator(spec('filter'), () => false).process(input), null);
  t.deepEqual(flatMapOperator(spec('flatMap'), (v) => Array.from({ length: (v as number) - 1 }, () => v)).process(input), { values: [2, 3, 3], timestamps: [20, 30, 30] });
  t.deepEqual(input, { values: [1, 2, 3], timestamps: [10, 20, 30] });
});

test('a window is emitted once, when event time reaches its last millisecond; what comes for it later is late', (t) => {
  const operator = windows();
  t.is(operator.process(batch([0, 'a', 1], [9, 'a', 2], [10, 'a', 5], [3, 'b', 1], [-1, 'a', 7])), null);
  t.is(operator.advance(-2), null);
  t.deepEqual(operator.advance(8), { values: ['a[-10,0)=7'], timestamps: [-1] });
  operator.process(batch([9, 'b', 1]));
  t.deepEqual(operator.advance(9)?.values.toSorted(), ['a[0,10)=3', 'b[0,10)=2']);
  t.is(operator.advance(9), null);
  t.is(operator.numLateRecordsDropped, 0);
  operator.process(batch([9, 'b', 1], [0, 'c', 1], [10, 'a', 1]));
  t.is(operator.numLateRecordsDropped, 2);
  t.deepEqual(operator.advance(MAX_WATERMARK), { values: ['a[10,20)=6'], timestamps: [19] });
  t.is(operator.snapshot().size, 0);
});

test('windows come out in order of time', (t) => {
  const operator = windows();
  operator.process(batch([35, 'a', 1], [5, 'a', 2], [15, 'a', 3]));
  t.deepEqual(operator.advance(MAX_WATERMARK)?.values, ['a[0,10)=2', 'a[10,20)=3', 'a[30,40)=1']);
});

test('restored windows go on, and what was emitted before stays emitted', (t) => {
  const before = windows();
  before.process(batch([5, 'a', 1], [15, 'a', 2]));
  before.advance(9);
  const after = windows(9);
  after.restore(before.snapshot());
  after.process(batch([5, 'a', 100], [15, 'a', 3]));
  t.is(after.numLateRecordsDropped, 1);
  t.deepEqual(after.advance(19)?.values, ['a[10,20)=5']);
});

test('a running aggregate gives the new result after each record', (t) => {
  const operator = new RunningAggregateOperator(spec('aggregate'), scope, { ...sum, result: (n, key) => `${String(key)}=${String(n)}` });
  t.deepEqual(operator.process(batch([1, 'a', 1], [2, 'b', 5], [3, 'a', 2])), { values: ['a=1', 'b=5', 'a=3'], timestamps: [1, 2, 3] });
  const restored = new RunningAggregateOperator(spec('aggregate'), scope, { ...sum, result: (n, key) => `${String(key)}=${String(n)}` });
  restored.restore(operator.snapshot());
  t.deepEqual(restored.process(batch([4, 'a', 10])).values, ['a=13']);
});

test('an accumulator that is changed in place and is its own result does not change what was emitted', (t) => {
  const counting = { create: () => ({ n: 0 }), add: (acc: unknown) => (((acc as { n: number }).n += 1), acc), result: (acc: unknown) => acc };
  const operator = new RunningAggregateOperator(spec('aggregate'), scope, counting);
  t.deepEqual(operator.process(batch([1, 'a', 1], [2, 'a', 1], [3, 'a', 1])).values, [{ n: 1 }, { n: 2 }, { n: 3 }]);
});

test('what fires in one window operator passes through the rest of the chain before event time does', (t) => {
  const first = windows();
  const second = new TumblingWindowOperator(spec('aggregate'), { ...scope, keyOf: () => 'all' }, 100, { create: () => [], add: (all, v) => [...(all as unknown[]), v], result: (all) => all }, MIN_WATERMARK);
  const chain = new OperatorChain([first, second]);
  t.is(chain.process(batch([5, 'a', 1], [95, 'a', 2])), null);
  t.deepEqual(chain.advance(99), [{ values: [['a[0,10)=1', 'a[90,100)=2']], timestamps: [99] }]);
  t.is(chain.numLateRecordsDropped, 0);
});

test('an error of user code names the operator and its place', (t) => {
  const operator = mapOperator({ ...spec('map'), name: 'parse' }, () => {
    throw new RangeError('too far');
  });
  const error = t.throws(() => operator.process({ values: [1], timestamps: [0] }), { code: 'USER_CODE', message: 'parse (job.ts:1:1): RangeError: too far' });
  t.true((error as unknown as { retryable: boolean }).retryable);
  t.throws(() => windows().process({ values: [{ k: 'a', v: 1 }], timestamps: [MIN_WATERMARK] }), { message: /without a timestamp/ });
});
