/** The page of a run: puts the parts together, and draws them. */
import { clock } from '../numbers.ts';
import type { PageData } from '../page-data.ts';
import { Address } from './address.ts';
import { setUpCopyButtons } from './copy-buttons.ts';
import { divergence } from './divergence.ts';
import { byId, button, el } from './dom.ts';
import { setUpFilters } from './filters.ts';
import { setUpKeys } from './keys.ts';
import { Minimap } from './minimap.ts';
import type { PageHost } from './page-host.ts';
import { Pane } from './pane.ts';
import { Panel } from './panel.ts';
import { setUpMinimap, setUpPane } from './pointer.ts';
import { drawRuler, type Flag } from './ruler.ts';
import { FAMILIES, RunModel } from './run-model.ts';
import { Search } from './search.ts';
import { Spans, wholeSpan } from './spans.ts';
import { readTheme, type Theme } from './theme.ts';
import { UiState, type Span, type Spot } from './ui-state.ts';

const data = JSON.parse(byId('run-data').textContent ?? '') as PageData;
const models = [new RunModel(data.run), ...(data.neighbour === null ? [] : [new RunModel(data.neighbour.recorded)])];
const run = models[0] as RunModel;
const parts = models[1] === undefined ? null : divergence(run, models[1]);
const endAt = Math.max(...models.map((model) => model.endAt));
const panes = models.map((model, no) => new Pane(no, model, byId<HTMLCanvasElement>(`canvas-${no}`)));
const whole = wholeSpan(endAt);
const ui = new UiState(whole);
const spans = new Spans(whole, ui, () => [ui.cursorAt, ui.pinned === null ? null : modelOf(ui.pinned).from(ui.pinned.item), run.run.violation?.at ?? null], moved);
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

// ------------------------------------------------------------ what is looked at

function modelOf(spot: Spot): RunModel {
  return models[spot.pane] as RunModel;
}
function moved(): void {
  movedMs = performance.now();
  invalidate();
  address.rememberSoon();
}

/** A span in which some 40 messages end at `at`, which lies near its end. */
function spanBefore(at: number): Span {
  const sent = run.run.messages.sentAt;
  let seen = 0;
  let from = at - 2000;
  for (let no = sent.length - 1; no >= 0 && seen < 40; no--) {
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
  pin(null, true);
  spans.glide(spanBefore(violation.at));
  say(`${violation.invariant} at ${clock(violation.at)} ms: ${violation.message}`);
}
function toDivergence(): void {
  if (parts === null) return;
  setSplit(true);
  const spot = parts.here !== null ? { pane: 0, item: parts.here } : parts.there !== null ? { pane: 1, item: parts.there } : null;
  const length = Math.min(120_000, spans.length);
  spans.glide({ from: parts.at - length * 0.4, to: parts.at + length * 0.6 });
  if (spot !== null) pin(spot, true);
  say(`The runs part at ${clock(parts.at)} ms`);
}

function goTo(spot: Spot): void {
  if (spot.pane === 1) setSplit(true);
  const model = modelOf(spot);
  const [from, to] = [model.from(spot.item), model.to(spot.item)];
  const { span } = ui;
  const { length } = spans;
  if (from < span.from + length * 0.05 || from > span.to - length * 0.05) {
    // Far out one sees little: come closer, too.
    const near = Math.min(length, Math.max(120_000, (to - from) * 3));
    spans.glide({ from: from - near * 0.45, to: from + near * 0.55 });
  }
  const pane = panes[spot.pane] as Pane;
  pane.scrollToItem(spot.item);
  placeGutter(pane);
  pin(spot);
}
function pin(spot: Spot | null, keepsFollowed = false): void {
  ui.pinned = spot;
  ui.hover = null;
  if (spot === null && !keepsFollowed) ui.followed = null;
  changed();
  if (spot !== null) say(modelOf(spot).line(spot.item));
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
  hovered();
  invalidate();
  address.rememberSoon();
}
function hovered(): void {
  panel.show(ui.shown, ui.hover === null && ui.pinned !== null, ui.followed);
}

/** A full drawing that takes longer is not repeated while it moves. */
const FULL_MS = 14;
const STILL_MS = 120;
let fullMs = 0;
let movedMs = 0;
let finishing = 0;

function draw(): void {
  drawn = false;
  spans.step();
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
  if (spans.moving) invalidate();
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
  address.rememberSoon();
}

// ------------------------------------------------------------ go

function say(text: string): void {
  byId('said').textContent = text;
}

const page: PageHost = { models, ui, spans, invalidate, changed, hovered, pin, goTo, setSplit, placeGutter, say };
const search = new Search(page);
const address = new Address(page, search);
const actions = { toViolation, toDivergence, showHelp: () => byId<HTMLDialogElement>('help').showModal() };

setUpFilters(page);
setUpButtons();
setUpCopyButtons(say);
setUpKeys(page, search, actions);
for (const pane of panes) setUpPane(pane, page);
setUpMinimap(minimap, page);
search.field.addEventListener('input', () => {
  search.find();
  address.rememberSoon();
});
new ResizeObserver(resize).observe(byId('stage'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  theme = readTheme(rulerPen);
  invalidate();
});
window.addEventListener('hashchange', () => void address.show());
resize();
if (!address.show()) {
  const { violation } = run.run;
  if (violation !== null) {
    const near = spanBefore(violation.at);
    spans.jump(near.from, near.to);
  }
}
changed();

function setUpButtons(): void {
  const presses: Readonly<Record<string, () => void>> = {
    violation: toViolation, whole: () => spans.glide(whole), closer: () => spans.zoom(0.6), further: () => spans.zoom(1 / 0.6), split: () => setSplit(!ui.split),
    'next-match': () => search.next(1), 'previous-match': () => search.next(-1), keys: actions.showHelp, 'help-close': () => byId<HTMLDialogElement>('help').close(),
  };
  for (const [id, press] of Object.entries(presses)) document.getElementById(id)?.addEventListener('click', press);
}

/** For tests and for the curious: what is on the screen where. */
Object.assign(window, { drey: { ui, panes, models, parts, theme: () => theme } });
