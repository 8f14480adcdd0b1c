/** The axis of time above the lanes, with the flags of the violation and of the first difference. */
import { clock } from '../numbers.ts';
import { FONT, type Theme } from './theme.ts';
import type { Span } from './ui-state.ts';

export interface Flag {
  readonly at: number;
  readonly text: string;
  readonly colour: 'red' | 'split';
}

const STEPS = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6, 7].map((power) => n * 10 ** power)).sort((a, b) => a - b);

export function drawRuler(pen: CanvasRenderingContext2D, width: number, height: number, span: Span, flags: readonly Flag[], cursorAt: number | null, theme: Theme): void {
  pen.clearRect(0, 0, width, height);
  const scale = width / (span.to - span.from);
  const step = STEPS.find((each) => each * scale >= 90) ?? 10_000_000;
  const digits = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  pen.font = `400 11px ${FONT}`;
  pen.textBaseline = 'middle';
  pen.fillStyle = theme['ink-3'] as string;
  for (let at = Math.ceil(span.from / step) * step; at <= span.to; at += step) {
    const x = (at - span.from) * scale;
    pen.fillRect(Math.round(x), height - 6, 1, 6);
    for (let part = 1; part < 5; part++) pen.fillRect(Math.round(x + (step * scale * part) / 5), height - 3, 1, 3);
    pen.fillText(`${clock(at, digits)} ms`, x + 4, height - 11);
  }
  if (cursorAt !== null) {
    const x = (cursorAt - span.from) * scale;
    const text = `${clock(cursorAt)} ms`;
    pen.font = `500 11px ${FONT}`;
    const wide = pen.measureText(text).width + 10;
    const left = Math.max(0, Math.min(width - wide, x - wide / 2));
    pen.fillStyle = theme['ink'] as string;
    pen.beginPath();
    pen.roundRect(left, height - 20, wide, 18, 4);
    pen.fill();
    pen.fillStyle = theme['surface'] as string;
    pen.fillText(text, left + 5, height - 10.5);
  }
  const taken: [number, number][] = [];
  for (const flag of flags) {
    const x = (flag.at - span.from) * scale;
    if (x < -1 || x > width + 1) continue;
    pen.font = `600 11px ${FONT}`;
    let text = flag.text;
    const most = Math.max(120, Math.min(520, width * 0.6));
    while (text.length > 8 && pen.measureText(text).width > most - 14) text = `${text.slice(0, -4).trimEnd()}…`;
    const wide = pen.measureText(text).width + 14;
    // On the side that has room; none has: the stem alone.
    const left = [x, x - wide].find((each) => each >= 0 && each + wide <= width && !taken.some(([a, b]) => a < each + wide - 1 && each < b - 1));
    pen.fillStyle = theme[flag.colour] as string;
    pen.fillRect(Math.round(x) - 1, 1, 2, height);
    if (left === undefined) continue;
    taken.push([left, left + wide]);
    pen.beginPath();
    pen.roundRect(left, 1, wide, 18, left < x ? [4, 4, 0, 4] : [4, 4, 4, 0]);
    pen.fill();
    pen.fillStyle = theme['surface'] as string;
    pen.fillText(text, left + 7, 10.5);
  }
}
