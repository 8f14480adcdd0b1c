/** `drey sim doctor`: the same plan twice, entry by entry of the trace, and the first in which the two runs differ. */
import type { TraceEntry } from '../world/trace.ts';
import type { Plan } from '../plan/plan.ts';
import { runToResult } from './crash-result.ts';
import { EXIT } from './exit-codes.ts';
import type { Io } from './run.ts';
import type { Simulator } from './seed-report.ts';
import { count, traceLine } from './text.ts';

const CONTEXT = 12;

export interface Divergence {
  /** Entries before it, which are the same in both. */
  readonly same: number;
  readonly context: readonly string[];
  /** Null: this run has no more entries. */
  readonly first: string | null;
  readonly second: string | null;
  readonly firstAfter: readonly string[];
  readonly secondAfter: readonly string[];
}

const CAUSES = `What usually causes it:
  Date, performance.now, a timer, Math.random or crypto reached from simulated code (in a run the guard names the call site: sim/world/guard.ts);
  state of a module that outlives a run, such as a counter or a cache: the first run changes what the second sees;
  a promise or an I/O callback that the virtual world does not order; the order of a directory or of an object's keys;
  chance drawn from a stream that two components share.`;

export async function doctorCommand(simulator: Simulator, plan: Plan, { json }: { readonly json: boolean }, io: Io): Promise<number> {
  const { divergence, hashes, entries, escape } = await examine(simulator, plan);
  const differs = divergence !== null || hashes[0] !== hashes[1];
  const ok = !differs && escape === null;
  if (json) io.out(JSON.stringify({ scenario: plan.scenario, servers: plan.servers, seed: plan.seed, ok, entries, traceHashes: hashes, divergence, escape }));
  else if (differs) io.out(divergenceText(plan, divergence, hashes));
  else io.out(`${plan.scenario} on ${plan.servers} servers, seed ${plan.seed}: ${escape === null ? 'both runs are the same' : `${escape}; until then both runs are the same`}, ${entries === 1 ? '1 entry' : `${count(entries)} entries`}, trace ${hashes[0]}`);
  return ok ? EXIT.ok : EXIT.nondeterminism;
}

/** `escape`: where simulated code reached for the real world, which ended the run. */
export async function examine(simulator: Simulator, plan: Plan): Promise<{ readonly divergence: Divergence | null; readonly hashes: readonly [string, string]; readonly entries: number; readonly escape: string | null }> {
  const traced = async (): Promise<{ readonly hash: string; readonly lines: readonly string[]; readonly escape: string | null }> => {
    const lines: string[] = [];
    const result = await runToResult(simulator, plan, { onTrace: (entry: TraceEntry) => lines.push(traceLine(entry)) });
    return { hash: result.traceHash, lines, escape: result.kind === 'nondeterminism' ? (result.violation?.message ?? result.kind) : null };
  };
  const first = await traced();
  const second = await traced();
  return { divergence: diverge(first.lines, second.lines), hashes: [first.hash, second.hash], entries: first.lines.length, escape: first.escape };
}

function diverge(first: readonly string[], second: readonly string[]): Divergence | null {
  const longer = Math.max(first.length, second.length);
  let at = 0;
  while (at < longer && first[at] === second[at]) at++;
  if (at === longer) return null;
  const after = (lines: readonly string[]): readonly string[] => lines.slice(at + 1, at + 4);
  return { same: at, context: first.slice(Math.max(0, at - CONTEXT), at), first: first[at] ?? null, second: second[at] ?? null, firstAfter: after(first), secondAfter: after(second) };
}

function divergenceText(plan: Plan, divergence: Divergence | null, hashes: readonly [string, string]): string {
  const title = `${plan.scenario} on ${plan.servers} servers, seed ${plan.seed}: the two runs differ, trace ${hashes[0]} and then ${hashes[1]}`;
  if (divergence === null) return `${title}\nEvery entry of the two traces is the same; what differs is in fields that are hashed and not printed.\n${CAUSES}`;
  const side = (mark: string, entry: string | null, after: readonly string[]): string[] => [`${mark} ${entry ?? '(the trace ends here)'}`, ...after.map((line) => `${mark} ${line}`)];
  return [title, `the first ${count(divergence.same)} entries are the same; then`, '', ...divergence.context.map((line) => `  ${line}`), ...side('1', divergence.first, divergence.firstAfter), ...side('2', divergence.second, divergence.secondAfter), '', CAUSES].join('\n');
}
