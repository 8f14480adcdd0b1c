/**
 * The one door to Kafka: whatever of kafkajs the connectors use is used here, so that another driver can take its place.
 *
 * kafkajs has no manual assignment, so the source fetches by itself, through kafkajs's own broker objects: they bring connections, TLS, SASL,
 * version negotiation and request encoding. The answers are decoded here and in record-batch.ts, since kafkajs's decoder loses what a
 * source must know: batches that compaction emptied, the offset where a batch ends, checksums (docs/decisions/0010-kafka-consumer.md).
 */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Kafka, KafkaConfig, Producer } from 'kafkajs';
import { DreyError } from '../../coord/base/errors.ts';
import { repairIdleTimer } from './idle-timer.ts';

export interface KafkaConnection {
  /** host:port of some brokers of the cluster. */
  readonly brokers: readonly string[];
  readonly clientId?: string;
  readonly ssl?: Exclude<KafkaConfig['ssl'], undefined>;
  readonly sasl?: Exclude<KafkaConfig['sasl'], undefined>;
  /** What speaks to the brokers; kafkajs without it. The simulator's does not need any. */
  readonly driver?: KafkaDriver;
}

export interface KafkaDriver {
  openClient(connection: KafkaConnection): KafkaClient;
  openProducer(connection: KafkaConnection): Promise<KafkaProducer>;
}

