/** Jobs as text for a terminal. */
import type { JobSummary, JobView } from '../jobmaster/views.ts';
import type { OverviewView } from '../adapters/job-manager-http.ts';

export function printJobs(jobs: readonly JobSummary[]): void {
  if (jobs.length === 0) {
    console.log('no jobs; `drey job submit FILE` submits one');
    return;
  }
  printTable([
    ['ID', 'STATUS', 'PARALLELISM', 'RESTARTS', 'CHECKPOINT', 'SUBMITTED'],
    ...jobs.map((job) => [job.id, job.status, String(job.parallelism), String(job.restarts), job.lastCheckpointId === 0 ? '-' : String(job.lastCheckpointId), time(job.submittedAtMs)]),
  ]);
}

/** `live`: from the leading master; else from coord alone. */
export function printJob(job: JobView, live: boolean): void {
  console.log(`${job.id}  ${job.status}${live ? '' : '  (no job manager answers: what coord holds)'}`);
  console.log(`submitted ${time(job.submittedAtMs)}, ${job.restarts} restarts, placement ${job.placement}, written by the master of epoch ${job.epoch}`);
  const { completed, pending, aborted, lastAborted } = job.checkpoints;
  const newest = completed.at(-1);
  const parts = [newest === undefined ? 'none complete' : `newest ${newest.checkpointId} (${newest.kind}, ${newest.durationMs} ms, ${newest.stateBytes} bytes of keyed state, ${time(newest.completedAtMs)})`];
  if (pending !== null) parts.push(`pending ${pending.checkpointId}: ${pending.acked} of ${pending.of} acked`);
  if (aborted > 0) parts.push(`${aborted} aborted, the last: ${lastAborted?.reason ?? ''}`);
  console.log(`checkpoints: ${parts.join('; ')}`);
  const names = new Map(job.vertices.map(({ id, name }) => [id, name]));
  const splits = new Map<string, number>();
  for (const { vertexId, subtask } of job.splits) splits.set(`${vertexId}/${subtask}`, (splits.get(`${vertexId}/${subtask}`) ?? 0) + 1);
  console.log('');
  printTable([
    ['TASK', 'OPERATORS', 'STATE', 'ATTEMPT', 'TASK MANAGER', 'SPLITS', 'IN', 'OUT'],
    ...job.tasks.map((task) => [
      `${task.vertexId}/${task.subtask}`, names.get(task.vertexId) ?? '', task.state, String(task.attempt), task.taskManagerId ?? '-', String(splits.get(`${task.vertexId}/${task.subtask}`) ?? '-'),
      String(task.metrics?.numRecordsIn ?? '-'), String(task.metrics?.numRecordsOut ?? '-'),
    ]),
  ]);
  if (job.failures.length === 0) return;
  console.log('\nfailures, newest first:');
  for (const failure of job.failures) console.log(`  ${time(failure.atMs)}  ${failure.executionId ?? 'job'}  ${failure.message}`);
}

/** Why a job does not begin, if that is why. A job that restarts holds the slots it still has. */
export function printLackOfSlots(job: JobView, { slots, usedSlots }: OverviewView): void {
  const held = new Set(job.tasks.filter(({ taskManagerId, state }) => taskManagerId !== null && state !== 'FAILED').map(({ executionId }) => executionId.split('/')[2])).size;
  const free = slots - (usedSlots ?? 0);
  if (job.parallelism - held > free) console.log(`\nwaits for slots: it needs ${job.parallelism - held}, ${free} of ${slots} are free`);
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ').trimEnd());
}

function time(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
}
