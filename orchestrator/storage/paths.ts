/** Where things are in checkpoint storage. A job's own things are all under its id, so that they can be deleted together. */

/** A job's bundle, by content. */
export function bundlePath(bundleHash: string): string {
  return `bundles/${bundleHash}.cjs`;
}

/** Prefix of everything that belongs to one checkpoint. */
export function checkpointPrefix(jobId: string, checkpointId: number): string {
  return `${jobId}/chk-${checkpointId}/`;
}

/** Keyed state of one subtask. A checkpoint id is never used twice, so nothing is overwritten. */
export function subtaskStatePath(jobId: string, checkpointId: number, vertexId: string, subtask: number): string {
  return `${checkpointPrefix(jobId, checkpointId)}${vertexId}-${subtask}.state`;
}
