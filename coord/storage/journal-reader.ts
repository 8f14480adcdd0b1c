/** Reads groups back from the segments, for DIFF from disk. Keeps the bytes of the segment read last: a learner reads on where it was. */
import type { Callback, JournalFiles } from '../base/ports.ts';
import type { Zxid } from '../base/zxid.ts';
import type { TxnGroup } from '../zab/txn-group.ts';
import type { LiveSegment, Truncation } from './journal-recovery.ts';
import { isBefore, KIND_GROUP, readRecord, type JournalRecord, type Position } from './journal-record.ts';
import { segmentName } from './journal-segment.ts';
import { DreyError } from '../base/errors.ts';

export class JournalReader {
  readonly #files: JournalFiles;
  #cached: { readonly number: number; readonly upTo: number; readonly bytes: Buffer } | null = null;

  constructor(files: JournalFiles) {
    this.#files = files;
  }

  /** Contiguous groups after `afterZxid` up to `durable`; none when afterZxid is not a place in this log. */
  read(
    live: readonly LiveSegment[], truncations: readonly Truncation[], durable: Position, afterZxid: Zxid, bytesMax: number,
    done: Callback<TxnGroup[]>,
  ): void {
    const groups: TxnGroup[] = [];
    let bytes = 0;
    let last = afterZxid;
    let index = Math.max(0, live.findLastIndex((segment) => segment.startZxid <= afterZxid));
    const nextSegment = (): void => {
      const segment = live[index++];
      if (segment === undefined || segment.number > durable.segment) {
        this.#cached = null; // read to the end: nobody is on the way
        return done(null, groups);
      }
      const end = segment.number === durable.segment ? durable.offset : segment.end;
      this.#load(segment.number, end, (error, content) => {
        if (error !== null) return done(error, []);
        for (let at = 0; at < end; ) {
          const record = readRecord(content, at, segment.number, false);
          if (record === null) return done(new DreyError('COORD_DISK_FAILED', `no record at ${segmentName(segment.number)}:${at}`), []);
          at = record.end;
          if (record.kind !== KIND_GROUP || record.lastZxid <= last || isTruncated(record, truncations)) continue;
          if (readRecord(content, record.offset, segment.number, true) === null) {
            return done(new DreyError('COORD_DISK_FAILED', `the record at ${segmentName(segment.number)}:${record.offset} has a wrong checksum`), []);
          }
          if (record.prevZxid !== last) return done(null, []);
          groups.push({ firstZxid: record.firstZxid, lastZxid: record.lastZxid, bytes: record.body });
          last = record.lastZxid;
          bytes += record.body.length;
          if (bytes >= bytesMax) return done(null, groups);
        }
        nextSegment();
      });
    };
    nextSegment();
  }

  #load(number: number, upTo: number, done: Callback<Buffer>): void {
    const cached = this.#cached;
    if (cached !== null && cached.number === number && cached.upTo >= upTo) return done(null, cached.bytes);
    this.#files.read(segmentName(number), (error, content) => {
      if (error !== null) return done(error, Buffer.alloc(0));
      const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
      this.#cached = { number, upTo, bytes };
      done(null, bytes);
    });
  }
}

/** Whether a truncation written behind it has dropped it. */
function isTruncated(record: JournalRecord, truncations: readonly Truncation[]): boolean {
  return truncations.some(({ at, zxid }) => record.lastZxid > zxid && isBefore(record, at));
}