/** Requests to the brokers of one cluster. Every failure is a DreyError; after a retryable one call reset() before the next request. */
export interface KafkaClient {
  /** The partitions of a topic with the broker that leads each, -1 when none does. */
  leaders(topic: string): Promise<Map<number, number>>;
  /** The first offset, or the high watermark, of each partition. */
  offsets(topic: string, leaders: ReadonlyMap<number, number>, which: 'earliest' | 'latest'): Promise<Map<number, number>>;
  /** One fetch of several partitions from the broker that leads them, with committed transactions only. */
  fetch(nodeId: number, topic: string, from: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchedPartition[]>;
  /** Drops all connections: a broker that was restarted, or moved, is found again from the brokers given at first. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** An idempotent producer; as much of kafkajs's as the sink uses. */
export type KafkaProducer = Pick<Producer, 'send' | 'disconnect'>;

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** One partition of an answer; `error` is Kafka's name of an error code, null for none. */
export interface FetchedPartition {
  readonly partition: number;
  readonly error: KafkaErrorCode | null;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Record batches as they lie in the log; the last one may be cut, the first may begin before the offset asked for. */
  readonly records: Buffer;
}

export interface KafkaErrorCode {
  readonly type: string;
  readonly message: string;
  readonly retriable: boolean;
}

export interface FetchLimits {
  readonly waitMsMax: number;
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
}

const FETCH_VERSION = 11;
const CONNECTION_TIMEOUT_MS = 3000;
const REQUEST_TIMEOUT_MS = 10_000;
const TIMESTAMP = { earliest: '-2', latest: '-1' };
const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;

// ---------------------------------------------------------------- what we use of kafkajs's insides

interface Encoded {
  readonly request: { readonly apiVersion: number };
  readonly response: { decode(payload: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> };
  readonly requestTimeout?: number;
}
interface RequestDefinition {
  protocol(options: { version: number }): (parameters: object) => Encoded;
}
interface Connection {
  readonly socket?: { destroy(): void };
  readonly requestQueue: { rejectAll(error: Error): void };
}
interface ConnectionPool {
  readonly host: string;
  readonly port: number;
  readonly pool: readonly Connection[];
  send(encoded: Encoded): Promise<unknown>;
  destroy(): Promise<void>;
}
interface Broker {
  readonly connectionPool: ConnectionPool;
  readonly versions: Readonly<Record<number, { minVersion: number; maxVersion: number }>>;
  connect(): Promise<void>;
  isConnected(): boolean;
  lookupRequest(apiKey: number, definition: RequestDefinition): (parameters: object) => Encoded;
}
interface Metadata {
  readonly brokers: readonly { nodeId: number; host: string; port: number }[];
  readonly topicMetadata: readonly { topicErrorCode: number; topic: string; partitionMetadata: readonly { partitionErrorCode: number; partitionId: number; leader: number }[] }[];
}
interface ListedOffsets {
  readonly responses: readonly { partitions: readonly { partition: number; errorCode: number; offset: string }[] }[];
}
interface Internals {
  readonly kafkajs: typeof import('kafkajs');
  readonly Broker: new (options: object) => Broker;
  readonly connectionPoolBuilder: (options: object) => { build(at?: { host: string; port: number }): Promise<ConnectionPool> };
  readonly socketFactory: () => unknown;
  readonly requests: Readonly<Record<'Fetch' | 'Metadata' | 'ListOffsets', RequestDefinition>>;
  readonly apiKeys: Readonly<Record<'Fetch' | 'Metadata' | 'ListOffsets', number>>;
  readonly createErrorFromCode: (code: number) => KafkaErrorCode;
  readonly crc32c: (bytes: Buffer) => number;
  readonly codecs: Readonly<Record<number, () => { decompress(bytes: Buffer): Promise<Buffer> }>>;
}

let loaded: Internals | null = null;

/** Loaded at first use: a job without Kafka does not pay for it. */
function internals(): Internals {
  if (loaded !== null) return loaded;
  const require = createRequire(import.meta.url);
  repairIdleTimer();
  loaded = {
    kafkajs: require('kafkajs') as typeof import('kafkajs'),
    Broker: require('kafkajs/src/broker') as Internals['Broker'],
    connectionPoolBuilder: require('kafkajs/src/cluster/connectionPoolBuilder') as Internals['connectionPoolBuilder'],
    socketFactory: require('kafkajs/src/network/socketFactory') as Internals['socketFactory'],
    requests: (require('kafkajs/src/protocol/requests') as { requests: Internals['requests'] }).requests,
    apiKeys: require('kafkajs/src/protocol/requests/apiKeys') as Internals['apiKeys'],
    createErrorFromCode: (require('kafkajs/src/protocol/error') as { createErrorFromCode: Internals['createErrorFromCode'] }).createErrorFromCode,
    crc32c: require('kafkajs/src/protocol/recordBatch/crc32C') as Internals['crc32c'],
    codecs: (require('kafkajs/src/protocol/message/compression') as { Codecs: Internals['codecs'] }).Codecs,
  };
  return loaded;
}

/** CRC-32C of a record batch, from its attributes to its end. */
export function crc32c(bytes: Buffer): number {
  return internals().crc32c(bytes);
}

const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Codec as in a batch's attributes. Throws DreyError KAFKA_NO_CODEC for what neither Node nor kafkajs can decompress. */
export async function decompress(codec: number, bytes: Buffer): Promise<Buffer> {
  if (codec === 4 && 'zstdDecompress' in zlib) return promisify(zlib.zstdDecompress)(bytes);
  try {
    return await (internals().codecs[codec] as Internals['codecs'][number])().decompress(bytes);
  } catch (error) {
    if ((error as Error).name !== 'KafkaJSNotImplemented') throw error;
    throw new DreyError('KAFKA_NO_CODEC', `records are compressed with ${codecNames[codec] ?? codec}, which this version cannot decompress (gzip and zstd it can)`);
  }
}

// ---------------------------------------------------------------- reading

export function openClient(connection: KafkaConnection): KafkaClient {
  return connection.driver?.openClient(connection) ?? new KafkajsClient(connection);
}

class KafkajsClient implements KafkaClient {
  readonly #connection: KafkaConnection;
  #builder: ReturnType<Internals['connectionPoolBuilder']> | null = null;
  #brokers = new Map<number, Broker>();
  #seed: Broker | null = null;
  #closed = false;

  constructor(connection: KafkaConnection) {
    this.#connection = connection;
  }

  async leaders(topic: string): Promise<Map<number, number>> {
    return this.#asking(`metadata of topic ${topic}`, async () => {
      const { requests, apiKeys } = internals();
      const broker = await this.#anyBroker();
      const { request, response } = broker.lookupRequest(apiKeys.Metadata, requests.Metadata)({ topics: [topic], allowAutoTopicCreation: false });
      // kafkajs's own parse() throws when a single partition has no leader; the others can be read.
      const metadata = (await broker.connectionPool.send({ request, response: { decode: (payload) => response.decode(payload), parse: async (data) => data } })) as Metadata;
      const found = metadata.topicMetadata.find((one) => one.topic === topic);
      if (found === undefined || found.topicErrorCode !== 0) throw this.topicError(topic, found?.topicErrorCode ?? 3);
      await this.#adopt(metadata);
      return new Map(found.partitionMetadata.map(({ partitionId, leader }) => [partitionId, leader] as const).sort(([a], [b]) => a - b));
    });
  }

  async offsets(topic: string, leaders: ReadonlyMap<number, number>, which: 'earliest' | 'latest'): Promise<Map<number, number>> {
    return this.#asking(`offsets of topic ${topic}`, async () => {
      const { requests, apiKeys } = internals();
      const offsets = new Map<number, number>();
      await Promise.all(
        [...new Set(leaders.values())].map(async (nodeId) => {
          const partitions = [...leaders].filter(([, leader]) => leader === nodeId);
          const broker = await this.#broker(nodeId);
          const { request, response } = broker.lookupRequest(apiKeys.ListOffsets, requests.ListOffsets)({
            isolationLevel: READ_UNCOMMITTED,
            topics: [{ topic, partitions: partitions.map(([partition]) => ({ partition, timestamp: TIMESTAMP[which] })) }],
          });
          const { responses } = (await broker.connectionPool.send({ request, response })) as ListedOffsets;
          for (const { partition, offset } of responses.flatMap((one) => one.partitions)) offsets.set(partition, Number(offset));
        }),
      );
      return offsets;
    });
  }

  async fetch(nodeId: number, topic: string, from: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchedPartition[]> {
    return this.#asking(`fetch of topic ${topic} from broker ${nodeId}`, async () => {
      const { requests, apiKeys } = internals();
      const broker = await this.#broker(nodeId);
      if ((broker.versions[apiKeys.Fetch]?.maxVersion ?? 0) < FETCH_VERSION) {
        throw new DreyError('KAFKA_TOO_OLD', `the brokers of topic ${topic} do not know Fetch version ${FETCH_VERSION}: Kafka 2.3 or newer is needed`);
      }
      const { request } = requests.Fetch.protocol({ version: FETCH_VERSION })({
        isolationLevel: READ_COMMITTED,
        maxWaitTime: limits.waitMsMax,
        minBytes: 1,
        maxBytes: limits.bytesMax,
        topics: [{ topic, partitions: [...from].map(([partition, fetchOffset]) => ({ partition, fetchOffset, maxBytes: limits.partitionBytesMax })) }],
      });
      const response = { decode: async (payload: Buffer) => decodeFetchResponse(payload), parse: async (data: unknown) => data };
      const answer = (await broker.connectionPool.send({ request, response, requestTimeout: limits.waitMsMax + REQUEST_TIMEOUT_MS })) as FetchAnswer;
      if (answer.errorCode !== 0) throw internals().createErrorFromCode(answer.errorCode);
      return answer.partitions;
    });
  }

  topicError(topic: string, code: number): DreyError {
    const error = internals().createErrorFromCode(code);
    if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') return new DreyError('KAFKA_NO_TOPIC', `topic ${topic} is not on ${this.#connection.brokers.join(',')}`, { retryable: true });
    return new DreyError('KAFKA_REFUSED', `topic ${topic}: ${error.message} (${error.type})`, { retryable: error.retriable });
  }

  async reset(): Promise<void> {
    const gone = [...this.#brokers.values(), ...(this.#seed ? [this.#seed] : [])];
    this.#brokers = new Map();
    this.#seed = null;
    await Promise.all([...new Set(gone)].map(drop));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.reset();
  }

  async #asking<R>(what: string, ask: () => Promise<R>): Promise<R> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof DreyError) throw error;
      const { message, retriable } = error as Error & { retriable?: boolean };
      throw new DreyError('KAFKA_UNAVAILABLE', `${what}: ${message}`, { retryable: retriable ?? false, cause: error });
    }
  }

  #pools(): ReturnType<Internals['connectionPoolBuilder']> {
    const { connectionPoolBuilder, socketFactory } = internals();
    const { brokers, ssl, sasl, clientId } = this.#connection;
    this.#builder ??= connectionPoolBuilder({
      socketFactory: socketFactory(), brokers: [...brokers], ssl, sasl, clientId: clientId ?? 'drey', logger: silent,
      connectionTimeout: CONNECTION_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, enforceRequestTimeout: true, maxInFlightRequests: null,
    });
    return this.#builder;
  }

  async #anyBroker(): Promise<Broker> {
    const connected = [...this.#brokers.values()].find((broker) => broker.isConnected());
    if (connected !== undefined) return connected;
    this.#seed ??= await this.#connect(undefined);
    return this.#seed;
  }

  async #broker(nodeId: number): Promise<Broker> {
    const broker = this.#brokers.get(nodeId);
    if (broker === undefined) throw new DreyError('KAFKA_UNAVAILABLE', `no broker ${nodeId} is known`, { retryable: true });
    if (!broker.isConnected()) await broker.connect();
    return broker;
  }

  async #connect(at: { host: string; port: number } | undefined): Promise<Broker> {
    const broker = await this.#make(at);
    await broker.connect();
    if (this.#closed) {
      await drop(broker);
      throw new DreyError('KAFKA_UNAVAILABLE', 'the client is closed', { retryable: true });
    }
    return broker;
  }

  async #make(at: { host: string; port: number } | undefined): Promise<Broker> {
    return new (internals().Broker)({ connectionPool: await this.#pools().build(at), logger: silent, allowAutoTopicCreation: false });
  }

  /** Brokers that metadata no longer name are dropped, and so are those that moved. */
  async #adopt(metadata: Metadata): Promise<void> {
    const before = this.#brokers;
    const now = new Map<number, Broker>();
    for (const { nodeId, host, port } of metadata.brokers) {
      const known = [before.get(nodeId), this.#seed].find((broker) => broker?.connectionPool.host === host && broker.connectionPool.port === port);
      now.set(nodeId, known ?? (await this.#make({ host, port })));
    }
    this.#brokers = now;
    const kept = new Set(now.values());
    await Promise.all([...before.values()].filter((broker) => !kept.has(broker)).map(drop));
  }
}

const noLog = (): void => undefined;
const silent = { info: noLog, error: noLog, warn: noLog, debug: noLog, setLogLevel: noLog, namespace: (): unknown => silent };

/** kafkajs waits for requests in flight before it disconnects, and a fetch may take its whole waiting time. */
async function drop(broker: Broker): Promise<void> {
  for (const { requestQueue } of broker.connectionPool.pool) requestQueue.rejectAll(new DreyError('KAFKA_UNAVAILABLE', 'the connection was closed', { retryable: true }));
  await broker.connectionPool.destroy();
  for (const { socket } of broker.connectionPool.pool) socket?.destroy();
}

interface FetchAnswer {
  readonly clientSideThrottleTime: number;
  readonly errorCode: number;
  readonly partitions: FetchedPartition[];
}

/** Fetch response version 11, with the record sets left as they are. */
function decodeFetchResponse(payload: Buffer): FetchAnswer {
  let at = 0;
  const int16 = (): number => payload.readInt16BE((at += 2) - 2);
  const int32 = (): number => payload.readInt32BE((at += 4) - 4);
  const int64 = (): bigint => payload.readBigInt64BE((at += 8) - 8);
  const clientSideThrottleTime = int32();
  const errorCode = int16();
  int32(); // session id
  const partitions: FetchedPartition[] = [];
  for (let topics = int32(); topics > 0; topics--) {
    at += payload.readInt16BE(at) + 2;
    for (let n = int32(); n > 0; n--) {
      const partition = int32();
      const code = int16();
      const highWatermark = Number(int64());
      const lastStableOffset = Number(int64());
      int64(); // log start offset
      const aborted: AbortedTransaction[] = [];
      for (let transactions = int32(); transactions > 0; transactions--) aborted.push({ producerId: int64(), firstOffset: Number(int64()) });
      int32(); // preferred read replica
      const bytes = Math.max(0, int32());
      const records = payload.subarray(at, at + bytes);
      at += bytes;
      partitions.push({ partition, error: code === 0 ? null : internals().createErrorFromCode(code), highWatermark, lastStableOffset, aborted, records });
    }
  }
  return { clientSideThrottleTime, errorCode, partitions };
}

// ---------------------------------------------------------------- writing

/** An idempotent producer with one request in flight: kafkajs's sequence numbers do not survive concurrent sends (tulios/kafkajs#598). */
export async function openProducer(connection: KafkaConnection): Promise<KafkaProducer> {
  if (connection.driver !== undefined) return connection.driver.openProducer(connection);
  const { kafkajs } = internals();
  const producer = kafka(connection).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1000 },
  });
  await producer.connect();
  return producer;
}

