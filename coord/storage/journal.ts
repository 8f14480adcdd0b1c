/**
 * The journal: appends in order, says when they are durable, reads them back, and lets go of what is no longer needed.
 *
 * A segment is a zero-filled file, written once from front to back. Records of all that waits go into one write; up to
 * WRITES_IN_FLIGHT_MAX writes are on their way at once, and are acknowledged in order. The next segment is made ahead: it is also the
 * reserve for the time when the disk is full.
 *
 * Invariants:
 *  - `durable` only grows, and everything before it was reported by the disk; nothing is acknowledged beyond it.
 *  - After the first failed write nothing is written and nothing acknowledged any more; a new Journal has to be opened.
 *  - A segment whose head must take effect together with records behind it (a restart of the log, a recovery) gets its head last.
 *
 * Leaves to others: what bytes on disk mean (journal-recovery.ts), the state (state-store.ts), when to purge (storage.ts).
 */
import { assert } from '../base/assert.ts';
import { DreyError } from '../base/errors.ts';
import type { Callback, JournalFile, JournalFiles } from '../base/ports.ts';
import { formatZxid, zxidCounter, zxidEpoch, type Zxid } from '../base/zxid.ts';
import type { TxnGroup } from '../zab/txn-group.ts';
import type { LiveSegment, Recovery, Truncation } from './journal-recovery.ts';
import {
  encodeHardState, encodeHead, HEAD_RECORD_BYTES, isBefore, KIND_GROUP, KIND_HARD_STATE, KIND_HEAD, KIND_MARK, KIND_TRUNCATE, NOWHERE,
  recordBytes, type JournalRecord, type Position,
} from './journal-record.ts';
import { isEmpty, parseSegment, segmentName, segmentNumber, type Segment } from './journal-segment.ts';
import { JournalReader } from './journal-reader.ts';
import { JournalWrite } from './journal-write.ts';
import { SpareSegment } from './spare-segment.ts';

/** Two keep the disk busy while the third is being prepared; more would only spread the groups thinner. */
const WRITES_IN_FLIGHT_MAX = 3;
/** A write takes no further record once it is this long. */
const WRITE_BYTES_MAX = 1024 * 1024;

export type JournalOp =
  | { readonly type: 'group'; readonly group: TxnGroup }
  | { readonly type: 'truncate'; readonly zxid: Zxid }
  | { readonly type: 'hardState'; readonly acceptedEpoch: number; readonly currentEpoch: number }
  /** The log restarts at baseZxid with `groups`; all of it takes effect at once. */
  | {
      readonly type: 'restart'; readonly baseZxid: Zxid; readonly generation: number; readonly acceptedEpoch: number;
      readonly currentEpoch: number; readonly groups: readonly TxnGroup[];
    };

interface Append {
  readonly ops: readonly JournalOp[];
  /** The next op to be written. */
  next: number;
  readonly done: Callback;
}

interface InFlight {
  readonly end: Position;
  readonly lastZxid: Zxid;
  readonly dones: Callback[];
  /** Holds something that nothing else bears witness to. */
  readonly precious: boolean;
  finished: boolean;
}

interface OpenSegment {
  readonly number: number;
  readonly size: number;
  readonly file: JournalFile;
  offset: number;
  /** Head not yet written: where the log before it ended. */
  owesHead: Position | null;
  /** Writes that the disk has not answered. */
  unanswered: number;
  /** Nothing more will be written to it. */
  sealed: boolean;
}

export class Journal {
  readonly #files: JournalFiles;
  readonly #segmentBytes: number;
  readonly #spare: SpareSegment;
  readonly #reader: JournalReader;
  #segment: OpenSegment | null = null;
  readonly #queue: Append[] = [];
  readonly #inFlight: InFlight[] = [];
  /** Writes that the disk has not answered, also after a failure. */
  #unanswered = 0;
  #closingFiles = 0;
  /** A head that must be written last is on its way: nothing else may be written. */
  #restarting = false;
  /** The last record written bears witness for everything before it. */
  #marked = true;
  #dead: Error | null = null;
  #closing: Callback | null = null;

