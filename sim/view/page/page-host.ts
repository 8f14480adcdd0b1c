/** What the parts of the page ask of one another; main.ts puts it together. */
import type { Pane } from './pane.ts';
import type { RunModel } from './run-model.ts';
import type { Spans } from './spans.ts';
import type { Spot, UiState } from './ui-state.ts';

export interface PageHost {
  /** The run, and its neighbour if there is one. */
  readonly models: readonly RunModel[];
  readonly ui: UiState;
  readonly spans: Spans;
  /** Draws again; `scene` false: just what moves with the pointer. */
  invalidate(scene?: boolean): void;
  /** What is chosen has changed: shows it, draws it, and puts it into the address. */
  changed(): void;
  /** What the pointer is over has changed. */
  hovered(): void;
  /** What is followed is let go with the pin, unless `keepsFollowed`. */
  pin(spot: Spot | null, keepsFollowed?: boolean): void;
  /** Shows an item: pinned, and within the span. */
  goTo(spot: Spot): void;
  setSplit(on: boolean): void;
  /** The pane has been scrolled. */
  placeGutter(pane: Pane): void;
  /** To those who do not see the page. */
  say(text: string): void;
}
