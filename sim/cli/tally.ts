/** What many seeds add up to. Sums of parts of a range of seeds are those of the range, so runs can be split and gone on with. */
import { MARKS } from '../world/marks.ts';
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
  readonly marks: Record<string, number> = Object.fromEntries(MARKS.map((mark) => [mark, 0]));
  /** How many failures of each kind and invariant. */
  readonly findings: Record<string, number> = {};
  firstFinding: Finding | null = null;

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
    if (report.failure !== null) {
      this.failed++;
      this.firstFinding ??= report.failure.kind;
      addTo(this.findings, { [`${report.failure.kind}: ${report.failure.invariant}`]: 1 });
    } else if (report.task.twice) this.twice++;
  }

  get faultCount(): number {
    return Object.values(this.faults).reduce((sum, n) => sum + n, 0);
  }
  get marksHit(): number {
    return Object.values(this.marks).filter((n) => n > 0).length;
  }
  get marksNeverSeen(): string[] {
    return Object.keys(this.marks).filter((mark) => this.marks[mark] === 0);
  }
}

function addTo(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [key, n] of Object.entries(counts)) sums[key] = (sums[key] ?? 0) + n;
}
