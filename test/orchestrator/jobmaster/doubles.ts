/**
 * The job master's core between doubles: coord as a few maps whose writes can be held back or refused, task managers that do what they are told as the
 * real ones do (fencing, attempts, acks), time that only moves when told to.
 */
import type { JobGraph, PlacementStrategy, RestartStrategy } from '../../../orchestrator/graph/job-graph.ts';
import type { MasterEffect, MasterEvent } from '../../../orchestrator/jobmaster/effects.ts';
import { JobMaster } from '../../../orchestrator/jobmaster/job-master.ts';
import type { JobExecution } from '../../../orchestrator/jobmaster/job-execution.ts';
import type { CheckpointMetadata, CompletedCheckpoint, JobRecord, JobRequest, JobSpec, RecoveredJob } from '../../../orchestrator/jobmaster/records.ts';
import { newJobRecord } from '../../../orchestrator/jobmaster/records.ts';
import type { MasterMessage, TaskDeployment, TaskReport, TaskState, WorkerMessage } from '../../../orchestrator/rpc/messages.ts';

export interface GraphOptions {
  readonly parallelism?: number;
  /** Source and sink without an exchange between them: one region for each subtask. */
  readonly forward?: boolean;
  readonly restart?: RestartStrategy;
  readonly placement?: PlacementStrategy;
  readonly retained?: number;
}

export function testGraph({ parallelism = 2, forward = false, restart = { type: 'fixed-delay', attempts: 100, delayMs: 10 }, placement = 'round-robin', retained = 1 }: GraphOptions = {}): JobGraph {
  const operator = (id: string, kind: 'source' | 'sink') => ({ id, kind, name: id, origin: 'job.ts:1:1' });
  return {
    name: 'j', maxParallelism: 128, checkpoint: { intervalMs: 1000, timeoutMs: 500, retained }, restart, placement, params: {},
    vertices: [
      { id: 'src', name: 'src', parallelism, operators: [operator('src', 'source')] },
      { id: 'out', name: 'out', parallelism, operators: [operator('out', 'sink')] },
    ],
    edges: [{ from: 'src', to: 'out', partitioning: forward ? 'forward' : 'hash' }],
  };
}

interface StoredJob {
  readonly spec: JobSpec;
  record: JobRecord;
  counter: number;
  completed: readonly CompletedCheckpoint[];
  request: JobRequest | null;
}

export interface FakeTask {
  readonly deployment: TaskDeployment;
  report: TaskReport;
  splits: Set<string>;
  readonly completed: number[];
  readonly aborted: number[];
}

export class FakeTaskManager {
  readonly id: string;
  readonly slots: number;
  readonly tasks = new Map<string, FakeTask>();
  readonly received: MasterMessage[] = [];
  epoch = 0;
  /** Messages from masters are taken in, but nothing is answered. */
  mute = false;
  /** Acks wait until acks() is called. */
  holdAcks = false;
  /** Tasks do not react to cancel until unhang() is called. */
  hung = false;
  readonly #toCancel = new Set<FakeTask>();
  /** What is sent is lost on the way: the connection is broken, and nobody has noticed yet. */
  deaf = false;
  readonly heldAcks: WorkerMessage[] = [];

  constructor(id: string, slots: number) {
    this.id = id;
    this.slots = slots;
  }

  get live(): FakeTask[] {
    return [...this.tasks.values()].filter(({ report }) => !['FINISHED', 'CANCELED', 'FAILED'].includes(report.state));
  }

