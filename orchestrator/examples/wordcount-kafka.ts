/**
 * Counts words in windows of one second of event time, from a topic to a topic. Input values are "<ms since 1970> <text>"; an output value is
 * the JSON of one word and window.
 *
 *   drey job submit wordcount-kafka.ts --param brokers=127.0.0.1:9092 --param in=lines --param out=counts
 */
import { boundedOutOfOrderness, job, tumbling } from 'drey';
import { kafkaSink, kafkaSource } from 'drey/connectors';

interface WordCount {
  readonly word: string;
  readonly windowStart: number;
  readonly count: number;
}

export default job(
  'wordcount-kafka',
  (env, params) => {
    const brokers = params.brokers.split(',');
    env
      .source(kafkaSource({ brokers, topic: params.in, format: 'string' }), {
        uid: 'lines',
        timestamp: (line) => Number(line.slice(0, line.indexOf(' '))),
        watermarks: boundedOutOfOrderness(500, { idleAfterMs: 2000 }),
      })
      .flatMap((line) => line.slice(line.indexOf(' ') + 1).toLowerCase().match(/\p{L}+/gu) ?? [])
      .keyBy((word) => word)
      .window(tumbling(1000))
      .aggregate({ create: () => 0, add: (n, _word: string) => n + 1, result: (n, word, window): WordCount => ({ word, windowStart: window.start, count: n }) }, { uid: 'count' })
      .sink(kafkaSink<WordCount>({ brokers, topic: params.out, format: 'json', key: (value) => value.word }), { uid: 'out' });
  },
  { parallelism: 2, checkpoint: { intervalMs: 1000 } },
);
