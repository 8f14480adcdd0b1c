/** A server that was away for long, or lost its disk, comes back while writes go on: it takes a SNAP, and then shows the very same tree. */
import test from 'ava';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { differences, inParallel, patientClient, wholeTree, WriteLoad } from '../lib/write-load.ts';
import { startEnsemble, type Ensemble, type EnsembleServer } from '../tools/ensemble.ts';

/** Enough to have the journal of that time purged, which is kept for 64 MB. */
async function write(connectString: string, megabytes: number): Promise<void> {
  const client = await patientClient(connectString);
  await client.ensurePath('/bulk');
  await inParallel(Array.from({ length: 4 * megabytes }, (_, i) => i), async (i) => {
    const path = `/bulk/${i % 100}`;
    const data = Buffer.alloc(250_000, i);
    if ((await client.exists(path)) === null) await client.create(path, data);
    else await client.setData(path, data);
  }, 8);
  await client.close();
}

const follower = async (ensemble: Ensemble): Promise<EnsembleServer> => {
  const leader = await ensemble.leader();
  return ensemble.servers.find((server) => server !== leader) as EnsembleServer;
};
const snaps = (ensemble: Ensemble): number => ensemble.servers.reduce((n, server) => n + readFileSync(server.logFile, 'utf8').split('"SNAP"').length - 1, 0);

test('a server that was away for more than the journal, and one whose data directory was emptied', async (t) => {
  const ensemble = await startEnsemble({ verbose: true });
  t.teardown(ensemble.stop);
  const load = new WriteLoad('/load', { clients: 2, writers: 4, znodes: 100 });
  t.teardown(() => load.abandon());
  await load.start(ensemble.connectString);
  let snapsBefore = snaps(ensemble);

  const lagging = await follower(ensemble);
  await lagging.kill();
  await write(ensemble.connectString, 110);
  lagging.start();
  await lagging.serving();
  // More than one where a busy machine made it begin again.
  t.true(snaps(ensemble) > snapsBefore, 'SNAP was chosen');
  t.deepEqual(await load.lost(`127.0.0.1:${lagging.clientPort}`), []);

  const empty = await follower(ensemble);
  snapsBefore = snaps(ensemble);
  await empty.kill();
  const data = join(empty.home, 'data');
  for (const name of readdirSync(data)) if (name !== 'myid') rmSync(join(data, name), { recursive: true });
  empty.start();
  await empty.serving();
  t.true(snaps(ensemble) > snapsBefore, 'SNAP was chosen');
  t.deepEqual(await load.lost(`127.0.0.1:${empty.clientPort}`), []);

  // What it took is on its disk: it can bear the others' loss.
  const other = ensemble.servers.find((server) => server !== lagging && server !== empty) ?? (await follower(ensemble));
  await other.kill();
  await load.ackedMore(100);
  other.start();
  await other.serving();
  await load.stop();
  t.deepEqual(load.errors, []);
  const [first, ...others] = await Promise.all(ensemble.servers.map((server) => wholeTree(`127.0.0.1:${server.clientPort}`)));
  for (const tree of others) t.deepEqual(differences(first!, tree), []);
  t.log(`${load.acked} writes acked, ${first!.size} znodes`);
});
