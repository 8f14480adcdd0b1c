/** What people do to jobs: wrong files, user code that throws, stop and cancel at bad moments, too few slots, too many jobs. Real processes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readJob } from '../../orchestrator/ha/job-store.ts';
import { isTerminal } from '../../orchestrator/jobmaster/records.ts';
import type { Cluster } from '../lib/job-processes.ts';
import { addressOf, cluster, drey, submitted, until, view } from '../lib/job-processes.ts';
import { committedLines } from '../orchestrator/runtime/harness.ts';
import { difference, recount } from '../orchestrator/runtime/recount.ts';
import { startEnsemble } from '../tools/ensemble.ts';

let ensemble: Awaited<ReturnType<typeof startEnsemble>>;
test.before(async () => {
  ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
});
test.after.always(() => ensemble.stop());

const scratch = mkdtempSync(join(tmpdir(), 'drey-attack-'));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

const IMPORTS = "import { count, job, tumbling } from 'drey';\nimport { collectionSource, datagenSource, fileSink, printSink } from 'drey/connectors';\n";
const GOOD = "export default job('good', (env) => { env.source(collectionSource(['a'])).sink(printSink()); });\n";

/** The third line is the first of `text`. */
function file(name: string, text: string): string {
  const path = join(scratch, name);
  writeFileSync(path, IMPORTS + text);
  return path;
}