  #durable: Position = NOWHERE;
  #durableZxid: Zxid = 0;
  /** End of the log as written, durable or not. */
  #lastZxid: Zxid = 0;
  #acceptedEpoch = 0;
  #currentEpoch = 0;
  #generation = 0;
  #suspect = false;
  #live: LiveSegment[] = [];
  #truncations: Truncation[] = [];
  /** Files to be removed, ascending; the oldest always goes first, so that what is missing from the front was purged. */
  #garbage: number[] = [];
  #removing = false;
  readonly counts = { writes: 0, bytes: 0, records: 0 };

  constructor(files: JournalFiles, segmentBytes: number) {
    this.#files = files;
    this.#segmentBytes = segmentBytes;
    this.#spare = new SpareSegment(files, segmentBytes, () => {
      this.#pump();
      this.#maybeClosed();
    });
    this.#reader = new JournalReader(files);
  }

  get durable(): Position {
    return this.#durable;
  }
  get durableZxid(): Zxid {
    return this.#durableZxid;
  }
  get lastZxid(): Zxid {
    return this.#lastZxid;
  }
  /** Groups after this zxid can be read. */
  get startZxid(): Zxid {
    return this.#truncations.reduce((start, { zxid }) => Math.min(start, zxid), this.#live[0]?.startZxid ?? 0);
  }
  get generation(): number {
    return this.#generation;
  }
  get segments(): number {
    return this.#live.length;
  }
  get bytesOnDisk(): number {
    return this.#live.reduce((bytes, { size }) => bytes + size, 0);
  }

  /** Reads all segments, ascending by number. */
  static read(files: JournalFiles, done: Callback<Segment[]>): void {
    files.list((error, names) => {
      if (error !== null) return done(error, []);
      const numbers = names.map(segmentNumber).filter((n) => n !== null).sort((a, b) => a - b);
      const segments: Segment[] = [];
      const next = (): void => {
        const number = numbers[segments.length];
        if (number === undefined) return done(null, segments);
        files.read(segmentName(number), (readError, bytes) => {
          if (readError !== null) return done(readError, []);
          segments.push(parseSegment(number, bytes));
          next();
        });
      };
      next();
    });
  }

  /** Begins a new segment behind what was recovered, which makes the end of the log, and all of the log, durable. */
  start(segments: readonly Segment[], recovery: Recovery, done: Callback): void {
    this.#acceptedEpoch = recovery.acceptedEpoch;
    this.#currentEpoch = recovery.currentEpoch;
    this.#generation = recovery.generation;
    this.#suspect = recovery.suspect;
    this.#lastZxid = recovery.lastZxid;
    this.#live = [...recovery.live];
    const { resumeAt } = recovery;
    this.#truncations = recovery.truncations.filter(({ at }) => resumeAt !== null && isBefore(at, resumeAt));
    const live = new Set(recovery.live.map(({ number }) => number));
    this.#garbage = segments.map(({ number }) => number).filter((number) => !live.has(number));
    const bytes = recovery.rewrite.reduce((sum, { body }) => sum + recordBytes(body.length), HEAD_RECORD_BYTES);
    const begin = (error: Error | null): void => {
      if (error !== null) return done(diskError(error, 'begin a segment of the journal'));
      this.#takeSpare(resumeAt, recovery.resumeZxid);
      this.#writeHeadLast(resumeAt, recovery.resumeZxid, (write) => {
        for (const record of recovery.rewrite) {
          if (record.kind === KIND_TRUNCATE) this.#truncations.push({ at: { segment: write.segment, offset: write.end }, zxid: record.lastZxid });
          write.add(record.kind, record.prevZxid, record.firstZxid, record.lastZxid, record.body);
        }
      }, recovery.lastZxid, (failed) => {
        if (failed === null) this.#removeGarbage();
        done(failed);
      });
    };
    const newest = segments.at(-1);
    if (newest !== undefined && isEmpty(newest) && newest.size >= bytes && newest.size >= this.#segmentBytes) {
      this.#garbage.pop();
      this.#spare.adopt(newest.number, newest.size, begin);
    } else this.#spare.make((newest?.number ?? 0) + 1, bytes, begin);
  }

  /** `done` is called when all of `ops` are durable, and in the order of the calls. */
  append(ops: readonly JournalOp[], done: Callback): void {
    if (this.#dead !== null) return this.#later(() => done(this.#dead));
    assert(this.#closing === null, 'append to a closing journal');
    this.#queue.push({ ops, next: 0, done });
    this.#pump();
  }

  /** Durable groups after `afterZxid`, contiguous, about `bytesMax` bytes of them and at least one; none when they cannot be had. */
  readGroups(afterZxid: Zxid, bytesMax: number, done: Callback<TxnGroup[]>): void {
    if (afterZxid < this.startZxid || afterZxid >= this.#durableZxid) return this.#later(() => done(null, []));
    this.#reader.read(this.#live.map((segment) => ({ ...segment })), this.#truncations, this.#durable, afterZxid, bytesMax, done);
  }

  /** Removes the oldest segments that hold nothing after `keepAfterZxid`, as long as `keepBytes` of segments stay. */
  purge(keepAfterZxid: Zxid, keepBytes: number): void {
    if (this.#dead !== null || this.#closing !== null) return;
    let bytes = this.#live.length > 1 ? this.bytesOnDisk : 0;
    while (this.#live.length > 1) {
      const [oldest, second] = this.#live as [LiveSegment, LiveSegment];
      // The second must be durable as a segment before the first may go.
      if (second.startZxid > keepAfterZxid || bytes - oldest.size < keepBytes || this.#durable.segment < second.number) break;
      bytes -= oldest.size;
      this.#live.shift();
      this.#garbage.push(oldest.number);
    }
    const first = this.#live[0]?.number ?? 0;
    this.#truncations = this.#truncations.filter(({ at }) => at.segment >= first);
    this.#removeGarbage();
    if (this.#spare.failed && this.#segment !== null) this.#spare.retry();
  }

  /** Waits for what is in flight. What was not acknowledged may or may not be found by the next Journal. */
  close(done: Callback): void {
    assert(this.#closing === null, 'journal closed twice');
    this.#closing = done;
    this.#later(() => this.#maybeClosed());
  }

  // ---------------------------------------------------------------- writing

  #pump(): void {
    while (this.#dead === null && !this.#restarting && this.#segment !== null && this.#inFlight.length < WRITES_IN_FLIGHT_MAX) {
      if (this.#queue.length === 0) {
        if (!this.#marked && this.#inFlight.length === 0) this.#writeMark(this.#segment);
        break;
      }
      if (!this.#writeNext(this.#segment)) break;
    }
  }

  /** Writes as much of the queue as fits into one write to the segment. False: nothing can be written now. */
  #writeNext(segment: OpenSegment): boolean {
    const write = this.#beginWrite(segment);
    const dones: Callback[] = [];
    let precious = false;
    let missing = 0;
    while (this.#queue.length > 0 && missing === 0 && write.length < WRITE_BYTES_MAX) {
      const append = this.#queue[0] as Append;
      for (; append.next < append.ops.length && write.length < WRITE_BYTES_MAX; append.next++) {
        const op = append.ops[append.next] as JournalOp;
        if (op.type === 'restart') {
          if (dones.length > 0 || append.next > 0 || this.#inFlight.length > 0 || write.length > (segment.owesHead === null ? 0 : HEAD_RECORD_BYTES)) {
            missing = -1;
            break;
          }
          return this.#restart(append, op);
        }
        const bytes = recordBytes(op.type === 'group' ? op.group.bytes.length : 8);
        if (write.end + bytes > segment.size) {
          missing = bytes;
          break;
        }
        this.#addOp(write, op);
        if (op.type !== 'group') precious = true;
      }
      if (append.next < append.ops.length) break;
      this.#queue.shift();
      dones.push(append.done);
    }
    const bare = segment.owesHead === null ? 0 : HEAD_RECORD_BYTES;
    if (write.length === bare) return missing > 0 && this.#roll(segment, missing);
    this.#send(segment, write, dones, precious);
    return true;
  }

  #beginWrite(segment: OpenSegment): JournalWrite {
    const write = new JournalWrite(segment.number, segment.offset, this.#durable);
    if (segment.owesHead !== null) this.#addHead(write, segment.owesHead, this.#lastZxid);
    return write;
  }

  #addHead(write: JournalWrite, previous: Position | null, startZxid: Zxid): void {
    const head = { acceptedEpoch: this.#acceptedEpoch, currentEpoch: this.#currentEpoch, generation: this.#generation, suspect: this.#suspect, previous };
    write.add(KIND_HEAD, startZxid, startZxid, startZxid, encodeHead(head));
  }

  #addOp(write: JournalWrite, op: Exclude<JournalOp, { type: 'restart' }>): void {
    const last = this.#lastZxid;
    switch (op.type) {
      case 'group':
        this.#addGroup(write, op.group);
        return;
      case 'hardState':
        assert(op.acceptedEpoch >= this.#acceptedEpoch && op.currentEpoch >= this.#currentEpoch, 'an epoch on disk never goes back');
        assert(op.currentEpoch <= op.acceptedEpoch, 'currentEpoch above acceptedEpoch');
        this.#acceptedEpoch = op.acceptedEpoch;
        this.#currentEpoch = op.currentEpoch;
        write.add(KIND_HARD_STATE, last, last, last, encodeHardState(op.acceptedEpoch, op.currentEpoch));
        return;
      case 'truncate':
        assert(op.zxid <= last, `TRUNC to ${formatZxid(op.zxid)} above the journal's end ${formatZxid(last)}`);
        this.#truncations.push({ at: { segment: write.segment, offset: write.end }, zxid: op.zxid });
        write.add(KIND_TRUNCATE, last, op.zxid, op.zxid, EMPTY);
        this.#lastZxid = op.zxid;
        return;
    }
  }

  #addGroup(write: JournalWrite, group: TxnGroup): void {
    const last = this.#lastZxid;
    const continues = zxidEpoch(group.firstZxid) === zxidEpoch(last) ? group.firstZxid === last + 1 : group.firstZxid > last && zxidCounter(group.firstZxid) === 1;
    if (!continues) assert(false, `group ${formatZxid(group.firstZxid)} does not continue the journal's end ${formatZxid(last)}`);
    assert(group.lastZxid >= group.firstZxid, 'a group of no txns');
    write.add(KIND_GROUP, last, group.firstZxid, group.lastZxid, group.bytes);
    this.#lastZxid = group.lastZxid;
  }

  #writeMark(segment: OpenSegment): void {
    if (segment.offset + recordBytes(0) > segment.size) {
      this.#marked = true; // the next segment's head will do
      return;
    }
    const write = this.#beginWrite(segment);
    const last = this.#lastZxid;
    write.add(KIND_MARK, last, last, last, EMPTY);
    this.#send(segment, write, [], false);
    this.#marked = true;
  }

  #send(segment: OpenSegment, write: JournalWrite, dones: Callback[], precious: boolean): void {
    segment.offset = write.end;
    segment.owesHead = null;
    (this.#live.at(-1) as LiveSegment).end = write.end;
    const inFlight: InFlight = { end: { segment: write.segment, offset: write.end }, lastZxid: this.#lastZxid, dones, precious, finished: false };
    this.#inFlight.push(inFlight);
    this.#fileWrite(segment, write, (error) => {
      if (error !== null) return this.#fail(error, 'write to');
      inFlight.finished = true;
      this.#acknowledge();
    });
  }

  #fileWrite(segment: OpenSegment, write: JournalWrite, done: Callback): void {
    this.#unanswered++;
    segment.unanswered++;
    this.counts.writes++;
    this.counts.bytes += write.length;
    segment.file.write(write.chunks, write.position, (error) => {
      this.#unanswered--;
      segment.unanswered--;
      if (segment.sealed && segment.unanswered === 0) this.#closeFile(segment);
      if (this.#dead === null) done(error);
      this.#maybeClosed();
    });
  }

  #acknowledge(): void {
    let last: InFlight | undefined;
    const dones: Callback[] = [];
    while (this.#inFlight[0]?.finished === true) {
      last = this.#inFlight.shift() as InFlight;
      if (last.precious) this.#marked = false;
      dones.push(...last.dones);
    }
    if (last === undefined) return;
    this.#durable = last.end;
    this.#durableZxid = last.lastZxid;
    // First the next write goes out, then people hear of this one.
    this.#pump();
    for (const done of dones) done(null);
  }

  // ---------------------------------------------------------------- segments

  /** Goes on in the spare segment; false while there is none that has room for a record of `bytes`. */
  #roll(full: OpenSegment, bytes: number): boolean {
    if (!this.#spare.ready(HEAD_RECORD_BYTES + bytes)) return this.#waitForSpare(HEAD_RECORD_BYTES + bytes);
    assert(full.owesHead === null, 'a segment left before it was begun');
    const end = { segment: full.number, offset: full.offset };
    this.#takeSpare(end, this.#lastZxid).owesHead = end;
    return true;
  }

  #waitForSpare(bytes: number): false {
    this.#spare.make(null, bytes, (error) => {
      if (error !== null) this.#fail(error, 'continue');
    });
    return false;
  }

  #takeSpare(previous: Position | null, startZxid: Zxid): OpenSegment {
    const { number, size, file } = this.#spare.take();
    const old = this.#segment;
    if (old !== null) {
      old.sealed = true;
      if (old.unanswered === 0) this.#closeFile(old);
    }
    if (previous === null) {
      this.#garbage.push(...this.#live.map((segment) => segment.number));
      this.#live = [];
    }
    this.#segment = { number, size, file, offset: 0, owesHead: null, unanswered: 0, sealed: false };
    this.#live.push({ number, size, startZxid, end: 0 });
    this.#spare.make(number + 1, 0, null);
    return this.#segment;
  }

  /** The records that `fill` adds go first; when they are durable, the head, and with it all of them take effect. */
  #writeHeadLast(previous: Position | null, startZxid: Zxid, fill: (write: JournalWrite) => void, lastZxid: Zxid, done: Callback): void {
    const segment = this.#segment as OpenSegment;
    this.#restarting = true;
    const records = new JournalWrite(segment.number, HEAD_RECORD_BYTES, this.#durable);
    fill(records);
    const head = new JournalWrite(segment.number, 0, this.#durable);
    this.#addHead(head, previous, startZxid);
    segment.offset = records.end;
    const fail = (error: Error): void => {
      this.#fail(error, 'write to');
      done(this.#dead);
    };
    const writeHead = (): void =>
      this.#fileWrite(segment, head, (error) => {
        if (error !== null) return fail(error);
        this.#restarting = false;
        this.#durable = { segment: segment.number, offset: segment.offset };
        this.#durableZxid = lastZxid;
        (this.#live.at(-1) as LiveSegment).end = segment.offset;
        this.#marked = false;
        this.#pump();
        done(null);
      });
    if (records.length === 0) writeHead();
    else this.#fileWrite(segment, records, (error) => (error === null ? writeHead() : fail(error)));
  }

  /** A restart has a segment to itself from its beginning, so that everything below can go. */
  #restart(append: Append, op: JournalOp & { type: 'restart' }): boolean {
    const bytes = op.groups.reduce((sum, { bytes: body }) => sum + recordBytes(body.length), HEAD_RECORD_BYTES);
    if (!this.#spare.ready(bytes)) return this.#waitForSpare(bytes);
    assert(append.ops.length === 1, 'a restart is appended by itself');
    assert(op.acceptedEpoch >= this.#acceptedEpoch && op.currentEpoch >= this.#currentEpoch, 'an epoch on disk never goes back');
    this.#queue.shift();
    this.#acceptedEpoch = op.acceptedEpoch;
    this.#currentEpoch = op.currentEpoch;
    this.#generation = op.generation;
    this.#suspect = false;
    this.#truncations = [];
    this.#lastZxid = op.baseZxid;
    this.#takeSpare(null, op.baseZxid);
    const lastZxid = op.groups.at(-1)?.lastZxid ?? op.baseZxid;
    this.#writeHeadLast(null, op.baseZxid, (write) => {
      for (const group of op.groups) this.#addGroup(write, group);
    }, lastZxid, (error) => {
      if (error === null) this.#removeGarbage();
      append.done(error);
    });
    return false;
  }

  #closeFile(segment: OpenSegment): void {
    this.#closingFiles++;
    segment.file.close(() => {
      this.#closingFiles--;
      this.#maybeClosed();
    });
  }

  #removeGarbage(): void {
    if (this.#removing || this.#garbage.length === 0 || this.#dead !== null || this.#closing !== null) return;
    // What lies below a restart may go only when the restart is durable.
    if (this.#restarting) return;
    this.#removing = true;
    const number = this.#garbage.sort((a, b) => a - b)[0] as number;
    this.#files.remove(segmentName(number), (error) => {
      this.#removing = false;
      if (error === null) this.#garbage.shift();
      if (error === null) this.#removeGarbage();
      this.#maybeClosed();
    });
  }

  // ---------------------------------------------------------------- the end

  #fail(error: Error, doing: string): void {
    if (this.#dead !== null) return;
    this.#dead = diskError(error, `${doing} the journal's segment ${segmentName((this.#segment as OpenSegment).number)}`);
    const dones = [...this.#inFlight.flatMap((write) => write.dones), ...this.#queue.map((append) => append.done)];
    this.#inFlight.length = 0;
    this.#queue.length = 0;
    for (const done of dones) done(this.#dead);
  }

  #maybeClosed(): void {
    const done = this.#closing;
    if (done === null || this.#unanswered > 0 || this.#closingFiles > 0 || this.#removing || this.#spare.busy) return;
    if (this.#dead === null && (this.#queue.length > 0 || this.#inFlight.length > 0)) return;
    this.#dead ??= new DreyError('COORD_DISK_FAILED', 'the journal is closed');
    this.#closing = null;
    const files = [...(this.#segment === null ? [] : [this.#segment.file]), ...this.#spare.release()];
    let open = files.length;
    if (open === 0) return done(null);
    for (const file of files) file.close(() => --open === 0 && done(null));
  }

  /** An answer never comes within the call; the port's cheapest question serves as the way round. */
  #later(fn: () => void): void {
    this.#files.list(fn);
  }
}

const EMPTY = new Uint8Array(0);

function diskError(error: Error, doing: string): DreyError {
  const { code } = error as { code?: unknown };
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new DreyError(full ? 'COORD_NO_ROOM' : 'COORD_DISK_FAILED', `could not ${doing}: ${error.message}`, { retryable: true, cause: error });
}

/** As the ZAB core knows it. */
export function groupOf(record: JournalRecord): TxnGroup {
  return { firstZxid: record.firstZxid, lastZxid: record.lastZxid, bytes: record.body };
}
