/**
 * Decides what the segments on disk mean: which records are the log, where it ends, and whether it can be trusted.
 *
 * The question is always the same: at some place P the bytes are not a sound record. Was P ever promised to anyone?
 *  - A server acks in order, and each record names the position up to which the journal was durable when it was written. So if any
 *    sound record behind P, or the state (which notes the journal's durable end at each flush), names a position above P, then P
 *    was durable once and has been lost since: rot, or a hole. The log is suspect.
 *  - If all that was written behind P names positions at or below P, then nothing at or behind P was ever acked, whether or not some
 *    of it reached the disk (two or three writes are in flight, and a disk may reorder them): a torn tail. It is cut.
 *  - What is written last of all has no witness but itself. The journal writes a mark after hard state, after an installed
 *    snapshot, and the state bears witness at each flush, at boot and when it is closed; what rots in the moments between
 *    is taken for a torn tail. tests: 'a flipped bit in the last acked group …' in test/coord/storage.
 *
 * Invariants:
 *  - Nothing is ever rewritten. Cutting means that the next segment's head names the place where the log before it ends; that head
 *    is written after everything else in its segment, so it takes effect as a whole.
 *  - Recovery promises nothing that is not on disk: records without a witness may be in the page cache only (the process was killed
 *    between write and sync), and those in the page of the last write may share a sector with a write that failed. They are written
 *    again into the new segment (`rewrite`).
 *  - A damaged log stays damaged over restarts (flag `suspect` in the heads) until a snapshot is installed.
 *
 * Leaves to journal.ts: reading and writing. Source: Alagappan et al., Protocol-Aware Recovery for Consensus-Based Storage (FAST'18).
 */
import { formatZxid, zxidEpoch, type Zxid } from '../base/zxid.ts';
import type { EpochEnd } from '../zab/txn-group.ts';
import {
  decodeHardState, decodeHead, isBefore, KIND_GROUP, KIND_HARD_STATE, KIND_HEAD, KIND_MARK, KIND_TRUNCATE, NOWHERE, type JournalRecord,
  type Position,
} from './journal-record.ts';
import { isEmpty, segmentName, type Segment } from './journal-segment.ts';

/** What a failed write may take with it beside its own range. */
const PAGE_BYTES = 4096;

/** A segment that holds part of the log. */
export interface LiveSegment {
  readonly number: number;
  readonly size: number;
  /** Last zxid of the log before it. */
  readonly startZxid: Zxid;
  /** Where the log in it ends. */
  end: number;
}

export interface Truncation {
  readonly at: Position;
  readonly zxid: Zxid;
}

export interface Recovery {
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  readonly generation: number;
  readonly suspect: boolean;
  /** Sentences for people. */
  readonly warnings: readonly string[];
  /** The log holds the groups after this. */
  readonly startZxid: Zxid;
  readonly lastZxid: Zxid;
  /** Groups that were not truncated, in order. */
  readonly groups: readonly JournalRecord[];
  readonly epochEnds: readonly EpochEnd[];
  readonly truncations: readonly Truncation[];
  readonly live: readonly LiveSegment[];
  /** The next segment's head: `previous` and prevZxid. */
  readonly resumeAt: Position | null;
  readonly resumeZxid: Zxid;
  /** Records after resumeAt that are to be written again. */
  readonly rewrite: readonly JournalRecord[];
}

/** What the state knows about the journal. */
export interface StateWitness {
  readonly appliedZxid: Zxid;
  /** The journal was durable up to here when the state was last flushed. */
  readonly durable: Position;
}

/** The generation of the state that the log continues; 0 for a fresh directory. */
export function generationOf(segments: readonly Segment[]): number {
  return segments.findLast((segment) => segment.head !== null)?.head?.generation ?? 0;
}

