/**
 * Where seeds run: in this process, or in children of it, one seed each at a time. A child that dies, or says nothing for minutes, is a finding
 * (kind crash) of the seed that it was running; another takes its place.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { simulatorUrl } from './load-simulator.ts';
import { crashReport, runSeed, type SeedReport, type SeedTask, type Simulator } from './seed-report.ts';

export interface Lanes {
  /** How many seeds run at once. */
  readonly width: number;
  run(task: SeedTask): Promise<SeedReport>;
  /** Ends at once; what still runs is given up. */
  close(): void;
}

/** One virtual minute takes less than a second: a seed that takes this long in real time hangs. */
const SILENT_MS = 300_000;

export function inProcess(simulator: Simulator): Lanes {
  return {
    width: 1,
    run: async (task) => {
      // Between two seeds signals and timers are heard.
      await new Promise((resolve) => setImmediate(resolve));
      return orUncaught(runSeed(simulator, task), task);
    },
    close: () => {},
  };
}

/** What escapes from simulated code that is asynchronous ends up in the process: it belongs to the seed that runs. */
async function orUncaught(run: Promise<SeedReport>, task: SeedTask): Promise<SeedReport> {
  let heard: (error: unknown) => void = () => {};
  const uncaught = new Promise<SeedReport>((resolve) => {
    heard = (error) => resolve(crashReport(task, null, error));
  });
  process.on('uncaughtException', heard);
  process.on('unhandledRejection', heard);
  try {
    return await Promise.race([run, uncaught]);
  } finally {
    process.off('uncaughtException', heard);
    process.off('unhandledRejection', heard);
  }
}

export interface ChildOptions {
  readonly mutant?: string | undefined;
  /** URL of a module that exports `simulator`; a test has its own. */
  readonly simulator?: string;
  readonly silentMs?: number;
}

export function inChildren(width: number, { mutant, simulator = simulatorUrl(), silentMs = SILENT_MS }: ChildOptions = {}): Lanes {
  const idle: Child[] = [];
  const all = new Set<Child>();
  return {
    width,
    run: (task) => {
      const child = idle.pop() ?? new Child(simulator, mutant);
      all.add(child);
      return child.run(task, silentMs, (alive) => {
        if (alive) idle.push(child);
        else all.delete(child);
      });
    },
    close: () => {
      for (const child of all) child.kill();
    },
  };
}

function childPath(): string {
  return fileURLToPath(new URL(`./seed-child.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url));
}

class Child {
  readonly #process: ChildProcess;
  /** It has loaded the simulator; never, if it dies before. */
  readonly #ready: Promise<void>;
  #stderr = '';

  constructor(simulator: string, mutant: string | undefined) {
    this.#process = fork(childPath(), [simulator, ...(mutant === undefined ? [] : [mutant])], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4000);
    });
    this.#ready = new Promise((resolve) => this.#process.once('message', () => resolve()));
  }

  run(task: SeedTask, silentMs: number, done: (alive: boolean) => void): Promise<SeedReport> {
    const child = this.#process;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (report: SeedReport, alive: boolean): void => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('close', onClose);
        if (!alive) this.kill();
        done(alive);
        resolve(report);
      };
      const onMessage = (message: unknown): void => end(message as SeedReport, true);
      // 'close' comes after all of stderr.
      const onClose = (code: number | null, signal: string | null): void =>
        end(crashReport(task, null, new Error(`the process that ran it ended with ${signal ?? `code ${code}`}${this.#stderr === '' ? '' : `: ${this.#stderr.trim()}`}`)), false);
      child.on('close', onClose);
      void this.#ready.then(() => {
        timer = setTimeout(() => end(crashReport(task, null, new Error(`no result after ${silentMs / 1000} s of real time`)), false), silentMs);
        child.on('message', onMessage);
        child.send(task, () => {});
        // It died between two seeds, and nobody listened.
        if (child.exitCode !== null || child.signalCode !== null) onClose(child.exitCode, child.signalCode);
      });
    });
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
