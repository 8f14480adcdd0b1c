/**
 * The task manager: runs the tasks that the leading job master deploys here.
 *
 * Invariants: a message of an older epoch than the highest seen is answered with `fenced` and has no other effect; tasks go on without a
 *   master; once the lease of the coord session is over, by this process's own monotonic clock, no task takes another step, and none is
 *   taken in until there is a session again; deploying the same execution twice is deploying it once; an older attempt of a subtask ends
 *   when a newer one is deployed.
 * Leaves to others: registration and sockets (task-manager-process.ts), what runs where (the job master).
 */
import { DataPlane } from '../exchange/data-plane.ts';
import type { ExecutionId, MasterMessage, TaskDeployment, TaskReport, WorkerMessage } from '../rpc/messages.ts';
import type { Storage } from '../storage/storage.ts';
import { BundleCache, buildProgram } from '../task/build-program.ts';
import type { TaskEnvironment } from '../task/environment.ts';
import { Task } from '../task/task.ts';
import { JobLogs } from './job-logs.ts';
import type { RuntimePorts } from './ports.ts';
import { Turn } from './turn.ts';

/** How tasks that have ended are remembered for a master that was not there to hear of it. */
const ENDED_REPORTS_MAX = 256;

export interface TaskManagerOptions {
  readonly ports: RuntimePorts;
  readonly id: string;
  readonly slots: number;
  /** Used where a deployment names no storage of its own. */
  readonly storageUrl: string;
  /** How long the coord session certainly lives on; 0: it may be over. */
  readonly leaseRemainingMs: () => number;
  readonly log: (line: string) => void;
}

/** A connection of a job master; what it is sent may be lost. */
export interface MasterConnection {
  send(message: WorkerMessage): void;
}

export class TaskManager {
  readonly id: string;
  readonly data: DataPlane;
  readonly #options: TaskManagerOptions;
  readonly #turn: Turn;
  readonly #logs = new JobLogs();
  readonly #bundles: BundleCache;
  readonly #storages = new Map<string, Storage>();
  readonly #tasks = new Map<ExecutionId, Task>();
  readonly #ended = new Map<ExecutionId, TaskReport>();
  #epoch = 0;
  /** Connections of the master of this epoch, the one that was heard last at the end: it is spoken to. A master that takes this process for its predecessor, too, has two. */
  #masters: MasterConnection[] = [];
  #leaseUntilMs = -Infinity;
  #draining = false;

  constructor(options: TaskManagerOptions) {
    this.id = options.id;
    this.data = new DataPlane(options.id, options.ports.sockets);
    this.#options = options;
    this.#turn = new Turn(options.ports.clock, options.ports.timers);
    this.#bundles = new BundleCache(options.ports.loadBundle);
  }

  /** The highest epoch of a master that has spoken to this task manager. */
  get epoch(): number {
    return this.#epoch;
  }

