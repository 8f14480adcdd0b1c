/**
 * The virtual world: one clock, one queue of events, one seed split into named streams, and a trace of everything that was decided, hashed as it
 * goes. Two runs of the same seed must end on the same hash.
 */
import type { TimerHandle } from '../../coord/base/ports.ts';
import { Prng } from '../../coord/base/prng.ts';
import type { Recorder } from '../record/recorder.ts';
import { EventQueue, type SimEvent } from './event-queue.ts';
import { comeBack, enter, leave, outside, realNextTick, realSetImmediate, throwEscape } from './guard.ts';
import { Marks } from './marks.ts';
import { ProcessDied, type Process } from './process.ts';
import { streamsOf, type Streams } from './streams.ts';
import { HASH_BEGIN, hashNumber, hashText, hashValue, NO_FIELDS, TraceEntry, type Fields } from './trace.ts';

export { TraceEntry } from './trace.ts';

/** Who and what a violation is about; the first process is the one in whose lane it belongs ('server-2', 'client-1'). */
export interface Related {
  readonly processes?: readonly string[];
  readonly zxids?: readonly number[];
  readonly sessions?: readonly bigint[];
  readonly paths?: readonly string[];
}

export class Violation extends Error {
  readonly invariant: string;
  readonly related: Related;
  constructor(invariant: string, message: string, related: Related = {}) {
    super(message);
    this.name = 'Violation';
    this.invariant = invariant;
    this.related = related;
  }
  /** Null: of nobody in particular. */
  get lane(): string | null {
    return this.related.processes?.[0] ?? null;
  }
}

const KEPT_TRACE = 400;
/** Times are multiples of 1/1024 ms, so that sums of times are exact and a deadline that was named is really reached. */
const GRAIN = 1024;

export class World {
  readonly seed: string;
  readonly prng: Prng;
  /** Chance by name; see streams.ts. */
  readonly streams: Streams;
  readonly #queue = new EventQueue();
  #nowMs = 0;
  #hash = HASH_BEGIN;
  events = 0;
  /** Events since the clock has moved. */
  #sameInstant = 0;
  readonly marks = new Marks();
  /** The newest entries, for the report of a failure. */
  readonly recent: TraceEntry[] = [];
  /** Set to see every entry. */
  onTrace: ((entry: TraceEntry) => void) | null = null;
  /** Set to have the run drawn. */
  recorder: Recorder | null = null;

  constructor(seed: string, calm: readonly string[] = []) {
    this.seed = seed;
    this.prng = new Prng(seed);
    this.streams = streamsOf(this.prng, calm);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** `usesPromises` false: no code that knows promises runs within. `run` is told the subject. */
  schedule(delayMs: number, run: () => void, usesPromises?: boolean): TimerHandle;
  schedule<T>(delayMs: number, run: (subject: T) => void, usesPromises: boolean, subject: T): TimerHandle;
  schedule(delayMs: number, run: (subject: never) => void, usesPromises = true, subject: unknown = undefined): TimerHandle {
    return this.#queue.push(this.#timeIn(delayMs), run, subject, usesPromises, null, 0);
  }
  /** For Process. */
  scheduleFor(process: Process, incarnation: number, delayMs: number, run: (subject: never) => void, subject: unknown): TimerHandle {
    return this.#queue.push(this.#timeIn(delayMs), run, subject, process.usesPromises, process, incarnation);
  }
  /** What lies ahead of it, in the order in which it comes. */
  eventsOf(process: Process): SimEvent[] {
    return this.#queue.of(process);
  }
  #timeIn(delayMs: number): number {
    return delayMs <= 0 ? this.#nowMs : this.#nowMs + Math.ceil(delayMs * GRAIN) / GRAIN;
  }

  /** `fields` must not be written to afterwards. */
  trace(who: string, name: string, fields: Fields = NO_FIELDS): void {
    this.#hash = hashValue(hashText(hashText(hashNumber(this.#hash, this.#nowMs), who), name), fields);
    const entry = new TraceEntry(this.#nowMs, who, name, fields);
    this.recent.push(entry);
    if (this.recent.length > 2 * KEPT_TRACE) this.recent.splice(0, KEPT_TRACE);
    const { onTrace } = this;
    if (onTrace !== null) outside(() => onTrace(entry));
    this.recorder?.event(this.#nowMs, who, name, fields);
  }

  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  /** Runs until `untilMs`, or until `stop` says so after an event. Nothing real can be reached meanwhile, and no promise goes on. */
  run(untilMs: number, stop: () => boolean = () => false): void {
    enter(false);
    try {
      while (this.#next(untilMs) !== null) if (stop()) return;
      this.#pass(untilMs);
    } finally {
      leave();
      throwEscape();
    }
  }

  /**
   * As run(), for worlds with promises: whatever an event leaves to microtasks is done before the next event. Events of processes that know no
   * promises need not wait for it (Process.usesPromises).
   *
   * The death of a process within its own doing does not unwind what goes on after an await: there its ports, which do nothing any more, hold it.
   */
  async runAsync(untilMs: number, stop: () => boolean = () => false): Promise<void> {
    enter(true);
    try {
      for (;;) {
        const usesPromises = this.#next(untilMs);
        if (usesPromises === null) break;
        if (usesPromises) {
          await microtasksDone();
          // The runtime reports rejections that nobody has handled now, when it is known whose event let them fall; and the harness gets its turn.
          leave();
          await new Promise((resolve) => realSetImmediate(resolve));
          throwEscape();
          comeBack();
        }
        if (stop()) return;
      }
      this.#pass(untilMs);
    } finally {
      leave();
      throwEscape();
    }
  }

  /** Nothing happens any more before `untilMs`. */
  #pass(untilMs: number): void {
    if (untilMs <= this.#nowMs) return;
    this.#nowMs = untilMs;
    this.#queue.advance(untilMs);
  }

  /** Runs one event; whether it may have left something to microtasks. Null: none is due. */
  #next(untilMs: number): boolean | null {
    const next = this.#queue.take(untilMs);
    if (next === null) return null;
    if (next.atMs > this.#nowMs) this.#sameInstant = 0;
    else if (++this.#sameInstant > INSTANT_EVENTS_MAX) throw new Violation('Livelock', `${INSTANT_EVENTS_MAX} events, and it is still ${next.atMs.toFixed(3)} ms: somebody waits for a time that has come`);
    this.#nowMs = next.atMs;
    this.events++;
    try {
      next.happen();
    } catch (error) {
      // A process was killed by what it did itself; the rest of what it would have done is not done.
      if (!(error instanceof ProcessDied)) throw error;
    }
    return next.usesPromises;
  }
}

/** More than any burst. */
const INSTANT_EVENTS_MAX = 1_000_000;

/** Goes on when the queue of microtasks is empty: a tick comes after all of them. */
function microtasksDone(): Promise<void> {
  return new Promise((resolve) => realNextTick(resolve));
}
