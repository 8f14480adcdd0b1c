/** drey up: a whole cluster on this machine with example jobs and a live view. */
import { Command } from 'commander';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect } from '../../coord/client/index.ts';
import { exampleFile } from '../cluster/demo.ts';
import { draw, gather, Rates, type Snapshot } from '../cluster/live-view.ts';
import { LocalCluster, type ClusterEvent, type Member } from '../cluster/local-cluster.ts';
import { intoFiles, TextFeed } from '../cluster/text-feed.ts';
import { WriteProbe } from '../cluster/write-probe.ts';
import { listJobIds, readJob } from '../ha/job-store.ts';
import { isTerminal } from '../jobmaster/records.ts';
import { submitTo } from './submit-to.ts';
import { wholeNumber } from './options.ts';

interface Options {
  readonly servers: number;
  readonly dir?: string;
  readonly job: boolean;
  readonly json: boolean;
}

const REFRESH_MS = 500;
const PLAIN_EVERY_MS = 5000;
const PARTITIONS = 4;
const LINES_PER_SECOND = 500;
const EVENTS_SHOWN = 8;
const KEYS = 'keys: l kill the leader  1-9 kill server n  m kill the leading job manager  w kill a worker  q quit';

export function upCommand(): Command {
  return new Command('up')
    .description('Starts servers, 2 job managers and 2 task managers as separate processes on free ports, with two example jobs and a live view. Restarts what dies. Ctrl-C ends all of it.')
    .option('--servers <n>', 'servers in the ensemble', wholeNumber(1, 9), 3)
    .option('--dir <directory>', 'keep state and logs here, and go on from what is there; without it they are temporary')
    .option('--no-job', 'without the example jobs')
    .option('--json', 'events as JSON lines, no live view', false)
    .action(up);
}

async function up({ servers, dir: wanted, job, json }: Options): Promise<void> {
  const dir = wanted === undefined ? mkdtempSync(join(tmpdir(), 'drey-up-')) : resolve(wanted);
  mkdirSync(dir, { recursive: true });
  const isLive = process.stdout.isTTY && !json;
  const recent: string[] = [];
  const say = (text: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    if (json) console.log(JSON.stringify({ text, ...fields }));
    else if (isLive) {
      recent.push(`${new Date().toTimeString().slice(0, 8)} ${text}`);
      if (recent.length > EVENTS_SHOWN) recent.shift();
    } else console.log(text);
  };

  const startedMs = performance.now();
  const cluster = new LocalCluster({ dir, servers, jobManagers: 2, taskManagers: 2, slots: 4, restartAfterMs: 500, onEvent: (event) => say(eventText(event), { event: event.type, member: event.member.name }) });
  const feed = intoFilesOrNone(job, dir);
  const probe = new WriteProbe();
  let ending: Promise<void> | null = null;
  const end = (): Promise<void> =>
    (ending ??= (async () => {
      if (isLive) process.stdout.write('\u001B[?25h\n');
      console.log('ending all processes');
      const stopped = cluster.stop();
      await feed?.feed.stop();
      feed?.close();
      await stopped;
      if (wanted === undefined) rmSync(dir, { recursive: true, force: true });
      else console.log(`state and logs: ${dir}`);
      process.exit(0);
    })());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end());

  say(`starting ${servers} servers, 2 job managers, 2 task managers; logs in ${dir}`);
  await cluster.startServers();
  await probe.start(cluster.connectString);
  const firstWriteMs = Math.round(probe.firstAckedMs - startedMs);
  await probe.stop();
  await cluster.startWorkers();
  say(`first acked write ${firstWriteMs} ms after the start of the first process; clients: zk://${cluster.connectString}`, { event: 'firstWrite', tookMs: firstWriteMs, connectString: cluster.connectString });
  if (feed !== null) {
    await submitExamples(cluster, dir, say);
    feed.feed.start();
  }
  if (isLive) listenToKeys(cluster, say, () => void end());
  else if (!json) console.log('kill any of the processes to see it restarted; Ctrl-C ends all');

  const rates = new Rates();
  let lastPlainMs = -Infinity;
  for (;;) {
    const snapshot = await gather(cluster);
    if (ending !== null) return;
    const nowMs = performance.now();
    if (json) console.log(JSON.stringify({ event: 'snapshot', servers: snapshot.servers.map(({ member, view }) => ({ name: member.name, pid: member.pid, mode: view.mode, zxid: view.zxid })), jobs: snapshot.jobs.map(({ id, status, lastCheckpointId }) => ({ id, status, lastCheckpointId })) }));
    else if (isLive) paint(cluster, snapshot, rates, recent, firstWriteMs, nowMs);
    else if (nowMs - lastPlainMs >= PLAIN_EVERY_MS) {
      lastPlainMs = nowMs;
      console.log(`${draw(snapshot, rates, nowMs).join('\n')}\n`);
    }
    await new Promise((done) => setTimeout(done, json ? PLAIN_EVERY_MS : REFRESH_MS));
  }
}

