/**
 * Three servers of drey, and three of Apache ZooKeeper where Java and its jars can be had, under the same load one after the other:
 * operations a second, memory of each server, and the longest time without a completed write when the leader is killed.
 *
 *   npm run bench -- PATH-TO-ZKLOAD [--seconds 5] [--kills 3] [--only drey|zookeeper]      or: ZKLOAD=PATH npm run bench
 *
 * zkload is a load generator for ZooKeeper's protocol that takes --hosts, --conns, --window, --op (set, get, mixed: nine reads to a write),
 * --seconds, --warmup, --root, --timeout and --buckets, and prints one line of JSON with ops_s, w_ms.p50, r_ms.p50 and, given --buckets,
 * longest_write_gap_ms. It should be a compiled program: one in JavaScript would measure itself.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs, promisify } from 'node:util';
import { startEnsemble } from '../tools/ensemble.ts';
import { startZooKeeper } from '../tools/zookeeper.ts';

const USAGE = 'npm run bench -- PATH-TO-ZKLOAD [--seconds 5] [--kills 3] [--only drey|zookeeper]      or: ZKLOAD=PATH npm run bench';
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '5' }, kills: { type: 'string', default: '3' }, only: { type: 'string', default: '' }, help: { type: 'boolean', default: false } },
});
const zkload = positionals[0] ?? process.env['ZKLOAD'] ?? '';
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
if (!existsSync(zkload)) {
  console.error(`name the load generator: ${USAGE}`);
  process.exit(2);
}

const WINDOWS = [50, 1] as const;
const OPS = ['set', 'get', 'mixed'] as const;
const KILL_AFTER_MS = 2500;

interface Target {
  readonly name: string;
  readonly hosts: string;
  readonly pids: () => readonly number[];
  /** Ends the leader at once. Resolves to what starts it again and waits until it serves, or to null where that is not possible. */
  readonly killLeader: () => Promise<(() => Promise<void>) | null>;
  readonly stop: () => Promise<void>;
}

interface Measured {
  readonly name: string;
  /** Operations a second, by op and window. */
  readonly rates: Map<string, number>;
  readonly idleMiB: readonly number[];
  readonly loadedMiB: readonly number[];
  /** Milliseconds, ascending; may be fewer than were asked for. */
  readonly gapsMs: readonly number[];
}

async function drey(): Promise<Target> {
  const ensemble = await startEnsemble();
  return {
    name: 'drey',
    hosts: ensemble.connectString.replace('zk://', ''),
    pids: () => ensemble.servers.map(({ pid }) => pid),
    killLeader: async () => {
      const leader = await ensemble.leader();
      if (leader === null) throw new Error('drey has no leader');
      await leader.kill();
      return async () => {
        leader.start();
        await leader.serving();
      };
    },
    stop: () => ensemble.stop(),
  };
}

async function zookeeper(): Promise<Target> {
  const ensemble = await startZooKeeper({ servers: 3 });
  return {
    name: 'ZooKeeper 3.9.5',
    hosts: ensemble.connectString,
    pids: () => ensemble.pids,
    killLeader: async () => {
      await ensemble.servers[await ensemble.leader()]?.kill();
      return null;
    },
    stop: () => ensemble.stop(),
  };
}

async function load(target: Target, op: string, window: number, seconds: string, more: readonly string[] = []): Promise<Record<string, number>> {
  const args = ['--hosts', target.hosts, '--conns', '30', '--window', String(window), '--op', op, '--seconds', seconds, '--warmup', '1', '--root', `/bench-${op}`, ...more];
  const { stdout } = await promisify(execFile)(zkload, args, { maxBuffer: 16 << 20 }).catch((error: Error & { stdout?: string }) => {
    // It exits with a code of its own when requests were answered with an error, such as the read of a znode by a server that has not heard of it yet.
    if (error.stdout?.startsWith('{') !== true) throw error;
    return { stdout: error.stdout };
  });
  const result = JSON.parse(stdout) as Record<string, number>;
  if (result['errors'] !== 0 && !more.includes('--buckets')) console.log(`  ${target.name}: ${op}, window ${window}: ${result['errors']} errors, the last with code ${result['last_err']}`);
  return result;
}

function residentMiB(pid: number): number {
  try {
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024);
  } catch {
    return Number.NaN;
  }
}

async function measure(start: () => Promise<Target>): Promise<Measured> {
  const target = await start();
  try {
    const rates = new Map<string, number>();
    const idleMiB = target.pids().map(residentMiB);
    for (const op of OPS) {
      for (const window of WINDOWS) {
        const { ops_s: rate = Number.NaN } = await load(target, op, window, values.seconds);
        rates.set(`${op} ${window}`, rate);
        console.log(`  ${target.name}: ${op}, window ${window}: ${Math.round(rate)}/s`);
      }
    }
    const loadedMiB = target.pids().map(residentMiB);
    const gapsMs: number[] = [];
    for (let i = 0; i < Number(values.kills); i++) {
      const loading = load(target, 'set', 4, '5', ['--buckets', '50', '--timeout', '10000']);
      await new Promise((resolve) => setTimeout(resolve, KILL_AFTER_MS));
      const again = await target.killLeader();
      gapsMs.push((await loading)['longest_write_gap_ms'] ?? Number.NaN);
      if (again === null) break;
      await again();
    }
    console.log(`  ${target.name}: leader killed under load, longest time without a write: ${gapsMs.join(', ')} ms`);
    return { name: target.name, rates, idleMiB, loadedMiB, gapsMs: gapsMs.toSorted((a, b) => a - b) };
  } finally {
    await target.stop();
  }
}

function rateText(rate: number | undefined): string {
  return rate === undefined ? '' : rate >= 10_000 ? `${Math.round(rate / 1000)} k` : `${(rate / 1000).toFixed(1)} k`;
}

const measured: Measured[] = [];
for (const [name, start] of [['drey', drey], ['zookeeper', zookeeper]] as const) {
  if (values.only !== '' && values.only !== name) continue;
  try {
    measured.push(await measure(start));
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    console.error(`  ${name} was NOT measured: ${message}\n${stderr}`);
    process.exitCode = 1;
  }
}

const rows: string[][] = [['', ...measured.map(({ name }) => name)]];
for (const op of OPS) for (const window of WINDOWS) rows.push([`${op}/s, window ${window}`, ...measured.map(({ rates }) => rateText(rates.get(`${op} ${window}`)))]);
rows.push(['RSS of each server, idle, MiB', ...measured.map(({ idleMiB }) => idleMiB.join(', '))]);
rows.push(['RSS of each server, after the load, MiB', ...measured.map(({ loadedMiB }) => loadedMiB.join(', '))]);
rows.push(['no write after kill -9 of the leader, ms', ...measured.map(({ gapsMs }) => gapsMs.join(', '))]);
console.log(`\n${new Date().toISOString().slice(0, 16)}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, Linux ${release()}, Node ${process.versions.node}, load included; 30 connections, 100 bytes, 1000 znodes\n`);
const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
for (const [i, row] of rows.entries()) {
  console.log(`| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  if (i === 0) console.log(`|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
}
