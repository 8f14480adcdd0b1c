/** Pointer and wheel, over a pane and over the map of the whole run. */
import type { Minimap } from './minimap.ts';
import type { PageHost } from './page-host.ts';
import type { Pane } from './pane.ts';
import type { Span } from './ui-state.ts';

const DRAG_PIXELS = 3;

export function setUpPane(pane: Pane, page: PageHost): void {
  const { canvas } = pane;
  const { ui, spans } = page;
  const place = (event: MouseEvent): { readonly x: number; readonly y: number } => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  let drag: { readonly x: number; readonly y: number; readonly span: Span; readonly scroll: number; moved: boolean } | null = null;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, span: ui.span, scroll: pane.scroll, moved: false };
    spans.stop();
  });
  canvas.addEventListener('pointermove', (event) => {
    const { x, y } = place(event);
    ui.cursorAt = ui.span.from + (spans.length * x) / pane.width;
    if (drag !== null) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > DRAG_PIXELS) drag.moved = true;
      if (drag.moved) {
        canvas.classList.add('dragged');
        const by = ((event.clientX - drag.x) / pane.width) * (drag.span.to - drag.span.from);
        spans.jump(drag.span.from - by, drag.span.to - by);
        pane.scrollTo(drag.scroll - (event.clientY - drag.y));
        page.placeGutter(pane);
        return;
      }
    }
    const item = pane.at(x, y);
    canvas.classList.toggle('over', item !== null);
    const known = ui.hover;
    if (item === null ? known !== null : known === null || known.pane !== pane.no || known.item.no !== item.no || known.item.type !== item.type) {
      ui.hover = item === null ? null : { pane: pane.no, item };
      page.hovered();
    }
    page.invalidate(false);
  });
  canvas.addEventListener('pointerup', (event) => {
    canvas.classList.remove('dragged');
    const wasMoved = drag?.moved ?? false;
    drag = null;
    if (wasMoved) return;
    const { x, y } = place(event);
    const item = pane.at(x, y);
    page.pin(item === null ? null : { pane: pane.no, item });
  });
  canvas.addEventListener('pointerleave', () => {
    ui.cursorAt = null;
    if (ui.hover !== null) {
      ui.hover = null;
      page.hovered();
    }
    page.invalidate(false);
  });
  canvas.addEventListener('dblclick', (event) => spans.zoom(0.4, place(event).x / pane.width));
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 24 : 1;
    if (event.altKey) {
      pane.scrollTo(pane.scroll + event.deltaY * unit);
      page.placeGutter(pane);
      page.invalidate();
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (((event.deltaX || event.deltaY) * unit) / pane.width) * spans.length;
      spans.jump(ui.span.from + by, ui.span.to + by);
    } else spans.zoom(wheelFactor(event.deltaY * unit), place(event).x / pane.width);
  }, { passive: false });
}

export function setUpMinimap(minimap: Minimap, { ui, spans }: PageHost): void {
  const { canvas } = minimap;
  const placeOf = (event: PointerEvent): number => minimap.at(event.clientX - canvas.getBoundingClientRect().left);
  /** The share of the span at which it is held; null: it is not. */
  let grabbed: number | null = null;
  const move = (event: PointerEvent, share: number): void => {
    const at = placeOf(event);
    spans.jump(at - share * spans.length, at + (1 - share) * spans.length);
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    const share = (placeOf(event) - ui.span.from) / spans.length;
    grabbed = share > 0 && share < 1 ? share : 0.5;
    move(event, grabbed);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (grabbed !== null) move(event, grabbed);
  });
  canvas.addEventListener('pointerup', () => (grabbed = null));
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    spans.zoom(wheelFactor(event.deltaY), 0.5);
  }, { passive: false });
}

function wheelFactor(pixels: number): number {
  return Math.exp(Math.max(-80, Math.min(80, pixels)) * 0.006);
}
