/**
 * The sending end of one edge of the job graph: which channel a record goes to, and gathering records into elements worth sending.
 *
 * Invariants: a key's records all go to the subtask that owns its key group, in order; watermarks, statuses, barriers and the end go to
 *   all channels, after the records that were emitted before them.
 * Source: Flink's RecordWriter, ChannelSelector.
 */
import { assert } from '../../coord/base/assert.ts';
import type { Batch, StreamElement } from '../task/stream-element.ts';
import { BATCH_RECORDS_MAX } from './limits.ts';
import type { OutputChannel } from './output-channel.ts';

/** Which channel the next record goes to. */
export type ChannelSelector = (value: unknown) => number;

interface Gathering {
  values: unknown[];
  timestamps: number[];
}

export class RecordWriter {
  readonly #channels: readonly OutputChannel[];
  readonly #select: ChannelSelector;
  readonly #gathering: Gathering[];

  constructor(channels: readonly OutputChannel[], select: ChannelSelector) {
    this.#channels = channels;
    this.#select = select;
    this.#gathering = channels.map(() => ({ values: [], timestamps: [] }));
  }

  /** Something waits for credit: take no more input until it has left. */
  get blocked(): boolean {
    return this.#channels.some((channel) => channel.blocked);
  }

  emit({ values, timestamps }: Batch): void {
    for (let i = 0; i < values.length; i++) {
      const at = this.#select(values[i]);
      const gathering = this.#gathering[at];
      assert(gathering !== undefined, `no channel ${at} among ${this.#channels.length}`);
      gathering.values.push(values[i]);
      gathering.timestamps.push(timestamps[i] as number);
      if (gathering.values.length >= BATCH_RECORDS_MAX) this.#flush(at);
    }
  }

  /** Sends what has been gathered. */
  flush(): void {
    for (let at = 0; at < this.#channels.length; at++) this.#flush(at);
  }

  broadcast(element: StreamElement): void {
    this.flush();
    for (const channel of this.#channels) channel.emit(element);
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }

  #flush(at: number): void {
    const { values, timestamps } = this.#gathering[at] as Gathering;
    if (values.length === 0) return;
    this.#gathering[at] = { values: [], timestamps: [] };
    (this.#channels[at] as OutputChannel).emit({ type: 'records', values, timestamps });
  }
}
