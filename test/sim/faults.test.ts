/** Plans and their faults: what a plan says happens, when it says, to whom it says; and what cannot be survived is not done. */
import test from 'ava';
import { Scheduler } from '../../sim/faults/scheduler.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import { quietPlan } from '../../sim/plan/draft.ts';
import type { FaultPlan, Plan } from '../../sim/plan/plan.ts';
import type { RunResult } from '../../sim/run/result.ts';
import { runEnsemblePlan } from '../../sim/run/run-ensemble.ts';
import { profiles } from '../../sim/scenarios/profiles.ts';
import { World, type TraceEntry } from '../../sim/world/world.ts';

const quiet = (servers: number, faults: readonly FaultPlan[], more: Partial<Plan> = {}): Plan => {
  const plan = quietPlan('leader-loss', { seed: 'f', servers }, 2);
  return { ...plan, clients: plan.clients.map((client) => ({ ...client, draws: true, burst: 3 })), faults, untilMs: 4000, ...more };
};

function traced(plan: Plan): { result: RunResult; trace: readonly TraceEntry[] } {
  const trace: TraceEntry[] = [];
  return { result: runEnsemblePlan(plan, { onTrace: (entry) => trace.push(entry) }), trace };
}

test('a moment: the time, then the other fault, then the nth event with its fields, then a while', (t) => {
  const world = new World('moments');
  const scheduler = new Scheduler(world, (who, sid) => who === 'any' || who === `server-${sid}`);
  const struck: string[] = [];
  const event = (atMs: number, name: string, sid: number, fields: Record<string, unknown> = {}): void => void world.schedule(atMs, () => scheduler.event(name, sid, () => fields));
  const when = (id: string, moment: FaultPlan['when']): void => scheduler.when(moment, (place) => {
    struck.push(`${id} at ${world.nowMs}${place === null ? '' : ` by ${place.sid}`}`);
    scheduler.happened(id);
  });
  when('late', { atMs: 100, after: 'first', event: { who: 'server-2', name: 'Ack', where: { zxid: 7 }, nth: 2 }, plusMs: 5 });
  when('within', { event: { who: 'any', name: 'Ack' } });
  when('first', { atMs: 50 });
  when('never', { after: 'nobody' });
  when('in time', { atMs: 55, plusMs: 1, before: 'within' });
  when('too late', { atMs: 55, plusMs: 5, before: 'within' });
  for (const atMs of [60, 110, 120, 130, 140]) event(atMs, 'Ack', 2, { zxid: atMs === 120 ? 8 : 7 });
  event(125, 'Ack', 1, { zxid: 7 });
  world.run(1000);
  t.deepEqual(struck, ['first at 50', 'in time at 56', 'within at 60 by 2', 'late at 135 by 2']);
});

test('a crash within an event: nothing of what the process would have done after it happens', (t) => {
  for (const name of ['send ACK', 'receive NEWLEADER', 'durable', 'journal write', 'SyncPlan', 'Established', 'flushed', 'state batch', 'Deliver']) {
    const { result, trace } = traced(quiet(3, [{ id: 'f1', when: { event: { who: 'any', name } }, action: { kind: 'crash', on: 'it', keeps: 'durable', downMs: 200 } }]));
    t.is(result.violation?.message ?? 'none', 'none', name);
    t.deepEqual(result.faults, { crash: 1 }, name);
    const at = trace.findIndex((entry) => entry.name === 'crash');
    const who = trace[at]?.who;
    const next = trace.slice(at + 1).find((entry) => entry.who === who && entry.name !== 'start');
    t.true(next === undefined || next.atMs >= (trace[at]?.atMs ?? 0) + 200, `${name}: ${next?.what}`);
  }
});

test('a fault that is taken away moves no other, nor what clients and links draw before it would have struck', (t) => {
  const plan = drawPlan('quorum', { seed: 'away', servers: 3 });
  const [kept, dropped] = [plan.faults.slice(0, -1), plan.faults.at(-1) as FaultPlan];
  const all = traced(plan);
  const less = traced({ ...plan, faults: kept });
  const until = dropped.when.atMs ?? 0;
  const upTo = (trace: readonly TraceEntry[]): string[] => trace.filter(({ atMs }) => atMs < until).map(({ atMs, who, what }) => `${atMs} ${who} ${what}`);
  t.true(upTo(all.trace).length > 100);
  t.deepEqual(upTo(less.trace), upTo(all.trace));
});

test('the same seed draws the same plan, and every profile writes and reads as JSON', (t) => {
  for (const { name } of profiles) {
    const plan = drawPlan(name, { seed: '7', servers: 5 });
    t.deepEqual(drawPlan(name, { seed: '7', servers: 5 }), plan);
    t.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
    t.is(new Set(plan.faults.map(({ id }) => id)).size, plan.faults.length, 'ids are names');
    t.notDeepEqual(drawPlan(name, { seed: '8', servers: 5 }).faults, plan.faults);
  }
});

