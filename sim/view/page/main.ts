/** The page of a run: puts the parts together, and turns wheel, pointer, keys and the address into what is shown. */
import type { PageData } from '../page-data.ts';
import { divergence } from './divergence.ts';
import { byId, button, el } from './dom.ts';
import { Minimap } from './minimap.ts';
import { Pane } from './pane.ts';
import { Panel } from './panel.ts';
import { clock, drawRuler, type Flag } from './ruler.ts';
import { FAMILIES, isRead, itemName, itemOf, RunModel, type Item } from './run-model.ts';
import { readTheme, type Theme } from './theme.ts';
import { UiState, type Span, type Spot } from './ui-state.ts';

const data = JSON.parse(byId('run-data').textContent ?? '') as PageData;
const models = [new RunModel(data.run), ...(data.neighbour === null ? [] : [new RunModel(data.neighbour.recorded)])];
const run = models[0] as RunModel;
const parts = models[1] === undefined ? null : divergence(run, models[1]);
const endAt = Math.max(...models.map((model) => model.endAt));
/** No closer than a microsecond a pixel, about. */
const LEAST_SPAN = 400;

const panes = models.map((model, no) => new Pane(no, model, byId<HTMLCanvasElement>(`canvas-${no}`)));
const ui = new UiState(wholeSpan());
const minimap = new Minimap(byId<HTMLCanvasElement>('minimap'), models, endAt);
const ruler = byId<HTMLCanvasElement>('ruler');
const rulerPen = ruler.getContext('2d') as CanvasRenderingContext2D;
const panel = new Panel(byId('panel'), models, data, parts, {
  show: (spot) => goTo(spot),
  follow: (zxid) => {
    ui.followed = zxid;
    changed();
  },
  unpin: () => pin(null),
  violation: toViolation,
  diverges: toDivergence,
});
let theme: Theme = readTheme(rulerPen);

// ------------------------------------------------------------ spans

function wholeSpan(): Span {
  const edge = endAt * 0.02;
  return { from: -edge, to: endAt + edge };
}
function setSpan(from: number, to: number): void {
  const whole = wholeSpan();
  const length = Math.max(LEAST_SPAN, Math.min(to - from, whole.to - whole.from));
  const begin = Math.max(whole.from - length * 0.4, Math.min(from + (to - from - length) / 2, whole.to - length * 0.6));
  ui.span = { from: begin, to: begin + length };
  movedMs = performance.now();
  invalidate();
  rememberSoon();
}
/** The place that stays where it is when the keys zoom: the pointer, what is pinned, the violation, the middle. */
function anchor(): number {
  const { from, to } = ui.span;
  const pinned = ui.pinned === null ? null : (models[ui.pinned.pane] as RunModel).from(ui.pinned.item);
  const at = [ui.cursorAt, pinned, run.run.violation?.at ?? null].find((each) => each !== null && each >= from && each <= to) ?? (from + to) / 2;
  return (at - from) / (to - from);
}
function zoom(factor: number, anchored = anchor()): void {
  moving = null;
  const { from, to } = ui.span;
  const at = from + (to - from) * anchored;
  const length = Math.max(LEAST_SPAN, (to - from) * factor);
  setSpan(at - length * anchored, at + length * (1 - anchored));
}
function pan(share: number): void {
  const by = (ui.span.to - ui.span.from) * share;
  glide({ from: ui.span.from + by, to: ui.span.to + by });
}

let moving: { readonly from: Span; readonly to: Span; readonly beginMs: number } | null = null;
const GLIDE_MS = matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 220;
function glide(to: Span): void {
  moving = { from: ui.span, to, beginMs: performance.now() };
  invalidate();
}
function step(): void {
  if (moving === null) return;
  const part = GLIDE_MS === 0 ? 1 : Math.min(1, (performance.now() - moving.beginMs) / GLIDE_MS);
  const ease = 1 - (1 - part) ** 3;
  const { from, to } = moving;
  if (part >= 1) moving = null;
  setSpan(from.from + (to.from - from.from) * ease, from.to + (to.to - from.to) * ease);
}

/** A span in which about so many messages end at `at`, which lies at three quarters of it. */
function spanBefore(at: number, messages = 40): Span {
  const sent = run.run.messages.sentAt;
  let seen = 0;
  let from = at - 2000;
  for (let no = sent.length - 1; no >= 0 && seen < messages; no--) {
    const begin = sent[no] as number;
    if (begin > at || FAMILIES[run.family[no] as number] === 'heartbeat') continue;
    seen++;
    from = begin;
  }
  const length = Math.max(8000, Math.min(120_000, at - from));
  return { from: at - length * 0.85, to: at + length * 0.15 };
}

