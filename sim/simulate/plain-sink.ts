/** An at-least-once sink: what it takes is visible at once, and what a restarted task writes again is there twice. */
import { DreyError } from '../../coord/base/errors.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { Sink, SinkWriter } from '../../orchestrator/api/sink.ts';
import type { Life } from '../cluster/machine.ts';
import type { BrokerError } from '../cluster/sim-kafka.ts';
import type { TransactionalWorld } from '../cluster/transactional-sink.ts';

export function plainSink({ world, turns, kafka }: TransactionalWorld, topic: string): Sink<unknown> {
  return {
    description: topic,
    guarantee: 'at-least-once',
    createWriter: async (): Promise<SinkWriter<unknown>> => {
      const life = turns.current as Life;
      const prng = world.streams(`kafka/${life.name}`);
      return {
        write: async (values) => {
          try {
            await kafka.request(life, prng, true, () => void kafka.produce(topic, 0, values.map((value) => ({ key: null, value: JSON.stringify(value), timestampMs: 0 }))));
          } catch (error) {
            throw new DreyError('SINK_UNAVAILABLE', (error as BrokerError).message, { retryable: true });
          }
        },
        prepareCommit: async (): Promise<Json[]> => [],
        close: async () => undefined,
      };
    },
  };
}
