/** The orchestrator on a real Apache ZooKeeper, as somebody would run it who has one already. */
import test from 'ava';
import { zookeeperOrSkip } from '../lib/zookeeper-or-skip.ts';
import { cluster, surviveKills } from '../lib/job-processes.ts';
import { startZooKeeper } from '../tools/zookeeper.ts';

if (await zookeeperOrSkip(test, 'the orchestrator on Apache ZooKeeper')) {
  test('master killed, then a worker: the tasks go on, then move; nothing is lost or repeated', async (t) => {
    const zookeeper = await startZooKeeper({ config: { tickTime: 500 } });
    t.teardown(() => zookeeper.stop());
    await surviveKills(t, await cluster(t, `zk://${zookeeper.connectString}`, 'kills'));
  });
}
