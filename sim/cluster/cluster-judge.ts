/**
 * The judges of sim/judges/cluster over a simulated cluster: told of what the ensemble has committed, of what arrives at task managers and job
 * managers, of what is in storage and of what was committed to Kafka. Nothing of it comes from the product's own account of itself, except which
 * tasks a task manager runs.
 */
import { ExecutionGraph } from '../../orchestrator/jobmaster/execution-graph.ts';
import type { JobRecord, JobSpec } from '../../orchestrator/jobmaster/records.ts';
import { decodeMetadata } from '../../orchestrator/ha/checkpoint-metadata.ts';
import { metadataPath } from '../../orchestrator/ha/layout.ts';
import { decodeMessage } from '../../orchestrator/rpc/codec.ts';
import type { MasterMessage, WorkerMessage } from '../../orchestrator/rpc/messages.ts';
import { CheckpointsJudge } from '../judges/cluster/checkpoints.ts';
import { ExactlyOnceJudge } from '../judges/cluster/exactly-once.ts';
import { FencingJudge } from '../judges/cluster/fencing.ts';
import { JobStatusJudge } from '../judges/cluster/job-status.ts';
import { attemptOf, OwnershipJudge, type RunningTask } from '../judges/cluster/ownership.ts';
import type { Fail } from '../judges/fail.ts';
import type { Cluster } from './cluster.ts';
import { CoordView } from './coord-view.ts';
import { OUTPUT } from './jobs.ts';
import type { FrameSeen } from './sim-sockets.ts';

const LOOK_MS = 20;

export interface ClusterJudgeOptions {
  readonly cluster: Cluster;
  readonly spec: JobSpec;
  /** Of the output topic; null: others look at the output. */
  readonly guarantee: 'exactly-once' | 'at-least-once' | null;
  readonly fail: Fail;
  /** Something that a fault may wait for. */
  readonly onEvent: (name: string, who: string, fields: Readonly<Record<string, string | number | boolean>>, other: string | null) => void;
}

export class ClusterJudge {
  readonly #options: ClusterJudgeOptions;
  readonly fencing: FencingJudge;
  readonly ownership: OwnershipJudge;
  readonly checkpoints: CheckpointsJudge;
  readonly status: JobStatusJudge;
  readonly output: ExactlyOnceJudge;
  /** Committed part files as they were first seen. */
  readonly #parts = new Map<string, string>();
  readonly #outputs: number[] = [];
  readonly #stable: number[] = [];
  record: JobRecord | null = null;

  constructor(options: ClusterJudgeOptions) {
    this.#options = options;
    const { cluster, spec, fail } = options;
    const { jobId } = spec;
    const { blobs } = cluster.storage;
    this.fencing = new FencingJudge(fail);
    this.ownership = new OwnershipJudge(fail);
    this.status = new JobStatusJudge(fail);
    this.output = new ExactlyOnceJudge(fail, options.guarantee ?? 'at-least-once');
    const graph = new ExecutionGraph(jobId, spec.graph);
    this.checkpoints = new CheckpointsJudge(fail, {
      statesOf: (checkpointId) => {
        const file = metadataPath(jobId, checkpointId);
        const bytes = blobs.get(file);
        return bytes === undefined ? null : decodeMetadata(bytes, file).states;
      },
      isStored: (file) => blobs.has(file),
      subtasks: graph.tasks.map(({ vertex, subtask, region }) => ({ vertexId: vertex.id, subtask, region })),
    });
    const view = new CoordView({
      granted: (epoch, session) => {
        if (this.fencing.epoch > 0) cluster.world.marks.hit('master took over');
        this.fencing.granted(epoch, session);
        this.#happened('epoch raised', 'master', { epoch });
      },
      record: (id, record, session) => {
        if (id !== jobId) return;
        this.fencing.wrote(`${id}/record`, session, record.epoch);
        if (record.restarts > (this.record?.restarts ?? 0)) cluster.world.marks.hit('job restarted');
        this.status.wrote(record);
        this.record = record;
        this.#happened('record written', 'master', { status: record.status });
      },
      counter: (id, checkpointId, session) => {
        if (id !== jobId) return;
        this.fencing.wrote(`${id}/checkpoint-counter`, session, null);
        this.checkpoints.reserved(checkpointId, session);
        this.#happened('id reserved', 'master', { checkpointId });
      },
      pointers: (id, completed, session) => {
        if (id !== jobId) return;
        this.fencing.wrote(`${id}/checkpoints`, session, null);
        this.checkpoints.pointed(completed);
        this.#happened('pointer written', 'master', { checkpointId: completed.at(-1)?.checkpointId ?? 0 });
      },
    });
    for (const server of cluster.ensemble.servers) {
      const { onEvent } = server;
      server.onEvent = (name, fields) => {
        if (name === 'Boot') view.watch(server);
        onEvent?.(name, fields);
      };
    }
    cluster.sockets.onSend = ({ path, fromDialler, from, to, frame }) => {
      if (path === '/rpc' && !fromDialler) this.fencing.answered(this.#lifeOf(from.name), to, decodeMessage<WorkerMessage>(frame).type);
    };
    cluster.sockets.onArrive = (seen) => this.#arrived(seen);
    cluster.sockets.onHandled = ({ path, fromDialler, from, to }) => {
      if (path === '/rpc' && fromDialler) this.fencing.handled(this.#lifeOf(to), from.name);
    };
    cluster.storage.onPut = (life, path) => this.#happened(path.endsWith('_metadata') ? 'stored metadata' : 'stored state', life.name, {});
    cluster.transactions.onEnd = (transactionalId, committed) => {
      if (committed) this.#happened('transaction committed', 'kafka', { transactionalId });
    };
    this.#look();
  }

  #happened(name: string, who: string, fields: Readonly<Record<string, string | number | boolean>>, other: string | null = null): void {
    this.#options.onEvent(name, who === 'master' ? this.#options.cluster.master?.name ?? 'master' : who, fields, other);
  }

  // ------------------------------------------------------------ messages

  #arrived({ path, fromDialler, from, to, frame }: FrameSeen): void {
    if (path !== '/rpc') return;
    if (fromDialler) this.#commanded(from.name, to, decodeMessage<MasterMessage>(frame));
    else this.#reported(from.name, to, decodeMessage<WorkerMessage>(frame));
  }

