/** What the reader has chosen: what is shown, what is looked at. One object, shared by all parts of the page. */
import type { Item } from './run-model.ts';

/** Microseconds. */
export interface Span {
  readonly from: number;
  readonly to: number;
}
/** An item of one of the two runs: 0 the run itself, 1 its neighbour. */
export interface Spot {
  readonly pane: number;
  readonly item: Item;
}

export class UiState {
  span: Span;
  /** Families of messages, kinds of events, 'writes', 'reads', 'faults', 'disk'. */
  readonly hidden = new Set<string>(['heartbeat']);
  /** Ids of lanes that are folded. */
  readonly folded = new Set<string>();
  hover: Spot | null = null;
  pinned: Spot | null = null;
  /** All of this zxid stands out. */
  followed: string | null = null;
  matches: readonly Spot[] = [];
  /** Where the pointer is, microseconds; null: outside. */
  cursorAt: number | null = null;
  split = false;

  constructor(span: Span) {
    this.span = span;
  }
  get shown(): Spot | null {
    return this.hover ?? this.pinned;
  }
}
