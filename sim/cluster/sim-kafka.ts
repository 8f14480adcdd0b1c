/**
 * A Kafka cluster as its clients see it, at the port where connectors/kafka meets kafkajs: leaders that move, brokers that are away, acknowledgements
 * that are lost, partitions that are added, and transactions with their coordinator (sim-transactions.ts). The product's reader and sink run
 * unchanged over it. Log contents survive everything: replication is not what is tested here.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Prng } from '../../coord/base/prng.ts';
import type { FetchedPartition, FetchLimits, KafkaClient, KafkaConnection, KafkaDriver, KafkaErrorCode, KafkaProducer } from '../../connectors/kafka/client.ts';
import type { World } from '../world/world.ts';
import { groupBy } from './group-by.ts';
import { PartitionLog } from './kafka-log.ts';
import type { Life, Turns } from './machine.ts';
import type { LogRecord } from './record-batch.ts';

export const KAFKA = 'kafka';
const BROKERS = 3;
/** How long a client waits for a broker that does not answer. */
const REQUEST_TIMEOUT_MS = 3000;
const NO_LEADER: KafkaErrorCode = { type: 'NOT_LEADER_OR_FOLLOWER', message: 'this broker does not lead the partition', retriable: true };
const OUT_OF_RANGE: KafkaErrorCode = { type: 'OFFSET_OUT_OF_RANGE', message: 'the offset is not within the log', retriable: false };

export interface Partition {
  readonly log: PartitionLog;
  leader: number;
  /** Clients that wait for something to read. */
  readonly waiting: Set<() => void>;
}

/** What went wrong at a broker, with Kafka's name for it: as kafkajs throws it. */
export class BrokerError extends Error {
  readonly type: string;
  readonly retriable: boolean;

  constructor(type: string, retriable: boolean) {
    super(`the broker answered ${type}`);
    this.name = 'BrokerError';
    this.type = type;
    this.retriable = retriable;
  }
}

export class SimKafka {
  readonly #world: World;
  readonly #turns: Turns;
  readonly #topics = new Map<string, Partition[]>();
  #away = false;
  /** Machines that cannot reach the brokers. */
  readonly cutOff = new Set<string>();
  #lostAcks = 0;
  #nextProducerId = 1000n;

  constructor(world: World, turns: Turns) {
    this.#world = world;
    this.#turns = turns;
  }

  // ------------------------------------------------------------ what is there