function intoFilesOrNone(job: boolean, dir: string): { feed: TextFeed; close: () => void } | null {
  if (!job) return null;
  const files = intoFiles(join(dir, 'in'), PARTITIONS);
  return { feed: new TextFeed(PARTITIONS, LINES_PER_SECOND, files.take), close: files.close };
}

/** A directory that is used again has its jobs already. */
async function submitExamples(cluster: LocalCluster, dir: string, say: (text: string) => void): Promise<void> {
  const running = await runningJobs(cluster);
  const examples: [name: string, params: Record<string, string>][] = [
    ['wordcount', { in: join(dir, 'in'), out: join(dir, 'out', 'wordcount') }],
    ['clicks', { out: join(dir, 'out', 'clicks') }],
  ];
  for (const [name, params] of examples) {
    if (running.has(name)) say(`job ${name} goes on from its last checkpoint`);
    else say(`submitted ${await submitTo(cluster, exampleFile(name), params)}; its output: ${params['out']}`);
  }
}

async function runningJobs(cluster: LocalCluster): Promise<Set<string>> {
  const client = await connect(cluster.connectString, { connectTimeoutMs: 0 });
  try {
    const stored = await Promise.all((await listJobIds(client)).map((id) => readJob(client, id)));
    return new Set(stored.flatMap((each) => (each === null || isTerminal(each.record.status) ? [] : [each.spec.name])));
  } finally {
    await client.close();
  }
}

function eventText(event: ClusterEvent): string {
  const { member } = event;
  switch (event.type) {
    case 'started':
      return `${member.name} started, pid ${member.pid}${member.restarts > 0 ? `, restart ${member.restarts}` : ''}`;
    case 'ready':
      return `${member.name} ready after ${Math.round(event.tookMs)} ms`;
    case 'exited':
      return `${member.name} ended (${event.signal ?? `exit code ${event.code}`})${event.willRestart ? '; restarting it' : ''}`;
  }
}

function listenToKeys(cluster: LocalCluster, say: (text: string) => void, quit: () => void): void {
  process.stdin.setRawMode(true);
  process.stdin.resume();
  process.stdin.on('data', (data) => {
    const key = data.toString();
    if (key === 'q' || key === '\u0003') return quit();
    void victim(cluster, key).then((member) => {
      if (member === undefined) return;
      say(`killing ${member.name} (SIGKILL)`);
      cluster.kill(member);
    });
  });
}

async function victim(cluster: LocalCluster, key: string): Promise<Member | undefined> {
  if (key >= '1' && key <= '9') return cluster.of('server')[Number(key) - 1];
  const snapshot = await gather(cluster);
  if (key === 'l') return snapshot.servers.find(({ view }) => view.mode === 'leader')?.member;
  if (key === 'm') return snapshot.masters.find(({ role }) => role === 'leads')?.member;
  if (key === 'w') return (snapshot.workers.find(({ used }) => (used ?? 0) > 0) ?? snapshot.workers[0])?.member;
  return undefined;
}

function paint(cluster: LocalCluster, snapshot: Snapshot, rates: Rates, recent: readonly string[], firstWriteMs: number, nowMs: number): void {
  const width = process.stdout.columns;
  const lines = [`drey up   zk://${cluster.connectString}   first write after ${firstWriteMs} ms`, '', ...draw(snapshot, rates, nowMs), '', ...recent, '', KEYS];
  process.stdout.write(`\u001B[?25l\u001B[H${lines.map((line) => `${line.slice(0, width - 1)}\u001B[K`).join('\n')}\u001B[J`);
}
