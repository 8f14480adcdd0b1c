/** What a simulated disk really holds of a server's log at this instant, read from its bytes and not from what anybody was told. */
import type { Zxid } from '../../coord/base/zxid.ts';
import { decodeHardState, decodeHead, KIND_HARD_STATE, KIND_HEAD, readRecord } from '../../coord/storage/journal-record.ts';
import { segmentNumber } from '../../coord/storage/journal-segment.ts';
import { appliedKey } from '../../coord/storage/state-store.ts';
import type { CrashableJournalFiles } from '../doubles/journal-files.ts';
import type { CrashableKvStores } from '../doubles/kv.ts';

interface Reached {
  segment: number;
  offset: number;
  lastZxid: Zxid;
  currentEpoch: number;
  acceptedEpoch: number;
  /** The state that the log continues. */
  generation: number;
}
export type Disk = { readonly files: CrashableJournalFiles; readonly kvs: CrashableKvStores };

/** Sound records are not read twice; a crash forgets this, since it may take back what was in flight. */
const reachedOf = new WeakMap<CrashableJournalFiles, Reached>();

export function forgetDurableJournal(files: CrashableJournalFiles): void {
  reachedOf.delete(files);
}

/** lastZxid 0: there is a log, but the state that it continues is not durable. */
export function durableJournal({ files, kvs }: Disk): { readonly lastZxid: Zxid; readonly currentEpoch: number; readonly acceptedEpoch: number } {
  let reached = reachedOf.get(files);
  if (reached === undefined) {
    reached = { segment: 0, offset: 0, lastZxid: 0, currentEpoch: 0, acceptedEpoch: 0, generation: 0 };
    reachedOf.set(files, reached);
  }
  const { segment } = reached;
  const numbers = files.names().map((name) => ({ name, number: segmentNumber(name) ?? -1 })).filter(({ number }) => number >= segment);
  numbers.sort((a, b) => a.number - b.number);
  for (const { name, number } of numbers) {
    const content = files.bytesOf(name);
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
    let at = number === reached.segment ? reached.offset : 0;
    for (let record = readRecord(bytes, at, number, true); record !== null; record = readRecord(bytes, at, number, true)) {
      if (record.kind === KIND_HEAD || record.kind === KIND_HARD_STATE) {
        const epochs = record.kind === KIND_HEAD ? decodeHead(record) : decodeHardState(record);
        reached.currentEpoch = Math.max(reached.currentEpoch, epochs.currentEpoch);
        reached.acceptedEpoch = Math.max(reached.acceptedEpoch, epochs.acceptedEpoch);
        if (record.kind === KIND_HEAD) reached.generation = decodeHead(record).generation;
      }
      reached.lastZxid = record.lastZxid;
      at = record.end;
    }
    if (at > 0) {
      reached.segment = number;
      reached.offset = at;
    }
  }
  if (reached.generation > 0 && !kvs.store('state').isDurable(appliedKey(reached.generation))) return { ...reached, lastZxid: 0, currentEpoch: 0 };
  return reached;
}
