/**
 * A cluster of processes under random kills and hangs while a windowed count runs over files that grow; at the end the output is compared with
 * a recount of the input. The choices depend on the seed, the moments on the machine.
 *
 *   node test/lib/storm.ts --seed 7 --seconds 120
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Prng } from '../../coord/base/prng.ts';
import { connect } from '../../coord/client/index.ts';
import type { CoordClient } from '../../coord/client/index.ts';
import { LocalCluster, type Member, type Role } from '../../orchestrator/cluster/local-cluster.ts';
import { overview } from '../../orchestrator/cluster/probes.ts';
import { committedCounts, Recount, type Comparison } from '../../orchestrator/cluster/recount.ts';
import { intoFiles, TextFeed } from '../../orchestrator/cluster/text-feed.ts';
import { EPOCH_PATH } from '../../orchestrator/ha/layout.ts';
import { readJob, requestOfJob } from '../../orchestrator/ha/job-store.ts';
import { drey } from './job-processes.ts';

const storm = fileURLToPath(new URL('../real/jobs/storm.ts', import.meta.url));
const PARTITIONS = 4;
/** A task manager's session is 6 s in LocalCluster, a job manager's 2 s. */
const WORKER_HANGS_MS = 8000;
const MASTER_HANGS_MS = 4500;

export interface StormOptions {
  readonly seed: string;
  readonly seconds: number;
  readonly say: (line: string) => void;
  /** How long the job may take to be complete once the storm is over. */
  readonly patienceMs?: number;
}
export interface StormResult extends Comparison {
  readonly status: string;
  readonly restarts: number;
  readonly epochs: number;
  /** How often each thing was done. */
  readonly done: Readonly<Record<string, number>>;
  /** How often a log line of a job manager or task manager matched. */
  readonly logged: (pattern: RegExp) => number;
}

