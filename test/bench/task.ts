/**
 * How many records a second one task manager takes through source -> flatMap -> keyBy -> window -> sink.
 *
 *   node test/bench/task.ts [--sentences 500000] [--lanes 1] [--counters 1]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { buildGraph, graphHash } from '../../orchestrator/graph/build-graph.ts';
import type { TaskDeployment, TaskLocation, TaskMetrics, WorkerMessage } from '../../orchestrator/rpc/messages.ts';
import { TaskManager } from '../../orchestrator/runtime/task-manager.ts';
import { bundlePath } from '../../orchestrator/storage/paths.ts';
import { openStorage } from '../../orchestrator/storage/storage.ts';
import { bundleJob } from '../../orchestrator/submit/bundle.ts';
import { loadBundle } from '../../orchestrator/submit/load-bundle.ts';

const { values } = parseArgs({ options: { sentences: { type: 'string', default: '500000' }, lanes: { type: 'string', default: '1' }, counters: { type: 'string', default: '1' } } });
const lanes = Number(values.lanes);
const params = { lanes: values.lanes, counters: values.counters, count: String(Math.floor(Number(values.sentences) / lanes)) };

const dir = await mkdtemp(join(tmpdir(), 'drey-bench-'));
const storageUrl = pathToFileURL(dir).href;
const bundle = await bundleJob(fileURLToPath(new URL('jobs/wordcount.ts', import.meta.url)));
await openStorage(storageUrl).put(bundlePath(bundle.hash), bundle.bytes);
const { graph, functions } = buildGraph(loadBundle(bundle.bytes, bundle.hash), params);

const manager = new TaskManager({ id: 'bench', slots: 4, storageUrl, nowMs: () => performance.now(), leaseRemainingMs: () => 60_000, log: () => undefined });
const seen: WorkerMessage[] = [];
let wake = (): void => undefined;
const master = {
  send: (message: WorkerMessage): void => {
    seen.push(message);
    wake();
  },
};
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    const failed = seen.find((message) => message.type === 'taskState' && message.report.state === 'FAILED');
    if (failed?.type === 'taskState') throw new Error(failed.report.error?.stack);
  }
}

const at = (vertexId: string, parallelism: number): { vertexId: string; subtasks: TaskLocation[] } => ({
  vertexId,
  subtasks: Array.from({ length: parallelism }, (_, subtask) => ({ executionId: `bench/${vertexId}/${subtask}/1`, taskManagerId: 'bench', address: '' })),
});
const tasks: TaskDeployment[] = [];
for (const vertex of graph.vertices) {
  const first = functions.get(vertex.id);
  const splits = first?.kind === 'source' ? await first.source.discoverSplits() : [];
  const neighbours = (mine: 'from' | 'to', other: 'from' | 'to'): TaskDeployment['upstream'] =>
    graph.edges.filter((edge) => edge[mine] === vertex.id).map((edge) => at(edge[other], graph.vertices.find(({ id }) => id === edge[other])?.parallelism ?? 0));
  for (const [subtask, { executionId }] of at(vertex.id, vertex.parallelism).subtasks.entries()) {
    tasks.push({
      executionId, jobId: 'bench', jobName: 'bench', vertexId: vertex.id, subtask, attempt: 1, bundleHash: bundle.hash, storageUrl, graphHash: graphHash(graph), params,
      downstream: neighbours('from', 'to'), upstream: neighbours('to', 'from'), splits: splits.filter((_, i) => i % vertex.parallelism === subtask), restore: null,
      checkpoint: { timeoutMs: 60_000 },
    });
  }
}

manager.onMessage(master, { type: 'hello', epoch: 1, masterId: 'bench' });
const startMs = performance.now();
manager.onMessage(master, { type: 'deploy', epoch: 1, tasks });
await until(() => seen.filter(({ type }) => type === 'inputEnded').length === lanes);
manager.onMessage(master, { type: 'triggerCheckpoint', epoch: 1, jobId: 'bench', checkpointId: 1, stop: false, final: true });
await until(() => seen.filter(({ type }) => type === 'ackCheckpoint').length === tasks.length);
const seconds = (performance.now() - startMs) / 1000;
manager.sendMetrics();
const metrics = seen.flatMap((message): readonly TaskMetrics[] => (message.type === 'metrics' ? message.tasks : []));
const sentences = metrics.filter(({ executionId }) => executionId.includes('source')).reduce((sum, { numRecordsIn }) => sum + numRecordsIn, 0);
const words = metrics.filter(({ executionId }) => !executionId.includes('source')).reduce((sum, { numRecordsIn }) => sum + numRecordsIn, 0);
console.log(`${sentences} sentences, ${words} words in ${seconds.toFixed(2)} s: ${Math.round(sentences / seconds)} sentences/s, ${Math.round(words / seconds)} words/s through keyBy`);
await manager.drain();
await rm(dir, { recursive: true, force: true });