/** `segments` ascending; `stateProblems`: what is wrong with the state. */
export function recover(segments: readonly Segment[], state: StateWitness, stateProblems: readonly string[]): Recovery {
  const problems = [...stateProblems];
  const warnings: string[] = [];
  const { chain, headless } = findChain(segments, problems);
  const { records, cutAt, later } = walk(chain, headless, problems);

  const log = replay(records, problems);
  let witness = state.durable;
  for (const record of [...records, ...later]) if (isBefore(witness, record.durable)) witness = record.durable;
  if (isBefore(cutAt.place, witness)) {
    const what = later.length === 0 ? 'ends' : cutAt.zero ? 'has a hole' : 'has bytes that are no sound record';
    problems.push(`the journal ${what} at ${describe(cutAt.place)}, but it was durable up to ${describe(witness)} and acknowledged there`);
    for (const record of later) log.epochsAtLeast(record);
  } else if (!cutAt.clean) {
    warnings.push(`cut a torn tail at ${describe(cutAt.place)}: it was never acknowledged`);
  }

  if (log.startZxid > state.appliedZxid) {
    problems.push(`the journal begins after zxid ${formatZxid(log.startZxid)}, but the state ends at ${formatZxid(state.appliedZxid)}`);
  }
  if (log.lastZxid < state.appliedZxid) {
    problems.push(`the journal ends at zxid ${formatZxid(log.lastZxid)}, before the state, which holds ${formatZxid(state.appliedZxid)}`);
  }
  if (log.suspect && problems.length === 0) problems.push('the journal was found damaged before, and no snapshot has been installed since');

  const safe: Position = { segment: witness.segment, offset: witness.offset - (witness.offset % PAGE_BYTES) };
  const firstAgain = records.findIndex((record) => isBefore(safe, { segment: record.segment, offset: record.end }));
  const again = firstAgain < 0 ? [] : records.slice(firstAgain);
  const resume = resumePlace(again[0], cutAt.place, records, log.lastZxid);
  return {
    acceptedEpoch: log.acceptedEpoch,
    currentEpoch: log.currentEpoch,
    generation: generationOf(segments),
    suspect: problems.length > 0,
    warnings: [...warnings, ...problems],
    startZxid: log.startZxid,
    lastZxid: log.lastZxid,
    groups: log.groups,
    epochEnds: epochEndsOf(log.startZxid, log.groups),
    truncations: log.truncations,
    live: liveSegments(chain, records, resume.at),
    resumeAt: resume.at,
    resumeZxid: resume.zxid,
    rewrite: again.filter((record) => record.kind !== KIND_HEAD && record.kind !== KIND_MARK),
  };
}

/** The segments that the newest head leads back to, ascending, and those behind it whose head never became sound. */
function findChain(segments: readonly Segment[], problems: string[]): { chain: Segment[]; headless: Segment[] } {
  const newest = segments.findLastIndex((segment) => segment.head !== null);
  // Behind the newest segment there is at most what was made ahead, one number after the other.
  for (const [i, { number }] of segments.entries()) {
    const before = segments[i - 1];
    if (i > newest && newest >= 0 && before !== undefined && number !== before.number + 1) {
      problems.push(`the journal's segment ${segmentName(number - 1)} is missing`);
    }
  }
  const headless = segments.slice(newest + 1).filter((segment) => !isEmpty(segment));
  const chain: Segment[] = [];
  for (let at = newest; at >= 0; ) {
    const segment = segments[at] as Segment;
    chain.unshift(segment);
    if (segment.head === null) {
      // Its head has not reached the disk, though a later one has; or it has rotted. What was before it is the log as it stood then.
      at = segments.findLastIndex((other, i) => i < at && other.head !== null);
    } else if (segment.head.previous === null) break;
    else {
      const before = segment.head.previous.segment;
      at = segments.findIndex(({ number }) => number === before);
      // Segments are purged from the oldest on, so nothing older than a purged one is left.
      if (at < 0 && (segments[0] as Segment).number < before) problems.push(`the journal's segment ${segmentName(before)} is missing`);
    }
  }
  return { chain, headless };
}

interface Walk {
  /** The sound records of the log, in order. */
  readonly records: JournalRecord[];
  /** Where they end. */
  readonly cutAt: { readonly place: Position; readonly clean: boolean; readonly zero: boolean };
  /** Sound records behind that. */
  readonly later: JournalRecord[];
}

function walk(chain: readonly Segment[], headless: readonly Segment[], problems: string[]): Walk {
  const records: JournalRecord[] = [];
  const behind = (from: number): JournalRecord[] =>
    [...chain.slice(from), ...headless].flatMap((segment) => [...segment.records, ...segment.beyond]);
  for (const [i, segment] of chain.entries()) {
    const next = chain[i + 1];
    // What lies beyond the place that the next head names was cut off when that head was written.
    const until = next?.head?.previous?.offset ?? segment.size;
    for (const record of segment.records) if (record.end <= until) records.push(record);
    const end = segment.records.findLast((record) => record.end <= until)?.end ?? 0;
    if (next !== undefined && end === until) continue;
    const place = { segment: segment.number, offset: end };
    if (end < segment.end) {
      problems.push(`the segment after ${segmentName(segment.number)} continues it at ${until}, where no record ends`);
      return { records, cutAt: { place, clean: false, zero: false }, later: behind(i + 1) };
    }
    const later = [...segment.beyond.filter((record) => record.end <= until), ...behind(i + 1)];
    const clean = next === undefined && segment.restIsZero && headless.length === 0;
    return { records, cutAt: { place, clean, zero: segment.restIsZero }, later };
  }
  return { records, cutAt: { place: NOWHERE, clean: headless.length === 0, zero: true }, later: behind(0) };
}

