/** Storms of kills, outages of coord and of storage, stolen epochs and corrupted state, on whole clusters of processes. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EPOCH_PATH } from '../../orchestrator/ha/layout.ts';
import { readJob } from '../../orchestrator/ha/job-store.ts';
import { isTerminal } from '../../orchestrator/jobmaster/records.ts';
import type { Cluster } from '../lib/job-processes.ts';
import { addressOf, cluster, submitted, surviveKills, until, view } from '../lib/job-processes.ts';
import { runStorm } from '../lib/storm.ts';
import { committedLines } from '../orchestrator/runtime/harness.ts';
import { difference, recount } from '../orchestrator/runtime/recount.ts';
import { startEnsemble } from '../tools/ensemble.ts';

let ensemble: Awaited<ReturnType<typeof startEnsemble>>;
test.before(async () => {
  ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
});
test.after.always(() => ensemble.stop());

async function ended({ coordClient }: Cluster, jobId: string): Promise<string | undefined> {
  return until(async () => (await readJob(coordClient, jobId))?.record.status, (status) => status !== undefined && isTerminal(status));
}
function filesOf({ storage }: Cluster, jobId: string, isIt: (path: string) => boolean): string[] {
  const dir = join(fileURLToPath(storage), jobId);
  return (readdirSync(dir, { recursive: true }) as string[]).filter((path) => /^chk-\d+\/./.test(path) && isIt(path)).map((path) => join(dir, path));
}
/** One bit of the byte in the middle. */
function flipBit(file: string): void {
  const bytes = readFileSync(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
}

test.serial('twenty seconds of SIGKILL, SIGSTOP and stolen epochs: nothing lost, nothing twice', async (t) => {
  t.timeout(150_000);
  const seed = process.env['DREY_SEED'] ?? '1';
  const result = await runStorm({ seed, seconds: 20, say: (line) => t.log(line) });
  t.like(result, { lost: 0, duplicated: 0, status: 'FINISHED' }, JSON.stringify(result.examples));
  t.true(result.records > 1000);
  t.true(result.restarts > 0 && result.epochs > 1);
});

test.serial('by the native protocol: master killed, then a worker; nothing is lost or repeated', async (t) => {
  t.timeout(60_000);
  await surviveKills(t, await cluster(t, ensemble.nativeConnectString, 'native'));
});

test.serial('a master that coord refuses gives up, takes a new epoch, and finds the tasks running', async (t) => {
  t.timeout(60_000);
  const own = await cluster(t, ensemble.connectString, 'epoch');
  const master = own.jobManager();
  await master.line(/leads/);
  await own.taskManager().line(/ready at/);
  const jobId = await submitted(own.coord, own.storage, own.out, 2000, 400);
  const address = await addressOf(master);
  const before = await until(() => view(address, jobId), ({ checkpoints }) => checkpoints.completed.length > 0);
  await own.coordClient.setData(EPOCH_PATH, '0');
  await master.line(/gives up leadership: the master of epoch \d+ is no longer the leader/);
  const after = await until(() => view(address, jobId), ({ epoch, lastCheckpointId }) => epoch > before.epoch && lastCheckpointId > before.lastCheckpointId + 2);
  t.deepEqual(after.tasks.map(({ executionId }) => executionId), before.tasks.map(({ executionId }) => executionId));
  t.is(after.restarts, 0);
  t.is(await ended(own, jobId), 'FINISHED');
  t.deepEqual(difference(await committedLines(own.out), recount(2000)), { missing: [], extra: [] });
});

test.serial('a task manager that listens where a killed one did is not taken for it', async (t) => {
  t.timeout(60_000);
  const own = await cluster(t, ensemble.connectString, 'port');
  const master = own.jobManager();
  await master.line(/leads/);
  const worker = own.taskManager('--session-timeout', '4000');
  const port = (await worker.line(/ready at \S+:(\d+),/))[1] as string;
  const jobId = await submitted(own.coord, own.storage, own.out, 1500, 400);
  await until(async () => view(await addressOf(master), jobId), ({ checkpoints }) => checkpoints.completed.length > 0);
  worker.child.kill('SIGKILL');
  // Of another cluster, so that only the port is what it was.
  const { coord } = await cluster(t, ensemble.connectString, 'elsewhere');
  const stranger = own.taskManager('--port', port, '--coord', coord);
  await stranger.line(/job master of epoch/);
  own.taskManager();
  t.is(await ended(own, jobId), 'FINISHED');
  t.true(((await readJob(own.coordClient, jobId))?.record.restarts ?? 99) <= 2);
  t.deepEqual(difference(await committedLines(own.out), recount(1500)), { missing: [], extra: [] });
});

test.serial('coord is away for longer than the lease: workers stop by themselves; it comes back and so does the job', async (t) => {
  t.timeout(60_000);
  const alone = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
  t.teardown(() => alone.stop());
  const own = await cluster(t, alone.connectString, 'outage');
  const master = own.jobManager();
  await master.line(/leads/);
  const worker = own.taskManager();
  await worker.line(/ready at/);
  const jobId = await submitted(own.coord, own.storage, own.out, 2000, 400);
  await until(async () => view(await addressOf(master), jobId), ({ checkpoints }) => checkpoints.completed.length > 0);
  const [server] = alone.servers;
  await server?.kill();
  await worker.line(/stopping \d+ tasks/);
  server?.start();
  t.is(await ended(own, jobId), 'FINISHED');
  t.deepEqual(difference(await committedLines(own.out), recount(2000)), { missing: [], extra: [] });
});

test.serial('storage is away for a while: checkpoints fail, the job goes on, and checkpoints are complete again', async (t) => {
  t.timeout(60_000);
  const own = await cluster(t, ensemble.connectString, 'nostorage');
  const master = own.jobManager();
  await master.line(/leads/);
  await own.taskManager().line(/ready at/);
  const jobId = await submitted(own.coord, own.storage, own.out, 3000, 300);
  const address = await addressOf(master);
  await until(() => view(address, jobId), ({ checkpoints }) => checkpoints.completed.length > 0);
  const dir = join(fileURLToPath(own.storage), jobId);
  renameSync(dir, `${dir}.away`);
  // A file where the directory was: nothing can be written below it. A checkpoint that was in flight may make the directory again first.
  for (;;) {
    try {
      writeFileSync(dir, '');
      break;
    } catch {
      if (existsSync(dir)) rmSync(dir, { recursive: true, force: true });
    }
  }
  const failing = await until(() => view(address, jobId), ({ checkpoints }) => checkpoints.aborted > 1);
  t.regex(failing.checkpoints.lastAborted?.reason ?? '', /state could not be stored|metadata cannot be stored/);
  t.deepEqual([failing.status, failing.restarts], ['RUNNING', 0]);
  rmSync(dir);
  renameSync(`${dir}.away`, dir);
  await until(() => view(address, jobId), ({ lastCheckpointId }) => lastCheckpointId > failing.lastCheckpointId);
  t.is(await ended(own, jobId), 'FINISHED');
  t.is((await readJob(own.coordClient, jobId))?.record.restarts, 0);
  t.deepEqual(difference(await committedLines(own.out), recount(3000)), { missing: [], extra: [] });
});

test.serial('a bit flips in the metadata: no master takes the job over, and says why; mended, the job goes on', async (t) => {
  t.timeout(60_000);
  const own = await cluster(t, ensemble.connectString, 'metadata');
  const first = own.jobManager();
  await first.line(/leads/);
  await own.taskManager().line(/ready at/);
  const jobId = await submitted(own.coord, own.storage, own.out, 1500, 400);
  await until(async () => view(await addressOf(first), jobId), ({ checkpoints }) => checkpoints.completed.length > 1);
  first.child.kill('SIGKILL');
  await new Promise((resolve) => first.child.once('exit', resolve));
  const files = filesOf(own, jobId, (path) => path.endsWith('_metadata'));
  t.true(files.length > 0);
  for (const file of files) flipBit(file);
  const second = own.jobManager();
  await second.line(/cannot be taken over: \S+_metadata: the checksum does not match/);
  for (const file of files) flipBit(file);
  t.is(await ended(own, jobId), 'FINISHED');
  t.deepEqual(difference(await committedLines(own.out), recount(1500)), { missing: [], extra: [] });
});

for (const [what, spoil, said] of [
  ['a bit flips in', flipBit, /chk-\d+\/\S+: the checksum does not match|chk-\d+\/\S+ is not a state file/],
  ['somebody deletes', (file: string) => rmSync(file), /chk-\d+\/\S+ is not in file:/],
] as const) {
  test.serial(`${what} the state: the job fails and names the file, and writes nothing wrong`, async (t) => {
    t.timeout(60_000);
    const own = await cluster(t, ensemble.connectString, what.replaceAll(' ', '-'));
    const master = own.jobManager();
    await master.line(/leads/);
    const worker = own.taskManager();
    await worker.line(/ready at/);
    const jobId = await submitted(own.coord, own.storage, own.out, 100_000, 300);
    await until(async () => view(await addressOf(master), jobId), ({ checkpoints }) => checkpoints.completed.length > 1);
    worker.child.kill('SIGKILL');
    await until(async () => (await readJob(own.coordClient, jobId))?.record.status, (status) => status === 'RESTARTING');
    const files = filesOf(own, jobId, (path) => !path.endsWith('_metadata') && !path.includes('.tmp-'));
    t.true(files.length > 0);
    for (const file of files) spoil(file);
    own.taskManager();
    t.is(await ended(own, jobId), 'FAILED');
    t.regex((await readJob(own.coordClient, jobId))?.record.failures[0]?.message ?? '', said);
    t.deepEqual(difference(await committedLines(own.out), recount(100_000)).extra, []);
  });
}
