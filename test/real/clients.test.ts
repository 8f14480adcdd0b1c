/**
 * Clients that others wrote, on our servers and on Apache ZooKeeper beside them: node-zookeeper-client, kazoo, and ZooKeeper's own shell. What
 * they print is the same.
 */
import test, { type ExecutionContext } from 'ava';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { zookeeperOrSkip } from '../lib/zookeeper-or-skip.ts';
import { startEnsemble, type Ensemble } from '../tools/ensemble.ts';
import { cacheDir, mavenClassPath } from '../tools/maven.ts';
import { startZooKeeper, zookeeperPomDir, type RunningZooKeeper } from '../tools/zookeeper.ts';

let ours: Ensemble;
let real: RunningZooKeeper | null = null;
const hostsOf = (ensemble: Ensemble): string => ensemble.servers.map((server) => `127.0.0.1:${server.clientPort}`).join(',');
const hasJava = await zookeeperOrSkip(test, 'the same clients on Apache ZooKeeper, and its shell');

test.before(async () => {
  [ours, real] = await Promise.all([startEnsemble(), hasJava ? startZooKeeper() : null]);
});
test.after.always(() => Promise.all([ours?.stop(), real?.stop()]));

interface Output {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function run(command: string, args: readonly string[], input = '', onLine: (line: string) => void = () => undefined): Promise<Output> {
  const child = spawn(command, args, { stdio: 'pipe' });
  let [out, err, seen] = ['', '', 0];
  child.stdout.on('data', (data) => {
    out += data;
    const lines = out.split('\n');
    for (; seen < lines.length - 1; seen++) onLine(lines[seen] as string);
  });
  child.stderr.on('data', (data) => (err += data));
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
}

// ---------------------------------------------------------------- kazoo

/** The Python that has kazoo, made at first use outside of the repository. */
function kazoo(): string | null {
  const home = join(cacheDir(), 'kazoo-2.11.0');
  const python = join(home, 'bin', 'python');
  if (existsSync(join(home, 'ready'))) return python;
  rmSync(home, { recursive: true, force: true });
  mkdirSync(cacheDir(), { recursive: true });
  if (spawnSync('python3', ['-m', 'venv', home]).status !== 0) return null;
  if (spawnSync(python, ['-m', 'pip', 'install', '-q', 'kazoo==2.11.0']).status !== 0) return null;
  mkdirSync(join(home, 'ready.new'));
  renameSync(join(home, 'ready.new'), join(home, 'ready'));
  return python;
}

function skipped(t: ExecutionContext, why: string): void {
  if (process.env['DREY_CI'] === '1') t.fail(`${why}; in CI nothing may be skipped`);
  else t.log(`SKIPPED: ${why}`);
  t.pass();
}

test.serial('kazoo: basics, transaction, watches, lock, election, and a server that is killed', async (t) => {
  const python = kazoo();
  if (python === null) return skipped(t, 'python3 with venv and pip is needed to run kazoo');
  const script = join(import.meta.dirname, 'kazoo_smoke.py');
  const kill = async (line: string): Promise<void> => {
    if (!line.startsWith('KILL ')) return;
    const server = ours.servers.find(({ clientPort }) => clientPort === Number(line.slice(5)));
    await server?.kill();
    server?.start();
  };
  const mine = await run(python, [script, hostsOf(ours)]);
  t.is(mine.status, 0, mine.out + mine.err);
  if (real !== null) {
    const theirs = await run(python, [script, real.connectString]);
    t.deepEqual(mine.out.split('\n'), theirs.out.split('\n'));
  }
  const killed = await run(python, [script, hostsOf(ours), 'kill'], '', (line) => void kill(line));
  t.is(killed.status, 0, killed.out + killed.err);
  t.regex(killed.out, /^session kept True\nephemeral kept True\nstates False$/m);
  await Promise.all(ours.servers.map((server) => server.serving()));
});

// ---------------------------------------------------------------- ZooKeeper's shell

const SHELL = `
create /s first
create /s again
create -s /s/n- x
create -e /s/e x
create -c /s/c x
create /none/x y
ls /
ls -R /s
ls -s /s
get /s
get -s /s
set /s second -s
set -v 1 /s third
set -v 1 /s fourth
stat /s
stat /none
get -w /s
addWatch -m PERSISTENT /s
set /s fifth
create /s/watched x
removewatches /s
getAcl /s
setAcl /s world:anyone:cdrw
getAcl -s /s
addauth digest user:secret
setAcl /s/watched auth::cdrwa
getAcl /s/watched
whoami
sync /s
getEphemerals /s
getAllChildrenNumber /s
delete /s
delete -v 9 /s/watched
delete /s/watched
version
deleteall /s
ls /
close
quit
`;

/** Numbers that differ by nature: zxids, times, sessions; and the shell's own log lines. Events come by another thread than answers: by themselves. */
function masked(output: string): { answers: string[]; events: string[] } {
  const lines = output.split('\n')
    .filter((line) => !/\[(main|main-SendThread|main-EventThread|Thread)|^Connecting to|JLine|^Welcome|^CLI version|ZooKeeper CLI/.test(line))
    .map((line) => line
      .replace(/0x[0-9a-f]+/g, 'HEX')
      .replace(/^([cm]time) = .*/, '$1 = TIME')
      .replace(/127\.0\.0\.1:\d+/g, 'HOST')
      .replace(/zxid: \d+/, 'zxid: N')
      .replace(/\[zk: [^\]]*\]/g, '[zk]'));
  return { answers: lines.filter((line) => !/^(WATCHER::|WatchedEvent.*|)$/.test(line)), events: lines.filter((line) => line.startsWith('WatchedEvent')) };
}

if (hasJava) {
  test.serial("ZooKeeper's own shell prints the same for both", async (t) => {
    const classPath = await mavenClassPath(zookeeperPomDir);
    const shell = (hosts: string): Promise<Output> => run('java', ['-cp', classPath, '-Djline.terminal=jline.UnsupportedTerminal', 'org.apache.zookeeper.ZooKeeperMain', '-server', hosts, '-waitforconnection'], SHELL);
    const mine = await shell(hostsOf(ours));
    const theirs = await shell((real as RunningZooKeeper).connectString);
    t.regex(mine.out, /fifth|third/, mine.err);
    t.deepEqual(masked(mine.out), masked(theirs.out));
    t.deepEqual(masked(mine.err), masked(theirs.err));
  });
}

// ---------------------------------------------------------------- node-zookeeper-client

type NodeZooKeeper = Record<string, (...args: unknown[]) => unknown> & { once(event: string, fn: () => void): void };

test.serial('node-zookeeper-client: every mode, data and watches, transaction, an ephemeral that goes', async (t) => {
  const zookeeper = createRequire(import.meta.url)('node-zookeeper-client') as {
    createClient(hosts: string): NodeZooKeeper; CreateMode: Record<string, number>;
  };
  const talk = async (hosts: string): Promise<unknown[]> => {
    const said: unknown[] = [];
    const client = zookeeper.createClient(hosts);
    const call = (method: string, ...args: unknown[]): Promise<unknown[]> => new Promise((resolve) => client[method]!(...args, (error: { name: string } | null, ...results: unknown[]) => {
      resolve(error === null || error === undefined ? results : [error.name]);
    }));
    const stat = (value: unknown): unknown => {
      const { version, cversion, aversion, dataLength, numChildren } = value as Record<string, unknown>;
      return [version, cversion, aversion, dataLength, numChildren];
    };
    await new Promise<void>((resolve) => {
      client.once('connected', resolve);
      client['connect']!();
    });
    said.push(await call('create', '/n', Buffer.from('data')));
    for (const mode of Object.keys(zookeeper.CreateMode).toSorted()) said.push(mode, await call('create', `/n/${mode}-`, Buffer.from(mode), zookeeper.CreateMode[mode]));
    said.push(await call('create', '/n', Buffer.from('data')), await call('create', '/none/x', Buffer.from('data')));
    const fired: unknown[] = [];
    const hasFired = new Promise<void>((resolve) => {
      void call('getData', '/n', (event: { name: string; path: string }) => {
        fired.push(event.name, event.path);
        resolve();
      }).then(([data, got]) => said.push(String(data), stat(got)));
    });
    said.push(stat((await call('setData', '/n', Buffer.from('new'), 0))[0]), await call('setData', '/n', Buffer.from('new'), 0));
    await hasFired;
    said.push(fired);
    const [children, parent] = await call('getChildren', '/n');
    said.push((children as string[]).toSorted(), stat(parent), await call('exists', '/none'), stat((await call('exists', '/n'))[0]));
    const transaction = client['transaction']!() as Record<string, (...args: unknown[]) => unknown>;
    transaction['create']!('/n/t', Buffer.from('1'));
    transaction['setData']!('/n/t', Buffer.from('2'), -1);
    transaction['check']!('/n/t', 1);
    transaction['remove']!('/n/t', -1);
    said.push(await new Promise((resolve) => transaction['commit']!((error: { name: string } | null) => resolve(error?.name ?? 'committed'))));
    const refused = client['transaction']!() as Record<string, (...args: unknown[]) => unknown>;
    refused['create']!('/n/t', Buffer.from('1'));
    refused['remove']!('/none', -1);
    said.push(await new Promise((resolve) => refused['commit']!((error: { name: string } | null) => resolve(error?.name ?? 'committed'))));
    const disconnected = new Promise<void>((resolve) => client.once('disconnected', resolve));
    client['close']!();
    await disconnected;
    const after = zookeeper.createClient(hosts);
    await new Promise<void>((resolve) => {
      after.once('connected', resolve);
      after['connect']!();
    });
    // Another session, perhaps on another server: it learns of the end of the first one by a watch.
    const left = (): Promise<string[]> => new Promise((resolve) => after['getChildren']!('/n', (_error: unknown, names: string[]) => resolve(names)));
    let names = await left();
    while (names.some((name) => name.startsWith('EPHEMERAL'))) names = await left();
    said.push(names.toSorted());
    await new Promise<void>((resolve) => after['removeRecursive']!('/n', () => resolve()));
    after['close']!();
    return said;
  };
  const mine = await talk(hostsOf(ours));
  t.true(mine.length > 20);
  t.true(mine.includes('committed'));
  if (real !== null) t.deepEqual(mine, await talk(real.connectString));
});
