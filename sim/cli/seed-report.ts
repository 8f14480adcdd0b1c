/**
 * One seed, drawn and run, as data that passes between processes. A share of the seeds runs twice, and every failure does: a run that cannot be
 * repeated is a finding of its own kind, since nothing else that is said about it could be checked.
 */
import type { Plan } from '../plan/plan.ts';
import type { Outcome, RunOptions, RunResult } from '../run/result.ts';
import type { TraceEntry } from '../world/trace.ts';
import { crashResult } from './crash-result.ts';
import { traceLine } from './text.ts';

export type Finding = Exclude<Outcome, 'ok'>;

/** What the commands need of the simulator; tests give their own. */
export interface Simulator {
  draw(scenario: string, options: { readonly seed: string; readonly servers: number; readonly mutant?: string }): Plan;
  run(plan: Plan, options?: RunOptions): Promise<RunResult>;
  /** Of a failed run's trace, what bears on its violation, oldest first. */
  relevant(result: RunResult): readonly TraceEntry[];
}

export interface SeedTask {
  readonly scenario: string;
  readonly servers: number;
  readonly seed: string;
  readonly mutant?: string;
  /** Run it again even if it is ok. */
  readonly twice: boolean;
}

export interface Failure {
  readonly kind: Finding;
  readonly invariant: string;
  readonly message: string;
  /** Of a crash. */
  readonly stack?: string;
  readonly plan: Plan | null;
  /** Of the trace, what bears on it, as text. */
  readonly events: readonly string[];
}

export interface SeedReport extends Pick<RunResult, 'traceHash' | 'virtualMs' | 'events' | 'faults' | 'acked' | 'elections' | 'expired' | 'longestElectionMs' | 'marks'> {
  readonly task: SeedTask;
  readonly failure: Failure | null;
}

export async function runSeed(simulator: Simulator, task: SeedTask, onTrace?: (entry: TraceEntry) => void): Promise<SeedReport> {
  let plan: Plan | null = null;
  try {
    plan = simulator.draw(task.scenario, task);
    const result = await simulator.run(plan, onTrace === undefined ? {} : { onTrace });
    const failure = result.kind === 'ok' ? null : failureOf(simulator, plan, result);
    if (failure === null && !task.twice) return report(task, result, null);
    const again = await simulator.run(plan);
    return report(task, result, differenceOf(plan, result, again) ?? failure);
  } catch (error) {
    return crashReport(task, plan, error);
  }
}

/** Null: both runs of the plan ended on the same trace. */
export function differenceOf(plan: Plan, result: RunResult, again: RunResult): Failure | null {
  if (again.traceHash === result.traceHash) return null;
  const message = `the same plan ended on trace ${result.traceHash} (${outcome(result)}), then on ${again.traceHash} (${outcome(again)}): something in it is not deterministic`;
  return { kind: 'nondeterminism', invariant: 'Determinism', message, plan, events: [] };
}

/** An assertion of the product, or anything else that was thrown, is a finding like any other. */
export function crashReport(task: SeedTask, plan: Plan | null, error: unknown): SeedReport {
  const result = crashResult(error);
  return report(task, result, failureWith(plan, result, []));
}

/** The same failure as far as a shrunk, edited or replayed run is concerned: the same kind, of the same invariant. */
export function isSameFailure(result: RunResult, failure: { readonly kind: string; readonly invariant: string }): boolean {
  return result.kind === failure.kind && invariantOf(result) === failure.invariant;
}

export function invariantOf(result: RunResult): string {
  return result.violation?.invariant ?? result.violation?.name ?? result.kind;
}

export function failureOf(simulator: Simulator, plan: Plan, result: RunResult): Failure {
  return failureWith(plan, result, simulator.relevant(result).map(traceLine));
}

function failureWith(plan: Plan | null, result: RunResult, events: readonly string[]): Failure {
  const { kind, violation } = result;
  if (kind === 'ok') throw new RangeError('the run did not fail');
  return { kind, invariant: invariantOf(result), message: violation?.message ?? kind, ...(kind === 'crash' && violation?.stack !== undefined ? { stack: violation.stack } : {}), plan, events };
}

function report(task: SeedTask, result: RunResult, failure: Failure | null): SeedReport {
  const { traceHash, virtualMs, events, faults, acked, elections, expired, longestElectionMs, marks } = result;
  return { task, traceHash, virtualMs, events, faults, acked, elections, expired, longestElectionMs, marks, failure };
}

function outcome(result: RunResult): string {
  return result.kind === 'ok' ? 'ok' : `${invariantOf(result)}: ${result.violation?.message ?? ''}`;
}
