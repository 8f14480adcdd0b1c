/** Mutants of watches. */
import type { Mutant } from './mutant.ts';

const WATCHES = 'coord/tree/watch-manager.ts';
const SERVER = 'coord/server/server.ts';

export const watchMutants: readonly Mutant[] = [
  {
    name: 'setwatches-from-now', historic: 'ETCD-15271', summary: 'what changed while a client was away is not told when it comes back',
    edits: [{ file: WATCHES, find: '    const since = request.relativeZxid;\n', replace: '    const since = tree.lastProcessedZxid;\n' }],
    hunts: [{ scenario: 'ETCD-15271', servers: 3 }], expects: ['WatchOrder'],
  },
  {
    name: 'setwatches-from-zero', historic: 'ZK-1412', summary: 'a client that comes back is told of changes that it has seen',
    edits: [{ file: WATCHES, find: '    const since = request.relativeZxid;\n', replace: '    const since = 0;\n' }],
    hunts: [{ scenario: 'ZK-1412', servers: 3 }], expects: ['WatchSpurious'],
  },
  {
    name: 'event-after-reply', historic: '', summary: 'watch events leave at the end of the turn, after replies that show the change',
    edits: [
      { file: SERVER, find: '    connection.sink.event(type, KeeperState.SyncConnected, path, this.#changeZxid);\n', replace: '    const zxid = this.#changeZxid;\n    this.#late.push(() => connection.sink.event(type, KeeperState.SyncConnected, path, zxid));\n' },
      { file: SERVER, find: '  #changeZxid: Zxid = 0;\n', replace: '  #changeZxid: Zxid = 0;\n  #late: (() => void)[] = [];\n' },
      { file: SERVER, find: '    this.#throttle.resumeFaces();\n', replace: '    for (const late of this.#late) late();\n    this.#late = [];\n    this.#throttle.resumeFaces();\n' },
    ],
    hunts: [{ scenario: 'swarm', servers: 3 }, { scenario: 'flood', servers: 3 }], expects: ['WatchOrder'],
  },
  {
    name: 'watch-fires-twice', historic: 'ETCD-17247', summary: 'a watch stays after it has fired',
    edits: [{ file: WATCHES, find: '      for (const watcher of taken) this.remove(path, watcher, STANDARD);\n', replace: '' }],
    hunts: [{ scenario: 'ETCD-17247', servers: 3 }], expects: ['WatchSpurious'],
  },
  {
    name: 'child-watch-misses-deletes', historic: '', summary: 'a child watch does not hear that a child is gone',
    edits: [{ file: 'coord/tree/data-tree.ts', find: "      this.onChange('deleted', path, zxid, acl);\n      this.onChange('childrenChanged', parent.path, zxid, parent.acl);\n", replace: "      this.onChange('deleted', path, zxid, acl);\n" }],
    hunts: [{ scenario: 'swarm', servers: 3 }], expects: ['WatchOrder'],
  },
  {
    name: 'watches-leak', historic: 'ZK-1382', summary: 'the watches of a connection that is gone stay in the tables',
    edits: [{ file: SERVER, find: '    this.watches.removeAll(connection);\n', replace: '' }],
    hunts: [{ scenario: 'ZK-1382', servers: 3 }], expects: ['WatchLeak'],
  },
];
