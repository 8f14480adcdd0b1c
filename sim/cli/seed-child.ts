/** A child of `drey sim --jobs`, `seed-child.ts SIMULATOR-URL [MUTANT]`: says that it is ready, runs the seeds that it is sent, one at a time, and sends a report for each. It ends with its parent. */
import { inProcess } from './lanes.ts';
import { loadSimulator } from './load-simulator.ts';
import type { SeedTask } from './seed-report.ts';

// Ctrl-C reaches the whole group: the parent decides.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());

const [url, mutant] = process.argv.slice(2);
const lane = inProcess(await loadSimulator(mutant, url));
process.on('message', (task: SeedTask) => {
  void lane.run(task).then((report) => process.send?.(report));
});
process.send?.('ready');
