/** Job managers, task managers and the job command as separate processes, for tests on any ensemble. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { CoordClient } from '../../coord/client/index.ts';
import { connect } from '../../coord/client/index.ts';
import { readJob } from '../../orchestrator/ha/job-store.ts';
import type { JobView } from '../../orchestrator/jobmaster/views.ts';
import { committedLines } from '../orchestrator/runtime/harness.ts';
import { difference, recount } from '../orchestrator/runtime/recount.ts';

const entry = fileURLToPath(new URL('../../drey.js', import.meta.url));
const counted = fileURLToPath(new URL('../real/jobs/counted.ts', import.meta.url));

export interface Process {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Resolves with the first line, past or to come, that matches. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
}

function start(t: ExecutionContext, args: readonly string[]): Process {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  let waiting: (() => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    for (const wake of waiting.splice(0)) wake();
  });
  const line = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      for (const each of lines) {
        const match = pattern.exec(each);
        if (match !== null) return match;
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  return { child, lines, line };
}

export async function drey(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

export interface Cluster {
  readonly coord: string;
  readonly coordClient: CoordClient;
  readonly storage: string;
  /** Where jobs write. */
  readonly out: string;
  jobManager(): Process;
  taskManager(...args: readonly string[]): Process;
}

/** A cluster of its own, in a chroot of an ensemble that others may use, too. */
export async function cluster(t: ExecutionContext, connectString: string, name: string): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), 'drey-jm-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const coord = `${connectString}/${name}`;
  const coordClient = await connect(coord);
  t.teardown(() => coordClient.close());
  const storage = pathToFileURL(join(dir, 'storage')).href;
  const common = ['--coord', coord, '--storage', storage, '--session-timeout', '1000'];
  return {
    coord, coordClient, storage,
    out: join(dir, 'out'),
    jobManager: () => start(t, ['jobmanager', ...common]),
    taskManager: (...args) => start(t, ['taskmanager', ...common, '--slots', '2', ...args]),
  };
}

export async function submitted(coord: string, storage: string, out: string, count: number, rate: number): Promise<string> {
  const { stdout, stderr } = await drey(['job', 'submit', counted, '--coord', coord, '--storage', storage, '--param', `count=${count}`, '--param', `rate=${rate}`, '--param', `out=${out}`, '--json']);
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { id: string }).id;
}

/** As the job manager at this address shows it. */
export async function view(address: string, jobId: string): Promise<JobView> {
  return (await (await fetch(`http://${address}/jobs/${jobId}`)).json()) as JobView;
}
export async function until<T>(look: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look();
    if (good(value)) return value;
    await sleep(20);
  }
}
export async function addressOf(jobManager: Process): Promise<string> {
  return (await jobManager.line(/ready at (\S+)$/))[1] as string;
}

/** Kills the leading job manager, then a worker: the tasks go on, then move; nothing is lost or repeated. */
export async function surviveKills(t: ExecutionContext, { coord, coordClient, out, storage, jobManager, taskManager }: Cluster): Promise<void> {
  const first = jobManager();
  await first.line(/leads/);
  const [a, b] = [taskManager(), taskManager()];
  await Promise.all([a.line(/ready at/), b.line(/ready at/)]);
  const jobId = await submitted(coord, storage, out, 3000, 500);
  const before = await until(async () => view(await addressOf(first), jobId), ({ checkpoints }) => checkpoints.completed.length > 0);
  t.is(new Set(before.tasks.map(({ taskManagerId }) => taskManagerId)).size, 2);

  const second = jobManager();
  const address = await addressOf(second);
  first.child.kill('SIGKILL');
  await second.line(/leads/);
  const adopted = await until(() => view(address, jobId), ({ tasks, lastCheckpointId }) => lastCheckpointId > before.lastCheckpointId && tasks.every(({ state }) => state === 'RUNNING'));
  t.deepEqual(adopted.tasks.map(({ executionId }) => executionId), before.tasks.map(({ executionId }) => executionId));
  t.is(adopted.restarts, 0);
  t.true(adopted.epoch > before.epoch);

  b.child.kill('SIGKILL');
  const moved = await until(() => view(address, jobId), ({ restarts, tasks }) => restarts > 0 && tasks.every(({ state }) => state === 'RUNNING'));
  t.is(new Set(moved.tasks.map(({ taskManagerId }) => taskManagerId)).size, 1);
  await until(async () => (await readJob(coordClient, jobId))?.record.status, (status) => status === 'FINISHED');
  t.deepEqual(difference(await committedLines(out), recount(3000)), { missing: [], extra: [] });
}
