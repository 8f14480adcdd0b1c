/**
 * Many seeds over some lanes. Whoever is done first, reports come in the order of the tasks, so that what is printed and counted does not depend
 * on how many lanes there are.
 */
import type { Lanes } from './lanes.ts';
import type { SeedReport, SeedTask } from './seed-report.ts';

export interface Stop {
  /** No new seeds; those that run are waited for. */
  readonly soon: () => boolean;
  /** Nothing is waited for. */
  readonly now: AbortSignal;
}

/** `onReport` false: enough. */
export async function runSeeds(tasks: Iterable<SeedTask>, lanes: Lanes, stop: Stop, onReport: (report: SeedReport) => boolean): Promise<void> {
  const source = tasks[Symbol.iterator]();
  const waiting = new Map<number, SeedReport>();
  let taken = 0;
  let given = 0;
  let enough = false;
  const runLane = async (): Promise<void> => {
    while (!enough && !stop.now.aborted && !stop.soon()) {
      const next = source.next();
      if (next.done === true) return;
      const at = taken++;
      const report = await lanes.run(next.value);
      if (stop.now.aborted) return;
      waiting.set(at, report);
      for (let ready = waiting.get(given); ready !== undefined && !enough; ready = waiting.get(given)) {
        waiting.delete(given++);
        enough = !onReport(ready);
      }
    }
  };
  const interrupted = new Promise<void>((resolve) => stop.now.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.race([interrupted, Promise.all(Array.from({ length: lanes.width }, runLane))]);
}
