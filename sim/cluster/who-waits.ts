/** What each part of a cluster is doing, and which of them cannot reach each other: for a job that does not get on. */
import type { Cluster } from './cluster.ts';
import type { SimTaskManager } from './sim-task-manager.ts';

/** One sentence, parts between semicolons. */
export function whoWaits(cluster: Cluster): string {
  const { master, taskManagers, kafka, sockets } = cluster;
  return [
    master === null ? 'no job manager leads' : `${master.name} leads in epoch ${master.epoch}${master.machine.process.paused ? ' (paused)' : ''}`,
    ...taskManagers.map(describe),
    ...sockets.blocked.map(([from, to]) => `nothing gets from ${from} to ${to}`),
    ...(kafka.away ? ['the brokers are away'] : []),
    ...[...kafka.cutOff].map((name) => `${name} does not reach the brokers`),
  ].join('; ');
}

function describe(worker: SimTaskManager): string {
  const { process } = worker.machine;
  if (!process.alive) return `${worker.name} is down`;
  if (process.paused) return `${worker.name} is paused`;
  const lease = worker.leased ? '' : ' without a lease';
  const tasks = worker.reports.filter(({ state }) => !OVER.has(state)).map(({ executionId, state }) => `${executionId} ${state}`);
  return `${worker.name}${lease} has ${tasks.length === 0 ? 'no task' : tasks.join(', ')}`;
}

const OVER: ReadonlySet<string> = new Set(['FINISHED', 'FAILED', 'CANCELED']);
