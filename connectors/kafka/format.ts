/** Keys and values of Kafka records as the job sees them. */
import { DreyError } from '../../coord/base/errors.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { RawRecord } from './record-batch.ts';

export type KafkaFormat = 'string' | 'json' | 'bytes';

export interface KafkaValues {
  string: string;
  json: Json;
  bytes: Uint8Array;
}

export interface KafkaRecord<V> {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970, from the record; -1 when its producer gave none. */
  readonly timestamp: number;
  /** As UTF-8. */
  readonly key: string | null;
  /** null: a tombstone. */
  readonly value: V | null;
  /** As UTF-8; of a name that comes twice the last one. */
  readonly headers: Readonly<Record<string, string | null>>;
}

/** Throws DreyError KAFKA_BAD_RECORD. */
export function decodeValue(format: KafkaFormat, value: Buffer, where: () => string): unknown {
  if (format === 'string') return value.toString('utf8');
  // A copy: a view would keep the whole fetched answer in memory.
  if (format === 'bytes') return new Uint8Array(value);
  try {
    return JSON.parse(value.toString('utf8'));
  } catch (error) {
    throw new DreyError('KAFKA_BAD_RECORD', `${where()} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

export function toRecord<F extends KafkaFormat>(format: F, topic: string, partition: number, raw: RawRecord): KafkaRecord<KafkaValues[F]> {
  const { offset, timestamp, key, value, headers } = raw;
  return {
    topic,
    partition,
    offset,
    timestamp,
    key: key === null ? null : key.toString('utf8'),
    value: value === null ? null : (decodeValue(format, value, () => `record ${offset} of ${topic}-${partition}`) as KafkaValues[F]),
    headers: Object.fromEntries(headers.map((header) => [header.key, header.value === null ? null : header.value.toString('utf8')])),
  };
}

/** Throws DreyError KAFKA_BAD_VALUE. */
export function encodeValue(format: KafkaFormat, value: unknown): string | Buffer {
  if (format === 'string' && (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')) return String(value);
  if (format === 'bytes' && value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = format === 'json' ? JSON.stringify(value) : undefined;
  if (text === undefined) throw new DreyError('KAFKA_BAD_VALUE', `Kafka sink: a value of type ${typeof value} cannot be written with format ${format}`);
  return text;
}
