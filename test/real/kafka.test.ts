/** The Kafka connectors against a real Apache Kafka broker with default settings. */
import anyTest, { type TestFn } from 'ava';
import kafkajs from 'kafkajs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DreyError } from '../../coord/base/errors.ts';
import { kafkaRecordSource, kafkaSink, kafkaSource } from '../../connectors/index.ts';
import type { Json, SourceSplit } from '../../orchestrator/api/source.ts';
import { drain, readerContext, sinkContext } from '../connectors/lib/harness.ts';
import { kafkaPomDir, startKafka, type RunningKafka } from '../tools/kafka.ts';
import { realPart } from '../tools/maven.ts';

interface Context {
  kafka: RunningKafka;
  dir: string;
  client: kafkajs.Kafka;
  admin: kafkajs.Admin;
}
const test = anyTest as TestFn<Context>;

const missing = await realPart(kafkaPomDir);
if (missing !== null) {
  process.stderr.write(`\n*** SKIPPED: the tests on a real Kafka did not run: ${missing}\n\n`);
  test.skip(`on a real Kafka (not run: ${missing})`, () => undefined);
}
const real = missing === null ? test.serial : test.serial.skip;

const shared: { kafka?: RunningKafka } = {};
const dir = mkdtempSync(join(tmpdir(), 'drey-kafka-test-'));
let topics = 0;

if (missing === null) {
  test.before(async () => {
    shared.kafka = await startKafka({ dir });
  });
}
test.after.always(async () => {
  await shared.kafka?.stop();
  rmSync(dir, { recursive: true, force: true });
});

test.beforeEach(async (t) => {
  if (shared.kafka === undefined) return;
  const client = new kafkajs.Kafka({ brokers: [shared.kafka.bootstrap], logLevel: kafkajs.logLevel.NOTHING });
  t.context = { kafka: shared.kafka, dir, client, admin: client.admin() };
  await t.context.admin.connect();
});
test.afterEach.always(async (t) => {
  await t.context.admin?.disconnect();
});

async function newTopic(admin: kafkajs.Admin, partitions: number, config: Record<string, string> = {}): Promise<string> {
  const topic = `t${++topics}`;
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions, configEntries }] });
  return topic;
}

async function produce(client: kafkajs.Kafka, topic: string, messages: kafkajs.Message[], compression = kafkajs.CompressionTypes.None): Promise<void> {
  const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic, messages, compression });
  await producer.disconnect();
}

async function failure(run: Promise<unknown>): Promise<DreyError> {
  const error = await run.then(() => null, (e: unknown) => e);
  if (!(error instanceof DreyError)) throw error ?? new Error('nothing was thrown');
  return error;
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

real('several partitions are read to their ends, with keys, headers and timestamps', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 3);
  const messages = numbers(0, 3000).map((value, i) => ({ partition: i % 3, key: `k${i}`, value, headers: { h: `x${i}` }, timestamp: String(1_700_000_000_000 + i) }));
  for (let i = 0; i < messages.length; i += 300) await produce(client, topic, messages.slice(i, i + 300), i % 600 === 0 ? kafkajs.CompressionTypes.GZIP : kafkajs.CompressionTypes.None);
  const options = { brokers: [kafka.bootstrap], topic, bounded: true };
  const { values, timestamps, positions } = await drain(kafkaSource(options));
  for (const partition of [0, 1, 2]) {
    const expected = messages.filter((message) => message.partition === partition);
    t.deepEqual(values.get(`${topic}-${partition}`), expected.map(({ value }) => value));
    t.deepEqual(timestamps.get(`${topic}-${partition}`), expected.map(({ timestamp }) => Number(timestamp)));
  }
  t.deepEqual(positions.filter(({ position }) => (position as { offset: number }).offset === 1000).length, 3);
  const records = await drain(kafkaRecordSource({ ...options, format: 'json' }));
  t.deepEqual(records.values.get(`${topic}-1`)?.[1], { topic, partition: 1, offset: 1, timestamp: 1_700_000_000_004, key: 'k4', value: 4, headers: { h: 'x4' } });
});

