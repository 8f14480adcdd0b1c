/**
 * One run on a canvas: draws what lies within the span, and says what is under the pointer. From the back to the front: lanes, faults, messages,
 * bands, operations, events, and what stands out.
 */
import { drawBands } from './draw-bands.ts';
import { drawEvents } from './draw-events.ts';
import { drawEnd, drawFaults, drawLanes, drawMatches, drawViolation } from './draw-ground.ts';
import { drawMessages, labelMessages } from './draw-messages.ts';
import { drawOperations } from './draw-operations.ts';
import { layout, type Layout } from './layout.ts';
import { sameItem, type Item, type RunModel } from './run-model.ts';
import { Scene } from './scene.ts';
import type { Theme } from './theme.ts';
import type { UiState } from './ui-state.ts';

const GRAB_PX = 6;
export class Pane {
  readonly no: number;
  readonly model: RunModel;
  readonly canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  /** A canvas in front, for what moves with the pointer: the rest need not be drawn again for it. */
  readonly #front: HTMLCanvasElement;
  readonly #frontPen: CanvasRenderingContext2D;
  layout: Layout;
  scroll = 0;
  width = 0;
  height = 0;
  /** The last picture: knows what lies where. */
  #scene: Scene | null = null;

  constructor(no: number, model: RunModel, canvas: HTMLCanvasElement) {
    this.no = no;
    this.model = model;
    this.canvas = canvas;
    this.#pen = canvas.getContext('2d') as CanvasRenderingContext2D;
    this.#front = document.createElement('canvas');
    this.#front.className = 'front';
    canvas.after(this.#front);
    this.#frontPen = this.#front.getContext('2d') as CanvasRenderingContext2D;
    this.layout = layout(model, new Set(), 600);
  }

  resize(width: number, height: number, folded: ReadonlySet<string>): void {
    const ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    for (const [canvas, pen] of [[this.canvas, this.#pen], [this.#front, this.#frontPen]] as const) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.layout = layout(this.model, folded, height);
    this.scrollTo(this.scroll);
  }
  scrollTo(y: number): void {
    this.scroll = Math.max(0, Math.min(y, this.layout.height - this.height));
  }
  /** No further than is needed for its lanes to be seen, the first before the others. */
  scrollToItem(item: Item): void {
    const rows = this.model.lanesOf(item).flatMap((no) => this.layout.rowOf[no] ?? []);
    for (const { top, height } of rows.toReversed()) this.scrollTo(Math.min(top, Math.max(this.scroll, top + height - this.height)));
  }

  // ------------------------------------------------------------ drawing

  /** `rough`: while it moves and a drawing takes too long; without labels and heads of arrows. */
  draw(ui: UiState, theme: Theme, divergesAt: number | null, rough = false): void {
    const pen = this.#pen;
    const scene = new Scene(this.no, pen, this.model, this.layout, this, ui, theme, rough);
    this.#scene = scene;
    pen.save();
    pen.clearRect(0, 0, this.width, this.height);
    pen.translate(0, -this.scroll);
    drawLanes(scene);
    if (!ui.hidden.has('faults')) drawFaults(scene);
    drawMessages(scene);
    drawBands(scene);
    drawOperations(scene);
    drawEnd(scene);
    drawEvents(scene);
    if (!rough) labelMessages(scene);
    drawMatches(scene);
    drawViolation(scene);
    if (divergesAt !== null) drawUpright(pen, scene.x(divergesAt), scene.depth, theme['split'] as string, [5, 4]);
    pen.restore();
  }

  /** The pointer's line, and what is under it or pinned. */
  drawFront(ui: UiState, theme: Theme): void {
    const pen = this.#frontPen;
    const { from, to } = ui.span;
    const x = (at: number): number => ((at - from) * this.width) / (to - from);
    pen.save();
    pen.clearRect(0, 0, this.width, this.height);
    pen.translate(0, -this.scroll);
    if (ui.cursorAt !== null) drawUpright(pen, x(ui.cursorAt), Math.max(this.layout.height, this.height), theme['ink-3'] as string, [1, 3]);
    for (const spot of [ui.pinned, ui.hover]) if (spot?.pane === this.no) this.#drawSpot(spot.item, theme, x, spot === ui.pinned);
    pen.restore();
  }

  #drawSpot(item: Item, theme: Theme, x: (at: number) => number, pinned: boolean): void {
    const pen = this.#frontPen;
    pen.strokeStyle = theme['ink'] as string;
    pen.fillStyle = theme['ink'] as string;
    pen.lineWidth = pinned ? 2 : 1.5;
    if (item.type === 'message') {
      const [from, to] = this.model.lanesOf(item).map((no) => this.layout.rowOf[no]);
      if (from === undefined || to === undefined) return;
      const isWhole = this.model.run.messages.lost[item.no] === 0 && (this.model.run.messages.endAt[item.no] as number) >= 0;
      const [x0, x1] = [x(this.model.from(item)), x(this.model.to(item))];
      const y1 = isWhole ? to.y : from.y + (to.y - from.y) * 0.72;
      pen.beginPath();
      pen.moveTo(x0, from.y);
      pen.lineTo(x1, y1);
      pen.stroke();
      for (const [px, py] of [[x0, from.y], [x1, y1]] as const) {
        pen.beginPath();
        pen.arc(px, py, 3.5, 0, 2 * Math.PI);
        pen.fill();
      }
      return;
    }
    const box = (this.#scene?.boxes ?? []).find((each) => sameItem(each.item, item));
    if (box === undefined) return;
    pen.beginPath();
    if (item.type === 'event') pen.arc((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, 6.5, 0, 2 * Math.PI);
    else pen.roundRect(box.x0 - 1.5, box.y0 - 1.5, box.x1 - box.x0 + 3, box.y1 - box.y0 + 3, 3);
    pen.stroke();
  }

  // ------------------------------------------------------------ the pointer

  /** What is nearest to a place of the canvas, within reach. */
  at(px: number, canvasY: number): Item | null {
    const py = canvasY + this.scroll;
    let best: Item | null = null;
    let bestDistance = GRAB_PX;
    for (const { item, x0, x1, y0, y1 } of this.#scene?.boxes ?? []) {
      const dx = Math.max(x0 - px, 0, px - x1);
      const dy = Math.max(y0 - py, 0, py - y1);
      // A point before what it lies on.
      const distance = Math.hypot(dx, dy) + (item.type === 'event' ? -3 + Math.abs(px - (x0 + x1) / 2) / 4 : item.type === 'band' ? 0.5 : -1);
      if (dx <= 3 && dy <= 2 && distance < bestDistance) {
        best = item;
        bestDistance = distance;
      }
    }
    if (best !== null && best.type !== 'band') return best;
    for (const { no, x0, y0, x1, y1 } of this.#scene?.segments ?? []) {
      if (px < Math.min(x0, x1) - GRAB_PX || px > Math.max(x0, x1) + GRAB_PX || py < Math.min(y0, y1) - 2 || py > Math.max(y0, y1) + 2) continue;
      const [dx, dy] = [x1 - x0, y1 - y0];
      const along = Math.max(0, Math.min(1, ((px - x0) * dx + (py - y0) * dy) / (dx * dx + dy * dy || 1)));
      const distance = Math.hypot(px - x0 - along * dx, py - y0 - along * dy);
      if (distance < bestDistance) {
        best = { type: 'message', no };
        bestDistance = distance;
      }
    }
    return best;
  }
}

function drawUpright(pen: CanvasRenderingContext2D, x: number, height: number, colour: string, dash: readonly number[]): void {
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.setLineDash([...dash]);
  pen.beginPath();
  pen.moveTo(Math.round(x) + 0.5, 0);
  pen.lineTo(Math.round(x) + 0.5, height);
  pen.stroke();
  pen.setLineDash([]);
}
