/** Disks of real servers that fill up (a small tmpfs) and that fail (EIO from a preloaded library): nothing acked is lost, and they come back. */
import test, { type ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differences, wholeTree, WriteLoad } from '../lib/write-load.ts';
import { startEnsemble, type Ensemble, type EnsembleServer } from '../tools/ensemble.ts';

function skipped(t: ExecutionContext, why: string): void {
  if (process.env['DREY_CI'] === '1') t.fail(`${why}; in CI nothing may be skipped`);
  else t.log(`SKIPPED: ${why}`);
  t.pass();
}

const timesSaid = (server: EnsembleServer, what: string): number => readFileSync(server.logFile, 'utf8').split(what).length - 1;

/** As long as the load lives this ends only when the log says it: ava's own limit is the judge. */
async function says(server: EnsembleServer, what: string, times: number): Promise<void> {
  while (timesSaid(server, what) < times) {
    if (server.pid < 0) throw new Error(`the server ended:\n${server.logTail()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const DISK_FAILS = 'acks nothing: its disk fails';

async function isWhole(t: ExecutionContext, ensemble: Ensemble, load: WriteLoad, when: string): Promise<void> {
  for (const server of ensemble.servers) t.deepEqual(await load.lost(`127.0.0.1:${server.clientPort}`), [], when);
}

async function isSameEverywhere(t: ExecutionContext, ensemble: Ensemble): Promise<void> {
  const [first, ...others] = await Promise.all(ensemble.servers.map((server) => wholeTree(`127.0.0.1:${server.clientPort}`)));
  for (const other of others) t.deepEqual(differences(first!, other), []);
}

/** mount and umount are for root, or for whoever may become root without being asked. */
function asRoot(command: string, ...args: string[]): boolean {
  const [first, ...others] = [...(process.getuid?.() === 0 ? [] : ['sudo', '-n']), command, ...args] as [string, ...string[]];
  return spawnSync(first, others).status === 0;
}

/** Takes every byte that is left. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (let bytes = 1 << 20; bytes >= 4096;) {
      try {
        if (writeSync(fd, Buffer.alloc(bytes)) < bytes) bytes /= 2;
      } catch {
        bytes /= 2;
      }
    }
  } finally {
    closeSync(fd);
  }
}

test('disks that are full: one follower, the leader, all', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'drey-full-'));
  const disks = [1, 2, 3].map((sid) => join(dir, String(sid), 'data'));
  const mounted: string[] = [];
  const unmount = (): void => {
    for (const disk of mounted.splice(0)) asRoot('umount', '-l', disk);
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', unmount);
  for (const disk of disks) {
    mkdirSync(disk, { recursive: true });
    if (!asRoot('mount', '-t', 'tmpfs', '-o', 'size=160m,mode=777', 'tmpfs', disk)) {
      unmount();
      return skipped(t, 'a tmpfs cannot be mounted (it needs root)');
    }
    mounted.push(disk);
  }
  const ensemble = await startEnsemble({ dir });
  t.teardown(async () => {
    await ensemble.stop();
    unmount();
  });
  const load = new WriteLoad('/load', { clients: 3, writers: 4, znodes: 10, dataBytes: 4000 });
  t.teardown(() => load.abandon());
  await load.start(ensemble.connectString);
  await load.ackedMore(50);
  const filler = (server: EnsembleServer): string => join(server.home, 'data', 'filler');

  for (const victimLeads of [false, true]) {
    const leader = (await ensemble.leader()) as EnsembleServer;
    const victim = victimLeads ? leader : (ensemble.servers.find((server) => server !== leader) as EnsembleServer);
    const said = timesSaid(victim, DISK_FAILS);
    fill(filler(victim));
    await says(victim, DISK_FAILS, said + 1);
    await load.ackedMore(200);
    rmSync(filler(victim));
    await victim.serving();
    await isWhole(t, ensemble, load, victimLeads ? 'the leader was full' : 'a follower was full');
  }

  const said = ensemble.servers.map((server) => timesSaid(server, DISK_FAILS));
  for (const server of ensemble.servers) fill(filler(server));
  // When two have noticed there are no more writes, by which the third could notice.
  while (ensemble.servers.filter((server, i) => timesSaid(server, DISK_FAILS) > (said[i] as number)).length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const server of ensemble.servers) rmSync(filler(server));
  await Promise.all(ensemble.servers.map((server) => server.serving()));
  await load.ackedMore(50);
  await isWhole(t, ensemble, load, 'all were full');
  await load.stop();
  t.deepEqual(load.errors, []);
  await isSameEverywhere(t, ensemble);
  t.log(`${load.acked} writes acked, ${load.signals.filter((signal) => signal === 'expired').length} sessions expired`);
});

test('one write or sync that fails with EIO, in the journal and in the state, on the leader and on a follower', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'drey-eio-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const library = join(dir, 'eio.so');
  const gcc = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, join(import.meta.dirname, 'eio.c'), '-ldl'], { encoding: 'utf8' });
  if (gcc.status !== 0) return skipped(t, `gcc is missing or failed: ${gcc.stderr ?? ''}`);
  const ensemble = await startEnsemble({ dir, env: { LD_PRELOAD: library } });
  t.teardown(ensemble.stop);
  const load = new WriteLoad('/load', { clients: 3, writers: 4, znodes: 50 });
  t.teardown(() => load.abandon());
  await load.start(ensemble.connectString);
  for (const [onLeader, where] of [[true, '/journal/'], [false, '/journal/'], [true, '/state'], [false, '/state']] as const) {
    await load.ackedMore(100);
    const leader = (await ensemble.leader()) as EnsembleServer;
    const victim = onLeader ? leader : (ensemble.servers.find((server) => server !== leader) as EnsembleServer);
    const said = timesSaid(victim, DISK_FAILS);
    writeFileSync(join(victim.home, 'eio'), where);
    await says(victim, DISK_FAILS, said + 1);
    await load.ackedMore(100);
    await victim.serving();
    await isWhole(t, ensemble, load, `EIO in ${where} of ${onLeader ? 'the leader' : 'a follower'}`);
  }
  await load.stop();
  t.deepEqual(load.errors, []);
  t.deepEqual(load.signals.filter((signal) => signal === 'expired'), []);
  await isSameEverywhere(t, ensemble);
  t.log(`${load.acked} writes acked`);
});
