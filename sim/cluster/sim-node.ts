/** What job managers and task managers have in common: lives of a process with a coord session, ended by kills, SIGTERM or by themselves, and begun again. */
import type { RuntimePorts } from '../../orchestrator/runtime/ports.ts';
import type { LoadBundle } from '../../orchestrator/task/build-program.ts';
import type { Machine } from './machine.ts';
import { simClient, type SimClient, type SimClientOptions } from './sim-client.ts';
import type { SimFiles } from './sim-files.ts';
import type { SocketNetwork } from './sim-sockets.ts';
import type { SimStorage } from './sim-storage.ts';

export interface NodeWorld {
  readonly sockets: SocketNetwork;
  readonly storage: SimStorage;
  readonly files: SimFiles;
  readonly coord: Omit<SimClientOptions, 'sessionTimeoutMs' | 'protocol'>;
  readonly jobManagerSessionMs: number;
  readonly taskManagerSessionMs: number;
  readonly loadBundle: LoadBundle;
  /** Sees what is logged. */
  log(node: SimNode, line: string): void;
}

/** Whoever watches over processes starts one that has ended by itself again. */
const RESTART_MS = 500;

export abstract class SimNode {
  readonly machine: Machine;
  readonly at: NodeWorld;
  readonly #sessionTimeoutMs: number;
  #client: SimClient | null = null;
  onStart: (() => void) | null = null;
  #port = 0;

  constructor(at: NodeWorld, machine: Machine, sessionTimeoutMs: number) {
    this.at = at;
    this.machine = machine;
    this.#sessionTimeoutMs = sessionTimeoutMs;
  }

  get name(): string {
    return this.machine.name;
  }
  get leaseRemainingMs(): number {
    return this.#client?.client.leaseRemainingMs() ?? 0;
  }

  protected abstract begin(client: SimClient, ports: RuntimePorts, log: (line: string) => void): Promise<void>;
  protected abstract goodbye(): Promise<void>;
  /** False: the process ends of it. */
  stray(_error: unknown): boolean {
    return true;
  }

  start(): void {
    const { machine } = this;
    const { world, process } = machine;
    if (process.alive) return;
    const life = machine.begin();
    this.at.sockets.up(this.name);
    this.onStart?.();
    world.trace(this.name, 'start');
    world.recorder?.end(world.nowMs, this.name, 'role');
    const ports: RuntimePorts = {
      clock: life, timers: life, sockets: this.at.sockets.sockets(life), id: () => machine.id(), openStorage: () => this.at.storage.open(life), loadBundle: this.at.loadBundle,
    };
    life.run(() => {
      this.#client = simClient(life, { ...this.at.coord, protocol: world.streams(`machine/${this.name}`).pick(['zookeeper', 'native']), sessionTimeoutMs: this.#sessionTimeoutMs });
      this.begin(this.#client, ports, (line) => {
        if (life.alive) this.at.log(this, line);
      }).catch((error: Error) => {
        if (life.alive) this.exit(error.message);
      });
    });
  }

  /** A restarted worker often listens where the former one did. */
  protected port(): number {
    if (this.#port === 0 || this.machine.world.streams(`machine/${this.name}`).chance(0.5)) this.#port = this.machine.freePort();
    return this.#port;
  }

  /** `told`: the kernel closes its connections (SIGKILL); otherwise the machine lost power, and nobody is told. */
  kill(told: boolean): void {
    const { life, world, process } = this.machine;
    if (!process.alive || life === null) return;
    world.trace(this.name, told ? 'killed' : 'lost power');
    world.recorder?.begin(world.nowMs, this.name, 'role', 'down');
    this.machine.kill();
    if (told) this.at.sockets.died(life);
    else {
      this.at.sockets.vanished(life);
      this.at.files.lostPower(life);
    }
    if (told) this.#client?.died();
  }

  /** It has ended by itself. */
  exit(reason: string): void {
    this.machine.world.trace(this.name, 'exit', { reason });
    this.kill(true);
    this.machine.world.schedule(RESTART_MS, () => this.start());
  }

  /** SIGTERM. */
  stop(done: () => void): void {
    const { life, world } = this.machine;
    if (life === null) return done();
    world.trace(this.name, 'SIGTERM');
    const end = (): void => {
      if (!life.alive) return;
      this.kill(true);
      done();
    };
    life.run(() => {
      life.after(4000, end);
      this.goodbye().then(() => this.#client?.client.close()).then(end, end);
    });
  }
}
