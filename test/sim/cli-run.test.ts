import test from 'ava';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPlanFile } from '../../sim/cli/failure-file.ts';
import { inChildren, inProcess, type Lanes } from '../../sim/cli/lanes.ts';
import { runCommand, type Io, type RunCommandOptions } from '../../sim/cli/run.ts';
import { runSeed, type SeedReport, type SeedTask } from '../../sim/cli/seed-report.ts';
import { fakeSimulator } from '../lib/fake-simulator.ts';

const fakeUrl = new URL('../lib/fake-simulator.ts', import.meta.url).href;
const dirs: string[] = [];
test.after.always(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

function dir(): string {
  const made = mkdtempSync(join(tmpdir(), 'drey-sim-'));
  dirs.push(made);
  return made;
}

interface Ran {
  readonly code: number;
  readonly text: string;
  readonly screen: string;
  readonly out: string;
}

async function run(change: Partial<RunCommandOptions>, { sevens = false, undecided = false, lanes, isTTY = false, interrupted = new AbortController().signal }: { sevens?: boolean; undecided?: boolean; lanes?: Lanes; isTTY?: boolean; interrupted?: AbortSignal } = {}): Promise<Ran> {
  const lines: string[] = [];
  let screen = '';
  const io: Io = { out: (text) => lines.push(text), interrupted, screen: { isTTY, columns: 200, write: (text) => (screen += text) } };
  const options: RunCommandOptions = { scenario: 'swarm', servers: 5, seeds: 10, fromSeed: 1, jobs: 1, json: false, trace: false, out: dir(), keepGoing: false, marks: ['DIFF', 'SNAP'], ...change };
  const code = await runCommand(fakeSimulator({ sevens, undecided }), options, io, lanes);
  return { code, text: lines.join('\n'), screen, out: options.out };
}

interface Json {
  readonly seeds: number;
  readonly failed: number;
  readonly twice: number;
  readonly nextSeed: number | null;
  readonly events: number;
  readonly interrupted: boolean;
  readonly faults: Readonly<Record<string, number>>;
  readonly marks: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly seed: string; readonly kind: string; readonly invariant: string; readonly message: string; readonly file: string | null }[];
}
async function json(change: Partial<RunCommandOptions>, how: Parameters<typeof run>[1] = {}): Promise<Json & { code: number; out: string }> {
  const { code, text, out } = await run({ ...change, json: true }, how);
  return { ...(JSON.parse(text) as Json), code, out };
}

test('a story says in how many seeds it was told', async (t) => {
  t.regex((await run({ story: ['DIFF'] })).text, /\n {2}story +told in 10 of 10 seeds\n/);
  t.regex((await run({ story: ['DIFF', 'SNAP'] })).text, /\n {2}story +told in 0 of 10 seeds\n/);
  t.notRegex((await run({})).text, /told in/);
});

test('a failure that cannot be written is a failure all the same', async (t) => {
  const out = dir();
  mkdirSync(join(out, 'swarm-5-7.json'));
  const { code, text } = await run({ out }, { sevens: true });
  t.is(code, 1);
  t.regex(text, /safety: Agreement\n/);
  t.regex(text, /no file {2}it could not be written: EISDIR/);
  t.regex(text, /again +npx drey sim swarm --servers 5 --seed 7\n/);
  const [failure] = (await json({ out }, { sevens: true })).failures;
  t.is(failure?.file, null);
  t.regex((failure as unknown as { fileError: string }).fileError, /EISDIR/);
});

test('seeds that hold: exit code 0, and what they add up to', async (t) => {
  const { code, text } = await run({ seeds: 50 });
  t.is(code, 0);
  t.regex(text, /^swarm on 5 servers: 50 seeds \(1 to 50\) ok in /);
  t.regex(text, /faults +150: crash 150/);
  t.regex(text, /marks +1 of 2 seen; never: SNAP\n/);
  t.regex(text, /repeated +3 seeds ran twice/);
  t.regex(text, /\n {2}go on +npx drey sim swarm --servers 5 --seeds 50 --from-seed 51 --out \S+$/);
});

