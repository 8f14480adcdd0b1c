/** Our client against a real Apache ZooKeeper 3.9. */
import test from 'ava';
import { clientSuite } from '../lib/client-suite.ts';
import { zookeeperOrSkip } from '../lib/zookeeper-or-skip.ts';
import { startZooKeeper } from '../tools/zookeeper.ts';

if (await zookeeperOrSkip(test, 'the client against Apache ZooKeeper')) {
  clientSuite(test, async (servers) => {
    const zookeeper = await startZooKeeper({ servers, config: { tickTime: 500, maxSessionTimeout: 60_000, extendedTypesEnabled: 'true' } });
    return {
      connectString: zookeeper.connectString,
      each: zookeeper.ports.map((port) => `127.0.0.1:${port}`),
      leader: zookeeper.leader,
      kill: async (server) => zookeeper.servers[server]?.kill(),
      signal: (server, name) => zookeeper.servers[server]?.signal(name),
      stop: zookeeper.stop,
    };
  });
}
