/** Jobs as they stand in coord, for everybody: reading, submitting, asking for something. */
import type { CoordClient, Watcher } from '../../coord/client/index.ts';
import { isCoordError } from '../../coord/client/index.ts';
import { DreyError } from '../../coord/base/errors.ts';
import type { CompletedCheckpoint, JobRecord, JobRequest, JobSpec, RecoveredJob } from '../jobmaster/records.ts';
import { newJobRecord } from '../jobmaster/records.ts';
import type { Storage } from '../storage/storage.ts';
import { decodeMetadata } from './checkpoint-metadata.ts';
import {
  checkpointCounterPath, checkpointsPath, decodeJson, encodeJson, EPOCH_PATH, JOBS_PATH, jobPath, LEADER_PATH, metadataPath, recordPath, requestPath, TASK_MANAGERS_PATH,
} from './layout.ts';
import type { TaskManagerData } from './layout.ts';

/** A znode holds at most ZooKeeper's jute.maxbuffer, 1 MiB with all that goes around it. */
const SPEC_BYTES_MAX = 900_000;

export interface StoredJob {
  readonly spec: JobSpec;
  readonly record: JobRecord;
  readonly completed: readonly CompletedCheckpoint[];
}

/** Makes the orchestrator's znodes; those that are there are left alone. */
export async function ensureLayout(coord: CoordClient): Promise<void> {
  // The connect string's chroot.
  await coord.ensurePath('/');
  for (const path of [LEADER_PATH, TASK_MANAGERS_PATH, JOBS_PATH, EPOCH_PATH]) await coord.ensurePath(path);
}

/** All of the job's znodes appear at once. */
export async function createJob(coord: CoordClient, spec: JobSpec): Promise<void> {
  const data = encodeJson(spec);
  if (data.length > SPEC_BYTES_MAX) throw new DreyError('JOB_TOO_LARGE', `the graph and parameters of job ${spec.name} take ${data.length} bytes; at most ${SPEC_BYTES_MAX} fit a znode`);
  await coord.ensurePath(JOBS_PATH);
  await coord.multi([
    { type: 'create', path: jobPath(spec.jobId), data },
    { type: 'create', path: recordPath(spec.jobId), data: encodeJson(newJobRecord()) },
    { type: 'create', path: checkpointCounterPath(spec.jobId), data: '0' },
    { type: 'create', path: checkpointsPath(spec.jobId), data: encodeJson([]) },
  ]);
}

/** In the order of submission. `watch` is called once when the list may have changed. */
export async function listJobIds(coord: CoordClient, watch?: Watcher): Promise<string[]> {
  try {
    const { children } = await coord.getChildren(JOBS_PATH, watch === undefined ? {} : { watch });
    return children.sort();
  } catch (error) {
    if (isCoordError(error, 'NONODE')) return [];
    throw error;
  }
}

/** null: there is no such job. */
export async function readJob(coord: CoordClient, jobId: string): Promise<StoredJob | null> {
  try {
    const [spec, record, completed] = await Promise.all([coord.getData(jobPath(jobId)), coord.getData(recordPath(jobId)), coord.getData(checkpointsPath(jobId))]);
    return { spec: decodeJson<JobSpec>(spec.data), record: decodeJson<JobRecord>(record.data), completed: decodeJson<CompletedCheckpoint[]>(completed.data) };
  } catch (error) {
    if (isCoordError(error, 'NONODE')) return null;
    throw error;
  }
}

/** What a master needs to take the job over. null: there is no such job. */
export async function recoverJob(coord: CoordClient, jobId: string, storageOf: (url: string) => Storage): Promise<RecoveredJob | null> {
  const stored = await readJob(coord, jobId);
  if (stored === null) return null;
  const counter = await coord.getData(checkpointCounterPath(jobId));
  const newest = stored.completed.at(-1);
  // The pointer is in coord only if the metadata is in storage: a missing file is somebody's doing, and must not pass for "no checkpoint".
  const file = metadataPath(jobId, newest?.checkpointId ?? 0);
  const metadata = newest === undefined ? null : decodeMetadata(await storageOf(stored.spec.storageUrl).get(file), file);
  return { ...stored, lastCheckpointId: Number(Buffer.from(counter.data ?? []).toString('utf8')), metadata, request: await readRequest(coord, jobId) };
}

/** `watch` is called once when somebody asks for something (else). */
export async function readRequest(coord: CoordClient, jobId: string, watch?: Watcher): Promise<JobRequest | null> {
  const options = watch === undefined ? {} : { watch };
  for (;;) {
    try {
      return parseRequest((await coord.getData(requestPath(jobId), options)).data);
    } catch (error) {
      if (!isCoordError(error, 'NONODE')) throw error;
    }
    if ((await coord.exists(requestPath(jobId), options)) === null) return null;
  }
}

/** Anybody can write the znode: what is no request is none. */
function parseRequest(data: Uint8Array | null): JobRequest | null {
  try {
    const { request } = decodeJson<{ request?: unknown }>(data);
    return request === 'cancel' || request === 'stop' ? request : null;
  } catch {
    return null;
  }
}

/** The master that leads, now or later, does it. */
export async function requestOfJob(coord: CoordClient, jobId: string, request: JobRequest): Promise<void> {
  try {
    await coord.create(requestPath(jobId), encodeJson({ request }));
  } catch (error) {
    if (!isCoordError(error, 'NODEEXISTS')) throw error;
    await coord.setData(requestPath(jobId), encodeJson({ request }));
  }
}

export async function listTaskManagers(coord: CoordClient, watch?: Watcher): Promise<Map<string, TaskManagerData>> {
  const found = new Map<string, TaskManagerData>();
  let children: string[] = [];
  try {
    ({ children } = await coord.getChildren(TASK_MANAGERS_PATH, watch === undefined ? {} : { watch }));
  } catch (error) {
    if (!isCoordError(error, 'NONODE')) throw error;
  }
  await Promise.all(
    children.map(async (id) => {
      try {
        const data = parseTaskManager((await coord.getData(`${TASK_MANAGERS_PATH}/${id}`)).data);
        if (data !== null) found.set(id, data);
      } catch (error) {
        if (!isCoordError(error, 'NONODE')) throw error;
      }
    }),
  );
  return found;
}

/** Anybody can write the znode: what names no address is no task manager. */
function parseTaskManager(data: Uint8Array | null): TaskManagerData | null {
  try {
    const { address, slots } = decodeJson<{ address?: unknown; slots?: unknown }>(data);
    if (typeof address !== 'string' || !URL.canParse(`ws://${address}/rpc`) || !Number.isSafeInteger(slots) || Number(slots) < 1) return null;
    return { address, slots: Number(slots) };
  } catch {
    return null;
  }
}
