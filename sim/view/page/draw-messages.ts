/** Messages as arrows: within a few pixels one for all of a kind; lost ones dashed, with a cross. */
import { FAMILIES, short } from './run-model.ts';
import { FONT } from './theme.ts';
import type { Scene, Segment } from './scene.ts';

export function drawMessages(scene: Scene): void {
  const { ui, theme, x, standsOut } = scene;
  const { messages, lanes } = scene.model.run;
  const { family, messageEnd } = scene.model;
  const { pen } = scene;
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
    const source = scene.layout.rowOf[a];
    const target = scene.layout.rowOf[b];
    if (source === undefined || target === undefined || source.folded || target.folded) continue;
    const x0 = x(sent);
    const x1 = x(end);
    const isLost = messages.lost[no] === 1 || (messages.endAt[no] as number) < 0;
    if (!isLost && x1 - x0 < 2 && standsOut === null) {
      // Where many lie within a pixel one is drawn.
      const key = (a * lanes.length + b) * FAMILIES.length + kind;
      const column = Math.round(x0 / scene.columnPx);
      if (columns[key] === column) continue;
      columns[key] = column;
    }
    const segment = { no, x0, y0: source.y, x1, y1: target.y };
    scene.segments.push(segment);
    if (isLost) lost.push(segment);
    else (groups[kind] as Segment[]).push(segment);
  }
  const total = scene.segments.length;
  const strength = Math.max(0.22, Math.min(0.9, 380 / Math.max(1, total)));
  pen.lineWidth = total < 400 ? 1.25 : 1;
  for (const [kind, segments] of groups.entries()) {
    if (segments.length === 0) continue;
    const colour = theme[`m-${FAMILIES[kind] as string}`] as string;
    const weight = FAMILIES[kind] === 'heartbeat' ? 0.6 : 1;
    strokeMessages(scene, segments, colour, strength * weight);
    if (total < 900 || standsOut !== null) arrowHeads(scene, segments, colour, Math.min(1, strength * 1.3) * weight);
  }
  drawLost(scene, lost);
}

function strokeMessages(scene: Scene, segments: readonly Segment[], colour: string, alpha: number): void {
  const { standsOut } = scene;
  const { pen } = scene;
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

function arrowHeads(scene: Scene, segments: readonly Segment[], colour: string, alpha: number): void {
  const { standsOut } = scene;
  const { pen } = scene;
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
function drawLost(scene: Scene, segments: readonly Segment[]): void {
  const { theme, standsOut } = scene;
  const { pen } = scene;
  const { messages } = scene.model.run;
  const crosses = new Set<number>();
  const strength = Math.max(0.16, Math.min(0.85, 60 / Math.max(1, segments.length)));
  for (const segment of segments) {
    const { no, x0, y0 } = segment;
    const x1 = segment.x1;
    const y1 = y0 + (segment.y1 - y0) * 0.72;
    const isLost = messages.lost[no] === 1;
    pen.globalAlpha = standsOut === null || standsOut.has(`message${no}`) ? strength : 0.1;
    pen.strokeStyle = isLost ? (theme['red'] as string) : (theme[`m-${FAMILIES[scene.model.family[no] as number] as string}`] as string);
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
const LABELLED_MESSAGES = 120;

export function labelMessages(scene: Scene): void {
  if (scene.segments.length > LABELLED_MESSAGES) return;
  const { theme, standsOut } = scene;
  const { pen } = scene;
  const taken = scene.labels;
  pen.font = `500 10px ${FONT}`;
  pen.textBaseline = 'middle';
  for (const { no, x0, y0, x1, y1 } of scene.segments) {
    if (standsOut !== null && !standsOut.has(`message${no}`)) continue;
    const zxid = scene.model.zxid({ type: 'message', no });
    const text = `${scene.model.text(scene.model.run.messages.type[no] as number)}${zxid === null ? '' : ` ${short(zxid)}`}`;
    const width = pen.measureText(text).width + 6;
    for (const part of [0.5, 0.3, 0.7, 0.15, 0.85]) {
      const cx = x0 + (x1 - x0) * part;
      const cy = y0 + (y1 - y0) * part;
      const box = { x0: cx + 2, x1: cx + 2 + width, y0: cy - 7, y1: cy + 7 };
      if (box.x0 < 0 || box.x1 > scene.width || taken.some((other) => other.x0 < box.x1 && box.x0 < other.x1 && other.y0 < box.y1 && box.y0 < other.y1)) continue;
      if (scene.layout.rows.some((row) => row.kind === 'server' && box.y1 > row.roleTop && box.y0 < row.roleTop + row.roleHeight + 4)) continue;
      taken.push(box);
      pen.globalAlpha = 0.82;
      pen.fillStyle = theme['surface'] as string;
      pen.fillRect(box.x0, box.y0 + 1, width, 12);
      pen.globalAlpha = 1;
      pen.fillStyle = theme[`m-${FAMILIES[scene.model.family[no] as number] as string}`] as string;
      pen.fillText(text, box.x0 + 3, cy + 0.5);
      break;
    }
  }
}
