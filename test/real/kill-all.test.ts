/** kill -9 of every server at once under write load, several rounds: what was acked is there afterwards, on each server, and is the same on each. */
import test from 'ava';
import { differences, patientClient, wholeTree, WriteLoad } from '../lib/write-load.ts';
import { startEnsemble } from '../tools/ensemble.ts';

const ROUNDS = 4;

test('no acked write is lost when all servers are killed', async (t) => {
  const ensemble = await startEnsemble({ config: { tickTime: 500 } });
  t.teardown(ensemble.stop);
  const load = new WriteLoad('/load', { clients: 3, writers: 8, znodes: 60, sessionTimeoutMs: 4000 });
  t.teardown(() => load.abandon());
  await load.start(ensemble.connectString);
  for (let round = 0; round < ROUNDS; round++) {
    // Where in the life of a write the kill falls is left to the machine.
    await load.ackedMore(200 + 131 * round);
    await Promise.all(ensemble.servers.map((server) => server.kill()));
    for (const server of ensemble.servers) server.start();
    await Promise.all(ensemble.servers.map((server) => server.serving()));
    for (const server of ensemble.servers) t.deepEqual(await load.lost(`127.0.0.1:${server.clientPort}`), [], `round ${round}`);
  }
  await load.stop();
  t.deepEqual(load.errors, []);
  const [first, ...others] = await Promise.all(ensemble.servers.map((server) => wholeTree(`127.0.0.1:${server.clientPort}`)));
  for (const other of others) t.deepEqual(differences(first!, other), []);
  t.log(`${load.acked} writes acked, ${first!.size} znodes, ${load.signals.filter((signal) => signal === 'expired').length} sessions expired`);
});

test('ephemerals of a session that nobody keeps go after the restart, those of a living one stay', async (t) => {
  const ensemble = await startEnsemble({ config: { tickTime: 500 } });
  t.teardown(ensemble.stop);
  const [gone, stays] = [await patientClient(ensemble.connectString, 4000), await patientClient(ensemble.connectString, 4000)];
  await gone.create('/gone', '', { mode: 'ephemeral' });
  await stays.create('/stays', '', { mode: 'ephemeral' });
  const resumed = { id: gone.session.id, password: gone.session.password };
  await Promise.all(ensemble.servers.map((server) => server.kill()));
  // Closed while there is no server that could hear of it: the session lives on, and nobody has it.
  await gone.close();
  for (const server of ensemble.servers) server.start();
  const deleted = new Promise<void>((resolve) => {
    void stays.exists('/gone', { watch: (event) => (event.type === 'NodeDeleted' ? resolve() : undefined) }).then((stat) => {
      t.is(stat?.ephemeralOwner, resumed.id, 'a new leader gives every session its whole timeout again');
    });
  });
  await deleted;
  for (const server of ensemble.servers) {
    const client = await patientClient(`127.0.0.1:${server.clientPort}`);
    await client.sync('/');
    t.is(await client.exists('/gone'), null);
    t.is((await client.exists('/stays'))?.ephemeralOwner, stays.session.id);
    await client.close();
  }
  t.is(stays.state, 'connected');
  await stays.close();
});
