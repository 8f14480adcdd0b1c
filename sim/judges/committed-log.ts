/**
 * The committed log: what was delivered by anyone, in order, with a chained hash. Every server's deliveries are a prefix of it, wherever they begin.
 *
 *   Integrity            a zxid has one content, whoever delivers it
 *   TotalOrder           every server delivers the same groups in the same order (Agreement and PrefixConsistency with it)
 *   LocalPrimaryOrder    within an epoch whoever delivers a txn has delivered the one before it: counters are contiguous
 *   GlobalPrimaryOrder   epochs never go back, and each begins with its first txn
 *
 * Source: Zab.tla and its system specification (Integrity, Agreement, TotalOrder, LocalPrimaryOrder, GlobalPrimaryOrder, PrefixConsistency).
 */
import { formatZxid, zxidCounter, zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import type { Related } from '../world/world.ts';
import { serverName, type Fail } from './fail.ts';
import { chainHash } from './hash.ts';

interface Committed {
  readonly firstZxid: Zxid;
  readonly lastZxid: Zxid;
  readonly chain: number;
}

export class CommittedLog {
  readonly #fail: Fail;
  readonly #committed: Committed[] = [];
  readonly #indexOf = new Map<Zxid, number>();
  #baseZxid: Zxid = 0;
  /** What a server delivers next. */
  readonly #next = new Map<number, number>();

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  /** What all servers hold before the first one starts. */
  begin(baseZxid: Zxid): void {
    this.#baseZxid = baseZxid;
  }

  get lastZxid(): Zxid {
    return this.#committed.at(-1)?.lastZxid ?? this.#baseZxid;
  }
  /** The newest that is committed of the epochs before this one. */
  lastZxidBefore(epoch: number): Zxid {
    const last = this.#committed.findLast(({ lastZxid }) => zxidEpoch(lastZxid) < epoch);
    return last?.lastZxid ?? this.#baseZxid;
  }
  /** Undefined: no committed group ends at this zxid. */
  chainOf(zxid: Zxid): number | undefined {
    if (zxid === this.#baseZxid || zxid === 0) return 0;
    const at = this.#indexOf.get(zxid);
    return at === undefined ? undefined : (this.#committed[at] as Committed).chain;
  }

  forget(sid: number): void {
    this.#next.delete(sid);
  }

  /** A server's state is that of `applied`. */
  restart(sid: number, applied: Zxid): void {
    if (applied === 0 || applied === this.#baseZxid) {
      this.#next.set(sid, 0);
      return;
    }
    const at = this.#indexOf.get(applied);
    if (at === undefined) this.#fail('TotalOrder', `server ${sid} begins at ${formatZxid(applied)}, which is not the end of a committed group`, { zxids: [applied], processes: [serverName(sid)] });
    else this.#next.set(sid, at + 1);
  }

  /** Whether the group is new: nobody has delivered it before. */
  delivered(sid: number, { firstZxid, lastZxid, bytes }: TxnGroup): boolean {
    const at = this.#next.get(sid) ?? 0;
    this.#next.set(sid, at + 1);
    const known = this.#committed[at];
    const before = this.#committed[at - 1];
    const chain = chainHash(before?.chain ?? 0, lastZxid, bytes);
    if (known !== undefined) {
      if (known.lastZxid !== lastZxid || known.firstZxid !== firstZxid) {
        this.#fail('TotalOrder', `server ${sid} delivers ${range(firstZxid, lastZxid)} where others delivered ${range(known.firstZxid, known.lastZxid)}`, { zxids: [lastZxid, known.lastZxid], processes: [serverName(sid)] });
      } else if (known.chain !== chain) {
        this.#fail('Integrity', `server ${sid} delivers another content under ${formatZxid(firstZxid)} than others did`, { zxids: [lastZxid], processes: [serverName(sid)] });
      }
      return false;
    }
    this.#compareOrder(sid, before?.lastZxid ?? this.#baseZxid, firstZxid, lastZxid);
    this.#indexOf.set(lastZxid, this.#committed.length);
    this.#committed.push({ firstZxid, lastZxid, chain });
    return true;
  }

  #compareOrder(sid: number, before: Zxid, firstZxid: Zxid, lastZxid: Zxid): void {
    const related = (): Related => ({ zxids: [before, firstZxid, lastZxid], processes: [serverName(sid)] });
    const epoch = zxidEpoch(firstZxid);
    if (zxidEpoch(lastZxid) !== epoch) this.#fail('LocalPrimaryOrder', `server ${sid} delivers ${range(firstZxid, lastZxid)}, which is of two epochs`, related());
    else if (epoch === zxidEpoch(before)) {
      if (firstZxid !== before + 1) this.#fail('LocalPrimaryOrder', `server ${sid} delivers ${formatZxid(firstZxid)} right after ${formatZxid(before)}`, related());
    } else if (epoch < zxidEpoch(before)) this.#fail('GlobalPrimaryOrder', `server ${sid} delivers ${formatZxid(firstZxid)} after ${formatZxid(before)} of a later epoch`, related());
    else if (zxidCounter(firstZxid) !== 1) this.#fail('LocalPrimaryOrder', `server ${sid} delivers ${formatZxid(firstZxid)} as the first of epoch ${epoch}`, related());
  }
}

function range(first: Zxid, last: Zxid): string {
  return first === last ? formatZxid(first) : `${formatZxid(first)} to ${formatZxid(last)}`;
}
