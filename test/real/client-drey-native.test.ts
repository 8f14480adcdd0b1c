/** Our client on our own servers, by the native protocol. */
import test from 'ava';
import { clientSuite } from '../lib/client-suite.ts';
import { startEnsemble, type EnsembleServer } from '../tools/ensemble.ts';

clientSuite(test, async (n) => {
  const ensemble = await startEnsemble({ servers: n, config: { tickTime: 500, maxSessionTimeout: 60_000 } });
  return {
    connectString: ensemble.nativeConnectString,
    each: ensemble.servers.map((server) => `drey://127.0.0.1:${server.httpPort}`),
    leader: async () => ensemble.servers.indexOf((await ensemble.leader()) as EnsembleServer),
    kill: async (server) => ensemble.servers[server]?.kill(),
    signal: (server, name) => ensemble.servers[server]?.signal(name),
    stop: ensemble.stop,
  };
});
