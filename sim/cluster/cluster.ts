/** A whole simulated cluster: an ensemble, job managers, task managers, storage and Kafka, in one world. */
import type { JobDefinition } from '../../orchestrator/api/job.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import type { PreparedJob } from '../../orchestrator/runtime/submit-job.ts';
import { ClientNetwork } from '../doubles/client-network.ts';
import type { ClusterPlan, Plan } from '../plan/plan.ts';
import type { Mark } from '../world/marks.ts';
import type { World } from '../world/world.ts';
import { makeEnsemble, type Ensemble } from './ensemble.ts';
import { Machine, Turns } from './machine.ts';
import { SimJobManager } from './sim-job-manager.ts';
import { SimFiles } from './sim-files.ts';
import { KAFKA, SimKafka } from './sim-kafka.ts';
import type { NodeWorld, SimNode } from './sim-node.ts';
import { SocketNetwork } from './sim-sockets.ts';
import { SimStorage } from './sim-storage.ts';
import { SimTaskManager } from './sim-task-manager.ts';
import { SimTransactions } from './sim-transactions.ts';
import type { Trouble } from './sim-client.ts';
import { prepare, SimBundles, Submitter } from './submitter.ts';

export const STORAGE = 'storage';

/** What the product logs where it comes by these places. */
const LOGGED: readonly (readonly [string, Mark])[] = [
  ['checkpoint aborted', 'checkpoint aborted'], ['the lease of the coord session is over', 'worker without a lease'], ['task manager lost', 'task manager lost'], [': task failed', 'task failed'],
  ['state could not be stored', 'task state not stored'], ['leadership lost (deleted)', 'master deposed'], ['cannot be committed', 'transaction lost'], ['is outside of the log', 'records deleted unread'],
];

export class Cluster {
  readonly world: World;
  readonly turns = new Turns();
  readonly ensemble: Ensemble;
  readonly sockets: SocketNetwork;
  /** Between job managers, task managers and servers. */
  readonly #clients: ClientNetwork;
  readonly #trouble: Trouble = { roughness: 0 };
  readonly storage: SimStorage;
  readonly kafka: SimKafka;
  readonly transactions: SimTransactions;
  readonly files: SimFiles;
  readonly jobManagers: readonly SimJobManager[];
  readonly taskManagers: readonly SimTaskManager[];
  readonly submitter: Submitter;
  readonly #bundles = new SimBundles();
  submitted = false;
  /** Sees what job managers and task managers log. */
  onLog: ((node: SimNode, line: string) => void) | null = null;

  constructor(world: World, plan: Plan, cluster: ClusterPlan) {
    this.world = world;
    this.ensemble = makeEnsemble(world, plan);
    this.sockets = new SocketNetwork(world);
    this.storage = new SimStorage(world);
    this.kafka = new SimKafka(world, this.turns);
    this.transactions = new SimTransactions(world, this.kafka);
    this.files = new SimFiles(world, this.turns);
    const clients = new ClientNetwork(world);
    for (const server of this.ensemble.servers) server.onDeath = () => clients.serverDied(server);
    this.#clients = clients;
    const coord = { servers: this.ensemble.servers, network: clients, routes: this.sockets, trouble: this.#trouble };
    this.#trouble.roughness = cluster.coordRoughness ?? 0;
    const at: NodeWorld = {
      sockets: this.sockets, storage: this.storage, files: this.files, coord, jobManagerSessionMs: cluster.jobManagerSessionMs, taskManagerSessionMs: cluster.taskManagerSessionMs,
      loadBundle: this.#bundles.load,
      log: (node, line) => {
        world.trace(node.name, 'log', { line });
        for (const [part, mark] of LOGGED) if (line.includes(part)) world.marks.hit(mark);
        this.onLog?.(node, line);
      },
    };
    const { recorder } = world;
    this.jobManagers = Array.from({ length: cluster.jobManagers }, (_, i) => new SimJobManager(at, new Machine(world, this.turns, `jobmanager-${i + 1}`)));
    this.taskManagers = Array.from({ length: cluster.taskManagers }, (_, i) => new SimTaskManager(at, new Machine(world, this.turns, `taskmanager-${i + 1}`), cluster.slots));
    for (const { name } of this.jobManagers) recorder?.lane(name, 'jobmanager');
    for (const { name } of this.taskManagers) recorder?.lane(name, 'taskmanager');
    recorder?.lane(KAFKA, 'kafka');
    recorder?.lane(STORAGE, 'storage');
    recorder?.lane('nemesis', 'nemesis');
    this.submitter = new Submitter(new Machine(world, this.turns, 'client-1'), coord, this.storage);
  }

  get nodes(): readonly SimNode[] {
    return [...this.jobManagers, ...this.taskManagers];
  }
  get master(): SimJobManager | null {
    return this.jobManagers.find((each) => each.leading) ?? null;
  }

  /** Connections to the servers are well from now on. */
  healClients(): void {
    this.#trouble.roughness = 0;
    this.#clients.heal();
  }

  start(): void {
    const { world } = this;
    const delay = (name: string, maxMs: number): number => world.streams(`start/${name}`).float() * maxMs;
    for (const server of this.ensemble.servers) world.schedule(delay(server.process.name, 50), () => server.start());
    for (const node of this.nodes) world.schedule(delay(node.name, 500), () => node.start());
  }

  /** Throws DreyError JOB_GRAPH. */
  prepare(definition: JobDefinition, params: Readonly<Record<string, Json>> = {}): PreparedJob {
    return prepare(definition, params, this.#bundles);
  }

  submit(job: PreparedJob): void {
    this.submitter.submit(job).then(
      () => {
        this.submitted = true;
        this.world.trace('client-1', 'submitted', { jobId: job.spec.jobId });
      },
      (error: Error) => this.ensemble.judge.fail('Submit', `the job could not be submitted: ${error.message}`),
    );
  }

  /** As `drey job stop`. */
  stopJob(jobId: string): void {
    this.submitter.request(jobId, 'stop').catch((error: Error) => this.ensemble.judge.fail('Submit', `the job could not be asked to stop: ${error.message}`));
  }
}
