/**
 * Kafka's record batches (message format 2) and what of them a reader of committed records may see.
 *
 * Invariants:
 *  - positions only grow, and every batch begins at or after the end of the one before it;
 *  - a position moves over a whole batch: also over control batches, aborted ones and those that compaction emptied;
 *  - a record of an aborted transaction, a control record and a record below the position are never handed on.
 *
 * Source: Kafka's documentation, "Message Format"; CompletedFetch of the Java client for aborted transactions.
 */
import { DreyError } from '../../coord/base/errors.ts';
import { crc32c, decompress, type AbortedTransaction } from './client.ts';

export interface RawRecord {
  readonly offset: number;
  /** ms since 1970; -1 when the producer gave none. */
  readonly timestamp: number;
  /** Views into the fetched bytes: copy what is kept. */
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly { key: string; value: Buffer | null }[];
}

/** Where the reading of one record set stands. */
export interface RecordSet {
  /** "orders-3", for messages. */
  readonly name: string;
  readonly records: Buffer;
  /** Not yet passed, ascending by first offset. */
  readonly aborted: AbortedTransaction[];
  /** Producers whose records are being skipped. */
  readonly aborting: Set<bigint>;
  /** Next byte of `records`. */
  at: number;
  /** Next offset to hand on. */
  position: number;
}

const BATCH_HEADER_BYTES = 61;
const LOG_OVERHEAD_BYTES = 12;

export function recordSet(name: string, position: number, records: Buffer, aborted: readonly AbortedTransaction[]): RecordSet {
  return { name, records, aborted: [...aborted].sort((a, b) => a.firstOffset - b.firstOffset), aborting: new Set(), at: 0, position };
}

/**
 * The visible records of the next batch, and the position after it; null at the end of the set (a batch that was cut is fetched again).
 * Throws DreyError KAFKA_CORRUPT (retryable: another fetch may be whole) and KAFKA_NOT_CONTINUED.
 */
export async function nextBatch(set: RecordSet): Promise<RawRecord[] | null> {
  const { records, name } = set;
  if (records.length - set.at < LOG_OVERHEAD_BYTES) return null;
  const baseOffset = Number(records.readBigInt64BE(set.at));
  const end = set.at + LOG_OVERHEAD_BYTES + records.readInt32BE(set.at + 8);
  if (end > records.length) return null;
  const batch = records.subarray(set.at, end);
  const first = set.at === 0;
  const magic = batch.length < BATCH_HEADER_BYTES ? -1 : batch.readInt8(16);
  if (magic !== 2) throw new DreyError('KAFKA_OLD_FORMAT', `${name}: at offset ${baseOffset} the log holds message format ${magic}; only format 2 (Kafka 0.11 and newer) can be read`);
  if (crc32c(batch.subarray(21)) !== batch.readUInt32BE(17)) throw new DreyError('KAFKA_CORRUPT', `${name}: the batch at offset ${baseOffset} fails its checksum`, { retryable: true });
  const lastOffset = baseOffset + batch.readInt32BE(23);
  if (lastOffset < set.position || (!first && baseOffset < set.position)) {
    throw new DreyError('KAFKA_NOT_CONTINUED', `${name}: expected records from offset ${set.position} on, the broker sent ${baseOffset} to ${lastOffset}`);
  }
  set.at = end;
  const visible = await visibleRecords(set, batch, baseOffset, lastOffset);
  set.position = lastOffset + 1;
  return visible;
}

async function visibleRecords(set: RecordSet, batch: Buffer, baseOffset: number, lastOffset: number): Promise<RawRecord[]> {
  const attributes = batch.readInt16BE(21);
  const transactional = (attributes & 0x10) !== 0;
  const control = (attributes & 0x20) !== 0;
  const producerId = batch.readBigInt64BE(43);
  while (set.aborted.length > 0 && (set.aborted[0] as AbortedTransaction).firstOffset <= lastOffset) set.aborting.add((set.aborted.shift() as AbortedTransaction).producerId);
  if (control) {
    if (isAbortMarker(batch)) set.aborting.delete(producerId);
    return [];
  }
  if (transactional && set.aborting.has(producerId)) return [];
  const count = batch.readInt32BE(57);
  const codec = attributes & 0x07;
  const body = codec === 0 ? batch.subarray(BATCH_HEADER_BYTES) : await decompress(codec, batch.subarray(BATCH_HEADER_BYTES));
  const logAppendTime = (attributes & 0x08) !== 0;
  const baseTimestamp = Number(batch.readBigInt64BE(27));
  const maxTimestamp = Number(batch.readBigInt64BE(35));
  const cursor = new Cursor(body);
  const visible: RawRecord[] = [];
  let expected = baseOffset;
  for (let i = 0; i < count; i++) {
    const record = cursor.record(baseOffset, logAppendTime ? maxTimestamp : null, baseTimestamp);
    if (record.offset < expected || record.offset > lastOffset) {
      throw new DreyError('KAFKA_CORRUPT', `${set.name}: record ${record.offset} is out of place in the batch from ${baseOffset} to ${lastOffset}`, { retryable: true });
    }
    expected = record.offset + 1;
    if (record.offset >= set.position) visible.push(record);
  }
  return visible;
}

/** A control record's key is its version and its type, both int16; type 0 is ABORT. */
function isAbortMarker(batch: Buffer): boolean {
  const record = new Cursor(batch.subarray(BATCH_HEADER_BYTES)).record(0, null, 0);
  return record.key !== null && record.key.length >= 4 && record.key.readInt16BE(2) === 0;
}

const noHeaders: RawRecord['headers'] = [];

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  record(baseOffset: number, timestamp: number | null, baseTimestamp: number): RawRecord {
    const length = this.#varint();
    const end = this.#at + length;
    this.#at++; // attributes: none are defined
    const timestampDelta = this.#varint();
    const offset = baseOffset + this.#varint();
    const key = this.#nullableBytes();
    const value = this.#nullableBytes();
    let headers = noHeaders;
    const count = this.#varint();
    if (count > 0) {
      headers = Array.from({ length: count }, () => ({ key: (this.#nullableBytes() as Buffer).toString('utf8'), value: this.#nullableBytes() }));
    }
    this.#at = end;
    return { offset, timestamp: timestamp ?? (baseTimestamp === -1 ? -1 : baseTimestamp + timestampDelta), key, value, headers };
  }

  #nullableBytes(): Buffer | null {
    const length = this.#varint();
    if (length < 0) return null;
    return this.#bytes.subarray(this.#at, (this.#at += length));
  }

  /** Zigzag varint. Timestamps may take more than 32 bits, so the sum is kept as a float. */
  #varint(): number {
    let factor = 1;
    let sum = 0;
    for (;;) {
      const byte = this.#bytes[this.#at++] as number;
      sum += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
      factor *= 128;
    }
    return sum % 2 === 0 ? sum / 2 : -(sum + 1) / 2;
  }
}
