/** Task managers in this process and a job master that does what the test says, over the real sockets. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WebSocket } from 'ws';
import type { CoordClient, StateSignal } from '../../../coord/client/index.ts';
import { CoordError } from '../../../coord/client/index.ts';
import type { Json } from '../../../orchestrator/api/source.ts';
import type { BuildOverrides, BuiltJob } from '../../../orchestrator/graph/build-graph.ts';
import { systemPorts } from '../../../orchestrator/adapters/system-ports.ts';
import { buildGraph, graphHash } from '../../../orchestrator/graph/build-graph.ts';
import { decodeMessage, encodeMessage } from '../../../orchestrator/rpc/codec.ts';
import type { MasterMessage, TaskDeployment, TaskLocation, TaskState, WorkerMessage } from '../../../orchestrator/rpc/messages.ts';
import type { TaskManagerProcess } from '../../../orchestrator/runtime/task-manager-process.ts';
import { startTaskManager } from '../../../orchestrator/runtime/task-manager-process.ts';
import { bundlePath } from '../../../orchestrator/storage/paths.ts';
import type { Storage } from '../../../orchestrator/storage/storage.ts';
import { openStorage } from '../../../orchestrator/storage/storage.ts';
import { bundleJob } from '../../../orchestrator/submit/bundle.ts';
import { loadBundle } from '../../../orchestrator/submit/load-bundle.ts';

interface Test {
  teardown(fn: () => void | Promise<void>): void;
  log(...values: unknown[]): void;
}

export async function temporaryDirectory(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'drey-tm-'));
  t.teardown(async () => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** As much of a coord session as a task manager needs, under the test's hand. */
export class CoordSession {
  readonly znodes = new Set<string>();
  leaseMs = 60_000;
  #listeners = new Set<(signal: StateSignal) => void>();

  signal(signal: StateSignal): void {
    for (const listener of this.#listeners) listener(signal);
  }

  get client(): CoordClient {
    const { znodes } = this;
    const part = {
      state: 'connected',
      session: { id: 1n, timeoutMs: 60_000 },
      onState: (fn: (signal: StateSignal) => void) => {
        this.#listeners.add(fn);
        return () => this.#listeners.delete(fn);
      },
      leaseRemainingMs: () => this.leaseMs,
      create: async (path: string) => {
        if (znodes.has(path)) throw new CoordError('NODEEXISTS', path);
        znodes.add(path);
        return path;
      },
      exists: async (path: string) => (znodes.has(path) ? { ephemeralOwner: 1n } : null),
      delete: async (path: string) => {
        if (!znodes.delete(path)) throw new CoordError('NONODE', path);
      },
    };
    return part as unknown as CoordClient;
  }
}

/** A task manager, in this process or another. */
export interface Worker {
  readonly id: string;
  /** host:port. */
  readonly address: string;
}

export interface LocalWorker extends TaskManagerProcess {
  readonly session: CoordSession;
}

export async function startWorker(t: Test, storageUrl: string): Promise<LocalWorker> {
  const session = new CoordSession();
  const worker = await startTaskManager({ ports: systemPorts, coord: session.client, storageUrl, slots: 4, host: '127.0.0.1', port: 0, pid: process.pid, log: () => undefined });
  t.teardown(() => worker.abandon());
  return { ...worker, session };
}

export interface SubmittedJob {
  readonly storage: Storage;
  readonly bundleHash: string;
  readonly params: Readonly<Record<string, Json>>;
  readonly built: BuiltJob;
  readonly overrides: BuildOverrides;
}

export async function submit(storageUrl: string, file: string, params: Readonly<Record<string, Json>>, overrides: BuildOverrides = {}): Promise<SubmittedJob> {
  const storage = openStorage(storageUrl);
  const { bytes, hash } = await bundleJob(file);
  await storage.put(bundlePath(hash), bytes);
  return { storage, bundleHash: hash, params, built: buildGraph(loadBundle(bytes, hash), params, overrides), overrides };
}

export interface Checkpoint {
  readonly id: number;
  readonly states: readonly TaskState[];
}

const JOB_ID = 'job-1';

export class TestMaster {
  readonly epoch: number;
  readonly messages: { readonly worker: string; readonly message: WorkerMessage }[] = [];
  readonly #sockets = new Map<string, WebSocket>();
  #waiting: (() => void)[] = [];
  #tasks = new Map<string, Worker>();

