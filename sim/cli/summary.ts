/** What is printed about a failure, and at the end. */
import type { Failure, SeedReport } from './seed-report.ts';
import type { Tally } from './tally.ts';
import { DEFAULT_DIR, commandsFor, firstLine } from './failure-file.ts';
import { count, countOf, counts, ms, quoted, virtualTime, wrapped } from './text.ts';

export interface RunOf {
  readonly scenario: string;
  readonly servers: number;
  readonly mutant?: string;
  readonly jobs: number;
}

/** After fewer seeds than this many marks are missing, and it means nothing which. */
const SEEDS_FOR_MARKS = 20;

/** Where a failure's file is; null: there is none, since there was no plan, or because of `why`. */
export interface Written {
  readonly path: string | null;
  readonly why?: string;
}

/** The block that a person reads first. */
export function failureText(report: SeedReport, failure: Failure, { path, why }: Written): string {
  const { task } = report;
  const lines = [
    ...failure.events, '',
    `${failure.kind}: ${failure.invariant}`,
    `  ${failure.kind === 'crash' ? (failure.stack ?? failure.message).split('\n').join('\n  ') : failure.message}`,
    `  ${task.scenario}, ${countOf(task.servers, 'server')}, seed ${task.seed}${task.mutant === undefined ? '' : `, mutant ${task.mutant}`}${failure.kind === 'crash' ? '' : `, at ${ms(report.virtualMs)} of virtual time; trace ${report.traceHash}`}`,
  ];
  if (why !== undefined) lines.push(`  no file  it could not be written: ${why}`);
  if (path === null) lines.push(`  again    ${again({ ...task, jobs: 1 })} --seed ${quoted(task.seed)}`);
  else for (const [what, command] of Object.entries(commandsFor(path, failure))) lines.push(`  ${what.padEnd(8)} ${command}`);
  return lines.join('\n');
}

export function again({ scenario, servers, mutant, jobs }: RunOf): string {
  return `npx drey sim ${quoted(scenario)} --servers ${servers}${mutant === undefined ? '' : ` --mutant ${quoted(mutant)}`}${jobs > 1 ? ` --jobs ${jobs}` : ''}`;
}

export interface End {
  readonly seconds: number;
  readonly interrupted: boolean;
  readonly fromSeed: number;
  /** For the line that goes on from here; null for a single seed. */
  readonly nextSeed: number | null;
  /** How the run was asked for, and will be gone on with. */
  readonly asked: Asked;
}

export interface Asked {
  /** Null: as many as fit into `minutes`. */
  readonly seeds: number | null;
  readonly minutes?: number;
  readonly keepGoing: boolean;
  readonly out: string;
}

/** The same again, behind the seeds that have run. */
function goOnLine(run: RunOf, { seeds, minutes, keepGoing, out }: Asked, nextSeed: number): string {
  return [
    again(run), ...(seeds === null ? [] : [`--seeds ${seeds}`]), ...(minutes === undefined ? [] : [`--minutes ${minutes}`]), `--from-seed ${nextSeed}`,
    ...(keepGoing ? ['--keep-going'] : []), ...(out === DEFAULT_DIR ? [] : [`--out ${quoted(out)}`]),
  ].join(' ');
}

export function summaryText(run: RunOf, tally: Tally, end: End): string {
  const { seconds, nextSeed } = end;
  const which = nextSeed === null ? '1 seed' : `${countOf(tally.seeds, 'seed')} (${end.fromSeed} to ${nextSeed - 1})`;
  const per = (n: number): string => count(n / Math.max(seconds, 0.001));
  const never = tally.marksNeverSeen;
  const row = (what: string, text: string): string => `  ${what.padEnd(11)}${text}`;
  const goOn = nextSeed === null ? [] : [row('go on', goOnLine(run, end.asked, nextSeed))];
  if (tally.seeds === 0) return [`${run.scenario} on ${countOf(run.servers, 'server')}: interrupted before the first seed had ended`, ...goOn].join('\n');
  return [
    `${run.scenario} on ${countOf(run.servers, 'server')}: ${which} ${tally.failed === 0 ? 'ok' : `ran, ${tally.failed} failed`} in ${seconds.toFixed(1)} s${end.interrupted ? ', interrupted' : ''}`,
    row('speed', `${(tally.seeds / Math.max(seconds, 0.001)).toFixed(1)} seeds/s, ${per(tally.events)} events/s, ${per(tally.virtualMs / 1000)} simulated s/s`),
    row('simulated', `${virtualTime(tally.virtualMs)}, ${countOf(tally.events, 'event')}, ${countOf(tally.elections, 'election')}, ${countOf(tally.acked, 'acked write')}, ${countOf(tally.expired, 'expired session')}`),
    row('no leader', `for at most ${ms(tally.longestElectionMs)} of virtual time`),
    row('faults', `${count(tally.faultCount)}${tally.faultCount === 0 ? '' : `: ${wrapped(counts(tally.faults), 13)}`}`),
    ...(tally.isStory ? [row('story', `told in ${count(tally.told)} of ${countOf(tally.seeds, 'seed')}`)] : []),
    ...(tally.marksExpected === 0 ? [] : [row('marks', `${tally.marksHit} of ${tally.marksExpected} seen${never.length === 0 || tally.seeds < SEEDS_FOR_MARKS ? '' : `; never: ${wrapped(never.join(', '), 13)}`}`)]),
    row('repeated', `${tally.twice === 0 ? 'no seed' : countOf(tally.twice, 'seed')} ran twice and ended on the same trace${tally.twice === 1 && tally.seeds === 1 ? `, ${tally.lastTraceHash}` : `; the last trace is ${tally.lastTraceHash}`}`),
    ...Object.entries(tally.findings).map(([what, n]) => row('failed', `${count(n)} × ${firstLine(what)}`)),
    ...goOn,
  ].join('\n');
}

export function summaryJson(run: RunOf, tally: Tally, end: End, failures: readonly { readonly report: SeedReport; readonly written: Written }[]): object {
  return {
    scenario: run.scenario, servers: run.servers, ...(run.mutant === undefined ? {} : { mutant: run.mutant }), ok: tally.failed === 0, interrupted: end.interrupted, seconds: Number(end.seconds.toFixed(2)),
    seeds: tally.seeds, fromSeed: end.nextSeed === null ? null : end.fromSeed, nextSeed: end.nextSeed, failed: tally.failed, twice: tally.twice, virtualMs: Math.round(tally.virtualMs), events: tally.events,
    acked: tally.acked, elections: tally.elections, expired: tally.expired, longestElectionMs: tally.longestElectionMs, faults: tally.faults, marks: tally.marks, neverSeen: tally.marksNeverSeen, ...(tally.isStory ? { told: tally.told } : {}), traceHash: tally.lastTraceHash,
    failures: failures.map(({ report, written: { path, why } }) => ({
      seed: report.task.seed, kind: report.failure?.kind, invariant: report.failure?.invariant, message: report.failure?.message, atMs: report.virtualMs, traceHash: report.traceHash, file: path,
      ...(path === null ? {} : { commands: commandsFor(path, report.failure) }), ...(why === undefined ? {} : { fileError: why }),
    })),
  };
}
