/** Is this a plan? Files are edited by hand, so what is wrong is said by the name of the fault, client or field that it is wrong in. */
import type { FaultAction, Plan } from '../plan/plan.ts';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const duration: Check = (value) => number(value) && (value as number) >= 0;
const whole: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const bool: Check = (value) => typeof value === 'boolean';
const texts: Check = (value) => Array.isArray(value) && value.every(text);
const orNull = (check: Check): Check => (value) => value === null || check(value);
const oneOf = (...values: readonly string[]): Check => (value) => values.includes(value as string);
const object: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What an action of each kind must have. */
const actions: Readonly<Record<FaultAction['kind'], Readonly<Record<string, Check>>>> = {
  crash: { on: text, keeps: oneOf('durable', 'page-cache'), downMs: orNull(duration) },
  'power-failure': { on: texts, downMs: duration, staggerMs: duration },
  restart: { on: text, downMs: duration },
  start: { on: text },
  pause: { on: text, forMs: duration },
  partition: { groups: (value) => Array.isArray(value) && value.every(texts), ways: oneOf('both', 'out', 'in'), forMs: duration },
  ring: { forMs: duration },
  clog: { from: text, to: text, forMs: duration },
  'slow-network': { on: text, extraMs: duration, forMs: duration },
  break: { from: text, to: text },
  drop: { from: text, to: text, type: text },
  corrupt: { from: text, to: text },
  'slow-disk': { on: text, extraMs: duration, forMs: duration },
  'stall-disk': { on: text, forMs: duration },
  'disk-error': { on: text, what: oneOf('journal write', 'journal create', 'journal read', 'state batch'), times: whole },
  'disk-full': { on: text, forMs: duration },
  rot: { on: text, what: oneOf('journal', 'state value', 'state batch', 'journal file'), where: number, downMs: duration },
  'lose-disk': { on: text, downMs: duration },
  'swap-disks': { a: text, b: text, downMs: duration },
  'clock-jump': { on: text, byMs: number },
  'clock-rate': { on: text, rate: number },
  'storage-error': { on: text, what: oneOf('put', 'get', 'list', 'delete'), times: whole },
  'slow-storage': { extraMs: duration, forMs: duration },
  'kafka-outage': { forMs: duration },
  'kafka-leader-move': { partition: whole, forMs: duration },
  'kafka-lost-ack': { times: whole },
  'poison-record': { partition: whole },
  'more-partitions': { partitions: whole },
  depose: {},
};

/** What is wrong with it, in one line; null if it is a plan. */
export function checkPlan(value: unknown): string | null {
  if (!object(value)) return 'it is not an object';
  const plan = value as Fields;
  if (plan['version'] !== 1) return `its version is ${JSON.stringify(plan['version'])}; this drey reads version 1`;
  const wrong = missing(plan, { scenario: text, seed: text, servers: (n) => whole(n) && (n as number) > 0, knobs: object, serverKnobs: Array.isArray, clocks: Array.isArray, clients: Array.isArray, ops: Array.isArray, faults: Array.isArray, untilMs: duration, calm: texts, skip: texts });
  if (wrong !== null) return wrong;
  const typed = value as Plan;
  for (const part of ['serverKnobs', 'clocks'] as const) if (typed[part].length !== typed.servers) return `${part} has ${typed[part].length} entries for ${typed.servers} servers`;
  const cluster = typed.cluster === undefined ? null : checkCluster(typed.cluster);
  if (cluster !== null) return cluster;
  const ids = new Set<string>();
  for (const [what, items] of [['fault', typed.faults], ['op', typed.ops]] as const) {
    for (const { id } of items as readonly { readonly id: unknown }[]) {
      if (typeof id !== 'string') return `a ${what} has no id`;
      if (ids.has(id)) return `the id ${id} is there twice`;
      ids.add(id);
    }
  }
  return first(typed.clients, checkClient) ?? first(typed.faults, (fault) => checkFault(fault, typed.servers, ids)) ?? first(typed.ops, (op) => checkMoment(`op ${op.id}`, op.when, ids)) ?? first(typed.skip, checkSkip);
}

function checkCluster(cluster: unknown): string | null {
  if (!object(cluster)) return 'cluster is not an object';
  const some: Check = (value) => whole(value) && (value as number) > 0;
  const wrong = missing(cluster as Fields, { jobManagers: some, taskManagers: some, slots: some, job: text, partitions: some, records: whole, checkpointIntervalMs: duration, parallelism: some });
  return wrong === null ? null : `cluster: ${wrong}`;
}

function checkClient(client: unknown): string | null {
  if (!object(client)) return 'a client is not an object';
  const wrong = missing(client as Fields, { id: whole, kind: oneOf('raw', 'library'), draws: bool, move: number, stall: number, misbehave: number, timeoutMs: duration, burst: whole, thinkMs: duration });
  return wrong === null ? null : `client ${String((client as Fields)['id'])}: ${wrong}`;
}

function checkFault(fault: { readonly id: string; readonly when: unknown; readonly action: unknown }, servers: number, ids: ReadonlySet<string>): string | null {
  const name = `fault ${fault.id}`;
  const action = fault.action as Fields;
  if (!object(action)) return `${name} has no action`;
  const kind = action['kind'] as string;
  if (!Object.hasOwn(actions, kind)) return `${name}: there is no kind of fault ${JSON.stringify(kind)}`;
  const wrong = missing(action, actions[kind as FaultAction['kind']]);
  if (wrong !== null) return `${name} (${kind}): ${wrong}`;
  for (const target of targetsOf(action as unknown as FaultAction)) {
    const sid = /^server-(\d+)$/.exec(target)?.[1];
    if (sid !== undefined && (Number(sid) < 1 || Number(sid) > servers)) return `${name} is on ${target}, and the servers are server-1 to server-${servers}`;
  }
  return checkMoment(name, fault.when, ids);
}

function checkMoment(name: string, when: unknown, ids: ReadonlySet<string>): string | null {
  if (!object(when)) return `${name} has no "when"`;
  const { atMs, after, event, plusMs } = when as Fields;
  if (atMs !== undefined && !duration(atMs)) return `${name}: atMs is not a time`;
  if (plusMs !== undefined && !duration(plusMs)) return `${name}: plusMs is not a duration`;
  if (after !== undefined && !ids.has(after as string)) return `${name} waits for ${JSON.stringify(after)}, which is not there`;
  if (event !== undefined && (!object(event) || !text((event as Fields)['who']) || !text((event as Fields)['name']))) return `${name}: its event needs "who" and "name"`;
  return null;
}

function checkSkip(skip: string): string | null {
  return /^client-\d+#\d+(-\d+)?$/.test(skip) ? null : `skip ${JSON.stringify(skip)} is not of the form "client-2#14" or "client-2#14-90"`;
}

/** Who an action names. */
export function targetsOf(action: FaultAction): readonly string[] {
  const of = action as unknown as Fields;
  return [of['on'], of['from'], of['to'], of['a'], of['b'], of['groups']].flat(3).filter((target): target is string => typeof target === 'string');
}

function missing(of: Fields, checks: Readonly<Record<string, Check>>): string | null {
  for (const [field, check] of Object.entries(checks)) {
    if (of[field] === undefined) return `"${field}" is missing`;
    if (!check(of[field])) return `"${field}" cannot be ${JSON.stringify(of[field])}`;
  }
  return null;
}

function first<T>(items: readonly T[], check: (item: T) => string | null): string | null {
  for (const item of items) {
    const wrong = check(item);
    if (wrong !== null) return wrong;
  }
  return null;
}
