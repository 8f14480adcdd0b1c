/** What people and tools are shown of a master's state: plain data, as it is served over HTTP. */
import type { ExecutionState, TaskMetrics } from '../rpc/messages.ts';
import { ExecutionGraph } from './execution-graph.ts';
import type { JobExecution } from './job-execution.ts';
import type { JobMaster } from './job-master.ts';
import type { CheckpointKind, CompletedCheckpoint, JobFailure, JobRecord, JobSpec, JobStatus } from './records.ts';

export interface JobSummary {
  readonly id: string;
  readonly name: string;
  readonly status: JobStatus;
  readonly submittedAtMs: number;
  readonly restarts: number;
  readonly parallelism: number;
  readonly lastCheckpointId: number;
  readonly failure: JobFailure | null;
}
export interface TaskView {
  readonly executionId: string;
  readonly vertexId: string;
  readonly subtask: number;
  readonly attempt: number;
  readonly state: ExecutionState | 'UNKNOWN';
  readonly taskManagerId: string | null;
  readonly metrics: TaskMetrics | null;
}
export interface JobView extends JobSummary {
  readonly epoch: number;
  readonly vertices: readonly { readonly id: string; readonly name: string; readonly parallelism: number }[];
  readonly edges: readonly { readonly from: string; readonly to: string; readonly partitioning: string }[];
  readonly params: JobSpec['params'];
  readonly placement: string;
  readonly tasks: readonly TaskView[];
  readonly checkpoints: {
    readonly completed: readonly CompletedCheckpoint[];
    readonly pending: { readonly checkpointId: number; readonly kind: CheckpointKind; readonly acked: number; readonly of: number } | null;
    readonly aborted: number;
    readonly lastAborted: { readonly checkpointId: number; readonly reason: string } | null;
  };
  readonly splits: readonly { readonly vertexId: string; readonly splitId: string; readonly subtask: number }[];
  readonly failures: readonly JobFailure[];
}
export interface TaskManagerView {
  readonly id: string;
  readonly address: string;
  readonly slots: number;
  /** null where only coord was asked. */
  readonly usedSlots: number | null;
  readonly connected: boolean | null;
}

export function summarize(spec: JobSpec, record: JobRecord, completed: readonly CompletedCheckpoint[]): JobSummary {
  return {
    id: spec.jobId, name: spec.name, status: record.status, submittedAtMs: spec.submittedAtMs, restarts: record.restarts,
    parallelism: Math.max(...spec.graph.vertices.map((vertex) => vertex.parallelism)), lastCheckpointId: completed.at(-1)?.checkpointId ?? 0, failure: record.failures[0] ?? null,
  };
}

/** From coord alone: what a follower, or a client without a master, can say. */
export function viewFromRecord(spec: JobSpec, record: JobRecord, completed: readonly CompletedCheckpoint[]): JobView {
  return {
    ...summarize(spec, record, completed),
    epoch: record.epoch,
    vertices: spec.graph.vertices.map(({ id, name, parallelism }) => ({ id, name, parallelism })),
    edges: spec.graph.edges,
    params: spec.params,
    placement: spec.graph.placement,
    tasks: new ExecutionGraph(spec.jobId, spec.graph).tasks.map(({ vertex, subtask, region }): TaskView => {
      const attempt = record.regions[region] ?? 0;
      return { executionId: attempt === 0 ? '' : `${spec.jobId}/${vertex.id}/${subtask}/${attempt}`, vertexId: vertex.id, subtask, attempt, state: 'UNKNOWN', taskManagerId: record.slots[subtask] ?? null, metrics: null };
    }),
    checkpoints: { completed, pending: null, aborted: 0, lastAborted: null },
    splits: Object.entries(record.splits).flatMap(([vertexId, { assigned }]) => assigned.map(({ split, subtask }) => ({ vertexId, splitId: split.id, subtask }))),
    failures: record.failures,
  };
}

export function viewOfJob(job: JobExecution): JobView {
  const { checkpoints } = job;
  return {
    // Only what is durable: a status that a new master might not find is not shown.
    ...viewFromRecord(job.spec, { ...job.record, status: job.status }, checkpoints.completed),
    tasks: job.graph.tasks.map(({ vertex, subtask, execution }): TaskView => ({
      executionId: execution?.executionId ?? '', vertexId: vertex.id, subtask, attempt: execution?.attempt ?? 0, state: execution?.state ?? 'UNKNOWN',
      taskManagerId: execution?.taskManagerId ?? null, metrics: execution?.metrics ?? null,
    })),
    checkpoints: { completed: checkpoints.completed, pending: checkpoints.pending, aborted: checkpoints.numAborted, lastAborted: checkpoints.lastAborted },
  };
}

export function viewOfTaskManagers(master: JobMaster): TaskManagerView[] {
  return master.pool.all().map(({ taskManagerId, address, slots, used, connected }) => ({ id: taskManagerId, address, slots, usedSlots: used, connected }));
}
