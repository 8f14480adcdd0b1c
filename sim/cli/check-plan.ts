/**
 * Is this a plan? Files are edited by hand, so what is wrong is said by the name of the fault, client or field that it is wrong in. A plan that passes can
 * be run: nothing in it is of the wrong type, names somebody who is not there, or waits for what can never come.
 *
 * It is read before a mutant is loaded, and imports nothing of the product.
 */
import { JOB_NAMES } from '../cluster/job-names.ts';
import type { FaultAction, Plan } from '../plan/plan.ts';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;
type Checks = Readonly<Record<string, Check>>;

const within = (min: number, max: number): Check => (value) => typeof value === 'number' && value >= min && value <= max;
const wholeWithin = (min: number, max: number): Check => (value) => Number.isInteger(value) && within(min, max)(value);

/** Of a znode, in plain letters: an invalid one would be refused, and its refusal taken for the product's fault. */
const A_PATH = /^(\/|(\/(?!\.{1,2}(\/|$))[ -.0-~]+)+)$/;
/** Virtual ms of a run; a longer one does not end while anybody waits. */
const DAY_MS = 86_400_000;
const text: Check = (value) => typeof value === 'string';
const number: Check = within(-1e12, 1e12);
const duration: Check = within(0, 1e9);
const period: Check = within(0.001, 1e9);
const chance: Check = within(0, 1);
const whole: Check = wholeWithin(0, 1_000_000);
const some: Check = wholeWithin(1, 10_000);
const bytes: Check = wholeWithin(0, 2 ** 32);
const bool: Check = (value) => typeof value === 'boolean';
const texts: Check = (value) => Array.isArray(value) && value.every(text);
const orNull = (check: Check): Check => (value) => value === null || check(value);
const maybe = (check: Check): Check => (value) => value === undefined || check(value);
const oneOf = (...values: readonly string[]): Check => (value) => values.includes(value as string);
const object: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const serverKnobs: Checks = { flushEntriesMax: some, flushIntervalMs: period };
const knobs: Checks = {
  segmentBytes: wholeWithin(1024, 2 ** 30), keepBytes: bytes, recentBytesMax: bytes, learnerWindowBytes: bytes, detectMs: period, heartbeatMs: period, electionGraceMs: duration, progressMs: period,
  epochTxnsMax: wholeWithin(1, 2 ** 32 - 1), znodesBefore: wholeWithin(0, 100_000), epochBefore: maybe(wholeWithin(0, 2 ** 21 - 1)), counterBefore: maybe(wholeWithin(0, 2 ** 32 - 1)), jitterMs: duration,
  writeMs: (value) => Array.isArray(value) && value.length === 2 && value.every(duration) && (value[0] as number) <= (value[1] as number),
};

/** What an action of each kind must have. */
const actions: Readonly<Record<FaultAction['kind'], Checks>> = {
  crash: { on: text, keeps: oneOf('durable', 'page-cache'), downMs: orNull(duration) },
  'power-failure': { on: texts, downMs: duration, staggerMs: duration },
  restart: { on: text, downMs: duration, knobs: maybe((value) => object(value) && checkFields(value as Fields, { flushEntriesMax: maybe(some), flushIntervalMs: maybe(period) }) === null) },
  start: { on: text },
  pause: { on: text, forMs: duration },
  partition: { groups: (value) => Array.isArray(value) && value.every(texts), ways: oneOf('both', 'out', 'in'), forMs: duration },
  ring: { forMs: duration },
  clog: { from: text, to: text, forMs: duration },
  'slow-network': { on: text, extraMs: duration, forMs: duration },
  bandwidth: { on: text, bytesPerMs: within(0.01, 1e9), forMs: duration },
  break: { from: text, to: text, lateMs: maybe(duration) },
  drop: { from: text, to: text, type: text },
  corrupt: { from: text, to: text },
  'slow-disk': { on: text, extraMs: duration, forMs: duration },
  'stall-disk': { on: text, forMs: duration },
  'disk-error': { on: text, what: oneOf('journal write', 'journal create', 'journal read', 'state batch'), times: whole },
  'disk-full': { on: text, forMs: duration },
  rot: { on: text, what: oneOf('journal', 'state value', 'state batch', 'journal file'), where: chance, downMs: duration },
  misdirect: { on: text, what: oneOf('journal', 'state value'), where: chance, downMs: orNull(duration) },
  'image-disk': { on: text },
  'roll-back': { on: text, what: oneOf('disk', 'journal', 'journal file', 'state'), downMs: duration },
  'lose-disk': { on: text, downMs: duration },
  'swap-disks': { a: text, b: text, downMs: duration },
  'clock-jump': { on: text, byMs: number },
  'clock-rate': { on: text, rate: within(0.01, 100) },
  'storage-error': { on: text, what: oneOf('put', 'get', 'list', 'delete'), times: whole },
  'slow-storage': { extraMs: duration, forMs: duration },
  'kafka-outage': { forMs: duration },
  'kafka-leader-move': { partition: whole, forMs: duration },
  'kafka-lost-ack': { times: whole },
  'kafka-late-end': { times: whole, lateMs: duration },
  'kafka-hanging-transaction': { partition: whole, forMs: duration },
  'kafka-retention': { partition: whole, keeps: oneOf('checkpoint', 'nothing') },
  'poison-record': { partition: whole },
  'more-partitions': { partitions: whole },
  depose: {},
};

