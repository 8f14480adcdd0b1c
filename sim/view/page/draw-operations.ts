/** Operations of clients, from call to return. */
import { isOk, isRead } from './run-model.ts';
import { FONT } from './theme.ts';
import type { Scene } from './scene.ts';

export function drawOperations(scene: Scene): void {
  const { ui, theme, x, standsOut } = scene;
  const { pen } = scene;
  const { operations } = scene.model.run;
  const columns = new Map<number, number>();
  const scale = scene.width / (ui.span.to - ui.span.from);
  const showsReads = !ui.hidden.has('reads');
  const showsWrites = !ui.hidden.has('writes');
  for (let no = 0; no < operations.callAt.length; no++) {
    const call = operations.callAt[no] as number;
    if (call > ui.span.to) continue;
    const back = operations.returnAt[no] as number;
    if ((back < 0 ? call : back) < ui.span.from) continue;
    const lane = operations.lane[no] as number;
    const row = scene.layout.rowOf[lane];
    if (row === undefined || row.folded) continue;
    const kind = scene.model.text(operations.kind[no] as number);
    const read = isRead(kind);
    if (!(read ? showsReads : showsWrites)) continue;
    const rows = scene.model.rows[lane] as number;
    const step = (row.height - 10) / rows;
    const height = Math.max(2, Math.min(12, step - 1));
    const y = row.top + 7 + (scene.model.row[no] as number) * step + (step - height) / 2;
    const x0 = x(call);
    const ok = isOk(scene.model.text(operations.outcome[no] as number));
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
      scene.boxes.push({ item: { type: 'operation', no }, x0, x1: x0 + length, y0: y, y1: y + height });
    } else {
      const x1 = Math.max(x0 + 1.5, x(back));
      scene.boxes.push({ item: { type: 'operation', no }, x0, x1, y0: y, y1: y + height });
      if (x1 - x0 < (ok ? 9 : 4)) {
        const key = lane * 16 + (scene.model.row[no] as number) * 2 + (read ? 1 : 0);
        const column = Math.round(x0 / scene.columnPx);
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
        const path = scene.model.text(operations.path[no] as number);
        const long = `${kind} ${path}`;
        pen.font = `500 9.5px ${FONT}`;
        const ink = ok ? (read ? (theme['ink'] as string) : (theme['accent-ink'] as string)) : (theme['ink-2'] as string);
        scene.text(pen.measureText(long).width < x1 - x0 - 10 ? long : kind, Math.max(3, x0 + 4), y + height / 2 + 0.5, ink, x1 - Math.max(3, x0) - 6, 500);
      }
      const committed = scene.model.committedAt[no] as number;
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
