/** `drey sim`: runs seeds of a scenario, and looks into those that fail. Each command loads the simulator when it runs, after the mutant that it asks for. */
import { Command, Option } from 'commander';
import { DreyError } from '../../coord/base/errors.ts';
import { EXIT, EXIT_HELP, EXIT_INTERRUPTED } from './exit-codes.ts';
import { DEFAULT_DIR, readPlanFile } from './failure-file.ts';
import { loadSimulator } from './load-simulator.ts';
import { aboveZero, checkScenario, wholeNumber } from './options.ts';
import { stderrScreen } from './progress.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import type { Io } from './run.ts';
import type { Simulator } from './seed-report.ts';

interface RunFlags {
  readonly servers: number;
  readonly seeds?: number;
  readonly fromSeed: number;
  readonly seed?: string;
  readonly jobs: number;
  readonly minutes?: number;
  readonly mutant?: string;
  readonly json: boolean;
  readonly trace: boolean;
  readonly out: string;
  readonly keepGoing: boolean;
}

const json = ['--json', 'one JSON object instead of text', false] as const;
const servers = ['--servers <n>', 'servers in the ensemble: 3, 5 or 7 (1 to 9 will do; some scenarios have a number of their own)', wholeNumber(1, 9), 5] as const;
const DEFAULT_SEEDS = 100;

export function simCommand(): Command {
  const sim = new Command('sim')
    .description('Fault-injection simulation of the code that ships, in a virtual world: one seed is one run.')
    .usage('<scenario|profile> [options]\n       drey sim list | replay FILE | shrink FILE | why FILE | open FILE | doctor [SCENARIO] | mutants')
    .enablePositionalOptions()
    .argument('[scenario]', 'drey sim list shows them', 'list')
    .option(...servers)
    .option('--seeds <n>', `how many seeds to run (default: ${DEFAULT_SEEDS}, or as many as fit into --minutes)`, wholeNumber(1))
    .option('--from-seed <n>', 'the first of them', wholeNumber(1), 1)
    .addOption(new Option('--seed <seed>', 'run this one seed, twice, and compare the traces').conflicts(['seeds', 'fromSeed', 'minutes']))
    .option('--jobs <n>', 'child processes that run seeds at the same time', wholeNumber(1, 256), 1)
    .option('--minutes <m>', 'end when this much real time has passed', aboveZero)
    .option('--keep-going', 'go on after a failure', false)
    .option('--out <dir>', 'where failures are written', DEFAULT_DIR)
    .addOption(new Option('--trace', 'print the trace as it happens (with --seed)').default(false).conflicts('json'))
    .option('--mutant <name>', 'put a bug back into the product, to see that it is noticed (drey sim mutants --list)')
    .option(...json)
    .addHelpText('after', `
${EXIT_HELP}
Examples:
  drey sim leader-loss --servers 5 --seeds 200
  drey sim swarm --jobs 2 --minutes 5 --keep-going
  drey sim leader-loss --seed 17 --trace
  drey sim replay ${DEFAULT_DIR}/leader-loss-5-17.json
docs/SIMULATOR.md is the guide.`)
    .action(async (scenario: string, flags: RunFlags) => exit(await (scenario === 'list' ? list(flags.json) : run(scenario, flags))));

  sim.command('list').description('The scenarios, profiles and historic bugs that can be run.').option(...json).action(async (flags: { json: boolean }) => exit(await list(flags.json)));

  sim.command('replay <file>').description('Run the plan of a failure file, or a bare plan: does it still fail in the same way?')
    .addOption(new Option('--trace', 'print the trace as it happens').default(false).conflicts('json'))
    .option(...json)
    .addHelpText('after', `\n${EXIT_HELP}`)
    .action(async (file: string, flags: { trace: boolean; json: boolean }) => {
      const simulator = await simulatorFor(file);
      const { replayCommand } = await import('./replay.ts');
      exit(await replayCommand(simulator, file, flags, untilKilled()));
    });

  sim.command('shrink <file>').description('Make a failing plan smaller while the same invariant fails: fewer faults, clients, operations, servers, then simpler times and settings.')
    .option('--seconds <s>', 'stop after this much real time', aboveZero, 60)
    .option('--out <file>', 'where the smaller one goes (default: beside FILE, as NAME.small.json)')
    .option(...json)
    .action(async (file: string, flags: { seconds: number; out?: string; json: boolean }) => {
      const simulator = await simulatorFor(file);
      const { shrinkCommand } = await import('./shrink.ts');
      exit(await shrinkCommand(simulator, file, flags, io()));
    });

  sim.command('why <file>').description('Take away one fault, client, range of operations or source of chance at a time: which of them does the failure need?')
    .option(...json)
    .action(async (file: string, flags: { json: boolean }) => {
      const simulator = await simulatorFor(file);
      const { whyCommand } = await import('./why.ts');
      exit(await whyCommand(simulator, file, flags, io()));
    });

  sim.command('open <file>').description('Write a page that shows the failing run, message by message, beside the passing run that is most like it.')
    .option('--out <file>', 'where the page goes (default: beside FILE, as NAME.html)')
    .option('--no-neighbour', 'only the failing run: at once, without looking for what it needs')
    .option('--browser', 'and show it in the browser', false)
    .action(async (file: string, flags: { out?: string; neighbour: boolean; browser: boolean }) => {
      const simulator = await simulatorFor(file);
      const { openCommand } = await import('./open.ts');
      exit(await openCommand(simulator, file, flags, io()));
    });

  sim.command('doctor').description('Run one seed twice and show the first entry of the trace in which the two runs differ.')
    .argument('[scenario]', 'drey sim list shows them', 'swarm')
    .option(...servers)
    .option('--seed <seed>', 'which', '1')
    .option(...json)
    .addHelpText('after', '\nExit codes: 0 both are the same, 4 they differ or reach for the real world, 64 wrong usage.')
    .action(async (scenario: string, flags: { servers: number; seed: string; json: boolean }) => {
      await known(scenario);
      const simulator = await loadSimulator(undefined);
      const { doctorCommand } = await import('./doctor.ts');
      exit(await doctorCommand(simulator, simulator.draw(scenario, flags), flags, untilKilled()));
    });

  sim.command('mutants').description('Put each historic bug back into the product, one at a time, and see which judge notices it, and after how many seeds.')
    .option('--only <name>', 'this one; may be repeated', (name: string, all: readonly string[] = []) => [...all, name])
    .option('--seeds <n>', 'give up on a mutant after so many', wholeNumber(1), 2000)
    .option('--jobs <n>', 'mutants at a time', wholeNumber(1, 256), 1)
    .option('--list', 'only show which there are', false)
    .option(...json)
    .addHelpText('after', '\nExit codes: 0 every mutant is killed, 1 one survives, 64 wrong usage.')
    .action(async (flags: { only?: readonly string[]; seeds: number; jobs: number; list: boolean; json: boolean }) => {
      const { mutantsCommand } = await import('./mutants.ts');
      exit(await mutantsCommand(flags, io()));
    });
  return sim;
}

