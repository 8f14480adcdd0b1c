/** Loads the simulator, and a mutant before it if there is one: a mutant changes only what is loaded after it. */
import { checkMutant } from './options.ts';
import type { Simulator } from './seed-report.ts';

export async function loadSimulator(mutant: string | undefined, url: string = simulatorUrl()): Promise<Simulator> {
  if (mutant !== undefined) {
    const { mutants, mutantNamed } = await import('../mutants/mutants.ts');
    checkMutant(mutant, mutants.map(({ name }) => name));
    const { loadMutant } = await import('../mutants/load-mutant.ts');
    loadMutant(mutantNamed(mutant));
  }
  const { simulator } = (await import(url)) as { simulator: Simulator };
  return simulator;
}

export function simulatorUrl(): string {
  return new URL(`./simulator.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;
}
