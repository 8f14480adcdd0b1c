/** What `drey up` shows: gathered from outside, like any user could, and drawn as plain lines. */
import type { JobView } from '../jobmaster/views.ts';
import type { LocalCluster, Member } from './local-cluster.ts';
import { job as jobView, jobs, overview, serverView, taskManagers, type ServerView } from './probes.ts';

export interface Snapshot {
  readonly servers: readonly { readonly member: Member; readonly view: ServerView }[];
  readonly masters: readonly { readonly member: Member; readonly role: string; readonly epoch: number }[];
  readonly workers: readonly { readonly member: Member; readonly used: number | null; readonly slots: number }[];
  readonly jobs: readonly JobView[];
}

export async function gather(cluster: LocalCluster): Promise<Snapshot> {
  const servers = await Promise.all(cluster.of('server').map(async (member) => ({ member, view: await serverView('127.0.0.1', member.port) })));
  const masters = await Promise.all(
    cluster.of('jobmanager').map(async (member) => {
      const seen = cluster.running(member) ? await overview(`127.0.0.1:${member.port}`) : null;
      return { member, role: seen === null ? 'down' : seen.role === 'leader' ? 'leads' : 'stands by', epoch: seen?.role === 'leader' ? seen.epoch : 0 };
    }),
  );
  const leader = masters.find(({ role }) => role === 'leads');
  const address = leader === undefined ? null : `127.0.0.1:${leader.member.port}`;
  const known = address === null ? [] : await taskManagers(address);
  const workers = cluster.of('taskmanager').map((member) => {
    const worker = known.find((each) => each.address.endsWith(`:${member.port}`));
    return { member, used: worker?.usedSlots ?? null, slots: worker?.slots ?? 0 };
  });
  const views = address === null ? [] : await Promise.all((await jobs(address)).map(({ id }) => jobView(address, id)));
  return { servers, masters, workers, jobs: views.filter((each) => each !== null) };
}

/** Records per second from one snapshot to the next, by task. */
export class Rates {
  readonly #last = new Map<string, { readonly records: number; readonly atMs: number; readonly rate: number }>();

  of(executionId: string, records: number, nowMs: number): number {
    const last = this.#last.get(executionId);
    if (last !== undefined && records === last.records && nowMs - last.atMs < 2500) return last.rate;
    const rate = last === undefined || records < last.records ? 0 : ((records - last.records) * 1000) / Math.max(1, nowMs - last.atMs);
    this.#last.set(executionId, { records, atMs: nowMs, rate });
    return rate;
  }
}

export function draw(snapshot: Snapshot, rates: Rates, nowMs: number): string[] {
  const lines: string[] = [];
  const pid = (member: Member): string => `pid ${String(member.pid).padEnd(8)}${member.restarts > 0 ? `restarted ${member.restarts}x` : ''}`;
  for (const { member, view } of snapshot.servers) {
    lines.push(`${member.name.padEnd(15)}${(view.mode ?? 'no quorum').padEnd(11)} epoch ${String(view.epoch).padEnd(4)} zxid ${view.zxid.padEnd(14)} clients ${String(view.connections).padEnd(4)} 127.0.0.1:${member.port}  ${pid(member)}`);
  }
  for (const { member, role, epoch } of snapshot.masters) lines.push(`${member.name.padEnd(15)}${role.padEnd(11)} ${(epoch === 0 ? '' : `epoch 0x${epoch.toString(16)}`).padEnd(41)} 127.0.0.1:${member.port}  ${pid(member)}`);
  for (const { member, used, slots } of snapshot.workers) lines.push(`${member.name.padEnd(15)}${(used === null ? 'unknown' : `slots ${used}/${slots}`).padEnd(53)} 127.0.0.1:${member.port}  ${pid(member)}`);
  for (const view of snapshot.jobs) {
    lines.push('');
    lines.push(`${view.id}  ${view.status}  restarts ${view.restarts}  checkpoint ${view.lastCheckpointId}${view.checkpoints.pending === null ? '' : ` (${view.checkpoints.pending.checkpointId}: ${view.checkpoints.pending.acked}/${view.checkpoints.pending.of} acked)`}`);
    for (const vertex of view.vertices) {
      const tasks = view.tasks.filter((task) => task.vertexId === vertex.id);
      const perSecond = (of: 'numRecordsIn' | 'numRecordsOut'): string => Math.round(tasks.reduce((sum, task) => sum + (task.metrics === null ? 0 : rates.of(`${task.executionId}/${of}`, task.metrics[of], nowMs)), 0)).toString();
      lines.push(`  ${vertex.name.slice(0, 52).padEnd(54)}${tasks.map((task) => task.state.toLowerCase()).join(' ').padEnd(18)} in ${perSecond('numRecordsIn').padStart(7)}/s  out ${perSecond('numRecordsOut').padStart(7)}/s`);
    }
  }
  return lines;
}