async function run(scenario: string, flags: RunFlags): Promise<number> {
  if (flags.trace && flags.seed === undefined) throw new DreyError('SIM_USAGE', '--trace prints the entries of one run: say which, with --seed');
  // The children load the mutant, and the simulator, themselves.
  const simulator = await loadSimulator(flags.mutant);
  const { mustHit = [], kind } = await known(scenario);
  // A cluster has an ensemble below it, which is not what it is run for.
  const sample = simulator.draw(scenario, { seed: flags.seed ?? '1', servers: flags.servers });
  const ofEnsemble = kind !== 'historic' && sample.cluster === undefined;
  const { CLUSTER_MARKS, COMMON_MARKS } = await import('../world/marks.ts');
  const { runCommand } = await import('./run.ts');
  const { inChildren, inProcess } = await import('./lanes.ts');
  // Also one at a time they run in a child: signals are heard while a seed runs, and one that never ends is found out.
  const lanes = flags.trace ? inProcess(simulator) : inChildren(flags.jobs, { mutant: flags.mutant });
  // A scenario may have its own number of servers, whatever is asked for.
  return runCommand(simulator, { ...flags, servers: sample.servers, scenario, marks: [...new Set([...(ofEnsemble ? COMMON_MARKS : kind === 'historic' ? [] : CLUSTER_MARKS), ...mustHit])], story: kind === 'historic' ? mustHit : [], seeds: flags.seeds ?? (flags.minutes === undefined ? DEFAULT_SEEDS : null) }, io(), lanes);
}

async function list(asJson: boolean): Promise<number> {
  const { scenarios } = await import('../scenarios/scenarios.ts');
  const { listText } = await import('./list.ts');
  const all = [...scenarios.values()].map(({ name, kind, summary }) => ({ name, kind, summary }));
  console.log(asJson ? JSON.stringify(all) : listText(all));
  return EXIT.ok;
}

async function known(name: string): Promise<Scenario> {
  const { scenarios } = await import('../scenarios/scenarios.ts');
  checkScenario(name, [...scenarios.keys()]);
  return scenarios.get(name) as Scenario;
}

async function simulatorFor(file: string): Promise<Simulator> {
  return loadSimulator(readPlanFile(file).plan.mutant);
}

/** The first Ctrl-C ends the command with what there is so far, the second at once. */
function io(): Io {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
      controller.abort();
    });
  }
  return { out: (text) => console.log(text), screen: stderrScreen, interrupted: controller.signal };
}

/** Of a command that has nothing to say before it is done: a signal ends it, also amid a run. */
function untilKilled(): Io {
  return { out: (text) => console.log(text), screen: stderrScreen, interrupted: new AbortController().signal };
}

function exit(code: number): void {
  process.exitCode = code;
}
