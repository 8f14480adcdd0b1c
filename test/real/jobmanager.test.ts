/** Job managers, task managers and the job command as separate processes on a real server: kills, stops and what the command line says. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { systemTimers } from '../../coord/adapters/system-ports.ts';
import { recordPath } from '../../orchestrator/ha/layout.ts';
import { createJob, ensureLayout, readJob } from '../../orchestrator/ha/job-store.ts';
import { MasterStore } from '../../orchestrator/ha/master-store.ts';
import { newJobRecord } from '../../orchestrator/jobmaster/records.ts';
import { addressOf, cluster, drey, submitted, surviveKills, until, view } from '../lib/job-processes.ts';
import { testGraph } from '../orchestrator/jobmaster/doubles.ts';
import { committedLines } from '../orchestrator/runtime/harness.ts';
import { difference, recount } from '../orchestrator/runtime/recount.ts';
import { startEnsemble } from '../tools/ensemble.ts';

let ensemble: Awaited<ReturnType<typeof startEnsemble>>;
test.before(async () => {
  ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
});
test.after.always(() => ensemble.stop());

test('master killed, then a worker: the tasks go on, then move; nothing is lost or repeated', async (t) => {
  await surviveKills(t, await cluster(t, ensemble.connectString, 'kills'));
});

test('a master that hangs for longer than its session loses the epoch, notices, and harms nobody', async (t) => {
  const { coord, coordClient, out, storage, jobManager, taskManager } = await cluster(t, ensemble.connectString, 'hang');
  const first = jobManager();
  await first.line(/leads/);
  await taskManager().line(/ready at/);
  const jobId = await submitted(coord, storage, out, 1500, 400);
  await until(async () => view(await addressOf(first), jobId), ({ checkpoints }) => checkpoints.completed.length > 0);
  const second = jobManager();
  await second.line(/ready at/);
  first.child.kill('SIGSTOP');
  await second.line(/leads/);
  first.child.kill('SIGCONT');
  await first.line(/standing by|gives up leadership/);
  await until(async () => (await readJob(coordClient, jobId))?.record.status, (status) => status === 'FINISHED');
  t.is((await readJob(coordClient, jobId))?.record.restarts, 0);
  t.deepEqual(difference(await committedLines(out), recount(1500)), { missing: [], extra: [] });
  // It is a candidate again.
  second.child.kill('SIGTERM');
  await until(async () => first.lines.filter((line) => /leads/.test(line)).length, (n) => n === 2);
});

test('SIGTERM hands leadership over at once; a job manager that does not lead reads from coord', async (t) => {
  const { coord, out, storage, jobManager, taskManager } = await cluster(t, ensemble.connectString, 'handover');
  const first = jobManager();
  await first.line(/leads/);
  await taskManager().line(/ready at/);
  const second = jobManager();
  const address = await addressOf(second);
  const jobId = await submitted(coord, storage, out, 100_000, 100);
  await until(() => view(address, jobId), ({ status }) => status === 'RUNNING');
  const overview = (await (await fetch(`http://${address}/overview`)).json()) as { role: string; leader: { address: string } };
  t.deepEqual([overview.role, overview.leader.address], ['follower', await addressOf(first)]);
  first.child.kill('SIGTERM');
  await second.line(/leads/);
  const { code, stdout } = await drey(['job', 'cancel', jobId.slice(0, -2), '--coord', coord, '--wait']);
  t.deepEqual([code, stdout.trim()], [0, `${jobId} CANCELED`]);
});

test('the job command without any job manager: submit, show, ls; then one comes and stops the job', async (t) => {
  const { coord, out, storage, jobManager, taskManager } = await cluster(t, ensemble.connectString, 'commands');
  const jobId = await submitted(coord, storage, out, 100_000, 200);
  const shown = await drey(['job', 'show', jobId, '--coord', coord]);
  t.regex(shown.stdout, /CREATED {2}\(no job manager answers/);
  const listed = JSON.parse((await drey(['job', 'ls', '--coord', coord, '--json'])).stdout) as { id: string }[];
  t.deepEqual(listed.map(({ id }) => id), [jobId]);
  const logs = await drey(['job', 'logs', jobId, '--coord', coord]);
  t.is(logs.code, 1);
  t.regex(logs.stderr, /^drey: no job manager leads[^\n]*\n$/);
  jobManager();
  await taskManager().line(/ready at/);
  await until(async () => (await drey(['job', 'logs', jobId, '--coord', coord])).stdout, (stdout) => stdout.includes('RUNNING'));
  const stopped = await drey(['job', 'stop', jobId, '--coord', coord, '--wait', '--json']);
  t.is(stopped.code, 0);
  t.is((JSON.parse(stopped.stdout) as { status: string }).status, 'FINISHED');
  const again = await drey(['job', 'cancel', jobId, '--coord', coord]);
  t.deepEqual([again.code, again.stderr], [1, `drey: job ${jobId} has ended already: FINISHED (JOB_ENDED)\n`]);
  const unknown = await drey(['job', 'show', 'nothing', '--coord', coord]);
  t.deepEqual([unknown.code, unknown.stderr], [1, 'drey: there is no job nothing; `drey job ls` lists them (JOB_NOT_FOUND)\n']);
});

test('a wrong job is refused with its place, before coord is asked', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'drey-jm-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'wrong.ts');
  writeFileSync(file, "import { job, tumbling, count } from 'drey';\nimport { collectionSource, printSink } from 'drey/connectors';\nexport default job('wrong', (env) => {\n  env.source(collectionSource(['a'])).keyBy((x) => x)\n    .window(tumbling(1000)).aggregate(count()).sink(printSink());\n});\n");
  const { code, stderr } = await drey(['job', 'submit', file, '--coord', '127.0.0.1:1']);
  t.is(code, 1);
  t.regex(stderr, /^drey: \S*wrong\.ts:5:\d+: an event-time window needs timestamps and watermarks: .*\n$/);
});

test('a stale master is refused by coord', async (t) => {
  const { coordClient } = await cluster(t, ensemble.connectString, 'fencing');
  await ensureLayout(coordClient);
  await createJob(coordClient, { jobId: 'j', name: 'j', bundleHash: '', storageUrl: 'file:///nowhere', params: {}, overrides: {}, graph: testGraph(), graphHash: '', submittedAtMs: 0 });
  const place = await coordClient.create('/drey/leader/old');
  const old = await MasterStore.grant(coordClient, systemTimers, 1, place, () => false);
  await old.writeRecord('j', { ...newJobRecord(), epoch: 1 });
  const fresh = await MasterStore.grant(coordClient, systemTimers, 2, place, () => false);
  await t.throwsAsync(old.writeRecord('j', { ...newJobRecord(), status: 'FAILED', epoch: 1 }), { code: 'MASTER_FENCED' });
  await t.throwsAsync(old.reserveCheckpointId('j', 7), { code: 'MASTER_FENCED' });
  await fresh.writeRecord('j', { ...newJobRecord(), epoch: 2 });
  t.is((JSON.parse(Buffer.from((await coordClient.getData(recordPath('j'))).data ?? []).toString()) as { epoch: number }).epoch, 2);
  await coordClient.delete(place);
  await t.throwsAsync(MasterStore.grant(coordClient, systemTimers, 1, place, () => false), { code: 'MASTER_FENCED' });
});
