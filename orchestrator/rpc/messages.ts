/**
 * What a job master and the task managers say to each other, as msgpack frames over ws. The master dials every task manager that is registered in
 * coord (path /rpc of its address): a refused connection then proves that the process is gone, sooner than any lease.
 *
 * Fencing: every message of a master carries its epoch (czxid of its leader znode, so a newer master's is larger). A task
 * manager remembers the highest it has seen, answers an older one with `fenced` and does nothing of what it asked.
 */
import type { Json, SourceSplit } from '../api/source.ts';

export type JobId = string;
/** `${jobId}/${vertexId}/${subtask}/${attempt}`: one attempt of one subtask; Flink's execution. */
export type ExecutionId = string;

/** Execution states in the order in which they are passed through; the last three are terminal. Flink's ExecutionState. */
export type ExecutionState = 'SCHEDULED' | 'DEPLOYING' | 'INITIALIZING' | 'RUNNING' | 'CANCELING' | 'FINISHED' | 'CANCELED' | 'FAILED';

/** Everything a task manager needs to run one subtask. */
export interface TaskDeployment {
  readonly executionId: ExecutionId;
  readonly jobId: JobId;
  readonly jobName: string;
  readonly vertexId: string;
  readonly subtask: number;
  readonly attempt: number;
  /** Where the bundle is: sha256 of its bytes; fetched from the job's storage if not cached. */
  readonly bundleHash: string;
  readonly storageUrl: string;
  readonly graphHash: string;
  /** What was given at submit in place of the job's own; needed to build the same graph. */
  readonly overrides?: { readonly name?: string; readonly parallelism?: number };
  readonly params: Readonly<Record<string, Json>>;
  /** Where the subtasks of every downstream vertex run: data channels go there. */
  readonly downstream: readonly { readonly vertexId: string; readonly subtasks: readonly TaskLocation[] }[];
  /** Which subtasks will open channels to this one; alignment waits for exactly these. */
  readonly upstream: readonly { readonly vertexId: string; readonly subtasks: readonly TaskLocation[] }[];
  /** For a source vertex. */
  readonly splits: readonly SourceSplit[];
  readonly restore: TaskRestore | null;
  readonly checkpoint: { readonly timeoutMs: number };
}
export interface TaskLocation {
  readonly executionId: ExecutionId;
  readonly taskManagerId: string;
  /** host:port of its ws server. */
  readonly address: string;
}
export interface TaskRestore {
  readonly checkpointId: number;
  /** States of all old subtasks that this one needs (all whose key groups overlap; all of them for sources). */
  readonly states: readonly TaskState[];
}
/** What one subtask contributed to a checkpoint. */
export interface TaskState {
  readonly vertexId: string;
  readonly subtask: number;
  /** Keyed state and timers: a file relative to the checkpoint storage, or null when there is none. */
  readonly keyedStateFile: string | null;
  readonly keyedStateBytes: number;
  /** Source positions by split id, and how far event time had come in each (absent: nowhere). */
  readonly splits: Readonly<Record<string, { readonly position: Json; readonly ended: boolean; readonly maxTimestampMs?: number }>>;
  readonly committables: readonly Json[];
  readonly watermarkMs: number;
  /** All input had ended before this barrier. */
  readonly ended: boolean;
}

// ---------------------------------------------------------------- master → task manager
export type MasterMessage =
  | { readonly type: 'hello'; readonly epoch: number; readonly masterId: string }
  | { readonly type: 'deploy'; readonly epoch: number; readonly tasks: readonly TaskDeployment[] }
  | { readonly type: 'cancel'; readonly epoch: number; readonly executionIds: readonly ExecutionId[] }
  /**
   * stop: sources read nothing after this barrier. final: every source subtask has said inputEnded. Tasks FINISH when a stop or final
   * checkpoint is complete, and at no other one: so each checkpoint before it holds the state of all subtasks, ended or not.
   */
  | { readonly type: 'triggerCheckpoint'; readonly epoch: number; readonly jobId: JobId; readonly checkpointId: number; readonly stop: boolean; readonly final?: boolean }
  /** Also sent again after adoption and restart: idempotent. */
  | { readonly type: 'checkpointComplete'; readonly epoch: number; readonly jobId: JobId; readonly checkpointId: number }
  | { readonly type: 'abortCheckpoint'; readonly epoch: number; readonly jobId: JobId; readonly checkpointId: number }
  /** A source learned of new splits. */
  | { readonly type: 'addSplits'; readonly epoch: number; readonly executionId: ExecutionId; readonly splits: readonly SourceSplit[] }
  | { readonly type: 'logs'; readonly epoch: number; readonly requestId: number; readonly jobId: JobId; readonly tailLines: number };

// ---------------------------------------------------------------- task manager → master
export type WorkerMessage =
  /** Answer to hello: what is running here. */
  | { readonly type: 'registered'; readonly taskManagerId: string; readonly slots: number; readonly tasks: readonly TaskReport[] }
  /** Answer to a message of an older epoch. */
  | { readonly type: 'fenced'; readonly epoch: number }
  | { readonly type: 'taskState'; readonly report: TaskReport }
  | { readonly type: 'ackCheckpoint'; readonly executionId: ExecutionId; readonly checkpointId: number; readonly state: TaskState; readonly alignmentMs: number; readonly syncMs: number; readonly asyncMs: number }
  | { readonly type: 'declineCheckpoint'; readonly executionId: ExecutionId; readonly checkpointId: number; readonly reason: string }
  /** All splits of this source subtask have ended: the master triggers the final checkpoint when all source subtasks have said so. Said again after each hello. */
  | { readonly type: 'inputEnded'; readonly executionId: ExecutionId }
  /** About once a second. */
  | { readonly type: 'metrics'; readonly tasks: readonly TaskMetrics[] }
  | { readonly type: 'logs'; readonly requestId: number; readonly lines: readonly string[] };

export interface TaskReport {
  readonly executionId: ExecutionId;
  readonly state: ExecutionState;
  readonly error: { readonly message: string; readonly stack: string; readonly retryable: boolean } | null;
  /** The newest checkpoint this task has acked and the newest it knows to be complete. */
  readonly ackedCheckpointId: number;
  readonly completedCheckpointId: number;
}
export interface TaskMetrics {
  readonly executionId: ExecutionId;
  readonly numRecordsIn: number;
  readonly numRecordsOut: number;
  readonly numLateRecordsDropped: number;
  readonly currentInputWatermark: number;
  readonly busyTimeMsPerSecond: number;
  readonly backPressuredTimeMsPerSecond: number;
  /** Source: records read since the start of the attempt. */
  readonly sourceLag: number | null;
}