function toViolation(): void {
  const { violation } = run.run;
  if (violation === null) return;
  pin(null, false);
  glide(spanBefore(violation.at));
  say(`${violation.invariant} at ${clock(violation.at)} ms: ${violation.message}`);
}
function toDivergence(): void {
  if (parts === null) return;
  setSplit(true);
  const spot = parts.here !== null ? { pane: 0, item: parts.here } : parts.there !== null ? { pane: 1, item: parts.there } : null;
  const length = Math.min(120_000, ui.span.to - ui.span.from);
  glide({ from: parts.at - length * 0.4, to: parts.at + length * 0.6 });
  if (spot !== null) pin(spot, false);
  say(`The runs part at ${clock(parts.at)} ms`);
}

/** Shows an item: pinned, and within the span. */
function goTo(spot: Spot): void {
  if (spot.pane === 1) setSplit(true);
  const model = models[spot.pane] as RunModel;
  const [from, to] = [model.from(spot.item), model.to(spot.item)];
  const { span } = ui;
  const length = span.to - span.from;
  if (from < span.from + length * 0.05 || from > span.to - length * 0.05) {
    // Far out one sees little: come closer, too.
    const near = Math.min(length, Math.max(120_000, (to - from) * 3));
    glide({ from: from - near * 0.45, to: from + near * 0.55 });
  }
  pin(spot);
}
function pin(spot: Spot | null, followsToo = true): void {
  ui.pinned = spot;
  ui.hover = null;
  if (spot === null && followsToo) ui.followed = null;
  changed();
  if (spot !== null) say((models[spot.pane] as RunModel).line(spot.item));
}

// ------------------------------------------------------------ drawing

let drawn = false;
/** The whole picture has to be drawn again, not just what moves with the pointer. */
let sceneChanged = true;
function invalidate(scene = true): void {
  sceneChanged ||= scene;
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(draw);
}
function changed(): void {
  panel.show(ui.shown, ui.hover === null && ui.pinned !== null, ui.followed);
  invalidate();
  rememberSoon();
}

/** A full drawing that takes longer is not repeated while it moves. */
const FULL_MS = 14;
const STILL_MS = 120;
let fullMs = 0;
let movedMs = 0;
let finishing = 0;

function draw(): void {
  drawn = false;
  step();
  const beganMs = performance.now();
  const rough = sceneChanged && fullMs > FULL_MS && beganMs - movedMs < STILL_MS;
  const flags: Flag[] = [];
  const { violation } = run.run;
  if (violation !== null) flags.push({ at: violation.at, text: `${violation.invariant}: ${violation.message}`, colour: 'red' });
  if (parts !== null) flags.push({ at: parts.at, text: 'the runs part', colour: 'split' });
  drawRuler(rulerPen, ruler.clientWidth, ruler.clientHeight, ui.span, flags, ui.cursorAt, theme);
  for (const pane of panes) {
    if (pane.no !== 0 && !ui.split) continue;
    if (sceneChanged) pane.draw(ui, theme, parts?.at ?? null, rough);
    pane.drawFront(ui, theme);
  }
  if (sceneChanged) minimap.draw(ui, theme, parts?.at ?? null);
  if (sceneChanged && !rough) fullMs = performance.now() - beganMs;
  if (rough) {
    clearTimeout(finishing);
    finishing = setTimeout(() => invalidate(), STILL_MS) as unknown as number;
  }
  sceneChanged = false;
  if (moving !== null) invalidate();
}

function resize(): void {
  const ratio = window.devicePixelRatio || 1;
  ruler.width = Math.round(ruler.clientWidth * ratio);
  ruler.height = Math.round(ruler.clientHeight * ratio);
  rulerPen.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const pane of panes) {
    const frame = pane.canvas.parentElement as HTMLElement;
    if (frame.clientWidth > 0) pane.resize(frame.clientWidth, frame.clientHeight, ui.folded);
    placeGutter(pane);
  }
  minimap.resize(minimap.canvas.clientWidth, minimap.canvas.clientHeight);
  invalidate();
}

