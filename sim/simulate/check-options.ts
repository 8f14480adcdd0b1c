/** What a test gives to simulate(), looked at before anything runs: it may come from JavaScript, where nothing else looks. */
import { DreyError } from '../../coord/base/errors.ts';
import { clusterFaultNames } from '../cluster/draw-cluster.ts';
import type { SimulateOptions } from './simulate.ts';

const within = (min: number, max: number) => (value: unknown): string | null => (Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? null : `must be a whole number from ${min} to ${max}`);
const callable = (value: unknown): string | null => (typeof value === 'function' ? null : 'must be a function');

/** One of several sources may be empty; with nothing at all to read, nothing could go wrong. */
function input(given: unknown): string | null {
  const lists: readonly unknown[] = Array.isArray(given) ? [given] : typeof given === 'object' && given !== null ? Object.values(given) : [null];
  if (!lists.every((list) => Array.isArray(list))) return "must be a list of records or, of a job with several sources, lists by the sources' names";
  return lists.some((list) => (list as readonly unknown[]).length > 0) ? null : 'must hold at least one record';
}

const checks: Readonly<Record<keyof SimulateOptions, (value: unknown) => string | null>> = {
  seed: (seed) => (typeof seed === 'string' || Number.isSafeInteger(seed) ? null : 'must be a whole number or a text'),
  faults: (faults) => (Array.isArray(faults) && faults.every((name) => clusterFaultNames.includes(name)) ? null : `must be a list of ${clusterFaultNames.map((name) => `'${name}'`).join(', ')}`),
  input,
  params: (params) => (typeof params === 'object' && params !== null && !Array.isArray(params) ? null : 'must be an object'),
  expect: callable,
  servers: within(1, 9), jobManagers: within(1, 100), taskManagers: within(1, 100), slots: within(1, 1000), partitions: within(1, 1000),
  forMs: (ms) => (Number.isFinite(ms) && (ms as number) > 0 && (ms as number) <= 86_400_000 ? null : 'must be virtual ms above 0, at most a day of them'),
  trace: callable,
};

/** Throws DreyError SIM_OPTIONS. What is undefined counts as left out; seed and input cannot be. */
export function checkOptions(job: unknown, options: SimulateOptions): void {
  const refuse = (what: string): never => {
    throw new DreyError('SIM_OPTIONS', `simulate: ${what}`);
  };
  if (typeof (job as { define?: unknown } | null | undefined)?.define !== 'function') refuse('the first argument must be a job, as job(…) makes it');
  const given: Readonly<Record<string, unknown>> = { ...options };
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(checks, key));
  if (unknown !== undefined) refuse(`there is no option ${JSON.stringify(unknown)}; there are ${Object.keys(checks).join(', ')}`);
  for (const [name, check] of Object.entries(checks)) {
    const value = given[name];
    if (value === undefined && name !== 'seed' && name !== 'input') continue;
    const wrong = check(value);
    if (wrong !== null) refuse(value === undefined ? `${name} is missing: it ${wrong}` : `${name} ${wrong}, and is ${typeof value === 'number' ? String(value) : (JSON.stringify(value)?.slice(0, 80) ?? String(value))}`);
  }
}
