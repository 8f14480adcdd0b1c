/**
 * A process that can be killed at any event: its clock and timers are ports of the product, and whatever an earlier incarnation had scheduled never
 * runs. A paused process runs what queued up, in order and in one go, when it goes on. The wall clock may jump, the monotonic one never does.
 */
import type { Clock, TimerHandle, Timers } from '../../coord/base/ports.ts';
import type { World } from './world.ts';

const WALL_ORIGIN_MS = 1_700_000_000_000;

export class Process implements Clock, Timers {
  readonly name: string;
  readonly #world: World;
  #incarnation = 0;
  alive = false;
  #pause = 0;
  /** What came while it was paused; null: it runs. */
  #queued: (() => void)[] | null = null;
  /** How far the wall clock is off. */
  wallOffMs = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  get paused(): boolean {
    return this.#queued !== null;
  }

  begin(): void {
    this.#incarnation++;
    this.alive = true;
    this.#queued = null;
  }
  kill(): void {
    this.#incarnation++;
    this.alive = false;
    this.#queued = null;
  }
  pause(forMs: number): void {
    this.#queued ??= [];
    const pause = ++this.#pause;
    this.#world.schedule(forMs, () => {
      if (pause === this.#pause) this.resume();
    });
  }
  resume(): void {
    const queued = this.#queued;
    this.#queued = null;
    for (const run of queued ?? []) run();
  }

  /** Runs `fn` in this incarnation, after `delayMs`; not at all if the process has died meanwhile, later if it is paused. */
  schedule(delayMs: number, fn: () => void): TimerHandle {
    const incarnation = this.#incarnation;
    let cancelled = false;
    const run = (): void => {
      if (cancelled || incarnation !== this.#incarnation) return;
      if (this.#queued !== null) this.#queued.push(run);
      else fn();
    };
    this.#world.schedule(delayMs, run);
    return { cancel: () => { cancelled = true; } };
  }

  after(delayMs: number, fn: () => void): TimerHandle {
    return this.schedule(delayMs, fn);
  }
  endOfTurn(fn: () => void): void {
    this.schedule(0, fn);
  }
  monotonicMs(): number {
    return this.#world.nowMs;
  }
  wallMs(): number {
    return WALL_ORIGIN_MS + Math.floor(this.#world.nowMs) + this.wallOffMs;
  }
}
