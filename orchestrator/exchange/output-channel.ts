/**
 * The sending end of one channel: flow control by credits.
 *
 * Decides: what may leave now.
 * Invariants: nothing leaves before the receiver has given its first credit, since until then it may not be there and nobody would keep what comes;
 *   elements leave in order; each element of records costs one credit, which the receiver gives back when it has processed the
 *   element; without credit records, and whatever comes after them, wait here; a task that has anything waiting takes no more input (so
 *   what waits is bounded by what one input batch produces).
 * Source: Flink's credit-based flow control (PipelinedSubpartitionView, CreditBasedPartitionRequestClientHandler).
 */
import { Fifo } from '../../coord/base/fifo.ts';
import type { StreamElement } from '../task/stream-element.ts';

/** How elements get to the receiver: by a direct call, or over a connection. */
export interface ChannelLink {
  deliver(element: StreamElement): void;
  /** Nothing more will be delivered. */
  close(): void;
}

export class OutputChannel {
  readonly #waiting = new Fifo<StreamElement>();
  readonly #onDrained: () => void;
  #credits = 0;
  /** The receiver has taken the channel in. */
  #opened = false;
  #link: ChannelLink | null = null;

  /** `onDrained` is called when the last element that had to wait has left. */
  constructor(onDrained: () => void) {
    this.#onDrained = onDrained;
  }

  get blocked(): boolean {
    return this.#waiting.size > 0;
  }

  connect(link: ChannelLink): void {
    this.#link = link;
  }

  emit(element: StreamElement): void {
    if (this.#waiting.size > 0 || !this.#mayLeave(element)) this.#waiting.push(element);
    else this.#leave(element);
  }

  onCredit(credits: number): void {
    this.#opened = true;
    this.#credits += credits;
    if (this.#waiting.size === 0) return;
    while (this.#waiting.size > 0 && this.#mayLeave(this.#waiting.peek() as StreamElement)) this.#leave(this.#waiting.shift() as StreamElement);
    if (this.#waiting.size === 0) this.#onDrained();
  }

  close(): void {
    this.#link?.close();
  }

  #mayLeave(element: StreamElement): boolean {
    return this.#link !== null && this.#opened && (element.type !== 'records' || this.#credits > 0);
  }

  #leave(element: StreamElement): void {
    if (element.type === 'records') this.#credits -= 1;
    this.#link?.deliver(element);
  }
}
