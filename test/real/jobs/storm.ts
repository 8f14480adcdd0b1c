/** As orchestrator/examples/wordcount.ts, with checkpoints often and restarts at once, however many. */
import { boundedOutOfOrderness, job, tumbling } from 'drey';
import { fileSink, fileSource } from 'drey/connectors';

export default job(
  'storm',
  (env, params) => {
    env
      .source(fileSource({ path: params.in, format: 'text' }), {
        uid: 'lines',
        timestamp: (line) => Number(line.slice(0, line.indexOf(' '))),
        watermarks: boundedOutOfOrderness(500),
      })
      .flatMap((line) => line.slice(line.indexOf(' ') + 1).toLowerCase().match(/\p{L}+/gu) ?? [])
      .keyBy((word) => word)
      .window(tumbling(1000))
      .aggregate({ create: () => 0, add: (n, _word: string) => n + 1, result: (n, word, window) => ({ word, windowStart: window.start, count: n }) }, { uid: 'count' })
      .sink(fileSink({ path: params.out, format: 'ndjson' }), { uid: 'out' });
  },
  { parallelism: 2, checkpoint: { intervalMs: 300, timeoutMs: 5000 }, restart: { type: 'fixed-delay', attempts: 100_000, delayMs: 50 } },
);
