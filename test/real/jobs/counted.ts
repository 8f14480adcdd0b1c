/** As test/orchestrator/runtime/jobs/windowed.ts, with checkpoints often and restarts at once. */
import { boundedOutOfOrderness, job, tumbling } from 'drey';
import { datagenSource, fileSink } from 'drey/connectors';

export default job(
  'counted',
  (env, params) => {
    env
      .source(
        datagenSource({
          seed: 'windowed',
          lanes: 4,
          count: Number(params.count),
          recordsPerSecond: Number(params.rate),
          generate: (_index, prng) => Array.from({ length: prng.between(1, 5) }, () => `w${prng.below(50)}`).join(' '),
          timestampOf: (index) => 1_700_000_000_000 + index * 10,
        }),
        { uid: 'in', watermarks: boundedOutOfOrderness(100) },
      )
      .flatMap((line) => line.split(' '))
      .keyBy((word) => word)
      .window(tumbling(1000))
      .aggregate({ create: () => ({ n: 0 }), add: (acc, _word: string) => ((acc.n += 1), acc), result: (acc, word, window) => ({ word, start: window.start, n: acc.n }) }, { uid: 'count' })
      .sink(fileSink({ path: params.out, format: 'ndjson' }), { uid: 'out' });
  },
  { parallelism: 2, checkpoint: { intervalMs: 100, retained: 2 }, restart: { type: 'fixed-delay', attempts: 100, delayMs: 10 } },
);
