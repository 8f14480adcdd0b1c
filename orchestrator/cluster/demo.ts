/**
 * The demonstration: a keyed windowed count over real text while the ensemble's leader, the leading job master and a worker are killed with
 * SIGKILL, one after the other; each is restarted and has to rejoin. Then the output is compared with an independent recount of the input.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../../coord/client/index.ts';
import { DreyError } from '../../coord/base/errors.ts';
import { requestOfJob } from '../ha/job-store.ts';
import type { JobView } from '../jobmaster/views.ts';
import { LocalCluster, type Member } from './local-cluster.ts';
import { job as jobView, overview, serverView, taskManagers } from './probes.ts';
import { committedCounts, Recount, type Comparison } from './recount.ts';
import { intoFiles, TextFeed } from './text-feed.ts';
import { WriteProbe } from './write-probe.ts';

export interface DemoOptions {
  readonly dir: string;
  readonly servers: number;
  readonly seconds: number;
  readonly kafka: string | null;
  readonly say: (text: string) => void;
  /** Bundles and submits a job; resolves to its id. */
  readonly submit: (cluster: LocalCluster, file: string, params: Readonly<Record<string, string>>) => Promise<string>;
}

export interface DemoResult extends Comparison {
  readonly ok: boolean;
  readonly servers: number;
  readonly kafka: boolean;
  /** From the start of the first process to the first acked write. */
  readonly firstWriteMs: number;
  readonly writeGapMs: number;
  readonly sessionsLost: number;
  readonly masterTakeoverMs: number;
  /** The tasks that ran before the job master was killed ran on, in the same attempts. */
  readonly tasksKeptRunning: boolean;
  /** Until all tasks of the job ran again. */
  readonly workerRecoveryMs: number;
  /** Until the job had committed output that it had not before the kill. */
  readonly firstOutputMs: number;
  readonly checkpoints: number;
  readonly restarts: number;
}

const PARTITIONS = 4;
const LINES_PER_SECOND = 1000;
const POLL_MS = 20;
const PATIENCE_MS = 60_000;

export function exampleFile(name: string): string {
  const isSource = import.meta.url.endsWith('.ts');
  return fileURLToPath(new URL(`../examples/${name}.${isSource ? 'ts' : 'js'}`, import.meta.url));
}

