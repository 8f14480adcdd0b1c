/** One job manager in the virtual world: the product's election, term and job master over simulated coord, sockets and storage. */
import { JobManager } from '../../orchestrator/runtime/job-manager.ts';
import type { RuntimePorts } from '../../orchestrator/runtime/ports.ts';
import type { Machine } from './machine.ts';
import type { SimClient } from './sim-client.ts';
import { SimNode, type NodeWorld } from './sim-node.ts';
import { STORAGE_URL } from './sim-storage.ts';

export class SimJobManager extends SimNode {
  #manager: JobManager | null = null;

  constructor(at: NodeWorld, machine: Machine) {
    super(at, machine, at.jobManagerSessionMs);
  }

  /** Leads, and has taken over. */
  get leading(): boolean {
    return this.machine.process.alive && this.#manager?.term?.ready === true;
  }
  get epoch(): number | null {
    return this.machine.process.alive ? this.#manager?.term?.epoch ?? null : null;
  }
  get manager(): JobManager | null {
    return this.machine.process.alive ? this.#manager : null;
  }

  protected override async begin({ client }: SimClient, ports: RuntimePorts, log: (line: string) => void): Promise<void> {
    this.#manager = null;
    await client.ready(0, true);
    const manager = new JobManager({ ports, coord: client, masterId: `jm-${ports.id(10)}`, address: `${this.machine.name}:8081`, storageUrl: STORAGE_URL, log, onEnded: (error) => this.exit(error.message) });
    this.#manager = manager;
    await manager.start();
  }

  protected override async goodbye(): Promise<void> {
    await this.#manager?.close();
  }
}
