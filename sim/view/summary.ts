/** A run in words, for those who do not see the picture. */
import type { Recorded } from '../record/recorded.ts';
import { clock, count as grouped } from './numbers.ts';
import type { PageData } from './page-data.ts';

export interface SummaryPart {
  readonly heading: string;
  readonly lines: readonly string[];
}

/** How many of the last steps before the violation are told. */
const LAST_STEPS = 20;

export function summary({ meta, run, neighbour }: PageData): SummaryPart[] {
  const parts: SummaryPart[] = [
    { heading: 'Verdict', lines: [run.violation === null ? `${meta.scenario}, seed ${meta.seed}: nothing is violated` : `${run.violation.invariant} at ${ms(run.violation.at)}: ${run.violation.message}`] },
    { heading: 'Who takes part', lines: run.lanes.map(({ id, kind }) => `${id} (${kind})`) },
    { heading: 'Faults', lines: run.faults.length === 0 ? ['none'] : run.faults.map((fault) => `${ms(fault.from)}: ${fault.label}${fault.to < 0 ? '' : `, until ${ms(fault.to)}`}`) },
    { heading: 'Roles', lines: roles(run) },
    { heading: run.violation === null ? 'The last steps' : 'The last steps before the violation', lines: lastSteps(run) },
  ];
  if (neighbour !== null) parts.push({ heading: 'Neighbour', lines: [`The same seed ${neighbour.label}: ${neighbour.recorded.violation === null ? 'passes' : `${neighbour.recorded.violation.invariant}: ${neighbour.recorded.violation.message}`}`] });
  if (run.leftOut.length > 0) parts.push({ heading: 'Not in this recording', lines: run.leftOut.map(({ what, count, before }) => `${grouped(count)} ${what} before ${ms(before)}`) });
  return parts;
}

function ms(us: number): string {
  return `${clock(us)} ms`;
}

function roles({ bands, lanes, strings }: Recorded): string[] {
  return bands.lane.flatMap((lane, i) => (strings[bands.band[i] as number] === 'role' ? [`${ms(bands.from[i] as number)}: ${lanes[lane]?.id} ${strings[bands.label[i] as number]}`] : []));
}

function lastSteps({ events, lanes, strings, violation }: Recorded): string[] {
  const until = violation?.at ?? Infinity;
  return events.at
    .flatMap((at, i) => (at <= until ? [`${ms(at)}: ${lanes[events.lane[i] as number]?.id} ${strings[events.name[i] as number]} ${strings[events.fields[i] as number]}`] : []))
    .slice(-LAST_STEPS);
}