export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { dir, say, seconds, servers } = options;
  const startedMs = performance.now();
  const cluster = new LocalCluster({
    dir, servers, jobManagers: 2, taskManagers: 2, slots: 4, restartAfterMs: 300,
    onEvent: (event) => {
      if (event.type === 'exited' && !event.willRestart && event.code !== 0) say(`${event.member.name} ended with ${event.signal ?? event.code}: ${event.member.lastLine}`);
    },
  });
  const probe = new WriteProbe();
  const io = options.kafka === null ? fileIo(dir) : await (await import('./demo-kafka.ts')).kafkaIo(options.kafka, PARTITIONS);
  try {
    await cluster.startServers();
    await probe.start(cluster.connectString);
    const firstWriteMs = probe.firstAckedMs - startedMs;
    say(`${servers} servers started; first acked write after ${ms(firstWriteMs)}`);
    await cluster.startWorkers();

    const feed = new TextFeed(PARTITIONS, LINES_PER_SECOND, io.take);
    const jobId = await options.submit(cluster, exampleFile(io.example), io.params);
    feed.start();
    const running = await until('the job runs', () => view(cluster, jobId), (job) => allRunning(job) && job.lastCheckpointId > 0);
    say(`job ${jobId} runs: ${running.tasks.length} tasks, checkpoint ${running.lastCheckpointId} complete`);

    const phaseMs = Math.max(1000, ((seconds - 6) * 1000) / 4);
    await sleep(phaseMs / 2);

    // 1. The ensemble's leader.
    const { member: leader } = await until('a server leads', () => leadingServer(cluster), (found) => found.mode !== '');
    say(`killing ${leader.name}, the ensemble's leader`);
    const leaderKilledMs = performance.now();
    cluster.kill(leader);
    await until('writes go on', async () => probe.longestGapMs(leaderKilledMs), (gap) => gap > 0);
    await until(`${leader.name} rejoins`, () => serverView('127.0.0.1', leader.port), (server) => server.mode !== null);
    const writeGapMs = probe.longestGapMs(leaderKilledMs);
    say(`  writes paused for ${ms(writeGapMs)}; ${leader.name} has rejoined`);
    await sleep(phaseMs);

    // 2. The leading job master.
    const before = await until('the job is shown', () => view(cluster, jobId), allRunning);
    const master = await leadingMaster(cluster);
    say(`killing ${master.name}, the leading job manager`);
    const masterKilledMs = performance.now();
    cluster.kill(master);
    const after = await until('another job master takes over', () => view(cluster, jobId, before.epoch), allRunning);
    const masterTakeoverMs = performance.now() - masterKilledMs;
    const tasksKeptRunning = executions(before) === executions(after);
    await until('a checkpoint of the new master', () => view(cluster, jobId), (job) => job.lastCheckpointId > after.lastCheckpointId);
    await until(`${master.name} rejoins`, () => overview(`127.0.0.1:${master.port}`), () => true);
    say(`  another one took over after ${ms(masterTakeoverMs)}; tasks ${tasksKeptRunning ? 'kept running' : 'were RESTARTED'}; ${master.name} has rejoined`);
    await sleep(phaseMs);

    // 3. A worker.
    const loaded = await until('the job is shown', () => view(cluster, jobId), allRunning);
    const worker = await workerOf(cluster, loaded);
    say(`killing ${worker.name}, which runs ${loaded.tasks.filter((task) => task.taskManagerId === loaded.tasks[0]?.taskManagerId).length} of ${loaded.tasks.length} tasks`);
    const workerKilledMs = performance.now();
    cluster.kill(worker);
    const recovered = await until('the tasks run again', () => view(cluster, jobId), (job) => allRunning(job) && executions(job) !== executions(loaded));
    const workerRecoveryMs = performance.now() - workerKilledMs;
    await until('new output', () => view(cluster, jobId), (job) => job.lastCheckpointId > recovered.lastCheckpointId);
    const firstOutputMs = performance.now() - workerKilledMs;
    await until(`${worker.name} rejoins`, () => registered(cluster), (count) => count === 2);
    say(`  all tasks ran again after ${ms(workerRecoveryMs)}, new output was committed after ${ms(firstOutputMs)}; ${worker.name} has rejoined`);
    await sleep(phaseMs);

    // The end of the input closes every window; stop commits what is left.
    await feed.end();
    io.close();
    const recount = await io.recount();
    await until('all output', () => io.output(), (output) => recount.compare(output).lost === 0, seconds * 1000).catch(() => say('  the output is not complete; comparing what there is'));
    const last = await until('the job is shown', () => view(cluster, jobId), (job) => job.status === 'RUNNING');
    await stopJob(cluster, jobId);
    const comparison = recount.compare(await io.output());
    const isOk = comparison.lost === 0 && (options.kafka !== null || comparison.duplicated === 0) && comparison.records > 0 && probe.sessionsLost === 0;
    return {
      ok: isOk, servers, kafka: options.kafka !== null, ...comparison, firstWriteMs: round(firstWriteMs), writeGapMs: round(writeGapMs), sessionsLost: probe.sessionsLost, masterTakeoverMs: round(masterTakeoverMs), tasksKeptRunning,
      workerRecoveryMs: round(workerRecoveryMs), firstOutputMs: round(firstOutputMs), checkpoints: last.lastCheckpointId, restarts: last.restarts,
    };
  } finally {
    await Promise.race([probe.stop(), sleep(3000)]);
    await io.end();
    await cluster.stop();
  }
}

// ---------------------------------------------------------------- input and output

