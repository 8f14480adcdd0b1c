/**
 * What a job manager shows over HTTP, as JSON. The leader answers from the core; the others from coord, without what only the leader knows
 * (states and metrics of tasks). Reads only: whoever wants something of a job writes its request znode.
 *
 *   GET /overview            { masterId, address, role, epoch, leader, jobs: { RUNNING: 1, … }, taskManagers, slots, usedSlots }
 *   GET /jobs                JobSummary[]
 *   GET /jobs/:id            JobView
 *   GET /jobs/:id/logs?lines=200   { lines }   (the leader only; 421 with its address otherwise)
 *   GET /taskmanagers        TaskManagerView[]
 */
import type { Server } from 'node:http';
import { currentLeader } from '../../coord/client/index.ts';
import { decodeJson, LEADER_PATH } from '../ha/layout.ts';
import type { LeaderData } from '../ha/layout.ts';
import { listJobIds, listTaskManagers, readJob } from '../ha/job-store.ts';
import type { JobSummary, JobView, TaskManagerView } from '../jobmaster/views.ts';
import { summarize, viewFromRecord, viewOfJob, viewOfTaskManagers } from '../jobmaster/views.ts';
import type { JobManager } from '../runtime/job-manager.ts';
import { createServer } from './node-http.ts';

export interface OverviewView {
  readonly masterId: string;
  readonly address: string;
  readonly role: 'leader' | 'follower';
  /** Of the leader; 0: there is none. */
  readonly epoch: number;
  readonly leader: { readonly masterId: string; readonly address: string } | null;
  /** How many jobs there are in each status. */
  readonly jobs: Readonly<Record<string, number>>;
  readonly taskManagers: number;
  readonly slots: number;
  readonly usedSlots: number | null;
}

type Answer = { readonly status: number; readonly body: unknown };
const LOG_LINES_MAX = 10_000;

export function serveJobManager(manager: () => JobManager | null): Server {
  return createServer((request, response) => {
    void answer(manager(), request.method ?? '', request.url ?? '/')
      .catch((error: Error): Answer => ({ status: 503, body: { error: error.message } }))
      .then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(body)}\n`);
        return undefined;
      });
  });
}

async function answer(manager: JobManager | null, method: string, target: string): Promise<Answer> {
  if (method !== 'GET') return { status: 405, body: { error: 'this server is read with GET; jobs are submitted and ended with `drey job`' } };
  if (manager === null) return { status: 503, body: { error: 'starting' } };
  const [url, parts] = parseTarget(target);
  if (url === null) return { status: 400, body: { error: 'this is no path' } };
  const [, room, jobId, what, ...more] = parts;
  if (more.length > 0) return notFound(url);
  if (room === 'overview' && jobId === undefined) return { status: 200, body: await overview(manager) };
  if (room === 'taskmanagers' && jobId === undefined) return { status: 200, body: await taskManagers(manager) };
  if (room === 'jobs' && jobId === undefined) return { status: 200, body: await jobs(manager) };
  if (room === 'jobs' && jobId !== undefined && what === undefined) {
    const view = await job(manager, jobId);
    return view === null ? { status: 404, body: { error: `there is no job ${jobId}` } } : { status: 200, body: view };
  }
  if (room === 'jobs' && jobId !== undefined && what === 'logs') return logs(manager, jobId, Number(url.searchParams.get('lines') ?? '200'));
  return notFound(url);
}

/** Throws nothing: anybody can send anything. */
function parseTarget(target: string): [url: URL, parts: string[]] | [url: null, parts: null] {
  try {
    const url = new URL(target, 'http://host');
    return [url, url.pathname.split('/').map(decodeURIComponent)];
  } catch {
    return [null, null];
  }
}

function notFound(url: URL): Answer {
  return { status: 404, body: { error: `${url.pathname} is not here; see /overview, /jobs, /jobs/:id, /jobs/:id/logs, /taskmanagers` } };
}

async function leaderOf({ coord }: JobManager): Promise<(LeaderData & { epoch: number }) | null> {
  const leader = await currentLeader(coord, LEADER_PATH);
  return leader === null ? null : { ...decodeJson<LeaderData>(leader.data), epoch: leader.epoch };
}

async function overview(manager: JobManager): Promise<OverviewView> {
  const { term, masterId, address } = manager;
  const [leader, allJobs, allTaskManagers] = await Promise.all([leaderOf(manager), jobs(manager), taskManagers(manager)]);
  const counts: Record<string, number> = {};
  for (const { status } of allJobs) counts[status] = (counts[status] ?? 0) + 1;
  const leads = term?.ready === true;
  return {
    masterId, address,
    role: leads ? 'leader' : 'follower',
    epoch: leads ? term.epoch : (leader?.epoch ?? 0),
    leader: leader === null ? null : { masterId: leader.masterId, address: leader.address },
    jobs: counts,
    taskManagers: allTaskManagers.length,
    slots: allTaskManagers.reduce((sum, { slots }) => sum + slots, 0),
    usedSlots: leads ? allTaskManagers.reduce((sum, { usedSlots }) => sum + (usedSlots ?? 0), 0) : null,
  };
}

async function jobs({ term, coord }: JobManager): Promise<JobSummary[]> {
  if (term?.ready === true) return [...term.master.jobs.values()].map((each) => summarize(each.spec, { ...each.record, status: each.status }, each.checkpoints.completed));
  const stored = await Promise.all((await listJobIds(coord)).map((id) => readJob(coord, id)));
  return stored.flatMap((each) => (each === null ? [] : [summarize(each.spec, each.record, each.completed)]));
}

async function job({ term, coord }: JobManager, jobId: string): Promise<JobView | null> {
  const known = term?.ready === true ? term.master.jobs.get(jobId) : undefined;
  if (known !== undefined) return viewOfJob(known);
  const stored = await readJob(coord, jobId);
  return stored === null ? null : viewFromRecord(stored.spec, stored.record, stored.completed);
}

async function taskManagers({ term, coord }: JobManager): Promise<TaskManagerView[]> {
  if (term?.ready === true) return viewOfTaskManagers(term.master);
  return [...(await listTaskManagers(coord))].map(([id, { address, slots }]) => ({ id, address, slots, usedSlots: null, connected: null }));
}

async function logs(manager: JobManager, jobId: string, lines: number): Promise<Answer> {
  if (!Number.isSafeInteger(lines) || lines < 1 || lines > LOG_LINES_MAX) return { status: 400, body: { error: `lines is a number from 1 to ${LOG_LINES_MAX}` } };
  if (manager.term?.ready === true) return { status: 200, body: { lines: await manager.term.logs(jobId, lines) } };
  return { status: 421, body: { error: 'this job manager does not lead', leader: await leaderOf(manager) } };
}
