/**
 * What a simulated disk really holds of a server's log at this instant, read from its bytes and not from what anybody was told: where each group
 * ends, with a chained hash, and the epochs. Sound records are read once; a crash begins anew, since it may take back what was in flight.
 */
import { zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import { decodeHardState, decodeHead, isBefore, KIND_GROUP, KIND_HARD_STATE, KIND_HEAD, KIND_TRUNCATE, readRecord, type JournalRecord } from '../../coord/storage/journal-record.ts';
import { segmentNumber } from '../../coord/storage/journal-segment.ts';
import { appliedKey } from '../../coord/storage/state-store.ts';
import type { CrashableJournalFiles } from '../doubles/journal-files.ts';
import type { CrashableKv, CrashableKvStores } from '../doubles/kv.ts';
import { chainHash } from './hash.ts';

export interface Disk {
  readonly files: CrashableJournalFiles;
  readonly kvs: CrashableKvStores;
}

/** The chained hash of the committed log at a zxid; undefined: no committed group ends there. */
export type ChainOf = (zxid: Zxid) => number | undefined;

export class DurableLog {
  readonly #files: CrashableJournalFiles;
  readonly #state: CrashableKv;
  readonly #chainOf: ChainOf;
  #segment = 0;
  #offset = 0;
  #begun = false;
  /** Segments from the one that is being read on; the bytes are the disk's own. */
  #segments: { readonly number: number; readonly bytes: Buffer }[] = [];
  #seenChanges = -1;
  /** Ends of groups after the base, ascending, and the hash of the log up to there. */
  readonly #zxids: Zxid[] = [];
  readonly #chains: number[] = [];
  #baseZxid: Zxid = 0;
  #baseChain = 0;
  /** The key without which there is no state that the log continues; null: it needs none. */
  #stateKey: string | null = null;
  acceptedEpoch = 0;
  currentEpoch = 0;
  /** What the disk says of itself: the log was found damaged, and no snapshot has been installed since. */
  suspect = false;
  /** What is wrong with the epochs; null: nothing. */
  wrong: string | null = null;

  constructor({ files, kvs }: Disk, chainOf: ChainOf) {
    this.#files = files;
    this.#state = kvs.store('state');
    this.#chainOf = chainOf;
  }

  get files(): CrashableJournalFiles {
    return this.#files;
  }
  /** Where the log ends; 0: there is a log, but the state that it continues is not durable. */
  get lastZxid(): Zxid {
    return this.#hasState ? this.#end : 0;
  }
  get #hasState(): boolean {
    return this.#stateKey === null || this.#state.isDurable(this.#stateKey);
  }
  get #end(): Zxid {
    return this.#zxids.at(-1) ?? this.#baseZxid;
  }

  /** The hash of the log at this zxid; null: no group of it ends there, or it is older than the log. */
  chainAt(zxid: Zxid): number | null {
    if (zxid === this.#baseZxid) return this.#baseChain;
    const at = this.#find(zxid);
    return this.#zxids[at] === zxid ? (this.#chains[at] as number) : null;
  }

  /** Whether a log with this hash at this zxid is durable here: in the journal, or in the state that the journal continues. */
  holds(zxid: Zxid, chain: number): boolean {
    if (!this.#hasState) return zxid === 0;
    return zxid <= this.#baseZxid ? this.#chainOf(this.#baseZxid) !== undefined : this.chainAt(zxid) === chain;
  }

  /** The end of the first group after `zxid`, and its hash. */
  firstAfter(zxid: Zxid): { readonly zxid: Zxid; readonly chain: number } | null {
    const at = this.#find(zxid + 1);
    return at < this.#zxids.length ? { zxid: this.#zxids[at] as Zxid, chain: this.#chains[at] as number } : null;
  }

  /** Reads what has become durable since. `onRestart`: a snapshot takes the place of the log, which ended at `from` and begins anew at `base`. */
  update(onRestart: ((from: Zxid, base: Zxid) => void) | null = null): void {
    const { counts } = this.#files;
    const changes = counts.creates + counts.removes;
    if (changes !== this.#seenChanges) {
      this.#seenChanges = changes;
      this.#segments = [];
      for (const name of this.#files.names()) {
        const number = segmentNumber(name) ?? -1;
        if (number < this.#segment) continue;
        const content = this.#files.bytesOf(name);
        this.#segments.push({ number, bytes: Buffer.from(content.buffer, content.byteOffset, content.length) });
      }
      this.#segments.sort((a, b) => a.number - b.number);
    }
    for (const { number, bytes } of this.#segments) {
      if (number < this.#segment) continue;
      let at = number === this.#segment ? this.#offset : 0;
      for (let record = readRecord(bytes, at, number, true); record !== null; record = readRecord(bytes, at, number, true)) {
        if (!this.#take(record, onRestart)) break;
        at = record.end;
        this.#segment = number;
        this.#offset = at;
      }
    }
    const epoch = zxidEpoch(this.#end);
    // A later leader hands over older epochs before its own begins; then that one has been promised.
    if (this.wrong === null && epoch > this.currentEpoch && epoch >= this.acceptedEpoch) this.wrong = `the log is of epoch ${epoch}, currentEpoch is ${this.currentEpoch} and acceptedEpoch ${this.acceptedEpoch}`;
  }

  /** False: not part of the log yet. */
  #take(record: JournalRecord, onRestart: ((from: Zxid, base: Zxid) => void) | null): boolean {
    switch (record.kind) {
      case KIND_HEAD: {
        const head = decodeHead(record);
        // What the head says lies before it may still be on its way to the disk.
        const { previous } = head;
        const isAhead = this.#begun && previous !== null && isBefore({ segment: this.#segment, offset: this.#offset }, previous);
        // Or it was let go of, before anybody looked: the state holds it.
        const isPurged = isAhead && !this.#segments.some(({ number }) => number === previous.segment);
        if (isAhead && !isPurged) return false;
        this.#raise(head.acceptedEpoch, head.currentEpoch);
        this.suspect = head.suspect;
        this.#stateKey = head.generation === 0 ? null : appliedKey(head.generation);
        if (!this.#begun || previous === null) {
          if (this.#begun) onRestart?.(this.#end, record.prevZxid);
          this.#restart(record.prevZxid);
        } else if (isPurged) this.#restart(record.prevZxid);
        else this.#cut(record.lastZxid);
        return true;
      }
      case KIND_HARD_STATE: {
        const { acceptedEpoch, currentEpoch } = decodeHardState(record);
        this.#raise(acceptedEpoch, currentEpoch);
        return true;
      }
      case KIND_GROUP:
        this.#chains.push(chainHash(this.#chains.at(-1) ?? this.#baseChain, record.lastZxid, record.body));
        this.#zxids.push(record.lastZxid);
        return true;
      case KIND_TRUNCATE:
        this.#cut(record.lastZxid);
        return true;
      default:
        return true;
    }
  }

  /** What recovery would say: it writes older records again behind a newer head, so the highest counts. */
  #raise(acceptedEpoch: number, currentEpoch: number): void {
    if (currentEpoch > acceptedEpoch) this.wrong ??= `currentEpoch ${currentEpoch} is above acceptedEpoch ${acceptedEpoch}`;
    this.acceptedEpoch = Math.max(this.acceptedEpoch, acceptedEpoch);
    this.currentEpoch = Math.max(this.currentEpoch, currentEpoch);
  }

  #restart(baseZxid: Zxid): void {
    this.#begun = true;
    this.#zxids.length = 0;
    this.#chains.length = 0;
    this.#baseZxid = baseZxid;
    // Unknown: then nothing is equal to it.
    this.#baseChain = this.#chainOf(baseZxid) ?? NaN;
  }

  #cut(lastZxid: Zxid): void {
    while (this.#zxids.length > 0 && (this.#zxids.at(-1) as Zxid) > lastZxid) {
      this.#zxids.pop();
      this.#chains.pop();
    }
    // Below what is left of the journal: the log goes on from there.
    if (lastZxid < this.#baseZxid) this.#restart(lastZxid);
  }

  /** Index of the first end that is not below `zxid`. */
  #find(zxid: Zxid): number {
    let low = 0;
    let high = this.#zxids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#zxids[middle] as Zxid) < zxid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** As it is now, read from the beginning; hashes are not comparable with others'. */
export function durableJournal(disk: Disk): DurableLog {
  const log = new DurableLog(disk, () => undefined);
  log.update();
  return log;
}
