/** Which single thing, when it is taken away, makes a failing run pass. Each thing costs one run. */
import { invariantOf, isSameFailure } from '../cli/seed-report.ts';
import type { Plan } from '../plan/plan.ts';
import type { RunResult } from '../run/result.ts';
import { describeFault, describeOp } from './describe.ts';
import type { RunPlan } from './oracle.ts';
import { sentBy, withClients, withFaults, withOps, withoutFault, withSkipped } from './parts.ts';
import { drawnBy } from './shrink-plan.ts';

export interface Removal {
  readonly id: string;
  readonly kind: 'fault' | 'op' | 'client' | 'ops' | 'chance';
  /** 'crash of server-2 at 1,204 ms'. */
  readonly what: string;
  readonly plan: Plan;
}

export interface Verdict extends Removal {
  /** 'passes': the failure needs it. 'fails': it does not. Anything else is what is broken instead. */
  readonly outcome: 'passes' | 'fails' | 'fails otherwise';
  readonly otherwise?: string;
}

export interface Why {
  readonly verdicts: readonly Verdict[];
  /** All faults are innocent: it fails without any. */
  readonly withoutFaults: Verdict['outcome'] | null;
}

/** Parts of what a client draws that are left out together. */
const OP_PARTS = 4;

export function removals(plan: Plan, result: RunResult): readonly Removal[] {
  const drawing = plan.clients.filter(({ draws }) => draws);
  return [
    ...plan.faults.map((fault): Removal => ({ id: fault.id, kind: 'fault', what: describeFault(fault), plan: withoutFault(plan, fault.id) })),
    ...plan.ops.map((op): Removal => ({ id: op.id, kind: 'op', what: describeOp(op), plan: withOps(plan, plan.ops.filter(({ id }) => id !== op.id)) })),
    ...(plan.clients.length < 2 ? [] : plan.clients.map(({ id }): Removal => ({ id: `client-${id}`, kind: 'client', what: `client-${id} and all that it does`, plan: withClients(plan, plan.clients.flatMap((each) => (each.id === id ? [] : [each.id]))) }))),
    ...drawing.flatMap(({ id }) => parts(sentBy(plan, id, drawnBy(result, id))).map(([from, to]): Removal => ({ id: `client-${id}#${from}${to === from ? '' : `-${to}`}`, kind: 'ops', what: `${to === from ? `operation ${from}` : `operations ${from} to ${to}`} of client-${id}`, plan: withSkipped(plan, [{ client: id, from, to }]) }))),
    ...['net', 'disk', ...drawing.map(({ id }) => `client-${id}`)].filter((name) => !plan.calm.includes(name)).map((name): Removal => ({ id: `chance in ${name}`, kind: 'chance', what: 'what is drawn there instead of the most ordinary value', plan: { ...plan, calm: [...plan.calm, name] } })),
  ];
}

/** Ranges that have about as many of these numbers each. */
function parts(numbers: readonly number[]): readonly (readonly [number, number])[] {
  const size = Math.max(1, Math.ceil(numbers.length / OP_PARTS));
  return Array.from({ length: Math.ceil(numbers.length / size) }, (_, i) => [numbers[i * size] as number, numbers[Math.min(numbers.length, (i + 1) * size) - 1] as number] as const);
}

export async function why(plan: Plan, result: RunResult, run: RunPlan, onProgress: (done: number, of: number) => void = () => {}): Promise<Why> {
  const failure = { kind: result.kind, invariant: invariantOf(result) };
  const outcome = async (other: Plan): Promise<Pick<Verdict, 'outcome' | 'otherwise'>> => {
    const without = await run(other);
    if (without.kind === 'ok') return { outcome: 'passes' };
    return isSameFailure(without, failure) ? { outcome: 'fails' } : { outcome: 'fails otherwise', otherwise: `${without.kind}: ${invariantOf(without)}` };
  };
  const all = removals(plan, result);
  const verdicts: Verdict[] = [];
  for (const removal of all) {
    verdicts.push({ ...removal, ...(await outcome(removal.plan)) });
    onProgress(verdicts.length, all.length);
  }
  const withoutFaults = plan.faults.length < 2 ? null : (await outcome(withFaults(plan, []))).outcome;
  return { verdicts, withoutFaults };
}

const RANK: Readonly<Record<Removal['kind'], number>> = { fault: 0, op: 1, ops: 2, client: 3, chance: 4 };

/** The passing run that is most like the failing one: it differs in a fault if it can, in the last that is needed. */
export function neighbour({ verdicts }: Why): Verdict | null {
  const passing = verdicts.map((verdict, i) => [verdict, i] as const).filter(([{ outcome }]) => outcome === 'passes');
  return passing.toSorted(([a, i], [b, j]) => RANK[a.kind] - RANK[b.kind] || j - i)[0]?.[0] ?? null;
}

/** What happens at a moment, and not all the time. */
function isEvent({ kind }: Removal): boolean {
  return kind === 'fault' || kind === 'op';
}

export function whySentence({ verdicts, withoutFaults }: Why): string {
  const needed = verdicts.filter(({ outcome }) => outcome === 'passes');
  const events = needed.filter(isEvent);
  const named = (of: readonly Verdict[]): string => of.map(({ id, what }) => `${id} (${what})`).join('; ');
  const decisive = (of: readonly Verdict[], things: string): string => (of.length === 1 ? `Without ${named(of)} the run passes.` : `Each of ${of.length} ${things} is needed; without any one of them the run passes: ${named(of)}.`);
  if (events.length > 0) {
    const others = needed.filter((verdict) => !isEvent(verdict));
    return `${decisive(events, 'events')}${others.length === 0 ? '' : ` Needed besides: ${named(others)}.`}`;
  }
  const innocent = withoutFaults === 'fails' ? 'No fault is needed: the run fails without any. ' : '';
  if (needed.length > 0) return innocent + decisive(needed, 'things');
  if (innocent !== '') return innocent.trimEnd();
  if (!verdicts.some(isEvent)) return 'No fault is needed, and there is none: what fails is the ordinary course of the run.';
  return 'No single event decides: the run fails without any one of them. Shrink it first, so that those that stand in for each other are gone.';
}
