/** Word count by event-time windows over made-up sentences; for test/bench/task.ts. The sink only counts. */
import { boundedOutOfOrderness, count, job, tumbling } from 'drey';
import { datagenSource } from 'drey/connectors';

const sentences = Array.from({ length: 997 }, (_, i) => Array.from({ length: 4 + (i % 7) }, (_word, j) => `word${(i * 31 + j * j * 7) % 500}`).join(' '));

export default job('bench', (env, params) => {
  env
    .source(datagenSource({ seed: 1, lanes: Number(params.lanes), count: Number(params.count), generate: (index) => sentences[index % sentences.length] as string, timestampOf: (index) => index }), {
      parallelism: Number(params.lanes),
      watermarks: boundedOutOfOrderness(100),
    })
    .flatMap((line) => line.split(' '))
    .keyBy((word) => word)
    .window(tumbling(10_000))
    .aggregate(count(), { parallelism: Number(params.counters) })
    .sink({
      description: 'counter',
      guarantee: 'at-least-once',
      createWriter: async () => ({ write: async () => undefined, prepareCommit: async () => [], close: async () => undefined }),
    });
});