class Log {
  acceptedEpoch = 0;
  currentEpoch = 0;
  suspect = false;
  startZxid: Zxid = 0;
  lastZxid: Zxid = 0;
  readonly groups: JournalRecord[] = [];
  readonly truncations: Truncation[] = [];

  /** Promises given in records that cannot be reached any more still hold; those of a torn tail were never given. */
  epochsAtLeast(record: JournalRecord): void {
    if (record.kind !== KIND_HEAD && record.kind !== KIND_HARD_STATE) return;
    const { acceptedEpoch, currentEpoch } = record.kind === KIND_HEAD ? decodeHead(record) : decodeHardState(record);
    this.acceptedEpoch = Math.max(this.acceptedEpoch, acceptedEpoch);
    this.currentEpoch = Math.max(this.currentEpoch, currentEpoch);
  }
}

function replay(records: readonly JournalRecord[], problems: string[]): Log {
  const log = new Log();
  for (const [i, record] of records.entries()) {
    if (i === 0) {
      log.startZxid = record.prevZxid;
      log.lastZxid = record.prevZxid;
    } else if (record.prevZxid !== log.lastZxid) {
      problems.push(
        `the record at ${describe(record)} continues zxid ${formatZxid(record.prevZxid)}, but the journal before it ends at ${formatZxid(log.lastZxid)}`,
      );
      break;
    }
    log.epochsAtLeast(record);
    if (record.kind === KIND_HEAD) {
      log.suspect = decodeHead(record).suspect;
    } else if (record.kind === KIND_GROUP) {
      log.groups.push(record);
    } else if (record.kind === KIND_TRUNCATE) {
      while (log.groups.length > 0 && (log.groups.at(-1) as JournalRecord).lastZxid > record.lastZxid) log.groups.pop();
      log.startZxid = Math.min(log.startZxid, record.lastZxid);
      log.truncations.push({ at: { segment: record.segment, offset: record.offset }, zxid: record.lastZxid });
    }
    log.lastZxid = record.lastZxid;
  }
  return log;
}

/** Where the log before the new segment ends: before the first record that is to be written again, or at the end. */
function resumePlace(again: JournalRecord | undefined, end: Position, records: readonly JournalRecord[], lastZxid: Zxid): { at: Position | null; zxid: Zxid } {
  if (records.length === 0) return { at: null, zxid: 0 };
  if (again === undefined) return { at: end, zxid: lastZxid };
  // A head is not written again: the new segment's own takes its place.
  if (again.kind === KIND_HEAD) return { at: decodeHead(again).previous, zxid: again.prevZxid };
  return { at: { segment: again.segment, offset: again.offset }, zxid: again.prevZxid };
}

function liveSegments(chain: readonly Segment[], records: readonly JournalRecord[], resumeAt: Position | null): LiveSegment[] {
  if (resumeAt === null) return [];
  const live: LiveSegment[] = [];
  for (const segment of chain) {
    if (segment.number > resumeAt.segment) break;
    const end = segment.number === resumeAt.segment ? resumeAt.offset : (records.findLast((record) => record.segment === segment.number)?.end ?? 0);
    live.push({ number: segment.number, size: segment.size, startZxid: segment.startZxid, end });
  }
  return live;
}

function epochEndsOf(startZxid: Zxid, groups: readonly JournalRecord[]): EpochEnd[] {
  const ends: EpochEnd[] = [];
  if (startZxid > 0) ends.push({ epoch: zxidEpoch(startZxid), lastZxid: startZxid });
  for (const group of groups) {
    const epoch = zxidEpoch(group.lastZxid);
    if (ends.at(-1)?.epoch === epoch) ends.pop();
    ends.push({ epoch, lastZxid: group.lastZxid });
  }
  return ends;
}

function describe(place: Position): string {
  return `${segmentName(place.segment)}:${place.offset}`;
}
