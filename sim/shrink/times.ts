/** Shorter and rounder times. */
import type { FaultPlan, Moment, Plan } from '../plan/plan.ts';

const DURATIONS = ['forMs', 'downMs', 'staggerMs', 'lateMs', 'extraMs'];
const STEPS = [1000, 100, 10, 1];

/** Simpler than `n` and not more than it, the simplest first. */
export function simplerTimes(n: number, least = 0): readonly number[] {
  const rounder = STEPS.map((step) => Math.floor(n / step) * step);
  const shorter = [1, 10, 100, 300, 1000, 3000].filter((each) => each <= n / 2);
  return [...new Set([...shorter, ...rounder])].filter((each) => each < n && each >= least).toSorted((a, b) => complexity(a) - complexity(b) || a - b);
}

function complexity(n: number): number {
  return String(n).replace(/0+$/, '').length;
}

/** The same moment, rounder: 1,203.7 may become 1,000, 1,200, 1,203, or a step later. */
function rounderMoments(n: number): readonly number[] {
  const candidates = STEPS.flatMap((step) => [Math.floor(n / step) * step, Math.ceil(n / step) * step]);
  return [...new Set(candidates)].filter((each) => complexity(each) < complexity(n)).toSorted((a, b) => complexity(a) - complexity(b) || Math.abs(a - n) - Math.abs(b - n));
}

/** All times of all faults at once, to multiples of `step`. */
export function allRounded(plan: Plan, step: number): Plan {
  const round = (n: number): number => Math.round(n / step) * step;
  return {
    ...plan,
    faults: plan.faults.map((fault) => {
      const { atMs, plusMs } = fault.when;
      const action: Record<string, unknown> = { ...fault.action };
      for (const key of DURATIONS) if (typeof action[key] === 'number' && action[key] >= step) action[key] = round(action[key]);
      return { ...fault, when: { ...fault.when, ...(atMs === undefined ? {} : { atMs: round(atMs) }), ...(plusMs === undefined || plusMs < step ? {} : { plusMs: round(plusMs) }) }, action: action as unknown as FaultPlan['action'] };
    }),
  };
}

/** Everything that has a time happens this much earlier. */
export function shifted(plan: Plan, byMs: number): Plan {
  const shift = <T extends { readonly when: Moment }>(each: T): T => (each.when.atMs === undefined ? each : { ...each, when: { ...each.when, atMs: Math.max(0, each.when.atMs - byMs) } });
  return { ...plan, faults: plan.faults.map(shift), ops: plan.ops.map(shift) };
}

/** For each time of a fault: the plans with a simpler one, of which the first that will do is taken. */
export function simplerFaultTimes(plan: Plan, id: string): readonly (readonly Plan[])[] {
  const at = plan.faults.findIndex((fault) => fault.id === id);
  const fault = plan.faults[at];
  if (fault === undefined) return [];
  const replaced = (other: FaultPlan): Plan => ({ ...plan, faults: plan.faults.with(at, other) });
  const { atMs, plusMs } = fault.when;
  const action = fault.action as unknown as Readonly<Record<string, unknown>>;
  return [
    atMs === undefined ? [] : rounderMoments(atMs).map((each) => replaced({ ...fault, when: { ...fault.when, atMs: each } })),
    plusMs === undefined ? [] : simplerTimes(plusMs).map((each) => replaced({ ...fault, when: { ...fault.when, plusMs: each } })),
    ...DURATIONS.filter((key) => typeof action[key] === 'number').map((key) =>
      simplerTimes(action[key] as number).map((each) => replaced({ ...fault, action: { ...action, [key]: each } as unknown as FaultPlan['action'] }))),
  ];
}
