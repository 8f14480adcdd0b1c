/** The leader goes, by kill -9 or by being stopped for a while, under load: sessions and ephemerals stay, writes go on, nobody reads the past. */
import test from 'ava';
import { differences, patientClient, wholeTree, WriteLoad } from '../lib/write-load.ts';
import { startEnsemble, type Ensemble, type EnsembleServer } from '../tools/ensemble.ts';

async function newLeader(ensemble: Ensemble, old: EnsembleServer): Promise<EnsembleServer> {
  const others = ensemble.servers.filter((server) => server !== old);
  for (;;) {
    for (const server of others) if ((await server.mode()) === 'leader') return server;
  }
}

for (const [how, lose, back] of [
  ['kill -9', (leader: EnsembleServer) => leader.kill(), (leader: EnsembleServer) => leader.start()],
  ['SIGSTOP', async (leader: EnsembleServer) => leader.signal('SIGSTOP'), (leader: EnsembleServer) => leader.signal('SIGCONT')],
] as const) {
  test(`${how} of the leader under load, three times`, async (t) => {
    const ensemble = await startEnsemble();
    t.teardown(ensemble.stop);
    const load = new WriteLoad('/load', { clients: 3, writers: 4 });
    t.teardown(() => load.abandon());
    await load.start(ensemble.connectString);
    const owners = load.clients.map((client) => client.session.id);
    for (const [i, client] of load.clients.entries()) await client.create(`/ephemeral-${i}`, '', { mode: 'ephemeral' });
    for (let round = 0; round < 3; round++) {
      const leader = (await ensemble.leader()) as EnsembleServer;
      await load.ackedMore(100);
      await lose(leader);
      await newLeader(ensemble, leader);
      await load.ackedMore(300);
      back(leader);
      // It may answer before it has found out that it was asleep; what it says after a sync is the truth.
      t.deepEqual(await load.lost(`127.0.0.1:${leader.clientPort}`), [], `round ${round}`);
      await leader.serving();
    }
    await load.stop(false);
    t.deepEqual(load.errors, []);
    t.deepEqual(load.signals.filter((signal) => signal === 'expired' || signal === 'lease-lost'), []);
    const observer = await patientClient(ensemble.connectString);
    for (const [i, owner] of owners.entries()) t.is((await observer.exists(`/ephemeral-${i}`))?.ephemeralOwner, owner);
    await observer.close();
    await Promise.all(load.clients.map((client) => client.close()));
    const [first, ...others] = await Promise.all(ensemble.servers.map((server) => wholeTree(`127.0.0.1:${server.clientPort}`)));
    for (const other of others) t.deepEqual(differences(first!, other), []);
    t.log(`${load.acked} writes acked, ${load.signals.filter((signal) => signal === 'reconnected').length} reconnects`);
  });
}

test('a stopped leader that wakes never answers a sync with the past', async (t) => {
  const ensemble = await startEnsemble();
  t.teardown(ensemble.stop);
  const leader = (await ensemble.leader()) as EnsembleServer;
  // This client is connected to the leader before it sleeps: its sync and read reach it the moment it wakes.
  const within = await patientClient(`127.0.0.1:${leader.clientPort}`, 40_000);
  t.teardown(() => within.close());
  await within.create('/value', 'old');
  leader.signal('SIGSTOP');
  const without = await patientClient(ensemble.servers.filter((server) => server !== leader).map((server) => `127.0.0.1:${server.clientPort}`).join(','));
  t.teardown(() => without.close());
  await without.setData('/value', 'new');
  const value = async (): Promise<string> => Buffer.from((await within.getData('/value')).data ?? []).toString();
  const [synced, read] = [within.sync('/value').then(() => true, () => false), value().catch(() => 'cut off')];
  leader.signal('SIGCONT');
  const [isSynced, got] = [await synced, await read];
  t.true(!isSynced || got !== 'old', `sync ${isSynced ? 'succeeded' : 'failed'}, and the read after it got ${got}`);
  await within.sync('/value').catch(() => within.sync('/value'));
  t.is(await value(), 'new');
});
