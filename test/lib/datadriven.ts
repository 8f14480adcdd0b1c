/**
 * Data-driven tests: a script is prose, commands and the text each command is expected to print.
 *
 *   # a comment
 *   command arg key=value
 *   input line
 *   ----
 *   expected output
 *
 * Cases are separated by blank lines. Output with blank lines in it stands between double `----` lines. With DREY_REWRITE=1 the expected
 * text is replaced by what was printed; the diff is then reviewed like code. After cockroachdb/datadriven.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Command {
  readonly name: string;
  /** Words without `=`. */
  readonly args: readonly string[];
  /** Words with `=`. */
  readonly options: ReadonlyMap<string, string>;
  /** The lines between the command and `----`. */
  readonly input: string;
  /** file:line, for messages. */
  readonly position: string;
}

interface Case {
  /** Comments and blank lines before the command, as they stand. */
  readonly prose: string[];
  readonly commandLine: string;
  readonly input: string[];
  readonly expected: string;
  readonly line: number;
}

export interface Mismatch {
  readonly position: string;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

/** Runs one script; returns the cases that printed something else than expected. In rewrite mode there are none and the file is updated. */
export function runScript(file: string, execute: (command: Command) => string): Mismatch[] {
  const { cases, trailer } = parse(readFileSync(file, 'utf8'), file);
  const rewrite = process.env['DREY_REWRITE'] === '1';
  const mismatches: Mismatch[] = [];
  const out: string[] = [];
  for (const c of cases) {
    const position = `${file}:${c.line}`;
    const actual = normalize(execute(parseCommand(c.commandLine, c.input.join('\n'), position)));
    out.push(...c.prose, c.commandLine, ...c.input, ...format(actual));
    if (!rewrite && actual !== c.expected) mismatches.push({ position, command: c.commandLine, expected: c.expected, actual });
  }
  if (rewrite) writeFileSync(file, `${[...out, ...trailer].join('\n').trimEnd()}\n`);
  return mismatches;
}

/** The scripts of a directory, by name. */
export function scripts(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.txt')).sort().map((name) => join(directory, name));
}

export function describeMismatch(m: Mismatch): string {
  return `${m.position}: ${m.command}\nexpected:\n${indent(m.expected)}\nactual:\n${indent(m.actual)}`;
}

function parse(text: string, file: string): { cases: Case[]; trailer: string[] } {
  const lines = text.split('\n');
  const cases: Case[] = [];
  let prose: string[] = [];
  let i = 0;
  while (i < lines.length) {
    const line = lines[i] as string;
    if (line.trim() === '' || line.startsWith('#')) {
      prose.push(line);
      i++;
      continue;
    }
    const start = i++;
    const input: string[] = [];
    while (i < lines.length && lines[i] !== '----') input.push(lines[i++] as string);
    if (i >= lines.length) throw new Error(`${file}:${start + 1}: command without ----`);
    i++;
    const expected: string[] = [];
    if (lines[i] === '----') {
      i++;
      while (i < lines.length && !(lines[i] === '----' && lines[i + 1] === '----')) expected.push(lines[i++] as string);
      i += 2;
    } else {
      while (i < lines.length && (lines[i] as string).trim() !== '') expected.push(lines[i++] as string);
    }
    cases.push({ prose, commandLine: line, input, expected: normalize(expected.join('\n')), line: start + 1 });
    prose = [];
  }
  return { cases, trailer: prose };
}

function parseCommand(line: string, input: string, position: string): Command {
  const [name = '', ...words] = line.split(/\s+/).filter((word) => word !== '');
  const args: string[] = [];
  const options = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at > 0) options.set(word.slice(0, at), word.slice(at + 1));
    else args.push(word);
  }
  return { name, args, options, input, position };
}

function format(actual: string): string[] {
  if (actual === '') return ['----'];
  const lines = actual.split('\n');
  return lines.some((line) => line.trim() === '') ? ['----', '----', ...lines, '----', '----'] : ['----', ...lines];
}

function normalize(text: string): string {
  return text.split('\n').map((line) => line.trimEnd()).join('\n').replace(/\n+$/, '');
}

function indent(text: string): string {
  return text === '' ? '  (nothing)' : text.split('\n').map((line) => `  ${line}`).join('\n');
}
