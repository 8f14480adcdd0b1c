/** An ensemble of real `drey server` processes on free loopback ports, for tests and benchmarks. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './java-process.ts';
import { fourLetterWord } from './zookeeper.ts';

const drey = join(import.meta.dirname, '..', '..', 'drey.js');

export interface EnsembleOptions {
  readonly servers?: number;
  /** Lines added to every zoo.cfg. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** Where configuration, data and logs go; a fresh folder, removed by stop(), without it. */
  readonly dir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Adds --verbose: the log then tells of elections and synchronizations. */
  readonly verbose?: boolean;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One server: a process that can be ended and started again on its data. */
export class EnsembleServer {
  readonly clientPort: number;
  readonly httpPort: number;
  readonly home: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #flags: readonly string[];
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();

  constructor(clientPort: number, httpPort: number, home: string, env: Readonly<Record<string, string>>, flags: readonly string[] = []) {
    this.clientPort = clientPort;
    this.httpPort = httpPort;
    this.home = home;
    this.#env = env;
    this.#flags = flags;
  }

  /** -1 when it does not run. */
  get pid(): number {
    return this.#child?.pid ?? -1;
  }
  get logFile(): string {
    return join(this.home, 'server.log');
  }

  /** Starts the process; serving() says when it serves. */
  start(): void {
    if (this.#child !== null) throw new Error(`${this.home}: already running as ${this.pid}`);
    const log = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, [drey, 'server', join(this.home, 'zoo.cfg'), ...this.#flags], { cwd: this.home, stdio: ['ignore', log, log], env: { ...process.env, ...this.#env } });
    closeSync(log);
    running.add(child);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => {
        running.delete(child);
        if (this.#child === child) this.#child = null;
        resolve();
      });
    });
  }

  /** leader, follower, standalone …; '' when it serves nobody. */
  async mode(): Promise<string> {
    return /^Mode: (\S+)/m.exec(await fourLetterWord(this.clientPort, 'srvr'))?.[1] ?? '';
  }

  async serving(timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while ((await this.mode()) === '') {
      if (this.#child === null) throw new Error(`server in ${this.home} ended:\n${this.logTail()}`);
      if (Date.now() > deadline) throw new Error(`server in ${this.home} does not serve after ${timeoutMs} ms:\n${this.logTail()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM, and SIGKILL for one that has not ended after `graceMs`. */
  async stop(graceMs = 5000): Promise<void> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.#exited;
    clearTimeout(timer);
  }

  logTail(lines = 30): string {
    if (!existsSync(this.logFile)) return '(no log)';
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }
}

export interface Ensemble {
  /** zk://…, by ZooKeeper's protocol. */
  readonly connectString: string;
  /** drey://…, by the native protocol. */
  readonly nativeConnectString: string;
  readonly dir: string;
  readonly servers: readonly EnsembleServer[];
  /** The server that leads (or stands alone) now, null for none. */
  leader(): Promise<EnsembleServer | null>;
  stop(): Promise<void>;
}

/** Resolves when every server serves. */
export async function startEnsemble(options: EnsembleOptions = {}): Promise<Ensemble> {
  const n = options.servers ?? 3;
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'drey-ensemble-'));
  const ports = await freePorts(3 * n);
  const settings = { tickTime: 2000, initLimit: 10, syncLimit: 5, maxClientCnxns: 0, '4lw.commands.whitelist': '*', ...options.config };
  const members = n === 1 ? [] : Array.from({ length: n }, (_, i) => `server.${i + 1}=127.0.0.1:${ports[n + i]}:${ports[n + i]}`);
  const servers = Array.from({ length: n }, (_, i) => {
    const home = join(dir, String(i + 1));
    const dataDir = join(home, 'data');
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(join(dataDir, 'myid'), `${i + 1}\n`);
    const clientPort = ports[i] as number;
    const httpPort = ports[2 * n + i] as number;
    const lines = [
      ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
      `dataDir=${dataDir}`, `clientPort=${clientPort}`, 'clientPortAddress=127.0.0.1', 'admin.serverAddress=127.0.0.1', `admin.serverPort=${httpPort}`, ...members,
    ];
    writeFileSync(join(home, 'zoo.cfg'), `${lines.join('\n')}\n`);
    return new EnsembleServer(clientPort, httpPort, home, options.env ?? {}, options.verbose === true ? ['--verbose'] : []);
  });
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  };
  for (const server of servers) server.start();
  try {
    await Promise.all(servers.map((server) => server.serving()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    connectString: `zk://${servers.map((server) => `127.0.0.1:${server.clientPort}`).join(',')}`,
    nativeConnectString: `drey://${servers.map((server) => `127.0.0.1:${server.httpPort}`).join(',')}`,
    dir,
    servers,
    leader: async () => {
      const modes = await Promise.all(servers.map((server) => server.mode()));
      return servers[modes.findIndex((mode) => mode === 'leader' || mode === 'standalone')] ?? null;
    },
    stop,
  };
}
