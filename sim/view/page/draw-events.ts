/** Events as points on the line of their lane, with as many names as have room. */
import { EVENT_KINDS, short, type Item } from './run-model.ts';
import type { Row } from './layout.ts';
import { FONT } from './theme.ts';
import type { Scene } from './scene.ts';

const LABEL_CELL_PX = 4;

interface Label {
  /** 1 to 4. */
  readonly weight: number;
  readonly x: number;
  readonly row: Row;
  readonly text: string;
  readonly colour: string;
}

export function drawEvents(scene: Scene): void {
  const { ui, theme, x, standsOut, rough } = scene;
  const { pen } = scene;
  const { events } = scene.model.run;
  const { eventKind } = scene.model;
  const columns = new Map<string, number>();
  const labels: Label[] = [];
  for (let no = 0; no < events.at.length; no++) {
    const at = events.at[no] as number;
    if (at < ui.span.from || at > ui.span.to) continue;
    const kind = eventKind[no] as (typeof EVENT_KINDS)[number];
    if (ui.hidden.has(kind)) continue;
    const row = scene.layout.rowOf[events.lane[no] as number];
    if (row === undefined || row.folded) continue;
    const px = x(at);
    const item: Item = { type: 'event', no };
    const key = `${row.id} ${kind}`;
    const column = Math.round(px / scene.columnPx);
    const out = standsOut?.has(`event${no}`);
    if (out !== true && columns.get(key) === column && kind !== 'life' && kind !== 'trouble') continue;
    columns.set(key, column);
    pen.globalAlpha = out === false ? 0.15 : 1;
    const name = scene.model.text(events.name[no] as number);
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
    scene.boxes.push({ item, x0: px - 4, x1: px + 4, y0: row.y - 5, y1: row.y + 5 });
    if (row.height >= 38 && row.kind !== 'nemesis') {
      const zxid = kind === 'log' ? scene.model.zxid(item) : null;
      labels.push({ weight: kind === 'trouble' ? 4 : name === 'crash' || name === 'Established' || name === 'NewEpoch' ? 3 : kind === 'life' || kind === 'role' || kind === 'job' ? 2 : 1, x: px, row, text: zxid === null ? scene.model.eventLabel(no) : `${name} ${short(zxid)}`, colour: out === false ? (theme['ink-3'] as string) : (theme[kind === 'log' ? 'ink-3' : 'ink-2'] as string) });
    }
  }
  pen.globalAlpha = 1;
  if (!rough) drawLabels(scene, labels);
}

/** Weighty ones first, then as many as have room. */
function drawLabels(scene: Scene, labels: readonly Label[]): void {
  const { theme } = scene;
  const { pen } = scene;
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
      if (cells === undefined) taken.set(label.row.id, (cells = new Uint8Array(Math.ceil(scene.width / LABEL_CELL_PX) + 1)));
      const first = Math.floor(from / LABEL_CELL_PX);
      if (cells[first] === 1) continue;
      const width = scene.widthOf(label.text);
      const to = from + width + 5;
      const last = Math.min(cells.length - 1, Math.floor(to / LABEL_CELL_PX));
      if (cells.subarray(first, last + 1).includes(1)) continue;
      cells.fill(1, first, last + 1);
      scene.labels.push({ x0: from - 3, x1: to, y0: label.row.y - 5, y1: label.row.y + 17 });
      if (isBeside) {
        pen.fillStyle = theme['surface'] as string;
        pen.fillRect(from, label.row.y - 5, width + 3, 10);
      }
      pen.fillStyle = label.colour;
      pen.fillText(label.text, from + 1, label.row.y + (isBeside ? 0 : 11));
    }
  }
}
