/** `drey taskmanager` as separate processes on a real server, under a master that the test drives: what signals do to them. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { CoordClient } from '../../coord/client/index.ts';
import { connect } from '../../coord/client/index.ts';
import type { Worker } from '../orchestrator/runtime/harness.ts';
import { committedLines, storageIn, submit, temporaryDirectory, TestMaster } from '../orchestrator/runtime/harness.ts';
import { difference, recount } from '../orchestrator/runtime/recount.ts';
import { startEnsemble } from '../tools/ensemble.ts';

const windowed = fileURLToPath(new URL('../orchestrator/runtime/jobs/windowed.ts', import.meta.url));
const entry = fileURLToPath(new URL('../../drey.js', import.meta.url));

interface ProcessWorker extends Worker {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Resolves with the nth line, past or to come, that matches. */
  line(pattern: RegExp, nth?: number): Promise<string>;
}

let ensemble: Awaited<ReturnType<typeof startEnsemble>>;
let client: CoordClient;

test.before(async () => {
  ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
  client = await connect(ensemble.connectString);
});
test.after.always(async () => {
  await client.close();
  await ensemble.stop();
});

async function startProcess(t: ExecutionContext, storageUrl: string): Promise<ProcessWorker> {
  const child = spawn(process.execPath, [entry, 'taskmanager', '--coord', ensemble.connectString, '--storage', storageUrl, '--slots', '4', '--session-timeout', '1000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => {
    child.kill('SIGKILL');
  });
  const lines: string[] = [];
  let waiting: (() => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  });
  const line = async (pattern: RegExp, nth = 1): Promise<string> => {
    for (;;) {
      const found = lines.filter((each) => pattern.test(each))[nth - 1];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const [, id, address] = /task manager (\S+) ready at (\S+),/.exec(await line(/ready at/)) as unknown as [string, string, string];
  return { id, address, child, lines, line };
}

async function gone(id: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.exists(`/drey/taskmanagers/${id}`, { watch: () => resolve() }).then((stat) => {
      if (stat === null) resolve();
    }, reject);
  });
}

test('registered with its address and slots; SIGTERM takes the znode away, lets go of the tasks and ends with 0', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startProcess(t, storageIn(dir));
  const { data } = await client.getData(`/drey/taskmanagers/${worker.id}`);
  t.like(JSON.parse(Buffer.from(data ?? []).toString()), { address: worker.address, slots: 4, pid: worker.child.pid });
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '100000', rate: '500' }), [worker], 1, null);
  worker.child.kill('SIGTERM');
  await gone(worker.id);
  await master.until(() => master.executionIds.every((id) => master.stateOf(id) === 'CANCELED'));
  if (worker.child.exitCode === null) await once(worker.child, 'exit');
  t.is(worker.child.exitCode, 0);
});

test('kill -9: the tasks connected to it fail at once, its znode goes with its session, another takes over, nothing is lost or twice', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const [stays, dies, spare] = await Promise.all([startProcess(t, storageIn(dir)), startProcess(t, storageIn(dir)), startProcess(t, storageIn(dir))]);
  const master = new TestMaster(t, 1);
  for (const worker of [stays, dies, spare]) await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000', rate: '500' }), [stays, dies], 1, null);
  const last = await master.checkpointInFlight(1);
  master.trigger(last.id + 1);
  dies.child.kill('SIGKILL');
  await master.until(() => master.executionIds.filter((id) => id.includes('/0/')).every((id) => master.stateOf(id) === 'FAILED'));
  await gone(dies.id);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000' }), [stays, spare], 2, last);
  await master.allInputEnded();
  await master.checkpoint(last.id + 2, { final: true });
  await master.finished();
  t.deepEqual(difference(await committedLines(out), recount(3000)), { missing: [], extra: [] });
});

test('stopped for longer than its session and continued: it takes no further step, registers again and is of use again', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const worker = await startProcess(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000', rate: '500' }), [worker], 1, null);
  const last = await master.checkpointInFlight(1);
  worker.child.kill('SIGSTOP');
  await gone(worker.id);
  // What is asked while it cannot hear must not be done afterwards.
  const next = last.id + 1;
  master.trigger(next);
  worker.child.kill('SIGCONT');
  await master.until(() => master.executionIds.every((id) => master.stateOf(id) === 'CANCELED'));
  t.false(master.of('ackCheckpoint').some(({ checkpointId }) => checkpointId === next));
  await worker.line(/registered as/, 2);
  t.not(await client.exists(`/drey/taskmanagers/${worker.id}`), null);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000' }), [worker], 2, last);
  await master.allInputEnded();
  await master.checkpoint(next + 1, { final: true });
  await master.finished();
  t.deepEqual(difference(await committedLines(out), recount(3000)), { missing: [], extra: [] });
});
