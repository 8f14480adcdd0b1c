/** Looks at a running cluster from outside: four-letter words of the servers, HTTP of the job managers. What does not answer is null. */
import { createConnection } from 'node:net';
import type { OverviewView } from '../adapters/job-manager-http.ts';
import type { JobSummary, JobView, TaskManagerView } from '../jobmaster/views.ts';

const TIMEOUT_MS = 2000;

export function fourLetterWord(host: string, port: number, word: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection({ host, port }, () => socket.write(word));
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(text === '' ? null : text));
  });
}

export interface ServerView {
  readonly address: string;
  /** leader, follower, standalone; null: it does not serve, or does not answer. */
  readonly mode: string | null;
  readonly zxid: string;
  readonly epoch: number;
  readonly connections: number;
  readonly znodes: number;
}

export async function serverView(host: string, port: number): Promise<ServerView> {
  const text = (await fourLetterWord(host, port, 'srvr')) ?? '';
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
  const zxid = field('Zxid');
  return {
    address: `${host}:${port}`, mode: field('Mode') || null, zxid, epoch: zxid === '' ? 0 : Math.floor(Number(zxid) / 2 ** 32), connections: Number(field('Connections')), znodes: Number(field('Node count')),
  };
}

async function getJson<T>(address: string, path: string): Promise<T | null> {
  try {
    const response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? ((await response.json()) as T) : null;
  } catch {
    return null;
  }
}

export function overview(address: string): Promise<OverviewView | null> {
  return getJson(address, '/overview');
}
export async function jobs(address: string): Promise<JobSummary[]> {
  return (await getJson<JobSummary[]>(address, '/jobs')) ?? [];
}
export function job(address: string, jobId: string): Promise<JobView | null> {
  return getJson(address, `/jobs/${encodeURIComponent(jobId)}`);
}
export async function taskManagers(address: string): Promise<TaskManagerView[]> {
  return (await getJson<TaskManagerView[]>(address, '/taskmanagers')) ?? [];
}
