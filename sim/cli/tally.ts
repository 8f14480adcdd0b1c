/** What many seeds add up to. Sums of parts of a range of seeds are those of the range, so runs can be split and gone on with. */
import type { Finding, SeedReport } from './seed-report.ts';

export class Tally {
  seeds = 0;
  failed = 0;
  /** Seeds that ran twice and ended on the same trace. */
  twice = 0;
  virtualMs = 0;
  events = 0;
  acked = 0;
  elections = 0;
  expired = 0;
  longestElectionMs = 0;
  lastTraceHash = '';
  readonly faults: Record<string, number> = {};
  /** How often each mark was hit; those that no run is expected to come by are counted when one does. */
  readonly marks: Record<string, number> = {};
  readonly #expected: readonly string[];
  readonly #story: readonly string[];
  /** Seeds that came by all that their story must come by. */
  told = 0;
  /** How many failures of each kind and invariant. */
  readonly findings: Record<string, number> = {};
  /** The first kind of failure; 'gave-up' only if there is no other. */
  finding: Finding | null = null;

  /** `expected`: the marks that seeds of this kind should come by, sooner or later; `story`: those that each of them should. */
  constructor(expected: readonly string[], story: readonly string[] = []) {
    this.#expected = expected;
    this.#story = story;
  }

  add(report: SeedReport): void {
    this.seeds++;
    this.virtualMs += report.virtualMs;
    this.events += report.events;
    this.acked += report.acked;
    this.elections += report.elections;
    this.expired += report.expired;
    this.longestElectionMs = Math.max(this.longestElectionMs, report.longestElectionMs);
    this.lastTraceHash = report.traceHash;
    addTo(this.faults, report.faults);
    addTo(this.marks, report.marks);
    const marks: Readonly<Record<string, number>> = report.marks;
    if (this.isStory && this.#story.every((mark) => (marks[mark] ?? 0) > 0)) this.told++;
    if (report.failure !== null) {
      this.failed++;
      if (this.finding === null || this.finding === 'gave-up') this.finding = report.failure.kind;
      addTo(this.findings, { [`${report.failure.kind}: ${report.failure.invariant}`]: 1 });
    }
    // Every failure is run again, unless there was nothing to compare.
    if (report.traceHash !== '' && report.failure?.kind !== 'nondeterminism' && (report.task.twice || report.failure !== null)) this.twice++;
  }

  get faultCount(): number {
    return Object.values(this.faults).reduce((sum, n) => sum + n, 0);
  }
  get isStory(): boolean {
    return this.#story.length > 0;
  }
  get marksExpected(): number {
    return this.#expected.length;
  }
  get marksHit(): number {
    return this.#expected.length - this.marksNeverSeen.length;
  }
  get marksNeverSeen(): string[] {
    return this.#expected.filter((mark) => (this.marks[mark] ?? 0) === 0);
  }
}

function addTo(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [key, n] of Object.entries(counts)) if (n > 0) sums[key] = (sums[key] ?? 0) + n;
}
