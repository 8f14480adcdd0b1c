/**
 * Makes a failing plan smaller while the same invariant fails: first the faults, then clients, operations, servers, chance, times, settings. Each
 * step goes on from the smallest plan that failed, and the steps are always the same in the same order, so that the same file gives the same
 * result, unless time runs out.
 */
import type { Plan } from '../plan/plan.ts';
import type { RunResult } from '../run/result.ts';
import { ddmin } from './ddmin.ts';
import { Oracle, type RunPlan } from './oracle.ts';
import { allOrdinary, moreOrdinary, unusual } from './ordinary.ts';
import { choicesOfServers, sentBy, withClients, withCluster, withFaults, withOps, withServers, withSkipped, type OpRange } from './parts.ts';
import { allRounded, shifted, simplerFaultTimes } from './times.ts';

export interface ShrinkOptions {
  readonly run: RunPlan;
  /** Of the plan as it is. */
  readonly result: RunResult;
  readonly failure: { readonly kind: string; readonly invariant: string };
  /** The time is up. */
  readonly expired: () => boolean;
  /** After each run. */
  readonly onProgress?: (step: string, runs: number, size: Size) => void;
}

export interface Size {
  readonly faults: number;
  readonly clients: number;
  /** Operations: prescribed ones, and drawn ones that are sent; those of a run before its violation. */
  readonly ops: number;
  readonly servers: number;
  /** Virtual ms until the violation. */
  readonly virtualMs: number;
  /** Settings that are not ordinary. */
  readonly settings: number;
}

export interface Shrunk {
  readonly plan: Plan;
  readonly result: RunResult;
  readonly before: Size;
  readonly after: Size;
  readonly runs: number;
  readonly outOfTime: boolean;
}

/** Runs that may be spent on operations in one go: each that is needed costs some, and there may be hundreds. */
const OP_RUNS_MAX = 120;
/** Above any number that an operation of a run has. */
const LAST_OP = 999_999;

function sizeOf(plan: Plan, result: RunResult): Size {
  const drawn = plan.clients.reduce((sum, { id }) => sum + sentBy(plan, id, drawnBy(result, id)).length, 0);
  return { faults: plan.faults.length, clients: plan.clients.length, ops: drawn + plan.ops.reduce((sum, { times = 1 }) => sum + times, 0), servers: plan.servers, virtualMs: result.virtualMs, settings: unusual(plan) };
}

export function drawnBy(result: RunResult, client: number): number {
  return result.drawn?.[`client-${client}`] ?? 0;
}

export async function shrinkPlan(original: Plan, options: ShrinkOptions): Promise<Shrunk> {
  let step = '';
  const oracle: Oracle = new Oracle(options.run, original, options.result, options.failure, options.expired, () => options.onProgress?.(step, oracle.runs, sizeOf(oracle.plan, oracle.result)));
  const steps: readonly (readonly [string, (oracle: Oracle) => Promise<void>])[] = [
    // Servers before operations too: which operations matter depends on how many servers there are, and to ask it costs more.
    ['time', shorten], ['faults', fewerFaults], ['clients', fewerClients], ['servers', fewerServers], ['cluster', smallerCluster], ['time', earlier], ['chance', calmer], ['operations', fewerOps],
    ['servers', fewerServers], ['faults', fewerFaults], ['times', simplerTimes], ['settings', moreOrdinarySettings], ['faults', fewerFaults], ['clients', fewerClients], ['chance', calmer],
    ['operations', fewerOps], ['time', shorten],
  ];
  for (const [name, make] of steps) {
    step = name;
    await make(oracle);
  }
  return { plan: oracle.plan, result: oracle.result, before: sizeOf(original, options.result), after: sizeOf(oracle.plan, oracle.result), runs: oracle.runs, outOfTime: oracle.outOfTime };
}

/** Phase 1 ends soon after the violation: what passes is then known sooner. */
async function shorten(oracle: Oracle): Promise<void> {
  const { virtualMs } = oracle.result;
  for (const untilMs of [Math.ceil((virtualMs + 1) / 100) * 100, Math.ceil((virtualMs + 1) / 1000) * 1000 + 1000]) {
    if (untilMs < oracle.plan.untilMs && (await oracle.fails({ ...oracle.plan, untilMs }))) return;
  }
}

/** All that is timed happens earlier by the same amount: what was before it may have been of no use. */
async function earlier(oracle: Oracle): Promise<void> {
  const first = Math.min(...[...oracle.plan.faults, ...oracle.plan.ops].map(({ when }) => when.atMs ?? Infinity));
  if (!Number.isFinite(first)) return;
  for (const by of [first - 500, first / 2, first / 4]) if (by > 100 && (await oracle.fails(shifted(oracle.plan, Math.floor(by))))) return;
}

async function fewerFaults(oracle: Oracle): Promise<void> {
  const { plan } = oracle;
  await ddmin(plan.faults, (kept) => oracle.fails(withFaults(plan, kept)));
}

async function fewerClients(oracle: Oracle): Promise<void> {
  const { plan } = oracle;
  await ddmin(plan.clients.map(({ id }) => id), (kept) => oracle.fails(withClients(plan, kept)));
}

