/** Finding items: by words, and the one beside the one that is pinned. */
import { count } from '../numbers.ts';
import { byId } from './dom.ts';
import type { PageHost } from './page-host.ts';
import { FAMILIES, type Item, type RunModel } from './run-model.ts';
import type { Spot } from './ui-state.ts';

export class Search {
  readonly field = byId<HTMLInputElement>('search');
  readonly #page: PageHost;
  /** Of the matches; -1: none is shown yet. */
  #no = -1;

  constructor(page: PageHost) {
    this.#page = page;
  }

  find(query = this.field.value): void {
    this.field.value = query;
    const { models, ui } = this.#page;
    const matches = models.flatMap((model, pane) => (pane === 1 && !ui.split ? [] : model.search(query).map((item) => ({ pane, item }))));
    ui.matches = matches.sort((a, b) => (models[a.pane] as RunModel).from(a.item) - (models[b.pane] as RunModel).from(b.item));
    this.#no = -1;
    this.#showCount();
    this.#page.invalidate();
  }

  next(by: 1 | -1): void {
    const { ui } = this.#page;
    if (ui.matches.length === 0) return;
    this.#no = this.#no < 0 ? this.#nearest() : (this.#no + by + ui.matches.length) % ui.matches.length;
    this.#showCount();
    this.#page.goTo(ui.matches[this.#no] as Spot);
  }

  /** To the middle of what is seen. */
  #nearest(): number {
    const { models, ui, spans } = this.#page;
    const { middle } = spans;
    const away = ui.matches.map(({ pane, item }) => Math.abs((models[pane] as RunModel).from(item) - middle));
    return away.indexOf(away.reduce((least, each) => Math.min(least, each), Infinity));
  }

  #showCount(): void {
    const { matches } = this.#page.ui;
    byId('matches').textContent = this.field.value.trim() === '' ? '' : matches.length === 0 ? 'none' : `${this.#no < 0 ? '' : `${count(this.#no + 1)} of `}${count(matches.length)}`;
  }

  /** The item after or before the pinned one, on its lane. */
  beside(by: 1 | -1): void {
    const { models, ui, spans } = this.#page;
    const spot = ui.pinned;
    const model = models[spot?.pane ?? 0] as RunModel;
    const at = spot === null ? spans.middle : model.from(spot.item);
    const lane = spot === null ? null : model.lanesOf(spot.item)[0];
    let best: Item | null = null;
    for (const item of model.items()) {
      if (item.type === 'message' && ui.hidden.has(FAMILIES[model.family[item.no] as number] as string)) continue;
      if (item.type === 'event' && ui.hidden.has(model.eventKind[item.no] as string)) continue;
      if (lane !== null && !model.lanesOf(item).includes(lane as number)) continue;
      const other = model.from(item);
      if (by === 1 ? other <= at : other >= at) continue;
      if (best === null || (by === 1 ? other < model.from(best) : other > model.from(best))) best = item;
    }
    if (best !== null) this.#page.goTo({ pane: spot?.pane ?? 0, item: best });
  }
}
