/**
 * Kafka topics as a source: each partition is a split, a position is the offset of the next record, and the checkpoint is the only place where
 * positions live. There is no consumer group. Only committed records are read (read_committed).
 *
 * A bounded source reads each partition up to the high watermark it had at discovery: also what was then in an open transaction, whose
 * end it waits for.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Source, SourceReader, SourceSplit } from '../../orchestrator/api/source.ts';
import { openClient, type KafkaConnection } from './client.ts';
import { decodeValue, toRecord, type KafkaFormat, type KafkaRecord, type KafkaValues } from './format.ts';
import { KafkaReader, type FromRecord, type KafkaSplit } from './reader.ts';

export interface KafkaSourceOptions<F extends KafkaFormat> extends KafkaConnection {
  readonly topic: string;
  /** How values are read; 'string' without it. */
  readonly format?: F;
  /** Where a partition without a position in a checkpoint begins; 'earliest' without it. Partitions that are added later begin at their start. */
  readonly startFrom?: 'earliest' | 'latest';
  readonly bounded?: boolean;
  /** How long a partition may be out of reach before the task fails (retryable). 30 s without it. */
  readonly unavailableMsMax?: number;
}

/** The values of the records, with their timestamps; records without a value (tombstones) are left out. */
export function kafkaSource<F extends KafkaFormat = 'string'>(options: KafkaSourceOptions<F>): Source<KafkaValues[F]> {
  const format = options.format ?? 'string';
  return makeSource(options, (topic, partition, raw) => {
    const { value } = raw;
    return value === null ? undefined : (decodeValue(format, value, () => `record ${raw.offset} of ${topic}-${partition}`) as KafkaValues[F]);
  });
}

/** Whole records: key, value, headers, timestamp and where they come from. */
export function kafkaRecordSource<F extends KafkaFormat = 'string'>(options: KafkaSourceOptions<F>): Source<KafkaRecord<KafkaValues[F]>> {
  const format = (options.format ?? 'string') as F;
  return makeSource(options, (topic, partition, raw) => toRecord(format, topic, partition, raw));
}

function makeSource<T>(options: KafkaSourceOptions<KafkaFormat>, fromRecord: FromRecord<T>): Source<T> {
  const { topic, brokers } = options;
  if (brokers.length === 0) throw new DreyError('CONNECTOR_BAD_OPTION', `the Kafka source of topic ${topic} has no brokers`);
  return {
    description: `kafka(${topic})`,
    boundedness: options.bounded ? 'bounded' : 'unbounded',
    discoverSplits: (known = []) => discoverPartitions(options, new Set(known)),
    createReader: (context): SourceReader<T> => new KafkaReader(options, fromRecord, context),
  };
}

async function discoverPartitions(options: KafkaSourceOptions<KafkaFormat>, known: ReadonlySet<string>): Promise<SourceSplit[]> {
  const { topic } = options;
  const client = openClient(options);
  try {
    const leaders = await client.leaders(topic);
    const needed = options.bounded || (options.startFrom === 'latest' && known.size === 0);
    const latest = needed ? await client.offsets(topic, leaders, 'latest') : null;
    const earliest = options.startFrom === 'latest' && known.size === 0 ? latest : await client.offsets(topic, leaders, 'earliest');
    return [...leaders.keys()].map((partition) => {
      const split: KafkaSplit = { partition, start: earliest?.get(partition) ?? 0, end: options.bounded ? (latest?.get(partition) ?? 0) : null };
      return { id: `${topic}-${partition}`, spec: { ...split } };
    });
  } finally {
    await client.close();
  }
}