/** The names of the lanes, beside the canvas; a press folds a lane. */
function placeGutter(pane: Pane): void {
  const gutter = byId(`gutter-${pane.no}`);
  const { rows } = pane.layout;
  const known = new Map([...gutter.children].map((child) => [child.getAttribute('data-lane'), child as HTMLElement]));
  for (const row of rows) {
    let label = known.get(row.id);
    if (label === undefined) {
      label = button('', { class: `lane lane-${row.kind}`, 'data-lane': row.id }, () => fold(row.id));
      label.append(el('span', {}, row.name));
      gutter.append(label);
    }
    label.style.transform = `translateY(${row.top - pane.scroll}px)`;
    label.style.height = `${row.height}px`;
    label.setAttribute('aria-pressed', String(!row.folded));
    label.title = row.folded ? `Show ${row.name}` : `Fold ${row.name}`;
    label.classList.toggle('folded', row.folded);
    label.classList.toggle('failed', pane.model.run.violation?.lane === row.lane?.no && row.lane !== null);
  }
}
function fold(id: string): void {
  if (!ui.folded.delete(id)) ui.folded.add(id);
  resize();
  changed();
}

// ------------------------------------------------------------ split view

function setSplit(on: boolean): void {
  if (models[1] === undefined || ui.split === on) return;
  ui.split = on;
  document.body.classList.toggle('split', on);
  byId('pane-1').hidden = !on;
  byId('split').setAttribute('aria-pressed', String(on));
  resize();
  rememberSoon();
}

// ------------------------------------------------------------ filters, which are the legend too

function holds(model: RunModel, name: string): boolean {
  if (FAMILIES.includes(name as never)) return model.family.includes(FAMILIES.indexOf(name as never));
  if (name === 'writes' || name === 'reads') return model.run.operations.kind.some((kind) => isRead(model.text(kind)) === (name === 'reads'));
  if (name === 'faults') return model.run.faults.length > 0;
  if (name === 'disk') return model.run.bands.band.some((band) => model.text(band) === 'disk');
  return model.eventKind.includes(name as never);
}

function setUpFilters(): void {
  for (const chip of document.querySelectorAll<HTMLButtonElement>('#filters [data-shows]')) {
    const name = chip.getAttribute('data-shows') as string;
    chip.hidden = !models.some((model) => holds(model, name));
    chip.setAttribute('aria-pressed', String(!ui.hidden.has(name)));
    chip.addEventListener('click', () => {
      if (!ui.hidden.delete(name)) ui.hidden.add(name);
      chip.setAttribute('aria-pressed', String(!ui.hidden.has(name)));
      changed();
    });
    chip.addEventListener('dblclick', () => {
      // Only this one, or all again.
      const all = [...document.querySelectorAll<HTMLButtonElement>('#filters [data-shows]')];
      const alone = all.every((other) => other === chip || ui.hidden.has(other.getAttribute('data-shows') as string));
      for (const other of all) {
        const otherName = other.getAttribute('data-shows') as string;
        if (alone || other === chip) ui.hidden.delete(otherName);
        else ui.hidden.add(otherName);
        other.setAttribute('aria-pressed', String(!ui.hidden.has(otherName)));
      }
      changed();
    });
  }
}

// ------------------------------------------------------------ search

const searchField = byId<HTMLInputElement>('search');
let matchNo = -1;
function search(): void {
  const query = searchField.value;
  ui.matches = models.flatMap((model, pane) => (pane === 1 && !ui.split ? [] : model.search(query).map((item) => ({ pane, item }))));
  ui.matches = [...ui.matches].sort((a, b) => (models[a.pane] as RunModel).from(a.item) - (models[b.pane] as RunModel).from(b.item));
  matchNo = -1;
  showMatchCount();
  invalidate();
}
function showMatchCount(): void {
  byId('matches').textContent = searchField.value.trim() === '' ? '' : ui.matches.length === 0 ? 'none' : `${matchNo < 0 ? '' : `${matchNo + 1} of `}${ui.matches.length.toLocaleString('en')}`;
}
function nextMatch(by: 1 | -1): void {
  if (ui.matches.length === 0) return;
  if (matchNo < 0) {
    // The first from the middle of what is seen.
    const middle = (ui.span.from + ui.span.to) / 2;
    const found = ui.matches.findIndex(({ pane, item }) => (models[pane] as RunModel).from(item) >= middle);
    matchNo = by === 1 ? (found < 0 ? 0 : found) : (found < 0 ? ui.matches.length : found) - 1;
  } else matchNo += by;
  matchNo = (matchNo + ui.matches.length) % ui.matches.length;
  showMatchCount();
  goTo(ui.matches[matchNo] as Spot);
}

/** The item after or before the pinned one, on its lane. */
function neighbourItem(by: 1 | -1): void {
  const spot = ui.pinned;
  const model = models[spot?.pane ?? 0] as RunModel;
  const at = spot === null ? (ui.span.from + ui.span.to) / 2 : model.from(spot.item);
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
  if (best !== null) goTo({ pane: spot?.pane ?? 0, item: best });
}

