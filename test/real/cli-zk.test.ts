/** `drey zk` as a user runs it: processes, exit codes, a script through a pipe, a watch ended by Ctrl-C. */
import test from 'ava';
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { startEnsemble, type Ensemble } from '../tools/ensemble.ts';

const drey = join(import.meta.dirname, '..', '..', 'drey.js');
let ensemble: Ensemble;

test.before(async () => {
  ensemble = await startEnsemble({ servers: 1 });
});
test.after.always(() => ensemble?.stop());

interface Outcome {
  readonly status: number | null;
  readonly out: string[];
  readonly err: string;
}

function start(args: readonly string[], server: string): { child: ChildProcess; outcome: Promise<Outcome>; seen(pattern: RegExp): Promise<void> } {
  const child = spawn(process.execPath, [drey, 'zk', ...args], { env: { ...process.env, DREY_SERVER: server }, stdio: 'pipe' });
  let out = '';
  let err = '';
  let wake: () => void = () => undefined;
  child.stdout.on('data', (data) => {
    out += data;
    wake();
  });
  child.stderr.on('data', (data) => (err += data));
  const outcome = new Promise<Outcome>((resolve) => child.on('close', (status) => resolve({ status, out: out.split('\n').slice(0, -1), err })));
  const seen = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(out)) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { child, outcome, seen };
}

function zk(...args: string[]): Promise<Outcome> {
  const { child, outcome } = start(args, ensemble.connectString);
  child.stdin?.end();
  return outcome;
}

test('one command at a time', async (t) => {
  t.deepEqual((await zk('create', '-p', '/one/two', 'hello')).out, ['/one/two']);
  t.deepEqual((await zk('create', '-s', '/one/n-')).out, ['/one/n-0000000001']);
  t.deepEqual((await zk('ls', '/one')).out, ['n-0000000001', 'two']);
  t.deepEqual((await zk('ls', '-R', '/one')).out, ['/one', '/one/n-0000000001', '/one/two']);
  t.deepEqual((await zk('get', '/one/two')).out, ['hello']);
  const json = JSON.parse((await zk('get', '--json', '-s', '/one/two')).out.join('')) as { data: string; stat: { version: number; czxid: string } };
  t.is(json.data, 'hello');
  t.is(json.stat.version, 0);
  t.regex(json.stat.czxid, /^0x[0-9a-f]+$/);
  t.regex((await zk('set', '-s', '/one/two', 'x', '-v', '0')).out.join('\n'), /^dataVersion {4}= 1$/m);
  t.deepEqual((await zk('getAcl', '/one')).out, ['world:anyone:cdrwa']);
  t.deepEqual((await zk('deleteall', '/one')).out, ['3 deleted']);
  const gone = await zk('stat', '/one');
  t.deepEqual([gone.status, gone.out, gone.err], [1, [], 'NONODE: /one does not exist\n']);
});

test('wrong usage and no server', async (t) => {
  for (const args of [['get'], ['get', 'relative'], ['ls', '--bogus', '/'], ['bogus'], ['setAcl', '/', 'x'], ['--server', 'ftp://x', 'ls', '/']]) {
    const { status, err } = await zk(...args);
    t.is(status, 2, args.join(' '));
    t.not(err, '', args.join(' '));
  }
  const { status, err } = await zk('--server', '127.0.0.1:1', '--timeout', '300', 'ls', '/');
  t.is(status, 1);
  t.regex(err, /^127\.0\.0\.1:1: CONNECTIONLOSS/);
});

test('a script through a pipe is one session, and ends at the first failure', async (t) => {
  const { child, outcome } = start([], ensemble.nativeConnectString);
  child.stdin?.end('create -e /script "two words"\nget /script\n\nls /nothing\ncreate /never\n');
  const { status, out } = await outcome;
  t.is(status, 1);
  t.deepEqual(out, ['/script', 'two words', 'NONODE: /nothing does not exist']);
  t.is((await zk('stat', '/script')).status, 1);
  t.is((await zk('stat', '/never')).status, 1);
});

test('watch prints changes until it is interrupted', async (t) => {
  await zk('create', '/watched');
  const { child, outcome, seen } = start(['watch', '-R', '--json', '/watched'], ensemble.connectString);
  // A watch that is set is not announced; changes are made until one has been seen.
  let isSeen = false;
  const first = seen(/NodeDataChanged/).then(() => (isSeen = true));
  while (!isSeen) await zk('set', '/watched', 'x');
  await first;
  await zk('create', '/watched/child');
  await seen(/"type":"NodeCreated","path":"\/watched\/child"/);
  child.kill('SIGINT');
  const { status, err } = await outcome;
  t.is(status, 0);
  t.is(err, '');
});