test('a disk is lost only where everyone else remembers what it held', (t) => {
  const lose: FaultPlan = { id: 'lose', when: { atMs: 3000 }, action: { kind: 'lose-disk', on: 'server-1', downMs: 50 } };
  const cutOff: FaultPlan = { id: 'cut', when: { atMs: 1000 }, action: { kind: 'partition', groups: [['server-3']], ways: 'both', forMs: 2500 } };
  t.is(runEnsemblePlan(quiet(3, [cutOff, lose])).faults['lose-disk'], undefined, 'server 3 lags behind');
  const still = quiet(3, [lose], { clients: [] });
  const { result, trace } = traced(still);
  t.is(result.faults['lose-disk'], 1);
  t.true(trace.some(({ who, name, fields }) => who === 'server-1' && name === 'Boot' && fields['acceptedEpoch'] === 0), 'it comes back and knows nothing');
  t.is(result.violation?.message ?? 'none', 'none');
});

test('a core serves while the others stay as they are', (t) => {
  const down = (on: string): FaultPlan => ({ id: on, when: { atMs: 1500 }, action: { kind: 'crash', on, keeps: 'durable', downMs: 100_000 } });
  const deaf: FaultPlan = { id: 'deaf', when: { atMs: 2000 }, action: { kind: 'partition', groups: [['server-5']], ways: 'in', forMs: 100_000 } };
  const { result, trace } = traced(quiet(5, [down('server-1'), down('server-2'), down('server-4'), deaf], { core: [1, 2, 3] }));
  t.is(result.violation?.message ?? 'none', 'none');
  const heal = trace.findIndex(({ name }) => name === 'heal');
  t.true(trace.slice(heal).some(({ who, name }) => who === 'server-1' && name === 'start'));
  t.false(trace.slice(heal).some(({ who, name }) => who === 'server-4' && name === 'start'));
  t.false(trace.slice(heal).some(({ who, name }) => who === 'server-5' && name === 'Serving'), 'it hears nobody');
});

test('without progress it is said who waits for what', (t) => {
  const plan = quiet(3, [], { untilMs: 1000 });
  const { kind, violation } = runEnsemblePlan({ ...plan, knobs: { ...plan.knobs, jitterMs: 5000, detectMs: 100 } });
  t.is(kind, 'liveness');
  t.is(violation?.invariant, 'Liveness');
  t.regex(violation?.message ?? '', /server 1 (LOOKING|FOLLOWING|LEADING) in epoch \d+ .*waits for .*server 3/s);
});

const suspects = (trace: readonly TraceEntry[]): string[] => trace.filter(({ name, fields }) => name === 'Boot' && fields['suspect'] === true).map(({ who }) => who);
const warnings = (trace: readonly TraceEntry[]): string => trace.filter(({ name }) => name === 'StorageWarning').map(({ fields }) => String(fields['warning'])).join('\n');

test('a write that went astray is found at the next start: by the place that a record names, by the key that a value was made for', (t) => {
  const astray = (what: 'journal' | 'state value'): FaultPlan => ({ id: 'astray', when: { atMs: 2000 }, action: { kind: 'misdirect', on: 'server-2', what, where: 0.4, downMs: 50 } });
  for (const [what, found] of [['journal', /the journal (has bytes that are no sound record|has a hole)/], ['state value', /wrong checksum|found damaged before/]] as const) {
    const { result, trace } = traced(quiet(3, [astray(what)]));
    t.is(result.faults['misdirect'], 1);
    t.deepEqual(suspects(trace), ['server-2'], what);
    t.regex(warnings(trace), found);
    t.true(trace.some(({ name, fields }) => name === 'SyncPlan' && fields['sid'] === 2 && fields['plan'] === 'SNAP'), 'it takes a snapshot');
    t.is(result.violation?.message ?? 'none', 'none');
  }
});

test('a write that went astray under a server that runs on is found when it starts again, and no other disk is damaged until then', (t) => {
  const astray: FaultPlan = { id: 'astray', when: { atMs: 2000 }, action: { kind: 'misdirect', on: 'server-2', what: 'journal', where: 0.4, downMs: null } };
  const other: FaultPlan = { id: 'other', when: { atMs: 2200 }, action: { kind: 'rot', on: 'server-3', what: 'journal', where: 0.4, downMs: 20 } };
  const restart: FaultPlan = { id: 'restart', when: { atMs: 2500 }, action: { kind: 'restart', on: 'server-2', downMs: 50 } };
  const late: FaultPlan = { ...other, id: 'late', when: { atMs: 3500 } };
  const { result, trace } = traced(quiet(3, [astray, other, restart, late]));
  t.is(result.faults['rot'], 1, 'the one behind the restart');
  t.deepEqual(suspects(trace), ['server-2', 'server-3']);
  t.is(result.violation?.message ?? 'none', 'none');
});

