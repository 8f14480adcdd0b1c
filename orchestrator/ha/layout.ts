/**
 * The znodes of the orchestrator. Everything below /drey/jobs except `request` is written by the leading master, in multis that hold a check of
 * /drey/epoch's version; `spec` by whoever submits.
 *
 *   /drey/epoch                            the epoch of the last elected master: raised by setData on each grant
 *   /drey/leader/candidate-…               election; data: LeaderData
 *   /drey/taskmanagers/<id>                ephemeral; data: TaskManagerData
 *   /drey/jobs/<jobId>                     JobSpec
 *   /drey/jobs/<jobId>/record              JobRecord: status and assignment
 *   /drey/jobs/<jobId>/checkpoint-counter  the last reserved checkpoint id, as decimal digits
 *   /drey/jobs/<jobId>/checkpoints         CompletedCheckpoint[], oldest first
 *   /drey/jobs/<jobId>/request             { request: 'cancel' | 'stop' }; absent until somebody asks
 */
export const ROOT = '/drey';
export const EPOCH_PATH = `${ROOT}/epoch`;
export const LEADER_PATH = `${ROOT}/leader`;
export const TASK_MANAGERS_PATH = `${ROOT}/taskmanagers`;
export const JOBS_PATH = `${ROOT}/jobs`;

export interface LeaderData {
  readonly masterId: string;
  /** host:port of its HTTP server. */
  readonly address: string;
  /** For jobs that are submitted without one of their own. */
  readonly storageUrl: string;
}
export interface TaskManagerData {
  /** host:port of its WebSocket server. */
  readonly address: string;
  readonly slots: number;
}

export function jobPath(jobId: string): string {
  return `${JOBS_PATH}/${jobId}`;
}
export function recordPath(jobId: string): string {
  return `${jobPath(jobId)}/record`;
}
export function checkpointCounterPath(jobId: string): string {
  return `${jobPath(jobId)}/checkpoint-counter`;
}
export function checkpointsPath(jobId: string): string {
  return `${jobPath(jobId)}/checkpoints`;
}
export function requestPath(jobId: string): string {
  return `${jobPath(jobId)}/request`;
}

/** Relative to checkpoint storage. Beside the states of the subtasks. */
export function metadataPath(jobId: string, checkpointId: number): string {
  return `${jobId}/chk-${checkpointId}/_metadata`;
}

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
export function decodeJson<T>(data: Uint8Array | null): T {
  return JSON.parse(Buffer.from(data ?? new Uint8Array()).toString('utf8')) as T;
}