real('reading on from any position repeats nothing and leaves nothing out', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 2);
  // Batches of many records, so that positions lie within them.
  for (let i = 0; i < 4; i++) await produce(client, topic, numbers(i * 500, (i + 1) * 500).map((value) => ({ partition: Number(value) % 2, value })));
  const source = kafkaSource({ brokers: [kafka.bootstrap], topic, bounded: true });
  const splits = await source.discoverSplits();
  for (const offset of [0, 1, 249, 250, 251, 777, 999, 1000]) {
    const from = splits.map((split) => ({ split, position: { offset, end: 1000 } as Json }));
    const { values } = await drain(source, { splits: from });
    for (const [i, split] of splits.entries()) t.deepEqual(values.get(split.id), numbers(0, 2000).filter((n) => Number(n) % 2 === i).slice(offset), `${split.id} from ${offset}`);
  }
});

real('aborted transactions and control records are not seen, open ones are waited for', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 1);
  const producer = (transactionalId: string) => client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  const [a, b] = [producer(`${topic}-a`), producer(`${topic}-b`)];
  await Promise.all([a.connect(), b.connect()]);
  const send = (transaction: kafkajs.Transaction, ...values: string[]) => transaction.send({ topic, messages: values.map((value) => ({ value, key: Buffer.alloc(4) })) });

  // Two transactions that are open at once, one aborted, and a key that looks like an abort marker's.
  const [ta, tb] = [await a.transaction(), await b.transaction()];
  await send(ta, 'aborted 1');
  await send(tb, 'kept 1');
  await produce(client, topic, [{ value: 'plain 1', key: Buffer.alloc(4) }]);
  await send(ta, 'aborted 2', 'aborted 3');
  await tb.commit();
  await ta.abort();
  const again = await a.transaction();
  await send(again, 'kept 2');
  await again.commit();
  const both = [await a.transaction(), await b.transaction()] as const;
  await send(both[0], 'aborted 4');
  await send(both[1], 'aborted 5');
  await both[0].abort();
  await both[1].abort();
  const last = await a.transaction();
  await send(last, 'kept 3');

  const source = kafkaSource({ brokers: [kafka.bootstrap], topic, bounded: true });
  const splits = (await source.discoverSplits()).map((split) => ({ split, position: undefined }));
  let committing: Promise<void> | null = null;
  const { values, positions } = await drain(source, {
    splits,
    until: (drained) => {
      // The split's end lies behind the open transaction: reading waits for it.
      if (drained.values.get(`${topic}-0`)?.includes('kept 2')) committing ??= last.commit();
      return false;
    },
  });
  await committing;
  const expected = ['kept 1', 'plain 1', 'kept 2', 'kept 3'];
  t.deepEqual(values.get(`${topic}-0`), expected);

  // From every offset: an aborted transaction that began before it stays unseen.
  const { split, position } = positions.at(-1) as unknown as { split: SourceSplit; position: { offset: number; end: number } };
  const recordSource = kafkaRecordSource({ brokers: [kafka.bootstrap], topic, bounded: true });
  const all = (await drain(recordSource, { splits: [{ split, position: undefined }] })).values.get(split.id) ?? [];
  for (let offset = 0; offset <= position.end; offset++) {
    const rest = await drain(recordSource, { splits: [{ split, position: { offset, end: position.end } }] });
    t.deepEqual(rest.values.get(split.id), all.filter((record) => record.offset >= offset), `from ${offset}`);
  }
  await Promise.all([a.disconnect(), b.disconnect()]);
});

