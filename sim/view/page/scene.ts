/** What the drawing functions share while one picture is made. */
import type { Layout } from './layout.ts';
import type { Item, RunModel } from './run-model.ts';
import { FONT, type Theme } from './theme.ts';
import type { UiState } from './ui-state.ts';

/** A message on the canvas. */
export interface Segment {
  readonly no: number;
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}
export interface Rectangle {
  readonly x0: number;
  readonly x1: number;
  readonly y0: number;
  readonly y1: number;
}
/** Where an item lies, for the pointer. */
export interface Box extends Rectangle {
  readonly item: Item;
}

/** What is narrower than this is drawn once per so many pixels; in a hurry, once per more. */
const COLUMN_PX = 2;
const ROUGH_COLUMN_PX = 5;

const widths = new Map<string, number>();

export class Scene {
  /** Which of the two runs. */
  readonly no: number;
  readonly pen: CanvasRenderingContext2D;
  readonly model: RunModel;
  readonly layout: Layout;
  readonly width: number;
  readonly height: number;
  readonly ui: UiState;
  readonly theme: Theme;
  /** Where a time lies. */
  readonly x: (at: number) => number;
  /** `message12`, …; null: nothing is followed. */
  readonly standsOut: ReadonlySet<string> | null;
  readonly rough: boolean;
  readonly columnPx: number;
  readonly boxes: Box[] = [];
  readonly segments: Segment[] = [];
  /** Where labels are already. */
  readonly labels: Rectangle[] = [];

  constructor(no: number, pen: CanvasRenderingContext2D, model: RunModel, at: Layout, size: { readonly width: number; readonly height: number }, ui: UiState, theme: Theme, rough: boolean) {
    this.no = no;
    this.pen = pen;
    this.model = model;
    this.layout = at;
    this.width = size.width;
    this.height = size.height;
    this.ui = ui;
    this.theme = theme;
    const { from, to } = ui.span;
    const scale = size.width / (to - from);
    this.x = (time) => (time - from) * scale;
    this.standsOut = ui.followed === null ? null : new Set(model.sameZxid(ui.followed).map((item) => `${item.type}${item.no}`));
    this.rough = rough;
    this.columnPx = rough ? ROUGH_COLUMN_PX : COLUMN_PX;
  }

  /** Of the lanes, or of the canvas if that is more. */
  get depth(): number {
    return Math.max(this.layout.height, this.height);
  }

  /** Draws a text if it has room. */
  text(text: string, x: number, y: number, colour: string, room: number, weight = 400): void {
    const { pen } = this;
    pen.font = `${weight} 10px ${FONT}`;
    if (pen.measureText(text).width > room) return;
    pen.fillStyle = colour;
    pen.textBaseline = 'middle';
    pen.fillText(text, x, y);
  }

  /** Of a label, at the font that is set. */
  widthOf(text: string): number {
    let width = widths.get(text);
    if (width === undefined) widths.set(text, (width = this.pen.measureText(text).width));
    return width;
  }
}
