/**
 * This server's history of txn groups, as the journal will hold it once everything handed to it is durable: the groups that are still in
 * memory, where each epoch ends, and how far the history has been delivered.
 *
 * Invariants, asserted:
 *  - groups are contiguous: consecutive counters within an epoch, each epoch from counter 1, epochs ascending;
 *  - memory holds exactly the groups after `#afterZxid`; what has not been delivered, or is not durable, is always in memory;
 *  - delivery goes on in this order, each group once; truncation never cuts below what was delivered.
 *
 * Source: history h of the Zab paper. Durability is tracked in peer-context.ts, commitment in leader.ts and learner.ts.
 */
import { assert } from '../base/assert.ts';
import { formatZxid, makeZxid, zxidCounter, zxidEpoch, type Zxid } from '../base/zxid.ts';
import type { RecoveredHistory } from './contract.ts';
import type { EpochEnd, TxnGroup } from './txn-group.ts';

/** Epoch ends remembered; a server that is further behind than this takes SNAP. */
export const EPOCH_ENDS_MAX = 1000;

export class History {
  readonly #recentBytesMax: number;
  /** Groups in memory are #groups[#head..]; #firstIndex is the absolute index of #groups[#head]. */
  #groups: TxnGroup[] = [];
  #head = 0;
  #firstIndex = 0;
  #bytes = 0;
  #afterZxid: Zxid = 0;
  #epochEnds: { epoch: number; lastZxid: Zxid }[] = [];
  /** End of the history; moves back only by truncate and reset. */
  #lastZxid: Zxid = 0;
  #deliveredZxid: Zxid = 0;
  /** Groups up to here are in the journal and may be dropped from memory; set as they become durable. */
  evictableZxid: Zxid = 0;
  /** Groups after this zxid may be asked of the journal. */
  #journalStartZxid: Zxid = 0;

  constructor(recovered: RecoveredHistory, recentBytesMax: number) {
    this.#recentBytesMax = recentBytesMax;
    const base = recovered.appliedZxid;
    this.#restart(base);
    this.#epochEnds = recovered.epochEnds.filter((end) => end.lastZxid < base).map((end) => ({ ...end }));
    if (base > 0) this.#extendEpoch(base);
    this.#journalStartZxid = recovered.journalStartZxid;
    for (const group of recovered.tail) this.append(group);
    this.#deliveredZxid = base;
  }

  /** A snapshot takes the place of the whole history. */
  install(baseZxid: Zxid): void {
    this.#restart(baseZxid);
    this.#epochEnds = baseZxid === 0 ? [] : [{ epoch: zxidEpoch(baseZxid), lastZxid: baseZxid }];
    this.#journalStartZxid = baseZxid;
    this.#deliveredZxid = baseZxid;
  }

  get lastZxid(): Zxid {
    return this.#lastZxid;
  }
  get deliveredZxid(): Zxid {
    return this.#deliveredZxid;
  }
  get journalStartZxid(): Zxid {
    return this.#journalStartZxid;
  }
  /** Where each known epoch ends, ascending. Changes as the history does. */
  get epochEnds(): readonly EpochEnd[] {
    return this.#epochEnds;
  }
  /** Absolute index of the first group in memory. */
  get firstIndex(): number {
    return this.#firstIndex;
  }
  /** Absolute index behind the last group. */
  get endIndex(): number {
    return this.#firstIndex + this.#groups.length - this.#head;
  }

