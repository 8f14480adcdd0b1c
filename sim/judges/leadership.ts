/**
 * Who leads an epoch, and with what history.
 *
 *   Leadership           at most one server has a quorum's promise of an epoch, and only once; two may believe that they lead
 *   PrimaryIntegrity     when a leader is established, its log holds everything that is committed of the epochs before its own; what it was told
 *                        before it was paused may establish it when another leads a later epoch, where it can commit nothing
 *   ProcessConsistency   a follower that acks NEWLEADER has the leader's initial history: the same hash at the same zxid
 *
 * Sources: Zab.tla Leadership, PrimaryIntegrity, ProcessConsistency; Remix LeaderLogCompleteness; ZOOKEEPER-3911, 4643, 4785.
 */
import { formatZxid, zxidCounter, zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { CommittedLog } from './committed-log.ts';
import type { Durability } from './durability.ts';
import { serverName, type Fail } from './fail.ts';

interface Beginning {
  readonly leader: number;
  readonly initialZxid: Zxid;
  /** Of the leader's log at initialZxid; null: its disk does not hold it yet. */
  chain: number | null;
  /** Followers that acked before that, with the hash of theirs. */
  readonly acked: Map<number, number>;
  /** Durability.disksChanged at the time: who has got another disk does not know what it has promised. */
  readonly disksChanged: number;
}

export class Leadership {
  readonly #committed: CommittedLog;
  readonly #durability: Durability;
  readonly #fail: Fail;
  readonly #established = new Map<number, number>();
  readonly #beginnings = new Map<number, Beginning>();

  constructor(committed: CommittedLog, durability: Durability, fail: Fail) {
    this.#committed = committed;
    this.#durability = durability;
    this.#fail = fail;
  }

  /** A leader has its quorum of ACKEPOCHs: this is the epoch's initial history. */
  synchronizes(leader: number, epoch: number, initialZxid: Zxid): void {
    const { disksChanged } = this.#durability;
    const before = this.#beginnings.get(epoch);
    if (before !== undefined && before.disksChanged === disksChanged) {
      this.#fail('Leadership', `server ${leader} has a quorum's promise of epoch ${epoch}, which server ${before.leader} has had before`, { processes: [serverName(before.leader), serverName(leader)] });
    }
    this.#beginnings.set(epoch, { leader, initialZxid, chain: null, acked: new Map(), disksChanged });
  }

  established(sid: number, epoch: number, initialZxid: Zxid): void {
    const other = this.#established.get(epoch);
    if (other !== undefined && other !== sid) this.#fail('Leadership', `servers ${other} and ${sid} both lead epoch ${epoch}`, { processes: [serverName(other), serverName(sid)] });
    this.#established.set(epoch, sid);
    this.#compareWithCommitted(sid, epoch, initialZxid);
    const beginning = this.#beginnings.get(epoch);
    if (beginning !== undefined && beginning.leader === sid) this.#compareAcked(epoch, beginning);
  }

  #compareWithCommitted(sid: number, epoch: number, initialZxid: Zxid): void {
    const lastZxid = this.#committed.lastZxidBefore(epoch);
    const related = { zxids: [lastZxid, initialZxid], processes: [serverName(sid)] };
    if (initialZxid < lastZxid) return this.#fail('PrimaryIntegrity', `server ${sid} leads epoch ${epoch} with a history up to ${formatZxid(initialZxid)}; ${formatZxid(lastZxid)} is committed`, related);
    const log = this.#durability.log(sid);
    const chain = this.#committed.chainOf(lastZxid);
    if (log === null || chain === undefined || log.holds(lastZxid, chain)) return;
    this.#fail('PrimaryIntegrity', `server ${sid} leads epoch ${epoch}, and its disk does not hold ${formatZxid(lastZxid)}, which is committed`, related);
  }

  onSend(from: number, to: number, message: PeerMessage): void {
    if (message.type !== 'ACK' || zxidCounter(message.zxid) !== 0) return;
    const epoch = zxidEpoch(message.zxid);
    const beginning = this.#beginnings.get(epoch);
    if (beginning === undefined || beginning.leader !== to) return;
    const chain = this.#durability.log(from)?.chainAt(beginning.initialZxid) ?? null;
    if (chain === null) {
      const last = this.#durability.log(from)?.lastZxid ?? 0;
      // Behind a SNAP the log may begin later; it may not end earlier.
      if (last < beginning.initialZxid) this.#fail('ProcessConsistency', `server ${from} acked NEWLEADER of epoch ${epoch}, its log ends at ${formatZxid(last)}, the leader's initial history at ${formatZxid(beginning.initialZxid)}`, { zxids: [last, beginning.initialZxid], processes: [serverName(from), serverName(to)] });
      return;
    }
    beginning.acked.set(from, chain);
    this.#compareAcked(epoch, beginning);
  }

  #compareAcked(epoch: number, beginning: Beginning): void {
    const { leader, initialZxid, acked } = beginning;
    beginning.chain ??= this.#durability.log(leader)?.chainAt(initialZxid) ?? null;
    const { chain } = beginning;
    // NaN: the log goes on from a state of which nobody delivered the end.
    if (chain === null || Number.isNaN(chain)) return;
    for (const [sid, theirs] of acked) {
      if (theirs === chain || Number.isNaN(theirs)) continue;
      this.#fail('ProcessConsistency', `server ${sid} acked NEWLEADER of epoch ${epoch} with another history up to ${formatZxid(initialZxid)} than that of the leader, server ${leader}`, { zxids: [initialZxid], processes: [serverName(sid), serverName(leader)] });
    }
    acked.clear();
  }
}
