import test from 'ava';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildGraph } from '../../../orchestrator/graph/build-graph.ts';
import { bundleJob } from '../../../orchestrator/submit/bundle.ts';
import { loadBundle } from '../../../orchestrator/submit/load-bundle.ts';

function project(t: { teardown(fn: () => void): void }, files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'drey-bundle-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

test('a job in several files runs from its bytes alone, and places are those of the source', async (t) => {
  const dir = project(t, {
    'words.ts': 'export type Word = string;\nexport function words(line: string): Word[] {\n  if (line === "boom") throw new Error("no such line");\n  return line.split(" ");\n}\n',
    'job.ts': [
      "import { job } from 'drey';", "import { collectionSource, printSink } from 'drey/connectors';", "import { words } from './words.ts';", '',
      "export default job('w', (env, params) => {",
      "  env.source(collectionSource<string>([params.line])).flatMap((line: string) => words(line)).sink(printSink());", '});', '',
    ].join('\n'),
  });
  const { bytes, hash } = await bundleJob(join(dir, 'job.ts'));
  rmSync(dir, { recursive: true });
  const { graph, functions } = buildGraph(loadBundle(bytes, hash), { line: 'a b' });
  t.is(graph.name, 'w');
  t.regex(graph.vertices[0]?.operators[1]?.origin ?? '', /job\.ts:6:\d+$/);
  const flatMap = functions.get('1-flatMap');
  if (flatMap?.kind !== 'flatMap') return t.fail();
  t.deepEqual([...flatMap.fn('a b')], ['a', 'b']);
  const error = t.throws(() => flatMap.fn('boom'));
  t.regex(error?.stack ?? '', /words\.ts:3:\d+/);
  t.is(loadBundle(bytes, hash), loadBundle(bytes, hash));
});

test('a wrong graph in a bundle names the place in the source', async (t) => {
  const dir = project(t, { 'job.ts': "import { job } from 'drey';\nimport { collectionSource } from 'drey/connectors';\n\nexport default job('w', (env) => {\n  env.source(collectionSource([1]))\n    .map((x) => x + 1);\n});\n" });
  const { bytes, hash } = await bundleJob(join(dir, 'job.ts'));
  const error = t.throws(() => buildGraph(loadBundle(bytes, hash), {}), { code: 'JOB_GRAPH' });
  t.regex(error?.message ?? '', /job\.ts:4:\d+: the job has no sink/);
});

const refused: [string, Record<string, string>, RegExp][] = [
  ['syntax', { 'job.ts': 'export default (' }, /job\.ts:1:\d+: Unexpected end of file/],
  ['an import that is not there', { 'job.ts': "import './gone.ts';\nexport default 1;" }, /job\.ts:1:\d+: Could not resolve "\.\/gone\.ts"/],
  ['a binary', { 'job.ts': "import x from './addon.node';\nexport default x;", 'addon.node': '' }, /addon\.node .*is a native module/],
  ['a native package', { 'job.ts': "import x from 'fastdb';\nexport default x;", 'node_modules/fastdb/package.json': '{"main":"i.js"}', 'node_modules/fastdb/i.js': "module.exports = require('bindings')('fastdb')" }, /fastdb is a native module/],
  ['no job in it', { 'job.ts': 'export default { a: 1 };' }, /does not export a job/],
  ['a module that throws', { 'job.ts': "\nthrow new Error('at load');\nexport default 1;" }, /job\.ts:2:\d+: the job's module threw: at load/],
];
for (const [name, files, message] of refused) {
  test(`refused: ${name}`, async (t) => {
    const dir = project(t, files);
    await t.throwsAsync(async () => {
      const { bytes, hash } = await bundleJob(join(dir, 'job.ts'));
      loadBundle(bytes, hash);
    }, { code: 'JOB_BUNDLE', message });
  });
}

test('a parameter that is missing is refused where the connector is made', async (t) => {
  const dir = project(t, { 'job.ts': "import { job } from 'drey';\nimport { fileSource, printSink } from 'drey/connectors';\nexport default job('w', (env, params) => {\n  env.source(fileSource({ path: params.in, format: 'text' })).sink(printSink());\n});\n" });
  const { bytes, hash } = await bundleJob(join(dir, 'job.ts'));
  const error = t.throws(() => buildGraph(loadBundle(bytes, hash), { inn: '/data' }), { code: 'JOB_GRAPH' });
  t.regex(error?.message ?? '', /job\.ts:4:\d+: fileSource: path .* \(parameters given: inn\)$/);
});
