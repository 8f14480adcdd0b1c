/** One task manager in the virtual world: the product's registration, tasks and data plane over simulated coord, sockets and storage. */
import { AssertionFailed } from '../../coord/base/assert.ts';
import type { RuntimePorts } from '../../orchestrator/runtime/ports.ts';
import { startTaskManager, type TaskManagerProcess } from '../../orchestrator/runtime/task-manager-process.ts';
import type { TaskReport } from '../../orchestrator/rpc/messages.ts';
import type { Machine } from './machine.ts';
import type { SimClient } from './sim-client.ts';
import { SimNode, type NodeWorld } from './sim-node.ts';
import { STORAGE_URL } from './sim-storage.ts';

export class SimTaskManager extends SimNode {
  readonly #slots: number;
  #worker: TaskManagerProcess | null = null;

  constructor(at: NodeWorld, machine: Machine, slots: number) {
    super(at, machine, at.taskManagerSessionMs);
    this.#slots = slots;
  }

  /** Its tasks as they are, whatever others know of them. */
  get reports(): readonly TaskReport[] {
    return this.machine.process.alive ? this.#worker?.manager.reports ?? [] : [];
  }
  /** Its coord session has not been lost, by its own clock. */
  get leased(): boolean {
    return this.machine.process.alive && this.leaseRemainingMs > 0;
  }
  get id(): string | null {
    return this.machine.process.alive ? this.#worker?.id ?? null : null;
  }

  protected override async begin({ client }: SimClient, ports: RuntimePorts, log: (line: string) => void): Promise<void> {
    this.#worker = null;
    await client.ready(0, true);
    this.#worker = await startTaskManager({ ports, coord: client, storageUrl: STORAGE_URL, slots: this.#slots, host: this.machine.name, port: this.port(), pid: 1, log, onUnregistered: (error) => this.exit(error.message) });
  }

  /** What user code throws in a callback of its own. */
  override stray(error: unknown): boolean {
    if (error instanceof AssertionFailed || this.#worker === null) return false;
    this.#worker.manager.failTasks(error instanceof Error ? error : new Error(String(error)));
    return true;
  }

  protected override async goodbye(): Promise<void> {
    await this.#worker?.drain();
  }
}
