/** `drey server` as it is started and ended: what it refuses, what it says while it waits, its exit codes. */
import test from 'ava';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../coord/client/index.ts';
import { freePorts } from '../tools/java-process.ts';

const drey = join(import.meta.dirname, '..', '..', 'drey.js');
const dir = mkdtempSync(join(tmpdir(), 'drey-server-cli-'));
const children = new Set<ChildProcess>();
const killAll = (): void => {
  for (const child of children) child.kill('SIGKILL');
};
process.on('exit', killAll);
test.after.always(() => {
  killAll();
  rmSync(dir, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<{ status: number | null; out: string; err: string }>;
  says(pattern: RegExp): Promise<void>;
}

function start(...args: string[]): Started {
  const child = spawn(process.execPath, [drey, 'server', ...args], { stdio: 'pipe' });
  children.add(child);
  let [out, err] = ['', ''];
  let wake: () => void = () => undefined;
  child.stdout.on('data', (data) => {
    out += data;
    wake();
  });
  child.stderr.on('data', (data) => (err += data));
  const ended = new Promise<{ status: number | null; out: string; err: string }>((resolve) => child.on('close', (status) => {
    children.delete(child);
    resolve({ status, out, err });
    wake();
  }));
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(out)) {
      if (!children.has(child)) throw new Error(`ended without saying ${pattern}: ${out}${err}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { child, ended, says };
}

let configs = 0;
function config(lines: readonly string[], myid: string | null = '1'): { file: string; data: string } {
  const home = join(dir, String(configs++));
  const data = join(home, 'data');
  mkdirSync(data, { recursive: true });
  if (myid !== null) writeFileSync(join(data, 'myid'), `${myid}\n`);
  const file = join(home, 'zoo.cfg');
  writeFileSync(file, `${lines.join('\n').replace('DATA', data)}\n`);
  return { file, data };
}

const three = ['server.1=127.0.0.1:2888', 'server.2=127.0.0.1:2889', 'server.3=127.0.0.1:2890'];
const good = ['dataDir=DATA', 'clientPort=2181'];

/** What the line says behind the file's name; myid 1 unless it is given. */
const refused: readonly (readonly [lines: readonly string[], says: RegExp, myid?: string | null])[] = [
  [['clientPort=2181'], /^: dataDir is missing/],
  [['dataDir=', 'clientPort=2181'], /^:1: dataDir has no value/],
  [['dataDir=DATA'], /^: clientPort is missing/],
  [['dataDir=DATA', 'clientPort=65536'], /^:2: clientPort must be from 1 to 65535, not 65536/],
  [['dataDir=DATA', 'clientPort=http'], /^:2: clientPort must be a whole number, not "http"/],
  [[...good, 'tickTime=0'], /^:3: tickTime must be from 1/],
  [[...good, 'clientPort=2182'], /^:3: clientPort is set again; it already stands in line 2/],
  [[...good, 'minSessionTimeout=9000', 'maxSessionTimeout=8000'], /^:3: minSessionTimeout \(9000\) is larger/],
  [[...good, 'secureClientPort=2281'], /^:3: secureClientPort: there is no TLS/],
  [[...good, 'server.1=127.0.0.1'], /^:3: server\.1 must be host:peerPort/],
  [[...good, 'server.0=127.0.0.1:2888'], /^:3: N in server\.0 must be from 1 to 255/],
  [[...good, 'server.256=127.0.0.1:2888'], /^:3: N in server\.256 must be from 1 to 255/],
  [[...good, 'server.x=127.0.0.1:2888'], /^:3: N in server\.x must be a whole number/],
  [[...good, 'server.1=127.0.0.1:2888', 'server.2=127.0.0.1:2888'], /^:4: server\.2 has the host and the peer port of server\.1 in line 3/],
  [[...good, 'server.1=127.0.0.1:2888:observer'], /^:3: server\.1 is an observer/],
  [[...good, ...three], /^: there are 3 server lines, but no myid in /, null],
  [[...good, ...three], /^: myid is 4, but there is no server\.4/, '4'],
  [[...good, ...three, 'group.1=1:2:3'], /^:6: group\.1: hierarchical quorums are not supported/],
  [['dataDir=DATA', 'clientPort=2888', ...three], /^:3: the peer port and the client port are both 2888/],
];

test('bad configurations: exit code 1 and one line with file, line and reason', async (t) => {
  const queue = refused.values();
  await Promise.all([1, 2].map(async () => {
    for (const [lines, says, myid = '1'] of queue) {
      const { file } = config(lines, myid);
      const { status, out, err } = await start(file).ended;
      t.is(status, 1, lines.join(' | '));
      t.is(out, '');
      t.is(err.split('\n').length, 2, err);
      t.true(err.startsWith(`drey: ${file}`), err);
      t.regex(err.slice(`drey: ${file}`.length), says);
    }
  }));
});

test('a myid that is no number is refused with its own name; no file at all; wrong usage', async (t) => {
  const { file, data } = config([...good, ...three], 'one');
  const refusal = await start(file).ended;
  t.is(refusal.status, 1);
  t.regex(refusal.err, /^drey: \S+myid:1: myid must be a number from 1 to 255, not "one" \(COORD_CONFIG\)\n$/);
  t.true(refusal.err.includes(join(data, 'myid')));
  const missing = await start(join(dir, 'nothing.cfg')).ended;
  t.is(missing.status, 1);
  t.regex(missing.err, /^drey: \S+nothing\.cfg: cannot be read: ENOENT[^\n]*\n$/);
  t.is((await start().ended).status, 2);
  t.is((await start('--bogus', file).ended).status, 2);
});

test('a port that is taken: one line that names it, and exit code 1', async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const port = (taken.address() as AddressInfo).port;
  const [a, b, c] = (await freePorts(3)) as [number, number, number];
  const local = ['clientPortAddress=127.0.0.1', 'dataDir=DATA'];
  const peers = (own: number): string[] => [`server.1=127.0.0.1:${own}`, `server.2=127.0.0.1:${c}`, `server.3=127.0.0.2:${c}`];
  for (const [what, lines] of [
    ['clients', [...local, `clientPort=${port}`, `admin.serverPort=${a}`]],
    ['HTTP', [...local, `clientPort=${a}`, `admin.serverPort=${port}`]],
    ['peers', [...local, `clientPort=${a}`, `admin.serverPort=${b}`, ...peers(port)]],
  ] as const) {
    const { status, err } = await start(config(lines).file).ended;
    t.is(status, 1, what);
    t.regex(err, new RegExp(`^drey: cannot listen on 127\\.0\\.0\\.1:${port} for ${what}[^\n]*EADDRINUSE[^\n]*\n$`), what);
  }
});

test('a data directory that cannot be used: one line that names it, and exit code 1', async (t) => {
  const settings = async (dataDir: string): Promise<string[]> => {
    const [port, http] = (await freePorts(2)) as [number, number];
    return [`clientPort=${port}`, `admin.serverPort=${http}`, `dataDir=${dataDir}`, 'clientPortAddress=127.0.0.1'];
  };
  const refuses = async (file: string, what: string, says: string): Promise<void> => {
    const { status, err } = await start(file).ended;
    t.is(status, 1, what);
    t.is(err.trimEnd().split('\n').length, 1, err);
    t.true(err.includes(says), err);
  };
  await refuses(config(await settings('/dev/null/data')).file, 'below a file', '/dev/null/data');
  for (const name of ['state', 'journal']) {
    const { file, data } = config(await settings('DATA'));
    writeFileSync(join(data, name), '');
    await refuses(file, `${name} is a file`, join(data, name));
  }
  const { file, data } = config(await settings('DATA'));
  const first = start(file);
  await first.says(/serving as standalone/);
  const second = join(data, '..', 'second.cfg');
  writeFileSync(second, `${(await settings(data)).join('\n')}\n`);
  await refuses(second, 'in use', join(data, 'state'));
  first.child.kill('SIGTERM');
  t.is((await first.ended).status, 0);
});

test('without a quorum it waits, says so, serves nobody, and SIGTERM ends it with exit code 0', async (t) => {
  const [client, http, ...peers] = (await freePorts(5)) as [number, number, ...number[]];
  const { file } = config(['dataDir=DATA', `clientPort=${client}`, 'clientPortAddress=127.0.0.1', `admin.serverPort=${http}`, ...peers.map((port, i) => `server.${i + 1}=127.0.0.1:${port}`)]);
  const server = start(file);
  await server.says(/waits for a quorum: 2 of 3 servers must be up/);
  await t.throwsAsync(connect(`127.0.0.1:${client}`, { connectTimeoutMs: 500 }), { message: /CONNECTIONLOSS/ });
  server.child.kill('SIGTERM');
  const { status, err } = await server.ended;
  t.deepEqual([status, err], [0, '']);
});

test('SIGTERM and SIGINT end a serving server with exit code 0, with clients connected', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const [port, http] = (await freePorts(2)) as [number, number];
    const { file } = config(['dataDir=DATA', `clientPort=${port}`, 'clientPortAddress=127.0.0.1', `admin.serverPort=${http}`], null);
    const server = start(file);
    await server.says(/serving as standalone/);
    const clients = [await connect(`127.0.0.1:${port}`), await connect(`drey://127.0.0.1:${http}`)];
    await clients[0]!.create('/kept', signal);
    server.child.kill(signal);
    const { status, out, err } = await server.ended;
    t.deepEqual([status, err], [0, ''], signal);
    t.regex(out, /ended\n$/);
    const again = start(file);
    await again.says(/serving as standalone/);
    const client = await connect(`127.0.0.1:${port}`);
    t.is(Buffer.from((await client.getData('/kept')).data ?? []).toString(), signal);
    await Promise.all([...clients, client].map((each) => each.close()));
    again.child.kill(signal);
    t.is((await again.ended).status, 0);
  }
});
