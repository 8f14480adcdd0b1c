/** The machine's own clock, timers and randomness behind the ports. */
import { randomBytes } from 'node:crypto';
import type { Clock, Entropy, Timers } from '../base/ports.ts';

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

export const systemTimers: Timers = {
  after(delayMs, fn) {
    // setTimeout cuts fractions off, which could call it too early.
    const timer = setTimeout(fn, Math.ceil(delayMs));
    return { cancel: () => clearTimeout(timer) };
  },
  endOfTurn(fn) {
    setImmediate(fn);
  },
};

export const systemEntropy: Entropy = { bytes: (n) => randomBytes(n) };
