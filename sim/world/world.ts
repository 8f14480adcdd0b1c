/**
 * The virtual world: one clock, one queue of events, one seed split into named streams, and a trace of everything that was decided, hashed as it
 * goes. Two runs of the same seed must end on the same hash.
 */
import { Prng } from '../../coord/base/prng.ts';
import type { Recorder } from '../record/recorder.ts';
import { recordTrace } from '../record/record-world.ts';
import { EventQueue, type Scheduled } from './event-queue.ts';
import { Marks } from './marks.ts';

export class Violation extends Error {
  readonly invariant: string;
  constructor(invariant: string, message: string) {
    super(message);
    this.name = 'Violation';
    this.invariant = invariant;
  }
}

export interface TraceEntry {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

const KEPT_TRACE = 400;
/** Times are multiples of 1/1024 ms, so that sums of times are exact and a deadline that was named is really reached. */
const GRAIN = 1024;

export class World {
  readonly seed: string;
  readonly prng: Prng;
  readonly #queue = new EventQueue();
  #nowMs = 0;
  #hash = 0x811c9dc5;
  events = 0;
  readonly marks = new Marks();
  /** The newest entries, for the report of a failure. */
  readonly recent: TraceEntry[] = [];
  /** Set to see every entry. */
  onTrace: ((entry: TraceEntry) => void) | null = null;
  /** Set before the run to keep what `sim open` draws; it changes nothing in the run. */
  recorder: Recorder | null = null;

  constructor(seed: string) {
    this.seed = seed;
    this.prng = new Prng(seed);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, run: () => void): Scheduled {
    return this.#queue.push(this.#nowMs + Math.ceil(Math.max(0, delayMs) * GRAIN) / GRAIN, run);
  }

  trace(who: string, what: string): void {
    let h = this.#hash ^ Math.floor(this.#nowMs * 1000);
    for (let i = 0; i < who.length; i++) h = Math.imul(h ^ who.charCodeAt(i), 0x01000193);
    for (let i = 0; i < what.length; i++) h = Math.imul(h ^ what.charCodeAt(i), 0x01000193);
    this.#hash = h;
    const entry = { atMs: this.#nowMs, who, what };
    this.recent.push(entry);
    if (this.recent.length > 2 * KEPT_TRACE) this.recent.splice(0, KEPT_TRACE);
    this.onTrace?.(entry);
    if (this.recorder !== null) recordTrace(this.recorder, this.#nowMs, who, what);
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
      next.run();
      if (stop()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}
