/** A Java server as a child process: log to a file, readiness by asking it, an end that is certain. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';

export interface JavaOptions {
  readonly classPath: string;
  readonly main: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly logFile: string;
  readonly jvm?: readonly string[];
}

/** Where there is setpriv (util-linux), the kernel ends the server when the thread that started it ends, however it ends. */
const leash = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'KILL'] : [];

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class JavaProcess {
  readonly #child: ChildProcess;
  readonly #options: JavaOptions;
  readonly exited: Promise<void>;
  #over = false;

  constructor(options: JavaOptions) {
    this.#options = options;
    const log = openSync(options.logFile, 'a');
    const [command, ...args] = [...leash, 'java', ...(options.jvm ?? []), '-cp', options.classPath, options.main, ...options.args] as [string, ...string[]];
    this.#child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    running.add(this.#child);
    this.exited = new Promise((resolve) => {
      const end = (): void => {
        this.#over = true;
        running.delete(this.#child);
        resolve();
      };
      this.#child.on('exit', end);
      this.#child.on('error', end);
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Asks `isReady` until it says yes. Throws with the end of the log when the process dies or the time is up. */
  async ready(isReady: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isReady())) {
      if (this.#over) throw new Error(`${this.#options.main} ended at its start:\n${this.logTail()}`);
      if (Date.now() > deadline) throw new Error(`${this.#options.main} is not ready after ${timeoutMs} ms:\n${this.logTail()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#over) this.#child.kill(name);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** SIGTERM, and SIGKILL for one that has not ended after `graceMs`. */
  async stop(graceMs = 10_000): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  logTail(lines = 20): string {
    if (!existsSync(this.#options.logFile)) return '(no log)';
    return readFileSync(this.#options.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }
}

/** `n` different loopback ports that were free a moment ago. */
export async function freePorts(n: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: n }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
