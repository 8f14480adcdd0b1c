/**
 * The child process of kill.ts: `hunt.ts MUTANT SEEDS SECONDS HUNTS`, where HUNTS is JSON. Loads the mutant, then the simulator, runs seeds
 * over the hunts in turn until the first violation, and prints one line of JSON: a Caught.
 */
import { loadMutant } from './load-mutant.ts';
import { mutantNamed } from './mutants.ts';
import type { Hunt } from './mutant.ts';

export interface Caught {
  /** null: it has survived. */
  readonly invariant: string | null;
  readonly kind: string;
  readonly message: string;
  readonly scenario: string;
  readonly servers: number;
  readonly seed: string;
  /** Seeds run, this one included. */
  readonly seeds: number;
  readonly virtualMs: number;
}

const [name, seedsMax, secondsMax, huntsJson] = process.argv.slice(2) as [string, string, string, string];
const mutant = mutantNamed(name);
loadMutant(mutant);
const { runSeed } = await import('./run-seed.ts');

// Ctrl-C reaches the whole group: the parent decides. Without it nobody waits for an answer.
process.on('SIGINT', () => {});
const parent = process.ppid;
const hunts = JSON.parse(huntsJson) as Hunt[];
const endMs = performance.now() + Number(secondsMax) * 1000;
let caught: Caught = { invariant: null, kind: 'ok', message: '', scenario: '', servers: 0, seed: '', seeds: 0, virtualMs: 0 };
for (let seeds = 1; seeds <= Number(seedsMax) && performance.now() < endMs && process.ppid === parent; seeds++) {
  const { scenario, servers } = hunts[(seeds - 1) % hunts.length] as Hunt;
  const seed = String(Math.ceil(seeds / hunts.length));
  const { kind, invariant, message, virtualMs } = await runSeed(scenario, servers, seed, name);
  caught = { invariant, kind, message, scenario, servers, seed, seeds, virtualMs };
  // A checker that gave up has found nothing; and where the product notices something itself, no judge has: another seed will show whether one does.
  const isNoticedByItself = kind === 'crash' && !mutant.expects.includes(invariant ?? '');
  if (kind !== 'ok' && kind !== 'gave-up' && !isNoticedByItself) break;
  caught = { ...caught, invariant: null, kind: 'ok', message: '' };
}
process.stdout.write(`${JSON.stringify(caught)}\n`);