/** Prescribed ones one by one; drawn ones in ranges, each cut in two as long as it is needed, the longest first. */
async function fewerOps(oracle: Oracle): Promise<void> {
  const { plan } = oracle;
  await ddmin(plan.ops, (kept) => oracle.fails(withOps(plan, kept)));
  if (asksForWrites(oracle)) return;
  const ranges: OpRange[] = oracle.plan.clients.filter(({ draws }) => draws).map(({ id }) => ({ client: id, from: 1, to: LAST_OP }));
  const until = oracle.runs + OP_RUNS_MAX;
  while (oracle.runs < until && !oracle.outOfTime) {
    const range = ranges.shift();
    if (range === undefined) return;
    const { client, from, to } = range;
    if (await oracle.fails(withSkipped(oracle.plan, [range]))) continue;
    const last = Math.min(to, drawnBy(oracle.result, client));
    if (last <= from) continue;
    const middle = Math.floor((from + last) / 2);
    ranges.push({ client, from: middle + 1, to }, { client, from, to: middle });
    ranges.sort((a, b) => lengthOf(oracle, b) - lengthOf(oracle, a));
  }
}

/** To make no progress means that no writes are answered: clients that send none would look the same. */
function asksForWrites({ failure }: Oracle): boolean {
  return failure.kind === 'liveness';
}

function lengthOf({ result }: Oracle, { client, from, to }: OpRange): number {
  return Math.min(to, Math.max(drawnBy(result, client), from)) - from;
}

async function fewerServers(oracle: Oracle): Promise<void> {
  for (const size of [3, 5]) {
    const { plan } = oracle;
    if (size >= plan.servers) continue;
    const choices = choicesOfServers(plan, size);
    for (const keep of choices) if (await oracle.fails(withServers(plan, keep))) return;
    for (const keep of choices.slice(0, 2)) if (await oracle.fails(withServers(plan, keep, true))) return;
  }
}

/** Fewer masters, workers, slots, partitions and records: the least that will do of each, by halves. */
async function smallerCluster(oracle: Oracle): Promise<void> {
  for (const field of ['jobManagers', 'taskManagers', 'partitions', 'parallelism', 'slots', 'records'] as const) {
    const { plan } = oracle;
    const { cluster } = plan;
    if (cluster === undefined) return;
    for (let n = 1; n < cluster[field]; n *= 2) if (await oracle.fails(withCluster(plan, { ...cluster, [field]: n }))) break;
  }
}

/** Streams of chance that are not needed become calm: whole groups if that will do, else as many of their members as possible. */
async function calmer(oracle: Oracle): Promise<void> {
  const { plan } = oracle;
  const sids = Array.from({ length: plan.servers }, (_, i) => i + 1);
  const links = sids.flatMap((from) => sids.filter((to) => to !== from).map((to) => `net/server-${from}>server-${to}`));
  const groups = ['net', 'disk', ...(asksForWrites(oracle) ? [] : plan.clients.map(({ id }) => `client-${id}`))].filter((name) => !plan.calm.includes(name));
  const wild = await ddmin(groups, (kept) => oracle.fails({ ...plan, calm: [...plan.calm, ...groups.filter((name) => !kept.includes(name))] }));
  const base = oracle.plan;
  const members = [...(wild.includes('net') ? links : []), ...(wild.includes('disk') ? sids.map((sid) => `disk/server-${sid}`) : [])].filter((name) => !base.calm.includes(name));
  await ddmin(members, (kept) => oracle.fails({ ...base, calm: [...base.calm, ...members.filter((name) => !kept.includes(name))] }));
}

async function simplerTimes(oracle: Oracle): Promise<void> {
  for (const step of [100, 10, 1]) if (await oracle.fails(allRounded(oracle.plan, step))) break;
  for (const { id } of oracle.plan.faults) {
    // The choices change with each that is made, their number does not.
    for (let which = 0; which < simplerFaultTimes(oracle.plan, id).length; which++) {
      for (const plan of simplerFaultTimes(oracle.plan, id)[which] ?? []) if (await oracle.fails(plan)) break;
    }
  }
}

async function moreOrdinarySettings(oracle: Oracle): Promise<void> {
  for (const plan of allOrdinary(oracle.plan)) {
    if (await oracle.fails(plan)) break;
  }
  // Each that is left, once.
  const tried = new Set<string>();
  for (;;) {
    const next = moreOrdinary(oracle.plan).map((plan) => [difference(oracle.plan, plan), plan] as const).find(([what]) => !tried.has(what));
    if (next === undefined) return;
    tried.add(next[0]);
    await oracle.fails(next[1]);
  }
}

/** Which one setting two plans differ in. */
function difference(a: Plan, b: Plan): string {
  const parts = ['knobs', 'serverKnobs', 'clocks', 'clients', 'cluster'] as const;
  const part = parts.find((each) => a[each] !== b[each]) ?? 'knobs';
  const flat = (of: object): string[] => Object.entries(of).flatMap(([key, value]) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? flat(value).map((rest) => `${key}.${rest}`) : [`${key}=${JSON.stringify(value)}`]));
  const before = new Set(flat(a[part] ?? {}));
  return `${part}.${flat(b[part] ?? {}).filter((each) => !before.has(each)).join(',')}`;
}