  #commanded(from: string, to: string, message: MasterMessage): void {
    const deployments = message.type === 'deploy' ? message.tasks : [];
    const life = this.#lifeOf(to);
    this.fencing.commanded(life, from, message.epoch, deployments.map(({ executionId }) => executionId));
    for (const { executionId, restore } of deployments) this.checkpoints.deployed(executionId, restore?.checkpointId ?? 0);
    if (message.type === 'addSplits') this.#options.cluster.world.marks.hit('splits added');
    this.#happened(`receive ${message.type}`, to, { epoch: message.epoch }, from);
  }

  #reported(from: string, to: string, message: WorkerMessage): void {
    if (message.type === 'taskState' && (message.report.state === 'INITIALIZING' || message.report.state === 'RUNNING')) this.fencing.started(this.#lifeOf(from), message.report.executionId);
    if (message.type === 'ackCheckpoint') this.checkpoints.acked(message.checkpointId, message.state.vertexId, message.state.subtask, attemptOf(message.executionId));
    if (message.type === 'fenced') this.#options.cluster.world.marks.hit('command fenced');
    this.#happened(`receive ${message.type}`, to, { from }, from);
  }

  #lifeOf(name: string): string {
    return `${name}#${this.#lives.get(name) ?? 0}`;
  }
  readonly #lives = new Map<string, number>();
  /** A process begins: what the former one had heard is forgotten. */
  began(name: string): void {
    this.#lives.set(name, (this.#lives.get(name) ?? 0) + 1);
  }

  // ------------------------------------------------------------ looks

  get running(): RunningTask[] {
    return this.#options.cluster.taskManagers.flatMap((worker) => {
      if (worker.machine.process.paused || !worker.leased) return [];
      return worker.reports.filter(({ state }) => state === 'INITIALIZING' || state === 'RUNNING').map(({ executionId }) => ({ executionId, worker: worker.name }));
    });
  }

  /** What has been committed since the last time. */
  readOutput(): void {
    if (this.#options.guarantee === null) return;
    for (const [path, text] of this.#options.cluster.files.visible()) {
      const known = this.#parts.get(path);
      if (known === undefined) this.output.committed(text.split('\n').filter((line) => line !== ''));
      else if (known !== text) this.#options.fail('PartChanged', `${path} is committed, and changed afterwards`);
      this.#parts.set(path, text);
    }
    for (const [i, { log }] of this.#options.cluster.kafka.topic(OUTPUT).entries()) {
      if (log.lastStableOffset === this.#stable[i]) continue;
      this.#stable[i] = log.lastStableOffset;
      const results = log.committed().map(({ value }) => value);
      this.output.committed(results.slice(this.#outputs[i] ?? 0));
      this.#outputs[i] = results.length;
    }
  }

  #look(): void {
    const { running } = this;
    this.ownership.look(running);
    for (const { executionId } of running) this.checkpoints.began(executionId);
    this.readOutput();
    this.#options.cluster.world.schedule(LOOK_MS, () => this.#look(), false);
  }

  /** After the end: nobody runs but those who should. */
  settled(): void {
    const { spec } = this.#options;
    const { record } = this;
    const graph = new ExecutionGraph(spec.jobId, spec.graph);
    const terminal = record === null || ['FINISHED', 'FAILED', 'CANCELED'].includes(record.status);
    const assigned = new Map(terminal ? [] : graph.tasks.map(({ vertex, subtask, region }) => [`${spec.jobId}/${vertex.id}/${subtask}`, `${spec.jobId}/${vertex.id}/${subtask}/${record.regions[region] ?? 0}`] as const));
    this.ownership.settled(this.running, assigned);
  }
}
