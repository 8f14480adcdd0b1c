/** `drey sim shrink FILE`: a smaller plan that fails in the same way, in a file of its own. */
import { shrinkPlan, type Shrunk, type Size } from '../shrink/shrink-plan.ts';
import type { RunPlan } from '../shrink/oracle.ts';
import { describeFault } from '../shrink/describe.ts';
import { runToResult } from './crash-result.ts';
import { EXIT, EXIT_INTERRUPTED } from './exit-codes.ts';
import { failing } from './failing.ts';
import { checkWritableFile, commandsFor, failureFile, writeFailureFile } from './failure-file.ts';
import { StatusLine } from './progress.ts';
import type { Io } from './run.ts';
import { failureOf, type Simulator } from './seed-report.ts';
import { count, countOf, ms } from './text.ts';

export interface ShrinkCommandOptions {
  readonly seconds: number;
  readonly out?: string;
  readonly json: boolean;
}

export async function shrinkCommand(simulator: Simulator, path: string, { seconds, out, json }: ShrinkCommandOptions, io: Io): Promise<number> {
  const status = new StatusLine(io.screen);
  const to = out ?? smallName(path);
  checkWritableFile(to, null);
  const { plan, result, failure, insteadOf } = await failing(simulator, path);
  if (insteadOf !== null && !json) io.out(`It fails otherwise than the file says (${insteadOf}): ${failure.invariant} is what is kept.`);
  const run: RunPlan = async (each, how) => {
    // Signals are heard between two runs.
    await new Promise((resolve) => setImmediate(resolve));
    return runToResult(simulator, each, how);
  };
  const shrunk = await shrinkPlan(plan, {
    run, result, failure, expired: () => status.seconds >= seconds || io.interrupted.aborted,
    onProgress: (step, runs, size) => status.update(() => `${step}: ${sizeText(size)} left; ${countOf(runs, 'run')}, ${Math.round(status.seconds)} of ${seconds} s`),
  });
  status.clear();
  writeFailureFile(to, failureFile(to, shrunk.plan, failureOf(simulator, shrunk.plan, shrunk.result), shrunk.result.virtualMs, shrunk.result.traceHash));
  if (json) io.out(JSON.stringify({ file: to, kind: failure.kind, invariant: failure.invariant, before: shrunk.before, after: shrunk.after, runs: shrunk.runs, seconds: Number(status.seconds.toFixed(2)), outOfTime: shrunk.outOfTime }));
  else io.out(shrunkText(shrunk, failure.invariant, to, status.seconds, io.interrupted.aborted));
  return io.interrupted.aborted ? EXIT_INTERRUPTED : EXIT.ok;
}

function smallName(path: string): string {
  return `${path.replace(/(\.small)?\.json$/, '')}.small.json`;
}

function sizeText({ faults, clients, ops, servers }: Size): string {
  return `${countOf(faults, 'fault')}, ${countOf(clients, 'client')}, ${countOf(ops, 'op')}, ${countOf(servers, 'server')}`;
}

function shrunkText({ plan, before, after, runs, outOfTime, result }: Shrunk, invariant: string, to: string, seconds: number, interrupted: boolean): string {
  const row = (what: string, of: (size: Size) => string): string => `  ${what.padEnd(18)}${of(before).padStart(14)}${of(after).padStart(14)}`;
  return [
    `${invariant} still fails, with less; ${countOf(runs, 'run')} in ${seconds.toFixed(1)} s${interrupted ? '; interrupted before everything had been tried' : outOfTime ? '; time was up before everything had been tried (--seconds)' : ''}`,
    `  ${''.padEnd(18)}${'before'.padStart(14)}${'after'.padStart(14)}`,
    row('faults', (size) => count(size.faults)), row('clients', (size) => count(size.clients)), row('operations', (size) => count(size.ops)), row('servers', (size) => count(size.servers)),
    row('virtual time', (size) => ms(size.virtualMs)), row('unusual settings', (size) => count(size.settings)),
    ...plan.faults.map((fault) => `  ${fault.id.padEnd(8)} ${describeFault(fault)}`),
    `  ${result.violation?.message ?? ''}`,
    ...Object.entries(commandsFor(to)).filter(([what]) => what !== 'shrink').map(([what, command]) => `  ${what.padEnd(8)} ${command}`),
  ].join('\n');
}
