/** Is every mutant noticed? Each is hunted in a child process of its own, seed by seed, until the first violation. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DreyError } from '../../coord/base/errors.ts';
import type { Caught } from './hunt.ts';
import type { Hunt, Mutant } from './mutant.ts';
import { mutants, mutantNamed } from './mutants.ts';

export interface KillOptions {
  /** Only these; default all. */
  readonly only?: readonly string[];
  /** Per mutant. Default 2000. */
  readonly seeds?: number;
  /** Per mutant, of real time. Default 1200. */
  readonly seconds?: number;
  /** Child processes at a time. Default 1. */
  readonly jobs?: number;
  /** Hunt here instead of where the mutant says. */
  readonly hunts?: readonly Hunt[];
  readonly onKill?: (kill: Kill) => void;
  /** Aborted: what is hunted is given up, and is not among what comes back. */
  readonly interrupted?: AbortSignal;
}

export interface Kill {
  readonly mutant: string;
  readonly historic: string;
  readonly summary: string;
  /** null: it has survived. */
  readonly killedBy: string | null;
  /** As of a run: 'safety', 'liveness', 'crash' (an assertion of the product), 'ok' (it has survived); 'error': it could not be run. */
  readonly kind: string;
  readonly message: string;
  readonly scenario: string;
  readonly servers: number;
  readonly seed: string;
  readonly seedsNeeded: number;
  readonly seconds: number;
  /** False: caught by something else than what is meant to catch it. */
  readonly expected: boolean;
}

/** In the order of the table. Throws DreyError for an unknown name, and where there is no source. */
export async function killMutants(options: KillOptions = {}): Promise<readonly Kill[]> {
  const { only } = options;
  if (!import.meta.url.endsWith('.ts')) throw new DreyError('SIM_NO_SOURCE', 'mutants are patches of the source: run them in a checkout, with a Node that runs TypeScript');
  const chosen = only === undefined ? mutants : only.map((name) => mutantNamed(name));
  const kills: Kill[] = [];
  const interrupted = (): boolean => options.interrupted?.aborted === true;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < chosen.length && !interrupted(); i = next++) {
      const kill = await hunt(chosen[i] as Mutant, options);
      if (interrupted()) return;
      kills[i] = kill;
      options.onKill?.(kill);
    }
  };
  await Promise.all(Array.from({ length: options.jobs ?? 1 }, work));
  return kills.filter((kill) => kill !== undefined);
}

function hunt(mutant: Mutant, options: KillOptions): Promise<Kill> {
  const startedMs = performance.now();
  const seconds = options.seconds ?? 1200;
  const args = [fileURLToPath(new URL('./hunt.ts', import.meta.url)), mutant.name, String(options.seeds ?? 2000), String(seconds), JSON.stringify(options.hunts ?? mutant.hunts)];
  return new Promise((resolve) => {
    // A run that never ends is the simulator's own failure.
    execFile(process.execPath, ['--no-warnings', ...args], { timeout: (seconds + 120) * 1000, killSignal: 'SIGKILL', ...(options.interrupted === undefined ? {} : { signal: options.interrupted }) }, (error, stdout, stderr) => {
      const caught: Caught = error === null ? (JSON.parse(stdout) as Caught) : { ...NOTHING, message: stderr.trim() || error.message };
      resolve({
        mutant: mutant.name, historic: mutant.historic, summary: mutant.summary, killedBy: caught.invariant, kind: caught.kind, message: caught.message, scenario: caught.scenario, servers: caught.servers,
        seed: caught.seed, seedsNeeded: caught.seeds, seconds: Number(((performance.now() - startedMs) / 1000).toFixed(1)), expected: caught.invariant !== null && mutant.expects.includes(caught.invariant),
      });
    });
  });
}

const NOTHING: Caught = { invariant: null, kind: 'error', message: '', scenario: '', servers: 0, seed: '', seeds: 0, virtualMs: 0 };

/** For people: one line a mutant. */
export function killTable(kills: readonly Kill[]): string {
  const rows = kills.map(({ mutant, historic, kind, killedBy, scenario, servers, seed, seedsNeeded, seconds }) =>
    killedBy === null ? [mutant, historic, kind === 'error' ? 'ERROR' : 'SURVIVED', '', String(seedsNeeded), String(seconds)] : [mutant, historic, killedBy, scenario.endsWith('.json') ? scenario : `${scenario} --servers ${servers} --seed ${seed}`, String(seedsNeeded), String(seconds)]);
  const all = [['mutant', 'puts back', 'killed by', 'in', 'seeds', 'seconds'], ...rows];
  const widths = (all[0] as string[]).map((_, i) => Math.max(...all.map((row) => (row[i] as string).length)));
  return all.map((row) => row.map((cell, i) => (i >= 4 ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number))).join('  ').trimEnd()).join('\n');
}
