/** `drey sim SCENARIO`: seeds, one after the other or several at once, until one fails, all are done, or time is up. */
import type { TraceEntry } from '../world/trace.ts';
import { EXIT, EXIT_INTERRUPTED } from './exit-codes.ts';
import { checkWritable, writeFailure } from './failure-file.ts';
import { inProcess, type Lanes } from './lanes.ts';
import { progressText, StatusLine, type Screen } from './progress.ts';
import { runSeeds } from './run-seeds.ts';
import { runSeed, type SeedReport, type SeedTask, type Simulator } from './seed-report.ts';
import { failureText, summaryJson, summaryText, type End, type RunOf, type Written } from './summary.ts';
import { Tally } from './tally.ts';
import { traceLine } from './text.ts';

export interface RunCommandOptions {
  readonly scenario: string;
  readonly servers: number;
  readonly mutant?: string;
  /** Null: as many as fit into `minutes`. */
  readonly seeds: number | null;
  readonly fromSeed: number;
  /** This one seed, twice. */
  readonly seed?: string;
  readonly jobs: number;
  readonly minutes?: number;
  readonly json: boolean;
  readonly trace: boolean;
  readonly out: string;
  readonly keepGoing: boolean;
  /** Coverage marks that seeds of this scenario should come by. */
  readonly marks: readonly string[];
  /** Of a story: the marks that each seed should come by. */
  readonly story?: readonly string[];
}

export interface Io {
  readonly out: (text: string) => void;
  readonly screen: Screen;
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal;
}

/** One seed in so many runs twice and must end on the same trace: by its number, so that it does not matter where a range begins. */
const TWICE_EVERY = 20;

export async function runCommand(simulator: Simulator, options: RunCommandOptions, io: Io, lanes: Lanes = inProcess(simulator)): Promise<number> {
  const { scenario, servers, mutant, fromSeed, json } = options;
  const run: RunOf = { scenario, servers, jobs: options.jobs, ...(mutant === undefined ? {} : { mutant }) };
  checkWritable(options.out);
  const status = new StatusLine(io.screen);
  const tally = new Tally(options.marks, options.story);
  const failures: { report: SeedReport; written: Written }[] = [];
  const total = options.seed !== undefined ? 1 : (options.seeds ?? Infinity);
  const totalSeconds = options.minutes === undefined ? Infinity : options.minutes * 60;
  const onReport = (report: SeedReport): boolean => {
    tally.add(report);
    if (report.failure !== null) {
      const written = tryToWrite(options.out, report);
      failures.push({ report, written });
      status.clear();
      if (!json) io.out(`${failureText(report, report.failure, written)}\n`);
    } else status.update(() => progressText(tally, status.seconds, total, totalSeconds));
    // What could not be decided is counted and written, and says nothing against going on.
    return report.failure === null || report.failure.kind === 'gave-up' || options.keepGoing;
  };
  if (options.seed !== undefined && options.trace) {
    const print = (entry: TraceEntry): void => io.out(traceLine(entry));
    onReport(await runSeed(simulator, { ...run, seed: options.seed, twice: true }, print));
  } else {
    try {
      await runSeeds(tasks(run, options), lanes, { soon: () => status.seconds >= totalSeconds, now: io.interrupted }, onReport);
    } finally {
      lanes.close();
    }
  }
  status.clear();
  const end: End = { seconds: status.seconds, interrupted: io.interrupted.aborted, fromSeed, nextSeed: options.seed === undefined ? fromSeed + tally.seeds : null, asked: options };
  if (json) io.out(JSON.stringify(summaryJson(run, tally, end, failures)));
  else io.out(summaryText(run, tally, end));
  if (end.interrupted) return EXIT_INTERRUPTED;
  return EXIT[tally.finding ?? 'ok'];
}

/** A disk that is full does not hide the failure. */
function tryToWrite(dir: string, report: SeedReport): Written {
  try {
    return { path: writeFailure(dir, report) };
  } catch (error) {
    return { path: null, why: error instanceof Error ? error.message : String(error) };
  }
}

function* tasks(run: RunOf, { seed, seeds, fromSeed }: RunCommandOptions): Generator<SeedTask> {
  const { scenario, servers, mutant } = run;
  const task = (of: string, twice: boolean): SeedTask => ({ scenario, servers, seed: of, twice, ...(mutant === undefined ? {} : { mutant }) });
  if (seed !== undefined) {
    yield task(seed, true);
    return;
  }
  for (let n = fromSeed; seeds === null || n < fromSeed + seeds; n++) yield task(String(n), n % TWICE_EVERY === 1);
}
