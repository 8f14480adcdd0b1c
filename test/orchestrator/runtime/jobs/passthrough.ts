/** Source, map and sink in one task: no channel, no keyed state, only positions and committables. */
import { job } from 'drey';
import { datagenSource, fileSink } from 'drey/connectors';

export default job(
  'passthrough',
  (env, params) => {
    env
      .source(datagenSource({ seed: 'passthrough', lanes: 4, count: Number(params.count), ...(params.rate === undefined ? {} : { recordsPerSecond: Number(params.rate) }), generate: (index) => index }), { uid: 'in' })
      .map((index) => ({ index }))
      .sink(fileSink({ path: params.out, format: 'ndjson' }), { uid: 'out' });
  },
  { parallelism: 2 },
);
