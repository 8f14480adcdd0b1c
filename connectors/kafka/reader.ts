/**
 * Reads partitions of one topic: one fetch in flight for each broker, for all of its partitions that have nothing waiting to be handed on.
 * What has been fetched and not handed on is bounded (READY_BYTES_MAX and one answer per broker).
 *
 * A broker that does not answer, a leader that moved and a cut connection are retried with a growing delay inside poll, which goes on giving
 * null meanwhile, so that barriers pass. A partition that stays out of reach for unavailableMsMax fails the task with a retryable error.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Json, ReaderContext, RecordBatch, SourceReader, SourceSplit } from '../../orchestrator/api/source.ts';
import { fromPosition, toPosition } from '../position.ts';
import { Wait } from '../wait.ts';
import type { FetchedPartition, KafkaClient, KafkaConnection } from './client.ts';
import { openClient } from './client.ts';
import { nextBatch, recordSet, type RawRecord, type RecordSet } from './record-batch.ts';

/** What a split's spec holds. */
export interface KafkaSplit {
  readonly partition: number;
  readonly start: number;
  /** Where a bounded split ends. */
  readonly end: number | null;
}

/** undefined leaves the record out. */
export type FromRecord<T> = (topic: string, partition: number, record: RawRecord) => T | undefined;

interface Partition {
  readonly id: string;
  readonly number: number;
  readonly end: number | undefined;
  position: number;
  /** Fetched and not yet handed on. */
  set: RecordSet | null;
  /** Nothing is left before `end`, although the last offset before it was never seen: compaction took it. */
  exhausted: boolean;
  /** Since when it has been out of reach, by the worker's clock; null when it is not. */
  failingSinceMs: number | null;
  /** Being fetched now. */
  fetching: boolean;
  /** The number of the fetch that last brought something: whoever waits longest is named first, since a broker fills answers in order. */
  servedAt: number;
}

const FETCH = { waitMsMax: 500, bytesMax: 8 * 1024 * 1024, partitionBytesMax: 1024 * 1024 };
const READY_BYTES_MAX = 8 * 1024 * 1024;
const BATCH_RECORDS_MIN = 1000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 1000;
const UNAVAILABLE_MS_MAX = 30_000;

export class KafkaReader<T> implements SourceReader<T> {
  readonly #topic: string;
  readonly #fromRecord: FromRecord<T>;
  readonly #context: ReaderContext;
  readonly #unavailableMsMax: number;
  readonly #client: KafkaClient;
  readonly #partitions: Partition[] = [];
  readonly #wait: Wait;
  readonly #busyBrokers = new Set<number>();
  /** null when metadata must be asked for before the next fetch. */
  #leaders: ReadonlyMap<number, number> | null = null;
  #refreshing = false;
  #failures = 0;
  #retryAtMs = 0;
  #fatal: DreyError | null = null;
  #turn = 0;
  #fetches = 0;
  #closed = false;

  constructor(options: KafkaConnection & { readonly topic: string; readonly unavailableMsMax?: number }, fromRecord: FromRecord<T>, context: ReaderContext) {
    this.#topic = options.topic;
    this.#fromRecord = fromRecord;
    this.#context = context;
    this.#wait = new Wait(context.timers);
    this.#unavailableMsMax = options.unavailableMsMax ?? UNAVAILABLE_MS_MAX;
    this.#client = openClient(options);
  }

