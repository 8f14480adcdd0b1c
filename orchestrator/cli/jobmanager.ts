/** drey jobmanager: one job manager in the foreground. */
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { nanoid } from 'nanoid';
import { connect } from '../../coord/client/index.ts';
import { AssertionFailed } from '../../coord/base/assert.ts';
import { DreyError } from '../../coord/base/errors.ts';
import { systemPorts } from '../adapters/system-ports.ts';
import { serveJobManager } from '../adapters/job-manager-http.ts';
import { JobManager } from '../runtime/job-manager.ts';
import { openStorage } from '../storage/storage.ts';
import { coordHelp, DEFAULT_COORD, defaultStorage, storageHelp, storageUrl, wholeNumber } from './options.ts';

/** What coord does not answer in this time is left to the session's end. */
const GOODBYE_MS_MAX = 3000;

interface Options {
  readonly coord: string;
  readonly storage: string;
  readonly host: string;
  readonly port: number;
  readonly sessionTimeout: number;
  readonly json?: boolean;
}

export function jobmanagerCommand(): Command {
  return new Command('jobmanager')
    .description('Run a job manager. Of all that run, the elected one leads: it deploys jobs and restarts what fails. The others stand by and serve reads.')
    .option('--coord <servers>', coordHelp, DEFAULT_COORD)
    .option('--storage <url>', `${storageHelp}; used by jobs that are submitted without --storage`, storageUrl, defaultStorage())
    .option('--host <host>', 'address to listen on and to be reached at', '127.0.0.1')
    .option('--port <port>', 'port of the HTTP server; 0: any free one', wholeNumber(0, 65_535), 0)
    .option('--session-timeout <ms>', 'how long coord may not hear of it before another one leads', wholeNumber(100), 2000)
    .option('--json', 'log lines as JSON')
    .addHelpText('after', `
Examples:
  drey jobmanager --coord 127.0.0.1:2181 --storage /srv/drey
  drey jobmanager --coord zk://zk1:2181,zk2:2181,zk3:2181/prod --storage file:///mnt/shared/drey --host 10.0.0.7 --port 8081

Reads, as JSON: GET /overview, /jobs, /jobs/<id>, /jobs/<id>/logs, /taskmanagers`)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { host, port } = options;
  const masterId = `jm-${nanoid(10)}`;
  const log = (text: string): void => {
    const time = new Date().toISOString();
    process.stdout.write(options.json ? `${JSON.stringify({ time, id: masterId, text })}\n` : `${time} ${text}\n`);
  };
  // Fails now rather than at the first checkpoint.
  openStorage(options.storage);
  let manager: JobManager | null = null;
  const server = serveJobManager(() => manager);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new DreyError('PORT_TAKEN', `cannot listen on ${host}:${port}: ${error.code === 'EADDRINUSE' ? 'the port is taken; give another --port, or 0' : error.message}`, { cause: error })));
    server.listen(port, host, resolve);
  });
  const address = `${host}:${(server.address() as AddressInfo).port}`;
  // A server that is not up yet is waited for: processes of a cluster start in any order.
  log(`job manager ${masterId} at ${address}, connecting to ${options.coord}`);
  const coord = await connect(options.coord, { sessionTimeoutMs: options.sessionTimeout, connectTimeoutMs: 0, renew: true });

  let ending = false;
  const end = async (why: string, code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    log(why);
    setTimeout(() => process.exit(code), GOODBYE_MS_MAX).unref();
    server.close();
    await manager?.close();
    await coord.close();
    process.exit(code);
  };
  process.on('SIGTERM', () => void end('SIGTERM: giving up leadership', 0));
  process.on('SIGINT', () => void end('SIGINT: giving up leadership', 0));

  // Sources of jobs are user code, and look for splits in this process: what they let fall must not bring all jobs down. An assertion of ours does.
  const stray = (error: unknown): void => {
    if (error instanceof AssertionFailed) {
      process.stderr.write(`${error.stack}\n`);
      process.exit(70);
    }
    log(`an error outside of any job: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('uncaughtException', stray);
  process.on('unhandledRejection', stray);

  manager = new JobManager({ ports: systemPorts, coord, masterId, address, storageUrl: options.storage, log, onEnded: (error) => void end(`cannot go on: ${error.message}`, 1) });
  await manager.start();
  log(`job manager ${masterId} ready at ${address}`);
}
