/**
 * A failure as a file: what broke, what led to it, what to do next, and the plan, with a line for each fault and client so that it can be read,
 * edited and compared. A file that holds a bare plan will do wherever one is asked for.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { DreyError } from '../../coord/base/errors.ts';
import type { Plan } from '../plan/plan.ts';
import { checkPlan } from './check-plan.ts';
import type { Failure, Finding, SeedReport } from './seed-report.ts';
import { ms, quoted } from './text.ts';

export interface FailureFile {
  /** One sentence. */
  readonly what: string;
  readonly kind: Finding;
  readonly invariant: string;
  readonly message: string;
  readonly atMs: number;
  readonly traceHash: string;
  readonly commands: Readonly<Record<string, string>>;
  readonly events: readonly string[];
  readonly stack?: readonly string[];
  readonly plan: Plan;
}

export interface PlanFile {
  readonly plan: Plan;
  /** Null: a bare plan, of which nothing is expected. */
  readonly failure: FailureFile | null;
}

export const DEFAULT_DIR = 'sim-failures';

/** Of what a seed's file is called by; a seed may be any text. */
const NAME_LENGTH_MAX = 120;

/** The same scenario, servers, seed and mutant have the same file, which is replaced; seeds of other names have others. */
export function failureName(task: { readonly scenario: string; readonly servers: number; readonly seed: string; readonly mutant?: string }): string {
  const name = [task.scenario, task.servers, task.seed, ...(task.mutant === undefined ? [] : [task.mutant])].join('-');
  const plain = name.replaceAll(/[^\w.-]/g, '_').slice(0, NAME_LENGTH_MAX);
  return `${plain}${plain === name ? '' : `-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`}.json`;
}

export function sentence(plan: Pick<Plan, 'scenario' | 'servers' | 'seed' | 'mutant'>, failure: Pick<Failure, 'kind' | 'invariant' | 'message'>, atMs: number): string {
  const where = `${plan.scenario} on ${plan.servers} servers, seed ${plan.seed}${plan.mutant === undefined ? '' : `, with the mutant ${plan.mutant}`}`;
  const verb = { safety: 'is broken', liveness: 'is broken', crash: 'was thrown', nondeterminism: 'is broken', 'gave-up': 'could not be decided' }[failure.kind];
  return `${failure.invariant} ${verb} at ${ms(atMs)}: ${firstLine(failure.message)} (${where})`;
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] as string;
}

/** Copy-paste lines. A run that cannot be repeated can only be searched for the reason. */
export function commandsFor(path: string, failure: Pick<Failure, 'invariant' | 'plan'> | null = null): Record<string, string> {
  const file = quoted(path);
  if (failure?.invariant === 'Determinism' && failure.plan !== null) {
    const { scenario, servers, seed } = failure.plan;
    return { replay: `npx drey sim replay ${file}`, doctor: `npx drey sim doctor ${quoted(scenario)} --servers ${servers} --seed ${quoted(seed)}` };
  }
  return { replay: `npx drey sim replay ${file} --trace`, shrink: `npx drey sim shrink ${file}`, why: `npx drey sim why ${file}`, open: `npx drey sim open ${file}` };
}

/** Writes the file and returns its path; null when there is no plan, since drawing it failed. */
export function writeFailure(dir: string, report: SeedReport): string | null {
  const { failure, task } = report;
  if (failure === null || failure.plan === null) return null;
  const path = join(dir, failureName(task));
  writeFailureFile(path, failureFile(path, failure.plan, failure, report.virtualMs, report.traceHash));
  return path;
}

export function failureFile(path: string, plan: Plan, failure: Failure, atMs: number, traceHash: string): FailureFile {
  const { kind, invariant, message, stack } = failure;
  return {
    what: sentence(plan, failure, atMs), kind, invariant, message, atMs, traceHash, commands: commandsFor(shortest(path), failure), events: failure.events,
    ...(stack === undefined ? {} : { stack: stack.split('\n') }), plan,
  };
}

