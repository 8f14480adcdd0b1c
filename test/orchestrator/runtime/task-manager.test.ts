import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { WebSocket } from 'ws';
import { BATCH_RECORDS_MAX, CHANNEL_CREDITS } from '../../../orchestrator/exchange/limits.ts';
import type { Checkpoint } from './harness.ts';
import { committedLines, startWorker, storageIn, submit, temporaryDirectory, TestMaster } from './harness.ts';
import { difference, recount } from './recount.ts';

const windowed = fileURLToPath(new URL('jobs/windowed.ts', import.meta.url));
const gated = fileURLToPath(new URL('jobs/gated.ts', import.meta.url));
const commits = fileURLToPath(new URL('jobs/commits.ts', import.meta.url));

test('a bounded job runs to its end on two task managers', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const workers = [await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir))];
  const master = new TestMaster(t, 1);
  for (const worker of workers) await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000' }), workers, 1, null);
  await master.allInputEnded();
  await master.checkpoint(1, { final: true });
  await master.finished();
  t.deepEqual(difference(await committedLines(out), recount(3000)), { missing: [], extra: [] });
});

test('a task manager dies: redeployed from the last complete checkpoint, each record counts once', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const [stays, dies, spare] = [await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir))];
  const master = new TestMaster(t, 1);
  for (const worker of [stays, dies, spare]) await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000', rate: '500' }), [stays, dies], 1, null);
  const last = await master.checkpointInFlight(1);
  // Written, acked or not, but never complete: the next attempt must not keep it.
  master.trigger(last.id + 1);
  await master.until(() => master.of('ackCheckpoint').some(({ checkpointId }) => checkpointId === last.id + 1));

  const survivors = master.executionIds.filter((id) => id.includes('/0/'));
  dies.abandon();
  // Both ends of the broken channels say so; none of them is to blame for good.
  await master.until(() => survivors.every((id) => master.stateOf(id) === 'FAILED'));
  for (const { report } of master.of('taskState').filter(({ report: { state } }) => state === 'FAILED')) {
    t.regex(report.error?.message ?? '', /channel (to|from) .* is broken/);
    t.true(report.error?.retryable);
  }

  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000' }), [stays, spare], 2, last);
  await master.checkpoint(last.id + 2);
  await master.allInputEnded();
  await master.checkpoint(last.id + 3, { final: true });
  await master.finished();
  t.deepEqual(difference(await committedLines(out), recount(3000)), { missing: [], extra: [] });
});

test('a second connection of the same master that goes away leaves it the first, and nothing that was said meanwhile is lost', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startWorker(t, storageIn(dir));
  const [first, second] = [new TestMaster(t, 1), new TestMaster(t, 1)];
  await first.connect(worker);
  // It was taken for the former process at this address, and dialled as that one, too.
  await second.connect(worker);
  await first.deploy(await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '3000' }), [worker], 1, null);
  first.send(worker, { type: 'hello', epoch: 1, masterId: 'test' });
  second.send(worker, { type: 'hello', epoch: 1, masterId: 'test' });
  await second.until(() => second.of('registered').length === 2);
  second.close();
  await first.allInputEnded();
  await first.checkpoint(1, { final: true });
  await first.finished();
  t.pass();
});

test('stop with a checkpoint, then go on from it with another parallelism: nothing lost, nothing twice, no window early', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const workers = [await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir))];
  const master = new TestMaster(t, 1);
  for (const worker of workers) await master.connect(worker);
  // Slow at first, so that the stops fall into the middle; at last as fast as can be.
  const params = { out, count: '3000', rate: '500' };
  await master.deploy(await submit(storageIn(dir), windowed, params), workers, 1, null);
  let stopped = await master.checkpoint((await master.checkpointInFlight(1)).id + 1, { stop: true });
  await master.finished();
  t.true(stopped.states.some(({ keyedStateFile }) => keyedStateFile !== null), 'windows that are not over stay in the state');

  await master.deploy(await submit(storageIn(dir), windowed, params, { parallelism: 3 }), workers, 2, stopped);
  stopped = await master.checkpoint((await master.checkpointInFlight(stopped.id + 1)).id + 1, { stop: true });
  await master.finished();

  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000' }, { parallelism: 1 }), workers, 3, stopped);
  await master.allInputEnded();
  await master.checkpoint(stopped.id + 1, { final: true });
  await master.finished();
  t.deepEqual(difference(await committedLines(out), recount(3000)), { missing: [], extra: [] });
});

test('what was staged for an aborted checkpoint is committed with the next one', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '500' }), [worker], 1, null);
  await master.allInputEnded();
  master.trigger(1, { final: true });
  const aborted = await master.acked(1);
  t.true(aborted.states.some(({ committables }) => committables.length > 0));
  master.abort(1);
  t.deepEqual(await committedLines(out), []);
  const next = await master.checkpoint(2, { final: true });
  await master.finished();
  const committables = ({ states }: Checkpoint): string[] => states.flatMap((state) => state.committables.map((committable) => JSON.stringify(committable))).sort();
  t.deepEqual(committables(next), committables(aborted));
  t.deepEqual(difference(await committedLines(out), recount(500)), { missing: [], extra: [] });
});

