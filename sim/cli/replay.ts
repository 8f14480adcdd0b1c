/** `drey sim replay FILE`: runs the plan of a file, and says whether it still fails as the file says. */
import { describeFault } from '../shrink/describe.ts';
import type { TraceEntry } from '../world/trace.ts';
import { EXIT } from './exit-codes.ts';
import { readPlanFile, sentence } from './failure-file.ts';
import type { Io } from './run.ts';
import { differenceOf, failureOf, isSameFailure, type Failure, type Simulator } from './seed-report.ts';
import { runToResult } from './crash-result.ts';
import { countOf, ms, traceLine } from './text.ts';

/** Of faults that never struck. */
const SHOWN_MAX = 20;

export interface ReplayOptions {
  readonly trace: boolean;
  readonly json: boolean;
}

export async function replayCommand(simulator: Simulator, path: string, { trace, json }: ReplayOptions, io: Io): Promise<number> {
  const { plan, failure: expected } = readPlanFile(path);
  const struck = new Set<unknown>();
  const onTrace = (entry: TraceEntry): void => {
    if (entry.who === 'nemesis') struck.add(entry.fields['id']);
    if (trace && !json) io.out(traceLine(entry));
  };
  const result = await runToResult(simulator, plan, { onTrace });
  // One run says nothing about whether it can be repeated.
  const differs = expected?.kind === 'nondeterminism' ? differenceOf(plan, result, await runToResult(simulator, plan)) : null;
  const found = differs ?? (result.kind === 'ok' ? null : failureOf(simulator, plan, result));
  const verdict = verdictOf(found, expected === null ? null : differs !== null || isSameFailure(result, expected), expected?.invariant ?? null);
  // A run that fails ends before others could strike.
  const neverStruck = found === null ? plan.faults.filter(({ id }) => !struck.has(id)) : [];
  const sameTrace = expected === null ? null : result.traceHash === expected.traceHash;
  if (json) {
    io.out(JSON.stringify({ file: path, ok: found === null, verdict, kind: found?.kind ?? 'ok', invariant: found?.invariant ?? null, message: found?.message ?? null, expected: expected?.invariant ?? null, atMs: result.virtualMs, traceHash: result.traceHash, sameTrace, neverStruck: neverStruck.map(({ id }) => id) }));
  } else {
    if (found !== null) {
      if (!trace) for (const entry of found.events) io.out(entry);
      io.out(found.kind === 'crash' ? (found.stack ?? found.message) : '');
      io.out(sentence(plan, found, result.virtualMs));
    }
    io.out(`${verdict}; ${found === null ? `${ms(result.virtualMs)} of virtual time, ` : ''}trace ${result.traceHash}${sameTrace === true ? ', the same as when it was written' : sameTrace === false ? `, not ${expected?.traceHash ?? ''}: the code has changed since, or the plan` : ''}`);
    if (neverStruck.length > 0) io.out(`${neverStruck.length} of ${countOf(plan.faults.length, 'fault')} never struck: the moment did not come, or whoever is meant was not there to be struck`);
    for (const fault of neverStruck.slice(0, SHOWN_MAX)) io.out(`  ${fault.id.padEnd(9)}${describeFault(fault)}`);
    if (neverStruck.length > SHOWN_MAX) io.out('  …');
  }
  return EXIT[found?.kind ?? 'ok'];
}

function verdictOf(found: Failure | null, same: boolean | null, expected: string | null): string {
  if (found === null) return expected === null ? 'It passes' : `It passes: ${expected} holds now`;
  if (same === null) return `It fails: ${found.invariant}`;
  return same ? `It still fails: ${found.invariant}` : `It fails otherwise: ${found.invariant} now, ${expected ?? ''} when it was written`;
}

