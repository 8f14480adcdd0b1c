import test from 'ava';
import { OPEN_ACL } from '../../../coord/tree/acl.ts';
import { WatchManager, WatcherType } from '../../../coord/tree/watch-manager.ts';
import type { WatchKind } from '../../../coord/tree/watch-manager.ts';
import { OpCode } from '../../../coord/wire/codes.ts';
import type { Acl } from '../../../coord/wire/types.ts';
import { TreeHarness, requestOf } from './harness.ts';

interface Connection {
  readonly name: string;
}
const NAMES = ['', 'created', 'deleted', 'data', 'children'];

/** A tree whose changes trigger watches; `fired` gives, and forgets, what went to whom, in order. */
function world() {
  const harness = new TreeHarness();
  const watches = new WatchManager<Connection>();
  const log: string[] = [];
  const acls: (readonly Acl[])[] = [];
  const fire = (watcher: Connection, type: number, path: string, acl: readonly Acl[]): void => {
    log.push(`${watcher.name} ${NAMES[type]} ${path}`);
    acls.push(acl);
  };
  harness.tree.onChange = (event, path, _zxid, acl) => watches.trigger(event, path, fire, acl);
  const a: Connection = { name: 'a' };
  const b: Connection = { name: 'b' };
  harness.createSession(1n);
  harness.commit();
  const fired = (): string[] => log.splice(0);
  const create = (path: string, acl: readonly Acl[] = OPEN_ACL): string[] => {
    harness.request(requestOf({ op: OpCode.create, path, acl }), 1n);
    harness.commit();
    return fired();
  };
  const remove = (path: string): string[] => {
    harness.request(requestOf({ op: OpCode.delete, path }), 1n);
    harness.commit();
    return fired();
  };
  const set = (path: string): string[] => {
    harness.request(requestOf({ op: OpCode.setData, path, data: new Uint8Array(1) }), 1n);
    harness.commit();
    return fired();
  };
  return { harness, watches, fire, fired, acls, a, b, create, remove, set };
}

test('a standard watch fires once; each event reaches the table it is for', (t) => {
  const { watches, a, b, create, remove, set } = world();
  watches.add('data', '/p', a);
  watches.add('child', '/', b);
  t.deepEqual(create('/p'), ['a created /p', 'b children /']);
  t.deepEqual(set('/p'), []);
  watches.add('data', '/p', a);
  watches.add('child', '/p', a);
  t.deepEqual(set('/p'), ['a data /p']);
  t.deepEqual(create('/p/c'), ['a children /p']);
  t.deepEqual(remove('/p/c'), []);
  t.deepEqual([watches.watchCount, watches.pathCount, watches.watcherCount], [0, 0, 0]);
  t.deepEqual(remove('/p'), []);
});

test('one NodeDeleted goes to a connection that holds data and child watches; then the parent\'s children changed', (t) => {
  const { watches, a, b, create, remove } = world();
  create('/p');
  watches.add('data', '/p', a);
  watches.add('child', '/p', a);
  watches.add('child', '/p', b);
  watches.add('child', '/', a);
  t.deepEqual(remove('/p'), ['a deleted /p', 'b deleted /p', 'a children /']);
  t.is(watches.watchCount, 0);
});

test('setACL fires nothing', (t) => {
  const { harness, watches, fired, a, create } = world();
  create('/p');
  for (const kind of ['data', 'child', 'persistent', 'persistentRecursive'] as WatchKind[]) watches.add(kind, '/p', a);
  harness.request(requestOf({ op: OpCode.setACL, path: '/p', acl: OPEN_ACL }), 1n);
  harness.commit();
  t.deepEqual(fired(), []);
});

test('persistent watches stay, in both tables', (t) => {
  const { watches, a, create, remove, set } = world();
  watches.add('persistent', '/p', a);
  t.deepEqual(create('/p'), ['a created /p']);
  t.deepEqual(set('/p'), ['a data /p']);
  t.deepEqual(create('/p/c'), ['a children /p']);
  t.deepEqual(set('/p/c'), []);
  t.deepEqual(remove('/p/c'), ['a children /p']);
  t.deepEqual(remove('/p'), ['a deleted /p']);
  t.deepEqual(create('/p'), ['a created /p']);
});

test('recursive watches name the znode that changed, at any depth, and see no children events', (t) => {
  const { watches, a, b, create, remove, set } = world();
  watches.add('persistentRecursive', '/p', a);
  watches.add('persistentRecursive', '/', b);
  t.deepEqual(create('/p'), ['a created /p', 'b created /p']);
  t.deepEqual(create('/p/c'), ['a created /p/c', 'b created /p/c']);
  t.deepEqual(create('/p/c/d'), ['a created /p/c/d', 'b created /p/c/d']);
  t.deepEqual(create('/px'), ['b created /px']);
  t.deepEqual(set('/p/c/d'), ['a data /p/c/d', 'b data /p/c/d']);
  t.deepEqual(remove('/p/c/d'), ['a deleted /p/c/d', 'b deleted /p/c/d']);
});