real('a position that the log no longer has is an error with the offsets', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 1);
  await produce(client, topic, numbers(0, 10).map((value) => ({ value })));
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] });
  const source = kafkaSource({ brokers: [kafka.bootstrap], topic });
  const splits = await source.discoverSplits();
  t.deepEqual(splits, [{ id: `${topic}-0`, spec: { partition: 0, start: 5, end: null } }]);
  for (const position of [3, 11]) {
    const error = await failure(drain(source, { splits: [{ split: splits[0] as SourceSplit, position }] }));
    t.is(error.code, 'KAFKA_OFFSET_OUT_OF_RANGE');
    t.false(error.retryable);
    t.regex(error.message, new RegExp(`${topic}-0: position ${position} is outside of the log, which holds 5 up to 10`));
  }
});

real('a compacted topic is read over its gaps', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 1, { 'cleanup.policy': 'compact', 'segment.ms': '100', 'min.cleanable.dirty.ratio': '0.01', 'min.compaction.lag.ms': '0' });
  const source = kafkaRecordSource({ brokers: [kafka.bootstrap], topic, bounded: true });
  // One batch each: a whole batch can vanish. The cleaner runs every 15 s.
  let seen: number[] = [];
  let produced = 0;
  const deadline = Date.now() + 60_000;
  while (seen.length === produced && Date.now() < deadline) {
    for (let i = 0; i < 5; i++) await produce(client, topic, [{ key: `k${i % 2}`, value: String(produced++) }]);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const { values, positions } = await drain(source);
    seen = (values.get(`${topic}-0`) ?? []).map(({ offset }) => offset);
    t.deepEqual(positions.at(-1)?.position, { offset: produced, end: produced });
  }
  t.true(seen.length < produced, 'the cleaner has run');
  t.deepEqual(seen, seen.toSorted((a, b) => a - b));
  t.is(seen.at(-1), produced - 1);
});

real('startFrom latest reads what comes, and partitions added later from their start', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 1);
  await produce(client, topic, [{ value: 'old', partition: 0 }]);
  const source = kafkaSource({ brokers: [kafka.bootstrap], topic, startFrom: 'latest' });
  const splits = await source.discoverSplits();
  await admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] });
  await produce(client, topic, [{ value: 'new 0', partition: 0 }, { value: 'new 1', partition: 1 }]);
  const later = (await source.discoverSplits(splits.map(({ id }) => id))).filter(({ id }) => !splits.some((split) => split.id === id));
  const all = [...splits, ...later].map((split) => ({ split, position: undefined }));
  const { values } = await drain(source, { splits: all, until: (d) => [...d.values.values()].flat().length === 2 });
  t.deepEqual([...values], [[`${topic}-0`, ['new 0']], [`${topic}-1`, ['new 1']]]);
});

real('a missing topic and a missing broker are retryable errors that name them', async (t) => {
  const { kafka } = t.context;
  const error = await failure(kafkaSource({ brokers: [kafka.bootstrap], topic: 'nowhere' }).discoverSplits());
  t.is(error.code, 'KAFKA_NO_TOPIC');
  t.true(error.retryable);
  t.is((await failure(kafkaSink({ brokers: [kafka.bootstrap], topic: 'nowhere' }).createWriter(sinkContext()))).code, 'KAFKA_NO_TOPIC');
  const source = kafkaSource({ brokers: ['127.0.0.1:1'], topic: 'nowhere', unavailableMsMax: 300 });
  const away = await failure(drain(source, { splits: [{ split: { id: 'nowhere-0', spec: { partition: 0, start: 7, end: null } }, position: undefined }] }));
  t.is(away.code, 'KAFKA_UNAVAILABLE');
  t.true(away.retryable);
  t.regex(away.message, /nowhere-0 has been out of reach for \d+ ms, at offset 7/);
});

real('a record that is not JSON is an error with its offset', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 1);
  await produce(client, topic, [{ value: '{"a":1}' }, { value: null }, { value: 'nope' }]);
  const error = await failure(drain(kafkaSource({ brokers: [kafka.bootstrap], topic, format: 'json', bounded: true })));
  t.is(error.code, 'KAFKA_BAD_RECORD');
  t.regex(error.message, new RegExp(`record 2 of ${topic}-0 is not JSON`));
});

