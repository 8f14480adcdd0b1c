/**
 * What the driver knows of the disk: the journal and the state as one.
 *
 * Decides the order between the two: chunks of a received snapshot go to the state, and the record that makes it count goes to the
 * journal only when the state holds all of it; what comes behind it waits.
 *
 * Invariants:
 *  - Acknowledgements come in the order of the persist calls, each only when everything before it is durable.
 *  - flushed <= own durable journal (or the base that the journal begins at), asserted; flushed <= applied is the caller's.
 *  - After the first op that could not be persisted nothing is acknowledged: only a new Storage over the same files goes on.
 *    After a failed flush no other flush succeeds.
 *  - A group that was acknowledged leaves the journal only when the state holds it.
 *
 * Leaves to others: bytes and recovery of the journal (journal.ts, journal-recovery.ts), keys of the state (state-store.ts), when to
 * flush and when to try again (coord/runtime).
 */
import { assert } from '../base/assert.ts';
import { DreyError } from '../base/errors.ts';
import type { Callback, Clock, JournalFiles, KvStores } from '../base/ports.ts';
import { formatZxid, type Zxid } from '../base/zxid.ts';
import type { PersistOp, RecoveredHistory } from '../zab/contract.ts';
import type { TxnGroup } from '../zab/txn-group.ts';
import { groupOf, Journal, type JournalOp } from './journal.ts';
import { generationOf, recover, type Recovery } from './journal-recovery.ts';
import type { Position } from './journal-record.ts';
import { StateStore, type StateEntries, type StateSnapshot } from './state-store.ts';

export type { StateEntries, StateSnapshot } from './state-store.ts';

export interface StorageOptions {
  /** Size of a journal segment. Default 16 MB. */
  readonly segmentBytes?: number;
  /** Journal kept for DIFF from disk even when the state holds it all. Default 64 MB. */
  readonly keepBytes?: number;
  /** For stats only. */
  readonly clock?: Clock;
}

export interface Recovered {
  readonly history: RecoveredHistory;
  /** Every entry of the state as of history.appliedZxid, in chunks. */
  loadState(onEntries: (entries: StateEntries) => void, done: Callback): void;
  /** Sentences for people: a tail that was cut, damage that was found. */
  readonly warnings: readonly string[];
}

export interface StorageStats {
  readonly segments: number;
  readonly journalBytes: number;
  readonly journalWrites: number;
  readonly journalWrittenBytes: number;
  /** Of persist calls that are done; 0 without a clock. */
  readonly persistMsAvg: number;
  readonly persistMsMax: number;
}

interface Persist {
  readonly ops: readonly { readonly seq: number; readonly op: PersistOp }[];
  /** The next op to be handed on. */
  next: number;
  /** Parts handed on and not yet durable. */
  open: number;
  readonly beganMs: number;
  readonly done: Callback<number>;
}

const SEGMENT_BYTES = 16 * 1024 * 1024;
const KEEP_BYTES = 64 * 1024 * 1024;
const STORE_NAME = 'state';

export class Storage {
  readonly #files: JournalFiles;
  readonly #kvs: KvStores;
  readonly #options: StorageOptions;
  #journal: Journal | null = null;
  #state: StateStore | null = null;
  /** In order; the first ones are being made durable, the last ones may not have been handed on yet. */
  #persists: Persist[] = [];
  /** The state is taking a part of a snapshot: what comes behind waits. */
  #barrier = false;
  #installing = false;
  /** snapshotInstall has come while a flush was in flight. */
  #waitsForFlush = false;
  #error: Error | null = null;
  #closed = false;
  /** Increases with each open, so that answers to an earlier life are not mistaken. */
  #life = 0;
  #done = 0;
  #doneMs = 0;
  #doneMsMax = 0;

  constructor(files: JournalFiles, kvs: KvStores, options: StorageOptions = {}) {
    this.#files = files;
    this.#kvs = kvs;
    this.#options = options;
  }

