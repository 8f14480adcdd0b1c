/** SIGKILL of a worker, and of the leading master, right after each step of a checkpoint that can be seen from outside. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { checkpointCounterPath, checkpointsPath } from '../../orchestrator/ha/layout.ts';
import { readJob } from '../../orchestrator/ha/job-store.ts';
import { isTerminal } from '../../orchestrator/jobmaster/records.ts';
import type { Process } from '../lib/job-processes.ts';
import { addressOf, cluster, submitted, until, view } from '../lib/job-processes.ts';
import { committedLines } from '../orchestrator/runtime/harness.ts';
import { difference, recount } from '../orchestrator/runtime/recount.ts';
import { startEnsemble } from '../tools/ensemble.ts';

const COUNT = 1600;

test('killed after the id is reserved, after a state is stored, after the metadata is, after the pointer is, after a part is committed', async (t) => {
  t.timeout(110_000);
  const ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
  t.teardown(() => ensemble.stop());
  const { coord, coordClient, storage, out, jobManager, taskManager } = await cluster(t, ensemble.connectString, 'steps');
  const masters = [jobManager()];
  await masters[0]?.line(/leads/);
  masters.push(jobManager());
  const workers = [taskManager(), taskManager()];
  for (const worker of workers) await worker.line(/ready at/);
  const jobId = await submitted(coord, storage, out, COUNT, 40);
  const dir = join(fileURLToPath(storage), jobId);

  const running = async (): Promise<number> => {
    for (;;) {
      for (const master of masters) {
        if (!master.lines.some((line) => /leads/.test(line))) continue;
        const seen = await view(await addressOf(master), jobId).catch(() => null);
        if (seen !== null && seen.status === 'RUNNING' && seen.tasks.every(({ state }) => state === 'RUNNING') && seen.checkpoints.pending === null) return seen.lastCheckpointId;
      }
      await sleep(20);
    }
  };
  const changed = (path: string): Promise<void> => new Promise((resolve, reject) => void coordClient.getData(path, { watch: () => resolve() }).catch(reject));
  const appears = async (list: () => string[]): Promise<void> => {
    const before = new Set(list());
    while (list().every((name) => before.has(name))) await sleep(2);
  };
  const stored = (isIt: (name: string) => boolean) => (): string[] => (existsSync(dir) ? (readdirSync(dir, { recursive: true }) as string[]).filter((name) => !name.includes('.tmp-') && isIt(name)) : []);
  const steps: Readonly<Record<string, () => Promise<void>>> = {
    'id reserved': () => changed(checkpointCounterPath(jobId)),
    'state stored': () => appears(stored((name) => /^chk-\d+\/(?!_metadata)./.test(name))),
    'metadata stored': () => appears(stored((name) => name.endsWith('_metadata'))),
    'pointer written': () => changed(checkpointsPath(jobId)),
    'part committed': () => appears(() => (existsSync(out) ? readdirSync(out).filter((name) => name.startsWith('part-')) : [])),
  };
  const replace = async (list: Process[], victim: Process, start: () => Process): Promise<void> => {
    victim.child.kill('SIGKILL');
    list.splice(list.indexOf(victim), 1);
    const next = start();
    list.push(next);
    await next.line(/ready at/);
  };
  for (const [step, happens] of Object.entries(steps)) {
    for (const whom of ['worker', 'master', 'both'] as const) {
      await running();
      await happens();
      t.log(`${step}: killing ${whom}`);
      const leader = masters.findLast(({ lines }) => lines.some((line) => /leads/.test(line))) as Process;
      await Promise.all([
        whom === 'master' ? undefined : replace(workers, workers[0] as Process, taskManager),
        whom === 'worker' ? undefined : replace(masters, leader, jobManager),
      ]);
    }
  }
  const last = await until(async () => readJob(coordClient, jobId), (job) => job !== null && isTerminal(job.record.status));
  t.is(last?.record.status, 'FINISHED');
  t.deepEqual(difference(await committedLines(out), recount(COUNT)), { missing: [], extra: [] });
});
