/** What is shown, in the address: #t=from,to (ms) &sel=m12 (n:m12 in the neighbour) &split=1 &zxid=0x… &q=words */
import type { PageHost } from './page-host.ts';
import { itemName, itemOf, type RunModel } from './run-model.ts';
import type { Search } from './search.ts';
import type { Spot } from './ui-state.ts';

const SETTLED_MS = 150;
/** Microseconds to each side of a selected item of which no time is given. */
const AROUND = 60_000;

export class Address {
  readonly #page: PageHost;
  readonly #search: Search;
  #remembering = 0;

  constructor(page: PageHost, search: Search) {
    this.#page = page;
    this.#search = search;
  }

  rememberSoon(): void {
    clearTimeout(this.#remembering);
    this.#remembering = setTimeout(() => this.#remember(), SETTLED_MS) as unknown as number;
  }
  #remember(): void {
    const { ui } = this.#page;
    const parts = [`t=${(ui.span.from / 1000).toFixed(3)},${(ui.span.to / 1000).toFixed(3)}`];
    if (ui.pinned !== null) parts.push(`sel=${ui.pinned.pane === 1 ? 'n:' : ''}${itemName(ui.pinned.item)}`);
    if (ui.split) parts.push('split=1');
    if (ui.followed !== null) parts.push(`zxid=${ui.followed}`);
    if (this.#search.field.value !== '') parts.push(`q=${encodeURIComponent(this.#search.field.value)}`);
    history.replaceState(null, '', `#${parts.join('&')}`);
  }

  /** False: there is nothing in the address that says what to show. */
  show(): boolean {
    const { models, ui, spans } = this.#page;
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.get('split') === '1') this.#page.setSplit(true);
    const followed = given.get('zxid');
    if (followed !== null && /^0x[0-9a-f]+$/.test(followed)) ui.followed = followed;
    const query = given.get('q');
    if (query !== null) this.#search.find(query);
    const spot = this.#spot(given.get('sel'));
    const [from, to] = (given.get('t') ?? '').split(',').map((text) => Number(text) * 1000);
    if (from !== undefined && to !== undefined && Number.isFinite(from) && to > from) spans.jump(from, to);
    else if (spot !== null) {
      const at = (models[spot.pane] as RunModel).from(spot.item);
      spans.jump(at - AROUND, at + AROUND);
    } else return false;
    if (spot !== null) this.#page.pin(spot);
    return true;
  }

  #spot(selected: string | null): Spot | null {
    if (selected === null) return null;
    const pane = selected.startsWith('n:') ? 1 : 0;
    const item = itemOf(selected.replace(/^n:/, ''));
    return item !== null && this.#page.models[pane]?.exists(item) === true ? { pane, item } : null;
  }
}
