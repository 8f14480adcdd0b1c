/** From a topic to files, value by value. */
import { job } from 'drey';
import { fileSink, kafkaSource } from 'drey/connectors';

export default job(
  'copied',
  (env, params) => {
    env.source(kafkaSource({ brokers: params.brokers.split(','), topic: params.in, format: 'string' }), { uid: 'in' }).sink(fileSink({ path: params.out, format: 'text' }), { uid: 'out' });
  },
  { parallelism: 2, checkpoint: { intervalMs: 200 }, restart: { type: 'fixed-delay', attempts: 10_000, delayMs: 100 } },
);