test('a stale master is refused; a new one finds the tasks running and hears again what it missed', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const worker = await startWorker(t, storageIn(dir));
  const old = new TestMaster(t, 10);
  await old.connect(worker);
  await old.deploy(await submit(storageIn(dir), windowed, { out, count: '500' }), [worker], 1, null);
  await old.allInputEnded();

  const successor = new TestMaster(t, 11);
  await successor.connect(worker);
  const [registered] = successor.of('registered');
  t.deepEqual(registered?.tasks.map(({ executionId, state }) => [executionId, state]).sort(), old.executionIds.map((id) => [id, 'RUNNING']).sort());
  await successor.allInputEnded(old.executionIds);

  old.trigger(1, { final: true });
  old.send(worker, { type: 'cancel', epoch: 10, executionIds: old.executionIds });
  await old.until(() => old.of('fenced').length === 2);
  t.deepEqual(old.of('fenced'), [{ type: 'fenced', epoch: 11 }, { type: 'fenced', epoch: 11 }]);

  // The tasks are those of the old master's deployment; only who commands them is new.
  const asks = new TestMaster(t, 11);
  await asks.connect(worker);
  t.true(asks.of('registered')[0]?.tasks.every(({ state, ackedCheckpointId }) => state === 'RUNNING' && ackedCheckpointId === 0));
});

test('a lost coord session stops the tasks by the lease, and nothing is taken in before there is a session again', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  const job = await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '100000', rate: '1000' });
  await master.deploy(job, [worker], 1, null);
  worker.session.leaseMs = 0;
  await master.until(() => master.executionIds.every((id) => master.stateOf(id) === 'CANCELED'));

  void master.deploy(job, [worker], 2, null);
  await master.until(() => master.executionIds.every((id) => id.endsWith('/2') && master.stateOf(id) === 'FAILED'));
  worker.session.leaseMs = 60_000;
  await master.deploy(job, [worker], 3, null);
  t.true(master.executionIds.every((id) => master.stateOf(id) === 'RUNNING'));
});

test('drain says goodbye: the znode goes first, then the tasks', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startWorker(t, storageIn(dir));
  t.deepEqual([...worker.session.znodes], [`/drey/taskmanagers/${worker.id}`]);
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '100000', rate: '1000' }), [worker], 1, null);
  const drained = worker.drain();
  await master.until(() => master.of('taskState').some(({ report }) => report.state === 'CANCELING'));
  t.deepEqual([...worker.session.znodes], []);
  await drained;
});

test('user code that throws fails its task, with the place in the source; the process goes on', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  void master.deploy(await submit(storageIn(dir), fileURLToPath(new URL('jobs/poison.ts', import.meta.url)), {}), [worker], 1, null);
  await master.until(() => master.of('taskState').some(({ report }) => report.state === 'FAILED'));
  const error = master.of('taskState').find(({ report }) => report.state === 'FAILED')?.report.error;
  t.regex(error?.message ?? '', /^check \(.*jobs\/poison\.ts:\d+:\d+\): TypeError: no sevens$/);
  t.regex(error?.stack ?? '', /at check \(.*jobs\/poison\.ts:6:\d+\)/);
  t.true(error?.retryable);

  master.send(worker, { type: 'logs', epoch: 1, requestId: 5, jobId: 'job-1', tailLines: 100 });
  await master.until(() => master.of('logs').length > 0);
  t.true(master.of('logs')[0]?.lines.some((line) => line.includes('no sevens')));
});

test('a bundle or graph that is not what was submitted is refused, and no restart would help', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  const job = await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '10' });
  void master.deploy({ ...job, params: { ...job.params, count: '11' } }, [worker], 1, null);
  await master.until(() => master.of('taskState').some(({ report }) => report.state === 'FAILED'));
  const error = master.of('taskState').find(({ report }) => report.state === 'FAILED')?.report.error;
  t.regex(error?.message ?? '', /another graph/);
  t.false(error?.retryable);
});

