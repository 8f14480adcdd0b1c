/**
 * One write to a segment: records laid out one after the other as chunks for a gathering write. Txn bytes are not copied; header,
 * and the padding of the body before it, are one chunk.
 */
import type { Zxid } from '../base/zxid.ts';
import { HEADER_BYTES, recordBytes, writeHeader, type Position } from './journal-record.ts';

/** Bodies up to this size are copied: a chunk more costs the system call as much. */
const COPY_BYTES_MAX = 256;
const SLAB_BYTES = 64 * 1024;

let slab = Buffer.alloc(0);
let slabAt = 0;

function take(bytes: number): Buffer {
  if (bytes > SLAB_BYTES / 4) return Buffer.alloc(bytes);
  // A fresh slab each time, zeroed: written chunks belong to the disk until their write has returned.
  if (slabAt + bytes > slab.length) {
    slab = Buffer.alloc(SLAB_BYTES);
    slabAt = 0;
  }
  const out = slab.subarray(slabAt, slabAt + bytes);
  slabAt += bytes;
  return out;
}

export class JournalWrite {
  readonly chunks: Uint8Array[] = [];
  readonly segment: number;
  readonly position: number;
  readonly #durable: Position;
  length = 0;
  /** Zero bytes owed before the next record. */
  #padding = 0;

  /** `durable`: what is durable now; each record says so. */
  constructor(segment: number, position: number, durable: Position) {
    this.segment = segment;
    this.position = position;
    this.#durable = durable;
  }

  add(kind: number, prevZxid: Zxid, firstZxid: Zxid, lastZxid: Zxid, body: Uint8Array): void {
    const place = { segment: this.segment, offset: this.position + this.length };
    const copied = body.length <= COPY_BYTES_MAX;
    const out = take(this.#padding + (copied ? recordBytes(body.length) : HEADER_BYTES));
    const at = this.#padding;
    writeHeader(out, at, kind, place, this.#durable, prevZxid, firstZxid, lastZxid, body);
    if (copied) out.set(body, at + HEADER_BYTES);
    this.chunks.push(out);
    if (!copied) this.chunks.push(body);
    this.#padding = copied ? 0 : recordBytes(body.length) - HEADER_BYTES - body.length;
    this.length += recordBytes(body.length);
  }

  /** Where the next record will begin. The padding before it is not written: the segment is zero there. */
  get end(): number {
    return this.position + this.length;
  }
}
