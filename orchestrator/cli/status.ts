/** drey status: who leads, who follows, what runs. Asks the servers of the connect string, then the job managers through coord. */
import { Command } from 'commander';
import { parseConnectString } from '../../coord/client/connect-string.ts';
import { currentLeader, type CoordClient } from '../../coord/client/index.ts';
import { overview, serverView, taskManagers, jobs as jobsOf, type ServerView } from '../cluster/probes.ts';
import { listJobIds, listTaskManagers, readJob } from '../ha/job-store.ts';
import { decodeJson, LEADER_PATH, type LeaderData } from '../ha/layout.ts';
import { summarize, type JobSummary, type TaskManagerView } from '../jobmaster/views.ts';
import { printJobs } from './job-output.ts';
import { connectForCommand, coordHelp, DEFAULT_COORD } from './options.ts';

interface Status {
  readonly servers: readonly ServerView[];
  readonly jobManager: { readonly address: string; readonly epoch: number } | null;
  readonly taskManagers: readonly TaskManagerView[];
  readonly jobs: readonly JobSummary[];
}

export function statusCommand(): Command {
  return new Command('status')
    .description('Who leads, who follows, what runs. Exit code 0 when a leader serves, 1 when none does.')
    .option('--coord <servers>', coordHelp, DEFAULT_COORD)
    .option('--json', 'print JSON', false)
    .action(async ({ coord, json }: { coord: string; json: boolean }) => {
      const servers = await Promise.all(parseConnectString(coord).servers.map(({ host, port }) => serverView(host, port)));
      const leads = servers.some(({ mode }) => mode === 'leader' || mode === 'standalone' || mode === 'follower');
      const status = leads ? await withOrchestrator(coord, servers) : { servers, jobManager: null, taskManagers: [], jobs: [] };
      if (json) console.log(JSON.stringify(status));
      else print(status);
      process.exitCode = leads ? 0 : 1;
    });
}

async function withOrchestrator(coord: string, servers: readonly ServerView[]): Promise<Status> {
  const client = await connectForCommand(coord);
  try {
    if ((await client.exists(LEADER_PATH)) === null) return { servers, jobManager: null, taskManagers: [], jobs: [] };
    const leader = await currentLeader(client, LEADER_PATH);
    const address = leader === null ? null : decodeJson<LeaderData>(leader.data).address;
    if (address !== null && (await overview(address)) !== null) {
      return { servers, jobManager: { address, epoch: leader?.epoch ?? 0 }, taskManagers: await taskManagers(address), jobs: await jobsOf(address) };
    }
    return { servers, jobManager: null, taskManagers: await registered(client), jobs: await stored(client) };
  } finally {
    await client.close();
  }
}

async function registered(client: CoordClient): Promise<TaskManagerView[]> {
  return [...(await listTaskManagers(client))].map(([id, { address, slots }]) => ({ id, address, slots, usedSlots: null, connected: null }));
}
async function stored(client: CoordClient): Promise<JobSummary[]> {
  const all = await Promise.all((await listJobIds(client)).map((id) => readJob(client, id)));
  return all.flatMap((each) => (each === null ? [] : [summarize(each.spec, each.record, each.completed)]));
}

function print({ servers, jobManager, taskManagers: workers, jobs }: Status): void {
  for (const { address, mode, zxid, connections, znodes } of servers) console.log(`server       ${address.padEnd(22)} ${(mode ?? 'does not serve').padEnd(15)}${mode === null ? '' : ` zxid ${zxid}  connections ${connections}  znodes ${znodes}`}`);
  console.log(`job manager  ${jobManager === null ? 'none leads' : `${jobManager.address.padEnd(22)} leads, epoch 0x${jobManager.epoch.toString(16)}`}`);
  for (const { id, address, slots, usedSlots } of workers) console.log(`task manager ${address.padEnd(22)} ${id}  slots ${usedSlots ?? '?'}/${slots}`);
  if (jobs.length > 0) {
    console.log('');
    printJobs([...jobs]);
  }
}
