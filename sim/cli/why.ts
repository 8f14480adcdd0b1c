/** `drey sim why FILE`: what the failure needs, and what has nothing to do with it. */
import { neighbour, why, whySentence, type Verdict, type Why } from '../shrink/why.ts';
import type { Plan } from '../plan/plan.ts';
import { runToResult } from './crash-result.ts';
import { EXIT, EXIT_INTERRUPTED } from './exit-codes.ts';
import { failing, type Failing } from './failing.ts';
import { sentence } from './failure-file.ts';
import { StatusLine } from './progress.ts';
import type { Io } from './run.ts';
import type { Simulator } from './seed-report.ts';
import { countOf } from './text.ts';

export async function whyCommand(simulator: Simulator, path: string, { json }: { readonly json: boolean }, io: Io): Promise<number> {
  const of = await failing(simulator, path);
  const found = await explain(simulator, of, io);
  if (found === null) return EXIT_INTERRUPTED;
  if (json) {
    const verdicts = found.verdicts.map(({ id, kind, what, outcome, otherwise }) => ({ id, kind, what, outcome, ...(otherwise === undefined ? {} : { otherwise }) }));
    io.out(JSON.stringify({ file: path, kind: of.failure.kind, invariant: of.failure.invariant, answer: whySentence(found), neighbour: neighbour(found)?.id ?? null, withoutFaults: found.withoutFaults, verdicts }));
  } else io.out(whyText(of, found));
  return EXIT.ok;
}

/** Null when interrupted. */
export async function explain(simulator: Simulator, { plan, result }: Failing, io: Io): Promise<Why | null> {
  const status = new StatusLine(io.screen);
  const stopped = Symbol('stopped');
  const run = async (each: Plan): ReturnType<Simulator['run']> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (io.interrupted.aborted) throw stopped;
    return runToResult(simulator, each);
  };
  try {
    return await why(plan, result, run, (done, of) => status.update(() => `taken away one at a time: ${done} of ${of}, ${Math.round(status.seconds)} s`));
  } catch (error) {
    if (error !== stopped) throw error;
    io.screen.write('interrupted; nothing can be said yet\n');
    return null;
  } finally {
    status.clear();
  }
}

function whyText({ plan, result, failure, insteadOf }: Failing, found: Why): string {
  const needed = found.verdicts.filter(({ outcome }) => outcome === 'passes');
  const otherwise = found.verdicts.filter(({ outcome }) => outcome === 'fails otherwise');
  const irrelevant = found.verdicts.filter(({ outcome }) => outcome === 'fails');
  const width = Math.max(0, ...found.verdicts.map(({ id }) => id.length)) + 2;
  const row = ({ id, what, otherwise: instead }: Verdict): string => `  ${id.padEnd(width)}${what}${instead === undefined ? '' : ` (then ${instead})`}`;
  const section = (title: string, verdicts: readonly Verdict[]): string[] => (verdicts.length === 0 ? [] : ['', `${title}:`, ...verdicts.map(row)]);
  return [
    sentence(plan, failure, result.virtualMs),
    ...(insteadOf === null ? [] : [`(The file says ${insteadOf}: the code has changed since.)`]),
    ...section('Needed: without it the run passes', needed),
    ...section('Without it something else fails', otherwise),
    ...section('Irrelevant: without it the run fails all the same', irrelevant),
    '', whySentence(found),
    ...(irrelevant.length > 8 ? [`${countOf(irrelevant.length, 'thing')} of ${found.verdicts.length} do not matter: drey sim shrink takes them away.`] : []),
  ].join('\n');
}
