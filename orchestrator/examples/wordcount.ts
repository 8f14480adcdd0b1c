/**
 * Counts words in windows of one second of event time. Input: a directory of files whose lines are "<ms since 1970> <text>";
 * output: one line of JSON for each word and window.
 *
 *   drey job submit wordcount.ts --param in=/data/in --param out=/data/out
 */
import { boundedOutOfOrderness, job, tumbling } from 'drey';
import { fileSink, fileSource } from 'drey/connectors';

export default job(
  'wordcount',
  (env, params) => {
    env
      .source(fileSource({ path: params.in, format: 'text', ...(params.bounded === 'true' ? { bounded: true } : {}) }), {
        uid: 'lines',
        timestamp: (line) => Number(line.slice(0, line.indexOf(' '))),
        watermarks: boundedOutOfOrderness(500, { idleAfterMs: 2000 }),
      })
      .flatMap((line) => line.slice(line.indexOf(' ') + 1).toLowerCase().match(/\p{L}+/gu) ?? [])
      .keyBy((word) => word)
      .window(tumbling(1000))
      .aggregate({ create: () => 0, add: (n, _word: string) => n + 1, result: (n, word, window) => ({ word, windowStart: window.start, count: n }) }, { uid: 'count' })
      .sink(fileSink({ path: params.out, format: 'ndjson' }), { uid: 'out' });
  },
  { parallelism: 2, checkpoint: { intervalMs: 1000 } },
);
