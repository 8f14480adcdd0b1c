import test from 'ava';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { checkPlan } from '../../sim/cli/check-plan.ts';
import { examine, doctorCommand } from '../../sim/cli/doctor.ts';
import { failureName, formatFile, readPlanFile, writeFailure } from '../../sim/cli/failure-file.ts';
import { didYouMean, nearest } from '../../sim/cli/nearest.ts';
import { openCommand } from '../../sim/cli/open.ts';
import { replayCommand } from '../../sim/cli/replay.ts';
import type { Io } from '../../sim/cli/run.ts';
import { runSeed, type Simulator } from '../../sim/cli/seed-report.ts';
import { shrinkCommand } from '../../sim/cli/shrink.ts';
import { clock, ms, quoted, virtualTime } from '../../sim/cli/text.ts';
import { whyCommand } from '../../sim/cli/why.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import type { Plan } from '../../sim/plan/plan.ts';
import { scenarios } from '../../sim/scenarios/scenarios.ts';
import { whySentence, type Verdict, type Why } from '../../sim/shrink/why.ts';
import { TraceEntry } from '../../sim/world/trace.ts';
import { fakePlan, fakeResult, fakeSimulator } from '../lib/fake-simulator.ts';

const dir = mkdtempSync(join(tmpdir(), 'drey-sim-files-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

function io(): { io: Io; text: () => string } {
  const lines: string[] = [];
  return { io: { out: (line) => lines.push(line), interrupted: new AbortController().signal, screen: { isTTY: false, columns: 80, write: () => {} } }, text: () => lines.join('\n') };
}

/** A plan that fails as long as f2 and an operation of client 1 are there. */
const needy: Simulator = {
  ...fakeSimulator(),
  run: async (plan) => fakeResult(plan, plan.faults.some(({ id }) => id === 'f2') && plan.clients.some(({ id }) => id === 1) ? 'Agreement' : null),
};

async function failureIn(name: string, simulator: Simulator = needy, plan: Plan = fakePlan({ faults: 6 })): Promise<string> {
  const report = await runSeed({ ...simulator, draw: () => plan }, { scenario: 'swarm', servers: 5, seed: name, twice: false });
  return writeFailure(dir, report) ?? '';
}

test('a file is read as it was written, and has a line for each fault and client', async (t) => {
  const path = await failureIn('lines');
  const text = readFileSync(path, 'utf8');
  const { plan } = readPlanFile(path);
  t.deepEqual(plan, fakePlan({ faults: 6 }));
  for (const fault of plan.faults) t.true(text.split('\n').some((line) => line.trim().replace(/,$/, '') === JSON.stringify(fault)), fault.id);
  for (const client of plan.clients) t.true(text.split('\n').some((line) => line.trim().replace(/,$/, '') === JSON.stringify(client)), String(client.id));
  // A line that is taken out leaves a plan.
  const kept = text.split('\n').filter((line) => !line.includes('"id":"f2"'));
  writeFileSync(path, kept.join('\n'));
  t.deepEqual(readPlanFile(path).plan.faults.map(({ id }) => id), ['f1', 'f3', 'f4', 'f5', 'f6']);
});

(existsSync('/dev/full') ? test : test.skip)('a disk that is full does not take the file that is there', async (t) => {
  const path = await failureIn('full');
  const before = readFileSync(path, 'utf8');
  symlinkSync('/dev/full', `${path}.${process.pid}.unfinished`);
  await t.throwsAsync(failureIn('full'), { code: 'ENOSPC' });
  t.is(readFileSync(path, 'utf8'), before);
  t.deepEqual(readdirSync(dir).filter((name) => name.includes('full')), [basename(path)]);
});

test('every plan that is drawn can be written and read', (t) => {
  for (const [name, { kind }] of scenarios) {
    // A story has more parts where there are more servers.
    for (const servers of kind === 'historic' ? [3, 5, 7] : [5]) {
      for (const seed of ['1', '2', '3']) {
        const plan = drawPlan(name, { seed, servers });
        t.is(checkPlan(plan), null, `${name} ${servers} ${seed}`);
        t.deepEqual(JSON.parse(formatFile(plan)), JSON.parse(JSON.stringify(plan)));
      }
    }
  }
});

test('what is wrong with a file is said in one line', (t) => {
  const path = join(dir, 'wrong.json');
  const wrong = (value: unknown, expected: RegExp): void => {
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
    t.throws(() => readPlanFile(path), { code: 'SIM_FILE', message: expected });
  };
  const plan = fakePlan({ faults: 2 });
  const [first, second] = plan.faults as [Plan['faults'][number], Plan['faults'][number]];
  wrong('{"a": ', /is not JSON/);
  wrong('[]', /it is not an object/);
  wrong({ ...plan, version: 2 }, /its version is 2/);
  wrong({ ...plan, untilMs: undefined }, /"untilMs" is missing/);
  wrong({ ...plan, servers: 3 }, /serverKnobs has 5 entries for 3 servers/);
  wrong({ ...plan, faults: [first, first] }, /the id f1 is there twice/);
  wrong({ ...plan, faults: [{ ...first, action: { kind: 'crush', on: 'server-1' } }] }, /fault f1: there is no kind of fault "crush"/);
  wrong({ ...plan, faults: [{ ...first, action: { kind: 'pause', on: 'server-1' } }] }, /fault f1 \(pause\): "forMs" is missing/);
  wrong({ ...plan, faults: [{ ...first, action: { kind: 'pause', on: 'server-9', forMs: 5 } }] }, /fault f1 is on server-9, and the servers are server-1 to server-5/);
  wrong({ ...plan, faults: [{ ...second, when: { after: 'f1' } }] }, /fault f2 waits for "f1", which is not there/);
  wrong({ ...plan, skip: ['client 2'] }, /skip\[0\], "client 2", is not of the form/);
  wrong({ ...plan, skip: ['client-1#5', 'client-2#90-14'] }, /skip\[1\], "client-2#90-14", ends before it begins/);
  wrong({ ...plan, skip: ['client-1#0-5'] }, /skip\[0\], "client-1#0-5", begins before 1/);
  wrong({ ...plan, skip: ['client-3#5'] }, /skip\[0\], "client-3#5", is of client-3, which is not there/);
  for (const name of ['nett', 'net/', 'net/server-1', 'disk/server-10', 'disk/server-1/journals', 'client', 'client-0', 'client-1/op', '', '__proto__']) wrong({ ...plan, calm: ['net', name] }, /calm\[1\]: there is no stream of chance "/);
  for (const name of ['net', 'net/clients', 'net/server-1>server-2', 'net/client-1>server-3', 'net/taskmanager-1>jobmanager-2', 'disk', 'disk/server-5', 'disk/server-5/state', 'client-1', 'client-2/ops', 'hostile-wire', 'fault/f1', 'kafka/input']) t.is(checkPlan({ ...plan, calm: [name] }), null, name);
  wrong({ ...plan, clients: [{ id: 1 }] }, /client 1: "kind" is missing/);
  wrong({ ...plan, clients: [plan.clients[0], plan.clients[0]] }, /client 1 is there twice/);
  wrong({ ...plan, mutant: 7 }, /"mutant" cannot be 7/);
  // What would run for ever, or fall over where nobody expects it.
  wrong({ ...plan, untilMs: 1e300 }, /"untilMs" cannot be 1e\+300/);
  wrong({ ...plan, knobs: {} }, /knobs: "segmentBytes" is missing/);
  wrong({ ...plan, knobs: { ...plan.knobs, detectMs: 'soon' } }, /knobs: "detectMs" cannot be "soon"/);
  wrong({ ...plan, clocks: plan.clocks.map(() => ({ rate: 0, wallOffMs: 0 })) }, /clock of server-1: "rate" cannot be 0/);
  wrong({ ...plan, serverKnobs: plan.serverKnobs.map(() => null) }, /serverKnobs of server-1: it is not an object/);
  wrong({ ...drawPlan('worker-loss', { seed: '1', servers: 5 }), cluster: { ...drawPlan('worker-loss', { seed: '1', servers: 5 }).cluster, checkpointIntervalMs: 0 } }, /cluster: "checkpointIntervalMs" cannot be 0/);
  wrong({ ...plan, core: [6] }, /"core" cannot be \[6\]/);
  // What would silently never strike.
  wrong({ ...plan, faults: [{ ...first, when: { atMS: 5 } }] }, /fault f1: there is no field "atMS"; there are atMs, after, event, plusMs/);
  wrong({ ...plan, faults: [{ ...first, action: { kind: 'pause', on: 'leeder', forMs: 5 } }] }, /fault f1 is on "leeder", and that is nobody: leader, follower/);
  wrong({ ...plan, faults: [{ ...first, action: { kind: 'pause', on: 'taskmanager-1', forMs: 5 } }] }, /fault f1 is on taskmanager-1, and the plan has no "cluster"/);
  wrong({ ...plan, faults: [{ ...first, when: { event: { who: 'server-8', name: 'Deliver' } } }] }, /fault f1 waits for server-8, and the servers are server-1 to server-5/);
  wrong({ ...plan, faults: [{ ...first, when: { after: 'f2' } }, { ...second, when: { after: 'f1' } }] }, /"f1" waits for itself/);
  wrong({ ...plan, ops: [{ id: 'o1', when: {}, client: 9, op: 'set', path: '/a' }] }, /op o1: "client" cannot be 9/);
  for (const path of ['no/slash', '//', '/a//b', '/a/', '/a/./b', '/..']) wrong({ ...plan, ops: [{ id: 'o1', when: {}, client: 1, op: 'set', path }] }, /op o1: "path" cannot be/);
  for (const path of ['/', '/k1', '/a b/..c/.d.']) t.is(checkPlan({ ...plan, ops: [{ id: 'o1', when: {}, client: 1, op: 'set', path }] }), null, path);
  wrong({ ...plan, ops: [{ id: 'o1', when: {}, client: 1, op: 'set', path: '/a', time: 2 }] }, /op o1: there is no field "time"; there are id, when, client, op, path, to, times, mark/);
  wrong({ ...plan, diskBuget: false }, /there is no field "diskBuget"/);
  wrong({ ...plan, clients: [{ ...plan.clients[0], shareSessionOf: 1 }] }, /client 1: there is no field "shareSessionOf"/);
  wrong({ ...plan, knobs: { ...plan.knobs, jiterMs: 3 } }, /knobs: there is no field "jiterMs"/);
  wrong({ ...plan, faults: [null] }, /a fault has no id/);
  wrong({ ...plan, faults: [{ ...first, action: { kind: '__proto__' } }] }, /there is no kind of fault "__proto__"/);
  wrong({ kind: 'odd', invariant: 'Agreement', plan }, /its kind is "odd"/);
  t.throws(() => readPlanFile(join(dir, 'missing.json')), { code: 'SIM_FILE', message: /cannot be read \(ENOENT\)/ });
});

test('a byte order mark before a plan is none of its business', (t) => {
  const path = join(dir, 'bom.json');
  const plan = fakePlan({ faults: 2 });
  writeFileSync(path, `\uFEFF${formatFile(plan)}`);
  t.deepEqual(readPlanFile(path), { plan, failure: null });
});

test('names of files have no surprises, and other seeds other files', (t) => {
  const name = (seed: string): string => failureName({ scenario: 'swarm', servers: 5, seed });
  t.is(name('1-x_y.z'), 'swarm-5-1-x_y.z.json');
  t.is(failureName({ scenario: 'swarm', servers: 5, seed: '17', mutant: 'ack-before-sync' }), 'swarm-5-17-ack-before-sync.json');
  t.regex(name('../x y'), /^swarm-5-\.\._x_y-[0-9a-f]{8}\.json$/);
  const seeds = ['../x y', '.._x_y', '.._x y', '../x_y', 'ä', 'ö', 'x'.repeat(300), `${'x'.repeat(300)}y`];
  t.is(new Set(seeds.map(name)).size, seeds.length);
  for (const seed of seeds) t.true(name(seed).length < 200);
});

test('replay: fails still, fails otherwise, passes', async (t) => {
  const path = await failureIn('replay');
  const replay = async (simulator: Simulator, file = path): Promise<[number, string]> => {
    const { io: to, text } = io();
    return [await replayCommand(simulator, file, { trace: false, json: false }, to), text()];
  };
  const [same, sameText] = await replay(needy);
  t.is(same, 1);
  t.regex(sameText, /It still fails: Agreement; trace trace-1, the same as when it was written$/);
  const [other, otherText] = await replay({ ...needy, run: async (plan) => fakeResult(plan, 'Leadership', { traceHash: 'x', kind: 'liveness' }) });
  t.is(other, 2);
  t.regex(otherText, /It fails otherwise: Leadership now, Agreement when it was written; trace x, not trace-1/);
  const [passes, passesText] = await replay({ ...needy, run: async (plan) => fakeResult(plan, null) });
  t.is(passes, 0);
  t.regex(passesText, /It passes: Agreement holds now/);
  const bare = join(dir, 'bare.json');
  writeFileSync(bare, formatFile(fakePlan({ faults: 6 })));
  t.deepEqual((await replay(needy, bare))[0], 1);
  const [thrown, thrownText] = await replay({ ...needy, run: () => Promise.reject(new TypeError('a bug')) });
  t.is(thrown, 3);
  t.regex(thrownText, /It fails otherwise: TypeError now/);
});

test('replay: a plan that passes says which of its faults never struck', async (t) => {
  const path = join(dir, 'misses.json');
  writeFileSync(path, formatFile(fakePlan({ faults: 3 })));
  const striking = (ids: readonly string[]): Simulator => ({
    ...needy,
    run: async (plan, options) => {
      for (const id of ids) options?.onTrace?.(new TraceEntry(1, 'nemesis', 'pause', { id }));
      return fakeResult(plan, null);
    },
  });
  const replay = async (ids: readonly string[], json: boolean): Promise<string> => {
    const { io: to, text } = io();
    t.is(await replayCommand(striking(ids), path, { trace: false, json }, to), 0);
    return text();
  };
  t.regex(await replay(['f1', 'f3'], false), /^It passes; .*\n1 of 3 faults never struck: .*\n {2}f2 +\S.*$/);
  t.regex(await replay(['f1', 'f2', 'f3'], false), /^It passes; [^\n]*$/);
  t.deepEqual((JSON.parse(await replay(['f1'], true)) as { neverStruck: string[] }).neverStruck, ['f2', 'f3']);
});

test('replay: a run that could not be repeated is run twice', async (t) => {
  const plan = fakePlan({ seed: 'random-1', faults: 2 });
  const report = await runSeed({ ...fakeSimulator(), draw: () => plan }, { scenario: 'swarm', servers: 5, seed: 'random-1', twice: true });
  t.is(report.failure?.kind, 'nondeterminism');
  const path = writeFailure(dir, report) ?? '';
  const { io: to, text } = io();
  t.is(await replayCommand(fakeSimulator(), path, { trace: false, json: false }, to), 4);
  t.regex(text(), /It still fails: Determinism/);
  t.is(await replayCommand(needy, path, { trace: false, json: false }, to), 1, 'it can be repeated, and fails otherwise');
  const { io: then, text: thenText } = io();
  t.is(await replayCommand({ ...needy, run: async (each) => fakeResult(each, null) }, path, { trace: false, json: false }, then), 0);
  t.regex(thenText(), /It passes: Determinism holds now/);
});

test('shrink writes a smaller file beside, which fails in the same way', async (t) => {
  const path = await failureIn('big');
  const { io: to, text } = io();
  t.is(await shrinkCommand(needy, path, { seconds: 60, json: false }, to), 0);
  const small = path.replace('.json', '.small.json');
  t.deepEqual(readPlanFile(small).plan.faults.map(({ id }) => id), ['f2']);
  t.regex(text(), /Agreement still fails, with less; \d+ runs in/);
  t.regex(text(), /faults +6 +1\n/);
  t.regex(text(), /clients +2 +1\n/);
  t.regex(text(), /servers +5 +3\n/);
  t.true(text().includes(`npx drey sim replay ${small}`));
  t.is(await replayCommand(needy, small, { trace: false, json: true }, io().io), 1);
});

test('there is nothing to shrink or explain in a plan that passes', async (t) => {
  const path = await failureIn('passes');
  const passing: Simulator = { ...needy, run: async (plan) => fakeResult(plan, null) };
  await t.throwsAsync(shrinkCommand(passing, path, { seconds: 1, json: false }, io().io), { code: 'SIM_PASSES' });
  await t.throwsAsync(whyCommand(passing, path, { json: false }, io().io), { code: 'SIM_PASSES' });
});

test('why: what is needed, what is not, and a sentence', async (t) => {
  const path = await failureIn('why');
  const { io: to, text } = io();
  t.is(await whyCommand(needy, path, { json: false }, to), 0);
  t.regex(text(), /Needed: without it the run passes:\n {2}f2 +crash of server-2 at 200 ms\n {2}client-1 +client-1 and all that it does\n/);
  t.regex(text(), /Irrelevant: without it the run fails all the same:\n {2}f1 /);
  t.regex(text(), /\n\nWithout f2 \(crash of server-2 at 200 ms\) the run passes\. Needed besides: client-1 \(client-1 and all that it does\)\.\n/);
  const { io: other, text: otherText } = io();
  await whyCommand(needy, path, { json: true }, other);
  const json = JSON.parse(otherText()) as { neighbour: string; withoutFaults: string; verdicts: { id: string; outcome: string }[] };
  t.is(json.neighbour, 'f2');
  t.is(json.withoutFaults, 'passes');
  t.deepEqual(json.verdicts.filter(({ outcome }) => outcome === 'passes').map(({ id }) => id), ['f2', 'client-1']);
});

test('why: the answer counts what it lists', (t) => {
  const verdict = (id: string, kind: Verdict['kind'], outcome: Verdict['outcome'] = 'passes'): Verdict => ({ id, kind, what: `what ${id} is`, outcome, plan: fakePlan() });
  const sentence = (withoutFaults: Why['withoutFaults'], ...verdicts: Verdict[]): string => whySentence({ verdicts, withoutFaults });
  const [f1, f2, net] = [verdict('f1', 'fault'), verdict('f2', 'fault'), verdict('chance in net', 'chance')];
  t.is(sentence('passes', f1, f2, net), 'Each of 2 events is needed; without any one of them the run passes: f1 (what f1 is); f2 (what f2 is). Needed besides: chance in net (what chance in net is).');
  t.is(sentence('passes', f1, verdict('o1', 'op')), 'Each of 2 events is needed; without any one of them the run passes: f1 (what f1 is); o1 (what o1 is).');
  t.is(sentence('fails', verdict('f1', 'fault', 'fails'), verdict('client-1', 'client'), net), 'No fault is needed: the run fails without any. Each of 2 things is needed; without any one of them the run passes: client-1 (what client-1 is); chance in net (what chance in net is).');
  t.is(sentence(null, net), 'Without chance in net (what chance in net is) the run passes.');
});

test('why: when faults stand in for each other no single one decides', async (t) => {
  const either: Simulator = { ...needy, run: async (plan) => fakeResult(plan, plan.faults.length > 0 ? 'Agreement' : null) };
  const path = await failureIn('either', either);
  const { io: to, text } = io();
  await whyCommand(either, path, { json: false }, to);
  t.regex(text(), /No single event decides/);
  const innocent: Simulator = { ...needy, run: async (plan) => fakeResult(plan, 'Agreement') };
  const { io: alone, text: aloneText } = io();
  await whyCommand(innocent, path, { json: false }, alone);
  t.regex(aloneText(), /No fault is needed: the run fails without any\./);
});

test('a file is not written over what it is made from, nor over a directory', async (t) => {
  const path = await failureIn('input');
  await t.throwsAsync(openCommand(needy, path, { out: path, neighbour: false, browser: false }, io().io), { code: 'SIM_OUT', message: /input.* is what is read/ });
  await t.throwsAsync(openCommand(needy, path, { out: dir, neighbour: false, browser: false }, io().io), { code: 'SIM_OUT', message: /is a directory/ });
  await t.throwsAsync(shrinkCommand(needy, path, { out: dir, seconds: 1, json: false }, io().io), { code: 'SIM_OUT', message: /is a directory/ });
  t.is(readPlanFile(path).failure?.invariant, 'Agreement');
});

test('doctor: the first entry in which two runs differ, with what came before', async (t) => {
  const simulator = fakeSimulator();
  const random = fakePlan({ seed: 'random-1' });
  const { divergence } = await examine(simulator, random);
  t.is(divergence?.same, 19);
  t.is(divergence?.context.length, 12);
  t.regex(divergence?.first ?? '', /20\.000 server-1 +Deliver .*run=1$/);
  t.regex(divergence?.second ?? '', /run=2$/);
  const { io: to, text } = io();
  t.is(await doctorCommand(simulator, random, { json: false }, to), 4);
  t.regex(text(), /the first 19 entries are the same; then/);
  t.regex(text(), /Date, performance\.now/);
  const { io: same, text: sameText } = io();
  t.is(await doctorCommand(simulator, fakePlan(), { json: false }, same), 0);
  t.regex(sameText(), /both runs are the same, 30 entries, trace trace-1/);
});

test('a run that ends sooner than the other is found too', async (t) => {
  let runs = 0;
  const simulator: Simulator = { ...fakeSimulator(), run: async (plan, options = {}) => {
    if (runs++ === 0) await fakeSimulator().run(plan, options);
    return fakeResult(plan, null);
  } };
  const { io: to, text } = io();
  t.is(await doctorCommand(simulator, fakePlan(), { json: false }, to), 4);
  t.regex(text(), /2 \(the trace ends here\)/);
});

test('which name was meant', (t) => {
  const names = ['swarm', 'leader-loss', 'ZK-4643', 'ZK-4646', 'power-failure', 'powerfail'];
  t.is(nearest('swram', names), 'swarm');
  t.is(nearest('leaderloss', names), 'leader-loss');
  t.is(nearest('zk-4643', names), 'ZK-4643');
  t.is(nearest('4646', names), 'ZK-4646');
  t.is(nearest('xyzzy', names), null);
  t.is(didYouMean('swram', names), '; did you mean "swarm"?');
});

test('numbers, times and words as they are printed', (t) => {
  t.deepEqual([ms(0), ms(1204.56), ms(999), ms(1_000_000.05)], ['0 ms', '1,204.5 ms', '999 ms', '1,000,000.0 ms']);
  t.deepEqual([virtualTime(6700), virtualTime(90_000), virtualTime(7_200_000)], ['6.7 s', '1.5 min', '2.0 h']);
  t.deepEqual([clock(5), clock(125), clock(3725)], ['0:05', '2:05', '1:02:05']);
  t.deepEqual([quoted('a-b/c.json'), quoted("it's")], ['a-b/c.json', "'it'\\''s'"]);
});
