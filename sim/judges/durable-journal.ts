/** What a simulated disk really holds of a server's journal at this instant, read from its bytes and not from what anybody was told. */
import type { Zxid } from '../../coord/base/zxid.ts';
import { decodeHardState, decodeHead, KIND_HARD_STATE, KIND_HEAD, readRecord } from '../../coord/storage/journal-record.ts';
import { segmentNumber } from '../../coord/storage/journal-segment.ts';
import type { CrashableJournalFiles } from '../doubles/journal-files.ts';

interface Reached {
  segment: number;
  offset: number;
  lastZxid: Zxid;
  currentEpoch: number;
}

/** Sound records are not read twice; a crash forgets this, since it may take back what was in flight. */
const reachedOf = new WeakMap<CrashableJournalFiles, Reached>();

export function forgetDurableJournal(files: CrashableJournalFiles): void {
  reachedOf.delete(files);
}

export function durableJournal(files: CrashableJournalFiles): { readonly lastZxid: Zxid; readonly currentEpoch: number } {
  let reached = reachedOf.get(files);
  if (reached === undefined) {
    reached = { segment: 0, offset: 0, lastZxid: 0, currentEpoch: 0 };
    reachedOf.set(files, reached);
  }
  const numbers = files.names().map((name) => ({ name, number: segmentNumber(name) ?? -1 })).filter(({ number }) => number >= (reached as Reached).segment);
  numbers.sort((a, b) => a.number - b.number);
  for (const { name, number } of numbers) {
    const content = files.bytesOf(name);
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
    let at = number === reached.segment ? reached.offset : 0;
    for (let record = readRecord(bytes, at, number, true); record !== null; record = readRecord(bytes, at, number, true)) {
      if (record.kind === KIND_HEAD || record.kind === KIND_HARD_STATE) {
        const { currentEpoch } = record.kind === KIND_HEAD ? decodeHead(record) : decodeHardState(record);
        reached.currentEpoch = Math.max(reached.currentEpoch, currentEpoch);
      }
      reached.lastZxid = record.lastZxid;
      at = record.end;
    }
    if (at > 0) {
      reached.segment = number;
      reached.offset = at;
    }
  }
  return reached;
}
