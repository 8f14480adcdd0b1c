/** What is shown while seeds run: on a terminal one line that is written over, elsewhere a line now and then. */
import { count, clock, virtualTime } from './text.ts';
import type { Tally } from './tally.ts';

const TERMINAL_EVERY_MS = 200;
const LINE_EVERY_MS = 20_000;

export interface Screen {
  readonly isTTY: boolean;
  readonly columns: number;
  write(text: string): void;
}

export const stderrScreen: Screen = {
  get isTTY() {
    return process.stderr.isTTY === true;
  },
  get columns() {
    return process.stderr.columns ?? 120;
  },
  write: (text) => void process.stderr.write(text),
};

/** A line of text that changes. */
export class StatusLine {
  readonly #screen: Screen;
  readonly #startedMs = performance.now();
  #lastMs = -Infinity;
  #shown = false;

  constructor(screen: Screen = stderrScreen) {
    this.#screen = screen;
    if (!screen.isTTY) this.#lastMs = this.#startedMs;
  }

  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** `text` is asked for only when it is shown. */
  update(text: () => string): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < (this.#screen.isTTY ? TERMINAL_EVERY_MS : LINE_EVERY_MS)) return;
    this.#lastMs = nowMs;
    if (!this.#screen.isTTY) return this.#screen.write(`${text()}\n`);
    this.#shown = true;
    this.#screen.write(`\r\x1b[2K${text().slice(0, this.#screen.columns - 1)}`);
  }

  /** Before anything else is printed. */
  clear(): void {
    if (this.#shown) this.#screen.write('\r\x1b[2K');
    this.#shown = false;
  }
}

/** `total` seeds, or until `totalSeconds` have passed. */
export function progressText(tally: Tally, seconds: number, total: number, totalSeconds: number): string {
  const perSecond = tally.seeds / Math.max(seconds, 0.001);
  const byCount = Number.isFinite(total) ? (total - tally.seeds) / Math.max(perSecond, 0.001) : Infinity;
  const left = Math.min(byCount, totalSeconds - seconds);
  return [
    `${count(tally.seeds)}${Number.isFinite(total) ? `/${count(total)}` : ''} seeds`, `${perSecond.toFixed(1)}/s`, `${virtualTime(tally.virtualMs)} simulated`, `${count(tally.faultCount)} faults`,
    `${count(tally.acked)} acked`, ...(tally.marksExpected === 0 ? [] : [`marks ${tally.marksHit}/${tally.marksExpected}`]), `${tally.failed} failed`, ...(tally.seeds > 0 && Number.isFinite(left) ? [`${clock(left)} left`] : []),
  ].join('  ');
}
