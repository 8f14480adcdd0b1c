/**
 * What is written to the input topic, and when. Records of a partition come in the order of event time, but for a bounded disorder; the last ones carry
 * no work and push event time past every window.
 */
import type { ClusterPlan } from '../plan/plan.ts';
import type { World } from '../world/world.ts';
import { DISORDER_MS, INPUT, WINDOW_MS, type InputRecord } from './jobs.ts';
import type { SimKafka } from './sim-kafka.ts';

const ORIGIN_MS = 1_700_000_000_000;
const KEYS = 7;
/** While the brokers are away, producers try again. */
const AGAIN_MS = 50;
/** The end of event time is far behind the last record. */
const END_MS = 3_600_000;

export class Feed {
  readonly #world: World;
  readonly #kafka: SimKafka;
  readonly #plan: ClusterPlan;
  /** What has been written, without the ends. */
  readonly records: InputRecord[] = [];
  #left: number;
  #ended = false;

  constructor(world: World, kafka: SimKafka, plan: ClusterPlan) {
    this.#world = world;
    this.#kafka = kafka;
    this.#plan = plan;
    this.#left = plan.records;
  }

  /** Everything has been written. */
  get ended(): boolean {
    return this.#ended;
  }

  start(): void {
    const prng = this.#world.streams('kafka/input');
    const stepMs = this.#plan.feedMs / Math.max(1, this.#plan.records);
    const next = (): void => {
      if (this.#kafka.away) {
        this.#world.schedule(AGAIN_MS, next);
        return;
      }
      const burst = Math.min(this.#left, prng.pick([1, 1, 2, 10]));
      const partition = prng.below(this.#kafka.topic(INPUT).length);
      for (let i = 0; i < burst; i++) this.#write(partition, prng.below(KEYS), ORIGIN_MS + Math.floor(this.#world.nowMs) - prng.below(DISORDER_MS));
      this.#left -= burst;
      if (this.#left > 0) this.#world.schedule(stepMs * burst * 2 * prng.float(), next);
    };
    this.#world.schedule(stepMs, next);
  }

  /** What is left is written at once, and then the ends. */
  finish(): void {
    const prng = this.#world.streams('kafka/input');
    const partitions = this.#kafka.topic(INPUT).length;
    for (; this.#left > 0; this.#left--) this.#write(prng.below(partitions), prng.below(KEYS), ORIGIN_MS + Math.floor(this.#world.nowMs) - prng.below(DISORDER_MS));
    for (let partition = 0; partition < partitions; partition++) {
      const t = ORIGIN_MS + END_MS + WINDOW_MS;
      this.#kafka.produce(INPUT, partition, [{ key: null, value: JSON.stringify({ id: `${partition}/end`, key: 'end', t, end: true }), timestampMs: t }]);
    }
    this.#ended = true;
  }

  #write(partition: number, key: number, t: number): void {
    const id = `${partition}/${this.#kafka.partition(INPUT, partition).log.nextOffset}`;
    const record: InputRecord = { id, key: `k${key}`, t };
    this.#kafka.produce(INPUT, partition, [{ key: null, value: JSON.stringify(record), timestampMs: t }]);
    this.records.push(record);
  }
}
