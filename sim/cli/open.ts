/** `drey sim open FILE`: a page that shows the failing run and, beside it, the passing run that is most like it. */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { Recording } from '../record/recording.ts';
import type { Recorded } from '../record/recorded.ts';
import { neighbour as nearestPassing } from '../shrink/why.ts';
import { writePage } from '../view/open.ts';
import type { Plan } from '../plan/plan.ts';
import { runToResult } from './crash-result.ts';
import { EXIT, EXIT_INTERRUPTED } from './exit-codes.ts';
import { failing } from './failing.ts';
import { commandsFor, sentence } from './failure-file.ts';
import type { Io } from './run.ts';
import type { Simulator } from './seed-report.ts';
import { count, ms } from './text.ts';
import { explain } from './why.ts';

export interface OpenOptions {
  readonly out?: string;
  /** Look for a passing neighbour. */
  readonly neighbour: boolean;
  /** Show the page in a browser. */
  readonly browser: boolean;
}

export async function openCommand(simulator: Simulator, path: string, options: OpenOptions, io: Io): Promise<number> {
  const of = await failing(simulator, path);
  const { plan, result, failure } = of;
  const found = options.neighbour ? await explain(simulator, of, io) : null;
  if (options.neighbour && found === null) return EXIT_INTERRUPTED;
  const passing = found === null ? null : nearestPassing(found);
  const run = await recorded(simulator, plan, Infinity);
  const beside = passing === null ? null : { label: `without ${passing.id}: ${passing.what}`, recorded: await recorded(simulator, passing.plan, result.virtualMs) };
  const { mutant } = plan;
  const to = writePage(run, beside, {
    scenario: plan.scenario, seed: plan.seed, servers: plan.servers, ...(mutant === undefined ? {} : { mutant }), outcome: result.kind,
    facts: [
      { label: 'violated', value: failure.invariant }, { label: 'virtual time', value: ms(result.virtualMs) }, { label: 'faults', value: count(plan.faults.length) }, { label: 'acked writes', value: count(result.acked) },
      { label: 'elections', value: count(result.elections) }, { label: 'trace', value: result.traceHash },
    ],
    commands: Object.entries(commandsFor(path)).map(([label, command]) => ({ label, command })),
  }, options.out ?? `${path.replace(/\.json$/, '')}.html`);
  io.out(sentence(plan, failure, result.virtualMs));
  if (beside !== null) io.out(`beside it: the same run ${beside.label}`);
  else if (options.neighbour) io.out('nothing beside it: no single event, taken away, makes it pass');
  io.out(resolve(to));
  if (options.browser) show(to);
  return EXIT.ok;
}

async function recorded(simulator: Simulator, plan: Plan, untilMs: number): Promise<Recorded> {
  const recorder = new Recording({ untilMs });
  await runToResult(simulator, plan, { recorder, ...(Number.isFinite(untilMs) ? { stopAtMs: untilMs } : {}) });
  return recorder.recorded();
}

/** With whatever this system opens pages; that there is nothing is no failure, since the path is printed. */
function show(path: string): void {
  const command = process.platform === 'darwin' ? 'open' : process.platform === 'win32' ? 'explorer' : 'xdg-open';
  spawn(command, [path], { stdio: 'ignore', detached: true }).on('error', () => {}).unref();
}
