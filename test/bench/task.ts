/**
 * How many records a second go through source -> flatMap -> keyBy -> window -> sink in one process: on one task manager by calls, on two
 * over loopback sockets, too.
 *
 *   node test/bench/task.ts [--sentences 500000] [--lanes 1] [--counters 1] [--managers 1]
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startWorker, storageIn, submit, temporaryDirectory, TestMaster } from '../orchestrator/runtime/harness.ts';

const { values } = parseArgs({
  options: {
    sentences: { type: 'string', default: '500000' },
    lanes: { type: 'string', default: '1' },
    counters: { type: 'string', default: '1' },
    managers: { type: 'string', default: '1' },
  },
});
const lanes = Number(values.lanes);
const params = { lanes: values.lanes, counters: values.counters, count: String(Math.floor(Number(values.sentences) / lanes)) };

const teardowns: (() => void | Promise<void>)[] = [];
const t = { teardown: (fn: () => void | Promise<void>): void => void teardowns.unshift(fn), log: console.log };
const dir = await temporaryDirectory(t);
const workers = [];
const master = new TestMaster(t, 1);
for (let i = 0; i < Number(values.managers); i++) {
  const worker = await startWorker(t, storageIn(dir));
  await master.connect(worker);
  workers.push(worker);
}
const job = await submit(storageIn(dir), fileURLToPath(new URL('jobs/wordcount.ts', import.meta.url)), params);
const startMs = performance.now();
// Each vertex begins one task manager further on, so that with two of them a lone source and a lone counter are apart.
await master.deploy(job, workers, 1, null, (vertex, subtask) => vertex + subtask);
await master.allInputEnded();
await master.checkpoint(1, { final: true });
const seconds = (performance.now() - startMs) / 1000;
await master.finished();
const sentences = Number(params.count) * lanes;
// Sentence i of a lane is number i mod 997, which has 4 + (i mod 7) words; see jobs/wordcount.ts.
let words = 0;
for (let i = 0; i < Number(params.count); i++) words += lanes * (4 + ((i % 997) % 7));
console.log(`${sentences} sentences, ${words} words in ${seconds.toFixed(2)} s: ${Math.round(sentences / seconds)} sentences/s, ${Math.round(words / seconds)} words/s through keyBy`);
for (const teardown of teardowns) await teardown();
