/**
 * The input of a task: a queue per channel, barrier alignment over them, and merged event time.
 *
 * Decides: which element a task sees next.
 * Invariants: elements of one channel are seen in order; a channel that has delivered the barrier of the checkpoint being aligned gives
 *   nothing until all others have delivered it, too, or the alignment is cancelled; a barrier is seen once, after everything that came
 *   before it in every channel and before everything that came after it in any; checkpoint ids seen only grow; a channel that has ended
 *   counts as aligned; at most one checkpoint is being aligned: a newer one cancels it.
 * Source: Flink's SingleCheckpointBarrierHandler (aligned), CheckpointedInputGate.
 * Leaves to others: credits (the task gives one back for each records element it takes) and the transport.
 */
import { assert, assertNever } from '../../coord/base/assert.ts';
import { Fifo } from '../../coord/base/fifo.ts';
import type { Barrier, Batch, StreamElement } from './stream-element.ts';
import { WatermarkValve } from './watermark-valve.ts';

export type GateEvent =
  | { readonly type: 'records'; readonly channel: number; readonly batch: Batch }
  /** Merged event time has moved, or its idleness has changed. */
  | { readonly type: 'watermark'; readonly timestampMs: number; readonly idle: boolean }
  | { readonly type: 'barrier'; readonly barrier: Barrier; readonly alignmentMs: number }
  /** The barrier of this checkpoint will not be seen any more. */
  | { readonly type: 'alignmentCancelled'; readonly checkpointId: number; readonly reason: string };

interface Channel {
  readonly queue: Fifo<StreamElement>;
  ended: boolean;
  /** Has delivered the barrier of the checkpoint being aligned. */
  aligned: boolean;
}

interface Alignment {
  readonly checkpointId: number;
  readonly startMs: number;
  stop: boolean;
  final: boolean;
  ended: boolean;
}

export class InputGate {
  readonly #channels: Channel[];
  readonly #valve: WatermarkValve;
  readonly #alignmentTimeoutMs: number;
  #alignment: Alignment | null = null;
  /** Barriers up to this checkpoint are history: seen, overtaken or aborted. */
  #settledCheckpointId: number;
  #turn = 0;
  readonly #events = new Fifo<GateEvent>();

  constructor(channels: number, options: { alignmentTimeoutMs: number; restoredCheckpointId: number; restoredWatermarkMs: number }) {
    this.#channels = Array.from({ length: channels }, () => ({ queue: new Fifo(), ended: false, aligned: false }));
    this.#valve = new WatermarkValve(channels, options.restoredWatermarkMs);
    this.#alignmentTimeoutMs = options.alignmentTimeoutMs;
    this.#settledCheckpointId = options.restoredCheckpointId;
  }

  get watermarkMs(): number {
    return this.#valve.mergedMs;
  }

  /** When `onTime` is to be called, on the clock of nowMs; null: no alignment is under way. */
  get deadlineMs(): number | null {
    return this.#alignment === null ? null : this.#alignment.startMs + this.#alignmentTimeoutMs;
  }

  /** Elements that wait in a channel. */
  queued(channel: number): number {
    return this.#channel(channel).queue.size;
  }

  add(channel: number, element: StreamElement): void {
    const { queue } = this.#channel(channel);
    // A watermark makes one that still waits right before it superfluous: so a channel without records cannot grow.
    if (element.type === 'watermark' && queue.last()?.type === 'watermark') queue.replaceLast(element);
    else queue.push(element);
  }

  onTime(nowMs: number): void {
    const { deadlineMs } = this;
    if (deadlineMs !== null && nowMs >= deadlineMs) this.#cancelAlignment(`alignment took longer than ${this.#alignmentTimeoutMs} ms`);
  }

  /** The checkpoint was aborted: its barriers, wherever they are, no longer mean anything. */
  abort(checkpointId: number): void {
    if (this.#alignment !== null && this.#alignment.checkpointId <= checkpointId) this.#cancelAlignment('the checkpoint was aborted');
    this.#settledCheckpointId = Math.max(this.#settledCheckpointId, checkpointId);
  }

  /** What the task has to deal with next; null when nothing can be taken from any channel. */
  next(nowMs: number): GateEvent | null {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      const at = this.#nextChannel();
      if (at === -1) return null;
      this.#take(at, this.#channel(at).queue.shift() as StreamElement, nowMs);
    }
  }

  #nextChannel(): number {
    const { length } = this.#channels;
    for (let i = 0; i < length; i++) {
      const at = (this.#turn + i) % length;
      const channel = this.#channel(at);
      if (!channel.aligned && channel.queue.size > 0) {
        this.#turn = at + 1;
        return at;
      }
    }
    return -1;
  }

  #take(at: number, element: StreamElement, nowMs: number): void {
    const channel = this.#channel(at);
    assert(!channel.ended, `channel ${at} went on after its end`);
    switch (element.type) {
      case 'records':
        this.#events.push({ type: 'records', channel: at, batch: element });
        return;
      case 'watermark':
        this.#moved(this.#valve.onWatermark(at, element.timestampMs));
        return;
      case 'status':
        this.#moved(this.#valve.onStatus(at, element.idle));
        return;
      case 'barrier':
        this.#onBarrier(channel, element, nowMs);
        return;
      case 'end':
        channel.ended = true;
        this.#moved(this.#valve.onEnd(at));
        this.#maybeAligned(nowMs);
        return;
      default:
        assertNever(element);
    }
  }

  #moved(changed: boolean): void {
    if (changed) this.#events.push({ type: 'watermark', timestampMs: this.#valve.mergedMs, idle: this.#valve.idle });
  }

  #onBarrier(channel: Channel, barrier: Barrier, nowMs: number): void {
    if (barrier.checkpointId <= this.#settledCheckpointId) return;
    if (this.#alignment !== null && this.#alignment.checkpointId !== barrier.checkpointId) {
      if (barrier.checkpointId < this.#alignment.checkpointId) return;
      this.#cancelAlignment(`checkpoint ${barrier.checkpointId} has overtaken it`);
    }
    this.#alignment ??= { checkpointId: barrier.checkpointId, startMs: nowMs, stop: false, final: false, ended: true };
    this.#alignment.stop ||= barrier.stop;
    this.#alignment.final ||= barrier.final;
    this.#alignment.ended &&= barrier.ended;
    channel.aligned = true;
    this.#maybeAligned(nowMs);
  }

  #maybeAligned(nowMs: number): void {
    const alignment = this.#alignment;
    if (alignment === null || !this.#channels.every((channel) => channel.aligned || channel.ended)) return;
    const { startMs, ...barrier } = alignment;
    this.#settle();
    this.#events.push({ type: 'barrier', barrier: { type: 'barrier', ...barrier }, alignmentMs: nowMs - startMs });
  }

  #cancelAlignment(reason: string): void {
    const { checkpointId } = this.#alignment as Alignment;
    this.#settle();
    this.#events.push({ type: 'alignmentCancelled', checkpointId, reason });
  }

  #settle(): void {
    this.#settledCheckpointId = (this.#alignment as Alignment).checkpointId;
    this.#alignment = null;
    for (const channel of this.#channels) channel.aligned = false;
  }

  #channel(at: number): Channel {
    const channel = this.#channels[at];
    assert(channel !== undefined, `no channel ${at} among ${this.#channels.length}`);
    return channel;
  }
}
