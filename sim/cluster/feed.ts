/**
 * What is written to the input topic, and when. Records of a partition come in the order of event time, but for a bounded disorder, and for a share that
 * comes later than that; the last ones carry no work and push event time past every window.
 */
import type { ClusterPlan } from '../plan/plan.ts';
import type { World } from '../world/world.ts';
import { DISORDER_MS, INPUT, WINDOW_MS, windowName, windowStart, type FedRecord, type InputRecord } from './jobs.ts';
import type { SimKafka } from './sim-kafka.ts';

const ORIGIN_MS = 1_700_000_000_000;
const KEYS = Array.from({ length: 7 }, (_, i) => `k${i}`);
/** A late record is older than the bound allows by up to this. */
const LATE_MS_MAX = 4000;
/** While the brokers are away, producers try again. */
const AGAIN_MS = 50;
/** The end of event time is far behind the last record. */
const END_MS = 3_600_000;

export class Feed {
  readonly #world: World;
  readonly #kafka: SimKafka;
  readonly #plan: ClusterPlan;
  /** What has been written, without the ends. */
  readonly records: FedRecord[] = [];
  /** Event time of the newest record of each partition. */
  readonly #newest = new Map<number, number>();
  readonly #isOut: (result: string) => boolean;
  #left: number;
  #ended = false;

  /** `isOut`: somebody has seen this result. */
  constructor(world: World, kafka: SimKafka, plan: ClusterPlan, isOut: (result: string) => boolean) {
    this.#world = world;
    this.#kafka = kafka;
    this.#plan = plan;
    this.#isOut = isOut;
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
      for (let i = 0; i < burst; i++) this.#write(partition, prng.pick(KEYS), ORIGIN_MS + Math.floor(this.#world.nowMs) - prng.below(DISORDER_MS) - this.#latenessMs());
      this.#left -= burst;
      if (this.#left > 0) this.#world.schedule(stepMs * burst * 2 * prng.float(), next);
    };
    this.#world.schedule(stepMs, next);
  }

  /** What is left is written at once, and then the ends. */
  finish(): void {
    const prng = this.#world.streams('kafka/input');
    const partitions = this.#kafka.topic(INPUT).length;
    for (; this.#left > 0; this.#left--) this.#write(prng.below(partitions), prng.pick(KEYS), ORIGIN_MS + Math.floor(this.#world.nowMs) - prng.below(DISORDER_MS));
    for (let partition = 0; partition < partitions; partition++) {
      const t = ORIGIN_MS + END_MS + WINDOW_MS;
      this.#kafka.produce(INPUT, partition, [{ key: null, value: JSON.stringify({ id: `${partition}/end`, key: 'end', t, end: true }), timestampMs: t }]);
    }
    this.#ended = true;
  }

  #latenessMs(): number {
    const { lateRecords = 0 } = this.#plan;
    if (lateRecords === 0) return 0;
    const prng = this.#world.streams('kafka/late');
    return prng.chance(lateRecords) ? DISORDER_MS + prng.below(LATE_MS_MAX) : 0;
  }

  #write(partition: number, key: string, t: number): void {
    const id = `${partition}/${this.#kafka.partition(INPUT, partition).log.nextOffset}`;
    const record: InputRecord = { id, key, t };
    this.#kafka.produce(INPUT, partition, [{ key: null, value: JSON.stringify(record), timestampMs: t }]);
    const newest = this.#newest.get(partition) ?? -Infinity;
    this.records.push({ ...record, inTime: this.#isInTime(t, newest) });
    this.#newest.set(partition, Math.max(newest, t));
  }

  /**
   * A task's event time is behind that of each partition. Where a window has been put out under one key, a checkpoint covers that event time was past
   * its end, in all tasks: barriers come behind the same watermarks everywhere.
   */
  #isInTime(t: number, newest: number): FedRecord['inTime'] {
    const start = windowStart(t);
    if (start + WINDOW_MS - 1 > newest - DISORDER_MS - 1) return 'yes';
    return KEYS.some((key) => this.#isOut(JSON.stringify(windowName(key, start)))) ? 'no' : 'perhaps';
  }
}