  /** Zxid of the state on disk. */
  get flushedZxid(): Zxid {
    return this.#state?.appliedZxid ?? 0;
  }
  /** End of the log as far as it is durable, truncations included. */
  get lastDurableZxid(): Zxid {
    return this.#journal?.durableZxid ?? 0;
  }
  /** No flush may begin: one is in flight, or a snapshot is taking the place of the state. */
  get flushing(): boolean {
    return this.#installing || (this.#state?.flushing ?? false);
  }
  open(done: Callback<Recovered>): void {
    assert(this.#journal === null && !this.#closed, 'storage opened twice');
    const life = ++this.#life;
    this.#kvs.open(STORE_NAME, (error, kv) => {
      if (error !== null) return done(error, NOTHING);
      const state = new StateStore(kv);
      this.#openJournal(state, (failed, recovered) => {
        if (failed === null && life === this.#life) {
          this.#error = null;
          return done(null, recovered);
        }
        const journal = this.#journal;
        this.#journal = null;
        this.#state = null;
        closeBoth(journal, state, () => done(failed ?? new DreyError('COORD_DISK_FAILED', 'the storage was closed while it opened'), NOTHING));
      });
    });
  }

  /**
   * Ops in order, one journal write for all of them where they fit. `done` gets the last seq when they are durable, in the order of
   * the calls.
   */
  persist(ops: readonly { readonly seq: number; readonly op: PersistOp }[], done: Callback<number>): void {
    assert(ops.length > 0, 'nothing to persist');
    const { journal } = this.#opened();
    this.#persists.push({ ops, next: 0, open: 0, beganMs: this.#nowMs(), done });
    if (this.#error === null) this.#handOn();
    else {
      const error = this.#error;
      // An answer never comes within the call.
      journal.readGroups(Infinity, 0, () => this.#failAll(error));
    }
  }

  /** What changed in the state up to appliedZxid, in one synced batch. One at a time. */
  flush(entries: { readonly puts: StateEntries; readonly dels: readonly string[] }, appliedZxid: Zxid, done: Callback): void {
    const { journal, state } = this.#opened();
    assert(!this.flushing, 'one flush at a time');
    if (appliedZxid > journal.durableZxid) assert(false, `state of ${formatZxid(appliedZxid)} flushed before the journal holds it (${formatZxid(journal.durableZxid)})`);
    state.flush(entries.puts, entries.dels, appliedZxid, journal.durable, (error) => {
      done(error);
      if (!this.#waitsForFlush || this.#state !== state) return;
      this.#waitsForFlush = false;
      this.#barrier = false;
      this.#handOn();
    });
  }

  /** The state as of the newest flush, for SNAP. Must be closed. */
  openSnapshot(): StateSnapshot {
    return this.#opened().state.openSnapshot();
  }

  loadState(onEntries: (entries: StateEntries) => void, done: Callback): void {
    this.#opened().state.load(onEntries, done);
  }

  /** Durable groups after `afterZxid`, contiguous, about bytesMax bytes and at least one; none when it cannot be served from here. */
  readGroups(afterZxid: Zxid, bytesMax: number, done: Callback<TxnGroup[]>): void {
    this.#opened().journal.readGroups(afterZxid, bytesMax, done);
  }

  /** Lets go of the journal up to min(flushed, keepAfterZxid), except the newest keepBytes. To be called after flushes. */
  purge(keepAfterZxid: Zxid): void {
    const { journal, state } = this.#opened();
    journal.purge(Math.min(keepAfterZxid, state.appliedZxid), this.#options.keepBytes ?? KEEP_BYTES);
  }

  stats(): StorageStats {
    const journal = this.#journal;
    return {
      segments: journal?.segments ?? 0,
      journalBytes: journal?.bytesOnDisk ?? 0,
      journalWrites: journal?.counts.writes ?? 0,
      journalWrittenBytes: journal?.counts.bytes ?? 0,
      persistMsAvg: this.#done === 0 ? 0 : this.#doneMs / this.#done,
      persistMsMax: this.#doneMsMax,
    };
  }

  /** Waits for what is in flight; acknowledgements may still come before `done`. */
  close(done: Callback): void {
    assert(!this.#closed, 'storage closed twice');
    this.#closed = true;
    closeBoth(this.#journal, this.#state, () => {
      this.#life++;
      this.#failAll(new DreyError('COORD_DISK_FAILED', 'the storage is closed'));
      this.#journal = null;
      this.#state = null;
      done(null);
    });
  }

  // ---------------------------------------------------------------- inside

  #openJournal(state: StateStore, done: Callback<Recovered>): void {
    Journal.read(this.#files, (error, segments) => {
      if (error !== null) return done(error, NOTHING);
      state.openGeneration(generationOf(segments), (stateError, found) => {
        if (stateError !== null) return done(stateError, NOTHING);
        const missing = found.exists && segments.every(({ head }) => head === null) ? ['the journal is missing, though there is a state'] : [];
        const recovery = recover(segments, found.witness, [...found.problems, ...missing]);
        const journal = new Journal(this.#files, this.#options.segmentBytes ?? SEGMENT_BYTES);
        this.#journal = journal;
        journal.start(segments, recovery, (startError) => {
          if (startError !== null) return done(startError, NOTHING);
          // From now on the state bears witness that there is this segment.
          state.flush([], [], state.appliedZxid, journal.durable, (flushError) => {
            if (flushError !== null) return done(flushError, NOTHING);
            this.#state = state;
            state.deleteGarbage();
            const history = historyOf(recovery, state.appliedZxid);
            done(null, { history, warnings: recovery.warnings, loadState: (onEntries, loaded) => state.load(onEntries, loaded) });
          });
        });
      });
    });
  }

  /** Hands on whatever is not waiting for a snapshot. */
  #handOn(): void {
    if (this.#error !== null || this.#closed) return;
    for (const persist of this.#persists) {
      while (persist.next < persist.ops.length) {
        if (this.#barrier) return;
        this.#handOnFrom(persist);
      }
    }
  }

  #handOnFrom(persist: Persist): void {
    const first = (persist.ops[persist.next] as { op: PersistOp }).op;
    switch (first.type) {
      case 'snapshotBegin':
        persist.next++;
        this.#opened().state.beginInstall();
        this.#part(persist, (done) => this.#opened().state.addInstall([], done));
        return;
      case 'snapshotChunk':
        persist.next++;
        this.#part(persist, (done) => this.#opened().state.addInstall(first.entries, done));
        return;
      case 'snapshotInstall':
        this.#installing = true;
        // A flush of the old generation must have ended; flush() goes on from here.
        if (this.#opened().state.flushing) {
          this.#barrier = true;
          this.#waitsForFlush = true;
          return;
        }
        persist.next++;
        this.#install(persist, first);
        return;
      default: {
        const ops: JournalOp[] = [];
        for (; persist.next < persist.ops.length; persist.next++) {
          const { op } = persist.ops[persist.next] as { op: PersistOp };
          if (op.type === 'snapshotBegin' || op.type === 'snapshotChunk' || op.type === 'snapshotInstall') break;
          ops.push(op);
        }
        this.#part(persist, (done) => this.#opened().journal.append(ops, done));
      }
    }
  }

  #install(persist: Persist, op: PersistOp & { type: 'snapshotInstall' }): void {
    const { journal, state } = this.#opened();
    this.#barrier = true;
    const life = this.#life;
    this.#part(persist, (done) =>
      state.finishInstall(op.baseZxid, (error, generation) => {
        if (error !== null) return done(error);
        if (life !== this.#life || this.#closed) return done(new DreyError('COORD_DISK_FAILED', 'the storage is closed'));
        const { baseZxid, acceptedEpoch, currentEpoch, groups } = op;
        journal.append([{ type: 'restart', baseZxid, acceptedEpoch, currentEpoch, groups, generation }], (failed) => {
          if (failed !== null) return done(failed);
          state.switchTo(generation, baseZxid);
          this.#barrier = false;
          this.#installing = false;
          done(null);
          this.#handOn();
        });
      }),
    );
  }

  /** A part of a persist call; the call is done when all its parts are, and all calls before it. */
  #part(persist: Persist, begin: (done: Callback) => void): void {
    const life = this.#life;
    persist.open++;
    begin((error) => {
      persist.open--;
      if (life !== this.#life || this.#error !== null) return;
      if (error !== null) this.#failAll(error);
      else this.#acknowledge();
    });
  }

  #acknowledge(): void {
    const persists = this.#persists;
    let finished = 0;
    for (; finished < persists.length; finished++) {
      const { open, next, ops } = persists[finished] as Persist;
      if (open > 0 || next < ops.length) break;
    }
    if (finished === 0) return;
    const nowMs = this.#nowMs();
    const ready = persists.splice(0, finished);
    for (const persist of ready) {
      const tookMs = nowMs - persist.beganMs;
      this.#done++;
      this.#doneMs += tookMs;
      this.#doneMsMax = Math.max(this.#doneMsMax, tookMs);
      persist.done(null, (persist.ops.at(-1) as { seq: number }).seq);
    }
  }

  #failAll(error: Error): void {
    this.#error ??= error;
    const failed = this.#persists;
    this.#persists = [];
    for (const persist of failed) persist.done(this.#error, 0);
  }

  #opened(): { journal: Journal; state: StateStore } {
    assert(this.#journal !== null && this.#state !== null, 'the storage is not open');
    return { journal: this.#journal, state: this.#state };
  }

  #nowMs(): number {
    return this.#options.clock?.monotonicMs() ?? 0;
  }
}

