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
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as SimEvent;
      // Of equal times the one above was there before.
      if (above.atMs <= atMs) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
    return event;
  }

  /** The next event that is due by `untilMs`; what was cancelled is passed over. */
  take(untilMs: number): SimEvent | null {
    for (;;) {
      const top = this.#heap[0];
      if (top !== undefined && top.atMs <= this.#nowMs) {
        this.#removeTop();
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
      if (top === undefined || top.atMs > untilMs) return null;
      this.#nowMs = top.atMs;
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

  #removeTop(): void {
    const heap = this.#heap;
    const last = heap.pop() as SimEvent;
    const length = heap.length;
    if (length === 0) return;
    let i = 0;
    for (let child = 1; child < length; child = 2 * i + 1) {
      let least = heap[child] as SimEvent;
      if (child + 1 < length && before(heap[child + 1] as SimEvent, least)) least = heap[++child] as SimEvent;
      if (before(last, least)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
