/** What `drey sim` ends with, as it is typed: each exit code for a product, or a checker, in which something is wrong in that way; and what --json gives, by its documentation. */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Edit } from '../../sim/mutants/mutant.ts';

const root = join(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'drey-sim-codes-'));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** With the source edited, also in the children. */
function drey(edits: readonly Edit[], ...args: string[]): Ended {
  const env = edits.length === 0 ? process.env : { ...process.env, DREY_EDITS: JSON.stringify(edits), NODE_OPTIONS: `--import ${new URL('../lib/edited.ts', import.meta.url).href}` };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['drey.js', 'sim', ...args], { cwd: root, encoding: 'utf8', env });
  return { code: status, out: stdout, err: stderr };
}

interface Summary {
  readonly ok: boolean;
  readonly failed: number;
  readonly failures: readonly { readonly kind: string; readonly invariant: string; readonly message: string; readonly file: string; readonly commands: Readonly<Record<string, string>> }[];
}

/** In every election. */
const inElections = (replace: string): Edit => ({ file: 'coord/zab/fast-leader-election.ts', find: '    this.round++;\n', replace: `    this.round++;${replace}\n` });

const findings: readonly { readonly what: string; readonly code: number; readonly kind: string; readonly invariant: string; readonly message: RegExp; readonly edits: readonly Edit[]; readonly args: readonly string[]; readonly opens?: number }[] = [
  { what: 'no progress', code: 2, kind: 'liveness', invariant: 'Liveness', message: /does not|no |waits|looking/, edits: [], args: ['ZK-1818', '--mutant', 'rounds-mixed'] },
  { what: 'a crash', code: 3, kind: 'crash', invariant: 'TypeError', message: /^the third round$/, edits: [inElections(" if (this.round === 3) throw new TypeError('the third round');")], args: ['leader-loss'] },
  { what: 'a look at the clock', code: 4, kind: 'nondeterminism', invariant: 'SimulationEscape', message: /^simulated code calls Date\.now at coord\/zab\/fast-leader-election\.ts:\d+:\d+$/, edits: [inElections(' Date.now();')], args: ['leader-loss'], opens: 0 },
  { what: 'chance from outside', code: 4, kind: 'nondeterminism', invariant: 'SimulationEscape', message: /^simulated code calls Math\.random at /, edits: [inElections(' this.round += Math.random();')], args: ['leader-loss'] },
  { what: 'what outlives a run', code: 4, kind: 'nondeterminism', invariant: 'Determinism', message: /^the same plan ended on trace \w{8} \(.*\), then on \w{8} \(.*\): something in it is not deterministic$/s, edits: [inElections(' this.round += globalThis.rounds = (globalThis.rounds ?? 0) + 1;')], args: ['leader-loss'], opens: 64 },
  {
    what: 'a checker that gives up', code: 5, kind: 'gave-up', invariant: 'Linearizability', message: /^\d+ operations on \/\S.*: no verdict within 20 steps$/,
    edits: [{ file: 'sim/judges/linearizability.ts', find: 'STEPS_MAX = 500_000;', replace: 'STEPS_MAX = 20;' }, { file: 'sim/judges/linearizability.ts', find: 'return witness === null ?', replace: 'return history.length > 0 ?' }], args: ['leader-loss'],
  },
];

for (const { what, code, kind, invariant, message, edits, args, opens } of findings) {
  test(`${what} is exit code ${code}, of the run and of its replay`, (t) => {
    const ran = drey(edits, ...args, '--servers', '3', '--seeds', '1', '--out', join(dir, what), '--json');
    t.is(ran.code, code, ran.err);
    t.is(ran.err, '');
    t.is(ran.out.trimEnd().split('\n').length, 1);
    const { ok, failed, failures: [failure] } = JSON.parse(ran.out) as Summary;
    t.deepEqual([ok, failed, failure?.kind, failure?.invariant], [false, 1, kind, invariant]);
    t.regex(failure?.message ?? '', message);
    t.true(existsSync(failure?.file ?? ''));
    t.deepEqual(Object.keys(failure?.commands ?? {}), invariant === 'Determinism' ? ['replay', 'doctor'] : ['replay', 'shrink', 'why', 'open']);
    const replayed = drey(edits, 'replay', failure?.file ?? '');
    t.is(replayed.code, code, replayed.err);
    t.regex(replayed.out, new RegExp(`^It still fails: ${invariant}; trace`, 'm'));
    if (opens === undefined) return;
    const opened = drey(edits, 'open', failure?.file ?? '', '--no-neighbour');
    t.is(opened.code, opens, opened.err);
    if (opens !== 0) t.regex(opened.err, /^drey: .* could not be repeated: npx drey sim doctor leader-loss --servers 3 --seed 1 shows where it diverges \(SIM_PASSES\)\n$/);
  });
}

