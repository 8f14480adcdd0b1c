/** `drey sim open FILE`: a page that shows the failing run and, beside it, the passing run that is most like it. */
import { fork, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Recorded } from '../record/recorded.ts';
import { neighbour as nearestPassing } from '../shrink/why.ts';
import { writePage } from '../view/open.ts';
import type { Plan } from '../plan/plan.ts';
import { recordRun } from './record-run.ts';
import { EXIT, EXIT_INTERRUPTED } from './exit-codes.ts';
import { failing } from './failing.ts';
import { checkWritableFile, commandsFor, sentence } from './failure-file.ts';
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

/** The neighbour goes on for so long after the violation, and shows what should have come. */
const AFTER_MS = 100;

export async function openCommand(simulator: Simulator, path: string, options: OpenOptions, io: Io): Promise<number> {
  const page = options.out ?? `${path.replace(/\.json$/, '')}.html`;
  checkWritableFile(page, path);
  const of = await failing(simulator, path);
  const { plan, result, failure } = of;
  const found = options.neighbour ? await explain(simulator, of, io) : null;
  if (options.neighbour && found === null) return EXIT_INTERRUPTED;
  const passing = found === null ? null : nearestPassing(found);
  const run = (await recordRun(simulator, plan, Infinity)).recorded;
  const beside = passing === null ? (options.neighbour && plan.mutant !== undefined ? await withoutMutant(plan, result.virtualMs + AFTER_MS) : null) : { label: `without ${passing.id}: ${passing.what}`, recorded: (await recordRun(simulator, passing.plan, result.virtualMs + AFTER_MS)).recorded };
  const { mutant } = plan;
  const to = writePage(run, beside, {
    scenario: plan.scenario, seed: plan.seed, servers: plan.servers, ...(mutant === undefined ? {} : { mutant }), outcome: result.kind,
    facts: [
      { label: 'violated', value: failure.invariant }, { label: 'virtual time', value: ms(result.virtualMs) }, { label: 'faults', value: `${count(Object.values(result.faults).reduce((sum, n) => sum + n, 0))} of ${count(plan.faults.length)}` }, { label: 'acked writes', value: count(result.acked) },
      { label: 'elections', value: count(result.elections) }, { label: 'trace', value: result.traceHash },
    ],
    commands: Object.entries(commandsFor(path)).map(([label, command]) => ({ label, command })),
  }, page);
  io.out(sentence(plan, failure, result.virtualMs));
  if (beside !== null) io.out(`beside it: the same run ${beside.label}`);
  else if (options.neighbour) io.out('nothing beside it: no single event, taken away, makes it pass');
  io.out(resolve(to));
  if (options.browser) show(to);
  return EXIT.ok;
}

/** The same plan on the product as it is: in a process of its own, since here the mutant is loaded. Null if it fails there too. */
async function withoutMutant(plan: Plan, untilMs: number): Promise<{ readonly label: string; readonly recorded: Recorded } | null> {
  const child = fork(fileURLToPath(new URL(`./record-child.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)));
  const { mutant, ...sound } = plan;
  const answer = await new Promise<Recorded | null>((resolveAnswer) => {
    child.once('message', (message) => resolveAnswer(message as Recorded | null));
    child.once('close', () => resolveAnswer(null));
    child.send({ plan: sound, untilMs });
  });
  return answer === null ? null : { label: `without the mutant ${mutant ?? ''}`, recorded: answer };
}

/** With whatever this system opens pages; that there is nothing is no failure, since the path is printed. */
function show(path: string): void {
  const command = process.platform === 'darwin' ? 'open' : process.platform === 'win32' ? 'explorer' : 'xdg-open';
  spawn(command, [path], { stdio: 'ignore', detached: true }).on('error', () => {}).unref();
}
