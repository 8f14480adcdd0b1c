/** The judges of disks and of histories: each fires on a made-up bad one, and not on its legal neighbour. The disks are the simulator's, written by the product's storage. */
import test from 'ava';
import { makeZxid, type Zxid } from '../../coord/base/zxid.ts';
import { Storage } from '../../coord/storage/storage.ts';
import type { PersistOp } from '../../coord/zab/contract.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';
import { CrashableJournalFiles } from '../../sim/doubles/journal-files.ts';
import { CrashableKvStores } from '../../sim/doubles/kv.ts';
import { CommittedLog } from '../../sim/judges/committed-log.ts';
import { Durability } from '../../sim/judges/durability.ts';
import { DurableLog } from '../../sim/judges/durable-log.ts';
import { Leadership } from '../../sim/judges/leadership.ts';
import { World } from '../../sim/world/world.ts';

const at = (counter: number, epoch = 1): Zxid => makeZxid(epoch, counter);
const group = (zxid: Zxid, text = 'x'): TxnGroup => ({ firstZxid: zxid, lastZxid: zxid, bytes: Buffer.from(`${zxid} ${text}`) });
const log = (...groups: TxnGroup[]): PersistOp[] => groups.map((each) => ({ type: 'group', group: each }));
const epochs = (acceptedEpoch: number, currentEpoch: number): PersistOp => ({ type: 'hardState', acceptedEpoch, currentEpoch });
const history = [group(at(1)), group(at(2)), group(at(3))] as const;

