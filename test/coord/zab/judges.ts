/**
 * Watches a whole ensemble in the ZAB tests and throws at the first step that breaks a property; names as in the Zab specification.
 */
import { makeZxid, zxidCounter, zxidEpoch, type Zxid } from '../../../coord/base/zxid.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';
import type { TxnGroup } from '../../../coord/zab/txn-group.ts';
import type { Disk } from './disk.ts';

export class Judges {
  /** What was delivered anywhere, in order. */
  readonly committed: TxnGroup[] = [];
  readonly #positions = new Map<Zxid, number>();
  readonly #leaders = new Map<number, number>();
  /** The last zxid broadcast in each epoch. */
  readonly #broadcast = new Map<number, Zxid>();
  /** What each server has delivered since its state was last loaded. */
  readonly #delivered = new Map<number, number>();

  onBroadcast(group: TxnGroup): void {
    const epoch = zxidEpoch(group.firstZxid);
    if (group.firstZxid <= (this.#broadcast.get(epoch) ?? 0)) throw new Error(`PrimaryIntegrity: ${show(group.firstZxid)} was broadcast twice`);
    this.#broadcast.set(epoch, group.lastZxid);
  }

  /** The state of a server was loaded from its disk, with everything up to `zxid` in it. */
  onStateLoaded(sid: number, zxid: Zxid): void {
    const position = zxid === 0 ? 0 : this.#positions.get(zxid);
    if (position === undefined) throw new Error(`Integrity: ${sid} holds ${show(zxid)} in its state, which was never delivered`);
    this.#delivered.set(sid, position);
  }

  onDeliver(sid: number, group: TxnGroup): void {
    const position = this.#delivered.get(sid) ?? 0;
    const canonical = this.committed[position];
    if (canonical === undefined) {
      const before = this.committed.at(-1)?.lastZxid ?? 0;
      if (group.firstZxid <= before) throw new Error(`TotalOrder: ${sid} delivers ${show(group.firstZxid)} after ${show(before)}`);
      this.committed.push(group);
      this.#positions.set(group.lastZxid, position + 1);
    } else if (canonical.lastZxid !== group.lastZxid || canonical.bytes !== group.bytes) {
      throw new Error(`Agreement: ${sid} delivers ${show(group.lastZxid)} where ${show(canonical.lastZxid)} was delivered`);
    }
    this.#delivered.set(sid, position + 1);
  }

  /** A group that was delivered before the judges began to watch. */
  onDelivered(group: TxnGroup): void {
    this.committed.push(group);
    this.#positions.set(group.lastZxid, this.committed.length);
  }

  /** LeaderLogCompleteness and Leadership. */
  onEstablished(sid: number, epoch: number, history: readonly TxnGroup[]): void {
    if (this.#leaders.has(epoch)) throw new Error(`Leadership: epoch ${epoch} has two leaders, ${this.#leaders.get(epoch)} and ${sid}`);
    this.#leaders.set(epoch, sid);
    const held = new Set(history.map((group) => group.lastZxid));
    for (const group of this.committed) if (!held.has(group.lastZxid)) throw new Error(`LeaderLogCompleteness: ${sid} leads epoch ${epoch} without ${show(group.lastZxid)}`);
  }

  onSend(sid: number, message: PeerMessage, disk: Disk): void {
    if (message.type === 'ACK') {
      const durable = Math.max(disk.lastZxid, makeZxid(disk.currentEpoch, 0));
      if (message.zxid > durable) throw new Error(`QuorumDurability: ${sid} acks ${show(message.zxid)} with ${show(durable)} on its disk`);
    }
  }

  /** Durability: a truncation never removes what was committed. */
  onTruncate(sid: number, zxid: Zxid, disk: Disk): void {
    for (const group of disk.log) {
      if (group.lastZxid > zxid && this.#positions.has(group.lastZxid)) throw new Error(`CommittedLog: ${sid} truncates ${show(group.lastZxid)}, which is committed`);
    }
  }

  /** Nor does a snapshot: what the old log held and was committed is in the new one. */
  onInstall(sid: number, before: Zxid, after: Zxid): void {
    for (const group of this.committed) {
      if (group.lastZxid > after && group.lastZxid <= before) throw new Error(`CommittedLog: ${sid} installs up to ${show(after)} and loses ${show(group.lastZxid)}`);
    }
  }

  onDisk(sid: number, disk: Disk): void {
    if (disk.currentEpoch > disk.acceptedEpoch) throw new Error(`EpochsOnDisk: ${sid} has currentEpoch ${disk.currentEpoch} > acceptedEpoch ${disk.acceptedEpoch}`);
  }
}

export function show(zxid: Zxid): string {
  return `${zxidEpoch(zxid)}.${zxidCounter(zxid)}`;
}
