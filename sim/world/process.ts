/**
 * A process that can be killed at any event: its clock and timers are ports of the product, and whatever an earlier incarnation had scheduled never
 * runs. A paused process runs what queued up when it goes on.
 */
import type { Clock, TimerHandle, Timers } from '../../coord/base/ports.ts';
import type { World } from './world.ts';

const WALL_ORIGIN_MS = 1_700_000_000_000;

export class Process implements Clock, Timers {
  readonly name: string;
  readonly #world: World;
  #incarnation = 0;
  alive = false;
  #pausedUntilMs = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  begin(): void {
    this.#incarnation++;
    this.alive = true;
    this.#pausedUntilMs = 0;
  }
  kill(): void {
    this.#incarnation++;
    this.alive = false;
  }
  pause(forMs: number): void {
    this.#pausedUntilMs = this.#world.nowMs + forMs;
  }

  /** Runs `fn` in this incarnation, after `delayMs`; not at all if the process has died meanwhile, later if it is paused. */
  schedule(delayMs: number, fn: () => void): TimerHandle {
    const incarnation = this.#incarnation;
    let cancelled = false;
    const run = (): void => {
      if (cancelled || incarnation !== this.#incarnation) return;
      if (this.#world.nowMs < this.#pausedUntilMs) this.#world.schedule(this.#pausedUntilMs - this.#world.nowMs, run);
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
    return WALL_ORIGIN_MS + Math.floor(this.#world.nowMs);
  }
}
