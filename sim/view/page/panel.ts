/** The panel at the side: what is under the pointer or pinned, in full; or, when nothing is, the run at a glance. */
import { button, el } from './dom.ts';
import type { Divergence } from './divergence.ts';
import { FAMILIES, duration, isRead, short, type Item, type RunModel } from './run-model.ts';
import type { Spot } from './ui-state.ts';
import { clock, count as grouped } from '../numbers.ts';
import type { PageData } from '../page-data.ts';

export interface PanelActions {
  readonly show: (spot: Spot) => void;
  readonly follow: (zxid: string | null) => void;
  readonly unpin: () => void;
  readonly violation: () => void;
  readonly diverges: () => void;
}

const TYPE_NAMES: Readonly<Record<Item['type'], string>> = { event: 'event', message: 'message', operation: 'operation', fault: 'fault', band: 'state' };
/** How many lines of a zxid's life are listed. */
const LIFE_LINES = 60;

export class Panel {
  readonly #root: HTMLElement;
  readonly #models: readonly RunModel[];
  readonly #data: PageData;
  readonly #actions: PanelActions;
  readonly #divergence: Divergence | null;

  constructor(root: HTMLElement, models: readonly RunModel[], data: PageData, divergence: Divergence | null, actions: PanelActions) {
    this.#root = root;
    this.#models = models;
    this.#data = data;
    this.#divergence = divergence;
    this.#actions = actions;
  }

  show(spot: Spot | null, pinned: boolean, followed: string | null): void {
    this.#root.replaceChildren(...(spot === null ? this.#overview() : this.#item(spot, pinned, followed)));
    if (spot === null) this.#root.scrollTop = 0;
  }

  // ------------------------------------------------------------ an item