test('a disk goes back to its image only where everyone else remembers what it forgets', (t) => {
  const image: FaultPlan = { id: 'image', when: { atMs: 1500 }, action: { kind: 'image-disk', on: 'server-1' } };
  const back = (what: 'disk' | 'journal' | 'journal file' | 'state'): FaultPlan => ({ id: 'back', when: { atMs: 3000 }, action: { kind: 'roll-back', on: 'server-1', what, downMs: 50 } });
  const cutOff: FaultPlan = { id: 'cut', when: { atMs: 1000 }, action: { kind: 'partition', groups: [['server-3']], ways: 'both', forMs: 2500 } };
  t.is(runEnsemblePlan(quiet(3, [back('disk')])).faults['roll-back'], undefined, 'there is no image');
  t.is(runEnsemblePlan(quiet(3, [cutOff, image, back('disk')])).faults['roll-back'], undefined, 'server 3 lags behind');
  const booted = (trace: readonly TraceEntry[]): number[] => trace.filter(({ who, name }) => who === 'server-1' && name === 'Boot').map(({ fields }) => fields['lastZxid'] as number);
  for (const [what, isSuspect] of [['disk', false], ['journal', true], ['journal file', true], ['state', false]] as const) {
    // All that is written is everywhere when the disk goes back.
    const { result, trace } = traced(quiet(3, [image, back(what)], { clients: quiet(3, []).clients.map((client) => ({ ...client, thinkMs: 0, draws: false })), ops: writes }));
    t.is(result.faults['roll-back'], 1, what);
    t.is(suspects(trace).includes('server-1'), isSuspect, what);
    const [, again = 0] = booted(trace);
    // A journal that ends before its state is void: the log ends where the state does.
    t.is(again, what === 'disk' ? 0x100000015 : 0x100000029, what);
    t.is(result.violation?.message ?? 'none', 'none');
  }
});
const write = (id: string, atMs: number): Plan['ops'][number] => ({ id, when: { atMs }, client: 1, op: 'set', path: '/k1', times: 20 });
const writes: Plan['ops'] = [{ id: 'o1', when: { atMs: 500 }, client: 1, op: 'connect', to: 'server-2' }, write('o2', 1000), write('o3', 1800)];

test('a file goes back to its image under a server that is down already, and its disk counts as damaged', (t) => {
  const image: FaultPlan = { id: 'image', when: { atMs: 1500 }, action: { kind: 'image-disk', on: 'server-1' } };
  const down: FaultPlan = { id: 'down', when: { atMs: 2950 }, action: { kind: 'restart', on: 'server-1', downMs: 200 } };
  const back: FaultPlan = { id: 'back', when: { atMs: 3000 }, action: { kind: 'roll-back', on: 'server-1', what: 'journal file', downMs: 50 } };
  const { result, trace } = traced(quiet(3, [image, down, back], { clients: quiet(3, []).clients.map((client) => ({ ...client, thinkMs: 0, draws: false })), ops: writes }));
  t.is(result.violation?.message ?? 'none', 'none');
  t.is(result.faults['roll-back'], 1);
  t.deepEqual(suspects(trace), ['server-1']);
});

test('a file keeps its newest records where they are the only witnesses of themselves', (t) => {
  const image: FaultPlan = { id: 'image', when: { atMs: 1500 }, action: { kind: 'image-disk', on: 'server-1' } };
  const back: FaultPlan = { id: 'back', when: { atMs: 3000 }, action: { kind: 'roll-back', on: 'server-1', what: 'journal file', downMs: 50 } };
  const neverFlushed = Array.from({ length: 3 }, () => ({ flushEntriesMax: 1_000_000, flushIntervalMs: 1_000_000 }));
  const { result, trace } = traced(quiet(3, [image, back], { serverKnobs: neverFlushed, clients: quiet(3, []).clients.map((client) => ({ ...client, thinkMs: 0, draws: false })), ops: writes }));
  t.is(result.violation?.message ?? 'none', 'none');
  t.deepEqual(suspects(trace), []);
  t.is(trace.findLast(({ who, name }) => who === 'server-1' && name === 'Boot')?.fields['lastZxid'], 0x100000029);
});

test('a server whose links are narrow falls behind, and is there again when they are wide', (t) => {
  const narrow: FaultPlan = { id: 'narrow', when: { atMs: 1000 }, action: { kind: 'bandwidth', on: 'server-1', bytesPerMs: 1, forMs: 2000 } };
  const { result, trace } = traced(quiet(3, [narrow]));
  t.is(result.faults['bandwidth'], 1);
  const delivered = (who: string, fromMs: number): number => trace.filter((entry) => entry.who === who && entry.name === 'Deliver' && entry.atMs > fromMs && entry.atMs < 3000).length;
  t.true(delivered('server-1', 1200) < delivered('server-3', 1200) / 2, `${delivered('server-1', 1200)} of ${delivered('server-3', 1200)}`);
  t.is(result.violation?.message ?? 'none', 'none');
});
