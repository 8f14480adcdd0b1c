/**
 * A process that can be killed at any event, also by what it is just doing: its clock and timers are ports of the product, and whatever an
 * earlier incarnation had scheduled never runs. A paused process runs what queued up, in order and in one go, when it goes on.
 *
 * Its monotonic clock runs at a rate of its own and never goes back; timers go by it. The wall clock runs at the same rate, and may jump.
 */
import type { Clock, TimerHandle, Timers } from '../../coord/base/ports.ts';
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

  /** Runs `fn` as this process, now; not at all if it is dead, later if it is paused. */
  run(fn: () => void): void {
    if (this.alive) this.#run(this.#incarnation, fn);
  }

  #run(incarnation: number, fn: () => void): void {
    if (incarnation !== this.#incarnation) return;
    if (this.#queued !== null) {
      this.#queued.push(() => this.#run(incarnation, fn));
      return;
    }
    const outer = this.#executing;
    this.#executing = incarnation;
    try {
      fn();
    } finally {
      this.#executing = outer;
    }
  }

  /** Runs `fn` in this incarnation, after `delayMs` of the world's time; not at all if the process is dead or dies meanwhile, later if it is paused. */
  schedule(delayMs: number, fn: () => void): TimerHandle {
    if (!this.alive) return NOTHING;
    const incarnation = this.#incarnation;
    const timer = new Timer(fn);
    this.#world.schedule(delayMs, () => {
      if (incarnation === this.#incarnation && timer.fn !== null) this.#run(incarnation, timer.fire);
    }, this.usesPromises);
    return timer;
  }

  /** A timer by the clock of this process. */
  after(delayMs: number, fn: () => void): TimerHandle {
    if (!this.alive) return NOTHING;
    const dueMs = this.monotonicMs() + delayMs;
    const timer = new Timer(fn);
    const wait = (): void => {
      this.schedule((dueMs - this.monotonicMs()) / this.#rate, () => {
        // The clock may have become slower meanwhile: never too early.
        if (timer.fn !== null && this.monotonicMs() < dueMs) wait();
        else timer.fire();
      });
    };
    wait();
    return timer;
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

  /** From now on its clocks run at `rate`; 1 is true. */
  setRate(rate: number): void {
    this.#clockMs = this.monotonicMs();
    this.#rateSinceMs = this.#world.nowMs;
    this.#rate = rate;
  }
  get rate(): number {
    return this.#rate;
  }
  jumpWall(byMs: number): void {
    this.wallOffMs += byMs;
  }
}

class Timer implements TimerHandle {
  fn: (() => void) | null;
  constructor(fn: () => void) {
    this.fn = fn;
  }
  cancel(): void {
    this.fn = null;
  }
  readonly fire = (): void => {
    const { fn } = this;
    this.fn = null;
    fn?.();
  };
}

const NOTHING: TimerHandle = { cancel: () => {} };