/** What is wrong with it, in one line; null if it is a plan. */
export function checkPlan(value: unknown): string | null {
  if (!object(value)) return 'it is not an object';
  const plan = value as Fields;
  if (plan['version'] !== 1) return `its version is ${shown(plan['version'])}; this drey reads version 1`;
  const fields: Checks = {
    version: number, scenario: text, seed: text, servers: wholeWithin(1, 9), mutant: maybe(text), knobs: object, serverKnobs: Array.isArray, clocks: Array.isArray, clients: Array.isArray, ops: Array.isArray, faults: Array.isArray, untilMs: within(0, DAY_MS), calm: texts, skip: texts,
    core: maybe((core) => Array.isArray(core) && core.every((sid) => wholeWithin(1, plan['servers'] as number)(sid))), diskBudget: maybe(bool),
    cluster: maybe(object),
  };
  const wrong = checkFields(plan, fields) ?? unknownField(plan, Object.keys(fields));
  if (wrong !== null) return wrong;
  const typed = value as Plan;
  for (const part of ['serverKnobs', 'clocks'] as const) if (typed[part].length !== typed.servers) return `${part} has ${typed[part].length} entries for ${typed.servers} servers`;
  return checkPart('knobs', typed.knobs, knobs)
    ?? first(typed.serverKnobs, (each, i) => checkPart(`serverKnobs of server-${i + 1}`, each, serverKnobs))
    ?? first(typed.clocks, (each, i) => checkPart(`clock of server-${i + 1}`, each, { rate: within(0.01, 100), wallOffMs: number }))
    ?? (typed.cluster === undefined ? null : checkCluster(typed.cluster))
    ?? checkClients(typed.clients)
    ?? checkEvents(typed)
    ?? first(typed.calm, checkCalm)
    ?? first(typed.skip, (skip, i) => checkSkip(skip, i, typed));
}

function checkCluster(cluster: unknown): string | null {
  return checkPart('cluster', cluster, {
    jobManagers: some, taskManagers: some, slots: some, job: oneOf(...JOB_NAMES), partitions: some, records: whole, checkpointIntervalMs: wholeWithin(10, 1e9), parallelism: some, jobManagerSessionMs: period, taskManagerSessionMs: period, feedMs: duration,
    transactionTimeoutMs: maybe(period), stopAtMs: maybe(duration), coordRoughness: maybe(chance), goneForGood: maybe(texts), lateRecords: maybe(chance), mayLose: maybe((value) => value === true),
  });
}

function checkClients(clients: readonly unknown[]): string | null {
  const ids = new Set<unknown>();
  for (const client of clients) {
    const id = object(client) ? (client as Fields)['id'] : undefined;
    const wrong = checkPart(`client ${shown(id)}`, client, {
      id: some, kind: oneOf('raw', 'library'), draws: bool, move: chance, stall: chance, misbehave: chance, timeoutMs: period, burst: some, thinkMs: duration,
      sharesSessionOf: maybe((other) => clients.some((each) => object(each) && (each as Fields)['id'] === other)),
    });
    if (wrong !== null) return wrong;
    if (ids.has(id)) return `client ${shown(id)} is there twice`;
    ids.add(id);
  }
  return null;
}