  get reports(): TaskReport[] {
    return [...this.#ended.values(), ...[...this.#tasks.values()].map((task) => task.report)];
  }

  onMessage(from: MasterConnection, message: MasterMessage): void {
    if (message.epoch < this.#epoch) {
      from.send({ type: 'fenced', epoch: this.#epoch });
      return;
    }
    if (message.epoch > this.#epoch) {
      this.#options.log(`job master of epoch ${message.epoch}`);
      this.#masters = [];
    }
    this.#epoch = message.epoch;
    if (this.#masters.at(-1) !== from) this.#masters = [...this.#masters.filter((other) => other !== from), from];
    switch (message.type) {
      case 'hello':
        from.send({ type: 'registered', taskManagerId: this.id, slots: this.#options.slots, tasks: this.reports });
        for (const task of this.#tasks.values()) task.announce();
        return;
      case 'deploy':
        for (const deployment of message.tasks) this.#deploy(deployment);
        return;
      case 'cancel':
        for (const executionId of message.executionIds) this.#tasks.get(executionId)?.cancel();
        return;
      case 'triggerCheckpoint':
        for (const task of this.#tasksOf(message.jobId)) task.triggerCheckpoint(message.checkpointId, message.stop, message.final ?? false);
        return;
      case 'checkpointComplete':
        for (const task of this.#tasksOf(message.jobId)) task.checkpointComplete(message.checkpointId);
        return;
      case 'abortCheckpoint':
        for (const task of this.#tasksOf(message.jobId)) task.abortCheckpoint(message.checkpointId);
        return;
      case 'addSplits':
        this.#tasks.get(message.executionId)?.addSplits(message.splits);
        return;
      case 'logs':
        from.send({ type: 'logs', requestId: message.requestId, lines: this.#logs.tail(message.jobId, message.tailLines) });
        return;
      default:
        // A master of another release, perhaps: no reason to die.
        this.#options.log(`a message that is not known here: ${(message satisfies never as MasterMessage).type}`);
    }
  }

  /** The connection is gone. Tasks go on. If the master has another one, it is told again what may have been lost on this one. */
  masterGone(connection: MasterConnection): void {
    const wasSpokenTo = this.#masters.at(-1) === connection;
    this.#masters = this.#masters.filter((other) => other !== connection);
    if (!wasSpokenTo) return;
    for (const report of this.reports) this.#send({ type: 'taskState', report });
    for (const task of this.#tasks.values()) task.announce();
  }

  /** Called often: alignment timeouts, the lease. */
  onTime(): void {
    this.#checkLease();
    for (const task of this.#tasks.values()) task.onTime();
  }

  sendMetrics(): void {
    const tasks = [...this.#tasks.values()].filter((task) => task.state === 'RUNNING').map((task) => task.takeMetrics());
    if (tasks.length > 0) this.#send({ type: 'metrics', tasks });
  }

  /** Cancels everything and takes nothing more. Resolves when the tasks have let go. */
  async drain(): Promise<void> {
    this.#draining = true;
    const tasks = [...this.#tasks.values()];
    for (const task of tasks) task.cancel();
    await Promise.all(tasks.map(async (task) => task.ended));
  }

  /** As drain, for a session that is lost: what these tasks did belongs to others from now on. */
  stopTasks(reason: string): void {
    const tasks = [...this.#tasks.values()].filter((task) => task.state !== 'CANCELING');
    if (tasks.length > 0) this.#options.log(`${reason}: stopping ${tasks.length} tasks`);
    for (const task of tasks) task.cancel();
  }

  /** An error that no task can be named for: user code threw in a callback of its own. All it may concern is restarted. */
  failTasks(error: Error): void {
    for (const task of this.#tasks.values()) task.failFromOutside(error);
  }

  #deploy(deployment: TaskDeployment): void {
    const { executionId, jobId, vertexId, subtask, attempt } = deployment;
    if (this.#tasks.has(executionId) || this.#ended.has(executionId)) return;
    for (const other of this.#tasksOf(jobId)) {
      const { vertexId: otherVertexId, subtask: otherSubtask, attempt: otherAttempt } = other.deployment;
      if (otherVertexId === vertexId && otherSubtask === subtask && otherAttempt < attempt) other.cancel();
    }
    for (const [endedId] of this.#ended) if (endedId.startsWith(`${jobId}/${vertexId}/${subtask}/`)) this.#ended.delete(endedId);
    this.#checkLease();
    if (this.#leaseOver || this.#draining) {
      const error = { message: this.#draining ? 'the task manager is shutting down' : 'the task manager has no coord session', stack: '', retryable: true };
      this.#send({ type: 'taskState', report: { executionId, state: 'FAILED', error, ackedCheckpointId: 0, completedCheckpointId: 0 } });
      return;
    }
    const task = new Task(deployment, this.#environment(deployment), () => this.#onTerminal(task));
    this.#tasks.set(executionId, task);
    this.data.addOwner(task);
    void task.run();
  }

  #onTerminal(task: Task): void {
    this.#tasks.delete(task.executionId);
    this.data.removeOwner(task.executionId);
    this.#ended.set(task.executionId, task.report);
    if (this.#ended.size > ENDED_REPORTS_MAX) this.#ended.delete(this.#ended.keys().next().value as string);
  }

  #environment({ storageUrl, executionId, jobId }: TaskDeployment): TaskEnvironment {
    const { clock, timers } = this.#options.ports;
    const storage = this.#storage(storageUrl || this.#options.storageUrl);
    return {
      storage,
      clock,
      timers,
      pause: () => {
        if (clock.monotonicMs() >= this.#leaseUntilMs) this.#checkLease();
        return this.#turn.pause();
      },
      loadProgram: async (deployment) => buildProgram(await this.#bundles.get(storage, deployment.bundleHash), deployment),
      openOutput: (from, to, channel, onBroken) => this.data.openOutput(from, to, channel, onBroken),
      send: (message) => this.#send(message),
      log: (line) => {
        this.#logs.add(jobId, `${new Date(clock.wallMs()).toISOString()} ${this.id} ${executionId} ${line}`);
        this.#options.log(`${executionId}: ${line}`);
      },
    };
  }

  #storage(url: string): Storage {
    let storage = this.#storages.get(url);
    if (storage === undefined) {
      storage = this.#options.ports.openStorage(url);
      this.#storages.set(url, storage);
    }
    return storage;
  }

  #tasksOf(jobId: string): Task[] {
    return [...this.#tasks.values()].filter((task) => task.deployment.jobId === jobId);
  }

  get #leaseOver(): boolean {
    return this.#options.ports.clock.monotonicMs() >= this.#leaseUntilMs;
  }

  #checkLease(): void {
    const remainingMs = this.#options.leaseRemainingMs();
    this.#leaseUntilMs = remainingMs > 0 ? this.#options.ports.clock.monotonicMs() + remainingMs : -Infinity;
    if (remainingMs <= 0) this.stopTasks('the lease of the coord session is over');
  }

  #send(message: WorkerMessage): void {
    this.#masters.at(-1)?.send(message);
  }
}