// ------------------------------------------------------------ pointer

for (const pane of panes) setUpPointer(pane);

function setUpPointer(pane: Pane): void {
  const { canvas } = pane;
  let drag: { readonly x: number; readonly y: number; readonly span: Span; readonly scroll: number; moved: boolean } | null = null;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, span: ui.span, scroll: pane.scroll, moved: false };
    moving = null;
  });
  canvas.addEventListener('pointermove', (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    ui.cursorAt = ui.span.from + ((ui.span.to - ui.span.from) * x) / pane.width;
    if (drag !== null) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 3) drag.moved = true;
      if (drag.moved) {
        canvas.classList.add('dragged');
        const by = ((event.clientX - drag.x) / pane.width) * (drag.span.to - drag.span.from);
        setSpan(drag.span.from - by, drag.span.to - by);
        pane.scrollTo(drag.scroll - (event.clientY - drag.y));
        placeGutter(pane);
        return;
      }
    }
    const item = pane.at(x, event.clientY - box.top);
    canvas.classList.toggle('over', item !== null);
    const known = ui.hover;
    if (item === null ? known !== null : known === null || known.pane !== pane.no || known.item.no !== item.no || known.item.type !== item.type) {
      ui.hover = item === null ? null : { pane: pane.no, item };
      panel.show(ui.shown, ui.hover === null && ui.pinned !== null, ui.followed);
    }
    invalidate(false);
  });
  canvas.addEventListener('pointerup', (event) => {
    canvas.classList.remove('dragged');
    const wasMoved = drag?.moved ?? false;
    drag = null;
    if (wasMoved) return;
    const box = canvas.getBoundingClientRect();
    const item = pane.at(event.clientX - box.left, event.clientY - box.top);
    pin(item === null ? null : { pane: pane.no, item }, item === null);
  });
  canvas.addEventListener('pointerleave', () => {
    ui.cursorAt = null;
    if (ui.hover !== null) {
      ui.hover = null;
      panel.show(ui.shown, ui.pinned !== null, ui.followed);
    }
    invalidate(false);
  });
  canvas.addEventListener('dblclick', (event) => zoom(0.4, (event.clientX - canvas.getBoundingClientRect().left) / pane.width));
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 24 : 1;
    if (event.altKey) {
      pane.scrollTo(pane.scroll + event.deltaY * unit);
      placeGutter(pane);
      invalidate();
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (((event.deltaX || event.deltaY) * unit) / pane.width) * (ui.span.to - ui.span.from);
      moving = null;
      setSpan(ui.span.from + by, ui.span.to + by);
    } else zoom(Math.exp(Math.max(-80, Math.min(80, event.deltaY * unit)) * 0.006), (event.clientX - canvas.getBoundingClientRect().left) / pane.width);
  }, { passive: false });
}

function setUpMinimap(): void {
  const { canvas } = minimap;
  let grabbed: number | null = null;
  const move = (event: PointerEvent): void => {
    const at = minimap.at(event.clientX - canvas.getBoundingClientRect().left);
    const length = ui.span.to - ui.span.from;
    moving = null;
    setSpan(at - (grabbed ?? 0.5) * length, at + (1 - (grabbed ?? 0.5)) * length);
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    const at = minimap.at(event.clientX - canvas.getBoundingClientRect().left);
    const share = (at - ui.span.from) / (ui.span.to - ui.span.from);
    grabbed = share > 0 && share < 1 ? share : 0.5;
    move(event);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (grabbed !== null) move(event);
  });
  canvas.addEventListener('pointerup', () => (grabbed = null));
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(Math.exp(Math.max(-80, Math.min(80, event.deltaY)) * 0.006), 0.5);
  }, { passive: false });
}

// ------------------------------------------------------------ keys

const keys: Readonly<Record<string, () => void>> = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), ArrowUp: () => zoom(0.7), ArrowDown: () => zoom(1 / 0.7),
  a: () => pan(-0.2), d: () => pan(0.2), w: () => zoom(0.7), s: () => zoom(1 / 0.7),
  '+': () => zoom(0.7), '=': () => zoom(0.7), '-': () => zoom(1 / 0.7),
  v: toViolation, f: () => glide(wholeSpan()), p: toDivergence, b: () => setSplit(!ui.split),
  n: () => nextMatch(1), N: () => nextMatch(-1), ']': () => neighbourItem(1), '[': () => neighbourItem(-1),
  Home: () => glide({ from: wholeSpan().from, to: wholeSpan().from + ui.span.to - ui.span.from }), End: () => glide({ from: wholeSpan().to - (ui.span.to - ui.span.from), to: wholeSpan().to }),
  '/': () => searchField.focus(), '?': () => byId<HTMLDialogElement>('help').showModal(),
  Escape: () => {
    if (searchField.value !== '') {
      searchField.value = '';
      search();
    }
    pin(null);
  },
};
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId<HTMLDialogElement>('help').open) return;
  if (event.target === searchField) {
    if (event.key === 'Enter') nextMatch(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') {
      searchField.value = '';
      search();
      searchField.blur();
    } else return;
    event.preventDefault();
    return;
  }
  const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
  if (act === undefined) return;
  event.preventDefault();
  act();
});

