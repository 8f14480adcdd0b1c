/**
 * What servers say of their disks, against the bytes on them.
 *
 *   QuorumDurability           whoever sends ACK or ACKEPOCH has what it promises on its disk; whatever is committed is on the disks of a quorum
 *   Suspect                    a server finds its disk damaged only if it is: no crash and no refused write may leave one like that
 *   EpochsOnDisk               current <= accepted, and nothing of an epoch is logged before currentEpoch says so; epochs never go back: who boots
 *                              knows what it promised before
 *   CommittedLogMonotonicity   what is committed is never removed from a log, by TRUNC or by SNAP
 *
 * Sources: ZOOKEEPER-3911, 4643, 4646 (ACK before the bytes), 2307, 4269 (epochs), 2846, 3526, 4837 (wrong TRUNC); Zab.tla CommittedLogMonotonicity.
 */
import { formatZxid, zxidCounter, zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { Related } from '../world/world.ts';
import type { CommittedLog } from './committed-log.ts';
import { DurableLog, type Disk } from './durable-log.ts';
import { serverName, type Fail } from './fail.ts';

/** What a server has promised to others, which its disk must remember. */
interface Promised {
  /** The disk that knows of it. */
  readonly files: Disk['files'];
  acceptedEpoch: number;
  currentEpoch: number;
}

export class Durability {
  readonly #fail: Fail;
  readonly #committed: CommittedLog;
  readonly #disks = new Map<number, Disk>();
  /** Each server's files as it last started. */
  readonly #files = new Map<number, Disk['files']>();
  readonly #logs = new Map<number, DurableLog>();
  /** Not running: whatever is done to such a disk, it has kept its word, so the log stays what it was. */
  readonly #down = new Set<number>();
  readonly #promised = new Map<number, Promised>();
  /** What each server has acked with the bytes on its disk. A disk that is damaged between ACK and commit has kept its word. */
  readonly #acked = new Map<number, Zxid>();
  /** Epoch of the newest LEADERINFO, by the one who sent it and the one who got it. */
  readonly #offered = new Map<number, number>();
  /** Set once the ensemble is known. */
  voters = 0;
  /** Disks with damage: read from the beginning, what is missing in them tells nothing of what was removed. */
  readonly #holed = new Set<Disk['files']>();
  /** How often a server has come back to another disk than before. */
  disksChanged = 0;
  /** Some disk has been damaged, lost or swapped. */
  damaged = false;

  constructor(committed: CommittedLog, fail: Fail) {
    this.#committed = committed;
    this.#fail = fail;
  }

  /** `disk` gives the files as they are at the time: a disk may be lost or swapped. */
  started(sid: number, disk: Disk): void {
    const files = this.#files.get(sid);
    if (files !== undefined && files !== disk.files) this.disksChanged++;
    this.#files.set(sid, disk.files);
    this.#disks.set(sid, disk);
    this.#down.delete(sid);
    // The crash may have taken back what was in flight, and brought some of it to the disk.
    this.#logs.delete(sid);
    this.voters = Math.max(this.voters, sid);
  }
  crashed(sid: number): void {
    this.#down.add(sid);
  }

  damages(sid: number): void {
    const files = this.#disks.get(sid)?.files;
    if (files !== undefined) this.#holed.add(files);
  }

  /** The server's log as its disk holds it now. */
  log(sid: number): DurableLog | null {
    const disk = this.#disks.get(sid);
    if (disk === undefined) return null;
    let log = this.#logs.get(sid);
    if (log !== undefined && this.#down.has(sid)) return log;
    const isFresh = log === undefined || log.files !== disk.files;
    if (log === undefined || log.files !== disk.files) {
      log = new DurableLog({ files: disk.files, kvs: disk.kvs }, (zxid) => this.#committed.chainOf(zxid));
      this.#logs.set(sid, log);
    }
    let lost: Zxid = 0;
    log.update((from) => {
      lost = Math.min(from, this.#committed.lastZxid);
    });
    const isTold = !isFresh || !this.#holed.has(disk.files);
    if (isTold && lost > 0 && log.lastZxid > 0 && log.lastZxid < lost && this.#committed.chainOf(lost) !== undefined) {
      this.#fail('CommittedLogMonotonicity', `server ${sid} installed a snapshot up to ${formatZxid(log.lastZxid)}, its log before it ended at ${formatZxid(lost)}, which is committed`, { zxids: [lost, log.lastZxid], processes: [serverName(sid)] });
    }
    if (log.wrong !== null) this.#fail('EpochsOnDisk', `on the disk of server ${sid} ${log.wrong}`, { processes: [serverName(sid)] });
    return log;
  }

  booted(sid: number, acceptedEpoch: number, currentEpoch: number, suspect: boolean): void {
    if (suspect && !this.damaged) this.#fail('Suspect', `server ${sid} takes its disk for damaged, and no disk has been`, { processes: [serverName(sid)] });
    const promised = this.#promised.get(sid);
    // Another disk cannot know; a suspect server says that it may have forgotten, and takes no part.
    if (promised === undefined || promised.files !== this.#disks.get(sid)?.files || suspect) return;
    if (acceptedEpoch < promised.acceptedEpoch) this.#fail('EpochsOnDisk', `server ${sid} boots with acceptedEpoch ${acceptedEpoch}, it had promised ${promised.acceptedEpoch}`, { processes: [serverName(sid)] });
    if (currentEpoch < promised.currentEpoch) this.#fail('EpochsOnDisk', `server ${sid} boots with currentEpoch ${currentEpoch}, it had acked NEWLEADER of ${promised.currentEpoch}`, { processes: [serverName(sid)] });
  }

  /** A TRUNC is about to be written: everything above `zxid` goes. */
  truncates(sid: number, zxid: Zxid): void {
    this.#acked.set(sid, Math.min(zxid, this.#acked.get(sid) ?? 0));
    if (zxid >= this.#committed.lastZxid) return;
    const first = this.log(sid)?.firstAfter(zxid);
    if (first === null || first === undefined || this.#committed.chainOf(first.zxid) !== first.chain) return;
    this.#fail('CommittedLogMonotonicity', `server ${sid} truncates its log to ${formatZxid(zxid)} and with it ${formatZxid(first.zxid)}, which is committed`, { zxids: [zxid, first.zxid], processes: [serverName(sid)] });
  }

  /** Every message between servers, before it is on its way. */
  onSend(from: number, to: number, message: PeerMessage): void {
    switch (message.type) {
      case 'LEADERINFO':
        // Only a leader sends it, and what the learner answers is a promise for that epoch.
        this.#offered.set(from * 256 + to, message.epoch);
        return;
      case 'ACKEPOCH': {
        const log = this.log(from);
        if (log === null) return;
        const related = { zxids: [message.lastZxid], processes: [serverName(from), serverName(to)] };
        if (log.lastZxid < message.lastZxid) this.#fail('QuorumDurability', `server ${from} sent ACKEPOCH with ${formatZxid(message.lastZxid)}, its disk ends at ${formatZxid(log.lastZxid)}`, related);
        // A suspect server promises nothing.
        if (message.history.length === 0) return;
        const epoch = this.#offered.get(to * 256 + from) ?? 0;
        if (log.acceptedEpoch < epoch) this.#fail('QuorumDurability', `server ${from} promised epoch ${epoch}, its disk says ${log.acceptedEpoch}`, related);
        this.#promise(from, epoch, 0);
        return;
      }
      case 'ACK': {
        const log = this.log(from);
        if (log === null) return;
        const epoch = zxidEpoch(message.zxid);
        const related = (): Related => ({ zxids: [message.zxid], processes: [serverName(from), serverName(to)] });
        // Counter 0 acks NEWLEADER. Acks below it, while older epochs are still being sent, promise their bytes only.
        if (zxidCounter(message.zxid) === 0) {
          if (log.currentEpoch < epoch) this.#fail('QuorumDurability', `server ${from} acked NEWLEADER of epoch ${epoch}, its disk says currentEpoch ${log.currentEpoch}`, related());
          this.#promise(from, epoch, epoch);
        } else if (log.lastZxid < message.zxid) this.#fail('QuorumDurability', `server ${from} acked ${formatZxid(message.zxid)}, its disk ends at ${formatZxid(log.lastZxid)}`, related());
        this.#acked.set(from, Math.max(message.zxid, this.#acked.get(from) ?? 0));
        return;
      }
    }
  }

  /** Delivered by someone for the first time: it must be on the disks of a quorum. */
  committed(zxid: Zxid): void {
    const chain = this.#committed.chainOf(zxid);
    if (this.voters === 0 || chain === undefined) return;
    let copies = 0;
    for (const sid of this.#disks.keys()) if ((this.#acked.get(sid) ?? 0) >= zxid || this.log(sid)?.holds(zxid, chain) === true) copies++;
    const quorum = Math.floor(this.voters / 2) + 1;
    if (copies >= quorum) return;
    this.#fail('QuorumDurability', `${formatZxid(zxid)} is committed and on the disks of ${copies} of ${this.voters} servers only`, { zxids: [zxid], processes: [...this.#disks.keys()].map(serverName) });
  }

  /** All that is committed is on this server's disk, as it must be in the end. Of damaged disks nothing is asked: what is on them cannot be read. */
  isOnDisk(sid: number): boolean {
    return this.damaged || (this.log(sid)?.lastZxid ?? 0) >= this.#committed.lastZxid;
  }

  #promise(sid: number, acceptedEpoch: number, currentEpoch: number): void {
    const promised = this.#promised.get(sid);
    const files = this.#disks.get(sid)?.files;
    if (files === undefined) return;
    if (promised?.files !== files) this.#promised.set(sid, { files, acceptedEpoch, currentEpoch });
    else {
      promised.acceptedEpoch = Math.max(promised.acceptedEpoch, acceptedEpoch);
      promised.currentEpoch = Math.max(promised.currentEpoch, currentEpoch);
    }
  }
}
