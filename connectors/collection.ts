/** The reference connectors: a bounded source over values in memory, and a sink that keeps what was committed. For tests and examples. */
import type { Sink, SinkContext, SinkWriter } from '../orchestrator/api/sink.ts';
import type { Json, ReaderContext, RecordBatch, Source, SourceReader, SourceSplit } from '../orchestrator/api/source.ts';
import { fromPosition } from './position.ts';
import { Wait } from './wait.ts';

export interface CollectionOptions<T> {
  /** Splits; value i is in lane i mod lanes. 1 without it. */
  readonly lanes?: number;
  /** Event time of a value in ms since 1970. */
  readonly timestampOf?: (value: T) => number;
  /** Values handed over at once; 100 without it. */
  readonly batchRecords?: number;
}

export function collectionSource<T>(values: readonly T[], options: CollectionOptions<T> = {}): Source<T> {
  const lanes = options.lanes ?? 1;
  return {
    description: `collection(${values.length} values)`,
    boundedness: 'bounded',
    discoverSplits: async () => Array.from({ length: lanes }, (_, lane): SourceSplit => ({ id: `lane-${lane}`, spec: lane })),
    createReader: (context) => new CollectionReader(values, lanes, options, context),
  };
}

class CollectionReader<T> implements SourceReader<T> {
  readonly #values: readonly T[];
  readonly #lanes: number;
  readonly #options: CollectionOptions<T>;
  readonly #wait: Wait;
  readonly #open: { id: string; values: T[]; next: number }[] = [];

  constructor(values: readonly T[], lanes: number, options: CollectionOptions<T>, { timers }: ReaderContext) {
    this.#wait = new Wait(timers);
    this.#values = values;
    this.#lanes = lanes;
    this.#options = options;
  }

  async addSplits(splits: readonly { split: SourceSplit; position: Json | undefined }[]): Promise<void> {
    for (const { split, position } of splits) {
      const values = this.#values.filter((_, i) => i % this.#lanes === split.spec);
      this.#open.push({ id: split.id, values, next: position === undefined ? 0 : fromPosition(position, split.id).offset });
    }
  }

  async poll(waitMs: number): Promise<RecordBatch<T> | null> {
    const lane = this.#open.shift();
    if (lane === undefined) {
      await this.#wait.sleep(waitMs);
      return null;
    }
    const values = lane.values.slice(lane.next, lane.next + (this.#options.batchRecords ?? 100));
    lane.next += values.length;
    const ended = lane.next >= lane.values.length;
    if (!ended) this.#open.push(lane);
    const { timestampOf } = this.#options;
    return { splitId: lane.id, values, position: lane.next, ...(timestampOf ? { timestamps: values.map(timestampOf) } : {}), ...(ended ? { ended } : {}) };
  }

  async close(): Promise<void> {
    this.#open.length = 0;
    this.#wait.wake();
  }
}

export interface CollectSink<T> extends Sink<T> {
  /** What has been committed, in the order of the commits. */
  readonly committed: readonly T[];
}

/** Exactly-once within one process: the values ride in the committables, and a committable counts once. They must be JSON. */
export function collectSink<T extends Json>(): CollectSink<T> {
  const committed: T[] = [];
  const seen = new Set<string>();
  return {
    description: 'collect',
    guarantee: 'exactly-once',
    committed,
    createWriter: async (context) => new CollectWriter<T>(context),
    commit: async (committables) => {
      for (const { id, values } of committables as unknown as { id: string; values: T[] }[]) {
        if (seen.has(id)) continue;
        seen.add(id);
        committed.push(...values);
      }
    },
  };
}

class CollectWriter<T extends Json> implements SinkWriter<T> {
  readonly #prefix: string;
  #values: T[] = [];

  constructor(context: SinkContext) {
    this.#prefix = `${context.jobId}/${context.sinkId}/${context.subtask}/${context.attempt}`;
  }

  async write(values: readonly T[]): Promise<void> {
    this.#values.push(...values);
  }

  async prepareCommit(checkpointId: number): Promise<Json[]> {
    if (this.#values.length === 0) return [];
    const values = this.#values;
    this.#values = [];
    return [{ id: `${this.#prefix}/${checkpointId}`, values }];
  }

  async close(): Promise<void> {
    this.#values = [];
  }
}
