/** `drey sim mutants`: the kill table. */
import { killMutants, killTable, type Kill } from '../mutants/kill.ts';
import { mutants } from '../mutants/mutants.ts';
import { EXIT, EXIT_INTERRUPTED } from './exit-codes.ts';
import { checkMutant } from './options.ts';
import { StatusLine } from './progress.ts';
import type { Io } from './run.ts';

export interface MutantsOptions {
  readonly only?: readonly string[];
  readonly seeds: number;
  readonly jobs: number;
  readonly list: boolean;
  readonly json: boolean;
}

export async function mutantsCommand({ only, seeds, jobs, list, json }: MutantsOptions, io: Io): Promise<number> {
  const names = mutants.map(({ name }) => name);
  for (const name of only ?? []) checkMutant(name, names);
  if (list) {
    const all = mutants.filter(({ name }) => only === undefined || only.includes(name)).map(({ name, historic, summary }) => ({ name, historic, summary }));
    const width = Math.max(...all.map(({ name }) => name.length)) + 2;
    io.out(json ? JSON.stringify(all) : all.map(({ name, historic, summary }) => `${name.padEnd(width)}${historic === '' ? '' : `${historic}: `}${summary}`).join('\n'));
    return EXIT.ok;
  }
  const status = new StatusLine(io.screen);
  const total = only?.length ?? mutants.length;
  let done = 0;
  const timer = setInterval(() => status.update(() => `${done} of ${total} mutants, ${Math.round(status.seconds)} s`), 250);
  let kills: readonly Kill[];
  try {
    const onKill = ({ mutant, killedBy, seedsNeeded }: Kill): void => {
      done++;
      status.clear();
      if (!json && total > 1) io.screen.write(`${mutant}: ${killedBy === null ? `survived ${seedsNeeded} seeds` : `${killedBy} after ${seedsNeeded}`}\n`);
    };
    kills = await killMutants({ seeds, jobs, onKill, interrupted: io.interrupted, ...(only === undefined ? {} : { only }) });
  } finally {
    clearInterval(timer);
    status.clear();
  }
  const survivors = kills.filter(({ killedBy }) => killedBy === null);
  const interrupted = io.interrupted.aborted;
  if (json) io.out(JSON.stringify({ ok: survivors.length === 0, interrupted, kills }));
  else {
    io.out(killTable(kills));
    io.out(survivors.length === 0 ? `${interrupted ? `interrupted; ${kills.length} of ${total}` : `all ${kills.length}`} killed` : `${survivors.length} of ${kills.length} survived: ${survivors.map(({ mutant }) => mutant).join(', ')}`);
    const odd = kills.filter(({ killedBy, expected }) => killedBy !== null && !expected);
    if (odd.length > 0) io.out(`caught by something else than what is meant to: ${odd.map(({ mutant, killedBy }) => `${mutant} (${killedBy})`).join(', ')}`);
  }
  if (interrupted) return EXIT_INTERRUPTED;
  return survivors.length === 0 ? EXIT.ok : EXIT.safety;
}