/**
 * Chooses partitions as the Java client does: by murmur2 of the key, in turn without one. kafkajs would choose again at each retry, and
 * where a send to one of several brokers has failed, records without a key would then be lost or written twice. `first`: which partition the
 * first record without a key goes to.
 */
export function partitioner(topic: string, partitions: readonly number[], first: number): (key: string | null) => number {
  const byKey = internals().kafkajs.Partitioners.DefaultPartitioner();
  const partitionMetadata = partitions.map((partitionId) => ({ partitionId, leader: 0, isr: [], replicas: [], partitionErrorCode: 0 }));
  let turn = first;
  return (key) => (key === null ? (partitions[turn++ % partitions.length] as number) : byKey({ topic, partitionMetadata, message: { key, value: null } }));
}

/** Makes the topics that are not there yet. For demos and tests; in production topics are somebody's own affair. */
export async function ensureTopics(connection: KafkaConnection, topics: readonly { topic: string; partitions: number }[]): Promise<void> {
  const admin = kafka(connection).admin();
  await admin.connect();
  try {
    const there = new Set(await admin.listTopics());
    const missing = topics.filter(({ topic }) => !there.has(topic));
    if (missing.length > 0) await admin.createTopics({ waitForLeaders: true, topics: missing.map(({ topic, partitions }) => ({ topic, numPartitions: partitions })) });
  } finally {
    await admin.disconnect();
  }
}

function kafka({ brokers, clientId, ssl, sasl }: KafkaConnection): Kafka {
  const { kafkajs } = internals();
  return new kafkajs.Kafka({
    brokers: [...brokers], clientId: clientId ?? 'drey', connectionTimeout: CONNECTION_TIMEOUT_MS, logLevel: kafkajs.logLevel.NOTHING,
    ...(ssl === undefined ? {} : { ssl }), ...(sasl === undefined ? {} : { sasl }),
  });
}