// ------------------------------------------------------------ the address

/** #t=from,to (ms) &sel=m12 (n:m12 in the neighbour) &split=1 &q=words */
let remembering = 0;
function rememberSoon(): void {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const parts = [`t=${(ui.span.from / 1000).toFixed(3)},${(ui.span.to / 1000).toFixed(3)}`];
    if (ui.pinned !== null) parts.push(`sel=${ui.pinned.pane === 1 ? 'n:' : ''}${itemName(ui.pinned.item)}`);
    if (ui.split) parts.push('split=1');
    if (ui.followed !== null) parts.push(`zxid=${ui.followed}`);
    if (searchField.value !== '') parts.push(`q=${encodeURIComponent(searchField.value)}`);
    history.replaceState(null, '', `#${parts.join('&')}`);
  }, 150) as unknown as number;
}
/** False: there is nothing in the address that says what to show. */
function fromAddress(): boolean {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get('split') === '1') setSplit(true);
  const followed = given.get('zxid');
  if (followed !== null && /^0x[0-9a-f]+$/.test(followed)) ui.followed = followed;
  const query = given.get('q');
  if (query !== null) {
    searchField.value = query;
    search();
  }
  const selected = given.get('sel');
  let spot: Spot | null = null;
  if (selected !== null) {
    const pane = selected.startsWith('n:') ? 1 : 0;
    const item = itemOf(selected.replace(/^n:/, ''));
    if (item !== null && models[pane]?.exists(item) === true) spot = { pane, item };
  }
  const [from, to] = (given.get('t') ?? '').split(',').map((text) => Number(text) * 1000);
  if (from !== undefined && to !== undefined && Number.isFinite(from) && to > from) {
    setSpan(from, to);
    if (spot !== null) pin(spot);
    return true;
  }
  if (spot === null) return false;
  const at = (models[spot.pane] as RunModel).from(spot.item);
  setSpan(at - 60_000, at + 60_000);
  pin(spot);
  return true;
}

// ------------------------------------------------------------ go

function say(text: string): void {
  byId('said').textContent = text;
}

function setUpButtons(): void {
  const actions: Readonly<Record<string, () => void>> = {
    violation: toViolation, whole: () => glide(wholeSpan()), closer: () => zoom(0.6), further: () => zoom(1 / 0.6), split: () => setSplit(!ui.split),
    'next-match': () => nextMatch(1), 'previous-match': () => nextMatch(-1), keys: () => byId<HTMLDialogElement>('help').showModal(), 'help-close': () => byId<HTMLDialogElement>('help').close(),
  };
  for (const [id, act] of Object.entries(actions)) document.getElementById(id)?.addEventListener('click', act);
  for (const copy of document.querySelectorAll<HTMLButtonElement>('[data-copy]')) {
    copy.addEventListener('click', () => {
      const text = copy.getAttribute('data-copy') as string;
      void copyText(text).then((done) => {
        const label = copy.textContent;
        copy.textContent = done ? 'Copied' : 'Not allowed';
        say(done ? 'Copied' : 'Copying is not allowed here');
        if (label !== 'Copied') setTimeout(() => (copy.textContent = label), 1500);
      });
    });
  }
  searchField.addEventListener('input', () => {
    search();
    rememberSoon();
  });
}
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages from files may not; the old way may.
    const field = el('textarea', { readonly: '' });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

setUpFilters();
setUpButtons();
setUpMinimap();
new ResizeObserver(resize).observe(byId('stage'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  theme = readTheme(rulerPen);
  invalidate();
});
window.addEventListener('hashchange', () => void fromAddress());
resize();
if (!fromAddress()) {
  const { violation } = run.run;
  if (violation !== null) {
    const near = spanBefore(violation.at);
    setSpan(near.from, near.to);
  }
}
changed();
/** For tests and for the curious: what is on the screen where. */
Object.assign(window, { drey: { ui, panes, models, parts, theme: () => theme } });
