/**
 * An exactly-once sink over Kafka transactions, by the contract of orchestrator/api/sink.ts: one transaction between two barriers, each with an id of
 * its own, so that an EndTxn that comes late finds no other transaction. What a restored checkpoint does not name is aborted before anything is written.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { Sink, SinkContext, SinkWriter } from '../../orchestrator/api/sink.ts';
import type { World } from '../world/world.ts';
import type { Life, Turns } from './machine.ts';
import type { BrokerError, SimKafka } from './sim-kafka.ts';
import type { ProducerIdentity, SimTransactions } from './sim-transactions.ts';

export interface TransactionalSinkOptions {
  readonly topic: string;
  readonly transactionTimeoutMs: number;
  /** Seeded defects, for the judges' own tests. */
  readonly commitsEarly?: boolean;
}

export interface TransactionalWorld {
  readonly world: World;
  readonly turns: Turns;
  readonly kafka: SimKafka;
  readonly transactions: SimTransactions;
}

const BACKOFF_MS = 200;
const UNAVAILABLE_MS_MAX = 15_000;

interface Committable {
  readonly transactionalId: string;
  readonly id: string;
  readonly epoch: number;
}

export function transactionalSink(at: TransactionalWorld, options: TransactionalSinkOptions): Sink<Json> {
  return {
    description: `transactional(${options.topic})`,
    guarantee: 'exactly-once',
    async recover(context) {
      const door = new Door(at, context);
      const prefix = transactionPrefix(context);
      for (const transactionalId of await door.ask(() => at.transactions.open(prefix), false)) {
        const [attempt, checkpointId] = transactionalId.slice(prefix.length).split('/').map(Number) as [number, number];
        // A newer attempt's are none of its business; and what the restored checkpoint may name is about to be committed.
        if (attempt >= context.attempt || checkpointId <= context.restoredCheckpointId) continue;
        await door.ask(() => at.transactions.init(transactionalId, options.transactionTimeoutMs), true);
      }
    },
    async createWriter(context) {
      const writer = new TransactionalWriter(at, options, context);
      await writer.begin(context.restoredCheckpointId);
      return writer;
    },
    async commit(committables, context) {
      const door = new Door(at, context);
      for (const { transactionalId, id, epoch } of committables as unknown as Committable[]) {
        try {
          await door.ask(() => at.transactions.end({ transactionalId, id: BigInt(id), epoch }, true), true);
        } catch (error) {
          throw new DreyError('TRANSACTION_LOST', `${transactionalId} cannot be committed: ${(error as Error).message}`, { retryable: error instanceof DreyError && error.retryable });
        }
      }
    },
  };
}

function transactionPrefix({ jobId, sinkId, subtask }: SinkContext): string {
  return `${jobId}/${sinkId}/${subtask}/`;
}

/** Asks the brokers until they answer. */
class Door {
  readonly #at: TransactionalWorld;
  readonly #context: SinkContext;
  readonly #life: Life;

  constructor(at: TransactionalWorld, context: SinkContext) {
    this.#at = at;
    this.#context = context;
    this.#life = at.turns.current as Life;
  }

  async ask<R>(take: () => R, writes: boolean): Promise<R> {
    const { clock, timers } = this.#context;
    const sinceMs = clock.monotonicMs();
    for (;;) {
      try {
        return await this.#at.kafka.request(this.#life, this.#at.world.streams(`kafka/${this.#life.name}`), writes, take);
      } catch (error) {
        const { retriable, message } = error as BrokerError;
        if (!retriable) throw error;
        if (clock.monotonicMs() - sinceMs > UNAVAILABLE_MS_MAX) throw new DreyError('KAFKA_UNAVAILABLE', message, { retryable: true });
      }
      await new Promise<void>((resolve) => {
        timers.after(BACKOFF_MS, resolve);
      });
    }
  }
}

class TransactionalWriter implements SinkWriter<Json> {
  readonly #at: TransactionalWorld;
  readonly #options: TransactionalSinkOptions;
  readonly #context: SinkContext;
  readonly #door: Door;
  #producer: ProducerIdentity | null = null;
  #written = 0;
  /** The batches that the brokers have of this transaction: what is sent again is not taken twice. */
  #taken = 0;
  #turn = 0;

  constructor(at: TransactionalWorld, options: TransactionalSinkOptions, context: SinkContext) {
    this.#at = at;
    this.#options = options;
    this.#context = context;
    this.#door = new Door(at, context);
  }

  /** The transaction of what comes after this checkpoint; it can belong to a later one only. */
  async begin(checkpointId: number): Promise<void> {
    const transactionalId = `${transactionPrefix(this.#context)}${this.#context.attempt}/${checkpointId + 1}`;
    this.#written = 0;
    this.#taken = 0;
    this.#producer = await this.#door.ask(() => this.#at.transactions.init(transactionalId, this.#options.transactionTimeoutMs), true);
  }

  async write(values: readonly Json[]): Promise<void> {
    const producer = this.#producer as ProducerIdentity;
    const { topic } = this.#options;
    const partition = this.#turn++ % this.#at.kafka.topic(topic).length;
    const batch = ++this.#written;
    try {
      await this.#door.ask(() => {
        if (this.#taken >= batch) return;
        this.#at.transactions.produce(producer, topic, partition, values.map((value) => ({ key: null, value: JSON.stringify(value), timestampMs: 0 })));
        this.#taken = batch;
      }, true);
    } catch (error) {
      throw error instanceof DreyError ? error : new DreyError('KAFKA_SEND_FAILED', (error as Error).message, { retryable: true, cause: error });
    }
  }

  async prepareCommit(checkpointId: number): Promise<Json[]> {
    const { transactionalId, id, epoch } = this.#producer as ProducerIdentity;
    if (this.#written === 0) this.#at.world.marks.hit('empty transaction');
    const committables = this.#written === 0 ? [] : [{ transactionalId, id: String(id), epoch }];
    if (this.#options.commitsEarly === true && this.#producer !== null && this.#written > 0) {
      const producer = this.#producer;
      await this.#door.ask(() => this.#at.transactions.end(producer, true), true);
    }
    await this.begin(checkpointId);
    return committables;
  }

  async close(): Promise<void> {}
}
