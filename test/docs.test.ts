/** What a machine can check of the documentation: error codes both ways, links, and the commands and scripts that are named. */
import test from 'ava';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Code } from '../coord/wire/codes.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const filesIn = (dir: string, ending: string): string[] =>
  readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ending)).map((name) => join(dir, name));

const sources = ['coord', 'orchestrator', 'connectors', 'sim'].flatMap((dir) => filesIn(dir, '.ts')).concat('drey.ts');
const pages = ['README.md', ...filesIn('docs', '.md')];
const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts);

/** Codes stand as literals where the error is made, in a constant CODE of the file, or in the call of a subclass's constructor. */
function codesInSources(): Set<string> {
  const codes = new Set(Object.keys(Code));
  codes.delete('OK');
  for (const file of sources) {
    const text = read(file);
    for (const made of text.matchAll(/new DreyError\(([^,]*),/g)) for (const literal of (made[1] as string).matchAll(/'([A-Z_]+)'/g)) codes.add(literal[1] as string);
    for (const constant of text.matchAll(/\bCODE = '([A-Z_]+)'/g)) codes.add(constant[1] as string);
    if (/extends DreyError/.test(text)) for (const call of text.matchAll(/super\('([A-Z_]+)'/g)) codes.add(call[1] as string);
    for (const type of text.matchAll(/type CoordErrorCode = (.*);/g)) for (const literal of (type[1] as string).matchAll(/'([A-Z_]+)'/g)) codes.add(literal[1] as string);
  }
  return codes;
}

/** First cells of the page's tables. */
function codesOnPage(): string[] {
  return [...read('docs/ERRORS.md').matchAll(/^\| (`.*?) \|/gm)].flatMap((row) => [...(row[1] as string).matchAll(/`([A-Z_]+)`/g)].map((cell) => cell[1] as string));
}

test('docs/ERRORS.md has every code in the sources, and no other', (t) => {
  const inSources = [...codesInSources()].sort();
  const onPage = codesOnPage();
  t.true(inSources.length > 80, 'the codes are found');
  t.deepEqual(onPage.filter((code, i) => onPage.indexOf(code) !== i), [], 'twice on the page');
  t.deepEqual([...onPage].sort(), inSources);
});

test('docs/SIMULATOR.md has every property that is judged, with the file that does', (t) => {
  const page = read('docs/SIMULATOR.md');
  const rows = page.slice(page.indexOf('## What the judges hold')).split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| property')).map((line) => line.split('|').map((cell) => cell.trim()));
  const onPage = new Map(rows.flatMap(([, names = '', , , files = '']) => names.split(', ').map((name) => [name, [...files.matchAll(/`([^`]+)`/g)].map((file) => file[1] as string)] as const)));
  const raised = new Map<string, string[]>();
  for (const room of ['judges', 'workloads', 'cluster', 'run', 'world']) {
    for (const path of filesIn(`sim/${room}`, '.ts')) {
      for (const [, name] of read(path).matchAll(/(?:fail|Violation)\('([A-Z]\w+)'/g)) raised.set(name as string, [...(raised.get(name as string) ?? []), path]);
    }
  }
  t.true(raised.size > 40, 'the properties are found');
  t.deepEqual([...raised.keys()].filter((name) => !onPage.has(name)), [], 'not on the page');
  t.deepEqual([...raised].filter(([name, files]) => !files.some((file) => onPage.get(name)?.includes(file))).map(([name, files]) => `${name}: ${files.join(', ')}`), [], 'raised elsewhere');
});

test('links in the documentation lead somewhere', (t) => {
  const broken: string[] = [];
  for (const page of pages) {
    for (const link of read(page).matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)) {
      const target = link[1] as string;
      if (!/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(page), target))) broken.push(`${page}: ${target}`);
    }
  }
  t.deepEqual(broken, []);
});

test('source files that the documentation names exist', (t) => {
  const missing: string[] = [];
  for (const page of pages) {
    for (const name of read(page).matchAll(/`((?:coord|orchestrator|connectors|sim|test|docs|\.ci)\/[\w./-]+)`/g)) {
      if (!existsSync(join(root, name[1] as string))) missing.push(`${page}: ${name[1]}`);
    }
  }
  t.deepEqual(missing, []);
});

test('commands and scripts that the documentation names exist', (t) => {
  const commands = [...read('drey.ts').matchAll(/^ {2}(\w+): \{ summary:/gm)].map((match) => match[1] as string);
  t.true(commands.length >= 9);
  const wrong: string[] = [];
  for (const page of pages) {
    const text = read(page);
    for (const named of text.matchAll(/(?:`|^|npx )drey (?!is\b)([a-z]+)/gm)) if (!commands.includes(named[1] as string)) wrong.push(`${page}: drey ${named[1]}`);
    for (const named of text.matchAll(/npm run (?:-s )?([\w:]+)/g)) if (!scripts.includes(named[1] as string)) wrong.push(`${page}: npm run ${named[1]}`);
  }
  t.deepEqual(wrong, []);
  for (const command of commands) t.regex(read('README.md'), new RegExp(`drey ${command}\\b`), `README does not show drey ${command}`);
});