test('an event reaches a connection once, however many of its watches match', (t) => {
  const { watches, a, create, set, remove } = world();
  watches.add('persistentRecursive', '/', a);
  watches.add('persistentRecursive', '/p', a);
  watches.add('persistent', '/p', a);
  watches.add('data', '/p', a);
  t.deepEqual(create('/p'), ['a created /p']);
  t.deepEqual(set('/p'), ['a data /p']);
  t.deepEqual(remove('/p'), ['a deleted /p']);
});

test('modes live side by side: firing a standard watch leaves the persistent ones (ZOOKEEPER-4466)', (t) => {
  const { watches, a, create, set } = world();
  create('/p');
  watches.add('persistent', '/p', a);
  watches.add('data', '/p', a);
  t.true(watches.contains('/p', a, WatcherType.Data));
  t.deepEqual(set('/p'), ['a data /p']);
  t.false(watches.contains('/p', a, WatcherType.Data));
  t.true(watches.contains('/p', a, WatcherType.Persistent));
  t.deepEqual(set('/p'), ['a data /p']);
});

test('removal by type: for each kind of watch, which types find it', (t) => {
  const { Children, Data, Any, Persistent, PersistentRecursive } = WatcherType;
  const table: [WatchKind, number[]][] = [
    ['data', [Data, Any]],
    ['child', [Children, Any]],
    ['persistent', [Persistent, Any]],
    ['persistentRecursive', [PersistentRecursive, Any]],
  ];
  for (const [kind, found] of table) {
    for (const type of [0, Children, Data, Any, Persistent, PersistentRecursive, 6]) {
      const { watches, a, b } = world();
      watches.add(kind, '/p', a);
      t.is(watches.contains('/p', a, type), found.includes(type), `contains ${kind} by ${type}`);
      t.false(watches.contains('/p', b, type));
      t.false(watches.remove('/q', a, type));
      t.is(watches.remove('/p', a, type), found.includes(type), `remove ${kind} by ${type}`);
      t.is(watches.watchCount === 0, found.includes(type));
      t.false(watches.contains('/p', a, found.includes(type) ? Any : type));
    }
  }
});

test('a connection that goes takes its watches along, and only its own', (t) => {
  const { watches, a, b, create } = world();
  for (const kind of ['data', 'child', 'persistent', 'persistentRecursive'] as WatchKind[]) {
    watches.add(kind, '/p', a);
    watches.add(kind, '/p', b);
  }
  t.deepEqual([watches.watchCount, watches.pathCount, watches.watcherCount], [4, 2, 2]);
  watches.removeAll(a);
  t.deepEqual([watches.watchCount, watches.pathCount, watches.watcherCount], [2, 2, 1]);
  t.deepEqual([...watches.byWatcher()].map(([watcher, paths]) => [watcher.name, [...paths]]), [['b', ['/p']]]);
  t.deepEqual(create('/p'), ['b created /p']);
  t.deepEqual(create('/p/c'), ['b created /p/c', 'b children /p']);
  watches.removeAll(b);
  t.is(watches.watchCount, 0);
  t.deepEqual(create('/p/d'), []);
});

test('setWatches fires what changed since, and arms the rest', (t) => {
  const { harness, watches, fire, fired, a, create, set, remove } = world();
  create('/same');
  create('/changed');
  create('/parent');
  const since = harness.zxid;
  set('/changed');
  create('/parent/c');
  create('/appeared');
  watches.setWatches(harness.tree, requestOf({
    relativeZxid: since,
    dataWatches: ['/same', '/changed', '/gone'],
    existWatches: ['/appeared', '/missing'],
    childWatches: ['/same', '/parent', '/gone'],
    persistentWatches: ['/changed'],
    persistentRecursiveWatches: ['/parent'],
  }), a, fire);
  t.deepEqual(fired(), ['a data /changed', 'a deleted /gone', 'a created /appeared', 'a children /parent', 'a deleted /gone']);
  t.deepEqual(set('/same'), ['a data /same']);
  t.deepEqual(create('/same/x'), ['a children /same']);
  t.deepEqual(create('/missing'), ['a created /missing']);
  t.deepEqual(set('/changed'), ['a data /changed']);
  t.deepEqual(remove('/parent/c'), ['a deleted /parent/c']);
  t.deepEqual(set('/appeared'), []);
});

test('fire gets the ACL to check READ by; for a deleted znode the one it had (CVE-2024-23944)', (t) => {
  const { watches, acls, a, create, remove } = world();
  const secret = [{ perms: 31, scheme: 'digest', id: 'u:hash' }];
  watches.add('persistentRecursive', '/', a);
  create('/secret', secret);
  remove('/secret');
  t.deepEqual(acls, [secret, secret]);
});

test('a watcher may go away while it is told', (t) => {
  const { harness, watches, a, b } = world();
  const told: string[] = [];
  watches.add('data', '/p', a);
  watches.add('data', '/p', b);
  watches.add('persistent', '/p', a);
  harness.tree.onChange = (event, path, _zxid, acl) => watches.trigger(event, path, (watcher) => {
    told.push(watcher.name);
    watches.removeAll(watcher);
  }, acl);
  harness.request(requestOf({ op: OpCode.create, path: '/p', acl: OPEN_ACL }), 1n);
  harness.commit();
  t.deepEqual(told, ['a', 'b']);
  t.is(watches.watchCount, 0);
});
