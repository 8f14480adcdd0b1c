/** drey job: submit, list, show, cancel, stop, and read the logs of jobs. All but logs needs only coord, not a running master. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { currentLeader } from '../../coord/client/index.ts';
import type { CoordClient } from '../../coord/client/index.ts';
import { DreyError } from '../../coord/base/errors.ts';
import { decodeJson, LEADER_PATH } from '../ha/layout.ts';
import type { LeaderData } from '../ha/layout.ts';
import { listJobIds, readJob, requestOfJob } from '../ha/job-store.ts';
import type { StoredJob } from '../ha/job-store.ts';
import type { JobRequest, JobStatus } from '../jobmaster/records.ts';
import { isTerminal } from '../jobmaster/records.ts';
import type { JobSummary, JobView } from '../jobmaster/views.ts';
import { summarize, viewFromRecord } from '../jobmaster/views.ts';
import { prepareJob, submitJob } from '../runtime/submit-job.ts';
import type { OverviewView } from '../adapters/job-manager-http.ts';
import { printJob, printJobs, printLackOfSlots } from './job-output.ts';
import { connectForCommand, coordHelp, DEFAULT_COORD, defaultStorage, storageHelp, storageUrl, wholeNumber } from './options.ts';

const POLL_MS = 100;
const HTTP_TIMEOUT_MS = 5000;

interface Common {
  readonly coord: string;
  readonly json?: boolean;
}

export function jobCommand(): Command {
  const job = new Command('job').description('Submit, list, show, cancel and stop jobs.');
  const command = (usage: string, description: string): Command =>
    job.command(usage).description(description).option('--coord <servers>', coordHelp, DEFAULT_COORD).option('--json', 'print JSON');

  command('submit <file>', 'Bundle a job, check its graph and hand it to the job manager that leads, now or later.')
    .option('--param <key=value>', 'a parameter of the job, as often as wanted', collectParam)
    .option('--name <name>', "instead of the job's own name")
    .option('--parallelism <n>', "instead of the job's default parallelism", wholeNumber(1))
    .option('--storage <url>', `${storageHelp} (default: the leading job manager's, or ~/.drey/storage)`, storageUrl)
    .option('--wait', 'until the job has ended; exit code 0 only if it FINISHED')
    .addHelpText('after', `
Examples:
  drey job submit wordcount.ts --param in=/data/in --param out=/data/out
  drey job submit wordcount.ts --param in=/data/in --param out=/data/out --param bounded=true --parallelism 4 --wait
Paths in parameters are those of the workers' hosts: give absolute ones.`)
    .action(submit);
  command('ls', 'List all jobs, newest first.').action(list);
  command('show <id>', 'Show one job: tasks, checkpoints, failures. An unambiguous beginning of the id will do.').action(show);
  command('cancel <id>', 'End a job at once. What is not committed is discarded.')
    .option('--wait', 'until it has ended')
    .action((id: string, options: Common & { wait?: boolean }) => request(id, 'cancel', options));
  command('stop <id>', 'End a job after one last checkpoint, with all output committed.')
    .option('--wait', 'until it has ended')
    .action((id: string, options: Common & { wait?: boolean }) => request(id, 'stop', options));
  command('logs <id>', "The last lines that a job's tasks logged, from the workers that run now.")
    .option('-n, --lines <n>', 'how many', wholeNumber(1, 10_000), 200)
    .action(logs);
  return job;
}

function collectParam(text: string, params: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  return { ...params, [text.slice(0, at)]: text.slice(at + 1) };
}

interface SubmitOptions extends Common {
  readonly param?: Record<string, string>;
  readonly name?: string;
  readonly parallelism?: number;
  readonly storage?: string;
  readonly wait?: boolean;
}

async function submit(file: string, options: SubmitOptions): Promise<void> {
  const overrides = { ...(options.name === undefined ? {} : { name: options.name }), ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }) };
  // Refused before anything is connected to.
  const prepared = await prepareJob(file, options.param ?? {}, overrides, options.storage ?? defaultStorage(), Date.now());
  const { jobId, name } = prepared.spec;
  await withCoord(options.coord, async (coord) => {
    const offered = options.storage === undefined ? (await leaderOf(coord))?.storageUrl : undefined;
    await submitJob(coord, offered === undefined ? prepared : { ...prepared, spec: { ...prepared.spec, storageUrl: offered } });
    if (!options.wait) {
      print(options.json, { id: jobId, name }, `submitted ${name} as ${jobId}`);
      if (!options.json && (await currentLeader(coord, LEADER_PATH)) === null) console.log('no job manager leads at the moment: start one with `drey jobmanager`');
      return;
    }
    if (!options.json) console.log(`submitted ${name} as ${jobId}`);
    await waitForEnd(coord, jobId, 'FINISHED', options.json);
  });
}

async function list({ coord: servers, json }: Common): Promise<void> {
  await withCoord(servers, async (coord) => {
    const stored = await Promise.all((await listJobIds(coord)).map((id) => readJob(coord, id)));
    const jobs: JobSummary[] = stored.flatMap((each) => (each === null ? [] : [summarize(each.spec, each.record, each.completed)])).sort((a, b) => b.submittedAtMs - a.submittedAtMs);
    if (json) console.log(JSON.stringify(jobs));
    else printJobs(jobs);
  });
}

async function show(id: string, { coord: servers, json }: Common): Promise<void> {
  await withCoord(servers, async (coord) => {
    const stored = await findJob(coord, id);
    const leader = await leaderOf(coord);
    const live = leader === null ? null : await get<JobView>(leader, `/jobs/${stored.spec.jobId}`).catch(() => null);
    const view = live ?? viewFromRecord(stored.spec, stored.record, stored.completed);
    if (json) console.log(JSON.stringify(view));
    else {
      printJob(view, live !== null);
      const due = view.status === 'CREATED' || view.status === 'RESTARTING';
      const room = due && leader !== null && live !== null ? await get<OverviewView>(leader, '/overview').catch(() => null) : null;
      if (room !== null) printLackOfSlots(view, room);
    }
  });
}

async function request(id: string, wanted: JobRequest, { coord: servers, json, wait }: Common & { wait?: boolean }): Promise<void> {
  await withCoord(servers, async (coord) => {
    const { spec, record } = await findJob(coord, id);
    if (isTerminal(record.status)) throw new DreyError('JOB_ENDED', `job ${spec.jobId} has ended already: ${record.status}`);
    await requestOfJob(coord, spec.jobId, wanted);
    if (wait) return waitForEnd(coord, spec.jobId, wanted === 'cancel' ? 'CANCELED' : 'FINISHED', json);
    print(json, { id: spec.jobId, request: wanted }, `asked to ${wanted} ${spec.jobId}`);
  });
}

async function logs(id: string, { coord: servers, json, lines }: Common & { lines: number }): Promise<void> {
  await withCoord(servers, async (coord) => {
    const { spec } = await findJob(coord, id);
    const leader = await leaderOf(coord);
    if (leader === null) throw new DreyError('NO_LEADER', 'no job manager leads at the moment, and logs are asked for through it: start one with `drey jobmanager`');
    const answer = await get<{ lines: string[] }>(leader, `/jobs/${spec.jobId}/logs?lines=${lines}`);
    if (json) console.log(JSON.stringify(answer.lines));
    else for (const line of answer.lines) console.log(line);
  });
}

async function waitForEnd(coord: CoordClient, jobId: string, wanted: JobStatus, json: boolean | undefined): Promise<void> {
  for (;;) {
    const stored = await readJob(coord, jobId);
    if (stored === null) throw new DreyError('JOB_NOT_FOUND', `job ${jobId} is gone`);
    const { status, failures } = stored.record;
    if (isTerminal(status)) {
      print(json, { id: jobId, status, failure: failures[0]?.message ?? null }, `${jobId} ${status}`);
      if (status !== wanted) throw new DreyError('JOB_NOT_AS_WANTED', `job ${jobId} ended ${status}${status === 'FAILED' ? `: ${failures[0]?.message ?? 'no reason is recorded'}` : ''}`);
      return;
    }
    await sleep(POLL_MS);
  }
}

async function findJob(coord: CoordClient, id: string): Promise<StoredJob> {
  const ids = (await listJobIds(coord)).filter((each) => each === id || each.startsWith(id));
  const exact = ids.includes(id) ? id : ids[0];
  if (exact === undefined) throw new DreyError('JOB_NOT_FOUND', `there is no job ${id}; \`drey job ls\` lists them`);
  if (exact !== id && ids.length > 1) throw new DreyError('JOB_AMBIGUOUS', `${id} is the beginning of ${ids.length} jobs: ${ids.slice(0, 5).join(', ')}`);
  const stored = await readJob(coord, exact);
  if (stored === null) throw new DreyError('JOB_NOT_FOUND', `there is no job ${id}; \`drey job ls\` lists them`);
  return stored;
}

async function leaderOf(coord: CoordClient): Promise<LeaderData | null> {
  const leader = await currentLeader(coord, LEADER_PATH);
  return leader === null ? null : decodeJson<LeaderData>(leader.data);
}

async function get<T>({ address }: LeaderData, path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(HTTP_TIMEOUT_MS) });
  } catch (error) {
    throw new DreyError('JOBMANAGER_UNREACHABLE', `the leading job manager at ${address} does not answer: it may be gone; try again when another one leads`, { cause: error });
  }
  const body = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new DreyError('JOBMANAGER_REFUSED', `the job manager at ${address} answered: ${body.error ?? response.status}`);
  return body;
}

async function withCoord(servers: string, use: (coord: CoordClient) => Promise<void>): Promise<void> {
  const coord = await connectForCommand(servers);
  try {
    await use(coord);
  } finally {
    await coord.close();
  }
}

function print(json: boolean | undefined, value: unknown, text: string): void {
  console.log(json ? JSON.stringify(value) : text);
}
