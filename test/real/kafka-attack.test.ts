/** A job that reads a real Kafka: the broker is killed and comes back, a worker too, and partitions are added. Nothing is lost or twice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import kafkajs from 'kafkajs';
import { readJob } from '../../orchestrator/ha/job-store.ts';
import { addressOf, cluster, drey, until, view } from '../lib/job-processes.ts';
import { committedLines } from '../orchestrator/runtime/harness.ts';
import { startEnsemble } from '../tools/ensemble.ts';
import { kafkaPomDir, startKafka } from '../tools/kafka.ts';
import { realPart } from '../tools/maven.ts';

const copied = fileURLToPath(new URL('jobs/copied.ts', import.meta.url));
const missing = await realPart(kafkaPomDir);

(missing === null ? test : test.skip)(`broker killed, worker killed, partitions added${missing === null ? '' : ` (skipped: ${missing})`}`, async (t) => {
  t.timeout(100_000);
  const dir = mkdtempSync(join(tmpdir(), 'drey-kafka-attack-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  let kafka = await startKafka({ dir });
  t.teardown(() => kafka.stop());
  const ensemble = await startEnsemble({ servers: 1, config: { tickTime: 200 } });
  t.teardown(() => ensemble.stop());
  const { coord, coordClient, storage, out, jobManager, taskManager } = await cluster(t, ensemble.connectString, 'kafka');
  const client = new kafkajs.Kafka({ brokers: [kafka.bootstrap], logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 50, maxRetryTime: 1000 } });
  const admin = client.admin();
  await admin.connect();
  t.teardown(() => admin.disconnect().catch(() => undefined));
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic: 'lines', numPartitions: 5 }] });
  const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  t.teardown(() => producer.disconnect().catch(() => undefined));
  let sent = 0;
  const send = async (partitions: number): Promise<void> => {
    for (let batch = 0; batch < 20; batch++) await producer.send({ topic: 'lines', acks: -1, messages: Array.from({ length: 50 }, () => ({ partition: sent % partitions, value: `line ${sent++}` })) });
  };

  const master = jobManager();
  await master.line(/leads/);
  const workers = [taskManager(), taskManager()];
  for (const worker of workers) await worker.line(/ready at/);
  const { stdout, stderr } = await drey(['job', 'submit', copied, '--coord', coord, '--storage', storage, '--param', `brokers=${kafka.bootstrap}`, '--param', 'in=lines', '--param', `out=${out}`, '--json']);
  t.not(stdout, '', stderr);
  const jobId = (JSON.parse(stdout) as { id: string }).id;
  const all = (): Promise<unknown> => until(() => committedLines(out).catch(() => []), (lines) => lines.length >= sent);
  await send(5);
  await all();

  await kafka.kill();
  kafka = await startKafka({ dir });
  await send(5);
  await all();

  await admin.createPartitions({ topicPartitions: [{ topic: 'lines', count: 8 }] });
  await until(async () => view(await addressOf(master), jobId), ({ splits }) => splits.length === 8);
  await producer.disconnect();
  await producer.connect();
  await send(8);
  workers[0]?.child.kill('SIGKILL');
  taskManager();
  await send(8);
  await all();

  await drey(['job', 'stop', jobId, '--coord', coord, '--wait']);
  t.is((await readJob(coordClient, jobId))?.record.status, 'FINISHED');
  const lines = await committedLines(out);
  t.deepEqual(lines.toSorted(), Array.from({ length: sent }, (_, i) => `line ${i}`).toSorted());
});
