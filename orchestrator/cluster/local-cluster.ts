/**
 * A whole cluster on this machine as separate processes: servers, job managers, task managers, on free loopback ports, with their
 * data and logs below one directory. `drey up` and `drey demo` are built on it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DreyError } from '../../coord/base/errors.ts';

export type Role = 'server' | 'jobmanager' | 'taskmanager';

export interface Member {
  readonly role: Role;
  /** server-1, jobmanager-2, taskmanager-1 … */
  readonly name: string;
  /** Client port of a server, HTTP port of a job manager, ws port of a task manager. */
  readonly port: number;
  readonly args: readonly string[];
  pid: number;
  /** The last thing it said on stdout or stderr. */
  lastLine: string;
  startedAtMs: number;
  readyAtMs: number | null;
  restarts: number;
}

export interface ClusterOptions {
  readonly dir: string;
  readonly servers: number;
  readonly jobManagers: number;
  readonly taskManagers: number;
  readonly slots: number;
  /** Restart what dies after this long; null: leave it dead. */
  readonly restartAfterMs: number | null;
  readonly onEvent: (event: ClusterEvent) => void;
}

export type ClusterEvent =
  | { readonly type: 'started'; readonly member: Member }
  | { readonly type: 'ready'; readonly member: Member; readonly tookMs: number }
  | { readonly type: 'exited'; readonly member: Member; readonly code: number | null; readonly signal: string | null; readonly willRestart: boolean };

const entry = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../drey.js' : '../../../drey.js', import.meta.url));

export class LocalCluster {
  readonly members: Member[] = [];
  readonly #children = new Map<Member, ChildProcess>();
  readonly #options: ClusterOptions;
  #stopping = false;
  #connectString = '';

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** For clients that speak ZooKeeper's protocol. */
  get connectString(): string {
    return this.#connectString;
  }
  get storageUrl(): string {
    return pathToFileURL(join(this.#options.dir, 'storage')).href;
  }
  of(role: Role): Member[] {
    return this.members.filter((member) => member.role === role);
  }

  /** Starts the servers; the others are started by startWorkers, so that both can come up at once or one after the other. */
  async startServers(): Promise<void> {
    const { dir, servers } = this.#options;
    const ports = await this.#ports('server', servers, 3);
    const peers = servers === 1 ? '' : ports.map(([, peer], i) => `server.${i + 1}=127.0.0.1:${peer}:${peer}\n`).join('');
    this.#connectString = ports.map(([client]) => `127.0.0.1:${client}`).join(',');
    for (const [i, [client, , admin]] of ports.entries()) {
      const dataDir = join(dir, `server-${i + 1}`);
      mkdirSync(dataDir, { recursive: true });
      writeFileSync(join(dataDir, 'myid'), `${i + 1}\n`);
      const cfg = join(dataDir, 'zoo.cfg');
      writeFileSync(cfg, `tickTime=500\ninitLimit=10\nsyncLimit=5\ndataDir=${dataDir}\nclientPort=${client}\nclientPortAddress=127.0.0.1\nadmin.serverPort=${admin}\n${peers}`);
      this.#add('server', client as number, ['server', cfg]);
    }
  }

  async startWorkers(): Promise<void> {
    const { jobManagers, taskManagers, slots } = this.#options;
    const common = ['--coord', this.#connectString, '--storage', this.storageUrl];
    mkdirSync(join(this.#options.dir, 'storage'), { recursive: true });
    for (const [port] of await this.#ports('jobmanager', jobManagers, 1)) this.#add('jobmanager', port as number, ['jobmanager', ...common, '--port', String(port)]);
    for (const [port] of await this.#ports('taskmanager', taskManagers, 1)) this.#add('taskmanager', port as number, ['taskmanager', ...common, '--port', String(port), '--slots', String(slots)]);
  }

  /** A directory that is used again keeps its ports, so that zoo.cfg and clients stay right. */
  async #ports(name: string, count: number, each: number): Promise<number[][]> {
    const file = join(this.#options.dir, `${name}.ports.json`);
    if (existsSync(file)) {
      const known = JSON.parse(readFileSync(file, 'utf8')) as number[][];
      if (known.length === count) return known;
      if (name === 'server') throw new DreyError('DREY_CLUSTER_SHAPE', `${this.#options.dir} holds an ensemble of ${known.length} servers; start it with --servers ${known.length} or give another --dir`);
    }
    const flat = await freePorts(count * each);
    const ports = Array.from({ length: count }, (_, i) => flat.slice(i * each, (i + 1) * each));
    mkdirSync(this.#options.dir, { recursive: true });
    writeFileSync(file, JSON.stringify(ports));
    return ports;
  }

  #add(role: Role, port: number, args: readonly string[]): void {
    const member: Member = { role, name: `${role}-${this.of(role).length + 1}`, port, args, pid: 0, lastLine: '', startedAtMs: 0, readyAtMs: null, restarts: 0 };
    this.members.push(member);
    this.start(member);
  }

  start(member: Member): void {
    if (this.#children.has(member) || this.#stopping) return;
    // A group of its own: Ctrl-C in the terminal reaches this process only, which ends the others in order. Should this process be killed,
    // its end of their stdin goes, and they end too.
    const child = spawn(process.execPath, [entry, ...member.args], { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: { ...process.env, DREY_END_WITH_STDIN: '1' } });
    child.stdin.on('error', () => {});
    this.#children.set(member, child);
    member.pid = child.pid ?? 0;
    member.startedAtMs = performance.now();
    member.readyAtMs = null;
    this.#options.onEvent({ type: 'started', member });
    const log = createWriteStream(join(this.#options.dir, `${member.name}.log`), { flags: 'a' });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        member.lastLine = line;
        log.write(`${line}\n`);
        if (member.readyAtMs === null && /\b(serving|ready|leads|standing by)\b/i.test(line)) {
          member.readyAtMs = performance.now();
          this.#options.onEvent({ type: 'ready', member, tookMs: member.readyAtMs - member.startedAtMs });
        }
      });
    }
    child.on('exit', (code, signal) => {
      log.end();
      this.#children.delete(member);
      const willRestart = !this.#stopping && this.#options.restartAfterMs !== null;
      this.#options.onEvent({ type: 'exited', member, code, signal, willRestart });
      if (willRestart) {
        setTimeout(() => {
          member.restarts++;
          this.start(member);
        }, this.#options.restartAfterMs ?? 0);
      }
    });
  }

  running(member: Member): boolean {
    return this.#children.has(member);
  }

  kill(member: Member, signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#children.get(member)?.kill(signal);
  }

  /** Ends everything: job managers and task managers first, then the servers; what does not end within 5 s is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const roles of [['taskmanager', 'jobmanager'], ['server']]) {
      await Promise.all([...this.#children].filter(([member]) => roles.includes(member.role)).map(([, child]) => endChild(child)));
    }
  }
}

function endChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(server));
    })),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
