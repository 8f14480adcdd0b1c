/**
 * A partition as its leader holds it: batches, transactions that are open, and those that were aborted.
 *
 * Invariants: offsets only grow, also where the log begins; the last stable offset is that of the first record of the oldest open transaction.
 */
import { encodeBatch, type BatchHeader, type LogRecord } from './record-batch.ts';

interface StoredBatch {
  readonly header: BatchHeader;
  readonly records: readonly LogRecord[];
  readonly lastOffset: number;
  readonly bytes: Buffer;
}

export class PartitionLog {
  readonly batches: StoredBatch[] = [];
  nextOffset = 0;
  /** What is below is deleted. */
  startOffset = 0;
  /** First offsets by producer. */
  readonly #open = new Map<bigint, number>();
  readonly #aborted: { readonly producerId: bigint; readonly firstOffset: number; readonly lastOffset: number }[] = [];

  /** Retention: batches that end below `offset` are gone, and nothing below it can be read. */
  deleteBefore(offset: number): void {
    this.startOffset = Math.max(this.startOffset, Math.min(offset, this.nextOffset));
    const kept = this.batches.findIndex(({ lastOffset }) => lastOffset >= this.startOffset);
    this.batches.splice(0, kept < 0 ? this.batches.length : kept);
  }

  holds(offset: number): boolean {
    return offset >= this.startOffset && offset <= this.nextOffset;
  }

  get lastStableOffset(): number {
    return Math.min(this.nextOffset, ...this.#open.values());
  }

  /** The offset of the first. */
  append(records: readonly LogRecord[], producer: { readonly id: bigint; readonly epoch: number; readonly transactional: boolean } = { id: -1n, epoch: -1, transactional: false }): number {
    const baseOffset = this.nextOffset;
    if (producer.transactional && !this.#open.has(producer.id)) this.#open.set(producer.id, baseOffset);
    this.#store({ baseOffset, producerId: producer.id, producerEpoch: producer.epoch, transactional: producer.transactional, control: null }, records, records.length);
    return baseOffset;
  }

  endTransaction(producerId: bigint, producerEpoch: number, control: 'commit' | 'abort'): void {
    const firstOffset = this.#open.get(producerId);
    if (firstOffset === undefined) return;
    this.#open.delete(producerId);
    if (control === 'abort') this.#aborted.push({ producerId, firstOffset, lastOffset: this.nextOffset });
    this.#store({ baseOffset: this.nextOffset, producerId, producerEpoch, transactional: true, control }, [], 1);
  }

  /** Whole batches from the one that holds `offset` on, up to the last stable offset. */
  read(offset: number, bytesMax: number): { records: Buffer; aborted: { producerId: bigint; firstOffset: number }[] } {
    const end = this.lastStableOffset;
    const found: Buffer[] = [];
    let bytes = 0;
    for (const batch of this.batches) {
      if (batch.lastOffset < offset) continue;
      if (batch.header.baseOffset >= end || (bytes > 0 && bytes + batch.bytes.length > bytesMax)) break;
      found.push(batch.bytes);
      bytes += batch.bytes.length;
    }
    const aborted = this.#aborted.filter(({ lastOffset }) => lastOffset >= offset).map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
    return { records: Buffer.concat(found), aborted };
  }

  /** As a reader of committed records sees it. */
  committed(): LogRecord[] {
    const stable = this.lastStableOffset;
    return this.batches.flatMap(({ header, records, lastOffset }) => {
      if (header.control !== null || lastOffset >= stable) return [];
      const isAborted = header.transactional && this.#aborted.some(({ producerId, firstOffset, lastOffset: end }) => producerId === header.producerId && firstOffset <= header.baseOffset && header.baseOffset <= end);
      return isAborted ? [] : records;
    });
  }

  #store(header: BatchHeader, records: readonly LogRecord[], count: number): void {
    this.nextOffset += count;
    this.batches.push({ header, records, lastOffset: this.nextOffset - 1, bytes: encodeBatch(header, records) });
  }
}