  constructor(t: Test, epoch: number) {
    this.epoch = epoch;
    t.teardown(() => this.close());
  }

  get executionIds(): string[] {
    return [...this.#tasks.keys()];
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.terminate();
  }

  async connect(worker: Worker): Promise<void> {
    const socket = new WebSocket(`ws://${worker.address}/rpc`);
    this.#sockets.set(worker.id, socket);
    socket.on('message', (data) => {
      this.messages.push({ worker: worker.id, message: decodeMessage<WorkerMessage>(data as Buffer) });
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const wake of waiting) wake();
    });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('open', resolve));
    this.send(worker, { type: 'hello', epoch: this.epoch, masterId: 'test' });
    await this.until(() => this.of('registered').length > 0);
  }

  send(worker: Worker, message: MasterMessage): void {
    this.#sockets.get(worker.id)?.send(encodeMessage(message));
  }

  broadcast(workers: readonly Worker[], message: MasterMessage): void {
    for (const worker of workers) this.send(worker, message);
  }

  of<K extends WorkerMessage['type']>(type: K): Extract<WorkerMessage, { type: K }>[] {
    return this.messages.map(({ message }) => message).filter((message): message is Extract<WorkerMessage, { type: K }> => message.type === type);
  }

  /** Looks again after each message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  stateOf(executionId: string): string | undefined {
    return this.of('taskState').findLast(({ report }) => report.executionId === executionId)?.report.state;
  }

  /** It has ended, or the worker it ran on is none of these. */
  isOver(executionId: string, workers: readonly Worker[]): boolean {
    const state = this.stateOf(executionId);
    return state === 'FAILED' || state === 'CANCELED' || state === 'FINISHED' || !workers.some(({ id }) => id === this.#tasks.get(executionId)?.id);
  }

  cancelAll(): void {
    for (const [executionId, worker] of this.#tasks) this.send(worker, { type: 'cancel', epoch: this.epoch, executionIds: [executionId] });
  }

  /** Every subtask i on workers[i mod n], unless `place` says otherwise; resolves when all are RUNNING. */
  async deploy(
    job: SubmittedJob,
    workers: readonly Worker[],
    attempt: number,
    restore: Checkpoint | null,
    place: (vertex: number, subtask: number) => number = (_vertex, subtask) => subtask,
  ): Promise<void> {
    const { graph, functions } = job.built;
    this.#tasks = new Map();
    const locations = new Map<string, TaskLocation[]>();
    for (const [index, vertex] of graph.vertices.entries()) {
      locations.set(
        vertex.id,
        Array.from({ length: vertex.parallelism }, (_, subtask) => {
          const worker = workers[place(index, subtask) % workers.length] as Worker;
          const executionId = `${JOB_ID}/${vertex.id}/${subtask}/${attempt}`;
          this.#tasks.set(executionId, worker);
          return { executionId, taskManagerId: worker.id, address: worker.address };
        }),
      );
    }
    const byWorker = new Map<Worker, TaskDeployment[]>(workers.map((worker) => [worker, []]));
    for (const vertex of graph.vertices) {
      const first = functions.get(vertex.operators[0]?.id ?? '');
      const splits = first?.kind === 'source' ? await first.source.discoverSplits() : [];
      for (const [subtask, location] of (locations.get(vertex.id) ?? []).entries()) {
        const neighbours = (mine: 'from' | 'to', other: 'from' | 'to'): TaskDeployment['upstream'] =>
          graph.edges
            .filter((edge) => edge[mine] === vertex.id)
            .map((edge) => {
              const subtasks = locations.get(edge[other]) ?? [];
              return { vertexId: edge[other], subtasks: edge.partitioning === 'forward' ? [subtasks[subtask] as TaskLocation] : subtasks };
            });
        byWorker.get(this.#tasks.get(location.executionId) as Worker)?.push({
          executionId: location.executionId,
          jobId: JOB_ID,
          jobName: graph.name,
          vertexId: vertex.id,
          subtask,
          attempt,
          bundleHash: job.bundleHash,
          storageUrl: job.storage.url,
          graphHash: graphHash(graph),
          overrides: job.overrides,
          params: job.params,
          downstream: neighbours('from', 'to'),
          upstream: neighbours('to', 'from'),
          splits: splits.filter((_, i) => i % vertex.parallelism === subtask),
          restore: restore === null ? null : { checkpointId: restore.id, states: restore.states.filter(({ vertexId }) => vertexId === vertex.id) },
          checkpoint: { timeoutMs: 60_000 },
        });
      }
    }
    // The receivers first on one worker, last on the other: channels may be opened before or after their receiver is there.
    for (const [worker, tasks] of byWorker) this.send(worker, { type: 'deploy', epoch: this.epoch, tasks: worker === workers[0] ? tasks : tasks.toReversed() });
    await this.until(() => this.executionIds.every((id) => this.stateOf(id) === 'RUNNING' || this.stateOf(id) === 'FINISHED'));
  }

  trigger(checkpointId: number, flags: { stop?: boolean; final?: boolean } = {}): void {
    const message: MasterMessage = { type: 'triggerCheckpoint', epoch: this.epoch, jobId: JOB_ID, checkpointId, stop: flags.stop ?? false, final: flags.final ?? false };
    this.broadcast([...new Set(this.#tasks.values())], message);
  }

  /** Resolves when all tasks have acked. */
  async acked(checkpointId: number): Promise<Checkpoint> {
    const acks = (): Extract<WorkerMessage, { type: 'ackCheckpoint' }>[] => this.of('ackCheckpoint').filter((ack) => ack.checkpointId === checkpointId && this.#tasks.has(ack.executionId));
    await this.until(() => acks().length === this.#tasks.size);
    return { id: checkpointId, states: acks().map(({ state }) => state) };
  }

  complete(checkpointId: number): void {
    this.broadcast([...new Set(this.#tasks.values())], { type: 'checkpointComplete', epoch: this.epoch, jobId: JOB_ID, checkpointId });
  }

  abort(checkpointId: number): void {
    this.broadcast([...new Set(this.#tasks.values())], { type: 'abortCheckpoint', epoch: this.epoch, jobId: JOB_ID, checkpointId });
  }

  async checkpoint(checkpointId: number, flags: { stop?: boolean; final?: boolean } = {}): Promise<Checkpoint> {
    this.trigger(checkpointId, flags);
    const checkpoint = await this.acked(checkpointId);
    this.complete(checkpointId);
    return checkpoint;
  }

  /** Checkpoints one after the other until one holds open windows and finished ones, too: then the job is in full flight. */
  async checkpointInFlight(firstId: number): Promise<Checkpoint> {
    for (let id = firstId; ; id++) {
      const checkpoint = await this.checkpoint(id);
      if (checkpoint.states.some(({ keyedStateFile }) => keyedStateFile !== null) && checkpoint.states.some(({ committables }) => committables.length > 0)) return checkpoint;
    }
  }

  async allInputEnded(tasks: readonly string[] = this.executionIds): Promise<void> {
    const sources = tasks.filter((id) => /\/(in|\d+-source)\//.test(id));
    await this.until(() => sources.every((id) => this.of('inputEnded').some(({ executionId }) => executionId === id)));
  }

  async finished(): Promise<void> {
    await this.until(() => this.executionIds.every((id) => this.stateOf(id) === 'FINISHED'));
  }
}

export function storageIn(dir: string): string {
  return pathToFileURL(join(dir, 'storage')).href;
}

/** What readers of the file sink's directory see. */
export async function committedLines(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  const texts = await Promise.all(names.filter((name) => !name.startsWith('.')).map(async (name) => readFile(join(dir, name), 'utf8')));
  return texts.flatMap((text) => text.split('\n').filter((line) => line !== ''));
}
