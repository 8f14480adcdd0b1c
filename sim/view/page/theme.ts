/** The colours of page.css for the canvas; read again when the scheme changes. */
import { FAMILIES } from './run-model.ts';

const NAMES = [
  'bg', 'surface', 'ink', 'ink-2', 'ink-3', 'line', 'lane', 'accent', 'accent-ink', 'red', 'red-soft', 'leading', 'electing', 'electing-ink', 'following', 'looking', 'down', 'disk', 'trouble', 'write', 'read', 'fault', 'fault-ink', 'split', 'match',
  ...FAMILIES.map((family) => `m-${family}`), 'epoch-0', 'epoch-1', 'epoch-2', 'epoch-3', 'epoch-4', 'epoch-5',
] as const;

export type Theme = Readonly<Record<string, string>> & { readonly hatch: CanvasPattern | null; readonly rough: CanvasPattern | null };

export function readTheme(context: CanvasRenderingContext2D): Theme {
  const style = getComputedStyle(document.documentElement);
  const colours: Record<string, string> = {};
  for (const name of NAMES) colours[name] = style.getPropertyValue(`--${name}`).trim();
  return { ...colours, hatch: hatch(context, colours['fault'] as string, 7), rough: hatch(context, colours['down'] as string, 4) } as unknown as Theme;
}

/** Diagonal lines. */
function hatch(context: CanvasRenderingContext2D, colour: string, size: number): CanvasPattern | null {
  const tile = document.createElement('canvas');
  tile.width = tile.height = size * 2;
  const pen = tile.getContext('2d');
  if (pen === null) return null;
  pen.strokeStyle = colour;
  pen.lineWidth = size / 4;
  pen.beginPath();
  for (let at = -size * 2; at <= size * 4; at += size) {
    pen.moveTo(at, size * 2 + 1);
    pen.lineTo(at + size * 2 + 2, -1);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  pattern?.setTransform(new DOMMatrix().scale(0.5));
  return pattern;
}

export const FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Inter, Roboto, "Noto Sans", "Liberation Sans", sans-serif';