function shortest(path: string): string {
  const fromHere = relative('.', path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/** Whole or not at all: a file of that name that is there already stays until the new one has been written. */
export function writeFailureFile(path: string, file: FailureFile): void {
  makeDir(dirname(path));
  const text = formatFile(file);
  // A pipe or a link is not to be replaced.
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) return writeFileSync(path, text);
  const unfinished = `${path}.${process.pid}.unfinished`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Not with `recursive`, which never ends where a directory refuses to be made though its parent is there (/proc). */
function makeDir(dir: string): void {
  if (existsSync(dir)) return;
  makeDir(dirname(resolve(dir)));
  try {
    mkdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** The same of one file, which must not be `input`, since that would be lost; null: it may be. */
export function checkWritableFile(path: string, input: string | null): void {
  checkWritable(dirname(path));
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) throw new DreyError('SIM_OUT', `${path} is a directory; give --out the name of a file`);
  const read = input === null ? undefined : statSync(input, { throwIfNoEntry: false });
  if (there !== undefined && there.ino === read?.ino && there.dev === read.dev) throw new DreyError('SIM_OUT', `${path} is what is read; give --out another place`);
}

/** Before anything runs that takes a while: can files be written to this directory, or will it be possible to make it? */
export function checkWritable(dir: string): void {
  let at = resolve(dir);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  const refuse = (why: string): never => {
    throw new DreyError('SIM_OUT', `nothing can be written to ${dir}: ${at} ${why}; give --out another place`);
  };
  if (!statSync(at).isDirectory()) refuse('is not a directory');
  try {
    accessSync(at, constants.W_OK | constants.X_OK);
  } catch (error) {
    refuse(`may not be written to (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}

export function formatFile(file: FailureFile | Plan): string {
  return `${'plan' in file ? lines({ ...file }, 0) : formatPlan(file, 0)}\n`;
}

function formatPlan(plan: Plan, indent: number): string {
  return lines({ ...plan }, indent);
}

/** Each field a line; each element of a list of objects or of texts a line; the plan and the commands the same, further in. */
function lines(of: Readonly<Record<string, unknown>>, indent: number): string {
  const pad = ' '.repeat(indent + 2);
  const fields = Object.entries(of).filter(([, value]) => value !== undefined).map(([key, value]) => {
    const item = (each: unknown): string => `\n${pad}  ${JSON.stringify(each)}`;
    const isList = Array.isArray(value) && value.length > 0 && (typeof value[0] === 'object' || (key !== 'calm' && typeof value[0] === 'string'));
    const text = key === 'plan' || key === 'commands' ? lines(value as Record<string, unknown>, indent + 2) : isList ? `[${(value as unknown[]).map(item).join(',')}\n${pad}]` : JSON.stringify(value);
    return `${pad}${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${fields.join(',\n')}\n${' '.repeat(indent)}}`;
}

export function readPlanFile(path: string): PlanFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new DreyError('SIM_FILE', `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}); give a file that drey sim wrote, such as those in ${DEFAULT_DIR}/`, { cause: error });
  }
  let value: unknown;
  try {
    // Some editors put a byte order mark before it.
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new DreyError('SIM_FILE', `${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const file = typeof value === 'object' && value !== null && 'plan' in value ? value : null;
  const plan = file === null ? value : file.plan;
  const wrong = checkPlan(plan);
  if (wrong !== null) throw new DreyError('SIM_FILE', `${path} holds no plan that can run: ${wrong}`);
  return { plan: plan as Plan, failure: file !== null && 'invariant' in file && 'kind' in file ? checkedFailure(path, file as FailureFile) : null };
}

/** The parts of it that a run is compared with. */
function checkedFailure(path: string, file: FailureFile): FailureFile {
  const kinds: Readonly<Record<Finding, true>> = { safety: true, liveness: true, crash: true, nondeterminism: true, 'gave-up': true };
  if (!Object.hasOwn(kinds, file.kind)) throw new DreyError('SIM_FILE', `${path} holds no failure: its kind is ${JSON.stringify(file.kind)}, and can be ${Object.keys(kinds).join(', ')}`);
  for (const field of ['invariant', 'traceHash'] as const) if (typeof file[field] !== 'string') throw new DreyError('SIM_FILE', `${path} holds no failure: "${field}" cannot be ${JSON.stringify(file[field])}`);
  return file;
}
