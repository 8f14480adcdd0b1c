/**
 * How soon and how fast records come from a real broker with default settings: our source without a group, beside kafkajs's group consumer.
 * `node test/bench/kafka-consumer.ts [--runs 5] [--records 200000]`. The numbers in docs/decisions/0010-kafka-consumer.md come from here.
 */
import { Command } from 'commander';
import kafkajs from 'kafkajs';
import { cpus } from 'node:os';
import { systemClock, systemTimers } from '../../coord/adapters/system-ports.ts';
import { kafkaSource } from '../../connectors/index.ts';
import { startKafka } from '../tools/kafka.ts';

const { runs, records } = new Command().option('--runs <n>', 'runs of each', Number, 5).option('--records <n>', 'records of 150 bytes', Number, 200_000).parse().opts<{ runs: number; records: number }>();
const topic = 'bench';
const partitions = 4;

interface Run {
  readonly firstMs: number;
  readonly allMs: number;
  /** Process CPU while it waits for more, per second. */
  readonly idleCpuMs: number;
}

const broker = await startKafka();
const brokers = [broker.bootstrap];
const makeClient = () => new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING });

async function idleCpuMs(): Promise<number> {
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 2000;
}

async function group(n: number): Promise<Run> {
  const started = performance.now();
  const consumer = makeClient().consumer({ groupId: `bench-${n}-${Date.now()}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  let seen = 0;
  let firstMs = 0;
  let all: (ms: number) => void = () => undefined;
  const done = new Promise<number>((resolve) => (all = resolve));
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      if (seen === 0) firstMs = performance.now() - started;
      for (const { value } of batch.messages) if (value?.toString('utf8') !== undefined) seen++;
      if (seen === records) all(performance.now() - started);
    },
  });
  const allMs = await done;
  const idle = await idleCpuMs();
  await consumer.disconnect();
  return { firstMs, allMs, idleCpuMs: idle };
}

async function groupless(): Promise<Run> {
  const started = performance.now();
  const source = kafkaSource({ brokers, topic });
  const reader = source.createReader({ jobId: 'bench', subtask: 0, parallelism: 1, log: () => undefined, clock: systemClock, timers: systemTimers });
  await reader.addSplits((await source.discoverSplits()).map((split) => ({ split, position: undefined })));
  let seen = 0;
  let firstMs = 0;
  while (seen < records) {
    const batch = await reader.poll(1000);
    if (batch === null) continue;
    if (seen === 0) firstMs = performance.now() - started;
    seen += batch.values.length;
  }
  const allMs = performance.now() - started;
  const idling = idleCpuMs();
  await reader.poll(2000);
  const idle = await idling;
  await reader.close();
  return { firstMs, allMs, idleCpuMs: idle };
}

function row(name: string, results: readonly Run[]): string {
  const median = (pick: (run: Run) => number): string => (results.map(pick).sort((a, b) => a - b)[Math.floor(results.length / 2)] as number).toFixed(0);
  const rate = results.map(({ firstMs, allMs }) => records / (allMs - firstMs)).sort((a, b) => a - b)[Math.floor(results.length / 2)] as number;
  return `${name.padEnd(34)} ${median((r) => r.firstMs).padStart(9)} ${median((r) => r.allMs).padStart(9)} ${rate.toFixed(0).padStart(9)} ${median((r) => r.idleCpuMs).padStart(9)}`;
}

try {
  const producer = makeClient().producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  const admin = makeClient().admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions }] });
  await admin.disconnect();
  await producer.connect();
  const value = 'x'.repeat(150);
  for (let i = 0; i < records; i += 1000) {
    await producer.send({ topic, messages: Array.from({ length: Math.min(1000, records - i) }, (_, j) => ({ value, partition: (i / 1000 + j) % partitions | 0 })) });
  }
  await producer.disconnect();
  const rows: string[] = [];
  const times = async (name: string, run: (n: number) => Promise<Run>): Promise<void> => {
    const results: Run[] = [];
    for (let n = 0; n < runs; n++) results.push(await run(n));
    rows.push(row(name, results));
  };
  await times('kafkajs group consumer', group);
  await times('source without a group', groupless);
  await times('kafkajs group consumer, repaired', group);
  process.stdout.write(`${cpus().length} x ${cpus()[0]?.model}, node ${process.version}, ${records} records of 150 B in ${partitions} partitions, medians of ${runs}\n`);
  process.stdout.write(`${''.padEnd(34)}  first ms    all ms   rec./ms   idle CPU ms/s\n${rows.join('\n')}\n`);
} finally {
  await broker.stop();
}