  groupAt(index: number): TxnGroup {
    const group = this.#groups[this.#head + index - this.#firstIndex];
    assert(group !== undefined && index >= this.#firstIndex, 'group is not in memory');
    return group;
  }

  /** Absolute index of the first group after `zxid`; -1 when zxid is older than memory or not the end of a group. */
  indexAfter(zxid: Zxid): number {
    if (zxid === this.#lastZxid) return this.endIndex;
    if (zxid === this.#afterZxid) return this.#firstIndex;
    let low = this.#head;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#groups[middle] as TxnGroup).lastZxid < zxid) low = middle + 1;
      else high = middle;
    }
    const found = this.#groups[low];
    return found !== undefined && found.lastZxid === zxid ? this.#firstIndex + low + 1 - this.#head : -1;
  }

  append(group: TxnGroup): void {
    // The message is built only when it is needed: this is the hot path.
    if (!continues(this.#lastZxid, group)) assert(false, `group ${formatZxid(group.firstZxid)} does not continue ${formatZxid(this.#lastZxid)}`);
    this.#groups.push(group);
    this.#bytes += group.bytes.length;
    this.#lastZxid = group.lastZxid;
    this.#extendEpoch(group.lastZxid);
    if (this.#bytes > this.#recentBytesMax) this.#evict();
  }

  /** How far down truncate may go. */
  get truncateFloor(): Zxid {
    return Math.min(this.#deliveredZxid, this.#lastZxid);
  }

  truncate(zxid: Zxid): void {
    assert(zxid >= this.truncateFloor, `TRUNC to ${formatZxid(zxid)} below delivered ${formatZxid(this.#deliveredZxid)}`);
    const end = this.indexAfter(zxid);
    assert(end >= 0, `TRUNC to ${formatZxid(zxid)}, which does not end a group`);
    while (this.endIndex > end) this.#bytes -= (this.#groups.pop() as TxnGroup).bytes.length;
    this.#lastZxid = zxid;
    const epoch = zxidEpoch(zxid);
    while ((this.#epochEnds.at(-1)?.epoch ?? -1) >= epoch) this.#epochEnds.pop();
    if (zxid > 0) this.#extendEpoch(zxid);
  }

  /** The next group to deliver if it ends at or before `zxid`, and marks it delivered. */
  deliverNext(zxid: Zxid): TxnGroup | null {
    if (this.#deliveredZxid >= zxid || this.#deliveredZxid >= this.#lastZxid) return null;
    const index = this.indexAfter(this.#deliveredZxid);
    assert(index >= 0, 'what was not delivered must be in memory');
    const group = this.groupAt(index);
    if (group.lastZxid > zxid) return null;
    this.#deliveredZxid = group.lastZxid;
    return group;
  }

  #restart(baseZxid: Zxid): void {
    // A new index range, so that indexes held by readers of the old history cannot be mistaken for valid ones.
    this.#firstIndex = this.endIndex + 1;
    this.#groups = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#afterZxid = baseZxid;
    this.#lastZxid = baseZxid;
    this.#deliveredZxid = baseZxid;
    this.evictableZxid = 0;
  }

  #extendEpoch(lastZxid: Zxid): void {
    const epoch = zxidEpoch(lastZxid);
    const ends = this.#epochEnds;
    const last = ends[ends.length - 1];
    if (last !== undefined && last.epoch === epoch) {
      last.lastZxid = lastZxid;
      return;
    }
    ends.push({ epoch, lastZxid });
    if (ends.length > EPOCH_ENDS_MAX) ends.shift();
  }

  #evict(): void {
    while (this.#bytes > this.#recentBytesMax && this.#head < this.#groups.length) {
      const group = this.#groups[this.#head] as TxnGroup;
      if (group.lastZxid > this.#deliveredZxid || group.lastZxid > this.evictableZxid) break;
      // The array is cut seldom; the group's bytes must not wait for that.
      this.#groups[this.#head++] = EVICTED;
      this.#firstIndex++;
      this.#bytes -= group.bytes.length;
      this.#afterZxid = group.lastZxid;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#groups.length) {
      this.#groups = this.#groups.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** In the place of a group that has left memory, until the array is cut. */
const EVICTED: TxnGroup = { firstZxid: 0, lastZxid: 0, bytes: new Uint8Array(0) };

/** Whether `group` may come right after a history that ends at `lastZxid`. Safe on groups from other servers. */
export function continues(lastZxid: Zxid, group: TxnGroup): boolean {
  const { firstZxid, lastZxid: end } = group;
  if (!Number.isSafeInteger(firstZxid) || !Number.isSafeInteger(end) || firstZxid <= 0 || end < firstZxid) return false;
  const epoch = zxidEpoch(firstZxid);
  if (zxidEpoch(end) !== epoch) return false;
  if (epoch === zxidEpoch(lastZxid)) return firstZxid === lastZxid + 1;
  return epoch > zxidEpoch(lastZxid) && zxidCounter(firstZxid) === 1 && firstZxid === makeZxid(epoch, 1);
}
