/** What a user gets: `npm pack`, an install of the tarball in an empty folder, and there the command line, the entry points and their types. */
import test from 'ava';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..');
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
// The Node that a user has, which may be older than the one in node_modules that runs these tests; npm's own variables would name the checkout.
const path = (process.env['PATH'] ?? '').split(delimiter).filter((dir) => !dir.includes('node_modules') && !dir.includes('node-gyp-bin')).join(delimiter);
const env = { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(?:package|lifecycle)|^INIT_CWD$/.test(name))), PATH: path };

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout: string; stderr: string; message: string };
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}

/** The pages' own examples: what is shown to users must compile. */
function examples(): [string, string][] {
  return ['README.md', 'docs/JOBS.md', 'docs/CLIENT.md'].flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].flatMap(([, text], i): [string, string][] =>
      text?.includes('import ') === true ? [[`${page.replaceAll(/\W/g, '-')}-${i}.ts`, text]] : [],
    ),
  );
}

test('the packed package, installed elsewhere, is a working drey with typed entry points', async (t) => {
  t.timeout(180_000);
  const dir = mkdtempSync(join(tmpdir(), 'drey-package-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));

  // The build's own lines come before npm's JSON.
  const packed = await run(root, 'npm', 'pack', '--json', '--pack-destination', dir);
  const { filename, files } = (JSON.parse(packed.slice(packed.search(/^\[/m))) as { filename: string; files: { path: string }[] }[])[0] ?? { filename: '', files: [] };
  const names = files.map((file) => file.path);
  t.deepEqual(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts')), [], 'Node runs no .ts under node_modules');
  t.deepEqual(names.filter((name) => /^(?:dist\/)?test\/|\.test\.|^\./.test(name)), []);
  for (const name of ['LICENSE', 'README.md', 'docs/ERRORS.md', 'drey.js', 'dist/drey.js', 'dist/sim/cli/sim.js', 'dist/sim/view/page/main.js', 'dist/sim/view/page/page.css']) t.true(names.includes(name), name);

  const home = join(dir, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }\n');
  await run(home, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', join(dir, filename));
  const drey = join('node_modules', '.bin', 'drey');
  t.is((await run(home, drey, '--version')).trim(), version);
  t.regex(await run(home, drey, 'up', '--help'), /Usage: drey up/);
  t.regex(await run(home, drey, 'sim', 'leader-loss', '--servers', '3', '--seeds', '2'), /2 seeds \(1 to 2\) ok/);

  writeFileSync(join(home, 'exports.js'), `
    import * as api from 'drey';
    import * as client from 'drey/client';
    import * as connectors from 'drey/connectors';
    console.log(JSON.stringify([api.job, client.connect, client.LeaderElection, connectors.fileSource, connectors.kafkaSource].map((it) => typeof it)));
  `);
  t.deepEqual(JSON.parse(await run(home, 'node', 'exports.js')), Array(5).fill('function'));

  const simulated = `
    import { job } from 'drey';
    import { fileSink, kafkaSource } from 'drey/connectors';
    import { simulate } from 'drey/sim';
    const copy = job('copy', (env) => env.source(kafkaSource({ brokers: ['kafka:9092'], topic: 'numbers', format: 'json' })).sink(fileSink({ path: '/out', format: 'ndjson' })), { checkpoint: { intervalMs: 500 } });
    const { output } = await simulate(copy, { seed: 7, faults: ['worker-loss', 'master-loss'], input: [1, 2, 3] });
    console.log(JSON.stringify([...output].sort()));
  `;
  writeFileSync(join(home, 'simulated.js'), simulated);
  t.deepEqual(JSON.parse(await run(home, 'node', 'simulated.js')), [1, 2, 3]);

  const shown = [...examples(), ['simulated.ts', simulated] as [string, string]];
  t.true(shown.length >= 4);
  for (const [name, text] of shown) writeFileSync(join(home, name), text);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')];
  await t.notThrowsAsync(run(home, 'node', tsc, '--strict', '--noEmit', '--target', 'es2023', '--module', 'nodenext', ...types, ...shown.map(([name]) => name)));
});
