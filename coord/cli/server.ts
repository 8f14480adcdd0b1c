/** `drey server zoo.cfg`: one server in the foreground, from ZooKeeper's own property file and myid. */
import { Command } from 'commander';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ClientListener } from '../adapters/client-listener.ts';
import { HttpPort } from '../adapters/http.ts';
import { NodeJournalFiles } from '../adapters/journal-files.ts';
import { LevelKvStores } from '../adapters/level-kv.ts';
import { NativeListener } from '../adapters/native-listener.ts';
import { WsPeerTransport } from '../adapters/peer-transport.ts';
import { systemClock, systemEntropy, systemTimers } from '../adapters/system-ports.ts';
import { DreyError } from '../base/errors.ts';
import type { Callback, Trace } from '../base/ports.ts';
import { parseMyid, parseZooCfg, settingsOf, type ServerSettings } from '../config/zoo-cfg.ts';
import { DEFAULT_DRIVER_OPTIONS, QuorumPeer } from '../runtime/quorum-peer.ts';
import type { ServerDescription } from '../server/server-counters.ts';
import { Storage } from '../storage/storage.ts';

/** How long a server that does not serve stays silent about it. */
const WAITING_AFTER_MS = 2000;
const KEYS_OF_TRACE = new Set(['State', 'Serving', 'StorageWarning', 'DiskFailed', 'MalformedPeerFrame', 'MalformedPipelineMessage', 'ElectionDecided', 'SteppedDown', 'SyncPlan', 'Suspect']);

export function serverCommand(): Command {
  return new Command('server')
    .description("Runs one server in the foreground, from ZooKeeper's property file and the myid in its dataDir.")
    .argument('<zoo.cfg>', 'configuration file')
    .option('--json', 'print events as JSON lines', false)
    .option('--verbose', 'print what the server decides: elections, synchronizations', false)
    .addHelpText('after', `
A minimal zoo.cfg of three servers (dataDir/myid holds 1, 2 or 3):
  dataDir=/var/lib/drey
  clientPort=2181
  server.1=host1:2888
  server.2=host2:2888
  server.3=host3:2888
Without server lines it is a standalone server. SIGTERM and Ctrl-C end it cleanly.`)
    .action(async (file: string, options: { json: boolean; verbose: boolean }) => {
      await runServer(readSettings(file), options);
    });
}

