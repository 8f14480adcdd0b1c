/** What is known of a job beyond one master's life: the contents of its znodes and of a checkpoint's metadata, as plain data. */
import type { Json, SourceSplit } from '../api/source.ts';
import type { BuildOverrides } from '../graph/build-graph.ts';
import type { JobGraph } from '../graph/job-graph.ts';
import type { JobId, TaskState } from '../rpc/messages.ts';

/** Written once, at submit. */
export interface JobSpec {
  readonly jobId: JobId;
  readonly name: string;
  readonly bundleHash: string;
  readonly storageUrl: string;
  readonly params: Readonly<Record<string, Json>>;
  readonly overrides: BuildOverrides;
  readonly graph: JobGraph;
  readonly graphHash: string;
  /** ms since 1970. */
  readonly submittedAtMs: number;
}

/**
 * As Flink's JobStatus, and STOPPING: a checkpoint is being made after which the job finishes.
 * CREATED: waits for its splits and slots. RESTARTING: some region is being cancelled, waits for its delay, or for slots.
 */
export type JobStatus = 'CREATED' | 'RUNNING' | 'RESTARTING' | 'STOPPING' | 'CANCELING' | 'FAILING' | 'CANCELED' | 'FINISHED' | 'FAILED';

export function isTerminal(status: JobStatus): boolean {
  return status === 'CANCELED' || status === 'FINISHED' || status === 'FAILED';
}

export interface JobFailure {
  readonly message: string;
  readonly stack: string;
  /** The task that failed; null when it was not a task. */
  readonly executionId: string | null;
  /** ms since 1970. */
  readonly atMs: number;
}

export interface AssignedSplit {
  readonly split: SourceSplit;
  readonly subtask: number;
}
export interface SourceSplits {
  readonly bounded: boolean;
  readonly assigned: readonly AssignedSplit[];
}

/** The znode that the leading master writes: status and assignment. */
export interface JobRecord {
  readonly status: JobStatus;
  /** Of the master that wrote it. */
  readonly epoch: number;
  /** The highest attempt number that was ever given. */
  readonly attempt: number;
  /** Attempt of each region; 0: never deployed. */
  readonly regions: readonly number[];
  /** Task manager of each slot; null: none yet. Subtask i of each vertex runs in slot i. */
  readonly slots: readonly (string | null)[];
  /** By source vertex. */
  readonly splits: Readonly<Record<string, SourceSplits>>;
  /** The checkpoint that the last deployment began from; 0: none. */
  readonly restoredFrom: number;
  readonly restarts: number;
  /** Delay before the next restart, for exponential-delay. */
  readonly backoffMs: number;
  /** The last ones, newest first. */
  readonly failures: readonly JobFailure[];
}

export type CheckpointKind = 'periodic' | 'stop' | 'final';

/** A pointer in coord; the metadata is in checkpoint storage. */
export interface CompletedCheckpoint {
  readonly checkpointId: number;
  readonly kind: CheckpointKind;
  /** ms since 1970. */
  readonly completedAtMs: number;
  readonly durationMs: number;
  /** Of keyed state. */
  readonly stateBytes: number;
}

/** What is in checkpoint storage. */
export interface CheckpointMetadata {
  readonly checkpointId: number;
  readonly graphHash: string;
  readonly states: readonly TaskState[];
}

export type JobRequest = 'cancel' | 'stop';

/** Everything a new master reads about a job. */
export interface RecoveredJob {
  readonly spec: JobSpec;
  readonly record: JobRecord;
  /** The last checkpoint id that was reserved; 0: none. */
  readonly lastCheckpointId: number;
  /** Oldest first. */
  readonly completed: readonly CompletedCheckpoint[];
  /** Of the newest completed checkpoint; null if there is none. */
  readonly metadata: CheckpointMetadata | null;
  readonly request: JobRequest | null;
}

export function newJobRecord(): JobRecord {
  return { status: 'CREATED', epoch: 0, attempt: 0, regions: [], slots: [], splits: {}, restoredFrom: 0, restarts: 0, backoffMs: 0, failures: [] };
}
