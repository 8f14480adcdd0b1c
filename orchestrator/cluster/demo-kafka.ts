/** The demonstration's input and output as topics of a Kafka: fed and read back by plain kafkajs, not by drey's connector. */
import kafkajs from 'kafkajs';
import { nanoid } from 'nanoid';
import { DreyError } from '../../coord/base/errors.ts';
import { repairIdleTimer } from '../../connectors/kafka/idle-timer.ts';
import type { DemoIo } from './demo.ts';
import { Recount, type WordCount } from './recount.ts';

/** The demonstration itself is patient with a broker; one that is not there at all is told at once. */
async function answers(broker: string): Promise<void> {
  const admin = new kafkajs.Kafka({ clientId: 'drey-demo', brokers: broker.split(','), logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 2 } }).admin();
  try {
    await admin.connect();
    await admin.listTopics();
  } catch (error) {
    throw new DreyError('KAFKA_UNAVAILABLE', `no Kafka answers at ${broker}: start one (in a checkout: npm run kafka), or give another --kafka (${(error as Error).message})`, { retryable: true, cause: error });
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

export async function kafkaIo(broker: string, partitions: number): Promise<DemoIo> {
  repairIdleTimer();
  const run = nanoid(8).replaceAll(/[^a-zA-Z0-9]/g, 'x');
  await answers(broker);
  const kafka = new kafkajs.Kafka({ clientId: `drey-demo-${run}`, brokers: broker.split(','), logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 20 } });
  const input = `drey-demo-${run}-lines`;
  const output = `drey-demo-${run}-counts`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [input, output].map((topic) => ({ topic, numPartitions: partitions, replicationFactor: 1 })) });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  const counts: WordCount[] = [];
  const consumer = kafka.consumer({ groupId: `drey-demo-${run}` });
  let consuming = false;
  const consume = async (): Promise<void> => {
    consuming = true;
    await consumer.connect();
    await consumer.subscribe({ topic: output, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        if (message.value !== null) counts.push(JSON.parse(message.value.toString()) as WordCount);
      },
    });
  };
  return {
    example: 'wordcount-kafka',
    params: { brokers: broker, in: input, out: output },
    take: async (partition, lines) => {
      await producer.send({ topic: input, acks: -1, messages: lines.map((value) => ({ partition, value })) });
    },
    close: () => {},
    // The input is read back from the topic, so that what is counted is what Kafka holds.
    recount: async () => {
      const recount = new Recount();
      const offsets = await admin.fetchTopicOffsets(input);
      const reader = kafka.consumer({ groupId: `drey-demo-${run}-recount` });
      await reader.connect();
      await reader.subscribe({ topic: input, fromBeginning: true });
      const left = new Map(offsets.filter(({ high }) => Number(high) > 0).map(({ partition, high }) => [partition, Number(high)]));
      await new Promise<void>((resolve, reject) => {
        if (left.size === 0) return resolve();
        reader
          .run({
            autoCommit: false,
            eachMessage: async ({ partition, message }) => {
              recount.addLine(String(message.value));
              if (Number(message.offset) + 1 >= (left.get(partition) ?? Infinity)) left.delete(partition);
              if (left.size === 0) resolve();
            },
          })
          .catch(reject);
      });
      await reader.disconnect();
      return recount;
    },
    output: async () => {
      if (!consuming) await consume();
      return counts.slice();
    },
    end: async () => {
      await Promise.allSettled([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
    },
  };
}