  createTopic(name: string, partitions: number): void {
    this.#topics.set(name, []);
    this.addPartitions(name, partitions);
  }
  addPartitions(name: string, partitions: number): void {
    const topic = this.topic(name);
    for (let i = 0; i < partitions; i++) topic.push({ log: new PartitionLog(), leader: 1 + (topic.length % BROKERS), waiting: new Set() });
  }
  topic(name: string): Partition[] {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new RangeError(`no topic ${name}`);
    return topic;
  }
  partition(name: string, partition: number): Partition {
    const found = this.topic(name)[partition];
    if (found === undefined) throw new BrokerError('UNKNOWN_TOPIC_OR_PARTITION', true);
    return found;
  }
  get partitions(): Partition[] {
    return [...this.#topics.values()].flat();
  }

  /** By somebody who does not go through the network: the world. */
  produce(name: string, partition: number, records: readonly LogRecord[]): number {
    const to = this.partition(name, partition);
    const offset = to.log.append(records);
    this.changed(to);
    return offset;
  }
  changed({ waiting }: Partition): void {
    for (const wake of waiting) wake();
  }
  producerId(): bigint {
    return this.#nextProducerId++;
  }

  // ------------------------------------------------------------ faults

  get away(): boolean {
    return this.#away;
  }
  set away(away: boolean) {
    this.#away = away;
  }
  /** The next answers to whoever writes are lost: what was asked for has taken place. */
  loseAcks(times: number): void {
    this.#lostAcks += times;
  }
  heal(): void {
    this.#away = false;
    this.#lostAcks = 0;
    this.cutOff.clear();
    for (const [i, partition] of this.partitions.entries()) if (partition.leader === -1) partition.leader = 1 + (i % BROKERS);
  }

  // ------------------------------------------------------------ how it is asked

  /**
   * One request of `life`, answered after a while. `take` is carried out at the broker, and may throw a BrokerError. Rejects retryably where no
   * broker can be reached, and where the answer is lost.
   */
  request<R>(life: Life, prng: Prng, writes: boolean, take: () => R): Promise<R> {
    return new Promise((resolve, reject) => {
      const thereMs = 0.3 + prng.float() * 2;
      const backMs = 0.3 + prng.float() * 2;
      life.schedule(thereMs, () => {
        if (this.#away || this.cutOff.has(life.name)) {
          life.schedule(prng.chance(0.5) ? backMs : REQUEST_TIMEOUT_MS, () => reject(new BrokerError('BROKER_NOT_AVAILABLE', true)));
          return;
        }
        let result: R;
        try {
          result = take();
        } catch (error) {
          life.schedule(backMs, () => reject(error as Error));
          return;
        }
        const isLost = writes && this.#lostAcks > 0;
        if (isLost) {
          this.#lostAcks -= 1;
          this.#world.marks.hit('ack lost');
          this.#world.trace(KAFKA, 'ack lost', { by: life.name });
        }
        life.schedule(isLost ? REQUEST_TIMEOUT_MS : backMs, () => (isLost ? reject(new BrokerError('REQUEST_TIMED_OUT', true)) : resolve(result)));
      });
    });
  }

  /** For `driver` of a Kafka connection: whoever runs now is the one who asks. */
  get driver(): KafkaDriver {
    const whoever = (): Life => {
      const { current } = this.#turns;
      if (current === null) throw new TypeError('nobody runs who could ask Kafka');
      return current;
    };
    return {
      openClient: (connection) => new SimKafkaClient(this, whoever(), this.#world, connection),
      openProducer: async () => new SimProducer(this, whoever(), this.#world),
    };
  }
}

class SimKafkaClient implements KafkaClient {
  readonly #kafka: SimKafka;
  readonly #life: Life;
  readonly #prng: Prng;
  readonly #connection: KafkaConnection;
  #closed = false;

  constructor(kafka: SimKafka, life: Life, world: World, connection: KafkaConnection) {
    this.#kafka = kafka;
    this.#life = life;
    this.#prng = world.streams(`kafka/${life.name}`);
    this.#connection = connection;
  }

  leaders(topic: string): Promise<Map<number, number>> {
    return this.#ask(`metadata of topic ${topic}`, () => new Map(this.#kafka.topic(topic).map(({ leader }, i) => [i, leader])));
  }

  offsets(topic: string, leaders: ReadonlyMap<number, number>, which: 'earliest' | 'latest'): Promise<Map<number, number>> {
    return this.#ask(`offsets of topic ${topic}`, () => new Map([...leaders.keys()].map((partition) => [partition, this.#kafka.partition(topic, partition).log[which === 'earliest' ? 'startOffset' : 'nextOffset']])));
  }

  async fetch(nodeId: number, topic: string, from: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchedPartition[]> {
    const what = `fetch of topic ${topic} from broker ${nodeId}`;
    const look = (): FetchedPartition[] => [...from].map(([number, offset]) => {
      const { log, leader } = this.#kafka.partition(topic, number);
      const error = leader !== nodeId ? NO_LEADER : log.holds(offset) ? null : OUT_OF_RANGE;
      const { records, aborted } = error === null ? log.read(offset, limits.partitionBytesMax) : { records: Buffer.alloc(0), aborted: [] };
      return { partition: number, error, highWatermark: log.nextOffset, lastStableOffset: log.lastStableOffset, aborted, records };
    });
    const answer = await this.#ask(what, look);
    if (answer.some(({ error, records }) => error !== null || records.length > 0)) return answer;
    await this.#something(topic, [...from.keys()], limits.waitMsMax);
    return this.#ask(what, look);
  }

  /** The broker holds the answer back until there is something, or for a time. */
  #something(topic: string, partitions: readonly number[], waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const woken = (): void => {
        for (const number of partitions) this.#kafka.partition(topic, number).waiting.delete(woken);
        this.#life.run(resolve);
      };
      for (const number of partitions) this.#kafka.partition(topic, number).waiting.add(woken);
      this.#life.schedule(waitMs, woken);
    });
  }

  async reset(): Promise<void> {}
  async close(): Promise<void> {
    this.#closed = true;
  }

  async #ask<R>(what: string, take: () => R): Promise<R> {
    if (this.#closed) throw new DreyError('KAFKA_UNAVAILABLE', `${what}: the client is closed`, { retryable: true });
    try {
      return await this.#kafka.request(this.#life, this.#prng, false, take);
    } catch (error) {
      throw new DreyError('KAFKA_UNAVAILABLE', `${what} (${this.#connection.brokers.join(',')}): ${(error as Error).message}`, { retryable: (error as BrokerError).retriable ?? false, cause: error });
    }
  }
}

/** An idempotent producer, which numbers what it sends: what the broker has already is not taken twice. */
class SimProducer implements KafkaProducer {
  readonly #kafka: SimKafka;
  readonly #life: Life;
  readonly #prng: Prng;
  /** By partition: the sequence number of the next record. */
  readonly #next = new Map<number, number>();
  readonly #taken = new Map<number, number>();
  #closed = false;

  constructor(kafka: SimKafka, life: Life, world: World) {
    this.#kafka = kafka;
    this.#life = life;
    this.#prng = world.streams(`kafka/${life.name}`);
  }

  async send({ topic, messages }: Parameters<KafkaProducer['send']>[0]): ReturnType<KafkaProducer['send']> {
    if (this.#closed) throw new BrokerError('PRODUCER_CLOSED', false);
    const byPartition = groupBy(messages, ({ partition }) => partition ?? 0);
    for (const [number, ofPartition] of byPartition) {
      const first = this.#next.get(number) ?? 0;
      await this.#kafka.request(this.#life, this.#prng, true, () => {
        const partition = this.#kafka.partition(topic, number);
        if (partition.leader === -1) throw new BrokerError('LEADER_NOT_AVAILABLE', true);
        if ((this.#taken.get(number) ?? 0) > first) return;
        partition.log.append(ofPartition.map(({ key, value, timestamp }) => ({ key: key === null || key === undefined ? null : String(key), value: String(value), timestampMs: Number(timestamp ?? 0) })));
        this.#taken.set(number, first + ofPartition.length);
        this.#kafka.changed(partition);
      });
      this.#next.set(number, first + ofPartition.length);
    }
    return [];
  }

  async disconnect(): Promise<void> {
    this.#closed = true;
  }
}
