/** `drey sim` as it is typed: processes, exit codes, and the way of a failure from a run to its page. */
import test from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listText } from '../../sim/cli/list.ts';
import { scenarios } from '../../sim/scenarios/scenarios.ts';

const root = join(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'drey-sim-commands-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

function drey(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['drey.js', 'sim', ...args], { cwd: root, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

test('every command has help', (t) => {
  const { code, out } = drey('--help');
  t.is(code, 0);
  t.regex(out, /Exit codes: 0 ok, 1 a safety property/);
  for (const option of ['--servers', '--seeds', '--from-seed', '--seed', '--jobs', '--minutes', '--keep-going', '--out', '--trace', '--mutant', '--json']) t.true(out.includes(option), option);
  for (const command of ['list', 'replay', 'shrink', 'why', 'open', 'doctor', 'mutants']) t.regex(out, new RegExp(`^ {2}${command} `, 'm'), command);
  const { code: why, out: whyOut } = drey('why', '--help');
  t.is(why, 0);
  t.regex(whyOut, /Usage: drey sim why/);
});

test('the list has every scenario, in groups, with a line each', (t) => {
  const text = listText([...scenarios.values()]);
  for (const { name, summary } of scenarios.values()) t.true(text.split('\n').some((line) => line.startsWith(`  ${name} `) && line.endsWith(summary)), name);
  t.deepEqual(text.split('\n').filter((line) => line.endsWith(':') && !line.startsWith(' ')).map((line) => line.split(':')[0]), ['Scenarios', 'Profiles', 'Historic']);
  t.is(new Set([...scenarios.values()].map(({ name }) => name)).size, scenarios.size);
});

test('wrong usage is one line, and 64: smaller numbers are findings', (t) => {
  const wrong = (expected: RegExp, ...args: string[]): void => {
    const { code, out, err } = drey(...args);
    t.is(code, 64, args.join(' '));
    t.is(out, '');
    t.regex(err.trim(), expected);
    t.is(err.trim().split('\n').length, 1, err);
  };
  wrong(/there is no scenario "leeder-loss"; did you mean "leader-loss"\?/, 'leeder-loss');
  wrong(/'--seeds <n>' argument 'many' is invalid\. It must be a whole number from 1\./, 'swarm', '--seeds', 'many');
  wrong(/there is no mutant "ack-before-snc"; did you mean "ack-before-sync"\?/, 'swarm', '--mutant', 'ack-before-snc');
  wrong(/'--from-seed <n>' argument '9007199254740991' is invalid/, 'swarm', '--from-seed', '9007199254740991');
  wrong(/'--trace' cannot be used with option '--json'/, 'swarm', '--seed', '1', '--trace', '--json');
  wrong(/--trace prints the entries of one run: say which, with --seed/, 'swarm', '--trace');
  wrong(/'--seed <seed>' cannot be used with option '--seeds <n>'/, 'swarm', '--seed', '1', '--seeds', '2');
  wrong(/nothing can be written to package\.json: .* is not a directory; give --out another place/, 'swarm', '--out', 'package.json');
  wrong(/nothing\.json cannot be read \(ENOENT\)/, 'replay', 'nothing.json');
});

test('a scenario with a number of servers of its own says so', (t) => {
  const { code, out } = drey('lite', '--servers', '7', '--seeds', '1', '--json');
  t.is(code, 0);
  t.is((JSON.parse(out) as { servers: number }).servers, 3);
});

test.serial('a mutant is found, replayed, shrunk, explained and drawn', (t) => {
  const out = join(dir, 'failures');
  const found = drey('leader-loss', '--seeds', '20', '--jobs', '2', '--mutant', 'ack-before-sync', '--out', out, '--json');
  t.is(found.code, 1, found.err);
  const { failures } = JSON.parse(found.out) as { failures: { file: string; invariant: string; traceHash: string }[] };
  const file = failures[0]?.file ?? '';
  t.is(failures[0]?.invariant, 'QuorumDurability');

  const replayed = drey('replay', file);
  t.is(replayed.code, 1, replayed.err);
  t.regex(replayed.out, new RegExp(`It still fails: QuorumDurability; trace ${failures[0]?.traceHash}, the same`));

  const shrunk = drey('shrink', file, '--seconds', '20', '--json');
  t.is(shrunk.code, 0, shrunk.err);
  const { before, after, file: small } = JSON.parse(shrunk.out) as { file: string; before: Record<string, number>; after: Record<string, number> };
  for (const what of ['faults', 'clients', 'servers', 'settings']) t.true((after[what] ?? 1) < (before[what] ?? 0), `${what}: ${shrunk.out}`);
  t.is(drey('replay', small).code, 1);

  const why = drey('why', small);
  t.is(why.code, 0, why.err);
  t.regex(why.out, /^QuorumDurability is broken at /);

  const page = join(dir, 'page.html');
  const opened = drey('open', small, '--out', page);
  t.is(opened.code, 0, opened.err);
  t.true(opened.out.includes(page));
  // No fault is to blame: what passes is the product without the mutant.
  t.regex(opened.out, /beside it: the same run without/);
  t.true(existsSync(page) && readFileSync(page, 'utf8').includes('QuorumDurability'));
});

test('doctor has nothing to say of a deterministic run', (t) => {
  const { code, out, err } = drey('doctor', 'leader-loss', '--servers', '3', '--seed', '4');
  t.is(code, 0, out + err);
  t.regex(out, /both runs are the same, [\d,]+ entries, trace [0-9a-f]{8}/);
});

test('Ctrl-C ends with a summary of what there is so far', async (t) => {
  const child = spawn(process.execPath, ['drey.js', 'sim', 'rolling-restart', '--servers', '3', '--seeds', '100000', '--jobs', '2', '--json'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
  // Until it hears signals there is nothing to see from outside; before that the signal would end it without a word.
  const again = setInterval(() => child.kill('SIGINT'), 4000);
  const code = await ended;
  clearInterval(again);
  t.is(code, 130);
  const { interrupted, seeds, nextSeed } = JSON.parse(out) as { interrupted: boolean; seeds: number; nextSeed: number };
  t.true(interrupted);
  t.is(nextSeed, seeds + 1);
});
