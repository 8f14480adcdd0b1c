/**
 * What a Storage promises, as a model: after any crash the log is the one that stood after some op between the last acknowledged and
 * the last handed over, and the state is that of the last flush that was answered, or of the one in flight.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { makeZxid, zxidEpoch, zxidCounter, type Zxid } from '../../../coord/base/zxid.ts';
import type { PersistOp, RecoveredHistory } from '../../../coord/zab/contract.ts';
import type { TxnGroup } from '../../../coord/zab/txn-group.ts';
import type { Recovered, Storage } from '../../../coord/storage/storage.ts';
import { SMALL, type VirtualDisk } from './virtual-disk.ts';

export type Command =
  | { readonly type: 'groups'; readonly sizes: readonly number[] }
  | { readonly type: 'epoch' }
  | { readonly type: 'truncate'; readonly back: number }
  | { readonly type: 'snapshot'; readonly entries: number; readonly groups: number; readonly sameTurn: boolean }
  | { readonly type: 'flush'; readonly keys: readonly number[] }
  | { readonly type: 'purge' }
  | { readonly type: 'steps'; readonly n: number }
  | { readonly type: 'settle' }
  | { readonly type: 'crash' }
  | { readonly type: 'kill' }
  | { readonly type: 'stop' }
  | { readonly type: 'failWrite' }
  | { readonly type: 'failBatch' };

interface Log {
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  /** Where the log began, at the latest: a snapshot's base, or 0. */
  readonly base: Zxid;
  readonly groups: readonly TxnGroup[];
}

type State = ReadonlyMap<string, string>;

export class StorageModel {
  readonly #disk: VirtualDisk;
  #storage!: Storage;
  #seq = 0;
  #acked = 0;
  /** Log after each op, from the last acknowledged one on. */
  #logs = new Map<number, Log>([[0, { acceptedEpoch: 0, currentEpoch: 0, base: 0, groups: [] }]]);
  /** States that may be on disk, by zxid. */
  #states = new Map<Zxid, State>([[0, new Map()]]);
  #flushed: Zxid = 0;
  #flushInFlight: Zxid | null = null;
  #failed = false;
  #persistFailed = false;
  #installing = false;
  #life = 0;
  readonly seen = { crashes: 0, cut: 0, kept: 0, installs: 0, failures: 0 };

  constructor(disk: VirtualDisk) {
    this.#disk = disk;
    this.#begin();
  }