test('what goes on behind a run has the options of that run', async (t) => {
  const goOn = async (change: Partial<RunCommandOptions>): Promise<string> => /^ {2}go on +npx drey sim (.*)$/m.exec((await run(change)).text)?.[1] ?? '';
  const out = join(dir(), "Ann's failures");
  t.is(await goOn({ seeds: 3, fromSeed: 4, jobs: 2, keepGoing: true, mutant: 'crc-not-checked', out }), `swarm --servers 5 --mutant crc-not-checked --jobs 2 --seeds 3 --from-seed 7 --keep-going --out '${out.replace("'", "'\\''")}'`);
  t.regex(await goOn({ seeds: null, minutes: 0.0005, out }), /^swarm --servers 5 --minutes 0\.0005 --from-seed \d+ --out /);
  t.regex(await goOn({ seeds: 2, minutes: 5, out }), /^swarm --servers 5 --seeds 2 --minutes 5 --from-seed 3 --out /);
  t.is(await goOn({ seeds: 2, out: 'sim-failures' }), 'swarm --servers 5 --seeds 2 --from-seed 3');
});

test('a range of seeds in parts comes to the same as in one go', async (t) => {
  const whole = await json({ seeds: 45 });
  const parts = [await json({ seeds: 20 }), await json({ seeds: 25, fromSeed: 21 })];
  t.is(parts[0]?.nextSeed, 21);
  for (const key of ['seeds', 'events', 'twice'] as const) t.is(parts.reduce((sum, part) => sum + part[key], 0), whole[key], key);
  t.is(parts.reduce((sum, part) => sum + (part.faults['crash'] ?? 0), 0), whole.faults['crash'] ?? 0);
});

test('a failure ends it, is written to a file that can be read again, and decides the exit code', async (t) => {
  const { code, text, out } = await run({ seeds: 20 }, { sevens: true });
  t.is(code, 1);
  const file = join(out, 'swarm-5-7.json');
  t.deepEqual(readdirSync(out), ['swarm-5-7.json']);
  for (const command of ['replay', 'shrink', 'why', 'open']) t.true(text.includes(`npx drey sim ${command} ${file}`), command);
  t.regex(text, /safety: Agreement\n {2}Agreement does not hold\n {2}swarm, 5 servers, seed 7, at 1,000 ms of virtual time; trace trace-7/);
  t.regex(text, /999\.000 server-1 {3}Deliver zxid=0x7 session=0x5\n/);
  t.regex(text, /--from-seed 8/);
  const { plan, failure } = readPlanFile(file);
  t.is(plan.seed, '7');
  t.is(failure?.invariant, 'Agreement');
  t.is(failure?.what, 'Agreement is broken at 1,000 ms: Agreement does not hold (swarm on 5 servers, seed 7)');
});

test('--keep-going runs all, and counts', async (t) => {
  const result = await json({ seeds: 30, keepGoing: true }, { sevens: true });
  t.is(result.code, 1);
  t.is(result.seeds, 30);
  t.deepEqual(result.failures.map(({ seed }) => seed), ['7', '17', '27']);
  t.deepEqual(readdirSync(result.out).toSorted(), ['swarm-5-17.json', 'swarm-5-27.json', 'swarm-5-7.json']);
});

test('what cannot be decided does not end it, and is exit code 5 unless something is worse', async (t) => {
  const all = await json({ seeds: 6 }, { undecided: true });
  t.deepEqual([all.code, all.seeds, all.failures.map(({ seed, kind }) => `${seed} ${kind}`)], [5, 6, ['4 gave-up']]);
  const worse = await json({ seeds: 20 }, { undecided: true, sevens: true });
  t.deepEqual([worse.code, worse.seeds, worse.failed], [1, 7, 2]);
});

test('what is printed does not depend on how many children there are', async (t) => {
  const change = { seeds: 40, keepGoing: true } as const;
  const one = await json(change, { sevens: true });
  const three = await json(change, { lanes: inChildren(3, { simulator: fakeUrl }) });
  for (const key of ['seeds', 'failed', 'twice', 'nextSeed', 'events', 'faults', 'marks'] as const) t.deepEqual(three[key], one[key], key);
  t.deepEqual(three.failures.map(({ seed, invariant }) => [seed, invariant]), one.failures.map(({ seed, invariant }) => [seed, invariant]));
  const untilFailure = await json({ seeds: 40 }, { lanes: inChildren(3, { simulator: fakeUrl }) });
  t.is(untilFailure.seeds, 7, 'later seeds that had begun do not count');
});

