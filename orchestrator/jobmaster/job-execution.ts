/**
 * One job under one master: from CREATED to a terminal status, through failures of tasks and workers.
 *
 * Decides: the job's status, what is deployed and cancelled when, whether a failure restarts a region or ends the job.
 * Invariants:
 *  - an assignment is durable in coord before the first task of it is deployed; attempts only grow;
 *  - a region is deployed again only when no task of its last attempt can still be running: each has ended, or its worker is lost;
 *  - CANCELING and FAILING are durable before the tasks are cancelled for it, and a terminal status is durable before anything shows
 *    it; from a terminal status nothing leads back (FLINK-39704);
 *  - a restart begins from the newest completed checkpoint, and never while one is being completed;
 *  - a master that takes over changes nothing about tasks that run as the assignment says.
 * Source: Flink's ExecutionGraph, DefaultScheduler, RestartPipelinedRegionFailoverStrategy; the adoption is ours.
 * Leaves to others: slots (SlotPool), checkpoints (CheckpointCoordinator), who is told (JobMaster).
 */
import type { SourceSplit } from '../api/source.ts';
import { assert } from '../../coord/base/assert.ts';
import type { MasterMessage, TaskDeployment, TaskLocation, TaskReport, WorkerMessage } from '../rpc/messages.ts';
import { CheckpointCoordinator } from './checkpoint-coordinator.ts';
import type { MasterEffect } from './effects.ts';
import type { Execution, Task } from './execution-graph.ts';
import { ExecutionGraph, isLive, moveTo } from './execution-graph.ts';
import type { AssignedSplit, CheckpointKind, CheckpointMetadata, CompletedCheckpoint, JobFailure, JobRecord, JobRequest, JobSpec, JobStatus, RecoveredJob, SourceSplits } from './records.ts';
import { isTerminal } from './records.ts';
import { nextRestart } from './restart-backoff.ts';
import type { SlotPool } from './slot-pool.ts';
import { assignSplits } from './split-assigner.ts';

export interface MasterContext {
  readonly epoch: number;
  readonly nowMs: number;
  readonly wallMs: number;
  readonly pool: SlotPool;
  emit(effect: MasterEffect): void;
  /** Emits what `effect` makes of a fresh write id; `done` when it is durable. */
  write(effect: (writeId: number) => MasterEffect, done: () => void, failed?: (reason: string) => void): void;
}

interface Region {
  readonly index: number;
  readonly tasks: readonly Task[];
  attempt: number;
  /** idle: to be deployed from dueMs on. assigning: the assignment is being written. canceling: the last attempt's tasks are ending. */
  phase: 'idle' | 'assigning' | 'deployed' | 'canceling';
  dueMs: number;
  /** When the tasks that are being cancelled are no longer waited for. */
  cancelDeadlineMs: number;
}

type Goal = 'run' | 'stop' | 'cancel' | 'fail';

/** The record has to fit a znode with all of these. */
const FAILURES_KEPT = 10;
const FAILURE_TEXT_MAX = 4000;
const SPLITS_MAX = 4000;
/** A task that does not end is hung in user code; its output is refused anyway, since it belongs to an old attempt. */
const CANCEL_TIMEOUT_MS = 30_000;
const DISCOVERY_INTERVAL_MS = 2000;
const DISCOVERY_RETRY_MS = 1000;

export class JobExecution {
  readonly spec: JobSpec;
  readonly graph: ExecutionGraph;
  readonly checkpoints: CheckpointCoordinator;
  readonly #master: MasterContext;
  readonly #regions: Region[];
  #goal: Goal;
  /** As it is durable in coord: what others may be shown. */
  #status: JobStatus;
  /** As it was last written, perhaps not durable yet. */
  #writtenStatus: JobStatus;
  #attempt: number;
  readonly #slots: (string | null)[];
  #splits: Record<string, SourceSplits>;
  #restarts: number;
  #backoffMs: number;
  #failures: readonly JobFailure[];
  #lastFailureMs: number;
  #nextCheckpointMs = Infinity;
  /** The checkpoint that the last deployment began from; 0: none. */
  #restoredFrom: number;
  /** By source vertex: when to ask for splits; Infinity while an answer is awaited, or for a bounded source that has been asked. */
  readonly #discoverAtMs = new Map<string, number>();

