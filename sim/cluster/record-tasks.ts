/** Draws what the tasks of a cluster do: a band for each task, one for checkpoints, and messages by their types. */
import { decodeMessage } from '../../orchestrator/rpc/codec.ts';
import type { MasterMessage, WorkerMessage } from '../../orchestrator/rpc/messages.ts';
import type { Recorder } from '../record/recorder.ts';
import type { Cluster } from './cluster.ts';

const LOOK_MS = 20;
/** Sent about once a second by everybody. */
const QUIET = new Set(['metrics']);

export function recordTasks(recorder: Recorder, cluster: Cluster): void {
  const { world, sockets, taskManagers, jobManagers } = cluster;
  sockets.describe = (path, fromDialler, frame) => {
    if (path !== '/rpc') return { type: fromDialler ? 'data' : 'credit', fields: { bytes: frame.length } };
    const { type, ...fields } = decodeMessage<MasterMessage | WorkerMessage>(frame) as { type: string };
    return { type, fields: QUIET.has(type) ? {} : fields };
  };
  const shown = new Map<string, string>();
  const band = (lane: string, name: string, label: string | null): void => {
    const key = `${lane} ${name}`;
    if ((shown.get(key) ?? null) === label) return;
    if (shown.has(key)) recorder.end(world.nowMs, lane, name);
    shown.delete(key);
    if (label === null) return;
    shown.set(key, label);
    recorder.begin(world.nowMs, lane, name, label);
  };
  const look = (): void => {
    for (const { name, leading, epoch, manager } of jobManagers) {
      band(name, 'role', leading ? `leading, epoch ${epoch ?? ''}` : null);
      const job = leading ? [...(manager?.term?.master.jobs.values() ?? [])][0] : undefined;
      band(name, 'checkpoint', job?.checkpoints.pending == null ? null : `checkpoint ${job.checkpoints.pending.checkpointId}`);
    }
    for (const { name, reports } of taskManagers) {
      const live = reports.filter(({ state }) => state !== 'FINISHED' && state !== 'CANCELED' && state !== 'FAILED');
      band(name, 'task', live.length === 0 ? null : live.map(({ executionId, state }) => `${executionId.slice(executionId.indexOf('/') + 1)} ${state}`).join(', '));
    }
    world.schedule(LOOK_MS, look, false);
  };
  look();
}