  do(command: Command): void {
    if (this.#failed && command.type !== 'crash' && command.type !== 'kill') {
      this.#failed = false;
      this.seen.failures++;
      this.#life++;
      this.#disk.await<void>((done) => this.#storage.close(done));
      this.#begin();
    }
    const log = this.#last();
    switch (command.type) {
      case 'groups':
        if (log.currentEpoch === 0) return this.do({ type: 'epoch' });
        this.#persist(this.#groupsAfter(lastOf(log), log.currentEpoch, command.sizes).map((group) => ({ type: 'group', group })));
        return;
      case 'epoch': {
        const epoch = log.acceptedEpoch + 1;
        // As a server does it: the promise first, the epoch together with its first txns.
        this.#persist([{ type: 'hardState', acceptedEpoch: epoch, currentEpoch: log.currentEpoch }]);
        this.#persist([
          { type: 'hardState', acceptedEpoch: epoch, currentEpoch: epoch },
          ...this.#groupsAfter(lastOf(log), epoch, [20]).map((group): PersistOp => ({ type: 'group', group })),
        ]);
        return;
      }
      case 'truncate': {
        const floor = Math.max(this.#flushed, this.#flushInFlight ?? 0, log.base);
        const ends = [floor, ...log.groups.map((group) => group.lastZxid).filter((zxid) => zxid > floor)];
        const zxid = ends[Math.max(0, ends.length - 1 - command.back)] as Zxid;
        if (zxid >= lastOf(log)) return;
        this.#persist([{ type: 'truncate', zxid }]);
        // A zxid names one txn for ever: what was cut off is not followed by others of its epoch.
        return this.do({ type: 'epoch' });
      }
      case 'snapshot': {
        if (this.#installing) return;
        const epoch = log.acceptedEpoch + 1;
        const baseZxid = makeZxid(epoch, 100);
        const entries = Array.from({ length: command.entries }, (_, i): [string, Uint8Array] => [`z/snap${i}`, this.#disk.prng.bytes(40)]);
        this.#states.set(baseZxid, new Map(entries.map(([key, value]) => [key, hex(value)])));
        const ops: PersistOp[] = [{ type: 'snapshotBegin', baseZxid }];
        for (let i = 0; i < entries.length; i += 7) ops.push({ type: 'snapshotChunk', entries: entries.slice(i, i + 7) });
        const groups = this.#groupsAfter(baseZxid, epoch, Array.from({ length: command.groups }, () => 200));
        ops.push({ type: 'snapshotInstall', baseZxid, acceptedEpoch: epoch, currentEpoch: epoch, groups });
        this.#installing = true;
        if (command.sameTurn) this.#persist(ops);
        else for (const op of ops) this.#persist([op]);
        return;
      }
      case 'flush': {
        const zxid = this.#storage.lastDurableZxid;
        if (this.#storage.flushing || this.#installing || zxid <= this.#flushed || zxid > lastOf(log)) return;
        if (!log.groups.some((group) => group.lastZxid === zxid)) return;
        const state = new Map(this.#states.get(this.#flushed));
        const puts: [string, Uint8Array][] = [];
        const dels: string[] = [];
        for (const n of command.keys) {
          const key = `z/${n}`;
          if (state.has(key) && n % 2 === 1) {
            state.delete(key);
            dels.push(key);
          } else if (!puts.some(([other]) => other === key) && !dels.includes(key)) {
            const value = this.#disk.prng.bytes(1 + n);
            state.set(key, hex(value));
            puts.push([key, value]);
          }
        }
        this.#states.set(zxid, state);
        this.#flushInFlight = zxid;
        const life = this.#life;
        this.#storage.flush({ puts, dels }, zxid, (error) => {
          if (life !== this.#life) return;
          if (error !== null) {
            this.#failed = true;
            return;
          }
          this.#flushed = zxid;
          this.#flushInFlight = null;
          equal(this.#storage.flushedZxid, zxid);
        });
        return;
      }
      case 'purge':
        this.#storage.purge(Infinity);
        return;
      case 'steps':
        for (let i = 0; i < command.n; i++) this.#disk.step();
        return;
      case 'settle':
        this.#disk.run();
        if (!this.#failed) {
          equal(this.#acked, this.#seq, 'everything is acknowledged in the end');
          equal(this.#storage.lastDurableZxid, lastOf(log));
        }
        return;
      case 'crash':
      case 'kill':
        this.seen.crashes++;
        if (command.type === 'crash') this.#disk.crash();
        else {
          this.#disk.files.kill();
          this.#disk.kvs.crash();
        }
        this.#failed = false;
        this.#begin();
        return;
      case 'stop':
        this.#disk.await<void>((done) => this.#storage.close(done));
        this.#failed = false;
        this.#begin();
        return;
      case 'failWrite':
        this.#disk.files.failWrites(1);
        return;
      case 'failBatch':
        this.#disk.kvs.store('state').failBatches(1);
        return;
    }
  }

  /** Stops, damages the disk, opens: nothing may be missing unless the storage says so. True: it says so. */
  damage(how: (disk: VirtualDisk) => void): boolean {
    if (this.#failed) this.do({ type: 'steps', n: 0 });
    this.#disk.run();
    this.#disk.await<void>((done) => this.#storage.close(done));
    how(this.#disk);
    this.#life++;
    const { storage, recovered } = this.#disk.open(SMALL);
    this.#storage = storage;
    ok(recovered.history.acceptedEpoch >= recovered.history.currentEpoch);
    if (recovered.history.suspect) {
      ok(recovered.warnings.length > 0);
      return true;
    }
    this.#check(recovered.history, recovered);
    return false;
  }

  /** Opens what is on disk, failing writes included, and compares. */
  #begin(): void {
    this.#life++;
    retry(() => {
      const { storage, recovered } = this.#disk.open(SMALL);
      this.#storage = storage;
      this.#check(recovered.history, recovered);
    });
  }

  #check(history: RecoveredHistory, recovered?: Recovered): void {
    equal(history.suspect, false, `sound disk, but: ${recovered?.warnings.join('; ')}`);
    const applied = history.appliedZxid;
    const possible = new Set([this.#flushed, ...(this.#flushInFlight === null ? [] : [this.#flushInFlight])]);
    const found = [...this.#logs].filter(([seq]) => seq >= this.#acked).filter(([, log]) => matches(log, history));
    ok(found.length > 0, `no log between #${this.#acked} and #${this.#seq} is what was recovered: ${brief(history)}; last ${JSON.stringify(this.#last(), short)}`);
    const [seq, log] = found.at(-1) as [number, Log];
    if (seq < this.#seq) this.seen.cut++;
    if (seq > this.#acked) this.seen.kept++;
    if (log.base > 0) possible.add(log.base);
    ok(possible.has(applied), `the state is that of ${applied}, not one of ${[...possible]}`);
    const state = this.#states.get(applied) as State;
    this.#compareState(state);
    this.#compareJournal(log, history.journalStartZxid);
    this.#logs = new Map([[seq, log]]);
    this.#states = new Map([[applied, state]]);
    this.#acked = this.#seq = seq;
    this.#flushed = applied;
    this.#flushInFlight = null;
    this.#installing = false;
    this.#persistFailed = false;
    equal(this.#storage.flushedZxid, applied);
    equal(this.#storage.lastDurableZxid, lastOf(log));
  }

  #compareState(state: State): void {
    const loaded = new Map<string, string>();
    this.#disk.await<void>((done) => this.#storage.loadState((entries) => entries.forEach(([key, value]) => loaded.set(key, hex(value))), done));
    deepEqual(loaded, new Map(state));
    const snapshot = this.#storage.openSnapshot();
    const sent = new Map<string, string>();
    for (let more = true; more; ) {
      const entries = this.#disk.await<[string, Uint8Array][]>((done) => snapshot.next(300, done));
      for (const [key, value] of entries) sent.set(key, hex(value));
      more = entries.length > 0;
    }
    snapshot.close();
    deepEqual(sent, new Map(state));
  }

  #compareJournal(log: Log, startZxid: Zxid): void {
    const expected = log.groups.filter((group) => group.firstZxid > startZxid);
    const read: TxnGroup[] = [];
    for (let after = startZxid; after < lastOf(log); after = (read.at(-1) as TxnGroup).lastZxid) {
      const groups = this.#disk.await<TxnGroup[]>((done) => this.#storage.readGroups(after, 1000, done));
      ok(groups.length > 0, `no groups after ${after}, journal from ${startZxid} to ${lastOf(log)}`);
      read.push(...groups);
    }
    deepEqual(read.map(plain), expected.map(plain));
  }

  #persist(ops: readonly PersistOp[]): void {
    const numbered = ops.map((op) => {
      const seq = ++this.#seq;
      this.#logs.set(seq, after(this.#logs.get(seq - 1) as Log, op));
      return { seq, op };
    });
    const life = this.#life;
    const expected = this.#seq;
    this.#storage.persist(numbered, (error, seq) => {
      if (life !== this.#life) return;
      if (error !== null) {
        this.#failed = true;
        this.#persistFailed = true;
        return;
      }
      ok(!this.#persistFailed, 'acknowledged after a failure');
      equal(seq, expected);
      ok(seq > this.#acked, 'acknowledged in order');
      this.#acked = seq;
      for (const { op } of numbered) {
        if (op.type !== 'snapshotInstall') continue;
        this.seen.installs++;
        this.#installing = false;
        this.#flushed = op.baseZxid;
        this.#flushInFlight = null;
      }
      for (const old of this.#logs.keys()) if (old < seq) this.#logs.delete(old);
    });
  }

  #groupsAfter(last: Zxid, epoch: number, sizes: readonly number[]): TxnGroup[] {
    let counter = zxidEpoch(last) === epoch ? zxidCounter(last) : 0;
    return sizes.map((size) => {
      const firstZxid = makeZxid(epoch, counter + 1);
      counter += 1 + (size % 3);
      return { firstZxid, lastZxid: makeZxid(epoch, counter), bytes: this.#disk.prng.bytes(size) };
    });
  }

  #last(): Log {
    return this.#logs.get(this.#seq) as Log;
  }
}

/** A write may be told to fail while the storage opens: the next attempt finds the same. */
function retry(attempt: () => void): void {
  for (let attempts = 1; ; attempts++) {
    try {
      return attempt();
    } catch (error) {
      const { code } = error as { code?: string };
      if (attempts > 3 || (code !== 'COORD_DISK_FAILED' && code !== 'EIO')) throw error;
    }
  }
}

function after(log: Log, op: PersistOp): Log {
  switch (op.type) {
    case 'group':
      return { ...log, groups: [...log.groups, op.group] };
    case 'truncate':
      return { ...log, groups: log.groups.filter((group) => group.lastZxid <= op.zxid) };
    case 'hardState':
      return { ...log, acceptedEpoch: op.acceptedEpoch, currentEpoch: op.currentEpoch };
    case 'snapshotInstall':
      return { acceptedEpoch: op.acceptedEpoch, currentEpoch: op.currentEpoch, base: op.baseZxid, groups: op.groups };
    default:
      return log;
  }
}

function lastOf(log: Log): Zxid {
  return log.groups.at(-1)?.lastZxid ?? log.base;
}

function matches(log: Log, history: RecoveredHistory): boolean {
  const tail = log.groups.filter((group) => group.firstZxid > history.appliedZxid);
  const end = history.tail.at(-1)?.lastZxid ?? history.appliedZxid;
  return (
    log.acceptedEpoch === history.acceptedEpoch && log.currentEpoch === history.currentEpoch && Math.max(lastOf(log), history.appliedZxid) === end &&
    JSON.stringify(tail.map(plain)) === JSON.stringify(history.tail.map(plain)) &&
    (lastOf(log) === 0 || history.epochEnds.at(-1)?.lastZxid === lastOf(log))
  );
}

function plain(group: TxnGroup): unknown {
  return [group.firstZxid, group.lastZxid, hex(group.bytes)];
}
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
function brief(history: RecoveredHistory): string {
  return JSON.stringify({ ...history, tail: history.tail.map((group) => group.lastZxid) });
}
function short(key: string, value: unknown): unknown {
  return key === 'bytes' ? undefined : value;
}