  async addSplits(splits: readonly { split: SourceSplit; position: Json | undefined }[]): Promise<void> {
    for (const { split, position } of splits) {
      const spec = split.spec as unknown as KafkaSplit;
      const from = position === undefined ? { offset: spec.start, end: undefined } : fromPosition(position, split.id);
      this.#partitions.push({
        id: split.id, number: spec.partition, end: from.end ?? spec.end ?? undefined, position: from.offset, set: null, exhausted: false, failingSinceMs: null, fetching: false, servedAt: 0,
      });
    }
    this.#wait.wake();
  }

  async poll(waitMs: number): Promise<RecordBatch<T> | null> {
    const deadlineMs = this.#context.clock.monotonicMs() + waitMs;
    for (;;) {
      if (this.#closed) return null;
      if (this.#fatal !== null) throw this.#fatal;
      const batch = await this.#nextReady();
      const nowMs = this.#context.clock.monotonicMs();
      this.#fetchIdle(nowMs);
      if (batch !== null) return batch;
      this.#assertReachable(nowMs);
      const untilMs = this.#retryAtMs > nowMs ? Math.min(deadlineMs, this.#retryAtMs) : deadlineMs;
      if (nowMs >= deadlineMs) return null;
      await this.#wait.sleep(Math.max(1, untilMs - nowMs));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wait.wake();
    await this.#client.close();
  }

  // -------------------------------------------------------------- handing on

  async #nextReady(): Promise<RecordBatch<T> | null> {
    for (let i = 0; i < this.#partitions.length; i++) {
      const at = (this.#turn + i) % this.#partitions.length;
      const partition = this.#partitions[at] as Partition;
      const batch = await this.#handOn(partition);
      if (batch === null) continue;
      this.#turn = at + 1;
      if (batch.ended) this.#partitions.splice(at, 1);
      return batch;
    }
    return null;
  }

  /** Small Kafka batches are joined. Null when nothing moved. */
  async #handOn(partition: Partition): Promise<RecordBatch<T> | null> {
    const values: T[] = [];
    const timestamps: number[] = [];
    const before = partition.position;
    while (partition.set !== null && values.length < BATCH_RECORDS_MIN && !isAtEnd(partition)) {
      const records = await this.#decode(partition, partition.set);
      if (records === null) {
        partition.set = null;
        break;
      }
      for (const record of records) {
        if (partition.end !== undefined && record.offset >= partition.end) break;
        const value = this.#fromRecord(this.#topic, partition.number, record);
        if (value === undefined) continue;
        values.push(value);
        timestamps.push(record.timestamp);
      }
      partition.position = Math.min(partition.set.position, partition.end ?? Infinity);
    }
    if (isAtEnd(partition)) return { splitId: partition.id, values, timestamps, position: toPosition(partition.position, partition.end), ended: true };
    if (partition.position === before) return null;
    return { splitId: partition.id, values, timestamps, position: toPosition(partition.position, partition.end) };
  }

  async #decode(partition: Partition, set: RecordSet): Promise<RawRecord[] | null> {
    try {
      const records = await nextBatch(set);
      if (records !== null) this.#onReached(partition);
      return records;
    } catch (error) {
      if (!(error instanceof DreyError) || !error.retryable) throw error;
      this.#onFailure([partition], error);
      return null;
    }
  }

  // -------------------------------------------------------------- fetching

  #fetchIdle(nowMs: number): void {
    if (nowMs < this.#retryAtMs || this.#refreshing || this.#closed) return;
    if (this.#leaders === null) {
      if (this.#partitions.length > 0) void this.#refresh();
      return;
    }
    if (this.#readyBytes() > READY_BYTES_MAX) return;
    const byLeader = new Map<number, Partition[]>();
    for (const partition of this.#partitions.toSorted((a, b) => a.servedAt - b.servedAt)) {
      if (partition.set !== null || partition.fetching || isAtEnd(partition)) continue;
      const leader = this.#leaders.get(partition.number) ?? -1;
      if (leader === -1) this.#onFailure([partition], new DreyError('KAFKA_UNAVAILABLE', `${partition.id} has no leader`, { retryable: true }));
      else byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition]);
    }
    for (const [leader, partitions] of byLeader) if (!this.#busyBrokers.has(leader)) void this.#fetch(leader, partitions);
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    try {
      this.#leaders = await this.#client.leaders(this.#topic);
    } catch (error) {
      await this.#client.reset();
      this.#onFailure(this.#partitions, error);
    }
    this.#refreshing = false;
    this.#wait.wake();
  }

  async #fetch(leader: number, partitions: readonly Partition[]): Promise<void> {
    this.#busyBrokers.add(leader);
    for (const partition of partitions) partition.fetching = true;
    try {
      const answer = await this.#client.fetch(leader, this.#topic, new Map(partitions.map(({ number, position }) => [number, position])), FETCH);
      const bytes = answer.reduce((sum, { records }) => sum + records.length, 0);
      for (const fetched of answer) {
        const partition = partitions.find(({ number }) => number === fetched.partition);
        if (partition !== undefined) await this.#onFetched(leader, partition, fetched, bytes);
      }
    } catch (error) {
      if (!this.#closed) await this.#client.reset();
      this.#onFailure(partitions, error);
    }
    for (const partition of partitions) partition.fetching = false;
    this.#busyBrokers.delete(leader);
    this.#wait.wake();
  }

  async #onFetched(leader: number, partition: Partition, fetched: FetchedPartition, answerBytes: number): Promise<void> {
    if (fetched.error?.type === 'OFFSET_OUT_OF_RANGE') return this.#onOutOfRange(leader, partition);
    if (fetched.error !== null) {
      const { type, message, retriable } = fetched.error;
      return this.#onFailure([partition], new DreyError('KAFKA_REFUSED', `${partition.id}: ${message} (${type})`, { retryable: retriable }));
    }
    if (fetched.records.length > 0) {
      partition.set = recordSet(partition.id, partition.position, fetched.records, fetched.aborted);
      partition.servedAt = ++this.#fetches;
      return;
    }
    this.#onReached(partition);
    // The broker had the time to find something for any partition, and all of this one up to its end is decided.
    if (partition.end !== undefined && answerBytes === 0 && fetched.lastStableOffset >= partition.end) partition.exhausted = true;
  }

  /** Either the leader is not yet as far as its predecessor was, or the records are gone. */
  async #onOutOfRange(leader: number, partition: Partition): Promise<void> {
    const where = new Map([[partition.number, leader]]);
    const [earliest, latest] = await Promise.all([this.#client.offsets(this.#topic, where, 'earliest'), this.#client.offsets(this.#topic, where, 'latest')]);
    const first = earliest.get(partition.number) ?? 0;
    const next = latest.get(partition.number) ?? 0;
    const lost = partition.position < first || partition.position > next;
    const message = `${partition.id}: position ${partition.position} is outside of the log, which holds ${first} up to ${next}`;
    this.#onFailure([partition], new DreyError('KAFKA_OFFSET_OUT_OF_RANGE', message, { retryable: !lost }));
  }

  #onReached(partition: Partition): void {
    if (partition.failingSinceMs === null) return;
    partition.failingSinceMs = null;
    if (this.#partitions.every(({ failingSinceMs }) => failingSinceMs === null)) {
      this.#failures = 0;
      this.#context.log(`kafka(${this.#topic}): all partitions can be read again`);
    }
  }

  #onFailure(partitions: readonly Partition[], error: unknown): void {
    if (this.#closed) return;
    if (!(error instanceof DreyError) || !error.retryable) {
      this.#fatal ??= error instanceof DreyError ? error : new DreyError('KAFKA_FAILED', `kafka(${this.#topic}): ${(error as Error).message}`, { cause: error });
      return;
    }
    const nowMs = this.#context.clock.monotonicMs();
    for (const partition of partitions) partition.failingSinceMs ??= nowMs;
    if (this.#failures === 0) this.#context.log(`kafka(${this.#topic}): ${error.message}; trying again`);
    this.#leaders = null;
    this.#retryAtMs = nowMs + Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.#failures++);
  }

  #assertReachable(nowMs: number): void {
    for (const { id, position, failingSinceMs } of this.#partitions) {
      if (failingSinceMs === null || nowMs - failingSinceMs < this.#unavailableMsMax) continue;
      throw new DreyError('KAFKA_UNAVAILABLE', `${id} has been out of reach for ${Math.round(nowMs - failingSinceMs)} ms, at offset ${position}`, { retryable: true });
    }
  }

  #readyBytes(): number {
    return this.#partitions.reduce((sum, { set }) => sum + (set === null ? 0 : set.records.length - set.at), 0);
  }
}

function isAtEnd({ end, position, exhausted }: Partition): boolean {
  return end !== undefined && (position >= end || exhausted);
}
