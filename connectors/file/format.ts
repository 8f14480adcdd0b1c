/**
 * The formats of line files. Decoding takes a block of whole lines, so that a file is read block by block; CSV (RFC 4180) may keep back the
 * end of a block, since a quoted field may hold line ends.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Json } from '../../orchestrator/api/source.ts';

export type FileFormat = 'text' | 'ndjson' | 'csv';

/** What a value is in each format. CSV fields are strings, named by the file's first line. */
export interface FileValues {
  text: string;
  ndjson: Json;
  csv: Record<string, string>;
}

export const extensions: Readonly<Record<FileFormat, string>> = { text: 'txt', ndjson: 'ndjson', csv: 'csv' };

export interface Decoded {
  readonly values: Json[];
  /** Characters of the block that whole records took; less than its length only for CSV. */
  readonly consumed: number;
}

/** A record that cannot be decoded: `at` is the character of the block where it begins. */
export class BadRecord extends Error {
  override name = 'BadRecord';
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** `block` ends with a line end. Throws BadRecord. */
export function decodeBlock(format: FileFormat, block: string, columns: readonly string[]): Decoded {
  if (format === 'csv') return decodeCsv(block, columns);
  const lines = block.split('\n');
  lines.pop();
  const values: Json[] = [];
  let at = 0;
  for (const line of lines) {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (format === 'text') values.push(text);
    else if (text.trim() !== '') values.push(parseJson(text, at));
    at += line.length + 1;
  }
  return { values, consumed: block.length };
}

function parseJson(line: string, at: number): Json {
  try {
    return JSON.parse(line) as Json;
  } catch (error) {
    throw new BadRecord(at, `not JSON: ${(error as Error).message}`);
  }
}

function decodeCsv(block: string, columns: readonly string[]): Decoded {
  const values: Json[] = [];
  let at = 0;
  for (;;) {
    const record = csvRecord(block, at);
    if (record === null) return { values, consumed: at };
    const { fields, next } = record;
    if (!(fields.length === 1 && fields[0] === '')) {
      if (fields.length !== columns.length) throw new BadRecord(at, `${fields.length} fields where the header has ${columns.length}`);
      values.push(Object.fromEntries(columns.map((column, i) => [column, fields[i] as string])));
    }
    at = next;
  }
}

/** The record that begins at `from`, or null when its end is not in the text. */
export function csvRecord(text: string, from: number): { fields: string[]; next: number } | null {
  const fields: string[] = [];
  let at = from;
  for (;;) {
    let field: string;
    if (text[at] === '"') {
      field = '';
      let start = at + 1;
      for (;;) {
        const quote = text.indexOf('"', start);
        if (quote === -1) return null;
        field += text.slice(start, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        field += '"';
        start = at + 1;
      }
    } else {
      const start = at;
      while (at < text.length && text[at] !== ',' && text[at] !== '\n') at++;
      if (at === text.length) return null;
      field = text.slice(start, text[at] === '\n' && at > start && text[at - 1] === '\r' ? at - 1 : at);
    }
    fields.push(field);
    if (text[at] === ',') {
      at++;
      continue;
    }
    if (text[at] === '\r' && text[at + 1] === '\n') at++;
    if (text[at] === '\n') return { fields, next: at + 1 };
    if (at >= text.length) return null;
    throw new BadRecord(from, 'a quoted field is followed by something else than a comma or a line end');
  }
}

/** Lines of a part file for these values. Throws DreyError FILE_BAD_VALUE. */
export function encodeValues(format: FileFormat, values: readonly unknown[], columns: readonly string[]): string {
  return values.map((value) => `${encodeValue(format, value, columns)}\n`).join('');
}

export function encodeCsvHeader(columns: readonly string[]): string {
  return `${columns.map(csvField).join(',')}\n`;
}

function encodeValue(format: FileFormat, value: unknown, columns: readonly string[]): string {
  if (format === 'text') {
    if (typeof value === 'object' || value === undefined) throw badValue('a text file takes strings and numbers', value);
    const text = String(value);
    if (text.includes('\n')) throw badValue('a line of a text file cannot hold a line end: use ndjson', value);
    return text;
  }
  if (format === 'ndjson') {
    const text = JSON.stringify(value);
    if (text === undefined) throw badValue('this is not JSON', value);
    return text;
  }
  if (typeof value !== 'object' || value === null) throw badValue('a CSV file takes objects', value);
  const record = value as Record<string, unknown>;
  const extra = Object.keys(record).find((key) => !columns.includes(key));
  if (extra !== undefined) throw badValue(`column ${extra} is not in the header ${columns.join(',')}`, value);
  return columns.map((column) => csvField(record[column])).join(',');
}

function csvField(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function badValue(reason: string, value: unknown): DreyError {
  let shown: string;
  try {
    shown = JSON.stringify(value)?.slice(0, 120) ?? String(value);
  } catch {
    shown = String(value);
  }
  return new DreyError('FILE_BAD_VALUE', `file sink: ${reason}: ${shown}`);
}
