/** What lies behind everything and what lies over it: lanes, faults, the end, matches, the violation. */
import { FONT } from './theme.ts';
import type { Scene } from './scene.ts';

export function drawLanes(scene: Scene): void {
  const { theme, x } = scene;
  const { pen } = scene;
  for (const row of scene.layout.rows) {
    pen.fillStyle = theme[row.kind === 'server' || row.kind === 'jobmanager' ? 'surface' : 'lane'] as string;
    pen.fillRect(0, row.top, scene.width, row.height);
    const { violation } = scene.model.run;
    if (violation !== null && violation.lane === row.lane?.no) {
      pen.fillStyle = theme['red-soft'] as string;
      pen.fillRect(0, row.top, Math.min(scene.width, x(violation.at)), row.height);
    }
    pen.fillStyle = theme['line'] as string;
    pen.fillRect(0, row.top + row.height - 1, scene.width, 1);
    if (row.kind === 'nemesis' || row.folded) continue;
    pen.fillRect(0, row.y, scene.width, 1);
  }
}

/** After the end of the recording there is nothing. */
export function drawEnd(scene: Scene): void {
  const { theme, x } = scene;
  const end = Math.max(0, x(scene.model.endAt) + 1);
  if (end >= scene.width) return;
  const { pen } = scene;
  pen.globalAlpha = 0.72;
  pen.fillStyle = theme['bg'] as string;
  pen.fillRect(end, 0, scene.width - end, scene.depth);
  pen.globalAlpha = 1;
}

export function drawFaults(scene: Scene): void {
  const { theme, x } = scene;
  const { pen } = scene;
  const { faults } = scene.model.run;
  const bar = scene.layout.rows.find((row) => row.kind === 'nemesis');
  const ends = [-Infinity, -Infinity];
  const labels: (() => void)[] = [];
  for (const [no, fault] of faults.entries()) {
    const x0 = x(fault.from);
    const x1 = Math.max(x0 + 2, x(fault.to < 0 ? scene.model.endAt : fault.to));
    if (x1 < 0 || x0 > scene.width) continue;
    for (const lane of fault.lanes) {
      const row = scene.layout.rowOf[lane];
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
    const text = scene.model.title({ type: 'fault', no });
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
    scene.boxes.push({ item: { type: 'fault', no }, x0, x1: room ? Math.max(x1, left + wanted) : x1, y0: y, y1: y + height });
  }
  pen.font = `500 11px ${FONT}`;
  pen.textBaseline = 'middle';
  for (const label of labels) label();
}

export function drawMatches(scene: Scene): void {
  const { ui, theme, x } = scene;
  if (ui.matches.length === 0) return;
  const { pen } = scene;
  pen.strokeStyle = theme['match'] as string;
  pen.lineWidth = 2;
  for (const { pane, item } of ui.matches) {
    if (pane !== scene.no) continue;
    const at = scene.model.from(item);
    if (at < ui.span.from || at > ui.span.to) continue;
    const row = item.type === 'fault' ? scene.layout.rows.find(({ kind }) => kind === 'nemesis') : scene.layout.rowOf[scene.model.lanesOf(item)[0] as number];
    if (row === undefined || row.folded) continue;
    pen.beginPath();
    pen.arc(x(at), row.y, 6, 0, 2 * Math.PI);
    pen.stroke();
  }
}

export function drawViolation(scene: Scene): void {
  const { theme, x } = scene;
  const { violation } = scene.model.run;
  if (violation === null) return;
  const { pen } = scene;
  const px = x(violation.at);
  if (px < -20 || px > scene.width + 20) return;
  const row = violation.lane === null ? undefined : scene.layout.rowOf[violation.lane];
  pen.fillStyle = theme['red'] as string;
  pen.fillRect(Math.round(px) - 1, 0, 2, scene.depth);
  if (row !== undefined) {
    pen.beginPath();
    pen.arc(px, row.y, 5, 0, 2 * Math.PI);
    pen.fill();
    pen.strokeStyle = theme['surface'] as string;
    pen.lineWidth = 2;
    pen.stroke();
  }
}
