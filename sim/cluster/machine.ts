/**
 * A machine with a job manager or a task manager on it. Each start of its process is a life: it has the ports of the product, and when the process
 * dies they do nothing more. What promises of a dead life still run reaches nobody.
 *
 * A life's clock advances a little with each look at it, as if it cost time: a loop that always has something to do comes to the end of its turn.
 */
import type { Clock, TimerHandle, Timers } from '../../coord/base/ports.ts';
import { Process } from '../world/process.ts';
import type { World } from '../world/world.ts';

const LOOK_MS = 1 / 1024;

/** What the machines of a cluster share. */
export class Turns {
  /** Whose event this is: also its promises run before the next event. */
  current: Life | null = null;
}

export class Machine {
  readonly world: World;
  readonly process: Process;
  readonly turns: Turns;
  life: Life | null = null;
  #ids = 0;
  #ports = 0;

  constructor(world: World, turns: Turns, name: string) {
    this.world = world;
    this.turns = turns;
    this.process = new Process(world, name);
  }

  get name(): string {
    return this.process.name;
  }

  begin(): Life {
    this.process.begin();
    this.life = new Life(this);
    return this.life;
  }
  /** The process is gone at once. */
  kill(): void {
    this.process.kill();
    this.life = null;
  }

  /** Unique, and speaking. */
  id(): string {
    return `${this.name}x${++this.#ids}`;
  }
  freePort(): number {
    return 5000 + ++this.#ports;
  }
}

export class Life implements Clock, Timers {
  readonly machine: Machine;
  readonly name: string;
  #lookedMs = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    this.name = machine.name;
  }

  get alive(): boolean {
    return this.machine.life === this;
  }

  /** Runs `fn` as this process: now, when it goes on again if it is paused, never if it is dead. */
  run(fn: () => void): void {
    if (!this.alive) return;
    this.machine.process.run(() => this.#enter(fn));
  }

  /** In the world's time; for whatever comes to the process from outside. */
  schedule(delayMs: number, fn: () => void): void {
    if (this.alive) this.machine.process.schedule(delayMs, () => this.#enter(fn));
  }

  after(delayMs: number, fn: () => void): TimerHandle {
    if (!this.alive) return { cancel: () => undefined };
    const aheadMs = Math.max(0, this.#lookedMs - this.machine.process.monotonicMs());
    return this.machine.process.after(delayMs + aheadMs, () => this.#enter(fn));
  }
  endOfTurn(fn: () => void): void {
    this.after(0, fn);
  }

  monotonicMs(): number {
    this.#lookedMs = Math.max(this.machine.process.monotonicMs(), this.#lookedMs + LOOK_MS);
    return this.#lookedMs;
  }
  wallMs(): number {
    return this.machine.process.wallMs();
  }

  #enter(fn: () => void): void {
    this.machine.turns.current = this;
    fn();
  }
}