function readSettings(file: string): ServerSettings {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new DreyError('COORD_CONFIG', `${file}: cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const cfg = parseZooCfg(text, file);
  const myid = join(cfg.dataDir, 'myid');
  let sid: number | null = null;
  try {
    sid = parseMyid(readFileSync(myid, 'utf8'), myid);
  } catch (error) {
    if (error instanceof DreyError) throw error;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new DreyError('COORD_CONFIG', `${myid}: cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return settingsOf(cfg, sid);
}

async function runServer(settings: ServerSettings, options: { json: boolean; verbose: boolean }): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  const name = settings.standalone ? 'server' : `server ${settings.sid}`;
  const say = (event: string, text: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    if (options.json) console.log(JSON.stringify({ event, sid: settings.sid, ...fields }));
    else console.log(`${name} ${text}`);
  };
  for (const warning of settings.warnings) say('warning', `warns: ${warning}`, { warning });
  const trace: Trace = {
    event: (event, fields) => {
      if (event === 'StorageWarning') say('storage', `says of its disk: ${String(fields['warning'])}`, fields);
      else if (options.verbose && KEYS_OF_TRACE.has(event)) say(event, `${event} ${JSON.stringify(fields)}`, fields);
    },
  };

  const { standalone, sid } = settings;
  const voters = standalone ? [sid] : settings.servers.map((server) => server.sid);
  const quorumPeer = new QuorumPeer(
    {
      openStorage: () => new Storage(new NodeJournalFiles(join(settings.dataLogDir, 'journal')), new LevelKvStores(settings.dataDir), { clock: systemClock }),
      transport: standalone
        ? null
        : new WsPeerTransport({
            sid, servers: settings.servers.map((server) => ({ sid: server.sid, host: server.host, port: server.peerPort })), trace,
            ...(settings.quorumListenOnAllIPs ? { listenHost: '0.0.0.0' } : {}),
          }),
      clock: systemClock,
      timers: systemTimers,
      trace,
    },
    {
      ...DEFAULT_DRIVER_OPTIONS,
      server: {
        sid, standalone, voters: voters.length, tickMs: settings.tickMs, minSessionTimeoutMs: settings.minSessionTimeoutMs, maxSessionTimeoutMs: settings.maxSessionTimeoutMs,
        juteMaxBuffer: settings.juteMaxBuffer, digest: (text) => createHash('sha1').update(text).digest('base64'), superDigest: settings.superDigest,
        configData: `${settings.servers.map((server) => `server.${server.sid}=${server.host}:${server.peerPort}:${server.electionPort ?? server.peerPort}:participant\n`).join('')}version=0`,
      },
      peer: { sid, voters, detectMs: 1000, heartbeatMs: 200, electionGraceMs: 50, progressMs: 250, learnerWindowBytes: 4 << 20, recentBytesMax: 8 << 20 },
      description: describe(settings),
    },
  );

  let serving = false;
  let waitingTimer: NodeJS.Timeout | null = null;
  const waitAndSay = (): void => {
    if (waitingTimer !== null || standalone) return;
    waitingTimer = setTimeout(() => say('waiting', `waits for a quorum: ${Math.floor(voters.length / 2) + 1} of ${voters.length} servers must be up and reach each other`), WAITING_AFTER_MS);
  };
  quorumPeer.onServing = (now, epoch) => {
    if (now === 'no') {
      if (serving) say('stopped', 'stopped serving: no leader');
      serving = false;
      waitAndSay();
      return;
    }
    if (waitingTimer !== null) clearTimeout(waitingTimer);
    waitingTimer = null;
    serving = true;
    const mode = standalone ? 'standalone' : now;
    const ports = `clients ${settings.clientPortAddress ?? '*'}:${settings.clientPort}${settings.http === null ? '' : `, http ${settings.http.host}:${settings.http.port}`}`;
    say('serving', `serving as ${mode}, epoch ${epoch}; ${ports}; ${Math.round(systemClock.monotonicMs() - startedMs)} ms after its start`, { mode, epoch, clientPort: settings.clientPort, httpPort: settings.http?.port ?? null, tookMs: systemClock.monotonicMs() - startedMs });
  };
  let diskWrong = '';
  quorumPeer.onDisk = (error) => {
    const text = error === null ? '' : error.message;
    if (text === diskWrong) return;
    diskWrong = text;
    if (error === null) say('disk', 'has its disk back');
    else say('disk', `acks nothing: its disk fails: ${text}; it tries again`, { error: text });
  };

  const http = settings.http === null ? null : new HttpPort({ stats: () => quorumPeer.stats(), host: settings.http.host, port: settings.http.port, trace });
  const native = http === null ? null : new NativeListener({ pipeline: quorumPeer, http, juteMaxBuffer: settings.juteMaxBuffer, maxClientCnxns: settings.maxClientCnxns, entropy: systemEntropy, trace });
  const clients = new ClientListener({
    pipeline: quorumPeer, host: settings.clientPortAddress ?? undefined, port: settings.clientPort, juteMaxBuffer: settings.juteMaxBuffer,
    maxClientCnxns: settings.maxClientCnxns, whitelist: settings.whitelist, entropy: systemEntropy, trace,
  });

  const stop = async (): Promise<void> => {
    if (waitingTimer !== null) clearTimeout(waitingTimer);
    await Promise.all([settled((done) => clients.stop(done)), native === null ? undefined : settled((done) => native.stop(done))]);
    if (http !== null) await settled((done) => http.stop(done));
    await settled((done) => quorumPeer.stop(done));
  };
  const started = await Promise.allSettled([
    settled((done) => clients.start(done)),
    http === null ? undefined : settled((done) => http.start(done)),
    settled((done) => quorumPeer.start(done)),
  ]);
  const failed = started.find((each) => each.status === 'rejected');
  if (failed !== undefined) {
    // What has started beside it would keep the process.
    await stop();
    const { reason } = failed as PromiseRejectedResult;
    // The ports refuse with a DreyError; what comes from the system is about the data directory.
    throw (reason as NodeJS.ErrnoException).syscall === undefined ? reason : new DreyError('COORD_DISK_FAILED', `the data directory cannot be used: ${(reason as Error).message}`, { cause: reason });
  }
  waitAndSay();
  if (serving && waitingTimer !== null) clearTimeout(waitingTimer);

  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  process.once('SIGINT', () => process.exit(130));
  await stop();
  say('ended', 'ended');
  process.exit(0);
}

function settled(start: (done: Callback) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error === null ? resolve() : reject(error))));
}

function describe(settings: ServerSettings): ServerDescription {
  const { version } = JSON.parse(readFileSync(packageJson(), 'utf8')) as { version: string };
  return {
    version,
    settings: [
      ['clientPort', settings.clientPort], ['dataDir', settings.dataDir], ['dataLogDir', settings.dataLogDir], ['tickTime', settings.tickMs], ['maxClientCnxns', settings.maxClientCnxns],
      ['minSessionTimeout', settings.minSessionTimeoutMs], ['maxSessionTimeout', settings.maxSessionTimeoutMs], ['clientPortListenBacklog', -1], ['serverId', settings.sid],
      ...(settings.standalone ? [] : [['initLimit', settings.initLimitTicks], ['syncLimit', settings.syncLimitTicks], ['electionAlg', 3]] as const),
    ],
    environment: [['host.name', hostname()], ['node.version', process.version], ['os.name', process.platform], ['os.arch', process.arch], ['user.dir', process.cwd()]],
    openFileDescriptors: () => {
      try {
        return readdirSync('/proc/self/fd').length;
      } catch {
        return -1;
      }
    },
    maxFileDescriptors: () => -1,
  };
}

/** Beside the sources in a checkout, one level above dist/ in a package. */
function packageJson(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json', import.meta.url);
}
