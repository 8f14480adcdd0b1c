/**
 * A source that makes its records up. Record i of lane j is a function of (seed, j, i) alone, so that a restored job reads again exactly what
 * it read before: the position of a lane is the index of its next record.
 */
import { DreyError } from '../coord/base/errors.ts';
import type { Clock } from '../coord/base/ports.ts';
import { Prng } from '../coord/base/prng.ts';
import type { Json, ReaderContext, RecordBatch, Source, SourceReader, SourceSplit } from '../orchestrator/api/source.ts';
import { fromPosition } from './position.ts';
import { Wait } from './wait.ts';

export interface DatagenOptions<T> {
  readonly seed: string | number;
  /** Splits; 1 without it. */
  readonly lanes?: number;
  /** Records of each lane; without it the source is unbounded. */
  readonly count?: number;
  /** Per lane; as fast as they are taken without it. */
  readonly recordsPerSecond?: number;
  readonly generate: (index: number, prng: Prng) => T;
  /** Event time of a record in ms since 1970. Without it the records carry none. */
  readonly timestampOf?: (index: number) => number;
}

interface Lane {
  readonly id: string;
  readonly number: number;
  next: number;
  /** Where and when the rate was last anchored: `next` may be as far as anchorIndex + elapsed * rate. */
  anchorIndex: number;
  anchorMs: number;
}

const BATCH_RECORDS_MAX = 500;
/** A lane that nobody polled for longer than this does not make up for more. */
const CATCH_UP_MS = 1000;

export function datagenSource<T>(options: DatagenOptions<T>): Source<T> {
  const lanes = options.lanes ?? 1;
  const { count, recordsPerSecond: rate } = options;
  if (!Number.isInteger(lanes) || lanes < 1) throw new DreyError('CONNECTOR_BAD_OPTION', `datagen: lanes is a number from 1, not ${lanes}`);
  if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) throw new DreyError('CONNECTOR_BAD_OPTION', `datagen: count is a number from 0, not ${count}`);
  if (rate !== undefined && !(rate > 0)) throw new DreyError('CONNECTOR_BAD_OPTION', `datagen: recordsPerSecond is above 0, not ${rate}`);
  return {
    description: `datagen(${lanes} ${lanes === 1 ? 'lane' : 'lanes'})`,
    boundedness: count === undefined ? 'unbounded' : 'bounded',
    discoverSplits: async () => Array.from({ length: lanes }, (_, lane): SourceSplit => ({ id: `lane-${lane}`, spec: lane })),
    createReader: (context) => new DatagenReader(options, context),
  };
}

class DatagenReader<T> implements SourceReader<T> {
  readonly #options: DatagenOptions<T>;
  readonly #lanes: Lane[] = [];
  readonly #clock: Clock;
  readonly #wait: Wait;
  #turn = 0;
  #closed = false;

  constructor(options: DatagenOptions<T>, { clock, timers }: ReaderContext) {
    this.#clock = clock;
    this.#wait = new Wait(timers);
    this.#options = options;
  }

  async addSplits(splits: readonly { split: SourceSplit; position: Json | undefined }[]): Promise<void> {
    for (const { split, position } of splits) {
      const next = position === undefined ? 0 : fromPosition(position, split.id).offset;
      this.#lanes.push({ id: split.id, number: split.spec as number, next, anchorIndex: next, anchorMs: this.#clock.monotonicMs() });
    }
    this.#wait.wake();
  }

  async poll(waitMs: number): Promise<RecordBatch<T> | null> {
    const deadlineMs = this.#clock.monotonicMs() + waitMs;
    for (;;) {
      const batch = this.#next();
      if (batch !== null) return batch;
      const nowMs = this.#clock.monotonicMs();
      if (this.#closed || nowMs >= deadlineMs) return null;
      await this.#wait.sleep(Math.max(1, Math.min(deadlineMs - nowMs, this.#untilDueMs(nowMs))));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wait.wake();
  }

  #next(): RecordBatch<T> | null {
    for (let i = 0; i < this.#lanes.length; i++) {
      const at = (this.#turn + i) % this.#lanes.length;
      const lane = this.#lanes[at] as Lane;
      const due = this.#dueRecords(lane);
      const left = (this.#options.count ?? Infinity) - lane.next;
      if (due < 1 && left > 0) continue;
      this.#turn = at + 1;
      return this.#make(lane, Math.max(0, Math.min(due, left)), at);
    }
    return null;
  }

  #make(lane: Lane, n: number, at: number): RecordBatch<T> {
    const { seed, generate, timestampOf, count } = this.#options;
    const values: T[] = [];
    const timestamps: number[] = [];
    for (let i = 0; i < n; i++) {
      const index = lane.next++;
      values.push(generate(index, new Prng(`${seed}/${lane.number}/${index}`)));
      if (timestampOf) timestamps.push(timestampOf(index));
    }
    const ended = count !== undefined && lane.next >= count;
    if (ended) this.#lanes.splice(at, 1);
    return { splitId: lane.id, values, ...(timestampOf ? { timestamps } : {}), position: lane.next, ...(ended ? { ended } : {}) };
  }

  #dueRecords(lane: Lane): number {
    const rate = this.#options.recordsPerSecond;
    if (rate === undefined) return BATCH_RECORDS_MAX;
    const nowMs = this.#clock.monotonicMs();
    const behind = lane.anchorIndex + ((nowMs - lane.anchorMs) * rate) / 1000 - lane.next;
    if (behind > Math.max(1, (CATCH_UP_MS * rate) / 1000)) {
      lane.anchorIndex = lane.next;
      lane.anchorMs = nowMs - CATCH_UP_MS;
    }
    return Math.min(BATCH_RECORDS_MAX, Math.floor(behind));
  }

  #untilDueMs(nowMs: number): number {
    const rate = this.#options.recordsPerSecond ?? Infinity;
    const dueMs = this.#lanes.map((lane) => lane.anchorMs + ((lane.next + 1 - lane.anchorIndex) * 1000) / rate - nowMs);
    return Math.min(Infinity, ...dueMs);
  }
}

const WORDS = (
  'the of and to in is that for it was on are as with at be this have from or one had by word but not what all were we when your can said ' +
  'there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look ' +
  'squirrel nest tree stream river window barrier leader quorum epoch record branch acorn winter'
).split(' ');

/** A word; those early in the list come much more often. */
export function randomWord(prng: Prng): string {
  const skew = prng.float();
  return WORDS[Math.floor(skew * skew * WORDS.length)] as string;
}

/** For `generate`: a sentence of 4 to 12 words, lower case, without punctuation. */
export function randomSentence(_index: number, prng: Prng): string {
  return Array.from({ length: prng.between(4, 12) }, () => randomWord(prng)).join(' ');
}
