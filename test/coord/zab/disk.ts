/**
 * The disk of a server in the ZAB tests: what `persisted` was reported for is durable; of the ops after that a crash keeps a prefix.
 * The state is the list of applied groups; a flush makes a prefix of it durable.
 */
import { formatZxid, zxidEpoch, type Zxid } from '../../../coord/base/zxid.ts';
import type { PersistOp, RecoveredHistory } from '../../../coord/zab/contract.ts';
import type { EpochEnd, TxnGroup } from '../../../coord/zab/txn-group.ts';

export class Disk {
  acceptedEpoch = 0;
  currentEpoch = 0;
  /** The flushed state: every group it holds, in order. */
  state: TxnGroup[] = [];
  /** The journal: groups after baseZxid. */
  log: TxnGroup[] = [];
  baseZxid: Zxid = 0;
  suspect = false;
  #snapshot: { baseZxid: Zxid; state: TxnGroup[] } | null = null;
  /** Ops handed over and not yet durable. */
  pending: { seq: number; op: PersistOp }[] = [];

  get appliedZxid(): Zxid {
    return this.state.at(-1)?.lastZxid ?? 0;
  }
  get lastZxid(): Zxid {
    return this.log.at(-1)?.lastZxid ?? this.baseZxid;
  }

  /** Makes the next `count` ops durable; returns the seq of the last. */
  sync(count: number): number {
    let seq = 0;
    for (const { seq: at, op } of this.pending.splice(0, count)) {
      seq = at;
      this.#apply(op);
    }
    return seq;
  }

  /** The process is gone; the first `kept` of the ops that were not durable are on the disk nevertheless. */
  crash(kept: number): void {
    this.sync(kept);
    this.pending = [];
    this.#snapshot = null;
  }

  /** Flushes the state up to `zxid`, of what was delivered and is durable in the journal. */
  flush(delivered: readonly TxnGroup[], zxid: Zxid): void {
    const upTo = Math.min(zxid, this.lastZxid);
    if (upTo > this.appliedZxid) this.state = delivered.filter((group) => group.lastZxid <= upTo);
  }

  /** Drops what the flushed state holds from the journal, but nothing after `neededAfter`. */
  purge(neededAfter = Infinity): void {
    const upTo = this.log.findLast((group) => group.lastZxid <= Math.min(this.appliedZxid, neededAfter))?.lastZxid ?? 0;
    this.baseZxid = Math.max(this.baseZxid, upTo);
    this.log = this.log.filter((group) => group.lastZxid > this.baseZxid);
  }

  recover(): RecoveredHistory {
    const ends: EpochEnd[] = [];
    const all = this.suspect ? [] : [...this.state.filter((group) => group.lastZxid <= this.baseZxid), ...this.log];
    for (const group of all) {
      const epoch = zxidEpoch(group.lastZxid);
      if (ends.at(-1)?.epoch === epoch) ends.pop();
      ends.push({ epoch, lastZxid: group.lastZxid });
    }
    return {
      acceptedEpoch: this.acceptedEpoch, currentEpoch: this.currentEpoch, appliedZxid: this.appliedZxid, epochEnds: ends,
      tail: this.log.filter((group) => group.lastZxid > this.appliedZxid), journalStartZxid: this.baseZxid, suspect: this.suspect,
    };
  }

  #apply(op: PersistOp): void {
    switch (op.type) {
      case 'group':
        this.log.push(op.group);
        break;
      case 'truncate':
        if (op.zxid < this.appliedZxid) throw new Error(`TRUNC to ${formatZxid(op.zxid)} below the flushed ${formatZxid(this.appliedZxid)}`);
        this.log = this.log.filter((group) => group.lastZxid <= op.zxid);
        break;
      case 'hardState':
        this.acceptedEpoch = op.acceptedEpoch;
        this.currentEpoch = op.currentEpoch;
        break;
      case 'snapshotBegin':
        this.#snapshot = { baseZxid: op.baseZxid, state: [] };
        break;
      case 'snapshotChunk':
        for (const [key, bytes] of op.entries) {
          const [firstZxid = 0, lastZxid = 0] = key.split('-').map(Number);
          this.#snapshot?.state.push({ firstZxid, lastZxid, bytes });
        }
        break;
      case 'snapshotInstall': {
        if (this.#snapshot?.baseZxid !== op.baseZxid) throw new Error('installs a snapshot that was not received');
        this.state = this.#snapshot.state;
        this.baseZxid = op.baseZxid;
        this.log = [...op.groups];
        this.acceptedEpoch = op.acceptedEpoch;
        this.currentEpoch = op.currentEpoch;
        this.suspect = false;
        this.#snapshot = null;
        break;
      }
    }
  }
}
