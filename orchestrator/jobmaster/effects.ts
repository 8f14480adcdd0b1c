/** What goes into the job master's core and what comes out of it. */
import type { SourceSplit } from '../api/source.ts';
import type { JobId, MasterMessage, WorkerMessage } from '../rpc/messages.ts';
import type { CheckpointMetadata, CompletedCheckpoint, JobRecord, JobRequest, RecoveredJob } from './records.ts';

export type MasterEvent =
  /** A job that this master did not know, as it stands in coord. */
  | { readonly type: 'jobFound'; readonly job: RecoveredJob }
  | { readonly type: 'request'; readonly jobId: JobId; readonly request: JobRequest }
  /** Registered in coord. */
  | { readonly type: 'taskManagerUp'; readonly taskManagerId: string; readonly address: string; readonly slots: number }
  | { readonly type: 'taskManagerConnected'; readonly taskManagerId: string }
  /** What was sent may be lost; the process may live. */
  | { readonly type: 'taskManagerDisconnected'; readonly taskManagerId: string }
  /** Its znode is gone or it refuses connections: none of its tasks lives on, or will not for longer than its lease. */
  | { readonly type: 'taskManagerLost'; readonly taskManagerId: string; readonly reason: string }
  | { readonly type: 'message'; readonly from: string; readonly message: WorkerMessage }
  /** The write is durable. */
  | { readonly type: 'written'; readonly writeId: number }
  /** It is not, and will not be: checkpoint storage refused the metadata. (A write to coord is repeated until it succeeds or is fenced.) */
  | { readonly type: 'writeFailed'; readonly writeId: number; readonly reason: string }
  | { readonly type: 'splitsDiscovered'; readonly jobId: JobId; readonly vertexId: string; readonly bounded: boolean; readonly splits: readonly SourceSplit[] }
  | { readonly type: 'splitsFailed'; readonly jobId: JobId; readonly vertexId: string; readonly message: string; readonly retryable: boolean }
  /** A newer master exists: a guarded write failed, or a task manager said so. */
  | { readonly type: 'fenced' }
  | { readonly type: 'time' };

/** Writes are guarded by the epoch and carried out in order within a job. */
export type MasterEffect =
  | { readonly type: 'send'; readonly to: string; readonly message: MasterMessage }
  | { readonly type: 'writeJob'; readonly writeId: number; readonly jobId: JobId; readonly record: JobRecord }
  | { readonly type: 'reserveCheckpointId'; readonly writeId: number; readonly jobId: JobId; readonly checkpointId: number }
  /** First the metadata to storage, then the pointers to coord. */
  | { readonly type: 'completeCheckpoint'; readonly writeId: number; readonly jobId: JobId; readonly metadata: CheckpointMetadata; readonly completed: readonly CompletedCheckpoint[] }
  /** Delete what storage has of it. Nobody waits. */
  | { readonly type: 'discardCheckpoint'; readonly jobId: JobId; readonly checkpointId: number }
  /** `known`: ids of the splits that the job has. */
  | { readonly type: 'discoverSplits'; readonly jobId: JobId; readonly vertexId: string; readonly known: readonly string[] }
  /** For the log. */
  | { readonly type: 'trace'; readonly name: string; readonly fields: Readonly<Record<string, unknown>> };