/** Three servers with disks, and the judges over them; `found`: what was violated, in order. */
class Court {
  readonly world = new World('disks');
  readonly found: string[] = [];
  readonly sentences: string[] = [];
  readonly committed = new CommittedLog((invariant, sentence) => this.#fail(invariant, sentence));
  readonly durability = new Durability(this.committed, (invariant, sentence) => this.#fail(invariant, sentence));
  readonly leadership = new Leadership(this.committed, this.durability, (invariant, sentence) => this.#fail(invariant, sentence));
  readonly disks = new Map<number, { files: CrashableJournalFiles; kvs: CrashableKvStores }>();
  readonly #storages = new Map<number, Storage>();
  #seq = 0;

  constructor() {
    for (const sid of [1, 2, 3]) {
      const options = { schedule: (delayMs: number, fn: () => void): void => void this.world.schedule(delayMs, fn), prng: this.world.streams(`disk/${sid}`) };
      this.disks.set(sid, { files: new CrashableJournalFiles(options), kvs: new CrashableKvStores(options) });
      this.open(sid);
    }
  }
  #fail(invariant: string, sentence: string): void {
    this.found.push(invariant);
    this.sentences.push(sentence);
  }
  disk(sid: number): { files: CrashableJournalFiles; kvs: CrashableKvStores } {
    return this.disks.get(sid) as { files: CrashableJournalFiles; kvs: CrashableKvStores };
  }
  open(sid: number): void {
    const { files, kvs } = this.disk(sid);
    const storage = new Storage(files, kvs, { segmentBytes: 4096 });
    this.#storages.set(sid, storage);
    storage.open((error) => {
      if (error !== null) throw error;
    });
    this.durability.started(sid, this.disk(sid));
    this.world.run(this.world.nowMs + 100);
  }
  /** Durable when it returns, or still on its way. */
  persist(sid: number, ops: readonly PersistOp[], waits = true): void {
    this.#storages.get(sid)?.persist(ops.map((op) => ({ seq: ++this.#seq, op })), () => {});
    if (waits) this.world.run(this.world.nowMs + 100);
  }
  deliver(sid: number, ...groups: TxnGroup[]): void {
    for (const each of groups) if (this.committed.delivered(sid, each)) this.durability.committed(each.lastZxid);
  }
  ack(from: number, to: number, zxid: Zxid): void {
    this.durability.onSend(from, to, { type: 'ACK', zxid });
    this.leadership.onSend(from, to, { type: 'ACK', zxid });
  }
}

test('what is committed comes to be on each disk, or not', (t) => {
  const court = new Court();
  for (const sid of [1, 2]) court.persist(sid, [epochs(1, 1), ...log(...history)]);
  court.persist(3, [epochs(1, 1), ...log(...history.slice(0, 2))]);
  court.deliver(1, ...history);
  t.deepEqual([1, 2, 3].map((sid) => court.durability.isOnDisk(sid)), [true, true, false]);
  court.persist(3, log(history[2]));
  t.true(court.durability.isOnDisk(3));
  t.deepEqual(court.found, []);
});

test('QuorumDurability: an ACK while the bytes are on their way, and when they have arrived', (t) => {
  const early = new Court();
  early.persist(1, [epochs(1, 1), ...log(...history)], false);
  early.ack(1, 2, at(3));
  t.deepEqual(early.found, ['QuorumDurability']);
  t.regex(early.sentences[0] as string, /^server 1 acked 0x100000003, its disk ends at 0x0$/);
  const court = new Court();
  court.persist(1, [epochs(1, 1), ...log(...history)]);
  court.ack(1, 2, at(3));
  t.deepEqual(court.found, []);
});

test('QuorumDurability: NEWLEADER is acked before currentEpoch is durable, and after', (t) => {
  const court = new Court();
  court.persist(1, [epochs(1, 0)]);
  court.ack(1, 2, at(0));
  t.deepEqual(court.found, ['QuorumDurability']);
  const neighbour = new Court();
  neighbour.persist(1, [epochs(1, 1)]);
  neighbour.ack(1, 2, at(0));
  t.deepEqual(neighbour.found, []);
});

test('QuorumDurability: ACKEPOCH of an epoch, or of a log, that the disk does not know', (t) => {
  const promise = (accepted: number, lastZxid: Zxid): string[] => {
    const court = new Court();
    court.persist(1, [epochs(accepted, 1), ...log(...history)]);
    court.durability.onSend(2, 1, { type: 'LEADERINFO', epoch: 2, originId: 1 });
    court.durability.onSend(1, 2, { type: 'ACKEPOCH', currentEpoch: 1, lastZxid, history: [{ epoch: 1, lastZxid }], appliedZxid: 0 });
    return court.found;
  };
  t.deepEqual(promise(2, at(3)), []);
  t.deepEqual(promise(1, at(3)), ['QuorumDurability']);
  t.deepEqual(promise(2, at(4)), ['QuorumDurability']);
});

test('QuorumDurability: committed with one copy, and with two', (t) => {
  const court = new Court();
  court.persist(1, [epochs(1, 1), ...log(...history)]);
  court.persist(2, [epochs(1, 1), ...log(history[0], history[1])]);
  court.deliver(1, history[0], history[1]);
  t.deepEqual(court.found, []);
  court.deliver(1, history[2]);
  t.deepEqual(court.found, ['QuorumDurability']);
  t.regex(court.sentences[0] as string, /is committed and on the disks of 1 of 3 servers only/);
});

test('QuorumDurability: another content under the same zxid is no copy', (t) => {
  const court = new Court();
  court.persist(1, [epochs(1, 1), ...log(history[0])]);
  court.persist(2, [epochs(1, 1), ...log(group(at(1), 'other'))]);
  court.deliver(1, history[0]);
  t.deepEqual(court.found, ['QuorumDurability']);
});

test('EpochsOnDisk: the log is of an epoch that the disk has not entered; older ones may be handed over before a later one begins', (t) => {
  const court = new Court();
  court.persist(1, [epochs(1, 0), ...log(history[0])]);
  court.durability.log(1);
  t.deepEqual(court.found, ['EpochsOnDisk']);
  const neighbour = new Court();
  neighbour.persist(1, [epochs(2, 0), ...log(history[0])]);
  neighbour.durability.log(1);
  t.deepEqual(neighbour.found, []);
});

test('EpochsOnDisk: a server boots with less than it had promised, and with as much', (t) => {
  const boot = (acceptedEpoch: number, currentEpoch: number, suspect = false): string[] => {
    const court = new Court();
    court.persist(1, [epochs(3, 3)]);
    court.ack(1, 2, at(0, 3));
    court.durability.damaged = suspect;
    court.durability.booted(1, acceptedEpoch, currentEpoch, suspect);
    return court.found;
  };
  t.deepEqual(boot(3, 3), []);
  t.deepEqual(boot(2, 2), ['EpochsOnDisk', 'EpochsOnDisk']);
  t.deepEqual(boot(3, 2), ['EpochsOnDisk']);
  // It says itself that it may have forgotten.
  t.deepEqual(boot(0, 0, true), []);
});

test('Suspect: a server takes its disk for damaged, and none has been; or one has', (t) => {
  const court = new Court();
  court.durability.booted(1, 0, 0, true);
  t.deepEqual(court.found, ['Suspect']);
  const neighbour = new Court();
  neighbour.durability.damaged = true;
  neighbour.durability.booted(1, 0, 0, true);
  t.deepEqual(neighbour.found, []);
});

test('Leadership: a quorum\'s promise of one epoch, twice; after a disk was changed it may be', (t) => {
  const court = new Court();
  court.leadership.synchronizes(1, 2, 0);
  court.leadership.synchronizes(2, 3, 0);
  t.deepEqual(court.found, []);
  court.leadership.synchronizes(3, 2, 0);
  t.deepEqual(court.found, ['Leadership']);
  const neighbour = new Court();
  neighbour.leadership.synchronizes(1, 2, 0);
  neighbour.durability.started(3, { ...neighbour.disk(2) });
  neighbour.leadership.synchronizes(3, 2, 0);
  t.deepEqual(neighbour.found, []);
});

test('CommittedLogMonotonicity: TRUNC of what is committed, and of what is not', (t) => {
  const truncate = (zxid: Zxid): string[] => {
    const court = new Court();
    for (const sid of [1, 2]) court.persist(sid, [epochs(1, 1), ...log(...history)]);
    court.deliver(1, history[0], history[1]);
    court.durability.truncates(2, zxid);
    return court.found;
  };
  t.deepEqual(truncate(at(2)), []);
  t.deepEqual(truncate(at(1)), ['CommittedLogMonotonicity']);
});

test('CommittedLogMonotonicity: another txn under the zxid of a committed one may be cut', (t) => {
  const court = new Court();
  for (const sid of [1, 3]) court.persist(sid, [epochs(1, 1), ...log(history[0], history[1])]);
  court.persist(2, [epochs(1, 1), ...log(history[0], group(at(2), 'never committed'))]);
  court.deliver(1, history[0], history[1]);
  court.durability.truncates(2, at(1));
  t.deepEqual(court.found, []);
});

test('CommittedLogMonotonicity: a snapshot that ends before what its server held and was committed, and one that does not', (t) => {
  const install = (groups: readonly TxnGroup[], damage: 'before' | 'since' | null = null): string[] => {
    const court = new Court();
    for (const sid of [1, 2]) court.persist(sid, [epochs(1, 1), ...log(...history)]);
    court.deliver(1, ...history);
    court.durability.log(2);
    if (damage === 'before') court.durability.damages(2);
    court.persist(2, [{ type: 'snapshotBegin', baseZxid: at(1) }, { type: 'snapshotInstall', baseZxid: at(1), acceptedEpoch: 1, currentEpoch: 1, groups }]);
    if (damage === 'since') {
      court.durability.damages(2);
      court.durability.started(2, court.disk(2));
    }
    court.durability.log(2);
    return court.found;
  };
  const [, second, third] = history as [TxnGroup, TxnGroup, TxnGroup];
  t.deepEqual(install([second, third]), []);
  t.deepEqual(install([second]), ['CommittedLogMonotonicity']);
  t.deepEqual(install([second], 'before'), ['CommittedLogMonotonicity'], 'what a server does after the damage is its own doing');
  t.deepEqual(install([second], 'since'), [], 'what followed may have been there');
});

test('PrimaryIntegrity: a leader without what is committed, and one that has it', (t) => {
  const lead = (zxid: Zxid, held: readonly TxnGroup[], epoch = 2): string[] => {
    const court = new Court();
    for (const sid of [1, 2]) court.persist(sid, [epochs(1, 1), ...log(...history)]);
    court.persist(3, [epochs(1, 1), ...log(...held)]);
    court.deliver(1, ...history);
    court.leadership.established(3, epoch, zxid);
    return court.found;
  };
  t.deepEqual(lead(at(3), history), []);
  t.deepEqual(lead(at(2), [history[0], history[1]]), ['PrimaryIntegrity']);
  // It says that it ends there, and holds something else.
  t.deepEqual(lead(at(3), [history[0], group(at(2), 'other'), history[2]]), ['PrimaryIntegrity']);
  // It was paused: what establishes it came before another led a later epoch, of which it need not know.
  t.deepEqual(lead(0, [], 1), []);
});

test('ProcessConsistency: an ACK of NEWLEADER with another history than the leader\'s, with a shorter one, and with the same', (t) => {
  const follow = (...held: TxnGroup[]): string[] => {
    const court = new Court();
    court.persist(1, [epochs(2, 2), ...log(...history)]);
    court.persist(2, [epochs(2, 2), ...log(...held)]);
    court.leadership.synchronizes(1, 2, at(3));
    court.ack(2, 1, at(0, 2));
    return court.found;
  };
  t.deepEqual(follow(...history), []);
  t.deepEqual(follow(history[0], group(at(2), 'other'), history[2]), ['ProcessConsistency']);
  t.deepEqual(follow(history[0], history[1]), ['ProcessConsistency']);
});

test('a log as it is on disk: cut, begun anew, and read again after a restart', (t) => {
  const court = new Court();
  const read = (): DurableLog => {
    const found = new DurableLog(court.disk(1), (zxid) => court.committed.chainOf(zxid));
    found.update();
    return found;
  };
  court.persist(1, [epochs(1, 1), ...log(...history), { type: 'truncate', zxid: at(1) }, ...log(group(at(2), 'again'))]);
  const chain = read().chainAt(at(2));
  t.is(read().lastZxid, at(2));
  t.is(read().chainAt(at(3)), null);
  t.deepEqual(read().firstAfter(at(1)), { zxid: at(2), chain: chain as number });
  // The new segment's head stands before records that are written again.
  court.disk(1).files.crash();
  court.disk(1).kvs.crash();
  court.open(1);
  t.is(read().lastZxid, at(2));
  t.is(read().chainAt(at(2)), chain);
  t.is(read().currentEpoch, 1);
  court.persist(1, [epochs(2, 2), ...log(group(at(1, 2)))]);
  t.is(read().lastZxid, at(1, 2));
  t.is(read().wrong, null);
});
