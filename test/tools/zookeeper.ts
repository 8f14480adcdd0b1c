/** A real Apache ZooKeeper on free loopback ports, alone or as an ensemble of three: for tests and benchmarks. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JavaProcess, freePorts } from './java-process.ts';
import { mavenClassPath } from './maven.ts';

export const zookeeperPomDir = join(import.meta.dirname, 'zookeeper');

export interface ZooKeeperOptions {
  readonly servers?: 1 | 3;
  /** Lines added to zoo.cfg: { tickTime: 2000 } is the default of the sample configuration. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** Where data goes; a fresh folder, removed by stop(), without it. */
  readonly dir?: string;
}

export interface RunningZooKeeper {
  /** "127.0.0.1:p1,127.0.0.1:p2,…" */
  readonly connectString: string;
  readonly ports: readonly number[];
  readonly pids: readonly number[];
  readonly servers: readonly JavaProcess[];
  /** The index of the server that leads (or stands alone) now, -1 for none. */
  leader(): Promise<number>;
  stop(): Promise<void>;
}

export async function startZooKeeper(options: ZooKeeperOptions = {}): Promise<RunningZooKeeper> {
  const n = options.servers ?? 1;
  const classPath = await mavenClassPath(zookeeperPomDir);
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'drey-zookeeper-'));
  const ports = await freePorts(3 * n);
  const clientPorts = ports.slice(0, n);
  const settings = {
    tickTime: 2000, initLimit: 10, syncLimit: 5, maxClientCnxns: 0, 'admin.enableServer': 'false', '4lw.commands.whitelist': '*', ...options.config,
  };
  const members = n === 1 ? [] : clientPorts.map((_, i) => `server.${i + 1}=127.0.0.1:${ports[n + i]}:${ports[2 * n + i]}`);
  const servers = clientPorts.map((port, i) => {
    const home = join(dir, String(i + 1));
    const data = join(home, 'data');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'myid'), `${i + 1}\n`);
    const lines = [...Object.entries(settings).map(([key, value]) => `${key}=${value}`), `dataDir=${data}`, `clientPort=${port}`, 'clientPortAddress=127.0.0.1', ...members];
    writeFileSync(join(home, 'zoo.cfg'), `${lines.join('\n')}\n`);
    return new JavaProcess({
      classPath, main: 'org.apache.zookeeper.server.quorum.QuorumPeerMain', args: [join(home, 'zoo.cfg')], cwd: home, logFile: join(home, 'server.log'),
    });
  });
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  };
  try {
    await Promise.all(servers.map((server, i) => server.ready(async () => /^Mode: /m.test(await fourLetterWord(clientPorts[i] as number, 'srvr')))));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    connectString: clientPorts.map((port) => `127.0.0.1:${port}`).join(','),
    ports: clientPorts,
    pids: servers.map((server) => server.pid),
    servers,
    leader: async () => {
      const modes = await Promise.all(clientPorts.map((port) => fourLetterWord(port, 'srvr')));
      return modes.findIndex((mode) => /^Mode: (leader|standalone)/m.test(mode));
    },
    stop,
  };
}

/** The answer to `ruok`, `srvr`, `mntr` …; empty when the server does not answer. */
export function fourLetterWord(port: number, word: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(word));
    socket.setTimeout(2000, () => socket.destroy());
    socket.on('data', (data) => (answer += data.toString('utf8')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}