const wrong: readonly (readonly [name: string, text: string, said: RegExp])[] = [
  ['syntax', 'export default job(..);', /syntax\.ts:3:20: Unexpected/],
  ['missing', `import x from './nothere.ts';\nconsole.log(x);\n${GOOD}`, /missing\.ts:3:15: Could not resolve "\.\/nothere\.ts"/],
  ['native', `import x from './binary.node';\nconsole.log(x);\n${GOOD}`, /native\.ts:3:15: \.\/binary\.node .*is a native module/],
  ['throws', `throw new Error('two\\nlines');\n${GOOD}`, /throws\.ts:3:7: the job's module threw: two lines \(JOB_BUNDLE\)/],
  ['nothing', `throw undefined;\n${GOOD}`, /nothing\.ts: the job's module threw: undefined/],
  ['exits', `process.exit(0);\n${GOOD}`, /exits\.ts: the job's module ended the process/],
  ['nojob', 'export default 42;\n', /nojob\.ts does not export a job/],
  ['define', "export default job('a', () => { null.x; });\n", /define\.ts:3:38: Cannot read properties of null/],
  ['nosink', "export default job('a', (env) => { env.source(collectionSource(['a'])); });\n", /nosink\.ts:3:\d+: the job has no sink/],
  ['nomarks', "export default job('a', (env) => { env.source(datagenSource({ seed: 1, generate: (i) => i })).keyBy((i) => i)\n.window(tumbling(10)).aggregate(count()).sink(printSink()); });\n", /nomarks\.ts:4:\d+: an event-time window needs timestamps and watermarks/],
  ['parallelism', "export default job('a', (env) => { env.source(collectionSource(['a'])).sink(printSink()); }, { parallelism: 0 });\n", /parallelism\.ts:3:\d+: parallelism is a whole number from 1, not 0/],
];
for (const [name, text, said] of wrong) {
  test(`refused with one line that names the place: ${name}`, async (t) => {
    const { code, stderr } = await drey(['job', 'submit', file(`${name}.ts`, text), '--coord', '127.0.0.1:1']);
    t.is(code, 1, stderr);
    t.regex(stderr, /^drey: [^\n]*\n$/);
    t.regex(stderr, said);
  });
}

async function submit({ coord, storage }: Cluster, path: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await drey(['job', 'submit', path, '--coord', coord, '--storage', storage, '--json', ...args]);
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { id: string }).id;
}
function ended({ coordClient }: Cluster, jobId: string): Promise<string | undefined> {
  return until(async () => (await readJob(coordClient, jobId))?.record.status, (status) => status !== undefined && isTerminal(status));
}
function crashing(name: string, restart: string): string {
  return file(
    `${name}.ts`,
    `export default job('${name}', (env, params) => {
  env.source(datagenSource({ seed: 1, recordsPerSecond: 200, generate: (i) => i }))
    .map((i) => {
      if (i === 30) throw new Error('record thirty');
      return i;
    }).sink(fileSink({ path: params.out, format: 'ndjson' }));
}, { checkpoint: { intervalMs: 100 }, restart: ${restart} });\n`,
  );
}

test('a record that always crashes: FAILED after the attempts, with the place in the user\'s source', async (t) => {
  const own = await cluster(t, ensemble.connectString, 'crashing');
  await own.jobManager().line(/leads/);
  await own.taskManager().line(/ready at/);
  for (const [name, restart, restarts] of [['never', "{ type: 'none' }", 0], ['thrice', "{ type: 'fixed-delay', attempts: 3, delayMs: 10 }", 3]] as const) {
    const jobId = await submit(own, crashing(name, restart), '--param', `out=${own.out}`);
    t.is(await ended(own, jobId), 'FAILED');
    const { stdout } = await drey(['job', 'show', jobId, '--coord', own.coord]);
    t.regex(stdout, new RegExp(`${name}\\.ts:5:\\d+\\): Error: record thirty`));
    t.is((await readJob(own.coordClient, jobId))?.record.restarts, restarts);
    const { stdout: logs } = await drey(['job', 'logs', jobId, '--coord', own.coord]);
    t.regex(logs, new RegExp(`FAILED: .*record thirty[\\s\\S]*${name}\\.ts:6:`));
  }
});

test('cancel while the job waits for its restart', async (t) => {
  const own = await cluster(t, ensemble.connectString, 'restarting');
  await own.jobManager().line(/leads/);
  await own.taskManager().line(/ready at/);
  const jobId = await submit(own, crashing('waits', "{ type: 'fixed-delay', attempts: 10, delayMs: 600_000 }"), '--param', `out=${own.out}`);
  await until(async () => (await readJob(own.coordClient, jobId))?.record.status, (status) => status === 'RESTARTING');
  const { code, stdout } = await drey(['job', 'cancel', jobId, '--coord', own.coord, '--wait']);
  t.deepEqual([code, stdout.trim()], [0, `${jobId} CANCELED`]);
});

test('stop again and again, while checkpoints are pending, and a bounded job that is finishing', async (t) => {
  const own = await cluster(t, ensemble.connectString, 'stopping');
  const master = own.jobManager();
  await master.line(/leads/);
  await own.taskManager().line(/ready at/);
  for (let i = 0; i < 3; i++) {
    const jobId = await submitted(own.coord, own.storage, `${own.out}-${i}`, 600, 400);
    const address = await addressOf(master);
    // i = 2: nothing but the final checkpoint is left.
    await until(() => view(address, jobId), ({ checkpoints, tasks }) => (i < 2 ? checkpoints.pending !== null : checkpoints.pending?.kind === 'final' || tasks.some(({ state }) => state === 'FINISHED')));
    await Promise.all([drey(['job', 'stop', jobId, '--coord', own.coord]), drey(['job', 'stop', jobId, '--coord', own.coord])]);
    t.is(await ended(own, jobId), 'FINISHED');
    const { missing, extra } = difference(await committedLines(`${own.out}-${i}`), recount(600));
    if (i === 2) t.deepEqual({ missing, extra }, { missing: [], extra: [] });
  }
});

test('more parallelism than slots: waits and says for what; a task manager that comes lets it run; one that comes and goes harms nobody', async (t) => {
  const own = await cluster(t, ensemble.connectString, 'slots');
  const master = own.jobManager();
  await master.line(/leads/);
  await own.taskManager().line(/ready at/);
  const path = file('wide.ts', "export default job('Wide: ünïcödé / ../ 🦌', (env, params) => {\n  env.source(datagenSource({ seed: 1, lanes: 4, count: 400, recordsPerSecond: 100, generate: (i) => i })).sink(fileSink({ path: params.out, format: 'ndjson' }));\n}, { parallelism: 4, checkpoint: { intervalMs: 100 }, restart: { type: 'fixed-delay', attempts: 1000, delayMs: 10 } });\n");
  const jobId = await submit(own, path, '--param', `out=${own.out}`);
  t.regex(jobId, /^wide-n-c-d-[0-9a-z]{10}$/);
  const waiting = await until(async () => drey(['job', 'show', jobId, '--coord', own.coord]), ({ stdout }) => /waits for slots/.test(stdout));
  t.regex(waiting.stdout, /^waits for slots: it needs 4, 2 of 2 are free$/m);
  const stays = own.taskManager();
  await stays.line(/ready at/);
  const address = await addressOf(master);
  await until(() => view(address, jobId), ({ status }) => status === 'RUNNING');
  for (let i = 0; i < 2; i++) {
    const passes = own.taskManager();
    await passes.line(/ready at/);
    passes.child.kill(i === 0 ? 'SIGKILL' : 'SIGTERM');
  }
  t.is(await ended(own, jobId), 'FINISHED');
  t.is((await committedLines(own.out)).length, 1600);
});

test('twenty jobs at once on four slots: each runs once; none of them again under the next masters', async (t) => {
  const own = await cluster(t, ensemble.connectString, 'twenty');
  const workers = [own.taskManager(), own.taskManager()];
  for (const worker of workers) await worker.line(/ready at/);
  // Nobody leads yet.
  const jobIds: string[] = [];
  for (let i = 0; i < 20; i += 4) jobIds.push(...(await Promise.all([0, 1, 2, 3].map((j) => submitted(own.coord, own.storage, `${own.out}-${i + j}`, 50, 400)))));
  t.is(new Set(jobIds).size, 20);
  let master = own.jobManager();
  await master.line(/leads/);
  for (const jobId of jobIds) t.is(await ended(own, jobId), 'FINISHED');
  const before = await Promise.all(jobIds.map(async (jobId) => (await readJob(own.coordClient, jobId))?.record));
  for (let i = 0; i < 2; i++) {
    const next = own.jobManager();
    await next.line(/ready at/);
    master.child.kill('SIGKILL');
    await next.line(/leads/);
    master = next;
    const address = await addressOf(master);
    await until(async () => (await fetch(`http://${address}/overview`)).json() as Promise<{ role: string; jobs: Record<string, number>; usedSlots: number }>, ({ role, jobs, usedSlots }) => role === 'leader' && jobs['FINISHED'] === 20 && usedSlots === 0);
  }
  t.deepEqual(await Promise.all(jobIds.map(async (jobId) => (await readJob(own.coordClient, jobId))?.record)), before);
  const expected = recount(50);
  for (let i = 0; i < 20; i++) t.deepEqual(difference(await committedLines(`${own.out}-${i}`), expected), { missing: [], extra: [] });
});