/** Faults and prescribed operations: they share their ids, and wait for each other. */
function checkEvents(plan: Plan): string | null {
  const waits = new Map<string, unknown>();
  for (const [what, items] of [['fault', plan.faults], ['op', plan.ops]] as const) {
    for (const item of items as readonly unknown[]) {
      const id = object(item) ? (item as Fields)['id'] : undefined;
      if (typeof id !== 'string') return `a ${what} has no id`;
      if (waits.has(id)) return `the id ${id} is there twice`;
      const { when } = item as Fields;
      waits.set(id, object(when) ? (when as Fields)['after'] : undefined);
    }
  }
  return first(plan.faults, (fault) => checkFault(fault, plan, waits)) ?? first(plan.ops, (op) => checkOp(op, plan, waits)) ?? checkCycles(waits);
}

function checkFault(fault: Plan['faults'][number], plan: Plan, ids: ReadonlyMap<string, unknown>): string | null {
  const name = `fault ${fault.id}`;
  const action = fault.action as unknown as Fields;
  if (!object(action)) return `${name} has no action`;
  const kind = action['kind'] as string;
  if (!Object.hasOwn(actions, kind)) return `${name}: there is no kind of fault ${shown(kind)}`;
  const expected = actions[kind as FaultAction['kind']];
  const wrong = checkFields(action, expected) ?? unknownField(action, ['kind', ...Object.keys(expected)]);
  if (wrong !== null) return `${name} (${kind}): ${wrong}`;
  const extra = unknownField(fault as unknown as Fields, ['id', 'when', 'action', 'mark']);
  if (extra !== null) return `${name}: ${extra}`;
  return first(targetsOf(fault.action), (target) => checkTarget(`${name} is on`, target, plan)) ?? checkMoment(name, fault.when, plan, ids);
}

function checkOp(op: Plan['ops'][number], plan: Plan, ids: ReadonlyMap<string, unknown>): string | null {
  const name = `op ${op.id}`;
  const wrong = checkFields(op as unknown as Fields, {
    client: (id) => plan.clients.some((client) => client.id === id), op: oneOf('connect', 'disconnect', 'set', 'get', 'sync-get', 'exists', 'children', 'create', 'create-ephemeral', 'create-sequential', 'delete', 'close', 'abandon'),
    path: maybe((path) => text(path) && A_PATH.test(path as string)), to: maybe(text), times: maybe(some),
  }) ?? unknownField(op as unknown as Fields, ['id', 'when', 'client', 'op', 'path', 'to', 'times', 'mark']);
  if (wrong !== null) return `${name}: ${wrong}`;
  return (op.to === undefined ? null : checkTarget(`${name} connects to`, op.to, plan)) ?? checkMoment(name, op.when, plan, ids);
}

function checkMoment(name: string, when: unknown, plan: Plan, ids: ReadonlyMap<string, unknown>): string | null {
  if (!object(when)) return `${name} has no "when"`;
  const { atMs, after, event, plusMs, before } = when as Fields;
  const extra = unknownField(when as Fields, ['atMs', 'after', 'event', 'plusMs', 'before']);
  if (extra !== null) return `${name}: ${extra}`;
  if (atMs !== undefined && !duration(atMs)) return `${name}: atMs is not a time`;
  if (plusMs !== undefined && !duration(plusMs)) return `${name}: plusMs is not a duration`;
  if (after !== undefined && !ids.has(after as string)) return `${name} waits for ${shown(after)}, which is not there`;
  if (before !== undefined && !text(before)) return `${name}: before is no id`;
  if (event === undefined) return null;
  if (!object(event) || !text((event as Fields)['who']) || !text((event as Fields)['name'])) return `${name}: its event needs "who" and "name"`;
  const wrong = checkFields(event as Fields, { nth: maybe(some), where: maybe(object) }) ?? unknownField(event as Fields, ['who', 'name', 'where', 'nth']);
  return wrong === null ? checkTarget(`${name} waits for`, (event as Fields)['who'] as string, plan) : `${name}, its event: ${wrong}`;
}

function checkCycles(waits: ReadonlyMap<string, unknown>): string | null {
  const done = new Set<unknown>();
  for (const id of waits.keys()) {
    const chain = new Set<unknown>();
    for (let at: unknown = id; at !== undefined && !done.has(at); at = waits.get(at as string)) {
      if (chain.has(at)) return `${shown(at)} waits for itself, "after" by "after"`;
      chain.add(at);
    }
    for (const each of chain) done.add(each);
  }
  return null;
}

