/**
 * One run on a canvas: draws what lies within the span, and says what is under the pointer. From the back to the front: lanes, faults, messages,
 * bands, operations, events, and what stands out.
 */
import { EVENT_KINDS, FAMILIES, isOk, isRead, sameItem, short, type Item, type RunModel } from './run-model.ts';
import { layout, type Layout, type Row } from './layout.ts';
import { FONT, type Theme } from './theme.ts';
import type { UiState } from './ui-state.ts';

interface Segment {
  readonly no: number;
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}
interface Box {
  readonly item: Item;
  readonly x0: number;
  readonly x1: number;
  readonly y0: number;
  readonly y1: number;
}

const GRAB_PX = 6;
/** What is narrower than this is drawn once per so many pixels; in a hurry, once per more. */
const COLUMN_PX = 2;
const ROUGH_COLUMN_PX = 5;
const LABEL_CELL_PX = 4;
const EPOCH_HUES = 6;

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
  /** What the last drawing put where, for the pointer. */
  #segments: Segment[] = [];
  #boxes: Box[] = [];
  readonly #widths = new Map<string, number>();
  /** Where labels are already. */
  #labels: { readonly x0: number; readonly x1: number; readonly y0: number; readonly y1: number }[] = [];
  #columnPx = COLUMN_PX;
  /** Of the last drawing: decides how strong the lines are. */
  #lines = 0;

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

  get pen(): CanvasRenderingContext2D {
    return this.#pen;
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

  // ------------------------------------------------------------ drawing

  /** `rough`: while it moves and a drawing takes too long; without labels and heads of arrows. */
  draw(ui: UiState, theme: Theme, divergesAt: number | null, rough = false): void {
    const pen = this.#pen;
    this.#columnPx = rough ? ROUGH_COLUMN_PX : COLUMN_PX;
    const { from, to } = ui.span;
    const scale = this.width / (to - from);
    const x = (at: number): number => (at - from) * scale;
    pen.save();
    pen.clearRect(0, 0, this.width, this.height);
    pen.translate(0, -this.scroll);
    this.#boxes = [];
    this.#segments = [];
    this.#labels = [];
    const standsOut = ui.followed === null ? null : new Set(this.model.sameZxid(ui.followed).map((item) => `${item.type}${item.no}`));
    this.#drawLanes(theme, x);
    if (!ui.hidden.has('faults')) this.#drawFaults(theme, x);
    this.#drawMessages(ui, theme, x, standsOut);
    this.#drawBands(ui, theme, x);
    this.#drawOperations(ui, theme, x, standsOut);
    this.#drawEnd(theme, x);
    this.#drawEvents(ui, theme, x, standsOut, rough);
    if (this.#lines <= 120 && !rough) this.#labelMessages(theme, standsOut);
    this.#drawMatches(ui, theme, x);
    this.#drawViolation(theme, x);
    if (divergesAt !== null) drawUpright(pen, x(divergesAt), Math.max(this.layout.height, this.height), theme['split'] as string, [5, 4]);
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

  #drawLanes(theme: Theme, x: (at: number) => number): void {
    const pen = this.#pen;
    for (const row of this.layout.rows) {
      pen.fillStyle = theme[row.kind === 'server' || row.kind === 'jobmanager' ? 'surface' : 'lane'] as string;
      pen.fillRect(0, row.top, this.width, row.height);
      const { violation } = this.model.run;
      if (violation !== null && violation.lane === row.lane?.no) {
        pen.fillStyle = theme['red-soft'] as string;
        pen.fillRect(0, row.top, Math.min(this.width, x(violation.at)), row.height);
      }
      pen.fillStyle = theme['line'] as string;
      pen.fillRect(0, row.top + row.height - 1, this.width, 1);
      if (row.kind === 'nemesis' || row.folded) continue;
      pen.fillRect(0, row.y, this.width, 1);
    }
  }

  /** After the end of the recording there is nothing. */
  #drawEnd(theme: Theme, x: (at: number) => number): void {
    const end = Math.max(0, x(this.model.endAt) + 1);
    if (end >= this.width) return;
    const pen = this.#pen;
    pen.globalAlpha = 0.72;
    pen.fillStyle = theme['bg'] as string;
    pen.fillRect(end, 0, this.width - end, Math.max(this.layout.height, this.height));
    pen.globalAlpha = 1;
  }

  #drawFaults(theme: Theme, x: (at: number) => number): void {
    const pen = this.#pen;
    const { faults } = this.model.run;
    const bar = this.layout.rows.find((row) => row.kind === 'nemesis');
    const ends = [-Infinity, -Infinity];
    const labels: (() => void)[] = [];
    for (const [no, fault] of faults.entries()) {
      const x0 = x(fault.from);
      const x1 = Math.max(x0 + 2, x(fault.to < 0 ? this.model.endAt : fault.to));
      if (x1 < 0 || x0 > this.width) continue;
      for (const lane of fault.lanes) {
        const row = this.layout.rowOf[lane];
        if (row === undefined || row === bar) continue;
        pen.fillStyle = (theme.hatch ?? theme['fault']) as CanvasPattern;
        pen.fillRect(x0, row.top, x1 - x0, row.height - 1);
        pen.fillStyle = theme['fault-ink'] as string;
        pen.globalAlpha = 0.55;
        pen.fillRect(x0, row.top, 1, row.height - 1);
        pen.globalAlpha = 1;
      }
      if (bar === undefined || bar.folded) continue;
      pen.font = `500 11px ${FONT}`;
      const text = this.model.title({ type: 'fault', no });
      const height = bar.height < 30 ? bar.height - 5 : (bar.height - 6) / 2;
      const left = Math.max(0, x0);
      const wanted = pen.measureText(text).width + 12;
      const line = left >= (ends[0] as number) || bar.height < 30 ? 0 : left >= (ends[1] as number) ? 1 : (ends[0] as number) <= (ends[1] as number) ? 0 : 1;
      const y = bar.top + 2 + line * (height + 1);
      const room = left >= (ends[line] as number);
      pen.fillStyle = theme['fault-ink'] as string;
      pen.globalAlpha = 0.18;
      pen.fillRect(x0, y, x1 - x0, height);
      pen.globalAlpha = 1;
      pen.fillRect(x0, y, 2, height);
      if (room) {
        ends[line] = left + wanted + 4;
        // Over the bars of all, on a ground of its own.
        labels.push(() => {
          pen.globalAlpha = 0.8;
          pen.fillStyle = theme['lane'] as string;
          pen.fillRect(left + 3, y + 1, wanted - 5, height - 2);
          pen.globalAlpha = 1;
          pen.fillStyle = theme['fault-ink'] as string;
          pen.fillText(text, left + 6, y + height / 2 + 0.5);
        });
      }
      this.#boxes.push({ item: { type: 'fault', no }, x0, x1: room ? Math.max(x1, left + wanted) : x1, y0: y, y1: y + height });
    }
    pen.font = `500 11px ${FONT}`;
    pen.textBaseline = 'middle';
    for (const label of labels) label();
  }

  #drawMessages(ui: UiState, theme: Theme, x: (at: number) => number, standsOut: ReadonlySet<string> | null): void {
    const { messages, lanes } = this.model.run;
    const { family, messageEnd } = this.model;
    const pen = this.#pen;
    const count = messages.from.length;
    const { from, to } = ui.span;
    const hidden = FAMILIES.map((name) => ui.hidden.has(name));
    const groups: Segment[][] = FAMILIES.map(() => []);
    const lost: Segment[] = [];
    const columns = new Int32Array(lanes.length * lanes.length * FAMILIES.length).fill(-1);
    for (let no = 0; no < count; no++) {
      const sent = messages.sentAt[no] as number;
      if (sent > to) break;
      const end = messageEnd[no] as number;
      const kind = family[no] as number;
      if (end < from || hidden[kind] === true) continue;
      const a = messages.from[no] as number;
      const b = messages.to[no] as number;
      const source = this.layout.rowOf[a];
      const target = this.layout.rowOf[b];
      if (source === undefined || target === undefined || source.folded || target.folded) continue;
      const x0 = x(sent);
      const x1 = x(end);
      const isLost = messages.lost[no] === 1 || (messages.endAt[no] as number) < 0;
      if (!isLost && x1 - x0 < 2 && standsOut === null) {
        // Where many lie within a pixel one is drawn.
        const key = (a * lanes.length + b) * FAMILIES.length + kind;
        const column = Math.round(x0 / this.#columnPx);
        if (columns[key] === column) continue;
        columns[key] = column;
      }
      const segment = { no, x0, y0: source.y, x1, y1: target.y };
      this.#segments.push(segment);
      if (isLost) lost.push(segment);
      else (groups[kind] as Segment[]).push(segment);
    }
    const total = this.#segments.length;
    this.#lines = total;
    const strength = Math.max(0.22, Math.min(0.9, 380 / Math.max(1, total)));
    pen.lineWidth = total < 400 ? 1.25 : 1;
    for (const [kind, segments] of groups.entries()) {
      if (segments.length === 0) continue;
      const colour = theme[`m-${FAMILIES[kind] as string}`] as string;
      const weight = FAMILIES[kind] === 'heartbeat' ? 0.6 : 1;
      this.#strokeMessages(segments, colour, strength * weight, standsOut);
      if (total < 900 || standsOut !== null) this.#arrowHeads(segments, colour, Math.min(1, strength * 1.3) * weight, standsOut);
    }
    this.#drawLost(lost, theme, standsOut);
  }

  #strokeMessages(segments: readonly Segment[], colour: string, alpha: number, standsOut: ReadonlySet<string> | null): void {
    const pen = this.#pen;
    pen.strokeStyle = colour;
    for (const out of standsOut === null ? [true] : [false, true]) {
      pen.globalAlpha = standsOut === null ? alpha : out ? 1 : 0.12;
      pen.fillStyle = colour;
      pen.beginPath();
      for (const { no, x0, y0, x1, y1 } of segments) {
        if (standsOut !== null && standsOut.has(`message${no}`) !== out) continue;
        if (x1 - x0 < 1) {
          // An upright line: a rectangle, which costs a fraction.
          pen.fillRect(Math.round(x0), Math.min(y0, y1), 1, Math.abs(y1 - y0));
          continue;
        }
        pen.moveTo(x0, y0);
        pen.lineTo(x1, y1);
      }
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  #arrowHeads(segments: readonly Segment[], colour: string, alpha: number, standsOut: ReadonlySet<string> | null): void {
    const pen = this.#pen;
    pen.fillStyle = colour;
    pen.globalAlpha = alpha;
    pen.beginPath();
    for (const { no, x0, y0, x1, y1 } of segments) {
      if (standsOut !== null && !standsOut.has(`message${no}`)) continue;
      const angle = Math.atan2(y1 - y0, x1 - x0);
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      pen.moveTo(x1, y1);
      pen.lineTo(x1 - 7 * c + 2.8 * s, y1 - 7 * s - 2.8 * c);
      pen.lineTo(x1 - 7 * c - 2.8 * s, y1 - 7 * s + 2.8 * c);
    }
    pen.fill();
    pen.globalAlpha = 1;
  }

  /** Those that were lost end in a cross, those on the way at the end of the recording in a ring. */
  #drawLost(segments: readonly Segment[], theme: Theme, standsOut: ReadonlySet<string> | null): void {
    const pen = this.#pen;
    const { messages } = this.model.run;
    const crosses = new Set<number>();
    const strength = Math.max(0.16, Math.min(0.85, 60 / Math.max(1, segments.length)));
    for (const segment of segments) {
      const { no, x0, y0 } = segment;
      const x1 = segment.x1;
      const y1 = y0 + (segment.y1 - y0) * 0.72;
      const isLost = messages.lost[no] === 1;
      pen.globalAlpha = standsOut === null || standsOut.has(`message${no}`) ? strength : 0.1;
      pen.strokeStyle = isLost ? (theme['red'] as string) : (theme[`m-${FAMILIES[this.model.family[no] as number] as string}`] as string);
      pen.setLineDash(segments.length > 300 ? [] : [4, 3]);
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      pen.stroke();
      pen.setLineDash([]);
      const place = Math.round(x1 / 3) * 4096 + Math.round(y1);
      if (crosses.has(place)) continue;
      crosses.add(place);
      pen.globalAlpha = Math.max(pen.globalAlpha, standsOut === null ? 0.7 : 0);
      pen.lineWidth = 1.5;
      pen.beginPath();
      if (isLost) {
        pen.moveTo(x1 - 3, y1 - 3);
        pen.lineTo(x1 + 3, y1 + 3);
        pen.moveTo(x1 + 3, y1 - 3);
        pen.lineTo(x1 - 3, y1 + 3);
      } else pen.arc(x1, y1, 2.5, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
  }

  /** Names at the beginning of the arrows, where there is room. */
  #labelMessages(theme: Theme, standsOut: ReadonlySet<string> | null): void {
    const pen = this.#pen;
    const taken = this.#labels;
    pen.font = `500 10px ${FONT}`;
    pen.textBaseline = 'middle';
    for (const { no, x0, y0, x1, y1 } of this.#segments) {
      if (standsOut !== null && !standsOut.has(`message${no}`)) continue;
      const zxid = this.model.zxid({ type: 'message', no });
      const text = `${this.model.text(this.model.run.messages.type[no] as number)}${zxid === null ? '' : ` ${short(zxid)}`}`;
      const width = pen.measureText(text).width + 6;
      for (const part of [0.5, 0.3, 0.7, 0.15, 0.85]) {
        const cx = x0 + (x1 - x0) * part;
        const cy = y0 + (y1 - y0) * part;
        const box = { x0: cx + 2, x1: cx + 2 + width, y0: cy - 7, y1: cy + 7 };
        if (box.x0 < 0 || box.x1 > this.width || taken.some((other) => other.x0 < box.x1 && box.x0 < other.x1 && other.y0 < box.y1 && box.y0 < other.y1)) continue;
        if (this.layout.rows.some((row) => row.kind === 'server' && box.y1 > row.roleTop && box.y0 < row.roleTop + row.roleHeight + 4)) continue;
        taken.push(box);
        pen.globalAlpha = 0.82;
        pen.fillStyle = theme['surface'] as string;
        pen.fillRect(box.x0, box.y0 + 1, width, 12);
        pen.globalAlpha = 1;
        pen.fillStyle = theme[`m-${FAMILIES[this.model.family[no] as number] as string}`] as string;
        pen.fillText(text, box.x0 + 3, cy + 0.5);
        break;
      }
    }
  }

  #drawBands(ui: UiState, theme: Theme, x: (at: number) => number): void {
    const pen = this.#pen;
    const { bands } = this.model.run;
    const { model } = this;
    const lastDisk = new Map<number, number>();
    for (let no = 0; no < bands.lane.length; no++) {
      const at = bands.from[no] as number;
      if (at > ui.span.to) break;
      const end = (bands.to[no] as number) < 0 ? model.endAt : (bands.to[no] as number);
      if (end < ui.span.from) continue;
      const row = this.layout.rowOf[bands.lane[no] as number];
      if (row === undefined || row.folded) continue;
      const x0 = Math.max(-2, x(at));
      const x1 = Math.min(this.width + 2, Math.max(x(end), x0 + 0.6));
      const label = model.text(bands.label[no] as number);
      const item: Item = { type: 'band', no };
      switch (model.text(bands.band[no] as number)) {
        case 'role':
          this.#drawRole(row, x0, x1, label, theme);
          this.#boxes.push({ item, x0, x1, y0: row.roleTop, y1: row.roleTop + row.roleHeight });
          break;
        case 'epoch': {
          pen.fillStyle = theme[`epoch-${Number(label) % EPOCH_HUES}`] as string;
          const y = row.roleTop + row.roleHeight + 1;
          pen.fillRect(x0, y, x1 - x0, 3);
          this.#boxes.push({ item, x0, x1, y0: y, y1: y + 4 });
          break;
        }
        case 'disk':
        case 'disk fault': {
          if (ui.hidden.has('disk')) break;
          const isWrite = label === 'write';
          const y = row.top + row.height - (row.height < 48 ? 6 : 7);
          if (isWrite && x1 - x0 < 1.2) {
            const column = Math.round(x0);
            if (lastDisk.get(row.top) === column) break;
            lastDisk.set(row.top, column);
          }
          pen.fillStyle = (isWrite ? theme['disk'] : theme['trouble']) as string;
          pen.globalAlpha = isWrite ? 0.75 : 0.9;
          pen.fillRect(x0, y, Math.max(1, x1 - x0), 4);
          pen.globalAlpha = 1;
          if (!isWrite && x1 - x0 > 50) this.#text(label, Math.max(4, x0 + 2), y - 6, theme['trouble'] as string, x1 - Math.max(4, x0));
          this.#boxes.push({ item, x0, x1: Math.max(x1, x0 + 2), y0: y - 1, y1: y + 5 });
          break;
        }
        case 'task': {
          pen.fillStyle = theme['following'] as string;
          pen.beginPath();
          pen.roundRect(x0, row.roleTop, Math.max(0.6, x1 - x0 - 1), row.roleHeight, 3);
          pen.fill();
          this.#text(label, Math.max(5, x0 + 5), row.roleTop + row.roleHeight / 2 + 0.5, theme['ink'] as string, x1 - Math.max(5, x0) - 6, 500);
          this.#boxes.push({ item, x0, x1, y0: row.roleTop, y1: row.roleTop + row.roleHeight });
          break;
        }
        case 'checkpoint': {
          const y = row.roleTop + row.roleHeight + 1;
          pen.fillStyle = theme['m-synchronization'] as string;
          pen.fillRect(x0, y, x1 - x0, 3);
          this.#boxes.push({ item, x0, x1, y0: y, y1: y + 4 });
          break;
        }
        default: {
          pen.fillStyle = theme['accent'] as string;
          pen.globalAlpha = 0.35;
          pen.fillRect(x0, row.top + 3, x1 - x0, 3);
          pen.globalAlpha = 1;
          this.#boxes.push({ item, x0, x1, y0: row.top + 1, y1: row.top + 7 });
        }
      }
    }
  }

  #drawRole(row: Row, x0: number, x1: number, label: string, theme: Theme): void {
    const pen = this.#pen;
    const role = label.split(',')[0] as string;
    const serves = label.includes('serves') || row.kind === 'jobmanager';
    const { roleTop: y, roleHeight: height } = row;
    const colour = role === 'leading' ? (serves ? 'leading' : 'electing') : role === 'following' ? 'following' : role === 'down' ? 'down' : 'looking';
    pen.globalAlpha = role === 'following' && !serves ? 0.55 : 1;
    pen.fillStyle = role === 'down' ? ((theme.rough ?? theme['down']) as CanvasPattern) : (theme[colour] as string);
    const gap = x1 - x0 > 3 ? 1 : 0;
    pen.beginPath();
    pen.roundRect(x0, y, Math.max(0.6, x1 - x0 - gap), height, Math.min(3, (x1 - x0) / 3));
    pen.fill();
    pen.globalAlpha = 1;
    const left = Math.max(5, x0 + 5);
    if (x1 - left < 24) return;
    const ink = role === 'leading' ? (theme[serves ? 'accent-ink' : 'electing-ink'] as string) : (theme[role === 'down' ? 'ink-2' : 'ink'] as string);
    if (role === 'down') {
      pen.font = `500 10px ${FONT}`;
      pen.fillStyle = theme['surface'] as string;
      pen.fillRect(left - 3, y + 1, Math.min(x1 - left, pen.measureText(role).width + 6), height - 2);
    }
    this.#text(serves && role === 'leading' ? 'leads' : role, left, y + height / 2 + 0.5, ink, x1 - left - 4, 500);
  }

  #text(text: string, x: number, y: number, colour: string, room: number, weight = 400): void {
    const pen = this.#pen;
    pen.font = `${weight} 10px ${FONT}`;
    if (pen.measureText(text).width > room) return;
    pen.fillStyle = colour;
    pen.textBaseline = 'middle';
    pen.fillText(text, x, y);
  }

  #drawOperations(ui: UiState, theme: Theme, x: (at: number) => number, standsOut: ReadonlySet<string> | null): void {
    const pen = this.#pen;
    const { operations } = this.model.run;
    const columns = new Map<number, number>();
    const scale = this.width / (ui.span.to - ui.span.from);
    const showsReads = !ui.hidden.has('reads');
    const showsWrites = !ui.hidden.has('writes');
    for (let no = 0; no < operations.callAt.length; no++) {
      const call = operations.callAt[no] as number;
      if (call > ui.span.to) continue;
      const back = operations.returnAt[no] as number;
      if ((back < 0 ? call : back) < ui.span.from) continue;
      const lane = operations.lane[no] as number;
      const row = this.layout.rowOf[lane];
      if (row === undefined || row.folded) continue;
      const kind = this.model.text(operations.kind[no] as number);
      const read = isRead(kind);
      if (!(read ? showsReads : showsWrites)) continue;
      const rows = this.model.rows[lane] as number;
      const step = (row.height - 10) / rows;
      const height = Math.max(2, Math.min(12, step - 1));
      const y = row.top + 7 + (this.model.row[no] as number) * step + (step - height) / 2;
      const x0 = x(call);
      const ok = isOk(this.model.text(operations.outcome[no] as number));
      const colour = theme[read ? 'read' : 'write'] as string;
      pen.globalAlpha = standsOut === null || standsOut.has(`operation${no}`) ? 1 : 0.15;
      if (back < 0) {
        // Its outcome is unknown: it has a beginning and no end.
        const length = Math.max(5, Math.min(26, scale * 20_000));
        const fade = pen.createLinearGradient(x0, 0, x0 + length, 0);
        fade.addColorStop(0, theme['trouble'] as string);
        fade.addColorStop(1, `${theme['trouble'] as string}00`);
        pen.fillStyle = fade;
        pen.globalAlpha *= 0.8;
        pen.fillRect(x0, y, length, height);
        this.#boxes.push({ item: { type: 'operation', no }, x0, x1: x0 + length, y0: y, y1: y + height });
      } else {
        const x1 = Math.max(x0 + 1.5, x(back));
        this.#boxes.push({ item: { type: 'operation', no }, x0, x1, y0: y, y1: y + height });
        if (x1 - x0 < (ok ? 9 : 4)) {
          const key = lane * 16 + (this.model.row[no] as number) * 2 + (read ? 1 : 0);
          const column = Math.round(x0 / this.#columnPx);
          if (columns.get(key) === column && standsOut === null) continue;
          columns.set(key, column);
          pen.fillStyle = colour;
          pen.fillRect(x0, y, x1 - x0, height);
          continue;
        }
        pen.beginPath();
        pen.roundRect(x0, y, x1 - x0, height, Math.min(2.5, (x1 - x0) / 2));
        if (ok) {
          pen.fillStyle = colour;
          pen.fill();
        } else {
          pen.fillStyle = theme['surface'] as string;
          pen.fill();
          pen.strokeStyle = colour;
          pen.lineWidth = 1;
          pen.stroke();
        }
        if (x1 - x0 > 34 && height >= 9) {
          const path = this.model.text(operations.path[no] as number);
          const long = `${kind} ${path}`;
          pen.font = `500 9.5px ${FONT}`;
          const ink = ok ? (read ? (theme['ink'] as string) : (theme['accent-ink'] as string)) : (theme['ink-2'] as string);
          this.#text(pen.measureText(long).width < x1 - x0 - 10 ? long : kind, Math.max(3, x0 + 4), y + height / 2 + 0.5, ink, x1 - Math.max(3, x0) - 6, 500);
        }
        const committed = this.model.committedAt[no] as number;
        if (committed >= 0 && height >= 3 && x1 - x0 > 6) {
          const cx = x(committed);
          const r = Math.min(4, height / 2);
          pen.beginPath();
          pen.moveTo(cx, y + height / 2 - r);
          pen.lineTo(cx + r, y + height / 2);
          pen.lineTo(cx, y + height / 2 + r);
          pen.lineTo(cx - r, y + height / 2);
          pen.closePath();
          pen.fillStyle = theme['surface'] as string;
          pen.fill();
          pen.strokeStyle = theme['ink'] as string;
          pen.lineWidth = 1;
          pen.stroke();
        }
      }
    }
    pen.globalAlpha = 1;
  }

  #drawEvents(ui: UiState, theme: Theme, x: (at: number) => number, standsOut: ReadonlySet<string> | null, rough: boolean): void {
    const pen = this.#pen;
    const { events } = this.model.run;
    const { eventKind } = this.model;
    const columns = new Map<string, number>();
    const labels: { weight: number; x: number; row: Row; text: string; colour: string }[] = [];
    for (let no = 0; no < events.at.length; no++) {
      const at = events.at[no] as number;
      if (at < ui.span.from || at > ui.span.to) continue;
      const kind = eventKind[no] as (typeof EVENT_KINDS)[number];
      if (ui.hidden.has(kind)) continue;
      const row = this.layout.rowOf[events.lane[no] as number];
      if (row === undefined || row.folded) continue;
      const px = x(at);
      const item: Item = { type: 'event', no };
      const key = `${row.id} ${kind}`;
      const column = Math.round(px / this.#columnPx);
      const out = standsOut?.has(`event${no}`);
      if (out !== true && columns.get(key) === column && kind !== 'life' && kind !== 'trouble') continue;
      columns.set(key, column);
      pen.globalAlpha = out === false ? 0.15 : 1;
      const name = this.model.text(events.name[no] as number);
      const colour = theme[kind === 'trouble' ? 'trouble' : kind === 'role' || kind === 'job' ? 'accent' : kind === 'life' ? 'ink' : 'ink-3'] as string;
      pen.fillStyle = colour;
      pen.strokeStyle = colour;
      if (row.kind === 'nemesis') {
        // The fault itself is drawn; what else is said up there (heal, phases) is a tick.
        pen.fillStyle = theme['ink-3'] as string;
        pen.fillRect(px, row.top + row.height - 6, 1, 5);
      } else {
        pen.beginPath();
        if (name === 'crash') {
          pen.lineWidth = 2;
          pen.moveTo(px - 3.5, row.y - 3.5);
          pen.lineTo(px + 3.5, row.y + 3.5);
          pen.moveTo(px + 3.5, row.y - 3.5);
          pen.lineTo(px - 3.5, row.y + 3.5);
          pen.stroke();
        } else if (kind === 'trouble') {
          pen.moveTo(px, row.y - 4.5);
          pen.lineTo(px + 4.5, row.y + 3.5);
          pen.lineTo(px - 4.5, row.y + 3.5);
          pen.fill();
        } else if (kind === 'log') pen.fillRect(px - 1.5, row.y - 1.5, 3, 3);
        else {
          pen.arc(px, row.y, 3.2, 0, 2 * Math.PI);
          if (kind === 'life') {
            pen.fillStyle = theme['surface'] as string;
            pen.lineWidth = 1.5;
            pen.fill();
            pen.stroke();
          } else pen.fill();
        }
      }
      this.#boxes.push({ item, x0: px - 4, x1: px + 4, y0: row.y - 5, y1: row.y + 5 });
      if (row.height >= 38 && row.kind !== 'nemesis') {
        const zxid = kind === 'log' ? this.model.zxid(item) : null;
        labels.push({ weight: kind === 'trouble' ? 4 : name === 'crash' || name === 'Established' || name === 'NewEpoch' ? 3 : kind === 'life' || kind === 'role' || kind === 'job' ? 2 : 1, x: px, row, text: zxid === null ? this.model.eventLabel(no) : `${name} ${short(zxid)}`, colour: out === false ? (theme['ink-3'] as string) : (theme[kind === 'log' ? 'ink-3' : 'ink-2'] as string) });
      }
    }
    pen.globalAlpha = 1;
    if (!rough) this.#drawLabels(labels, theme['surface'] as string);
  }

  /** Weighty ones first, then as many as have room. */
  #drawLabels(labels: readonly { weight: number; x: number; row: Row; text: string; colour: string }[], background: string): void {
    const pen = this.#pen;
    pen.font = `400 10px ${FONT}`;
    pen.textBaseline = 'middle';
    /** By lane, for each few pixels whether they are taken. */
    const taken = new Map<string, Uint8Array>();
    for (const weight of [4, 3, 2, 1]) {
      for (const label of labels) {
        if (label.weight !== weight) continue;
        // Beneath the point, or where the lane is low, beside it.
        const isBeside = label.row.height < 48;
        const from = Math.max(0, label.x + (isBeside ? 6 : -2));
        let cells = taken.get(label.row.id);
        if (cells === undefined) taken.set(label.row.id, (cells = new Uint8Array(Math.ceil(this.width / LABEL_CELL_PX) + 1)));
        const first = Math.floor(from / LABEL_CELL_PX);
        if (cells[first] === 1) continue;
        const width = this.#widthOf(label.text);
        const to = from + width + 5;
        const last = Math.min(cells.length - 1, Math.floor(to / LABEL_CELL_PX));
        if (cells.subarray(first, last + 1).includes(1)) continue;
        cells.fill(1, first, last + 1);
        this.#labels.push({ x0: from - 3, x1: to, y0: label.row.y - 5, y1: label.row.y + 17 });
        if (isBeside) {
          pen.fillStyle = background;
          pen.fillRect(from, label.row.y - 5, width + 3, 10);
        }
        pen.fillStyle = label.colour;
        pen.fillText(label.text, from + 1, label.row.y + (isBeside ? 0 : 11));
      }
    }
  }

  /** Of a text of labels, at their size. */
  #widthOf(text: string): number {
    let width = this.#widths.get(text);
    if (width === undefined) this.#widths.set(text, (width = this.#pen.measureText(text).width));
    return width;
  }

  #drawMatches(ui: UiState, theme: Theme, x: (at: number) => number): void {
    if (ui.matches.length === 0) return;
    const pen = this.#pen;
    pen.strokeStyle = theme['match'] as string;
    pen.lineWidth = 2;
    for (const { pane, item } of ui.matches) {
      if (pane !== this.no) continue;
      const at = this.model.from(item);
      if (at < ui.span.from || at > ui.span.to) continue;
      const row = item.type === 'fault' ? this.layout.rows.find(({ kind }) => kind === 'nemesis') : this.layout.rowOf[this.model.lanesOf(item)[0] as number];
      if (row === undefined || row.folded) continue;
      pen.beginPath();
      pen.arc(x(at), row.y, 6, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  #drawViolation(theme: Theme, x: (at: number) => number): void {
    const { violation } = this.model.run;
    if (violation === null) return;
    const pen = this.#pen;
    const px = x(violation.at);
    if (px < -20 || px > this.width + 20) return;
    const row = violation.lane === null ? undefined : this.layout.rowOf[violation.lane];
    pen.fillStyle = theme['red'] as string;
    pen.fillRect(Math.round(px) - 1, 0, 2, Math.max(this.layout.height, this.height));
    if (row !== undefined) {
      pen.beginPath();
      pen.arc(px, row.y, 5, 0, 2 * Math.PI);
      pen.fill();
      pen.strokeStyle = theme['surface'] as string;
      pen.lineWidth = 2;
      pen.stroke();
    }
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
    const box = this.#boxes.find((each) => sameItem(each.item, item));
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
    for (const { item, x0, x1, y0, y1 } of this.#boxes) {
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
    for (const { no, x0, y0, x1, y1 } of this.#segments) {
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
  rowAt(canvasY: number): Row | null {
    const py = canvasY + this.scroll;
    return this.layout.rows.find((row) => py >= row.top && py < row.top + row.height) ?? null;
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
