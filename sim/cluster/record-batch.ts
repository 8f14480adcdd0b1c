/** Kafka's record batches, format 2, as a broker holds them: what connectors/kafka/record-batch.ts reads. Source: Kafka's documentation, "Message Format". */
import { crc32c } from '../../connectors/kafka/client.ts';

// Loads kafkajs, whose checksum it is: nothing may be loaded while a world runs.
crc32c(Buffer.alloc(0));

export interface LogRecord {
  readonly key: string | null;
  readonly value: string;
  /** ms since 1970. */
  readonly timestampMs: number;
}

export interface BatchHeader {
  readonly baseOffset: number;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly transactional: boolean;
  /** A marker that ends a transaction. */
  readonly control: 'commit' | 'abort' | null;
}

const HEADER_BYTES = 61;

export function encodeBatch({ baseOffset, producerId, producerEpoch, transactional, control }: BatchHeader, records: readonly LogRecord[]): Buffer {
  const baseTimestamp = records[0]?.timestampMs ?? 0;
  const parts = control === null ? records.map((record, i) => encodeRecord(Buffer.from(record.value), record.key === null ? null : Buffer.from(record.key), record.timestampMs - baseTimestamp, i)) : [encodeRecord(Buffer.alloc(6), Buffer.from([0, 0, 0, control === 'abort' ? 0 : 1]), 0, 0)];
  const body = Buffer.concat(parts);
  const batch = Buffer.alloc(HEADER_BYTES + body.length);
  batch.writeBigInt64BE(BigInt(baseOffset), 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(2, 16);
  batch.writeInt16BE((transactional || control !== null ? 0x10 : 0) | (control === null ? 0 : 0x20), 21);
  batch.writeInt32BE(parts.length - 1, 23);
  batch.writeBigInt64BE(BigInt(baseTimestamp), 27);
  batch.writeBigInt64BE(BigInt(Math.max(baseTimestamp, ...records.map(({ timestampMs }) => timestampMs))), 35);
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(producerEpoch, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(parts.length, 57);
  body.copy(batch, HEADER_BYTES);
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17);
  return batch;
}

function encodeRecord(value: Buffer, key: Buffer | null, timestampDelta: number, offsetDelta: number): Buffer {
  const out: number[] = [0];
  varint(out, timestampDelta);
  varint(out, offsetDelta);
  varint(out, key === null ? -1 : key.length);
  if (key !== null) out.push(...key);
  varint(out, value.length);
  out.push(...value);
  varint(out, 0);
  const length: number[] = [];
  varint(length, out.length);
  return Buffer.from([...length, ...out]);
}

/** Zigzag. */
function varint(out: number[], value: number): void {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
}
