/** What settings are when nothing about a run depends on them. */
import { quietPlan } from '../plan/draft.ts';
import type { ClientPlan, ClockPlan, ClusterPlan, Plan } from '../plan/plan.ts';
import type { Knobs, ServerKnobs } from '../world/knobs.ts';

const quiet = quietPlan('ordinary', { seed: '', servers: 1 }, 1);

const ORDINARY_KNOBS: Knobs = quiet.knobs;
const ORDINARY_SERVER_KNOBS: ServerKnobs = quiet.serverKnobs[0] as ServerKnobs;
const ORDINARY_CLOCK: ClockPlan = quiet.clocks[0] as ClockPlan;
/** Of a client that draws: it stays where it is, and sends one thing at a time. */
const ORDINARY_MANNERS: Pick<ClientPlan, 'move' | 'stall' | 'misbehave' | 'timeoutMs' | 'burst' | 'thinkMs'> = pickManners(quiet.clients[0] as ClientPlan);

function pickManners({ move, stall, misbehave, timeoutMs, burst, thinkMs }: ClientPlan): typeof ORDINARY_MANNERS {
  return { move, stall, misbehave, timeoutMs, burst, thinkMs };
}

/** Without the troubles that it has by itself, where it has any. */
function ordinaryCluster(cluster: ClusterPlan): ClusterPlan {
  return { ...cluster, ...(cluster.coordRoughness === undefined ? {} : { coordRoughness: 0 }), ...(cluster.lateRecords === undefined ? {} : { lateRecords: 0 }) };
}

/** Every plan that is one setting more ordinary than this one. */
export function moreOrdinary(plan: Plan): readonly Plan[] {
  return [
    ...fieldwise(plan.knobs, ORDINARY_KNOBS).map((knobs) => ({ ...plan, knobs })),
    ...plan.serverKnobs.flatMap((own, i) => fieldwise(own, ORDINARY_SERVER_KNOBS).map((each) => ({ ...plan, serverKnobs: plan.serverKnobs.with(i, each) }))),
    ...plan.clocks.flatMap((own, i) => fieldwise(own, ORDINARY_CLOCK).map((each) => ({ ...plan, clocks: plan.clocks.with(i, each) }))),
    ...plan.clients.flatMap((own, i) => fieldwise(own, { ...own, ...ORDINARY_MANNERS }).map((each) => ({ ...plan, clients: plan.clients.with(i, each) }))),
    ...(plan.cluster === undefined ? [] : fieldwise(plan.cluster, ordinaryCluster(plan.cluster)).map((cluster) => ({ ...plan, cluster }))),
  ];
}

/** All settings of each group at once; then groups of groups need not be tried one field at a time. */
export function allOrdinary(plan: Plan): readonly Plan[] {
  const knobs = { ...plan, knobs: ORDINARY_KNOBS };
  const serverKnobs = { ...plan, serverKnobs: plan.serverKnobs.map(() => ORDINARY_SERVER_KNOBS) };
  const clocks = { ...plan, clocks: plan.clocks.map(() => ORDINARY_CLOCK) };
  const clients = { ...plan, clients: plan.clients.map((client) => ({ ...client, ...ORDINARY_MANNERS })) };
  return [{ ...knobs, serverKnobs: serverKnobs.serverKnobs, clocks: clocks.clocks, clients: clients.clients }, knobs, serverKnobs, clocks, clients];
}

/** How many settings are not ordinary. */
export function unusual(plan: Plan): number {
  return moreOrdinary(plan).length;
}

function fieldwise<T extends object>(own: T, ordinary: T): T[] {
  return (Object.keys(ordinary) as (keyof T)[]).filter((key) => JSON.stringify(own[key]) !== JSON.stringify(ordinary[key])).map((key) => ({ ...own, [key]: ordinary[key] }));
}