test('the doctor finds both what differs and what reaches for the real world', (t) => {
  const differing = drey([inElections(' this.round += globalThis.rounds = (globalThis.rounds ?? 0) + 1;')], 'doctor', 'leader-loss', '--servers', '3');
  t.is(differing.code, 4, differing.err);
  t.regex(differing.out, /the first [\d,]+ entries are the same; then\n/);
  const escaping = drey([inElections(' Date.now();')], 'doctor', 'leader-loss', '--servers', '3');
  t.is(escaping.code, 4, escaping.err);
  t.regex(escaping.out, /simulated code calls Date\.now at coord\/\S+; until then both runs are the same, 1 entry, trace/);
});

test('drey sim that falls over itself is exit code 70, and stdout has nothing', (t) => {
  const { code, out, err } = drey([{ file: 'sim/cli/summary.ts', find: 'export function summaryJson(', replace: "export function summaryJson(): object { throw new TypeError('not written'); }\nfunction neverCalled(" }], 'leader-loss', '--servers', '3', '--seeds', '1', '--out', dir, '--json');
  t.is(code, 70, err);
  t.is(out, '');
  t.regex(err, /^TypeError: not written\n +at /);
});

/** By command: the fields that docs/SIMULATOR.md names. */
function documented(): ReadonlyMap<string, readonly string[]> {
  const guide = readFileSync(join(root, 'docs/SIMULATOR.md'), 'utf8');
  const section = /\n## JSON\n([\s\S]*?)\n## /.exec(guide)?.[1] ?? '';
  // What is in brackets are values.
  return new Map([...section.matchAll(/^\| (.*?) \| (.*) \|$/gm)].map(([, command = '', fields = '']) => [command.replaceAll('`', ''), [...fields.replaceAll(/\([^)]*\)/g, '').matchAll(/`(\w+\??)`/g)].map(([, name = '']) => name)]));
}

test('what --json gives is what the guide says', (t) => {
  const fields = documented();
  const given = (command: string, value: unknown): void => {
    const names = fields.get(command) ?? [];
    t.true(names.length > 0, command);
    const keys = Object.keys(value as object);
    t.deepEqual(keys, names.filter((name) => !name.endsWith('?') || keys.includes(name.slice(0, -1))).map((name) => name.replace('?', '')), command);
  };
  const json = (...args: string[]): unknown => JSON.parse(drey([], ...args, '--json').out);
  const each = (of: unknown, field: string): unknown => ((of as Record<string, readonly unknown[]>)[field] ?? [])[0];
  const run = json('leader-loss', '--servers', '3', '--seeds', '3', '--mutant', 'ack-before-sync', '--out', join(dir, 'json'));
  given('drey sim SCENARIO', run);
  given('each of its failures', each(run, 'failures'));
  const { file } = each(run, 'failures') as { file: string };
  given('drey sim replay FILE', json('replay', file));
  given('drey sim shrink FILE', json('shrink', file, '--seconds', '1'));
  const why = json('why', file);
  given('drey sim why FILE', why);
  given('each of its verdicts', each(why, 'verdicts'));
  given('drey sim doctor', json('doctor', 'leader-loss', '--servers', '3'));
  const kills = json('mutants', '--only', 'ack-before-sync');
  given('drey sim mutants', kills);
  given('each of its kills', each(kills, 'kills'));
  for (const [command, args] of [['drey sim list', ['list']], ['drey sim list', []], ['drey sim mutants --list', ['mutants', '--list']]] as const) for (const item of json(...args) as readonly unknown[]) given(command, item);
});
