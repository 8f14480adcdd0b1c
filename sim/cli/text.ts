/** How `drey sim` writes numbers, times and entries of a trace. */
import type { TraceEntry } from '../world/trace.ts';

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export function count(n: number): string {
  return grouped.format(n);
}

/** 1 server, 2 servers. */
export function countOf(n: number, what: string): string {
  return `${count(n)} ${n === 1 ? what : what.endsWith('s') ? what : `${what}s`}`;
}

/** Virtual ms, to the microsecond only where it is needed. */
export function ms(n: number): string {
  return `${grouped.format(Math.floor(n))}${n % 1 === 0 ? '' : `.${String(Math.floor((n % 1) * 10))}`} ms`;
}

/** Virtual time of many runs: '12.3 h', '4.5 min', '6.7 s'. */
export function virtualTime(totalMs: number): string {
  if (totalMs >= 3_600_000) return `${(totalMs / 3_600_000).toFixed(1)} h`;
  return totalMs >= 60_000 ? `${(totalMs / 60_000).toFixed(1)} min` : `${(totalMs / 1000).toFixed(1)} s`;
}

/** Real time that is left: '2:05'. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const h = Math.floor(s / 3600);
  const rest = `${String(Math.floor((s % 3600) / 60)).padStart(h > 0 ? 2 : 1, '0')}:${String(s % 60).padStart(2, '0')}`;
  return h > 0 ? `${h}:${rest}` : rest;
}

/** 'crash 12, pause 3': the most frequent first. */
export function counts(of: Readonly<Record<string, number>>): string {
  return Object.entries(of).filter(([, n]) => n > 0).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([what, n]) => `${what} ${count(n)}`).join(', ');
}

export function traceLine({ atMs, who, name, fields }: TraceEntry): string {
  const text = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(key, value)}`).join('');
  return `${atMs.toFixed(3).padStart(12)} ${who.padEnd(10)} ${name}${text}`;
}

/** Zxids and session ids as they are written everywhere else. */
function fieldText(key: string, value: unknown): string {
  if (typeof value === 'bigint' || (typeof value === 'number' && (/zxid$/i.test(key) || key === 'applied'))) return `0x${value.toString(16)}`;
  if (typeof value === 'string') return /^[\w/.:+-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? `0x${each.toString(16)}` : each));
}

/** Items separated by commas, in lines of at most `width`, the later ones indented. */
export function wrapped(text: string, indent: number, width: number = 140): string {
  const lines: string[] = [];
  let line = '';
  for (const part of text.split(', ')) {
    const longer = line === '' ? part : `${line}, ${part}`;
    if (longer.length <= width || line === '') line = longer;
    else {
      lines.push(`${line},`);
      line = part;
    }
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}

/** A word that the shell leaves alone. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
