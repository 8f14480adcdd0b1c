/** `drey sim`: runs seeds of a scenario, prints the first failure with what replays it. Exit codes: 0 ok, 1 safety, 2 liveness, 3 crash, 4 nondeterminism. */
import { Command, InvalidArgumentError } from 'commander';
import { DreyError } from '../coord/base/errors.ts';
import { addMarks, type RunResult } from './scenarios/ensemble-run.ts';
import { runScenario, scenarioNames, summaryOf } from './scenarios/scenarios.ts';
import { Marks, MARKS } from './world/marks.ts';

interface SimOptions {
  readonly servers: number;
  readonly seeds: number;
  readonly fromSeed: number;
  readonly seed?: string;
  readonly mutant?: string;
  readonly trace: boolean;
  readonly json: boolean;
}

const mutants = ['drop-the-sync'];
const exitCodes = { ok: 0, safety: 1, liveness: 2, crash: 3 } as const;
/** Every so many seeds one is run twice and must end on the same trace hash. */
const TWICE_EVERY = 20;

function wholeNumber(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('a whole number above 0 is needed');
  return n;
}

export function simCommand(): Command {
  return new Command('sim')
    .description('Fault-injection simulation of the code that ships, in a virtual world: one seed is one run.')
    .argument('[scenario]', `one of: list, ${scenarioNames.join(', ')}`, 'list')
    .option('--servers <n>', 'servers in the ensemble', wholeNumber, 5)
    .option('--seeds <n>', 'how many seeds to run', wholeNumber, 100)
    .option('--from-seed <n>', 'the first of them', wholeNumber, 1)
    .option('--seed <seed>', 'run this one seed, twice, and compare the traces')
    .option('--trace', 'print the trace as it happens (with --seed)', false)
    .option('--json', 'one JSON object at the end', false)
    .option('--mutant <name>', `break the product on purpose, to see that it is noticed: ${mutants.join(', ')}`)
    .addHelpText('after', '\nExit codes: 0 ok, 1 a safety property is broken, 2 no progress, 3 a crash of the product, 4 two runs of a seed differ.\nExample: drey sim leader-loss --servers 5 --seeds 200')
    .action((name: string, options: SimOptions) => {
      process.exitCode = sim(name, options);
    });
}

function sim(name: string, options: SimOptions): number {
  if (name === 'list') {
    for (const scenario of scenarioNames) console.log(`${scenario.padEnd(17)}${summaryOf(scenario)}`);
    return 0;
  }
  if (!scenarioNames.includes(name)) throw new DreyError('SIM_UNKNOWN_SCENARIO', `there is no scenario "${name}"; drey sim list shows them`);
  if (options.mutant !== undefined && !mutants.includes(options.mutant)) throw new DreyError('SIM_UNKNOWN_MUTANT', `there is no mutant "${options.mutant}"; there are: ${mutants.join(', ')}`);
  const runSeed = (seed: string, trace: boolean): RunResult =>
    caught(() => runScenario(name, { seed, servers: options.servers, mutant: options.mutant ?? null, onTrace: trace ? (entry) => console.log(line(entry)) : null }), seed);

  const seeds = options.seed === undefined ? Array.from({ length: options.seeds }, (_, i) => String(options.fromSeed + i)) : [options.seed];
  const startedMs = performance.now();
  const total = { seeds: 0, virtualMs: 0, events: 0, faults: 0, acked: 0, elections: 0, longestElectionMs: 0 };
  const marks = new Marks().counts;
  let lastHash = '';
  for (const [i, seed] of seeds.entries()) {
    const result = runSeed(seed, options.trace && options.seed !== undefined);
    lastHash = result.traceHash;
    if (result.kind !== 'ok') return report(name, options, result);
    if (options.seed !== undefined || i % TWICE_EVERY === 0) {
      const again = runSeed(seed, false);
      if (again.traceHash !== result.traceHash) {
        console.error(`seed ${seed} ended on trace ${result.traceHash}, then on ${again.traceHash}: something in it is not deterministic`);
        return 4;
      }
    }
    addMarks(marks, result.marks);
    total.seeds++;
    total.virtualMs += result.virtualMs;
    total.events += result.events;
    total.faults += result.faults;
    total.acked += result.acked;
    total.elections += result.elections;
    total.longestElectionMs = Math.max(total.longestElectionMs, result.longestElectionMs);
    if (!options.json && process.stderr.isTTY) process.stderr.write(`\r${total.seeds}/${seeds.length} seeds, ${(total.virtualMs / 60_000).toFixed(1)} virtual minutes, ${total.faults} faults `);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  if (!options.json && process.stderr.isTTY) process.stderr.write('\n');
  if (options.json) console.log(JSON.stringify({ scenario: name, servers: options.servers, ok: true, ...total, seconds: Number(seconds.toFixed(2)), traceHash: lastHash, marks }));
  else {
    console.log(`${name}: ${total.seeds} seeds ok in ${seconds.toFixed(1)} s; ${(total.virtualMs / 60_000).toFixed(1)} virtual minutes, ${total.events} events (${Math.round(total.events / seconds / 1000)}k/s), ${total.faults} faults, ${total.elections} elections, ${total.acked} acked writes`);
    console.log(`longest time without a serving leader: ${total.longestElectionMs.toFixed(0)} virtual ms; trace of the last seed: ${lastHash}`);
    console.log(`seen: ${MARKS.filter((mark) => marks[mark] > 0).map((mark) => `${mark} ${marks[mark]}`).join(', ')}`);
    const never = MARKS.filter((mark) => marks[mark] === 0);
    if (never.length > 0) console.log(`never seen: ${never.join(', ')}`);
  }
  return 0;
}

/** A failed assertion of the product is a finding like any other. */
function caught(run: () => RunResult, seed: string): RunResult {
  try {
    return run();
  } catch (error) {
    const violation = error as Error & { invariant: string };
    violation.invariant ??= violation.name;
    return { seed, violation, kind: 'crash', traceHash: '', virtualMs: 0, events: 0, faults: 0, acked: 0, elections: 0, expired: 0, longestElectionMs: 0, marks: new Marks().counts, recent: [] };
  }
}

function report(name: string, options: SimOptions, result: RunResult): number {
  const replay = `npx drey sim ${name} --servers ${options.servers} --seed ${result.seed}${options.mutant === undefined ? '' : ` --mutant ${options.mutant}`} --trace`;
  if (options.json) {
    console.log(JSON.stringify({ scenario: name, servers: options.servers, ok: false, kind: result.kind, seed: result.seed, invariant: result.violation?.invariant, message: result.violation?.message, atMs: result.virtualMs, traceHash: result.traceHash, replay }));
  } else {
    for (const entry of result.recent.slice(-20)) console.log(line(entry));
    console.log(`\n${result.kind === 'crash' ? (result.violation?.stack ?? '') : `${result.violation?.invariant}: ${result.violation?.message}`}`);
    console.log(`seed ${result.seed} fails (${result.kind}) at ${result.virtualMs.toFixed(1)} virtual ms, trace ${result.traceHash}`);
    console.log(`replay: ${replay}`);
  }
  return exitCodes[result.kind];
}

function line(entry: { atMs: number; who: string; what: string }): string {
  return `${entry.atMs.toFixed(3).padStart(12)} ${entry.who.padEnd(10)} ${entry.what}`;
}