export async function runStorm({ seed, seconds, say, patienceMs = 90_000 }: StormOptions): Promise<StormResult> {
  const prng = new Prng(`storm/${seed}`);
  const dir = mkdtempSync(join(tmpdir(), 'drey-storm-'));
  const cluster = new LocalCluster({ dir, servers: 3, jobManagers: 2, taskManagers: 2, slots: 2, restartAfterMs: 400, onEvent: () => undefined });
  const done: Record<string, number> = {};
  const hung = new Map<Member, NodeJS.Timeout>();
  let ok = false;
  let client: CoordClient | null = null;
  try {
    await cluster.startServers();
    const coord = await connect(cluster.connectString, { connectTimeoutMs: 0, renew: true });
    client = coord;
    await cluster.startWorkers();
    const [input, output] = [join(dir, 'in'), join(dir, 'out')];
    mkdirSync(output);
    const files = intoFiles(input, PARTITIONS);
    const feed = new TextFeed(PARTITIONS, 300, files.take);
    feed.start();
    const { stdout, stderr } = await drey(['job', 'submit', storm, '--coord', cluster.connectString, '--storage', cluster.storageUrl, '--param', `in=${input}`, '--param', `out=${output}`, '--json']);
    if (stdout === '') throw new Error(stderr);
    const jobId = (JSON.parse(stdout) as { id: string }).id;

    const up = (role: Role): Member[] => cluster.of(role).filter((member) => cluster.running(member) && !hung.has(member));
    const kill = (members: readonly Member[]): void => {
      for (const member of members) cluster.kill(member);
    };
    const hang = (member: Member, ms: number): void => {
      cluster.kill(member, 'SIGSTOP');
      hung.set(member, setTimeout(() => {
        hung.delete(member);
        cluster.kill(member, 'SIGCONT');
      }, ms));
    };
    const leading = async (): Promise<Member | undefined> => {
      for (const member of up('jobmanager')) if ((await overview(`127.0.0.1:${member.port}`))?.role === 'leader') return member;
      return undefined;
    };
    const one = (role: Role): Member[] => {
      const members = up(role);
      return members.length === 0 ? [] : [prng.pick(members)];
    };
    const deeds: Readonly<Record<string, () => Promise<void> | void>> = {
      'kill a task manager': () => kill(one('taskmanager')),
      'kill all task managers': () => kill(up('taskmanager')),
      'kill the leading job manager': async () => {
        const leader = await leading();
        if (leader !== undefined) kill([leader]);
      },
      'kill a job manager and a task manager': () => kill([...one('jobmanager'), ...one('taskmanager')]),
      'kill both job managers': () => kill(up('jobmanager')),
      'kill a server': () => {
        if (up('server').length === 3) kill(one('server'));
      },
      'hang a task manager': () => {
        for (const member of one('taskmanager')) hang(member, WORKER_HANGS_MS);
      },
      'hang the leading job manager': async () => {
        const leader = await leading();
        if (leader !== undefined) hang(leader, MASTER_HANGS_MS);
      },
      // As a newer master's grant looks to the one that leads.
      'take the epoch away': async () => {
        await Promise.race([coord.setData(EPOCH_PATH, '0').catch(() => undefined), sleep(500)]);
      },
      'kill all servers': () => kill(up('server')),
    };
    // Each at least once, then whatever comes.
    const names = Object.keys(deeds);
    const order = names.slice();
    for (let i = order.length - 1; i > 0; i--) {
      const j = prng.below(i + 1);
      [order[i], order[j]] = [order[j] as string, order[i] as string];
    }
    await sleep(3000);
    const endMs = performance.now() + seconds * 1000;
    while (performance.now() < endMs) {
      let name = order.pop() ?? prng.pick(names);
      if (name === 'kill all servers' && done[name] !== undefined) name = 'kill a server';
      done[name] = (done[name] ?? 0) + 1;
      say(`${new Date().toISOString()} ${name}`);
      await deeds[name]?.();
      await sleep(prng.between(1000, 3000));
    }

    say(`${new Date().toISOString()} the storm is over`);
    for (const [member, timer] of hung) {
      clearTimeout(timer);
      cluster.kill(member, 'SIGCONT');
    }
    hung.clear();
    await feed.end();
    files.close();
    const recount = new Recount();
    recount.addDirectory(input);
    const deadlineMs = performance.now() + patienceMs;
    while (recount.compare(committedCounts(output)).lost > 0 && performance.now() < deadlineMs) await sleep(250);
    await requestOfJob(coord, jobId, 'stop');
    const ended = async (): Promise<boolean> => ['FINISHED', 'FAILED', 'CANCELED'].includes((await readJob(coord, jobId))?.record.status ?? '');
    while (!(await ended()) && performance.now() < deadlineMs + 15_000) await sleep(100);
    const stored = await readJob(coord, jobId);
    const comparison = recount.compare(committedCounts(output));
    const logs = readdirSync(dir).filter((name) => /^(job|task)manager-\d+\.log$/.test(name)).flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n'));
    const logged = (pattern: RegExp): number => logs.filter((line) => pattern.test(line)).length;
    ok = comparison.lost === 0 && comparison.duplicated === 0 && stored?.record.status === 'FINISHED';
    return { ...comparison, status: stored?.record.status ?? 'none', restarts: stored?.record.restarts ?? 0, epochs: logged(/ leads, epoch /), done, logged };
  } finally {
    for (const [member, timer] of hung) {
      clearTimeout(timer);
      cluster.kill(member, 'SIGCONT');
    }
    await Promise.race([client?.close(), sleep(2000)]);
    await cluster.stop();
    if (ok) rmSync(dir, { recursive: true, force: true });
    else say(`everything is kept in ${dir}`);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, seconds: { type: 'string', default: '40' } } });
  const startedMs = performance.now();
  const { logged, ...result } = await runStorm({ seed: values.seed, seconds: Number(values.seconds), say: (line) => console.error(line) });
  const fenced = logged(/gives up leadership: the master of epoch \d+ is no longer the leader/);
  console.log(JSON.stringify({ seed: values.seed, ...result, fenced, lost_leadership: logged(/leadership lost/), leases: logged(/stopping \d+ tasks/), tookMs: Math.round(performance.now() - startedMs) }));
  process.exitCode = result.lost === 0 && result.duplicated === 0 && result.status === 'FINISHED' ? 0 : 1;
}
