import test from 'ava';
import { BATCH_RECORDS_MAX } from '../../../orchestrator/exchange/limits.ts';
import { OutputChannel } from '../../../orchestrator/exchange/output-channel.ts';
import { RecordWriter } from '../../../orchestrator/exchange/record-writer.ts';
import type { StreamElement } from '../../../orchestrator/task/stream-element.ts';

function channel(): { channel: OutputChannel; left: StreamElement[]; drained: () => number } {
  const left: StreamElement[] = [];
  let drained = 0;
  const output = new OutputChannel(() => {
    drained += 1;
  });
  output.connect({ deliver: (element) => left.push(element), close: () => undefined });
  return { channel: output, left, drained: () => drained };
}
const records = (...values: number[]): StreamElement => ({ type: 'records', values, timestamps: values });
const barrier: StreamElement = { type: 'barrier', checkpointId: 1, stop: false, final: false, ended: false };
const brief = (elements: StreamElement[]): string => elements.map((element) => (element.type === 'records' ? element.values.join('+') : element.type)).join(' ');

test('records leave by credit; a barrier costs none but does not overtake', (t) => {
  const { channel: output, left, drained } = channel();
  output.onCredit(1);
  output.emit(records(0));
  output.emit(barrier);
  output.emit(records(1));
  output.emit(barrier);
  output.emit(records(2));
  output.emit(records(3));
  t.is(brief(left.splice(0)), '0 barrier');
  t.true(output.blocked);
  output.onCredit(1);
  t.is(brief(left), '1 barrier');
  t.is(drained(), 0);
  output.onCredit(3);
  t.is(brief(left), '1 barrier 2 3');
  t.is(drained(), 1);
  t.false(output.blocked);
  output.emit(records(4));
  t.is(brief(left), '1 barrier 2 3 4');
  output.emit(records(5));
  t.true(output.blocked);
});

test('nothing leaves before the receiver has taken the channel in: it would be lost, and idleness is said once', (t) => {
  const { channel: output, left, drained } = channel();
  output.emit({ type: 'status', idle: true });
  output.emit({ type: 'watermark', timestampMs: 7 });
  t.true(output.blocked);
  t.deepEqual(left, []);
  output.onCredit(8);
  t.is(brief(left), 'status watermark');
  t.is(drained(), 1);
  output.emit({ type: 'status', idle: false });
  t.is(brief(left), 'status watermark status');
});

test('a writer gathers by channel, cuts at the limit, and sends what it has before a barrier', (t) => {
  const [a, b] = [channel(), channel()];
  const writer = new RecordWriter([a.channel, b.channel], (value) => (value as number) % 2);
  for (const { channel: output } of [a, b]) output.onCredit(10);
  const values = Array.from({ length: 2 * BATCH_RECORDS_MAX + 10 }, (_, i) => i);
  writer.emit({ values, timestamps: values });
  t.deepEqual([a.left.length, b.left.length], [1, 1]);
  writer.broadcast(barrier);
  t.deepEqual(a.left.map((element) => (element.type === 'records' ? element.values.length : element.type)), [BATCH_RECORDS_MAX, 5, 'barrier']);
  t.deepEqual(b.left.flatMap((element) => (element.type === 'records' ? element.values : [])), values.filter((value) => value % 2 === 1));
  t.deepEqual(b.left.flatMap((element) => (element.type === 'records' ? element.timestamps : [])), values.filter((value) => value % 2 === 1));
});
