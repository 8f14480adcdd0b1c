/**
 * Made-up clicks, counted by page in windows of five seconds of event time: the generator as source, files as sink.
 *
 *   drey job submit clicks.ts --param out=/data/clicks
 */
import { boundedOutOfOrderness, job, tumbling } from 'drey';
import { datagenSource, fileSink } from 'drey/connectors';

interface Click {
  readonly page: string;
  readonly user: number;
  readonly atMs: number;
}

const PAGES = ['/', '/search', '/cart', '/checkout', '/account', '/help'];
const PER_SECOND = 500;
const FIRST_MS = 1_700_000_000_000;

export default job(
  'clicks',
  (env, params) => {
    env
      .source(
        datagenSource<Click>({
          seed: 'clicks', lanes: 2, recordsPerSecond: PER_SECOND,
          generate: (index, prng) => ({ page: prng.pick(PAGES), user: prng.below(1000), atMs: FIRST_MS + Math.floor((index * 1000) / PER_SECOND) }),
        }),
        { uid: 'clicks', timestamp: (click) => click.atMs, watermarks: boundedOutOfOrderness(1000) },
      )
      .keyBy((click) => click.page)
      .window(tumbling(5000))
      .aggregate({ create: () => 0, add: (n, _click: Click) => n + 1, result: (n, page, window) => ({ page, windowStart: window.start, clicks: n }) }, { uid: 'count' })
      .sink(fileSink({ path: params.out, format: 'ndjson' }), { uid: 'out' });
  },
  { parallelism: 2, checkpoint: { intervalMs: 2000 } },
);