real('bytes come as they are, and an idle reader ends its poll when it is closed', async (t) => {
  const { client, admin, kafka } = t.context;
  const topic = await newTopic(admin, 1);
  const value = gzipSync('bytes');
  await produce(client, topic, [{ value }]);
  const source = kafkaSource({ brokers: [kafka.bootstrap], topic, format: 'bytes' });
  const reader = source.createReader(readerContext);
  await reader.addSplits((await source.discoverSplits()).map((split) => ({ split, position: undefined })));
  t.deepEqual((await reader.poll(30_000))?.values, [new Uint8Array(value)]);
  const idle = reader.poll(1_000_000);
  await reader.close();
  t.is(await idle, null);
});

real('what the sink has prepared is on the broker; keys keep their order', async (t) => {
  const { admin, kafka } = t.context;
  const topic = await newTopic(admin, 3);
  const sink = kafkaSink<{ k: string; n: number }>({ brokers: [kafka.bootstrap], topic, format: 'json', key: ({ k }) => k, timestampOf: ({ n }) => 1_700_000_000_000 + n });
  t.is(sink.guarantee, 'at-least-once');
  const writer = await sink.createWriter(sinkContext());
  const values = Array.from({ length: 5000 }, (_, n) => ({ k: `k${n % 7}`, n, pad: 'x'.repeat(1000) }));
  for (let i = 0; i < values.length; i += 100) await writer.write(values.slice(i, i + 100));
  t.deepEqual(await writer.prepareCommit(1), []);
  await writer.write([]);
  t.deepEqual(await writer.prepareCommit(2), []);
  await writer.close();
  const read = await drain(kafkaRecordSource({ brokers: [kafka.bootstrap], topic, format: 'json', bounded: true }));
  const records = [...read.values.values()].flat();
  t.is(records.length, values.length);
  for (let k = 0; k < 7; k++) {
    const ofKey = records.filter(({ key }) => key === `k${k}`);
    t.is(new Set(ofKey.map(({ partition }) => partition)).size, 1);
    t.deepEqual(ofKey.map(({ value }) => value), values.filter((value) => value.k === `k${k}`));
  }
  t.is(records.find(({ value }) => (value as { n: number }).n === 42)?.timestamp, 1_700_000_000_042);
  const tooLarge = await sink.createWriter(sinkContext());
  await tooLarge.write([{ k: 'k', n: 0, pad: 'x'.repeat(2_000_000) } as { k: string; n: number }]);
  const error = await failure(tooLarge.prepareCommit(1));
  t.is(error.code, 'KAFKA_SEND_FAILED');
  t.false(error.retryable);
  await tooLarge.close();
});

real('a broker that is killed and started again costs no record and repeats none', async (t) => {
  const { admin, kafka, client } = t.context;
  const topic = await newTopic(admin, 2);
  const source = kafkaSource({ brokers: [kafka.bootstrap], topic });
  const log: string[] = [];
  const reader = source.createReader({ ...readerContext, log: (line) => log.push(line) });
  await reader.addSplits((await source.discoverSplits()).map((split) => ({ split, position: undefined })));
  const writer = await kafkaSink<string>({ brokers: [kafka.bootstrap], topic }).createWriter(sinkContext());
  const seen: string[] = [];
  const readUntil = async (n: number): Promise<void> => {
    while (seen.length < n) seen.push(...((await reader.poll(100))?.values ?? []));
  };
  await writer.write(numbers(0, 1000));
  await writer.prepareCommit(1);
  await readUntil(1000);
  await kafka.kill();
  t.is(await reader.poll(200), null, 'polls go on while the broker is away');
  const writing = writer.write(numbers(1000, 2000)).then(() => writer.prepareCommit(2));
  shared.kafka = await startKafka({ dir, port: kafka.port });
  await writing;
  await readUntil(2000);
  t.deepEqual(seen.toSorted((a, b) => Number(a) - Number(b)), numbers(0, 2000));
  t.regex(log.join('\n'), /trying again[^]*can be read again/);
  await reader.close();
  await writer.close();
  await produce(client, topic, [{ value: 'up' }]);
});
