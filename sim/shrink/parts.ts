/** The same plan with less in it. Nothing here runs anything. */
import type { ClusterPlan, FaultAction, FaultPlan, Moment, OpPlan, Plan } from '../plan/plan.ts';

/** Without what waits for something that is not there: it would wait for ever. */
function settled(plan: Plan): Plan {
  for (let now = plan; ; ) {
    const ids = new Set([...now.faults, ...now.ops].map(({ id }) => id));
    const waits = ({ when }: { readonly when: Moment }): boolean => when.after !== undefined && !ids.has(when.after);
    const faults = now.faults.filter((fault) => !waits(fault));
    const ops = now.ops.filter((op) => !waits(op));
    if (faults.length === now.faults.length && ops.length === now.ops.length) return now;
    now = { ...now, faults, ops };
  }
}

export function withFaults(plan: Plan, faults: readonly FaultPlan[]): Plan {
  return settled({ ...plan, faults });
}

export function withoutFault(plan: Plan, id: string): Plan {
  return withFaults(plan, plan.faults.filter((fault) => fault.id !== id));
}

export function withOps(plan: Plan, ops: readonly OpPlan[]): Plan {
  return settled({ ...plan, ops });
}

/** Only these clients: with their operations, and without the sessions of those that are gone. */
export function withClients(plan: Plan, ids: readonly number[]): Plan {
  const kept = new Set(ids);
  const clients = plan.clients.filter(({ id }) => kept.has(id)).map((client) => {
    const { sharesSessionOf, ...alone } = client;
    return sharesSessionOf === undefined || kept.has(sharesSessionOf) ? client : alone;
  });
  const skip = plan.skip.filter((text) => kept.has(Number(/^client-(\d+)#/.exec(text)?.[1])));
  return withOps({ ...plan, clients, skip }, plan.ops.filter(({ client }) => kept.has(client)));
}

/** Operations of a client that are drawn and not sent; numbered from 1, both ends included. */
export interface OpRange {
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

export function withSkipped(plan: Plan, ranges: readonly OpRange[]): Plan {
  return { ...plan, skip: mergeRanges([...rangesOf(plan), ...ranges]).map(({ client, from, to }) => `client-${client}#${from}${to === from ? '' : `-${to}`}`) };
}

export function rangesOf({ skip }: Plan): readonly OpRange[] {
  return skip.flatMap((text) => {
    const match = /^client-(\d+)#(\d+)(?:-(\d+))?$/.exec(text);
    return match === null ? [] : [{ client: Number(match[1]), from: Number(match[2]), to: Number(match[3] ?? match[2]) }];
  });
}

function mergeRanges(ranges: readonly OpRange[]): readonly OpRange[] {
  const merged: OpRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.client - b.client || a.from - b.from || a.to - b.to)) {
    const last = merged.at(-1);
    if (last !== undefined && last.client === range.client && range.from <= last.to + 1) merged[merged.length - 1] = { ...last, to: Math.max(last.to, range.to) };
    else merged.push(range);
  }
  return merged;
}

/** Which of the first `drawn` operations of a client are sent. */
export function sentBy(plan: Plan, client: number, drawn: number): readonly number[] {
  const skipped = rangesOf(plan).filter(({ client: of }) => of === client);
  return Array.from({ length: drawn }, (_, i) => i + 1).filter((n) => !skipped.some(({ from, to }) => n >= from && n <= to));
}

/** Only these servers, in a smaller ensemble: they get the numbers from 1, and what was done to the others is left out or, with `fold`, done to those that stay. */
export function withServers(plan: Plan, keep: readonly number[], fold = false): Plan {
  const numbers = new Map(keep.map((sid, i) => [sid, i + 1]));
  /** Null: it is gone. */
  const rename = (name: string): string | null => {
    const sid = /^server-(\d+)$/.exec(name)?.[1];
    if (sid === undefined) return name;
    const number = numbers.get(Number(sid)) ?? (fold ? ((Number(sid) - 1) % keep.length) + 1 : null);
    return number === null ? null : `server-${number}`;
  };
  const kept = <T>(all: readonly T[]): T[] => keep.map((sid) => all[sid - 1] as T);
  const core = plan.core?.flatMap((sid) => numbers.get(sid) ?? []);
  const { core: _, ...rest } = plan;
  return settled({
    ...rest, servers: keep.length, serverKnobs: kept(plan.serverKnobs), clocks: kept(plan.clocks), ...renamedIn(plan, rename),
    ...(core !== undefined && core.length > keep.length / 2 ? { core } : {}),
  });
}

/** A smaller cluster: what was done to managers that are not there any more is left out. */
export function withCluster(plan: Plan, cluster: ClusterPlan): Plan {
  const rename = (name: string): string | null => {
    const [, kind, number] = /^(job|task)manager-(\d+)$/.exec(name) ?? [];
    return kind === undefined || Number(number) <= (kind === 'job' ? cluster.jobManagers : cluster.taskManagers) ? name : null;
  };
  const { goneForGood } = cluster;
  return settled({ ...plan, ...renamedIn(plan, rename), cluster: { ...cluster, ...(goneForGood === undefined ? {} : { goneForGood: goneForGood.filter((name) => rename(name) !== null) }) } });
}

/** Null for a name: it is gone, and so is what was done to it, or waited for it. */
function renamedIn(plan: Plan, rename: (name: string) => string | null): Pick<Plan, 'faults' | 'ops'> {
  const moment = (when: Moment): Moment | null => {
    if (when.event === undefined) return when;
    const who = rename(when.event.who);
    return who === null ? null : { ...when, event: { ...when.event, who } };
  };
  const faults = plan.faults.flatMap((fault) => {
    const when = moment(fault.when);
    const action = renamed(fault.action, rename);
    return when === null || action === null ? [] : [{ ...fault, when, action }];
  });
  const ops = plan.ops.flatMap((op) => {
    const when = moment(op.when);
    if (when === null) return [];
    const { to, ...rest } = op;
    const target = to === undefined ? null : rename(to);
    return [{ ...rest, when, ...(target === null ? {} : { to: target }) }];
  });
  return { faults, ops };
}

/** Null: nobody is left whom it could strike. */
function renamed(action: FaultAction, rename: (name: string) => string | null): FaultAction | null {
  const names = (all: readonly string[]): string[] => [...new Set(all.flatMap((name) => rename(name) ?? []))];
  if (action.kind === 'power-failure') {
    const on = names(action.on);
    return on.length === 0 ? null : { ...action, on };
  }
  if (action.kind === 'partition') {
    const groups = action.groups.map(names).filter((group) => group.length > 0);
    return groups.length === 0 || groups.length < Math.min(2, action.groups.length) ? null : { ...action, groups };
  }
  const out: Record<string, unknown> = { ...action };
  for (const field of ['on', 'from', 'to', 'a', 'b']) {
    const name = out[field];
    if (typeof name !== 'string') continue;
    const other = rename(name);
    if (other === null) return null;
    out[field] = other;
  }
  return out as unknown as FaultAction;
}

/** Choices of `size` servers, those first that most faults name. */
export function choicesOfServers(plan: Plan, size: number): readonly (readonly number[])[] {
  const named = Array.from({ length: plan.servers + 1 }, () => 0);
  for (const { action, when } of plan.faults) for (const [, sid] of `${JSON.stringify(action)} ${when.event?.who ?? ''}`.matchAll(/server-(\d+)/g)) named[Number(sid)] = (named[Number(sid)] ?? 0) + 1;
  const weight = (choice: readonly number[]): number => choice.reduce((sum, sid) => sum + (named[sid] ?? 0), 0);
  return choose(Array.from({ length: plan.servers }, (_, i) => i + 1), size).toSorted((a, b) => weight(b) - weight(a));
}

function choose<T>(from: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return from.flatMap((first, i) => choose(from.slice(i + 1), size - 1).map((rest) => [first, ...rest]));
}