test('one seed, by any name, runs twice', async (t) => {
  const { code, text } = await run({ seed: 'blue', seeds: 100 });
  t.is(code, 0);
  t.regex(text, /^swarm on 5 servers: 1 seed ok/);
  t.regex(text, /1 seed ran twice and ended on the same trace, trace-blue/);
  t.notRegex(text, /go on {2}/);
});

test('--trace prints the trace of the first of the two runs', async (t) => {
  const { text } = await run({ seed: 'blue', trace: true });
  t.is(text.match(/server-1 +Deliver/g)?.length, 30);
});

test('two runs that differ: exit code 4', async (t) => {
  const { code, text } = await run({ seed: 'random-1' });
  t.is(code, 4);
  t.regex(text, /nondeterminism: Determinism\n {2}the same plan ended on trace trace-1 \(ok\), then on trace-2 \(ok\)/);
});

test('what is thrown is a crash: exit code 3, with the plan', async (t) => {
  const { code, text, out } = await run({ seed: 'throws-1' });
  t.is(code, 3);
  t.regex(text, /crash: TypeError\n {2}TypeError: the product has a bug\n +at /);
  t.is(readPlanFile(join(out, 'swarm-5-throws-1.json')).failure?.kind, 'crash');
});

test('a rejection that nobody waits for is a crash of the seed that runs', async (t) => {
  const { code, text } = await run({ seed: 'escapes-1' }, { lanes: inChildren(1, { simulator: fakeUrl }) });
  t.is(code, 3);
  t.regex(text, /crash: Error\n {2}Error: nobody waits for this/);
  t.regex(text, /again +npx drey sim swarm --servers 5 --seed escapes-1/);
});

test('a child that dies or hangs is a crash of its seed, and others go on', async (t) => {
  const lanes = inChildren(2, { simulator: fakeUrl, silentMs: 2500 });
  const task = (seed: string): SeedTask => ({ scenario: 'swarm', servers: 3, seed, twice: false });
  const reports: SeedReport[] = [];
  for (const seed of ['1', 'dies-1', '2', 'hangs-1', '3']) reports.push(await lanes.run(task(seed)));
  lanes.close();
  t.deepEqual(reports.map(({ failure }) => failure?.kind ?? 'ok'), ['ok', 'crash', 'ok', 'crash', 'ok']);
  t.regex(reports[1]?.failure?.message ?? '', /ended with SIGKILL/);
  t.regex(reports[3]?.failure?.message ?? '', /no result after 2.5 s/);
});

test('interrupted: what there is so far, where to go on, exit code 130', async (t) => {
  const controller = new AbortController();
  const lane = inProcess(fakeSimulator());
  const lanes: Lanes = {
    ...lane,
    run: (task) => {
      if (task.seed === '6') {
        controller.abort();
        return new Promise(() => {});
      }
      return lane.run(task);
    },
  };
  const { code, text } = await run({ seeds: 100 }, { lanes, interrupted: controller.signal });
  t.is(code, 130);
  t.regex(text, /^swarm on 5 servers: 5 seeds \(1 to 5\) ok in .* s, interrupted/);
  t.regex(text, /--from-seed 6/);
});

test('--minutes ends when time is up, at a whole seed', async (t) => {
  const { code, seeds, nextSeed } = await json({ seeds: null, minutes: 0.002, fromSeed: 11 });
  t.is(code, 0);
  t.true(seeds >= 1);
  t.is(nextSeed, 11 + seeds);
});

test('on a terminal one line is written over, elsewhere nothing for a short run', async (t) => {
  const tty = await run({ seeds: 30 }, { isTTY: true });
  const over = '\r\x1b[2K';
  t.true(tty.screen.startsWith(over));
  t.regex(tty.screen.slice(over.length), /^1\/30 seeds {2}[\d.]+\/s {2}.* simulated {2}3 faults {2}10 acked {2}marks 1\/2 {2}0 failed/);
  t.true(tty.screen.endsWith(over), 'and it is gone at the end');
  t.is((await run({ seeds: 30 })).screen, '');
});

test('a report says nothing that does not survive the way from a child', async (t) => {
  const report = await runSeed(fakeSimulator(), { scenario: 'swarm', servers: 3, seed: 'unsafe-1', twice: false });
  t.deepEqual(JSON.parse(JSON.stringify(report)), report);
});
