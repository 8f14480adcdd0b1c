/**
 * The virtual world: one clock, one queue of events, one seed split into named streams, and a trace of everything that was decided, hashed as it
 * goes. Two runs of the same seed must end on the same hash.
 */
import { Prng } from '../../coord/base/prng.ts';
import type { Recorder } from '../record/recorder.ts';
import { EventQueue, type Scheduled } from './event-queue.ts';
import { Marks } from './marks.ts';
import { ProcessDied } from './process.ts';
import { streamsOf, type Streams } from './streams.ts';
import { HASH_BEGIN, hashNumber, hashText, hashValue, NO_FIELDS, TraceEntry, type Fields } from './trace.ts';

export { TraceEntry } from './trace.ts';

export class Violation extends Error {
  readonly invariant: string;
  constructor(invariant: string, message: string) {
    super(message);
    this.name = 'Violation';
    this.invariant = invariant;
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

  schedule(delayMs: number, run: () => void): Scheduled {
    return this.#queue.push(this.#nowMs + Math.ceil(Math.max(0, delayMs) * GRAIN) / GRAIN, run);
  }

  /** `fields` must not be written to afterwards. */
  trace(who: string, name: string, fields: Fields = NO_FIELDS): void {
    this.#hash = hashValue(hashText(hashText(hashNumber(this.#hash, this.#nowMs), who), name), fields);
    const entry = new TraceEntry(this.#nowMs, who, name, fields);
    this.recent.push(entry);
    if (this.recent.length > 2 * KEPT_TRACE) this.recent.splice(0, KEPT_TRACE);
    this.onTrace?.(entry);
    this.recorder?.event(this.#nowMs, who, name, fields);
  }

  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  /** Runs until `untilMs`, or until `stop` says so after an event. */
  run(untilMs: number, stop: () => boolean = () => false): void {
    for (;;) {
      const next = this.#queue.peek();
      if (next === undefined || next.atMs > untilMs) break;
      this.#queue.pop();
      if (next.cancelled) continue;
      this.#nowMs = next.atMs;
      this.events++;
      try {
        next.run();
      } catch (error) {
        // A process was killed by what it did itself; the rest of what it would have done is not done.
        if (!(error instanceof ProcessDied)) throw error;
      }
      if (stop()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}