test('a sink that takes nothing stops the source, over sockets, too; a checkpoint goes through when it takes again', async (t) => {
  const dir = await temporaryDirectory(t);
  const [gate, out] = [join(dir, 'gate'), join(dir, 'out')];
  const workers = [await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir))];
  const master = new TestMaster(t, 1);
  for (const worker of workers) await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), gated, { gate, out }), workers, 1, null);
  const read = (): number[] => master.of('metrics').flatMap(({ tasks }) => tasks.filter(({ executionId }) => executionId.includes('/in/')).map(({ numRecordsIn }) => numRecordsIn));
  // Three reports with the same number: it has stopped.
  await master.until(() => read().length >= 3 && new Set(read().slice(-3)).size === 1);
  const held = read().at(-1) as number;
  // Two channels with their credits, what each sink has in hand, and what one batch of the source puts in line behind them.
  t.true(held > 0 && held <= 2 * CHANNEL_CREDITS * BATCH_RECORDS_MAX + 2 * BATCH_RECORDS_MAX, `${held}`);
  const metrics = master.of('metrics').findLast(({ tasks }) => tasks.some(({ executionId }) => executionId.includes('/in/')));
  t.true((metrics?.tasks.find(({ executionId }) => executionId.includes('/in/'))?.backPressuredTimeMsPerSecond ?? 0) > 500);
  master.trigger(1, { stop: true });
  await writeFile(gate, '');
  const { states } = await master.acked(1);
  master.complete(1);
  await master.finished();
  const position = states.find(({ vertexId }) => vertexId === 'in')?.splits['lane-0']?.position;
  const lines = (await committedLines(out)).map(Number).sort((a, b) => a - b);
  t.deepEqual(lines, Array.from({ length: position as number }, (_, i) => i));
});

test('state that cannot be stored declines the checkpoint, and the next one goes through', async (t) => {
  const dir = await temporaryDirectory(t);
  const out = join(dir, 'out');
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out, count: '3000', rate: '500' }), [worker], 1, null);
  const last = await master.checkpointInFlight(1);
  const jobDirectory = join(dir, 'storage', 'job-1');
  await rm(jobDirectory, { recursive: true });
  await writeFile(jobDirectory, 'in the way');
  master.trigger(last.id + 1);
  await master.until(() => master.of('declineCheckpoint').some(({ checkpointId }) => checkpointId === last.id + 1));
  t.regex(master.of('declineCheckpoint')[0]?.reason ?? '', /state could not be stored: cannot write job-1\/chk-/);
  master.abort(last.id + 1);
  await rm(jobDirectory);
  await master.checkpoint(last.id + 2);
  t.true(master.executionIds.every((id) => master.stateOf(id) === 'RUNNING'));
});

test('a commit that fails fails the task; the next attempt commits first, from the checkpoint', async (t) => {
  const dir = await temporaryDirectory(t);
  const [fail, out] = [join(dir, 'fail'), join(dir, 'out')];
  await writeFile(fail, '');
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 1);
  await master.connect(worker);
  const job = await submit(storageIn(dir), commits, { fail, out });
  await master.deploy(job, [worker], 1, null);
  await master.allInputEnded();
  const checkpoint = await master.checkpoint(1, { final: true });
  await master.until(() => master.stateOf('job-1/in/0/1') === 'FAILED');
  t.like(master.of('taskState').at(-1)?.report.error, { message: 'the target is away', retryable: true });
  await rm(fail);
  await master.deploy(job, [worker], 2, checkpoint);
  t.is(await readFile(out, 'utf8'), '[1,2,3]\n');
  await master.allInputEnded();
  await master.checkpoint(2, { final: true });
  await master.finished();
  t.is(await readFile(out, 'utf8'), '[1,2,3]\n');
});

test('channels to an address where another task manager listens now are broken, not silent', async (t) => {
  const dir = await temporaryDirectory(t);
  const workers = [await startWorker(t, storageIn(dir)), await startWorker(t, storageIn(dir))];
  const master = new TestMaster(t, 1);
  for (const worker of workers) await master.connect(worker);
  const [first, second] = workers as [(typeof workers)[0], (typeof workers)[0]];
  void master.deploy(await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '10' }), [first, { ...second, id: 'tm-of-old' }], 1, null);
  await master.until(() => master.of('taskState').some(({ report }) => report.error?.message.includes(`this is task manager ${second.id}`) === true && report.error.retryable));
  t.pass();
});

test('strangers on its port are turned away, and nothing else happens', async (t) => {
  const dir = await temporaryDirectory(t);
  const worker = await startWorker(t, storageIn(dir));
  const master = new TestMaster(t, 5);
  await master.connect(worker);
  await master.deploy(await submit(storageIn(dir), windowed, { out: join(dir, 'out'), count: '100000', rate: '500' }), [worker], 1, null);
  for (const path of ['rpc', 'data']) {
    for (const frame of [Buffer.from('hello'), Buffer.from([0xc0]), Buffer.from([0x05]), Buffer.from([0x90]), Buffer.from([0x80]), Buffer.from([0xc1])]) {
      const socket = new WebSocket(`ws://${worker.address}/${path}`);
      await once(socket, 'open');
      socket.send(frame);
      const [code] = (await once(socket, 'close')) as [number];
      t.is(code, 1002, `${path} ${frame.toString('hex')}`);
    }
  }
  const [host, port] = worker.address.split(':') as [string, string];
  for (const target of ['//', '/rpc?x', '/other', '*']) {
    const socket = connect(Number(port), host);
    const origin = target === '/rpc?x' ? 'Origin: http://elsewhere\r\n' : '';
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${origin}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`);
    socket.resume();
    await once(socket, 'close');
  }
  t.is(worker.manager.epoch, 5);
  t.true(worker.manager.reports.every(({ state }) => state === 'RUNNING'));
});
