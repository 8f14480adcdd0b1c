/**
 * The jobs that run in the simulated cluster, written with the product's public API over the simulated Kafka, and what each of them must have put out.
 *
 * Input records say where they are: { id: '<partition>/<offset>', key, t, end }. `end` ones carry no work: they push event time past all windows.
 */
import { boundedOutOfOrderness, tumbling } from '../../orchestrator/api/functions.ts';
import { job, type JobDefinition, type JobOptions } from '../../orchestrator/api/job.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { Sink } from '../../orchestrator/api/sink.ts';
import type { Files } from '../../connectors/file/files.ts';
import { fileSink } from '../../connectors/file/sink.ts';
import { kafkaSink } from '../../connectors/kafka/sink.ts';
import { kafkaSource } from '../../connectors/kafka/source.ts';
import { groupBy } from './group-by.ts';
import type { JobName } from './job-names.ts';
import type { SimKafka } from './sim-kafka.ts';

export interface InputRecord {
  readonly id: string;
  readonly key: string;
  /** Event time. */
  readonly t: number;
  readonly end?: true;
}

/** A record as it was written, and what the model knows of it. */
export interface FedRecord extends InputRecord {
  /**
   * For its window. 'perhaps': its partition has gone on by more than the bound, and so may event time have when it is read, or others hold it back;
   * 'no': somebody had seen results of that window before the record was written.
   */
  readonly inTime: 'yes' | 'perhaps' | 'no';
}

export const INPUT = 'input';
export const OUTPUT = 'output';
export const OUTPUT_DIR = '/out';
export const WINDOW_MS = 1000;
/** No record of a partition is older than the newest before it by more, but for those that are late. */
export const DISORDER_MS = 300;
const BROKERS = ['kafka:9092'];

export interface JobWorld {
  readonly kafka: SimKafka;
  readonly sink: Sink<Json>;
  /** Where the file sink writes. */
  readonly files: Files;
  /** Records on which the job's code throws. */
  readonly poisoned: ReadonlySet<string>;
}

export interface SimJob {
  readonly guarantee: 'exactly-once' | 'at-least-once';
  define(at: JobWorld, options: JobOptions): JobDefinition;
  /** What comes of all records, each result as a text; in no order. */
  expected(records: readonly FedRecord[]): string[];
  /** What may be put out, too. */
  possible(records: readonly FedRecord[]): string[];
}

const source = ({ kafka }: JobWorld): ReturnType<typeof kafkaSource<'json'>> => kafkaSource({ brokers: BROKERS, topic: INPUT, format: 'json', driver: kafka.driver, unavailableMsMax: 8000 });
const stream = { timestamp: (value: Json): number => (value as unknown as InputRecord).t, watermarks: boundedOutOfOrderness(DISORDER_MS) };

function wholesome({ poisoned }: JobWorld): (value: Json) => InputRecord {
  return (value) => {
    const record = value as unknown as InputRecord;
    if (poisoned.has(record.id)) throw new Error(`record ${record.id} is poison`);
    return record;
  };
}
const isWork = (record: InputRecord): boolean => record.end !== true;

/** Of a window with records in it; each is put out once. */
export function windowName(key: string, start: number): string {
  return `${key}@${start}`;
}
export function windowStart(t: number): number {
  return Math.floor(t / WINDOW_MS) * WINDOW_MS;
}
/** What a window puts out: that it is there, and who is in it. */
function windowResults(key: string, start: number, ids: readonly string[]): string[] {
  const name = windowName(key, start);
  return ids.length === 0 ? [] : [name, ...ids.map((id) => `${id} in ${name}`)];
}
function ofWindows(records: readonly InputRecord[]): string[] {
  return [...groupBy(records, ({ key, t }) => windowName(key, windowStart(t))).values()].flatMap((ofWindow) => {
    const { key, t } = ofWindow[0] as InputRecord;
    return windowResults(key, windowStart(t), ofWindow.map(({ id }) => id)).map((result) => JSON.stringify(result));
  });
}
const idsOf = (records: readonly InputRecord[]): string[] => records.map(({ id }) => JSON.stringify(id));
const nothing = (): string[] => [];

export const simJobs: Readonly<Record<JobName, SimJob>> = {
  /** A region of its own for each subtask: nothing is exchanged. */
  pass: {
    guarantee: 'exactly-once',
    define: (at, options) => job('pass', (env) => {
      env.source(source(at)).map(wholesome(at)).filter(isWork).map((record): Json => record.id).sink(at.sink);
    }, options),
    expected: idsOf,
    possible: nothing,
  },
  /** Keyed windows of event time. A record that is too late is dropped; which are depends on how far event time is at the task, and so on what was read first. */
  windows: {
    guarantee: 'exactly-once',
    define: (at, options) => job('windows', (env) => {
      env
        .source(source(at), stream)
        .map(wholesome(at))
        .keyBy((record) => record.key)
        .window(tumbling(WINDOW_MS))
        .aggregate({
          create: (): string[] => [],
          add: (ids, record) => {
            if (isWork(record)) ids.push(record.id);
            return ids;
          },
          result: (ids, key, window): Json => windowResults(key as string, window.start, ids),
        })
        .flatMap((results) => results as string[])
        .sink(at.sink);
    }, options),
    expected: (records) => ofWindows(records.filter(({ inTime }) => inTime === 'yes')),
    possible: (records) => ofWindows(records.filter(({ inTime }) => inTime === 'perhaps')),
  },
  /** A running count behind a rebalance: three vertices. */
  counts: {
    guarantee: 'exactly-once',
    define: (at, options) => job('counts', (env) => {
      env
        .source(source(at))
        .rebalance()
        .map(wholesome(at))
        .filter(isWork)
        .keyBy((record) => record.key)
        .aggregate({ create: () => ({ n: 0, last: '' }), add: (sum, record) => ({ n: sum.n + 1, last: record.id }), result: ({ n, last }, key): Json => ({ key, n, last }) })
        // Which record came how-manieth is open; each comes once, and each number comes once.
        .flatMap((result): Json[] => {
          const { key, n, last } = result as { key: string; n: number; last: string };
          return [`${key}#${n}`, last];
        })
        .sink(at.sink);
    }, options),
    expected: (records) => {
      const counts = groupBy(records, ({ key }) => key);
      return [...records.map(({ id }) => JSON.stringify(id)), ...[...counts].flatMap(([key, ofKey]) => ofKey.map((_, i) => JSON.stringify(`${key}#${i + 1}`)))];
    },
    possible: nothing,
  },
  /** The product's exactly-once sink: part files. */
  files: {
    guarantee: 'exactly-once',
    define: (at, options) => job('files', (env) => {
      env.source(source(at)).map(wholesome(at)).filter(isWork).rebalance().map((record): Json => record.id).sink(fileSink<Json>({ path: OUTPUT_DIR, format: 'ndjson', files: at.files }));
    }, options),
    expected: idsOf,
    possible: nothing,
  },
  /** The product's own sink to Kafka. */
  'at-least-once': {
    guarantee: 'at-least-once',
    define: (at, options) => job('at-least-once', (env) => {
      env.source(source(at)).map(wholesome(at)).filter(isWork).map((record): Json => record.id).sink(kafkaSink<Json>({ brokers: BROKERS, topic: OUTPUT, format: 'json', driver: at.kafka.driver }));
    }, options),
    expected: idsOf,
    // What no checkpoint came to cover.
    possible: idsOf,
  },
};