export interface DemoIo {
  readonly example: string;
  readonly params: Readonly<Record<string, string>>;
  readonly take: (partition: number, lines: readonly string[]) => void | Promise<void>;
  readonly close: () => void;
  readonly recount: () => Promise<Recount>;
  readonly output: () => Promise<Iterable<{ word: string; windowStart: number; count: number }>>;
  /** Lets go of everything. */
  readonly end: () => Promise<void>;
}

function fileIo(dir: string): DemoIo {
  const input = join(dir, 'in');
  const output = join(dir, 'out');
  mkdirSync(output, { recursive: true });
  const files = intoFiles(input, PARTITIONS);
  return {
    example: 'wordcount', params: { in: input, out: output }, take: files.take, close: files.close,
    recount: async () => {
      const recount = new Recount();
      recount.addDirectory(input);
      return recount;
    },
    output: async () => committedCounts(output),
    end: async () => {},
  };
}

// ---------------------------------------------------------------- looking at the cluster

async function view(cluster: LocalCluster, jobId: string, afterEpoch = 0): Promise<JobView | null> {
  for (const member of cluster.of('jobmanager')) {
    const address = `127.0.0.1:${member.port}`;
    const seen = await overview(address);
    if (seen?.role === 'leader' && seen.epoch > afterEpoch) return jobView(address, jobId);
  }
  return null;
}

function allRunning(job: JobView): boolean {
  return job.status === 'RUNNING' && job.tasks.length > 0 && job.tasks.every((task) => task.state === 'RUNNING');
}
function executions(job: JobView): string {
  return job.tasks.map((task) => task.executionId).sort().join(' ');
}

async function leadingServer(cluster: LocalCluster): Promise<{ member: Member; mode: string }> {
  for (const member of cluster.of('server')) {
    const { mode } = await serverView('127.0.0.1', member.port);
    if (mode === 'leader' || mode === 'standalone') return { member, mode };
  }
  return { member: cluster.of('server')[0] as Member, mode: '' };
}

async function leadingMaster(cluster: LocalCluster): Promise<Member> {
  for (const member of cluster.of('jobmanager')) if ((await overview(`127.0.0.1:${member.port}`))?.role === 'leader') return member;
  throw new DreyError('DEMO_NO_MASTER', 'no job manager leads');
}

/** One that runs tasks of the job. */
async function workerOf(cluster: LocalCluster, job: JobView): Promise<Member> {
  const master = await leadingMaster(cluster);
  const id = job.tasks[0]?.taskManagerId;
  const address = (await taskManagers(`127.0.0.1:${master.port}`)).find((worker) => worker.id === id)?.address ?? '';
  const member = cluster.of('taskmanager').find(({ port }) => address.endsWith(`:${port}`));
  if (member === undefined) throw new DreyError('DEMO_NO_WORKER', `no task manager of this cluster is at ${address}`);
  return member;
}

async function registered(cluster: LocalCluster): Promise<number> {
  const master = await leadingMaster(cluster);
  return (await taskManagers(`127.0.0.1:${master.port}`)).filter((worker) => worker.connected === true).length;
}

async function stopJob(cluster: LocalCluster, jobId: string): Promise<void> {
  const client = await connect(cluster.connectString);
  try {
    await requestOfJob(client, jobId, 'stop');
    await until('the job ends', () => view(cluster, jobId), (job) => job.status === 'FINISHED');
  } finally {
    await client.close();
  }
}

/** Looks again and again until it is so. Throws DreyError DEMO_TIMEOUT with what was waited for. */
async function until<T>(what: string, look: () => Promise<T | null>, isSo: (seen: T) => boolean, patienceMs = PATIENCE_MS): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  let seen: T | null = null;
  for (;;) {
    try {
      seen = await look();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      seen = null;
    }
    if (seen !== null && isSo(seen)) return seen;
    if (performance.now() > deadlineMs) throw new DreyError('DEMO_TIMEOUT', `waited ${Math.round(patienceMs / 1000)} s in vain until ${what}; last seen: ${JSON.stringify(seen).slice(0, 300)}`);
    await sleep(POLL_MS);
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
function round(value: number): number {
  return Math.round(value);
}
function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
