/**
 * `drey zk`: read, write and watch znodes, in the manner of zkCli. With a command in its arguments it runs that one; without, it is a
 * shell with history and completion. Exit codes: 0 done, 1 the operation failed, 2 wrong usage.
 */
import { Command, CommanderError } from 'commander';
import { DreyError } from '../base/errors.ts';
import { connect } from '../client/index.ts';
import type { CoordClient } from '../client/index.ts';
import { zkCommands, type ZkContext } from './zk-commands.ts';
import { runShell } from './zk-shell.ts';

const DEFAULT_SERVER = '127.0.0.1:2181';

interface GlobalOptions {
  server: string;
  timeout: string;
  auth: string[];
  readOnly?: true;
}

export function zkCommand(): Command {
  const command = new Command('zk')
    .description('Read, write and watch znodes, in the manner of zkCli; without a command: a shell.')
    .option('--server <connectString>', 'host:port,host:port/chroot; zk:// (default) or drey:// before it; DREY_SERVER in the environment', process.env['DREY_SERVER'] || DEFAULT_SERVER)
    .option('--timeout <ms>', 'session timeout, and how long to look for a server', '10000')
    .option('--auth <scheme:auth>', 'credentials, such as digest:user:password; may be repeated', (value: string, all: string[]) => [...all, value], [])
    .option('--read-only', 'accept a server without a quorum')
    .allowExcessArguments();
  for (const sub of zkCommands((run) => withClient(command.opts<GlobalOptions>(), run))) command.addCommand(sub);
  command.action(async () => {
    const options = command.opts<GlobalOptions>();
    if (command.args.length > 0) throw usage(`unknown command "${command.args[0]}"; drey zk --help shows them`);
    await withClient(options, (context) => runShell(context, options.server));
  });
  return command;
}

async function withClient(options: GlobalOptions, run: (context: ZkContext) => Promise<void>): Promise<void> {
  const sessionTimeoutMs = Number(options.timeout);
  if (!Number.isInteger(sessionTimeoutMs) || sessionTimeoutMs <= 0) throw usage(`--timeout ${options.timeout} is not a number of milliseconds`);
  const auth = options.auth.map((text) => {
    const colon = text.indexOf(':');
    if (colon <= 0) throw usage(`--auth ${text} is not scheme:auth`);
    return { scheme: text.slice(0, colon), auth: text.slice(colon + 1) };
  });
  let client: CoordClient;
  try {
    client = await connect(options.server, { sessionTimeoutMs, connectTimeoutMs: sessionTimeoutMs, auth, ...(options.readOnly === undefined ? {} : { readOnly: true }) });
  } catch (error) {
    if (!(error instanceof DreyError)) throw error;
    process.stderr.write(`${options.server}: ${error.message}\n`);
    process.exitCode = error.code === 'COORD_CONNECT_STRING' ? 2 : 1;
    return;
  }
  const context: ZkContext = { client, out: (line) => process.stdout.write(`${line}\n`), interrupted: untilInterrupted };
  try {
    await run(context);
  } catch (error) {
    if (error instanceof CommanderError) throw usage(error.message);
    if (!(error instanceof DreyError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } finally {
    await client.close();
  }
}

/** Resolves at Ctrl-C or SIGTERM, which end the command that waits for it, not the process. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      process.off('SIGINT', done);
      process.off('SIGTERM', done);
      resolve();
    };
    process.on('SIGINT', done);
    process.on('SIGTERM', done);
  });
}

function usage(message: string): CommanderError {
  process.stderr.write(`${message}\n`);
  return new CommanderError(2, 'drey.usage', message);
}
