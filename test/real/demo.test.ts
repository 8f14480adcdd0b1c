/** `drey demo` and `drey up` as a user runs them: processes killed for real, output counted again. */
import test from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { kafkaPomDir, startKafka } from '../tools/kafka.ts';
import { realPart } from '../tools/maven.ts';

const drey = join(import.meta.dirname, '..', '..', 'drey.js');

async function demo(...args: string[]): Promise<{ code: number; result: Record<string, unknown>; said: string }> {
  const child = spawn(process.execPath, [drey, 'demo', '--json', '--seconds', '12', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let said = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const [code] = (await once(child, 'exit')) as [number];
  return { code, result: out.trim() === '' ? {} : (JSON.parse(out) as Record<string, unknown>), said };
}

test.serial('demo on 3 servers: nothing lost, nothing duplicated', async (t) => {
  t.timeout(180_000);
  const { code, result, said } = await demo('--servers', '3');
  t.is(code, 0, said);
  t.like(result, { ok: true, lost: 0, duplicated: 0, sessionsLost: 0, tasksKeptRunning: true });
  t.true(Number(result['records']) > 1000, said);
});

const missing = await realPart(kafkaPomDir);
(missing === null || process.env['DREY_CI'] === '1' ? test.serial : test.serial.skip)(`demo on a real Kafka${missing === null ? '' : ` (skipped: ${missing})`}`, async (t) => {
  t.timeout(240_000);
  const kafka = await startKafka();
  try {
    const { code, result, said } = await demo('--servers', '3', '--kafka', kafka.bootstrap);
    t.is(code, 0, said);
    t.like(result, { ok: true, lost: 0, tasksKeptRunning: true });
  } finally {
    await kafka.stop();
  }
});

test.serial('up: comes up, restarts what is killed, ends cleanly', async (t) => {
  t.timeout(120_000);
  const child = spawn(process.execPath, [drey, 'up', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const until = async (isIt: (event: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> => {
    for (;;) {
      const { value, done } = (await lines.next()) as { value: string; done: boolean };
      if (done) throw new Error('drey up ended');
      const event = (value.startsWith('{') ? JSON.parse(value) : {}) as Record<string, unknown>;
      if (isIt(event)) return event;
    }
  };
  await until((event) => event['event'] === 'firstWrite');
  type Snapshot = { servers: { name: string; pid: number; mode: string | null }[]; jobs: { status: string; lastCheckpointId: number }[] };
  const jobsRun = (event: Record<string, unknown>): boolean => event['event'] === 'snapshot' && (event as unknown as Snapshot).jobs.length === 2 && (event as unknown as Snapshot).jobs.every((job) => job.status === 'RUNNING' && job.lastCheckpointId > 0);
  const snapshot = (await until(jobsRun)) as unknown as Snapshot;
  const leader = snapshot.servers.find(({ mode }) => mode === 'leader');
  process.kill(leader?.pid ?? 0, 'SIGKILL');
  await until((event) => event['event'] === 'exited' && event['member'] === leader?.name);
  await until((event) => event['event'] === 'ready' && event['member'] === leader?.name);
  await until((event) => event['event'] === 'snapshot' && (event as unknown as Snapshot).servers.every(({ mode }) => mode !== null));
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [number];
  t.is(code, 0);
});
