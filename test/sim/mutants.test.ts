/** The mutants fit the source as it is, and what they break is noticed. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killMutants, killTable } from '../../sim/mutants/kill.ts';
import { mutants } from '../../sim/mutants/mutants.ts';
import { patch } from '../../sim/mutants/mutant.ts';
import { drawPlan } from '../../sim/plan/draw.ts';
import { runPlan } from '../../sim/run/run-plan.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('each has a name of its own, a line for people and a place to be found', (t) => {
  t.is(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  for (const { name, summary, edits, hunts, expects } of mutants) {
    t.regex(name, /^[a-z0-9-]+$/);
    t.false(summary.includes('\n') || summary === '', name);
    t.true(edits.length > 0 && hunts.length > 0 && expects.length > 0, name);
  }
});

test('each fits the source as it is, and what comes of it is still TypeScript without a type error', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'drey-mutants-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const files: string[] = [];
  for (const mutant of mutants) {
    for (const file of new Set(mutant.edits.map((edit) => edit.file))) {
      const path = join(dir, mutant.name, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, patch(mutant, file, readFileSync(join(root, file), 'utf8')));
      files.push(path);
    }
  }
  // What a patched file imports is found as if the two trees were one.
  const rootDirs = [root, ...mutants.map(({ name }) => join(dir, name))];
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions: { rootDir: '/', rootDirs, typeRoots: [join(root, 'node_modules/@types')] }, include: [], files }));
  t.deepEqual(errorsOf(join(dir, 'tsconfig.json')), []);
});

function errorsOf(project: string): string[] {
  try {
    execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', project, '--pretty', 'false'], { encoding: 'utf8' });
    return [];
  } catch (error) {
    const errors = (error as { stdout: string }).stdout.split('\n').filter((line) => line.includes('error TS'));
    // A patched class is not the one that the unpatched rest means: that is no fault of the patch.
    return errors.filter((line) => !line.includes("Argument of type 'this' is not assignable"));
  }
}

test('an edit that does not fit, or fits twice, is an error', (t) => {
  const mutant = { name: 'm', historic: '', summary: 's', edits: [{ file: 'f', find: 'a', replace: 'b' }], hunts: [], expects: [] };
  t.is(patch(mutant, 'f', 'xay'), 'xby');
  t.is(patch(mutant, 'g', 'aa'), 'aa');
  t.throws(() => patch(mutant, 'f', 'xy'), { message: /has no "a"/ });
  t.throws(() => patch(mutant, 'f', 'aa'), { message: /more than one/ });
});

test('cheap ones are killed by the judge that is meant to', async (t) => {
  const only = ['ack-before-sync', 'accepted-epoch-not-durable', 'read-before-own-write', 'sequence-from-children', 'multi-half-applied'];
  const kills = await killMutants({ only, seeds: 40, seconds: 60, jobs: 2 });
  t.deepEqual(kills.map(({ mutant }) => mutant), only);
  for (const kill of kills) t.true(kill.expected, `${kill.mutant}: ${kill.killedBy ?? 'survived'} ${kill.message}`);
  t.regex(killTable(kills), /ack-before-sync +ZK-4646 +QuorumDurability/);
});

test('a plan that is of a mutant does not run without it', async (t) => {
  await t.throwsAsync(runPlan(drawPlan('leader-loss', { seed: '1', servers: 3, mutant: 'ack-before-sync' })), { code: 'SIM_MUTANT_NOT_LOADED' });
});

test('a seed of a mutant replays', async (t) => {
  const [first, again] = [await killMutants({ only: ['ack-before-sync'], seeds: 5 }), await killMutants({ only: ['ack-before-sync'], seeds: 5 })];
  t.deepEqual({ ...first[0], seconds: 0 }, { ...again[0], seconds: 0 });
});

test('an unknown mutant is said so', async (t) => {
  await t.throwsAsync(killMutants({ only: ['nothing'] }), { code: 'SIM_UNKNOWN_MUTANT' });
});