const ROLES = ['leader', 'follower', 'any', 'it', 'other'];
const CLUSTER_ROLES = ['master', 'worker', 'kafka'];

/** 'follower as F', and F from then on; F' and F'' where a larger ensemble has more of them. */
function checkTarget(what: string, target: string, { servers, cluster }: Plan): string | null {
  const [, role = target] = /^(.+) as [A-Z]\w*'*$/.exec(target) ?? [];
  if (ROLES.includes(role) || /^[A-Z][A-Z0-9]*'*$/.test(role)) return null;
  const [, kind, number] = /^(server|jobmanager|taskmanager)-(\d+)$/.exec(role) ?? [];
  if (kind === undefined && !CLUSTER_ROLES.includes(role)) return `${what} ${shown(target)}, and that is nobody: leader, follower, any, server-1${cluster === undefined ? '' : ', master, worker, jobmanager-1, taskmanager-1, kafka'} …`;
  if (kind !== 'server' && cluster === undefined) return `${what} ${target}, and the plan has no "cluster": there are servers and clients only`;
  const many = kind === 'server' ? servers : kind === 'jobmanager' ? cluster?.jobManagers : cluster?.taskManagers;
  return kind === undefined || many === undefined || (Number(number) >= 1 && Number(number) <= many) ? null : `${what} ${target}, and the ${kind}s are ${kind}-1 to ${kind}-${many}`;
}

/** Streams of chance by their names (world/streams.ts), or all of a kind. Of servers and clients that a smaller plan does not have any more there may be some left. */
const STREAM = /^(net(\/(clients|[a-z]+-[1-9]\d*>[a-z]+-[1-9]\d*))?|disk(\/server-[1-9](\/(journal|state))?)?|client-[1-9]\d*(\/(manners|ops))?|(entropy|start|machine|storage|kafka|files|fault)(\/[\w.-]+)?|hostile-wire)$/;

function checkCalm(calm: string, i: number): string | null {
  return STREAM.test(calm) ? null : `calm[${i}]: there is no stream of chance ${shown(calm)}; there are net, net/server-1>server-2, disk, disk/server-1, client-1 …`;
}

/** Operations are numbered from 1. */
function checkSkip(skip: string, i: number, { clients }: Plan): string | null {
  const place = `skip[${i}], ${shown(skip)},`;
  const [, client, from, to = from] = /^client-(\d+)#(\d+)(?:-(\d+))?$/.exec(skip) ?? [];
  if (client === undefined) return `${place} is not of the form "client-2#14" or "client-2#14-90"`;
  if (!clients.some(({ id }) => id === Number(client))) return `${place} is of client-${client}, which is not there`;
  if (Number(from) < 1) return `${place} begins before 1, the first operation`;
  return Number(to) < Number(from) ? `${place} ends before it begins` : null;
}

/** Who an action names. */
export function targetsOf(action: FaultAction): readonly string[] {
  const of = action as unknown as Fields;
  return [of['on'], of['from'], of['to'], of['a'], of['b'], of['groups']].flat(3).filter((target): target is string => typeof target === 'string');
}

function checkPart(name: string, part: unknown, checks: Checks): string | null {
  if (!object(part)) return `${name}: it is not an object`;
  const wrong = checkFields(part as Fields, checks) ?? unknownField(part as Fields, Object.keys(checks));
  return wrong === null ? null : `${name}: ${wrong}`;
}

function checkFields(of: Fields, checks: Checks): string | null {
  for (const [field, check] of Object.entries(checks)) {
    if (check(of[field])) continue;
    return of[field] === undefined ? `"${field}" is missing` : `"${field}" cannot be ${shown(of[field])}`;
  }
  return null;
}

/** What is written wrong would count as left out. */
function unknownField(of: Fields, known: readonly string[]): string | null {
  const field = Object.keys(of).find((key) => !known.includes(key));
  return field === undefined ? null : `there is no field ${shown(field)}; there are ${known.join(', ')}`;
}

/** On one line, whatever it is. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

function first<T>(items: readonly T[], check: (item: T, i: number) => string | null): string | null {
  for (const [i, item] of items.entries()) {
    const wrong = check(item, i);
    if (wrong !== null) return wrong;
  }
  return null;
}
