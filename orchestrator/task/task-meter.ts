/** What a task counts: records, and how its loop spends its time. */
export type Phase = 'busy' | 'backPressured' | 'idle';

export class TaskMeter {
  numRecordsIn = 0;
  numRecordsOut = 0;
  #phase: Phase = 'idle';
  #sinceMs: number;
  #takenMs: number;
  #spentMs: Record<Phase, number> = { busy: 0, backPressured: 0, idle: 0 };

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#takenMs = nowMs;
  }

  enter(phase: Phase, nowMs: number): void {
    this.#spentMs[this.#phase] += nowMs - this.#sinceMs;
    this.#phase = phase;
    this.#sinceMs = nowMs;
  }

  /** Milliseconds of each second since the last call, a wait that still lasts included. */
  takeTimes(nowMs: number): { busyTimeMsPerSecond: number; backPressuredTimeMsPerSecond: number } {
    this.enter(this.#phase, nowMs);
    const perSecond = 1000 / Math.max(1, nowMs - this.#takenMs);
    const times = {
      busyTimeMsPerSecond: Math.min(1000, Math.round(this.#spentMs.busy * perSecond)),
      backPressuredTimeMsPerSecond: Math.min(1000, Math.round(this.#spentMs.backPressured * perSecond)),
    };
    this.#spentMs = { busy: 0, backPressured: 0, idle: 0 };
    this.#takenMs = nowMs;
    return times;
  }
}
