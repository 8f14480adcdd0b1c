/**
 * The command line. Each command lives in its own module and is loaded only when asked for, so that starting a server does not pay for the
 * simulator or the bundler. Exit codes: 0 done, 1 failed, 2 wrong usage; `sim` has its own (see `drey sim --help`).
 */
import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { AssertionFailed } from './coord/base/assert.ts';
import { DreyError } from './coord/base/errors.ts';
import { EXIT_USAGE } from './sim/cli/exit-codes.ts';

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** The exit code of wrong usage and of what could not begin, for a command to which 1 and 2 mean something else. */
  readonly didNotRun?: number;
}

const commands: Record<string, Entry> = {
  server: { summary: 'run one server of an ensemble, from a zoo.cfg', load: async () => (await import('./coord/cli/server.ts')).serverCommand() },
  zk: { summary: 'read, write and watch znodes, in the manner of zkCli', load: async () => (await import('./coord/cli/zk.ts')).zkCommand() },
  status: { summary: 'who leads, who follows, what runs', load: async () => (await import('./orchestrator/cli/status.ts')).statusCommand() },
  up: { summary: 'a whole local cluster with an example job and a live view', load: async () => (await import('./orchestrator/cli/up.ts')).upCommand() },
  job: { summary: 'submit, list, show, cancel and stop jobs', load: async () => (await import('./orchestrator/cli/job.ts')).jobCommand() },
  jobmanager: { summary: 'run a job manager; the elected one leads', load: async () => (await import('./orchestrator/cli/jobmanager.ts')).jobmanagerCommand() },
  taskmanager: { summary: 'run a task manager with a number of slots', load: async () => (await import('./orchestrator/cli/taskmanager.ts')).taskmanagerCommand() },
  demo: { summary: 'kill the leader, the job master and a worker, and count what was lost', load: async () => (await import('./orchestrator/cli/demo.ts')).demoCommand() },
  sim: { summary: 'run fault-injection simulations, by seed', load: async () => (await import('./sim/cli/sim.ts')).simCommand(), didNotRun: EXIT_USAGE },
};

function version(): string {
  for (const up of ['./package.json', '../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string }).version;
    } catch {
      // dist/ lies one level below the package.json
    }
  }
  return 'unknown';
}

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('drey')
    .description("A coordination service that speaks ZooKeeper's protocol, stream jobs on top of it, and the simulator that tests both.")
    .version(version())
    .showHelpAfterError('(drey --help shows the commands)')
    // What follows a command is that command's: only so can it tell its own options from those of its subcommands.
    .enablePositionalOptions()
    .exitOverride();
  // `help zk` and `zk --help` are the same: only the command itself knows its options.
  if (argv[0] === 'help' && argv[1] !== undefined) argv = [...argv.slice(1), '--help'];
  const name = argv[0] ?? '';
  const wanted = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (wanted !== undefined) {
    const command = await wanted.load();
    exitOverrideAll(command);
    program.addCommand(command);
  } else {
    for (const [commandName, { summary }] of Object.entries(commands)) program.command(commandName, { isDefault: false }).description(summary);
  }
  if (argv.length === 0) program.help();
  await program.parseAsync(['node', 'drey', ...argv]);
}

function exitOverrideAll(command: Command): void {
  command.exitOverride();
  for (const sub of command.commands) exitOverrideAll(sub);
}

/** Set by a process that starts others and wants them to end with it, whatever ends it. */
if (process.env['DREY_END_WITH_STDIN'] === '1') {
  delete process.env['DREY_END_WITH_STDIN'];
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.on('error', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.resume();
  process.stdin.unref?.();
}

/** `drey zk ls / | head -1` ends quietly when head has read enough; what serves goes on when nobody reads its log any more. */
function endWithTheReader(serves: boolean): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (!serves) process.exit();
    });
  }
}

endWithTheReader(['server', 'jobmanager', 'taskmanager'].includes(process.argv[2] ?? ''));
const given = process.argv[2] ?? '';
const { didNotRun } = (Object.hasOwn(commands, given) ? commands[given] : undefined) ?? {};
try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : (didNotRun ?? 2);
  else if (error instanceof DreyError) {
    // One line, whatever the message holds that a user's code gave.
    console.error(`drey: ${error.message.replaceAll(/\s*\n\s*/g, ' ')} (${error.code})`);
    process.exitCode = didNotRun ?? 1;
  } else if (error instanceof AssertionFailed) {
    console.error(`drey: an invariant does not hold: ${error.stack}`);
    process.exit(70);
  } else if (error instanceof Error && 'syscall' in error) {
    // A file or a socket of this machine: node's own line says which and why.
    console.error(`drey: ${error.message}`);
    process.exit(didNotRun ?? 1);
  } else {
    console.error(error);
    process.exit(didNotRun === undefined ? 1 : 70);
  }
}
