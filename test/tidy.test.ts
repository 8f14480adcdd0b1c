/**
 * The house rules that a machine can check: which room may import which, and what core rooms must not know (clocks, timers, randomness,
 * sockets, disks, promises). docs/ARCHITECTURE.md says why.
 */
import test from 'ava';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

const root = new URL('..', import.meta.url).pathname;

function sources(dir: string): string[] {
  return readdirSync(join(root, dir)).flatMap((name) => {
    const path = join(dir, name);
    if (statSync(join(root, path)).isDirectory()) return sources(path);
    return /\.(ts|js)$/.test(name) ? [path] : [];
  });
}

const files = ['coord', 'orchestrator', 'connectors', 'sim'].flatMap(sources).concat(['drey.ts']);

/** The longest matching prefix names the room. */
const rooms = [
  'coord/base', 'coord/zab', 'coord/tree', 'coord/wire', 'coord/server', 'coord/config', 'coord/storage', 'coord/runtime', 'coord/adapters', 'coord/client', 'coord/cli',
  'orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc', 'orchestrator/jobmaster', 'orchestrator/task', 'orchestrator/operators', 'orchestrator/state', 'orchestrator/storage',
  'orchestrator/exchange', 'orchestrator/ha', 'orchestrator/submit', 'orchestrator/runtime', 'orchestrator/adapters', 'orchestrator/cli', 'orchestrator/cluster', 'orchestrator/examples', 'connectors', 'sim', 'drey.ts',
];
function roomOf(file: string): string {
  const room = rooms.filter((r) => file === r || file.startsWith(`${r}/`)).sort((a, b) => b.length - a.length)[0];
  if (room === undefined) throw new Error(`${file} is in no known room`);
  return room;
}

const coordCore = ['coord/base', 'coord/zab', 'coord/tree', 'coord/wire'];
/** Every room may import itself and coord/base. */
const allowed: Record<string, string[]> = {
  'coord/base': [],
  'coord/zab': [],
  'coord/wire': ['coord/zab'],
  'coord/tree': ['coord/wire'],
  'coord/server': coordCore,
  'coord/config': ['coord/wire'],
  'coord/storage': ['coord/zab'],
  'coord/runtime': [...coordCore, 'coord/server', 'coord/storage'],
  'coord/client': ['coord/wire'],
  'coord/adapters': ['coord/wire', 'coord/server', 'coord/client', 'coord/storage'],
  'coord/cli': ['coord/wire', 'coord/server', 'coord/config', 'coord/storage', 'coord/runtime', 'coord/adapters', 'coord/client', 'coord/zab'],
  'orchestrator/graph': ['orchestrator/api', 'orchestrator/rpc'],
  'orchestrator/api': ['orchestrator/graph', 'orchestrator/operators'],
  'orchestrator/rpc': ['orchestrator/api'],
  'orchestrator/jobmaster': ['orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc'],
  'orchestrator/task': ['orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc', 'orchestrator/operators', 'orchestrator/state', 'orchestrator/storage', 'orchestrator/exchange'],
  'orchestrator/operators': ['orchestrator/api', 'orchestrator/graph', 'orchestrator/state', 'orchestrator/task'],
  'orchestrator/state': ['orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc'],
  'orchestrator/storage': [],
  'orchestrator/exchange': ['orchestrator/api', 'orchestrator/rpc', 'orchestrator/task'],
  'orchestrator/ha': ['coord/client', 'orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc', 'orchestrator/jobmaster', 'orchestrator/storage'],
  'orchestrator/submit': ['coord/client', 'orchestrator/jobmaster', 'orchestrator/ha', 'orchestrator/storage', 'orchestrator/api', 'orchestrator/graph', 'connectors'],
  'orchestrator/runtime': ['coord/client', 'orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc', 'orchestrator/jobmaster', 'orchestrator/task', 'orchestrator/operators', 'orchestrator/state', 'orchestrator/storage', 'orchestrator/exchange', 'orchestrator/ha', 'orchestrator/submit'],
  'orchestrator/adapters': ['coord/adapters', 'coord/client', 'orchestrator/rpc', 'orchestrator/jobmaster', 'orchestrator/ha', 'orchestrator/storage', 'orchestrator/submit', 'orchestrator/runtime'],
  'orchestrator/cli': ['coord/client', 'orchestrator/adapters', 'orchestrator/cluster', 'connectors', 'orchestrator/api', 'orchestrator/graph', 'orchestrator/rpc', 'orchestrator/jobmaster', 'orchestrator/storage', 'orchestrator/ha', 'orchestrator/submit', 'orchestrator/runtime'],
  'orchestrator/cluster': ['coord/client', 'orchestrator/adapters', 'connectors', 'orchestrator/runtime', 'orchestrator/jobmaster', 'orchestrator/ha'],
  'orchestrator/examples': ['orchestrator/api', 'connectors'],
  connectors: ['orchestrator/api'],
  sim: [...coordCore, 'coord/server', 'coord/storage', 'coord/runtime', 'coord/client', 'orchestrator/jobmaster', 'orchestrator/graph', 'orchestrator/api', 'orchestrator/rpc', 'orchestrator/task', 'orchestrator/runtime', 'orchestrator/ha', 'orchestrator/storage', 'connectors'],
  'drey.ts': ['coord/cli', 'orchestrator/cli', 'sim'],
};

