/**
 * A process that can be killed at any event, also by what it is just doing: its clock and timers are ports of the product, and whatever an
 * earlier incarnation had scheduled never runs. A paused process runs what queued up, in order and in one go, when it goes on.
 *
 * Its monotonic clock runs at a rate of its own and never goes back; timers go by it. The wall clock runs at the same rate, and may jump.
 */
import type { Clock, TimerHandle, Timers } from '../../coord/base/ports.ts';
import type { SimEvent } from './event-queue.ts';
import type { World } from './world.ts';

const WALL_ORIGIN_MS = 1_700_000_000_000;

/** Unwinds the stack of a process that was killed within its own doing. Only World.run catches it. */
export class ProcessDied extends Error {
  constructor() {
    super('the process has died');
    this.name = 'ProcessDied';
  }
}

export class Process implements Clock, Timers {
  readonly name: string;
  /** False: its code knows no promises. */
  readonly usesPromises: boolean;
  readonly #world: World;
  #incarnation = 0;
  alive = false;
  /** The incarnation whose code is on the stack; 0: none. */
  #executing = 0;
  #pause = 0;
  /** What came while it was paused; null: it runs. */
  #queued: (() => void)[] | null = null;
  /** How far the wall clock is off. */
  wallOffMs = 0;
  #rate = 1;
  /** Its monotonic clock at world time #rateSinceMs. */
  #clockMs = 0;
  #rateSinceMs = 0;

  constructor(world: World, name: string, usesPromises = true) {
    this.#world = world;
    this.name = name;
    this.usesPromises = usesPromises;
  }

  get paused(): boolean {
    return this.#queued !== null;
  }

  begin(): void {
    this.#incarnation++;
    this.alive = true;
    this.#queued = null;
  }

  /** If it kills itself, whoever called on its behalf ends with unwind(). */
  kill(): void {
    this.#incarnation++;
    this.alive = false;
    this.#queued = null;
  }

  /**
   * Does nothing, unless the code on the stack belongs to an incarnation that has just been killed: then nothing after this call happens, not
   * even the rest of the caller. For observers of the product (its trace, its frames), after they have told everyone.
   */
  unwind(): void {
    if (this.#executing !== 0 && this.#executing !== this.#incarnation) throw new ProcessDied();
  }

  pause(forMs: number): void {
    if (!this.alive) return;
    this.#queued ??= [];
    const pause = ++this.#pause;
    this.#world.schedule(forMs, () => {
      if (pause === this.#pause) this.resume();
    }, this.usesPromises);
  }

  resume(): void {
    const queued = this.#queued;
    this.#queued = null;
    const incarnation = this.#incarnation;
    for (const run of queued ?? []) {
      if (incarnation !== this.#incarnation) return;
      run();
    }
  }

  /** Runs `fn` as this process, now; not at all if it is dead, later if it is paused. `fn` is told the subject. */
  run(fn: () => void): void;
  run<T>(fn: (subject: T) => void, subject: T): void;
  run(fn: (subject: never) => void, subject?: unknown): void {
    if (this.alive) this.#run(this.#incarnation, fn, subject);
  }

  #run(incarnation: number, fn: (subject: never) => void, subject: unknown): void {
    if (incarnation !== this.#incarnation) return;
    if (this.#queued !== null) {
      this.#queued.push(() => this.#run(incarnation, fn, subject));
      return;
    }
    const outer = this.#executing;
    this.#executing = incarnation;
    try {
      fn(subject as never);
    } finally {
      this.#executing = outer;
    }
  }

  /** Runs `fn` in this incarnation, after `delayMs` of the world's time; not at all if the process is dead or dies meanwhile, later if it is paused. `fn` is told the subject. */
  schedule(delayMs: number, fn: () => void): TimerHandle;
  schedule<T>(delayMs: number, fn: (subject: T) => void, subject: T): TimerHandle;
  schedule(delayMs: number, fn: (subject: never) => void, subject?: unknown): TimerHandle {
    return this.alive ? this.#world.scheduleFor(this, this.#incarnation, delayMs, fn, subject) : NOTHING;
  }

  /** For the world: what schedule() has asked for is due. */
  happen(event: SimEvent): void {
    if (event.incarnation !== this.#incarnation) return;
    if (this.#queued !== null) {
      this.#queued.push(() => this.happen(event));
      return;
    }
    const { fn } = event;
    if (fn === null) return;
    event.fn = null;
    this.#run(this.#incarnation, fn, event.subject);
  }

  /** A timer by the clock of this process. */
  after(delayMs: number, fn: () => void): TimerHandle {
    if (!this.alive) return NOTHING;
    return new Timer(this, this.monotonicMs() + delayMs, fn);
  }

  endOfTurn(fn: () => void): void {
    this.schedule(0, fn);
  }

  monotonicMs(): number {
    return this.#rate === 1 && this.#clockMs === this.#rateSinceMs ? this.#world.nowMs : this.#clockMs + (this.#world.nowMs - this.#rateSinceMs) * this.#rate;
  }
  wallMs(): number {
    return WALL_ORIGIN_MS + Math.floor(this.monotonicMs()) + this.wallOffMs;
  }

  /** From now on its clocks run at `rate`, and its timers by them; 1 is true. */
  setRate(rate: number): void {
    if (rate === this.#rate) return;
    this.#clockMs = this.monotonicMs();
    this.#rateSinceMs = this.#world.nowMs;
    this.#rate = rate;
    for (const { incarnation, subject } of this.#world.eventsOf(this)) if (incarnation === this.#incarnation && subject instanceof Timer) subject.again();
  }
  get rate(): number {
    return this.#rate;
  }
  jumpWall(byMs: number): void {
    this.wallOffMs += byMs;
  }
}

class Timer implements TimerHandle {
  readonly #process: Process;
  readonly #dueMs: number;
  readonly #fn: () => void;
  #event: TimerHandle;

  constructor(process: Process, dueMs: number, fn: () => void) {
    this.#process = process;
    this.#dueMs = dueMs;
    this.#fn = fn;
    this.#event = this.#wait();
  }

  #wait(): TimerHandle {
    return this.#process.schedule((this.#dueMs - this.#process.monotonicMs()) / this.#process.rate, ring, this);
  }

  /** The clock has become slower or faster. */
  again(): void {
    this.#event.cancel();
    this.#event = this.#wait();
  }

  ring(): void {
    // It had been due, and the process was paused, when the clock became slower: never too early.
    if (this.#process.monotonicMs() < this.#dueMs) this.#event = this.#wait();
    else this.#fn();
  }

  cancel(): void {
    this.#event.cancel();
  }
}

function ring(timer: Timer): void {
  timer.ring();
}

const NOTHING: TimerHandle = { cancel: () => {} };
