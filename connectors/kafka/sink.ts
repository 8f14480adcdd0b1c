/**
 * Writes values to a Kafka topic. At-least-once: at a barrier everything written so far has been acknowledged by all in-sync replicas, and what
 * was written after the last complete checkpoint is written again when the task restarts. The producer is idempotent, so its own retries do
 * not repeat records; a restarted task's do.
 */
import type { Message } from 'kafkajs';
import { DreyError } from '../../coord/base/errors.ts';
import type { Clock, Timers } from '../../coord/base/ports.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { Sink, SinkContext, SinkWriter } from '../../orchestrator/api/sink.ts';
import { openClient, openProducer, partitioner, type KafkaConnection, type KafkaProducer } from './client.ts';
import { encodeValue, type KafkaFormat } from './format.ts';

export interface KafkaSinkOptions<T> extends KafkaConnection {
  readonly topic: string;
  /** How values are written; 'string' without it. */
  readonly format?: KafkaFormat;
  /**
   * Records with equal keys go to the same partition (by murmur2, as the Java client's do). Without it they are spread. Partitions are those
   * that the topic has when the task starts.
   */
  readonly key?: (value: T) => string | null;
  /** Event time of a value in ms since 1970; the time of sending without it. */
  readonly timestampOf?: (value: T) => number;
}

/** One send holds at most this much: all records of one send to one partition are one batch, and brokers take 1 MiB by default. */
const SEND_BYTES_MAX = 512 * 1024;
/** Waiting for the send in flight. */
const QUEUED_BYTES_MAX = 1024 * 1024;
/** A broker that is away for longer fails the task. */
const UNAVAILABLE_MS_MAX = 30_000;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 1000;
/** What kafkajs adds to a record, roughly. */
const RECORD_OVERHEAD_BYTES = 32;

export function kafkaSink<T>(options: KafkaSinkOptions<T>): Sink<T> {
  const { topic, brokers } = options;
  if (brokers.length === 0) throw new DreyError('CONNECTOR_BAD_OPTION', `the Kafka sink of topic ${topic} has no brokers`);
  return {
    description: `kafka(${topic})`,
    guarantee: 'at-least-once',
    createWriter: async (context) => {
      const client = openClient(options);
      let partitions: number[];
      try {
        partitions = [...(await client.leaders(topic)).keys()];
      } finally {
        await client.close();
      }
      try {
        return new KafkaWriter<T>(options, partitioner(topic, partitions, context.subtask), await openProducer(options), context);
      } catch (error) {
        throw sendError(topic, error);
      }
    },
  };
}

interface Queued {
  readonly message: Message;
  readonly bytes: number;
}

class KafkaWriter<T> implements SinkWriter<T> {
  readonly #options: KafkaSinkOptions<T>;
  readonly #partitionOf: (key: string | null) => number;
  readonly #producer: KafkaProducer;
  readonly #clock: Clock;
  readonly #timers: Timers;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** Runs while there is something to send. */
  #pump: Promise<void> | null = null;
  /** The send in flight. */
  #sending: Promise<void> = Promise.resolve();
  #failure: DreyError | null = null;

  constructor(options: KafkaSinkOptions<T>, partitionOf: (key: string | null) => number, producer: KafkaProducer, { clock, timers }: SinkContext) {
    this.#clock = clock;
    this.#timers = timers;
    this.#options = options;
    this.#partitionOf = partitionOf;
    this.#producer = producer;
  }

  async write(values: readonly T[]): Promise<void> {
    for (const value of values) {
      this.#enqueue(value);
      this.#startPump();
      while (this.#queuedBytes > QUEUED_BYTES_MAX && this.#failure === null) await this.#room();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async prepareCommit(_checkpointId: number): Promise<Json[]> {
    this.#startPump();
    await this.#pump;
    if (this.#failure !== null) throw this.#failure;
    return [];
  }

  /** What no prepareCommit has asked for may stay unsent. */
  async close(): Promise<void> {
    this.#failure ??= new DreyError('KAFKA_SEND_FAILED', `kafka(${this.#options.topic}): the writer is closed`, { retryable: true });
    await this.#producer.disconnect();
  }

  #enqueue(value: T): void {
    const { format, key, timestampOf } = this.#options;
    const encoded = encodeValue(format ?? 'string', value);
    const recordKey = key?.(value) ?? null;
    const bytes = Buffer.byteLength(encoded) + (recordKey === null ? 0 : Buffer.byteLength(recordKey)) + RECORD_OVERHEAD_BYTES;
    this.#queue.push({ bytes, message: { key: recordKey, value: encoded, partition: this.#partitionOf(recordKey), ...(timestampOf ? { timestamp: String(timestampOf(value)) } : {}) } });
    this.#queuedBytes += bytes;
  }

  /** The send in flight is over; right after the pump's start, it has begun. */
  async #room(): Promise<void> {
    await this.#sending;
    await this.#turn();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#timers.endOfTurn(resolve);
    });
  }

  #startPump(): void {
    if (this.#pump === null && this.#queue.length > 0 && this.#failure === null) this.#pump = this.#sendAll();
  }

  /** One send after the other, each with what has queued up meanwhile. */
  async #sendAll(): Promise<void> {
    // A turn later, so that the values of one write go out together.
    await this.#turn();
    while (this.#queue.length > 0 && this.#failure === null) {
      this.#sending = this.#send(this.#take());
      await this.#sending;
    }
    this.#pump = null;
  }

  /**
   * kafkajs gives up early on a broker that is restarting. Sending the same records to the same partitions again is what it does itself: the
   * sequence numbers stand as they were, and the broker drops what it has already.
   */
  async #send(messages: Message[]): Promise<void> {
    let failingSinceMs: number | null = null;
    for (let backoffMs = BACKOFF_MS_MIN; this.#failure === null; backoffMs = Math.min(2 * backoffMs, BACKOFF_MS_MAX)) {
      try {
        await this.#producer.send({ topic: this.#options.topic, acks: -1, messages });
        return;
      } catch (error) {
        const nowMs = this.#clock.monotonicMs();
        failingSinceMs ??= nowMs;
        const failure = sendError(this.#options.topic, error);
        const again = failure.retryable && !isLostProducer(error) && nowMs - failingSinceMs < UNAVAILABLE_MS_MAX;
        if (!again) this.#failure ??= failure;
        else await new Promise<void>((resolve) => {
          this.#timers.after(backoffMs, resolve);
        });
      }
    }
  }

  #take(): Message[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes + (this.#queue[count] as Queued).bytes <= SEND_BYTES_MAX)) bytes += (this.#queue[count++] as Queued).bytes;
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count).map(({ message }) => message);
  }
}

const hopeless = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED', 'INVALID_TOPIC_EXCEPTION', 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'INVALID_TIMESTAMP']);

/** The broker has forgotten this producer or taken another for it: only a new one can go on, and the task's restart brings one. */
const lostProducer = new Set(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID', 'INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED']);

function isLostProducer(error: unknown): boolean {
  return lostProducer.has(kafkaType(error) ?? '');
}

function sendError(topic: string, error: unknown): DreyError {
  return new DreyError('KAFKA_SEND_FAILED', `kafka(${topic}): ${(error as Error).message}`, { retryable: !hopeless.has(kafkaType(error) ?? ''), cause: error });
}

/** Kafka's name of the error, which kafkajs may have wrapped. */
function kafkaType(error: unknown): string | undefined {
  for (let at = error as { type?: string; cause?: unknown } | undefined; at !== undefined; at = at.cause as typeof at) if (at.type !== undefined) return at.type;
  return undefined;
}