  #item(spot: Spot, pinned: boolean, followed: string | null): HTMLElement[] {
    const model = this.#models[spot.pane] as RunModel;
    const { item } = spot;
    const { run } = model;
    const title = el('h2', {}, model.title(item));
    const type = item.type === 'message' ? `${FAMILIES[model.family[item.no] as number] as string} message` : item.type === 'operation' ? (isRead(model.text(run.operations.kind[item.no] as number)) ? 'read' : 'write') : TYPE_NAMES[item.type];
    const head = el('div', { class: 'panel-head' }, el('span', { class: `tag tag-${item.type}` }, type));
    if (spot.pane === 1) head.append(el('span', { class: 'tag tag-neighbour' }, 'neighbour'));
    if (pinned) head.append(button('Unpin', { class: 'quiet', title: 'Esc' }, this.#actions.unpin));
    const rows: [string, string | Node][] = [];
    const lanes = model.lanesOf(item).map((no) => model.lane(no).name);
    if (item.type === 'message') rows.push(['from', lanes[0] ?? ''], ['to', lanes[1] ?? '']);
    else if (lanes.length > 0) rows.push(['on', lanes.join(', ')]);
    const from = model.from(item);
    const to = model.to(item);
    if (item.type === 'event') rows.push(['at', `${clock(from)} ms`]);
    else if (item.type === 'message') {
      rows.push(['sent', `${clock(from)} ms`]);
      const endAt = run.messages.endAt[item.no] as number;
      if (endAt < 0) rows.push(['arrives', 'on the way when the recording ends']);
      else rows.push([run.messages.lost[item.no] === 1 ? 'lost' : 'arrives', `${clock(endAt)} ms`], ['after', duration(endAt - from)]);
    } else if (item.type === 'operation') {
      rows.push(['call', `${clock(from)} ms`]);
      const back = run.operations.returnAt[item.no] as number;
      rows.push(['return', back < 0 ? 'never: its outcome is unknown' : `${clock(back)} ms`]);
      if (back >= 0) rows.push(['took', duration(back - from)]);
      rows.push(['outcome', model.text(run.operations.outcome[item.no] as number)]);
      const committed = model.committedAt[item.no] as number;
      if (committed >= 0) rows.push(['takes effect', `${clock(committed)} ms, delivered by the first server`]);
      const zxid = model.zxid(item);
      if (zxid !== null) rows.push(['zxid', this.#zxid(zxid)]);
    } else {
      rows.push(['from', `${clock(from)} ms`], ['to', `${clock(to)} ms`], ['lasts', duration(to - from)]);
      if (item.type === 'fault') rows.push(['kind', run.faults[item.no]?.kind ?? ''], ['name', run.faults[item.no]?.id ?? '']);
    }
    const { violation } = run;
    if (violation !== null && from <= violation.at) rows.push(['to violation', violation.at === from ? 'the same instant' : duration(violation.at - from)]);
    const parts: HTMLElement[] = [head, title, list(rows)];
    const contents = Object.entries(model.contents(item));
    if (contents.length > 0) {
      parts.push(el('h3', {}, 'Contents'), list(contents.map(([name, value]) => [name, typeof value === 'string' && /^0x[0-9a-f]+$/.test(value) ? this.#zxid(value) : typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)])));
    }
    const zxid = model.zxid(item);
    if (zxid !== null) parts.push(...this.#life(spot, zxid, followed));
    return parts;
  }

  #zxid(zxid: string): Node {
    return el('span', {}, short(zxid), el('span', { class: 'faint' }, ` ${zxid}`));
  }

  #life(spot: Spot, zxid: string, followed: string | null): HTMLElement[] {
    const model = this.#models[spot.pane] as RunModel;
    const life = model.sameZxid(zxid);
    if (life.length < 2) return [];
    const toggle = button(followed === zxid ? 'Stop following' : `Follow ${short(zxid)}`, { class: 'small', 'aria-pressed': String(followed === zxid) }, () => this.#actions.follow(followed === zxid ? null : zxid));
    const lines = life.slice(0, LIFE_LINES).map((item) => this.#line({ pane: spot.pane, item }, item.no === spot.item.no && item.type === spot.item.type));
    return [el('h3', {}, `The life of ${short(zxid)}`, toggle), el('ol', { class: 'lines' }, ...lines), ...(life.length > LIFE_LINES ? [el('p', { class: 'faint' }, `and ${grouped(life.length - LIFE_LINES)} more`)] : [])];
  }

  #line(spot: Spot, current = false): HTMLElement {
    const model = this.#models[spot.pane] as RunModel;
    const line = button('', { class: 'line', ...(current ? { 'aria-current': 'true' } : {}) }, () => this.#actions.show(spot));
    line.append(el('time', {}, clock(model.from(spot.item), 1)), el('span', {}, model.line(spot.item)));
    return el('li', {}, line);
  }

  // ------------------------------------------------------------ at a glance

  #overview(): HTMLElement[] {
    const model = this.#models[0] as RunModel;
    const { run } = model;
    const parts: HTMLElement[] = [];
    const { violation } = run;
    if (violation !== null) {
      parts.push(el('div', { class: 'card card-red' },
        el('h2', {}, violation.invariant), el('p', {}, violation.message),
        el('p', { class: 'faint' }, `${clock(violation.at)} ms${violation.lane === null ? '' : ` · ${model.lane(violation.lane).name}`}`),
        button('Show where', { class: 'small' }, this.#actions.violation)));
    } else parts.push(el('div', { class: 'card' }, el('h2', {}, 'Nothing is violated'), el('p', { class: 'faint' }, 'Every judge was content until the end of this recording.')));
    if (this.#data.neighbour !== null) parts.push(this.#neighbourCard(this.#data.neighbour.label));
    if (run.leftOut.length > 0) {
      parts.push(el('h3', {}, 'Not in this recording'), el('ul', { class: 'plain faint' }, ...run.leftOut.map(({ what, count, before }) => el('li', {}, `${grouped(count)} ${what} before ${clock(before, 0)} ms`))));
    }
    if (run.faults.length > 0) {
      parts.push(el('h3', {}, `Faults (${run.faults.length})`), el('ol', { class: 'lines' }, ...run.faults.map((_, no) => this.#fault(no))));
    }
    parts.push(el('p', { class: 'faint hint' }, 'Hover over anything for its contents, click to keep it. Press ? for the keys.'));
    return parts;
  }

  #fault(no: number): HTMLElement {
    const model = this.#models[0] as RunModel;
    const fault = model.run.faults[no];
    const line = button('', { class: 'line' }, () => this.#actions.show({ pane: 0, item: { type: 'fault', no } }));
    line.append(el('time', {}, clock(fault?.from ?? 0, 0)), el('span', {}, model.title({ type: 'fault', no }), el('span', { class: 'faint' }, ` ${fault?.id ?? ''}`)));
    return el('li', {}, line);
  }

  #neighbourCard(label: string): HTMLElement {
    const neighbour = this.#models[1] as RunModel;
    const card = el('div', { class: 'card card-split' }, el('h2', {}, neighbour.run.violation === null ? 'A neighbour passes' : 'A neighbour'), el('p', {}, `The same seed ${label}.`));
    if (this.#divergence === null) card.append(el('p', { class: 'faint' }, 'The two recordings do not differ.'));
    else {
      const { at, here, there } = this.#divergence;
      card.append(el('p', { class: 'faint' }, `They part at ${clock(at)} ms:`));
      if (here !== null) card.append(el('p', {}, el('span', { class: 'faint' }, 'here '), (this.#models[0] as RunModel).line(here)));
      if (there !== null) card.append(el('p', {}, el('span', { class: 'faint' }, 'there '), neighbour.line(there)));
      card.append(button('Show where they part', { class: 'small' }, this.#actions.diverges));
    }
    return card;
  }
}

function list(rows: readonly [string, string | Node][]): HTMLElement {
  return el('dl', { class: 'fields' }, ...rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}