  receive(message: MasterMessage): WorkerMessage[] {
    if (message.epoch < this.epoch) return [{ type: 'fenced', epoch: this.epoch }];
    this.epoch = message.epoch;
    this.received.push(message);
    const answers: WorkerMessage[] = [];
    const state = (task: FakeTask, next: TaskReport['state']): void => {
      task.report = { ...task.report, state: next };
      answers.push({ type: 'taskState', report: task.report });
    };
    const ofJob = (jobId: string): FakeTask[] => this.live.filter(({ deployment }) => deployment.jobId === jobId);
    switch (message.type) {
      case 'hello':
        return [{ type: 'registered', taskManagerId: this.id, slots: this.slots, tasks: [...this.tasks.values()].map(({ report }) => report) }];
      case 'deploy':
        for (const deployment of message.tasks) {
          if (this.tasks.has(deployment.executionId)) continue;
          const report: TaskReport = { executionId: deployment.executionId, state: 'DEPLOYING', error: null, ackedCheckpointId: 0, completedCheckpointId: 0 };
          const task: FakeTask = { deployment, report, splits: new Set(deployment.splits.map(({ id }) => id)), completed: [], aborted: [] };
          this.tasks.set(deployment.executionId, task);
          state(task, 'INITIALIZING');
          state(task, 'RUNNING');
        }
        return answers;
      case 'cancel':
        for (const executionId of message.executionIds) {
          const task = this.tasks.get(executionId);
          if (task === undefined || !this.live.includes(task)) continue;
          if (this.hung) this.#toCancel.add(task);
          else state(task, 'CANCELED');
        }
        return answers;
      case 'triggerCheckpoint':
        for (const task of ofJob(message.jobId)) {
          const { vertexId, subtask, executionId } = task.deployment;
          const taskState: TaskState = { vertexId, subtask, keyedStateFile: null, keyedStateBytes: 1, splits: {}, committables: [message.checkpointId], watermarkMs: 0, ended: false };
          answers.push({ type: 'ackCheckpoint', executionId, checkpointId: message.checkpointId, state: taskState, alignmentMs: 0, syncMs: 0, asyncMs: 0 });
        }
        this.#ending = message.stop || message.final === true ? message.checkpointId : 0;
        if (!this.holdAcks) return answers;
        this.heldAcks.push(...answers);
        return [];
      case 'checkpointComplete':
        for (const task of ofJob(message.jobId)) {
          task.completed.push(message.checkpointId);
          if (message.checkpointId === this.#ending) state(task, 'FINISHED');
        }
        return answers;
      case 'abortCheckpoint':
        for (const task of ofJob(message.jobId)) task.aborted.push(message.checkpointId);
        return [];
      case 'addSplits':
        for (const { id } of message.splits) this.tasks.get(message.executionId)?.splits.add(id);
        return [];
      default:
        return [];
    }
  }
  #ending = 0;

  unhang(): WorkerMessage[] {
    this.hung = false;
    const tasks = [...this.#toCancel].filter((task) => this.live.includes(task));
    this.#toCancel.clear();
    return tasks.map((task) => {
      task.report = { ...task.report, state: 'CANCELED' };
      return { type: 'taskState', report: task.report };
    });
  }
}

export class Bench {
  readonly jobs = new Map<string, StoredJob>();
  readonly metadata = new Map<string, CheckpointMetadata>();
  readonly taskManagers = new Map<string, FakeTaskManager>();
  /** What the source was told of, look by look. */
  readonly discoveries: (readonly string[])[] = [];
  readonly discarded: string[] = [];
  /** Looks at each message before it arrives. */
  onSend: ((to: FakeTaskManager, message: MasterMessage) => void) | null = null;
  splits: string[] = ['s0', 's1', 's2'];
  bounded = false;
  master!: JobMaster;
  nowMs = 0;
  /** Writes wait until release() is called. */
  holdWrites = false;
  held: MasterEffect[] = [];
  #epoch = 0;
  /** Of the last grant: writes of older masters are refused. */
  granted = 0;

  constructor(taskManagers: Readonly<Record<string, number>> = { a: 2, b: 2 }) {
    for (const [id, slots] of Object.entries(taskManagers)) this.taskManagers.set(id, new FakeTaskManager(id, slots));
    this.elect();
  }

  /** A new master takes over; the former one is forgotten, whatever it had in hand. */
  elect(): void {
    this.#epoch += 10;
    this.granted = this.#epoch;
    this.held = [];
    this.master = new JobMaster({ epoch: this.#epoch, masterId: `m${this.#epoch}` });
    for (const { id, slots } of this.taskManagers.values()) this.step({ type: 'taskManagerUp', taskManagerId: id, address: `${id}:1`, slots });
    for (const jobId of this.jobs.keys()) this.#found(jobId);
    for (const [id, taskManager] of this.taskManagers) {
      taskManager.deaf = false;
      this.step({ type: 'taskManagerConnected', taskManagerId: id });
    }
  }

  submit(graph: JobGraph = testGraph(), jobId = 'j'): JobExecution {
    const spec: JobSpec = { jobId, name: 'j', bundleHash: 'b', storageUrl: 'file:///s', params: {}, overrides: {}, graph, graphHash: 'g', submittedAtMs: 0 };
    this.jobs.set(jobId, { spec, record: newJobRecord(), counter: 0, completed: [], request: null });
    this.#found(jobId);
    return this.job(jobId);
  }

  request(request: JobRequest, jobId = 'j'): void {
    this.stored(jobId).request = request;
    this.step({ type: 'request', jobId, request });
  }

  addTaskManager(id: string, slots: number): void {
    this.taskManagers.set(id, new FakeTaskManager(id, slots));
    this.step({ type: 'taskManagerUp', taskManagerId: id, address: `${id}:1`, slots });
    this.step({ type: 'taskManagerConnected', taskManagerId: id });
  }
  kill(id: string): void {
    this.taskManagers.delete(id);
    this.step({ type: 'taskManagerDisconnected', taskManagerId: id });
    this.step({ type: 'taskManagerLost', taskManagerId: id, reason: 'refuses connections' });
  }
  failTask(executionId: string, retryable = true): void {
    for (const { id, tasks } of this.taskManagers.values()) {
      const task = tasks.get(executionId);
      if (task === undefined) continue;
      task.report = { ...task.report, state: 'FAILED', error: { message: 'boom', stack: '', retryable } };
      this.step({ type: 'message', from: id, message: { type: 'taskState', report: task.report } });
    }
  }
  endInput(): void {
    for (const { id, live } of this.taskManagers.values()) {
      for (const { deployment } of live) if (deployment.vertexId === 'src') this.step({ type: 'message', from: id, message: { type: 'inputEnded', executionId: deployment.executionId } });
    }
  }
  unhang(): void {
    for (const taskManager of this.taskManagers.values()) {
      for (const message of taskManager.unhang()) if (!taskManager.deaf) this.step({ type: 'message', from: taskManager.id, message });
    }
  }
  /** The connection breaks and is there again. */
  reconnect(id: string): void {
    this.step({ type: 'taskManagerDisconnected', taskManagerId: id });
    (this.taskManagers.get(id) as FakeTaskManager).deaf = false;
    this.step({ type: 'taskManagerConnected', taskManagerId: id });
  }
  acks(): void {
    for (const taskManager of this.taskManagers.values()) {
      for (const message of taskManager.heldAcks.splice(0)) if (!taskManager.deaf) this.step({ type: 'message', from: taskManager.id, message });
    }
  }

  /** Effects are carried out in the order in which they were given: what comes of one waits behind the others. */
  #draining = false;
  step(event: MasterEvent): void {
    const { master } = this;
    master.step(event, this.nowMs, 1e12 + this.nowMs);
    if (this.#draining) return;
    this.#draining = true;
    for (let effects = master.drain(); effects.length > 0 && this.master === master; effects = master.drain()) for (const effect of effects) this.#carryOut(effect);
    this.#draining = false;
  }

  /** Lets time pass, waking the master when it asked to be. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let turns = 0; this.master.deadlineMs <= untilMs; turns++) {
      if (turns > 10_000) throw new Error('the master asks to be woken again and again');
      this.nowMs = Math.max(this.nowMs, this.master.deadlineMs);
      this.step({ type: 'time' });
    }
    this.nowMs = untilMs;
  }

  /** Carries out what was held back, of the master that leads now. */
  release(): void {
    // What comes of them is written behind them.
    this.holdWrites = true;
    for (let effect = this.held.shift(); effect !== undefined; effect = this.held.shift()) this.#write(effect);
    this.holdWrites = false;
  }

  job(jobId = 'j'): JobExecution {
    const job = this.master.jobs.get(jobId);
    if (job === undefined) throw new Error(`no job ${jobId}`);
    return job;
  }
  stored(jobId = 'j'): StoredJob {
    return this.jobs.get(jobId) as StoredJob;
  }
  /** "src/0/1@a RUNNING", by task, of what really runs. */
  get running(): string[] {
    return [...this.taskManagers.values()].flatMap(({ id, live }) => live.map(({ deployment }) => `${deployment.executionId.slice(deployment.jobId.length + 1)}@${id}`)).sort();
  }
  sent(type: MasterMessage['type']): MasterMessage[] {
    return [...this.taskManagers.values()].flatMap(({ received }) => received.filter((message) => message.type === type && message.epoch === this.#epoch));
  }

  #found(jobId: string): void {
    const { spec, record, counter, completed, request } = this.stored(jobId);
    const newest = completed.at(-1);
    const job: RecoveredJob = structuredClone({ spec, record, lastCheckpointId: counter, completed, metadata: newest === undefined ? null : (this.metadata.get(`${jobId}/${newest.checkpointId}`) ?? null), request });
    this.step({ type: 'jobFound', job });
  }

  #carryOut(effect: MasterEffect): void {
    switch (effect.type) {
      case 'send': {
        const taskManager = this.taskManagers.get(effect.to);
        if (taskManager === undefined || taskManager.deaf) return;
        this.onSend?.(taskManager, effect.message);
        const answers = taskManager.receive(structuredClone(effect.message));
        if (!taskManager.mute) for (const message of answers) this.step({ type: 'message', from: effect.to, message });
        return;
      }
      case 'discoverSplits':
        this.discoveries.push(effect.known);
        this.step({ type: 'splitsDiscovered', jobId: effect.jobId, vertexId: effect.vertexId, bounded: this.bounded, splits: this.splits.map((id) => ({ id, spec: null })) });
        return;
      case 'discardCheckpoint':
        this.discarded.push(`${effect.jobId}/${effect.checkpointId}`);
        return;
      case 'trace':
        return;
      default:
        if (this.holdWrites) this.held.push(effect);
        else this.#write(effect);
    }
  }

  #write(effect: MasterEffect): void {
    if (effect.type !== 'writeJob' && effect.type !== 'reserveCheckpointId' && effect.type !== 'completeCheckpoint') return;
    if (this.master.epoch < this.granted) return this.step({ type: 'fenced' });
    const stored = this.stored(effect.jobId);
    if (effect.type === 'writeJob') stored.record = structuredClone(effect.record);
    else if (effect.type === 'reserveCheckpointId') stored.counter = effect.checkpointId;
    else {
      this.metadata.set(`${effect.jobId}/${effect.metadata.checkpointId}`, structuredClone(effect.metadata));
      stored.completed = structuredClone(effect.completed);
    }
    this.step({ type: 'written', writeId: effect.writeId });
  }
}
