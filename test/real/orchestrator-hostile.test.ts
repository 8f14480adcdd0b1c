/** Strangers at the ports of a job manager and a task manager: nothing dies, nothing grows, the job goes on in the same attempts. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import test from 'ava';
import { Packr, unpack } from 'msgpackr';
import { WebSocket } from 'ws';
import { Prng } from '../../coord/base/prng.ts';
import { addressOf, cluster, drey, submitted, until, view } from '../lib/job-processes.ts';
import { startEnsemble } from '../tools/ensemble.ts';

let ensemble: Awaited<ReturnType<typeof startEnsemble>>;
test.before(async () => {
  ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
});
test.after.always(() => ensemble.stop());

const pack = (value: unknown): Buffer => new Packr({ moreTypes: true }).pack(value);

function residentKb(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
/** Sends bytes and waits until the other side hangs up or says nothing more is to come. */
async function raw(address: string, bytes: Buffer | string): Promise<string> {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect(Number(port), host);
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  // A request is answered only while its asker listens; noise ends.
  if (typeof bytes === 'string') socket.write(bytes);
  else socket.end(bytes);
  await once(socket, 'close');
  return answer;
}
/** Sends frames; those that are answered by a goodbye end the connection. */
async function frames(url: string, all: readonly Buffer[]): Promise<void> {
  const socket = new WebSocket(url);
  socket.on('error', () => undefined);
  await once(socket, 'open');
  for (const frame of all) socket.send(frame);
  socket.close();
  await once(socket, 'close');
}

test('random bytes, garbage messages and an old epoch change nothing', async (t) => {
  t.timeout(60_000);
  const { coord, coordClient, storage, out, jobManager, taskManager } = await cluster(t, ensemble.connectString, 'hostile');
  const [master, worker] = [jobManager(), taskManager('--session-timeout', '4000')];
  await master.line(/leads/);
  const workerAddress = (await worker.line(/ready at (\S+),/))[1] as string;
  const masterAddress = await addressOf(master);
  // Somebody's notes where task managers register.
  await coordClient.create('/drey/taskmanagers/notes', 'not JSON');
  await coordClient.create('/drey/taskmanagers/other', '{"address":"::::","slots":"many"}');
  const jobId = await submitted(coord, storage, out, 1_000_000, 200);
  const before = await until(() => view(masterAddress, jobId), ({ status, checkpoints }) => status === 'RUNNING' && checkpoints.completed.length > 0);
  const memoryKb = [residentKb(master.child.pid), residentKb(worker.child.pid)] as const;

  const prng = new Prng('hostile');
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => prng.below(256)));
  for (const address of [masterAddress, workerAddress]) {
    for (let i = 0; i < 20; i++) await raw(address, noise(prng.between(1, 5000)));
    for (const target of ['//', '/%', '/jobs/%ff', '/jobs/..%2f..', '/jobs/%00', '*', `/${'x'.repeat(10_000)}`, '/jobs/__proto__', `/jobs/${jobId}/logs?lines=1e99`]) {
      const answer = await raw(address, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      t.regex(answer, /^HTTP\/1\.1 [45]\d\d /, target.slice(0, 30));
    }
  }

  const element = { type: 'records', values: [1], timestamps: [1] };
  const messages: unknown[] = [
    null, 1, 'x', [], {}, { type: 'hello' }, { type: 'hello', epoch: 'x' }, { type: 'hello', epoch: 1 }, { type: 'deploy', epoch: 1 },
    ...[{}, null, { executionId: 'a/b/0/1', jobId: 'a' }].map((task) => ({ type: 'deploy', epoch: before.epoch, tasks: [task] })),
    { type: 'deploy', epoch: before.epoch }, { type: 'cancel', epoch: before.epoch }, { type: 'addSplits', epoch: before.epoch, executionId: before.tasks[0]?.executionId },
    { type: 'triggerCheckpoint', epoch: before.epoch, jobId, checkpointId: 'x' }, { type: 'nonsense', epoch: before.epoch },
    { type: 'cancel', epoch: before.epoch - 1, executionIds: before.tasks.map(({ executionId }) => executionId) },
  ];
  const dataFrames: unknown[] = [
    [0, 'not-me'], [0], [1], [1, 'x', {}, []], [2], [2, 0, null], [2, 'x', element], [3, -1], [4, 0, 10], [99, 1], { length: 3 },
    ...before.tasks.map(({ executionId }) => [1, 0, 'nobody', executionId]),
  ];
  for (const message of messages) await frames(`ws://${workerAddress}/rpc`, [pack(message)]);
  for (const frame of dataFrames) await frames(`ws://${workerAddress}/data`, [pack(frame), pack([2, 0, { type: 'unknown' }]), pack([2, 0, null])]);
  for (let i = 0; i < 100; i++) await frames(`ws://${workerAddress}/${prng.pick(['rpc', 'data'])}`, [noise(prng.between(1, 200))]);
  // Channels to tasks that will never be, of which nothing may stay when the connection goes.
  for (let i = 0; i < 5; i++) await frames(`ws://${workerAddress}/data`, Array.from({ length: 20_000 }, (_, channel) => pack([1, channel, 'x'.repeat(50), `${i}-${channel}`])));

  const stale = new WebSocket(`ws://${workerAddress}/rpc`);
  await once(stale, 'open');
  stale.send(pack({ type: 'cancel', epoch: before.epoch - 1, executionIds: before.tasks.map(({ executionId }) => executionId) }));
  const [answer] = (await once(stale, 'message')) as [Buffer];
  t.deepEqual(unpack(answer), { type: 'fenced', epoch: before.epoch });
  stale.terminate();

  const after = await until(() => view(masterAddress, jobId), ({ lastCheckpointId }) => lastCheckpointId > before.lastCheckpointId + 1);
  t.deepEqual(after.tasks.map(({ executionId, state }) => [executionId, state]), before.tasks.map(({ executionId }) => [executionId, 'RUNNING']), JSON.stringify(after.failures));
  t.is(after.epoch, before.epoch);
  const grownKb = [residentKb(master.child.pid) - memoryKb[0], residentKb(worker.child.pid) - memoryKb[1]];
  t.true(grownKb.every((kb) => kb < 200_000), `grew by ${grownKb.join(', ')} KB`);
  t.is((await drey(['job', 'cancel', jobId, '--coord', coord, '--wait'])).code, 0);
});
