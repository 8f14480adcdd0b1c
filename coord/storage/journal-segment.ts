/** One segment of the journal as found on disk: its name, its sound records, and what else is in it. */
import { decodeHead, KIND_HEAD, readRecord, type JournalRecord, type SegmentHead } from './journal-record.ts';

const NAME = /^log\.([0-9a-f]{8})$/;

export function segmentName(number: number): string {
  return `log.${number.toString(16).padStart(8, '0')}`;
}

/** null: not a segment's name. */
export function segmentNumber(name: string): number | null {
  const match = NAME.exec(name);
  return match === null ? null : Number.parseInt(match[1] as string, 16);
}

export interface Segment {
  readonly number: number;
  readonly size: number;
  /** null: the first record is not a sound head. */
  readonly head: SegmentHead | null;
  /** Last zxid of the log before this segment; only with a head. */
  readonly startZxid: number;
  /** Sound records that follow each other from offset 0, the head included. */
  readonly records: readonly JournalRecord[];
  /** End of the last of `records`. */
  readonly end: number;
  /** Whether all bytes from `end` on are zero. */
  readonly restIsZero: boolean;
  /** Sound records further on, behind a place that is not one. */
  readonly beyond: readonly JournalRecord[];
}

export function parseSegment(number: number, content: Uint8Array): Segment {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const records: JournalRecord[] = [];
  let end = 0;
  for (let record = readRecord(bytes, 0, number, true); record !== null; record = readRecord(bytes, end, number, true)) {
    if ((record.kind === KIND_HEAD) !== (end === 0)) break;
    records.push(record);
    end = record.end;
  }
  const first = records[0];
  const restIsZero = isZero(bytes, end);
  return {
    number,
    size: bytes.length,
    head: first === undefined ? null : decodeHead(first),
    startZxid: first?.prevZxid ?? 0,
    records,
    end,
    restIsZero,
    beyond: restIsZero ? [] : soundRecordsAfter(bytes, end, number),
  };
}

/** Made ahead and never written. */
export function isEmpty(segment: Segment): boolean {
  return segment.end === 0 && segment.restIsZero;
}

/** Records begin at multiples of 8 and name their own place, so they can be found again behind any damage. */
function soundRecordsAfter(bytes: Buffer, from: number, number: number): JournalRecord[] {
  const found: JournalRecord[] = [];
  for (let at = from; at < bytes.length; ) {
    const record = readRecord(bytes, at, number, true);
    if (record === null) at += 8;
    else {
      found.push(record);
      at = record.end;
    }
  }
  return found;
}

const ZEROS = Buffer.alloc(64 * 1024);

function isZero(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at += ZEROS.length) {
    const end = Math.min(bytes.length, at + ZEROS.length);
    if (bytes.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}
