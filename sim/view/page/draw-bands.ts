/** What lasts: roles as bars, epochs, sessions and checkpoints as stripes, disks at the bottom of a lane. */
import type { Item } from './run-model.ts';
import type { Row } from './layout.ts';
import { FONT } from './theme.ts';
import type { Scene } from './scene.ts';

const EPOCH_HUES = 6;

export function drawBands(scene: Scene): void {
  const { ui, theme, x } = scene;
  const { pen } = scene;
  const { bands } = scene.model.run;
  const { model } = scene;
  const lastDisk = new Map<number, number>();
  for (let no = 0; no < bands.lane.length; no++) {
    const at = bands.from[no] as number;
    if (at > ui.span.to) break;
    const end = (bands.to[no] as number) < 0 ? model.endAt : (bands.to[no] as number);
    if (end < ui.span.from) continue;
    const row = scene.layout.rowOf[bands.lane[no] as number];
    if (row === undefined || row.folded) continue;
    const x0 = Math.max(-2, x(at));
    const x1 = Math.min(scene.width + 2, Math.max(x(end), x0 + 0.6));
    const label = model.text(bands.label[no] as number);
    const item: Item = { type: 'band', no };
    switch (model.text(bands.band[no] as number)) {
      case 'role':
        drawRole(scene, row, x0, x1, label);
        scene.boxes.push({ item, x0, x1, y0: row.roleTop, y1: row.roleTop + row.roleHeight });
        break;
      case 'epoch': {
        pen.fillStyle = theme[`epoch-${Number(label) % EPOCH_HUES}`] as string;
        const y = row.roleTop + row.roleHeight + 1;
        pen.fillRect(x0, y, x1 - x0, 3);
        scene.boxes.push({ item, x0, x1, y0: y, y1: y + 4 });
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
        if (!isWrite && x1 - x0 > 50) scene.text(label, Math.max(4, x0 + 2), y - 6, theme['trouble'] as string, x1 - Math.max(4, x0));
        scene.boxes.push({ item, x0, x1: Math.max(x1, x0 + 2), y0: y - 1, y1: y + 5 });
        break;
      }
      case 'task': {
        pen.fillStyle = theme['following'] as string;
        pen.beginPath();
        pen.roundRect(x0, row.roleTop, Math.max(0.6, x1 - x0 - 1), row.roleHeight, 3);
        pen.fill();
        scene.text(label, Math.max(5, x0 + 5), row.roleTop + row.roleHeight / 2 + 0.5, theme['ink'] as string, x1 - Math.max(5, x0) - 6, 500);
        scene.boxes.push({ item, x0, x1, y0: row.roleTop, y1: row.roleTop + row.roleHeight });
        break;
      }
      case 'checkpoint': {
        const y = row.roleTop + row.roleHeight + 1;
        pen.fillStyle = theme['m-synchronization'] as string;
        pen.fillRect(x0, y, x1 - x0, 3);
        scene.boxes.push({ item, x0, x1, y0: y, y1: y + 4 });
        break;
      }
      default: {
        pen.fillStyle = theme['accent'] as string;
        pen.globalAlpha = 0.35;
        pen.fillRect(x0, row.top + 3, x1 - x0, 3);
        pen.globalAlpha = 1;
        scene.boxes.push({ item, x0, x1, y0: row.top + 1, y1: row.top + 7 });
      }
    }
  }
}

function drawRole(scene: Scene, row: Row, x0: number, x1: number, label: string): void {
  const { theme } = scene;
  const { pen } = scene;
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
  scene.text(serves && role === 'leading' ? 'leads' : role, left, y + height / 2 + 0.5, ink, x1 - left - 4, 500);
}