function historyOf(recovery: Recovery, appliedZxid: Zxid): RecoveredHistory {
  const tail = recovery.groups.filter((group) => group.firstZxid > appliedZxid);
  const contiguous = tail.length === 0 || (tail[0] as { prevZxid: Zxid }).prevZxid === appliedZxid;
  assert(contiguous || recovery.suspect, 'a sound journal that does not continue the state');
  return {
    acceptedEpoch: recovery.acceptedEpoch,
    currentEpoch: recovery.currentEpoch,
    appliedZxid,
    tail: contiguous ? tail.map(groupOf) : [],
    epochEnds: recovery.epochEnds,
    journalStartZxid: recovery.startZxid,
    suspect: recovery.suspect,
  };
}

function closeBoth(journal: Journal | null, state: StateStore | null, done: () => void): void {
  const closeState = (durable: Position | null): void => (state === null ? done() : state.close(durable, done));
  if (journal === null) closeState(null);
  else journal.close(() => closeState(journal.durable.segment === 0 ? null : journal.durable));
}

const NOTHING: Recovered = {
  history: { acceptedEpoch: 0, currentEpoch: 0, appliedZxid: 0, tail: [], epochEnds: [], journalStartZxid: 0, suspect: true },
  warnings: [],
  loadState: () => assert(false, 'the storage did not open'),
};