/** The one file of its room that puts a client on real sockets, so that the others need not. */
const entrances: Record<string, string[]> = { 'coord/client/index.ts': ['coord/adapters'] };

function imports(file: string): { target: string; typeOnly: boolean }[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found: { target: string; typeOnly: boolean }[] = [];
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?[^'"]*?from\s+['"](\.[^'"]+)['"]/gm)) found.push({ target: normalize(join(dirname(file), match[2] as string)), typeOnly: match[1] !== undefined });
  for (const match of text.matchAll(/import\(\s*['"](\.[^'"]+)['"]\s*\)/g)) found.push({ target: normalize(join(dirname(file), match[1] as string)), typeOnly: false });
  return found;
}

test('imports follow the direction of dependencies', (t) => {
  const wrong: string[] = [];
  for (const file of files) {
    const room = roomOf(file);
    for (const { target } of imports(file)) {
      if (target === 'package.json') continue;
      const other = roomOf(relative('.', target));
      if (other === room || other === 'coord/base' || allowed[room]?.includes(other) || entrances[file]?.includes(other)) continue;
      wrong.push(`${file} imports ${target}`);
    }
  }
  t.deepEqual(wrong, []);
});

const core = ['coord/base', 'coord/zab', 'coord/tree', 'coord/wire', 'coord/server', 'orchestrator/graph', 'orchestrator/jobmaster'];
const banned: [RegExp, string][] = [
  [/\bDate\b\s*[.(]/, 'Date'],
  [/\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/, 'a timer'],
  [/\bMath\.random\b/, 'Math.random'],
  [/\bperformance\b\s*\./, 'performance'],
  [/\bprocess\b\s*\./, 'process'],
  [/from\s+['"]node:/, 'a node: module'],
  [/\basync\b|\bawait\b|\bPromise\b/, 'a promise'],
  [/\b(WeakRef|FinalizationRegistry)\b/, 'weak references'],
  [/\bcrypto\b\s*\./, 'crypto'],
];

function code(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/.*$/gm, '').replaceAll(/'(?:[^'\\\n]|\\.)*'(?<!from '[^'\n]*')/g, "''");
}

test('core rooms know no clock, timer, randomness, socket, disk or promise', (t) => {
  const wrong: string[] = [];
  for (const file of files) {
    if (!core.includes(roomOf(file))) continue;
    const text = readFileSync(join(root, file), 'utf8');
    for (const [pattern, what] of banned) if (pattern.test(what === 'a node: module' ? text : code(text))) wrong.push(`${file} knows ${what}`);
  }
  t.deepEqual(wrong, []);
});

const simulated = ['orchestrator/rpc', 'orchestrator/runtime', 'orchestrator/exchange', 'orchestrator/task', 'orchestrator/operators', 'orchestrator/state', 'orchestrator/ha', 'connectors'];
/** On this machine only: real files, standard output, kafkajs, and what a command does before there is a job. */
const real = ['connectors/file/', 'connectors/print.ts', 'connectors/kafka/client.ts', 'connectors/kafka/idle-timer.ts', 'orchestrator/runtime/submit-job.ts'];
const ambient: [RegExp, string][] = [
  [/\bDate\.now\b|\bnew Date\(\)/, 'Date'],
  [/\b(setTimeout|setInterval|setImmediate)\b/, 'a timer'],
  [/\bMath\.random\b|\bnanoid\b/, 'chance'],
  [/\bperformance\b\s*\./, 'performance'],
  [/from\s+['"](ws|nanoid|node:(http|net|timers.*|fs.*))['"]/, 'a socket, timer or file'],
];

test('what runs in a simulated cluster takes time, chance, sockets and files from its ports', (t) => {
  const wrong: string[] = [];
  for (const file of files) {
    if (!simulated.includes(roomOf(file)) || real.some((prefix) => file.startsWith(prefix))) continue;
    const text = readFileSync(join(root, file), 'utf8');
    for (const [pattern, what] of ambient) if (pattern.test(what.startsWith('a socket') ? text : code(text))) wrong.push(`${file} knows ${what}`);
  }
  t.deepEqual(wrong, []);
});

test('no leftovers', (t) => {
  const wrong: string[] = [];
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    if (/\b(FIXME|TODO|XXX)\b/.test(text)) wrong.push(`${file} has a leftover`);
    if (/c8 ignore|istanbul ignore/.test(text)) wrong.push(`${file} hides from coverage`);
  }
  t.deepEqual(wrong, []);
});
