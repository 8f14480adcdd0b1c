/** drey taskmanager: one worker in the foreground. */
import { Command } from 'commander';
import { AssertionFailed } from '../../coord/base/assert.ts';
import { connect } from '../../coord/client/index.ts';
import { systemPorts } from '../adapters/system-ports.ts';
import { startTaskManager } from '../runtime/task-manager-process.ts';
import { openStorage } from '../storage/storage.ts';
import { coordHelp, DEFAULT_COORD, defaultStorage, storageHelp, storageUrl, wholeNumber } from './options.ts';

/** What hangs in user code is left behind after this time. */
const GOODBYE_MS_MAX = 4000;

interface Options {
  readonly coord: string;
  readonly storage: string;
  readonly slots: number;
  readonly host: string;
  readonly port: number;
  readonly sessionTimeout: number;
}

export function taskmanagerCommand(): Command {
  return new Command('taskmanager')
    .description('Run a worker: it executes the tasks that the leading job master gives it.')
    .option('--coord <servers>', coordHelp, DEFAULT_COORD)
    .option('--storage <url>', storageHelp, storageUrl, defaultStorage())
    .option('--slots <n>', 'how many subtasks of each operator it takes', wholeNumber(1), 4)
    .option('--host <host>', 'address to listen on and to be reached at', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0: any free one', wholeNumber(0, 65_535), 0)
    .option('--session-timeout <ms>', 'how long the ensemble may not hear of it before its tasks are moved', wholeNumber(100), 6000)
    .addHelpText('after', `
Examples:
  drey taskmanager --coord 127.0.0.1:2181 --slots 4
  drey taskmanager --coord zk://zk1:2181,zk2:2181,zk3:2181/prod --storage file:///mnt/shared/drey --host 10.0.0.8`)
    .action(async (options: Options) => run(options));
}

async function run({ coord, storage, slots, host, port, sessionTimeout }: Options): Promise<void> {
  const log = (line: string): void => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);
  openStorage(storage);
  process.setSourceMapsEnabled(true);
  log(`task manager connecting to ${coord}`);
  // A server that is not up yet is waited for: processes of a cluster start in any order.
  const client = await connect(coord, { sessionTimeoutMs: sessionTimeout, connectTimeoutMs: 0, renew: true });
  const taskManager = await startTaskManager({ ports: systemPorts, coord: client, storageUrl: storage, slots, host, port, pid: process.pid, log, onUnregistered: () => process.exit(1) });
  log(`task manager ${taskManager.id} ready at ${taskManager.address}, ${slots} slots`);

  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    log(`${signal}: saying goodbye`);
    setTimeout(() => process.exit(0), GOODBYE_MS_MAX).unref();
    await taskManager.drain();
    await client.close();
    process.exit(0);
  };
  process.on('SIGTERM', () => void end('SIGTERM'));
  process.on('SIGINT', () => void end('SIGINT'));
  // What user code throws in a callback of its own reaches nobody else. An assertion of ours ends the process.
  const stray = (error: unknown): void => {
    if (error instanceof AssertionFailed) {
      process.stderr.write(`${error.stack}\n`);
      process.exit(70);
    }
    log(`an error outside of any task: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    taskManager.manager.failTasks(error instanceof Error ? error : new Error(String(error)));
  };
  process.on('uncaughtException', stray);
  process.on('unhandledRejection', stray);
}
