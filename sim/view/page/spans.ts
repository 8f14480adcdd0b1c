/** The span of time that is seen, and how it moves: at once, or gliding there. */
import type { Span, UiState } from './ui-state.ts';

/** No closer than a microsecond a pixel, about. */
const LEAST_SPAN = 400;
const GLIDE_MS = matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 220;

export function wholeSpan(endAt: number): Span {
  const edge = endAt * 0.02;
  return { from: -edge, to: endAt + edge };
}

export class Spans {
  readonly whole: Span;
  readonly #ui: UiState;
  /** Places that may stay where they are when the keys zoom, the first that is seen. */
  readonly #anchors: () => readonly (number | null)[];
  readonly #onMove: () => void;
  #moving: { readonly from: Span; readonly to: Span; readonly beginMs: number } | null = null;

  constructor(whole: Span, ui: UiState, anchors: () => readonly (number | null)[], onMove: () => void) {
    this.whole = whole;
    this.#ui = ui;
    this.#anchors = anchors;
    this.#onMove = onMove;
  }

  get length(): number {
    return this.#ui.span.to - this.#ui.span.from;
  }
  get middle(): number {
    return (this.#ui.span.from + this.#ui.span.to) / 2;
  }
  get moving(): boolean {
    return this.#moving !== null;
  }

  /** Stays where it is. */
  stop(): void {
    this.#moving = null;
  }
  jump(from: number, to: number): void {
    this.stop();
    this.#set(from, to);
  }
  /** `anchored`: the share of the span that stays where it is. */
  zoom(factor: number, anchored = this.#anchor()): void {
    const at = this.#ui.span.from + this.length * anchored;
    const length = Math.max(LEAST_SPAN, this.length * factor);
    this.jump(at - length * anchored, at + length * (1 - anchored));
  }
  pan(share: number): void {
    const by = this.length * share;
    this.glide({ from: this.#ui.span.from + by, to: this.#ui.span.to + by });
  }
  glide(to: Span): void {
    this.#moving = { from: this.#ui.span, to, beginMs: performance.now() };
    this.#onMove();
  }

  /** With each frame that is drawn. */
  step(): void {
    if (this.#moving === null) return;
    const { from, to, beginMs } = this.#moving;
    const part = GLIDE_MS === 0 ? 1 : Math.min(1, (performance.now() - beginMs) / GLIDE_MS);
    const ease = 1 - (1 - part) ** 3;
    if (part >= 1) this.#moving = null;
    this.#set(from.from + (to.from - from.from) * ease, from.to + (to.to - from.to) * ease);
  }

  #set(from: number, to: number): void {
    const { whole } = this;
    const length = Math.max(LEAST_SPAN, Math.min(to - from, whole.to - whole.from));
    const begin = Math.max(whole.from - length * 0.4, Math.min(from + (to - from - length) / 2, whole.to - length * 0.6));
    this.#ui.span = { from: begin, to: begin + length };
    this.#onMove();
  }

  #anchor(): number {
    const { from, to } = this.#ui.span;
    const at = this.#anchors().find((each) => each !== null && each >= from && each <= to) ?? this.middle;
    return (at - from) / (to - from);
  }
}
