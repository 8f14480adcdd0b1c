/**
 * The bytes of a journal record.
 *
 * A record is a 56-byte header and a body, and begins at a multiple of 8 in its segment; the gap before the next one is zero. The CRC
 * covers all but itself. The header names its own place, so that bytes that came from elsewhere do not pass, and what the writer
 * knew to be durable when it wrote, so that a reader can tell bytes that were never promised from bytes that rotted
 * (journal-recovery.ts).
 *
 *   0 crc32   4 length (header + body)   8 kind   9 version   10 zero   12 segment   16 offset
 *  20 durable segment   24 durable offset   28 zero
 *  32 prevZxid: last zxid of the log before this record   40 firstZxid   48 lastZxid: last zxid after it      (u64 each)
 *
 * All numbers are little-endian.
 */
import { assert } from '../base/assert.ts';
import type { Zxid } from '../base/zxid.ts';
import { crc32 } from './crc32.ts';

export const HEADER_BYTES = 56;
const VERSION = 1;

export const KIND_HEAD = 1;
export const KIND_GROUP = 2;
export const KIND_HARD_STATE = 3;
export const KIND_TRUNCATE = 4;
/** Says nothing but how far the journal is durable. */
export const KIND_MARK = 5;

/** A place in the journal. Segment numbers only grow, so positions are ordered. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
}

export const NOWHERE: Position = { segment: 0, offset: 0 };

export function isBefore(a: Position, b: Position): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}

export interface JournalRecord {
  readonly kind: number;
  readonly segment: number;
  readonly offset: number;
  /** Where the next record begins. */
  readonly end: number;
  readonly durable: Position;
  readonly prevZxid: Zxid;
  readonly firstZxid: Zxid;
  readonly lastZxid: Zxid;
  readonly body: Uint8Array;
}

/** Hard state, and where the log goes on from; the body of a segment's first record. */
export interface SegmentHead {
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  /** The state that the log continues (coord/storage/state-store.ts). */
  readonly generation: number;
  /** The log was found damaged, and no snapshot has been installed since. */
  readonly suspect: boolean;
  /** End of the log before this segment; null: the log begins here, after prevZxid, and all segments below are void. */
  readonly previous: Position | null;
}

const HEAD_MAGIC = 0x6c_67_64_72;
const FLAG_SUSPECT = 1;
const FLAG_BEGINS = 2;
const HEAD_BODY_BYTES = 32;
export const HEAD_RECORD_BYTES = HEADER_BYTES + HEAD_BODY_BYTES;

export function recordBytes(bodyBytes: number): number {
  return (HEADER_BYTES + bodyBytes + 7) & ~7;
}

export function writeHeader(
  out: Buffer, at: number, kind: number, place: Position, durable: Position, prevZxid: Zxid, firstZxid: Zxid, lastZxid: Zxid,
  body: Uint8Array,
): void {
  headerView.setUint32(4, HEADER_BYTES + body.length, true);
  headerView.setUint32(8, kind | (VERSION << 8), true);
  headerView.setUint32(12, place.segment, true);
  headerView.setUint32(16, place.offset, true);
  headerView.setUint32(20, durable.segment, true);
  headerView.setUint32(24, durable.offset, true);
  setZxid(32, prevZxid);
  setZxid(40, firstZxid);
  setZxid(48, lastZxid);
  headerView.setUint32(0, crc32(body, 0, body.length, crc32(header, 4)), true);
  out.set(header, at);
}

/** Scratch of writeHeader. Through a view, whose ways to write a number are compiled in. */
const header = new Uint8Array(HEADER_BYTES);
const headerView = new DataView(header.buffer);

function setZxid(at: number, zxid: Zxid): void {
  headerView.setUint32(at, zxid % 0x1_0000_0000, true);
  headerView.setUint32(at + 4, Math.floor(zxid / 0x1_0000_0000), true);
}

/**
 * The record at `at`, or null when there is no whole and sound one. `verify` false leaves the CRC unchecked, for walking over what has
 * been checked before.
 */
export function readRecord(bytes: Buffer, at: number, segment: number, verify: boolean): JournalRecord | null {
  if (at + HEADER_BYTES > bytes.length) return null;
  const length = bytes.readUInt32LE(at + 4);
  if (length < HEADER_BYTES || at + length > bytes.length) return null;
  if (bytes.readUInt32LE(at + 12) !== segment || bytes.readUInt32LE(at + 16) !== at) return null;
  const kind = bytes[at + 8] as number;
  if (bytes[at + 9] !== VERSION || kind < KIND_HEAD || kind > KIND_MARK) return null;
  if (verify && crc32(bytes, at + 4, at + length) !== bytes.readUInt32LE(at)) return null;
  return {
    kind,
    segment,
    offset: at,
    end: at + recordBytes(length - HEADER_BYTES),
    durable: { segment: bytes.readUInt32LE(at + 20), offset: bytes.readUInt32LE(at + 24) },
    prevZxid: readU64(bytes, at + 32),
    firstZxid: readU64(bytes, at + 40),
    lastZxid: readU64(bytes, at + 48),
    body: bytes.subarray(at + HEADER_BYTES, at + length),
  };
}

export function encodeHead(head: SegmentHead): Buffer {
  const body = Buffer.alloc(HEAD_BODY_BYTES);
  body.writeUInt32LE(HEAD_MAGIC, 0);
  body.writeUInt32LE((head.suspect ? FLAG_SUSPECT : 0) | (head.previous === null ? FLAG_BEGINS : 0), 4);
  body.writeUInt32LE(head.acceptedEpoch, 8);
  body.writeUInt32LE(head.currentEpoch, 12);
  body.writeUInt32LE(head.generation, 16);
  body.writeUInt32LE(head.previous?.segment ?? 0, 20);
  body.writeUInt32LE(head.previous?.offset ?? 0, 24);
  return body;
}

export function decodeHead(record: JournalRecord): SegmentHead {
  const body = Buffer.from(record.body.buffer, record.body.byteOffset, record.body.length);
  assert(record.kind === KIND_HEAD && body.length === HEAD_BODY_BYTES && body.readUInt32LE(0) === HEAD_MAGIC, 'a sound record that is no head');
  const flags = body.readUInt32LE(4);
  return {
    acceptedEpoch: body.readUInt32LE(8),
    currentEpoch: body.readUInt32LE(12),
    generation: body.readUInt32LE(16),
    suspect: (flags & FLAG_SUSPECT) !== 0,
    previous: (flags & FLAG_BEGINS) !== 0 ? null : { segment: body.readUInt32LE(20), offset: body.readUInt32LE(24) },
  };
}

export function encodeHardState(acceptedEpoch: number, currentEpoch: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32LE(acceptedEpoch, 0);
  body.writeUInt32LE(currentEpoch, 4);
  return body;
}

export function decodeHardState(record: JournalRecord): { acceptedEpoch: number; currentEpoch: number } {
  const body = Buffer.from(record.body.buffer, record.body.byteOffset, record.body.length);
  return { acceptedEpoch: body.readUInt32LE(0), currentEpoch: body.readUInt32LE(4) };
}

export function writeU64(out: Buffer, value: number, at: number): void {
  out.writeUInt32LE(value % 0x1_0000_0000, at);
  out.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
}
