/**
 * What will happen, by virtual time; equal times in the order in which they were scheduled. A binary heap for what lies ahead, and a plain queue
 * for what is due at this very instant: about half of all events are ends of turns, which never see the heap. Whatever of this instant is in
 * the heap was scheduled before the instant came, and so goes first.
 */
import type { TimerHandle } from '../../coord/base/ports.ts';
import { Fifo } from '../../coord/base/fifo.ts';
import type { Process } from './process.ts';

/** What happens, and what it is told. */
export type Happening<T> = (subject: T) => void;

/** One thing that happens once. Of a process: only if it is still the same incarnation, later if it is paused. */
export class SimEvent implements TimerHandle {
  readonly atMs: number;
  readonly order: number;
  /** Null: of the world itself. */
  readonly process: Process | null;
  readonly incarnation: number;
  /** It may leave something to microtasks. */
  readonly usesPromises: boolean;
  /** Null: cancelled, or it has happened. */
  fn: Happening<never> | null;
  /** What `fn` is told: for events of which there are so many that a closure for each would cost. */
  readonly subject: unknown;

  constructor(atMs: number, order: number, fn: Happening<never>, subject: unknown, usesPromises: boolean, process: Process | null, incarnation: number) {
    this.atMs = atMs;
    this.order = order;
    this.fn = fn;
    this.subject = subject;
    this.usesPromises = usesPromises;
    this.process = process;
    this.incarnation = incarnation;
  }

  cancel(): void {
    this.fn = null;
  }

  happen(): void {
    const { fn, process } = this;
    if (fn === null) return;
    if (process !== null) process.happen(this);
    else {
      this.fn = null;
      fn(this.subject as never);
    }
  }
}

export class EventQueue {
  readonly #heap: SimEvent[] = [];
  /** When each of #heap is due: to compare these is cheaper than to look into the events. */
  readonly #heapMs: number[] = [];
  readonly #now = new Fifo<SimEvent>();
  #nowMs = 0;
  #order = 0;

  /** `atMs` is not before the newest event that was taken. */
  push(atMs: number, fn: Happening<never>, subject: unknown, usesPromises: boolean, process: Process | null, incarnation: number): SimEvent {
    const event = new SimEvent(atMs, this.#order++, fn, subject, usesPromises, process, incarnation);
    if (atMs <= this.#nowMs) {
      this.#now.push(event);
      return event;
    }
    const heap = this.#heap;
    const times = this.#heapMs;
    let i = heap.length;
    heap.push(event);
    times.push(atMs);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const aboveMs = times[parent] as number;
      // Of equal times the one above was there before.
      if (aboveMs <= atMs) break;
      heap[i] = heap[parent] as SimEvent;
      times[i] = aboveMs;
      i = parent;
    }
    heap[i] = event;
    times[i] = atMs;
    return event;
  }

  /** The next event that is due by `untilMs`; what was cancelled is passed over. */
  take(untilMs: number): SimEvent | null {
    for (;;) {
      const topMs = this.#heapMs.length > 0 ? (this.#heapMs[0] as number) : Infinity;
      if (topMs <= this.#nowMs) {
        const top = this.#removeTop();
        if (top.fn !== null) return top;
        continue;
      }
      const due = this.#now.peek();
      if (due !== undefined) {
        if (due.atMs > untilMs) return null;
        this.#now.shift();
        if (due.fn !== null) return due;
        continue;
      }
      if (topMs === Infinity || topMs > untilMs) return null;
      this.#nowMs = topMs;
    }
  }

  /** What lies ahead of a process, in the order in which it comes. Looks at everything. */
  of(process: Process): SimEvent[] {
    return this.#heap.filter((event) => event.process === process && event.fn !== null).sort((a, b) => (before(a, b) ? -1 : 1));
  }

  /** The clock was put forward: nothing is due before. */
  advance(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  #removeTop(): SimEvent {
    const heap = this.#heap;
    const times = this.#heapMs;
    const top = heap[0] as SimEvent;
    const last = heap.pop() as SimEvent;
    const lastMs = times.pop() as number;
    const length = heap.length;
    if (length === 0) return top;
    let i = 0;
    for (let child = 1; child < length; child = 2 * i + 1) {
      const right = child + 1;
      if (right < length && this.#isBefore(right, child)) child = right;
      const childMs = times[child] as number;
      const least = heap[child] as SimEvent;
      if (lastMs < childMs || (lastMs === childMs && last.order < least.order)) break;
      heap[i] = least;
      times[i] = childMs;
      i = child;
    }
    heap[i] = last;
    times[i] = lastMs;
    return top;
  }

  #isBefore(a: number, b: number): boolean {
    const aMs = this.#heapMs[a] as number;
    const bMs = this.#heapMs[b] as number;
    return aMs < bMs || (aMs === bMs && (this.#heap[a] as SimEvent).order < (this.#heap[b] as SimEvent).order);
  }
}

function before(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