  constructor(master: MasterContext, recovered: RecoveredJob) {
    const { spec, record, request } = recovered;
    this.spec = spec;
    this.#master = master;
    this.graph = new ExecutionGraph(spec.jobId, spec.graph);
    this.#status = record.status;
    this.#writtenStatus = record.status;
    this.#attempt = record.attempt;
    this.#slots = Array.from({ length: this.graph.parallelism }, (_, i) => record.slots[i] ?? null);
    this.#splits = { ...record.splits };
    this.#restarts = record.restarts;
    this.#backoffMs = record.backoffMs;
    this.#failures = record.failures;
    this.#restoredFrom = record.restoredFrom;
    this.#lastFailureMs = master.nowMs;
    this.#goal = record.status === 'FAILING' ? 'fail' : record.status === 'CANCELING' ? 'cancel' : record.status === 'STOPPING' ? 'stop' : 'run';
    this.#regions = this.graph.regions.map((tasks, index): Region => {
      const attempt = record.regions[index] ?? 0;
      return { index, tasks, attempt, phase: attempt > 0 ? 'deployed' : 'idle', dueMs: -Infinity, cancelDeadlineMs: Infinity };
    });
    this.checkpoints = new CheckpointCoordinator(this.#checkpointHost(), recovered);
    if (this.terminal) return;
    for (const taskManagerId of this.#slots) if (taskManagerId !== null) master.pool.hold(taskManagerId);
    for (const vertex of spec.graph.vertices) {
      if (vertex.operators[0]?.kind === 'source') this.#discoverAtMs.set(vertex.id, this.#splits[vertex.id]?.bounded === true ? Infinity : -Infinity);
    }
    // What a former master may have deployed: the workers will say.
    for (const region of this.#regions) {
      if (region.phase !== 'deployed') continue;
      for (const task of region.tasks) this.graph.begin(task, region.attempt, this.#slots[task.subtask] ?? 'nowhere', 'DEPLOYING');
    }
    if (request !== null) this.#follow(request);
    const anywhere = this.graph.tasks.map(({ execution }) => execution?.taskManagerId).filter((id) => id !== undefined);
    for (const taskManagerId of new Set(anywhere)) {
      if (master.pool.get(taskManagerId) === undefined) this.onTaskManagerLost(taskManagerId, 'was gone when this master took over');
    }
    this.advance();
  }

  get status(): JobStatus {
    return this.#status;
  }
  get terminal(): boolean {
    return isTerminal(this.#writtenStatus);
  }
  get record(): JobRecord {
    return this.#recordWith(this.#writtenStatus);
  }

  // -------------------------------------------------------------- what happens

  onRequest(request: JobRequest): void {
    if (this.terminal) return;
    this.#follow(request);
    this.advance();
  }

  #follow(request: JobRequest): void {
    if (this.#ending || this.#goal === request) return;
    // What never ran has nothing to checkpoint.
    this.#goal = request === 'stop' && this.#attempt === 0 ? 'cancel' : request;
    this.#trace('requested', { request });
  }

  onTaskManagerLost(taskManagerId: string, reason: string): void {
    if (this.terminal) return;
    for (let i = 0; i < this.#slots.length; i++) if (this.#slots[i] === taskManagerId) this.#slots[i] = null;
    for (const task of this.graph.tasks) {
      if (task.execution?.taskManagerId === taskManagerId && isLive(task.execution)) this.#onLost(task, `task manager ${taskManagerId} ${reason}`);
    }
    this.advance();
  }

  onTaskManagerDisconnected(taskManagerId: string): void {
    if (this.graph.tasks.some(({ execution }) => execution?.taskManagerId === taskManagerId && isLive(execution))) {
      this.checkpoints.abort(`the connection to task manager ${taskManagerId} broke`);
    }
  }

  /** It has answered hello with everything it runs. */
  onRegistered(taskManagerId: string, reports: ReadonlyMap<string, TaskReport>): void {
    if (this.terminal) return;
    const here = this.graph.tasks.filter(({ execution }) => execution?.taskManagerId === taskManagerId && execution.state !== 'SCHEDULED' && isLive(execution));
    for (const task of here) {
      const execution = task.execution as Execution;
      const report = reports.get(execution.executionId);
      if (report !== undefined) this.#onReport(task, report);
      else this.#onLost(task, `task manager ${taskManagerId} does not have the task`);
    }
    if (here.length > 0) {
      for (const message of this.checkpoints.catchUp()) this.#send(taskManagerId, message);
      for (const { vertex, subtask, execution } of here) {
        const splits = this.#splitsOf(vertex.id, subtask);
        if (execution !== null && isLive(execution) && splits.length > 0) {
          this.#send(taskManagerId, { type: 'addSplits', epoch: this.#master.epoch, executionId: execution.executionId, splits });
        }
      }
      const ending = here.filter(({ execution, region }) => execution !== null && isLive(execution) && (this.#ending || this.#regions[region]?.phase === 'canceling'));
      this.#cancel(ending.map(({ execution }) => execution as Execution));
    }
    this.advance();
  }

  onTaskState(report: TaskReport): void {
    const task = this.graph.find(report.executionId);
    if (task === undefined || this.terminal) return;
    this.#onReport(task, report);
    this.advance();
  }

  onInputEnded(executionId: string): void {
    const task = this.graph.find(executionId);
    if (task?.execution == null) return;
    task.execution.inputEnded = true;
    this.advance();
  }

  onAck(message: Extract<WorkerMessage, { type: 'ackCheckpoint' }>): void {
    const task = this.graph.find(message.executionId);
    if (task?.execution == null) return;
    this.checkpoints.onAck(task.execution, message);
    this.advance();
  }

  onDecline(message: Extract<WorkerMessage, { type: 'declineCheckpoint' }>): void {
    if (this.graph.find(message.executionId) === undefined) return;
    this.checkpoints.onDecline(message.checkpointId, `${message.executionId} declined: ${message.reason}`);
    this.advance();
  }

  onSplits(vertexId: string, bounded: boolean, found: readonly SourceSplit[]): void {
    if (this.terminal) return;
    this.#discoverAtMs.set(vertexId, bounded ? Infinity : this.#master.nowMs + DISCOVERY_INTERVAL_MS);
    const known = this.#splits[vertexId];
    const assigned = assignSplits(known?.assigned ?? [], found, this.graph.tasksOf(vertexId).length);
    if (known !== undefined && assigned === known.assigned) return;
    if (assigned.length > SPLITS_MAX) {
      this.#fail({ message: `source ${vertexId} has ${assigned.length} splits; at most ${SPLITS_MAX} can be assigned`, stack: '', executionId: null, atMs: this.#master.wallMs });
      return this.advance();
    }
    const isNew = new Set(assigned.slice(known?.assigned.length ?? 0).map(({ split }) => split.id));
    this.#splits = { ...this.#splits, [vertexId]: { bounded, assigned } };
    if (known === undefined) {
      this.#trace('splits discovered', { vertexId, splits: assigned.length, bounded });
      return this.advance();
    }
    this.#trace('new splits', { vertexId, splits: [...isNew] });
    this.#persist(() => this.#addSplits(vertexId, isNew));
  }

  onSplitsFailed(vertexId: string, message: string, retryable: boolean): void {
    if (this.terminal) return;
    this.#trace('splits not discovered', { vertexId, message });
    this.#discoverAtMs.set(vertexId, this.#master.nowMs + DISCOVERY_RETRY_MS);
    // Without its first splits the job cannot run; a later look may fail without harm.
    if (!retryable && this.#splits[vertexId] === undefined) this.#fail({ message, stack: '', executionId: null, atMs: this.#master.wallMs });
    this.advance();
  }

  // -------------------------------------------------------------- what to do about it

  get deadlineMs(): number {
    if (this.terminal) return Infinity;
    const cancelMs = Math.min(...this.#regions.map((region) => region.cancelDeadlineMs));
    if (this.#ending) return cancelMs;
    const later = (ms: number): number => (ms > this.#master.nowMs ? ms : Infinity);
    const dueMs = Math.min(...this.#regions.map((region) => (region.phase === 'idle' || region.phase === 'canceling' ? later(region.dueMs) : Infinity)));
    return Math.min(cancelMs, dueMs, ...this.#discoverAtMs.values(), this.checkpoints.deadlineMs, later(this.#nextCheckpointMs));
  }

  /** Does all that can be done now. Idempotent. */
  advance(): void {
    if (this.terminal) return;
    this.checkpoints.onTime();
    this.#endHungTasks();
    if (this.#ending) return this.#advanceEnding();
    for (const [vertexId, atMs] of this.#discoverAtMs) {
      if (this.#master.nowMs < atMs) continue;
      this.#discoverAtMs.set(vertexId, Infinity);
      this.#master.emit({ type: 'discoverSplits', jobId: this.spec.jobId, vertexId, known: (this.#splits[vertexId]?.assigned ?? []).map(({ split }) => split.id) });
    }
    for (const region of this.#regions) {
      if (region.phase !== 'canceling' || region.tasks.some(({ execution }) => execution !== null && isLive(execution))) continue;
      region.phase = 'idle';
      region.cancelDeadlineMs = Infinity;
    }
    this.#deployDue();
    if (this.#regions.every(({ phase }) => phase === 'deployed') && this.graph.tasks.every(({ execution }) => execution?.state === 'FINISHED')) return this.#finish('FINISHED');
    const kind = this.#wantsCheckpoint();
    if (kind !== null) {
      this.#nextCheckpointMs = this.#master.nowMs + this.spec.graph.checkpoint.intervalMs;
      this.checkpoints.trigger(kind);
    }
    this.#showStatus();
  }

  get #ending(): boolean {
    return this.#goal === 'cancel' || this.#goal === 'fail';
  }

  #advanceEnding(): void {
    const wanted: JobStatus = this.#goal === 'cancel' ? 'CANCELING' : 'FAILING';
    if (this.#writtenStatus !== wanted) {
      this.checkpoints.abort(wanted === 'CANCELING' ? 'the job is being cancelled' : 'the job is failing');
      this.#persistStatus(wanted, () => {
        for (const region of this.#regions) region.cancelDeadlineMs = this.#master.nowMs + CANCEL_TIMEOUT_MS;
        this.#cancel(liveExecutions(this.graph.tasks));
        this.advance();
      });
      return;
    }
    if (this.#status !== wanted || liveExecutions(this.graph.tasks).length > 0 || this.checkpoints.completing) return;
    this.#finish(this.#goal === 'cancel' ? 'CANCELED' : 'FAILED');
  }

  #finish(status: 'FINISHED' | 'CANCELED' | 'FAILED'): void {
    this.#discoverAtMs.clear();
    for (const taskManagerId of this.#slots) if (taskManagerId !== null) this.#master.pool.release(taskManagerId);
    this.#slots.fill(null);
    this.#persistStatus(status, () => this.#trace('ended', { status }));
  }

  #deployDue(): void {
    const due = this.#regions.filter((region) => region.phase === 'idle' && this.#master.nowMs >= region.dueMs);
    if (due.length === 0 || this.checkpoints.completing) return;
    for (const vertexId of this.#discoverAtMs.keys()) if (this.#splits[vertexId] === undefined) return;
    const needed = [...new Set(due.flatMap(({ tasks }) => tasks.map(({ subtask }) => subtask)))].sort((a, b) => a - b);
    const held = needed.map((i) => this.#slots[i]).filter((id) => id != null);
    if (!held.every((id) => this.#master.pool.isRegistered(id))) return;
    const open = needed.filter((i) => this.#slots[i] === null);
    const given = this.#master.pool.allocate(this.spec.graph.placement, open.map((i) => `${this.spec.jobId}/${i}`));
    if (given === null) return;
    open.forEach((i, at) => (this.#slots[i] = given[at] as string));
    const attempt = ++this.#attempt;
    this.#restoredFrom = this.checkpoints.metadata?.checkpointId ?? 0;
    for (const region of due) {
      region.attempt = attempt;
      region.phase = 'assigning';
      for (const task of region.tasks) this.graph.begin(task, attempt, this.#slots[task.subtask] as string, 'SCHEDULED');
    }
    this.#trace('assigned', { attempt, slots: [...this.#slots], restoredFrom: this.#restoredFrom });
    this.#persist(() => this.#deploy(due.filter((region) => region.phase === 'assigning' && region.attempt === attempt)));
  }

  #deploy(regions: readonly Region[]): void {
    const byTaskManager = new Map<string, TaskDeployment[]>();
    for (const region of regions) {
      region.phase = 'deployed';
      for (const task of region.tasks) {
        const execution = task.execution as Execution;
        const deployment = this.#deployment(task, execution);
        execution.deployedSplits = new Set(deployment.splits.map(({ id }) => id));
        moveTo(execution, 'DEPLOYING');
        const list = byTaskManager.get(execution.taskManagerId);
        if (list === undefined) byTaskManager.set(execution.taskManagerId, [deployment]);
        else list.push(deployment);
      }
    }
    // One that lost its connection meanwhile will say, when it is back, that it does not have the tasks.
    for (const [taskManagerId, tasks] of byTaskManager) this.#send(taskManagerId, { type: 'deploy', epoch: this.#master.epoch, tasks });
    this.advance();
  }

  #deployment(task: Task, { executionId, attempt }: Execution): TaskDeployment {
    const { spec } = this;
    const { metadata } = this.checkpoints;
    const { vertex, subtask } = task;
    const locate = (direction: 'upstream' | 'downstream'): TaskDeployment['upstream'] =>
      this.graph.neighbours(task, direction).map(({ vertexId, tasks }) => ({ vertexId, subtasks: tasks.map((each) => this.#location(each)) }));
    return {
      executionId, jobId: spec.jobId, jobName: spec.name, vertexId: vertex.id, subtask, attempt,
      bundleHash: spec.bundleHash, storageUrl: spec.storageUrl, graphHash: spec.graphHash, overrides: spec.overrides, params: spec.params,
      downstream: locate('downstream'), upstream: locate('upstream'),
      splits: this.#splitsOf(vertex.id, subtask),
      restore: metadata === null ? null : { checkpointId: metadata.checkpointId, states: metadata.states.filter((state) => state.vertexId === vertex.id && state.subtask === subtask) },
      checkpoint: { timeoutMs: spec.graph.checkpoint.timeoutMs },
    };
  }

  #location({ execution }: Task): TaskLocation {
    assert(execution !== null, 'a neighbour in the same region has an execution');
    return { executionId: execution.executionId, taskManagerId: execution.taskManagerId, address: this.#master.pool.get(execution.taskManagerId)?.address ?? '' };
  }

  // -------------------------------------------------------------- failures

  #onReport(task: Task, { state, error }: TaskReport): void {
    const execution = task.execution as Execution;
    if (!moveTo(execution, state)) return;
    const { executionId } = execution;
    if (state === 'FINISHED') this.checkpoints.onFinished(execution);
    if (state === 'FAILED' || (state === 'CANCELED' && !this.#ending && this.#regions[task.region]?.phase === 'deployed')) {
      this.checkpoints.abort(`task ${executionId} failed`);
      const cause = error ?? { message: 'the task manager cancelled the task', stack: '', retryable: true };
      this.#trace('task failed', { executionId, message: cause.message });
      this.#onFailure(task, { message: cause.message, stack: cause.stack, executionId, atMs: this.#master.wallMs }, cause.retryable);
    }
  }

  /** The task is gone without a word of its own. */
  #onLost(task: Task, message: string): void {
    const execution = task.execution as Execution;
    moveTo(execution, 'FAILED');
    this.checkpoints.abort(message);
    this.#onFailure(task, { message, stack: '', executionId: execution.executionId, atMs: this.#master.wallMs }, true);
  }

  #onFailure(task: Task, failure: JobFailure, retryable: boolean): void {
    const region = this.#regions[task.region] as Region;
    if (this.#ending || region.phase === 'idle') return;
    // The first failure of a region decides; the others of the same attempt follow from it, or are its cause: a broken channel is often seen first.
    if (region.phase === 'canceling') {
      if (failure.message.startsWith('task manager ') && this.#failures[0]?.message !== failure.message) this.#note(failure);
      return;
    }
    const next = retryable ? nextRestart(this.spec.graph.restart, { restarts: this.#restarts, backoffMs: this.#backoffMs }, this.#master.nowMs - this.#lastFailureMs) : null;
    if (next === null) return this.#fail(failure);
    this.#note(failure);
    this.#lastFailureMs = this.#master.nowMs;
    this.#restarts = next.restarts;
    this.#backoffMs = next.backoffMs;
    region.dueMs = this.#master.nowMs + next.delayMs;
    region.phase = 'canceling';
    region.cancelDeadlineMs = this.#master.nowMs + CANCEL_TIMEOUT_MS;
    this.#trace('restarting', { region: region.index, delayMs: next.delayMs, because: failure.message });
    this.#cancel(liveExecutions(region.tasks));
  }

  #fail(failure: JobFailure): void {
    this.#note(failure);
    this.#goal = 'fail';
    this.#trace('failing', { because: failure.message });
  }

  #note({ message, stack, ...failure }: JobFailure): void {
    this.#failures = [{ ...failure, message: message.slice(0, FAILURE_TEXT_MAX), stack: stack.slice(0, FAILURE_TEXT_MAX) }, ...this.#failures].slice(0, FAILURES_KEPT);
  }

  /** Those that were never sent end at once; the others when their task managers say so. */
  #cancel(executions: readonly Execution[]): void {
    const byTaskManager = new Map<string, string[]>();
    for (const execution of executions) {
      if (execution.state === 'SCHEDULED') moveTo(execution, 'CANCELED');
      else {
        const list = byTaskManager.get(execution.taskManagerId);
        if (list === undefined) byTaskManager.set(execution.taskManagerId, [execution.executionId]);
        else list.push(execution.executionId);
      }
    }
    for (const [taskManagerId, executionIds] of byTaskManager) this.#send(taskManagerId, { type: 'cancel', epoch: this.#master.epoch, executionIds });
  }

  #endHungTasks(): void {
    for (const region of this.#regions) {
      if (this.#master.nowMs < region.cancelDeadlineMs) continue;
      region.cancelDeadlineMs = Infinity;
      for (const { execution } of region.tasks) {
        if (execution === null || !isLive(execution)) continue;
        this.#trace('task does not end', { executionId: execution.executionId });
        moveTo(execution, 'CANCELED');
      }
    }
  }

  // -------------------------------------------------------------- checkpoints, splits

  /** The checkpoint that should be triggered now. */
  #wantsCheckpoint(): CheckpointKind | null {
    const { tasks } = this.graph;
    const running = this.#regions.every(({ phase }) => phase === 'deployed') && tasks.every(({ execution }) => execution?.state === 'RUNNING' || execution?.state === 'FINISHED');
    if (!running || this.#ending || !tasks.some(({ execution }) => execution?.state === 'RUNNING')) {
      if (!running) this.#nextCheckpointMs = Infinity;
      return null;
    }
    if (this.#nextCheckpointMs === Infinity) this.#nextCheckpointMs = this.#master.nowMs + this.spec.graph.checkpoint.intervalMs;
    if (!this.checkpoints.idle) return null;
    // After a stop or final checkpoint tasks finish by themselves.
    const newest = this.checkpoints.completed.at(-1);
    if (newest !== undefined && newest.kind !== 'periodic' && newest.checkpointId > this.#restoredFrom) return null;
    const sources = tasks.filter(({ vertex, execution }) => this.#splits[vertex.id] !== undefined && execution?.state === 'RUNNING');
    const kind: CheckpointKind = sources.every(({ execution }) => execution?.inputEnded) ? 'final' : this.#goal === 'stop' ? 'stop' : 'periodic';
    return kind !== 'periodic' || this.#master.nowMs >= this.#nextCheckpointMs ? kind : null;
  }

  #addSplits(vertexId: string, isNew: ReadonlySet<string>): void {
    for (const { subtask, execution } of this.graph.tasksOf(vertexId)) {
      if (execution === null || !isLive(execution) || execution.state === 'SCHEDULED') continue;
      const splits = this.#splitsOf(vertexId, subtask).filter(({ id }) => isNew.has(id) && execution.deployedSplits?.has(id) !== true);
      if (splits.length > 0) this.#send(execution.taskManagerId, { type: 'addSplits', epoch: this.#master.epoch, executionId: execution.executionId, splits });
    }
  }

  #splitsOf(vertexId: string, subtask: number): SourceSplit[] {
    return (this.#splits[vertexId]?.assigned ?? []).filter((each: AssignedSplit) => each.subtask === subtask).map(({ split }) => split);
  }

  #checkpointHost(): ConstructorParameters<typeof CheckpointCoordinator>[0] {
    const master = this.#master;
    const { jobId } = this.spec;
    const { tasks } = this.graph;
    return {
      get epoch() {
        return master.epoch;
      },
      get nowMs() {
        return master.nowMs;
      },
      get wallMs() {
        return master.wallMs;
      },
      tasks,
      broadcast: (message) => this.#broadcast(message),
      reserve: (checkpointId, done) =>
        master.write((writeId) => ({ type: 'reserveCheckpointId', writeId, jobId, checkpointId }), () => {
          done();
          this.advance();
        }),
      complete: (metadata: CheckpointMetadata, completed: readonly CompletedCheckpoint[], done, failed) =>
        master.write(
          (writeId) => ({ type: 'completeCheckpoint', writeId, jobId, metadata, completed }),
          () => {
            done();
            this.advance();
          },
          (reason) => {
            failed(reason);
            this.advance();
          },
        ),
      discard: (checkpointId) => master.emit({ type: 'discardCheckpoint', jobId, checkpointId }),
      trace: (name, fields) => this.#trace(name, fields),
    };
  }

  // -------------------------------------------------------------- status, writes, messages

  #showStatus(): void {
    const deployed = this.#regions.every(({ phase }) => phase === 'deployed');
    const running = deployed && this.graph.tasks.every(({ execution }) => execution?.state === 'RUNNING' || execution?.state === 'FINISHED');
    const fresh = this.#regions.every(({ attempt }) => attempt <= 1) && this.#restarts === 0;
    // What a master finds running stays RUNNING until something is seen to be wrong.
    const unsure = deployed && this.#writtenStatus === 'RUNNING';
    const status: JobStatus = this.#goal === 'stop' ? 'STOPPING' : running || unsure ? 'RUNNING' : fresh ? 'CREATED' : 'RESTARTING';
    if (status !== this.#writtenStatus) this.#persistStatus(status, () => undefined);
  }

  #persistStatus(status: JobStatus, done: () => void): void {
    this.#trace('status', { from: this.#writtenStatus, to: status });
    this.#writtenStatus = status;
    this.#persist(done);
  }

  #persist(done: () => void): void {
    const record = this.#recordWith(this.#writtenStatus);
    this.#master.write((writeId) => ({ type: 'writeJob', writeId, jobId: this.spec.jobId, record }), () => {
      this.#status = record.status;
      done();
    });
  }

  #recordWith(status: JobStatus): JobRecord {
    return {
      status, epoch: this.#master.epoch, attempt: this.#attempt, regions: this.#regions.map(({ attempt }) => attempt), slots: [...this.#slots],
      splits: this.#splits, restoredFrom: this.#restoredFrom, restarts: this.#restarts, backoffMs: this.#backoffMs, failures: this.#failures,
    };
  }

  #broadcast(message: MasterMessage): void {
    const everywhere = new Set(this.graph.tasks.map(({ execution }) => execution?.taskManagerId).filter((id) => id !== undefined));
    for (const taskManagerId of [...everywhere].sort()) this.#send(taskManagerId, message);
  }

  #send(taskManagerId: string, message: MasterMessage): void {
    if (this.#master.pool.isRegistered(taskManagerId)) this.#master.emit({ type: 'send', to: taskManagerId, message });
  }

  #trace(name: string, fields: Readonly<Record<string, unknown>>): void {
    this.#master.emit({ type: 'trace', name, fields: { job: this.spec.jobId, ...fields } });
  }
}

function liveExecutions(tasks: readonly Task[]): Execution[] {
  return tasks.flatMap(({ execution }) => (execution !== null && isLive(execution) ? [execution] : []));
}
