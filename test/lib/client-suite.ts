/**
 * What a client must do on any ensemble: the same tests for Apache ZooKeeper and for drey on both its protocols. Each test has a
 * directory of its own, so that they run side by side on one ensemble; those that kill servers take one of their own,
 * before the others. Sessions are long, since the machine may be busy.
 */
import type { TestFn } from 'ava';
import { connect, CREATOR_ALL_ACL, currentLeader, GroupWatch, isCoordError, LeaderElection, Lock, Membership, MultiError, OPEN_ACL, READ_ACL, withLock } from '../../coord/client/index.ts';
import type { ConnectOptions, CoordClient, CoordError, Leadership, Member, StateSignal, WatchEvent } from '../../coord/client/index.ts';
import { startCuttingProxy } from './cutting-proxy.ts';
import { freePorts } from '../tools/java-process.ts';
import { systemTimers } from '../../coord/adapters/system-ports.ts';

export interface SuiteEnsemble {
  /** Of one server, or of all: "scheme://host:port,…" */
  readonly connectString: string;
  /** One for each server. */
  readonly each: readonly string[];
  /** SIGKILL; resolves when the process is gone. */
  kill(server: number): Promise<void>;
  /** The index of the server that leads. */
  leader(): Promise<number>;
  /** SIGSTOP, SIGCONT. */
  signal(server: number, name: 'SIGSTOP' | 'SIGCONT'): void;
  stop(): Promise<void>;
}

export type StartEnsemble = (servers: 1 | 3) => Promise<SuiteEnsemble>;

export function clientSuite(test: TestFn, start: StartEnsemble): void {
  let shared: SuiteEnsemble;
  let next = 0;
  const clients: CoordClient[] = [];

  test.before(async () => {
    shared = await start(1);
  });
  test.after.always(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await shared?.stop();
  });

  const open = async (connectString: string, options: ConnectOptions = {}): Promise<CoordClient> => {
    const client = await connect(connectString, { connectTimeoutMs: 20_000, sessionTimeoutMs: 30_000, ...options });
    clients.push(client);
    return client;
  };
  /** A client below an empty directory of its own. */
  const inOwnRoot = async (options: ConnectOptions = {}): Promise<{ client: CoordClient; root: string }> => {
    const root = `/t${next++}`;
    const client = await open(`${shared.connectString}${root}`, options);
    await client.ensurePath('/');
    return { client, root };
  };
  const codeOf = async (promise: Promise<unknown>): Promise<string> => {
    try {
      await promise;
      return 'OK';
    } catch (error) {
      if (isCoordError(error)) return error.code;
      throw error;
    }
  };

  test('create, get, set, list, delete', async (t) => {
    const { client } = await inOwnRoot();
    t.is(await client.create('/a', 'one'), '/a');
    const created = await client.getData('/a');
    t.is(text(created.data), 'one');
    t.is(created.stat.version, 0);
    t.is(created.stat.czxid, created.stat.mzxid);
    t.is(created.stat.ephemeralOwner, 0n);
    const stat = await client.setData('/a', 'three', 0);
    t.is(stat.version, 1);
    t.is(stat.dataLength, 5);
    t.true(stat.mzxid > stat.czxid);
    await client.create('/a/y');
    await client.create('/a/x');
    const list = await client.getChildren('/a');
    t.deepEqual(list.children.sort(), ['x', 'y']);
    t.is(list.stat.numChildren, 2);
    t.is((await client.exists('/a'))?.cversion, 2);
    await client.delete('/a/x');
    await client.delete('/a/y', 0);
    await client.delete('/a', 1);
    t.is(await client.exists('/a'), null);
  });

  test('null, empty, binary and large data are what they were', async (t) => {
    const { client } = await inOwnRoot();
    await client.create('/null', null);
    t.is((await client.getData('/null')).data, null);
    await client.create('/empty', '');
    t.deepEqual((await client.getData('/empty')).data, new Uint8Array(0));
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.create('/bytes', bytes);
    t.deepEqual((await client.getData('/bytes')).data, bytes);
    const large = new Uint8Array(900_000).fill(7);
    await client.create('/large', large);
    t.deepEqual((await client.getData('/large')).data, large);
    t.is(await codeOf(client.setData('/large', new Uint8Array(1 << 20))), 'REQUESTTOOLARGE');
    t.is((await client.exists('/large'))?.version, 0);
    await client.create('/käse-チーズ', 'ü');
    t.true((await client.getChildren('/')).children.includes('käse-チーズ'));
  });

  test('every error has its code', async (t) => {
    const { client } = await inOwnRoot();
    await client.create('/a');
    await client.create('/a/b');
    await client.create('/e', null, { mode: 'ephemeral' });
    t.is(await codeOf(client.create('/a')), 'NODEEXISTS');
    t.is(await codeOf(client.create('/x/y')), 'NONODE');
    t.is(await codeOf(client.create('/e/child')), 'NOCHILDRENFOREPHEMERALS');
    t.is(await codeOf(client.create('/bad-acl', null, { acl: [] })), 'INVALIDACL');
    t.is(await codeOf(client.getData('/x')), 'NONODE');
    t.is(await codeOf(client.getChildren('/x')), 'NONODE');
    t.is(await codeOf(client.getACL('/x')), 'NONODE');
    t.is(await codeOf(client.setData('/a', null, 7)), 'BADVERSION');
    t.is(await codeOf(client.setData('/x', null)), 'NONODE');
    t.is(await codeOf(client.delete('/a')), 'NOTEMPTY');
    t.is(await codeOf(client.delete('/a/b', 3)), 'BADVERSION');
    t.is(await codeOf(client.delete('/x')), 'NONODE');
    for (const path of ['', 'a', '/a/', '//', '/a/../b', '/.', '/a\u0000']) t.is(await codeOf(client.create(path)), 'BADARGUMENTS', JSON.stringify(path));
    const error = (await t.throwsAsync(client.delete('/x'))) as CoordError;
    t.is(error.message, 'NONODE: /x does not exist');
    t.is(error.path, '/x');
    t.false(error.retryable);
  });

  test('sequential names count per parent, in every mode', async (t) => {
    const { client } = await inOwnRoot();
    await client.create('/q');
    t.is(await client.create('/q/n-', null, { mode: 'persistent-sequential' }), '/q/n-0000000000');
    t.is(await client.create('/q/e-', null, { mode: 'ephemeral-sequential' }), '/q/e-0000000001');
    t.is(await client.create('/q/', null, { mode: 'persistent-sequential' }), '/q/0000000002');
    await client.create('/q/plain');
    t.is(await client.create('/q/n-', null, { mode: 'persistent-sequential' }), '/q/n-0000000004');
  });

  test('containers', async (t) => {
    const { client } = await inOwnRoot();
    const { path, stat } = await client.createWithStat('/c', 'x', { mode: 'container' });
    t.is(path, '/c');
    t.is(stat.ephemeralOwner, 0n);
    await client.create('/c/child');
  });

  test('ephemerals belong to the session and go with it', async (t) => {
    const { client, root } = await inOwnRoot();
    const other = await open(shared.connectString);
    await client.create('/e', null, { mode: 'ephemeral' });
    t.is((await other.exists(`${root}/e`))?.ephemeralOwner, client.session.id);
    t.deepEqual(await client.getEphemerals('/'), ['/e']);
    const gone = new Promise<WatchEvent>((resolve) => void other.exists(`${root}/e`, { watch: resolve }));
    await other.sync(root);
    await client.close();
    t.is((await gone).type, 'NodeDeleted');
    t.is(await other.exists(`${root}/e`), null);
    t.is(await codeOf(client.exists('/')), 'CLOSED');
    await client.close();
  });

  test('multi: all or nothing', async (t) => {
    const { client } = await inOwnRoot();
    const results = await client.multi([
      { type: 'create', path: '/a', data: 'x' },
      { type: 'create', path: '/a/s-', mode: 'persistent-sequential' },
      { type: 'setData', path: '/a', data: 'y', version: 0 },
      { type: 'check', path: '/a', version: 1 },
      { type: 'delete', path: '/a/s-0000000000' },
    ]);
    t.deepEqual(results.map((result) => result.type), ['create', 'create', 'setData', 'check', 'delete']);
    t.is(results[1]?.type === 'create' && results[1].path, '/a/s-0000000000');
    t.is(results[2]?.type === 'setData' && results[2].stat.version, 1);
    const before = await client.exists('/a');
    const error = (await t.throwsAsync(client.multi([
      { type: 'setData', path: '/a', data: 'z' },
      { type: 'create', path: '/b' },
      { type: 'check', path: '/a', version: 9 },
      { type: 'delete', path: '/a' },
    ]))) as MultiError;
    t.true(error instanceof MultiError);
    t.is(error.failedIndex, 2);
    t.is(error.code, 'BADVERSION');
    t.is(error.path, '/a');
    t.deepEqual(error.codes, ['OK', 'OK', 'BADVERSION', 'RUNTIMEINCONSISTENCY']);
    t.deepEqual(await client.exists('/a'), before);
    t.is(await client.exists('/b'), null);
    t.deepEqual(await client.multi([]), []);
  });

  test('ACLs and authentication', async (t) => {
    const { client, root } = await inOwnRoot({ auth: [{ scheme: 'digest', auth: 'ann:secret' }] });
    const stranger = await open(`${shared.connectString}${root}`);
    await client.create('/mine', 'x', { acl: CREATOR_ALL_ACL });
    t.is(await codeOf(stranger.getData('/mine')), 'NOAUTH');
    t.is((await client.getACL('/mine')).acl[0]?.scheme, 'digest');
    await stranger.addAuth('digest', 'ann:secret');
    t.is(text((await stranger.getData('/mine')).data), 'x');
    const stat = await client.setACL('/mine', READ_ACL, 0);
    t.is(stat.aversion, 1);
    t.is(await codeOf(client.setData('/mine', 'y')), 'NOAUTH');
    t.is(await codeOf(client.setACL('/mine', OPEN_ACL)), 'NOAUTH');
    t.deepEqual((await client.getACL('/')).acl, [...OPEN_ACL]);
    t.true((await client.whoAmI()).some(({ scheme, id }) => scheme === 'digest' && id.startsWith('ann')));
    t.is(await codeOf(stranger.addAuth('nonsense', 'x')), 'AUTHFAILED');
    t.is(stranger.state, 'auth-failed');
    t.is(await codeOf(stranger.exists('/')), 'AUTHFAILED');
  });

  test('a watch fires once, for what it was set on, before a later read shows the change', async (t) => {
    const { client, root } = await inOwnRoot();
    const writer = await open(`${shared.connectString}${root}`);
    const seen: string[] = [];
    const note = (name: string) => (event: WatchEvent): void => void seen.push(`${name} ${event.type} ${event.path}`);
    await client.create('/a');
    await client.exists('/new', { watch: note('exists') });
    await client.getData('/a', { watch: note('data') });
    await client.getChildren('/a', { watch: note('children') });
    await client.getChildren('/', { watch: note('root') });
    await writer.create('/new');
    await writer.setData('/a', '1');
    await writer.setData('/a', '2');
    await writer.create('/a/b');
    await writer.delete('/a/b');
    await client.sync('/');
    t.deepEqual(seen, ['exists NodeCreated /new', 'root NodeChildrenChanged /', 'data NodeDataChanged /a', 'children NodeChildrenChanged /a']);
    seen.length = 0;
    const both = note('both');
    await client.getData('/a', { watch: both });
    await client.getChildren('/a', { watch: both });
    await client.getData('/a', { watch: both });
    await writer.delete('/a');
    await client.sync('/');
    t.deepEqual(seen, ['both NodeDeleted /a']);
  });

  test('events and replies come in the order of the changes', async (t) => {
    const { client, root } = await inOwnRoot();
    const writer = await open(`${shared.connectString}${root}`);
    await client.create('/n', '0');
    const order: string[] = [];
    const follow = async (): Promise<number> => {
      const { data } = await client.getData('/n', { watch: () => order.push('event') });
      order.push(`read ${text(data)}`);
      return Number(text(data));
    };
    const last = 50;
    const writes = (async () => {
      for (let i = 1; i <= last; i++) await writer.setData('/n', String(i));
    })();
    while ((await follow()) < last);
    await writes;
    // Between two reads that differ there is the event of the first one's watch.
    let value = '';
    let events = 0;
    for (const entry of order) {
      if (entry === 'event') {
        events++;
        continue;
      }
      if (value !== '' && entry !== value) t.true(events > 0, `${value} to ${entry} without an event`);
      if (entry !== value) events = 0;
      value = entry;
    }
    t.is(value, `read ${last}`);
  });

  test('one client sees its own watch before the reply to its own write', async (t) => {
    const { client } = await inOwnRoot();
    const order: string[] = [];
    await client.create('/a');
    await client.getData('/a', { watch: () => order.push('event') });
    await client.setData('/a', 'x');
    order.push('reply');
    t.deepEqual(order, ['event', 'reply']);
  });

  test('persistent watches stay until they are removed', async (t) => {
    const { client } = await inOwnRoot();
    const seen: string[] = [];
    await client.create('/p');
    const one = await client.addWatch('/p', 'persistent', (event) => seen.push(`one ${event.type} ${event.path}`));
    const deep = await client.addWatch('/p', 'persistent-recursive', (event) => seen.push(`deep ${event.type} ${event.path}`));
    await client.setData('/p', '1');
    await client.setData('/p', '2');
    await client.create('/p/c');
    await client.setData('/p/c', '3');
    await one.remove();
    await client.delete('/p/c');
    await deep.remove();
    await client.setData('/p', '4');
    t.deepEqual(seen.filter((entry) => entry.startsWith('one')), ['one NodeDataChanged /p', 'one NodeDataChanged /p', 'one NodeChildrenChanged /p']);
    t.deepEqual(seen.filter((entry) => entry.startsWith('deep')), [
      'deep NodeDataChanged /p', 'deep NodeDataChanged /p', 'deep NodeCreated /p/c', 'deep NodeDataChanged /p/c', 'deep NodeDeleted /p/c',
    ]);
  });

  test('ensurePath and deleteRecursive', async (t) => {
    const { client } = await inOwnRoot();
    await client.ensurePath('/a/b/c/d');
    await client.ensurePath('/a/b/c/d');
    await Promise.all(Array.from({ length: 5 }, () => client.ensurePath('/x/y/z')));
    t.is(await client.getAllChildrenNumber('/'), 7);
    t.is(await client.deleteRecursive('/a'), 4);
    t.is(await client.deleteRecursive('/nothing'), 0);
    t.deepEqual((await client.getChildren('/')).children, ['x']);
  });

  test('a chroot is invisible to its client', async (t) => {
    const { client, root } = await inOwnRoot();
    const outside = await open(shared.connectString);
    const events: string[] = [];
    await client.exists('/a', { watch: (event) => events.push(event.path) });
    t.is(await client.create('/a', 'x'), '/a');
    t.is(await client.create('/s-', null, { mode: 'ephemeral-sequential' }), '/s-0000000001');
    t.is(text((await outside.getData(`${root}/a`)).data), 'x');
    t.deepEqual(events, ['/a']);
    t.deepEqual((await client.getChildren('/')).children.sort(), ['a', 's-0000000001']);
    await client.setData('/', 'root');
    t.is(text((await outside.getData(root)).data), 'root');
  });

  test('many requests in flight are answered in order', async (t) => {
    const { client } = await inOwnRoot();
    await client.create('/n', '0');
    const versions = await Promise.all(Array.from({ length: 500 }, (_, i) => client.setData('/n', String(i)).then((stat) => stat.version)));
    t.deepEqual(versions, Array.from({ length: 500 }, (_, i) => i + 1));
    t.is(text((await client.getData('/n')).data), '499');
  });

  test('a session that another connection ended is expired; with renew a new one follows', async (t) => {
    const { client, root } = await inOwnRoot(attentive);
    const renewing = await open(`${shared.connectString}${root}`, { renew: true, ...attentive });
    const signals: StateSignal[] = [];
    client.onState((signal) => signals.push(signal));
    const renewed = new Promise<void>((resolve) => renewing.onState((signal) => signal === 'connected' && resolve()));
    const before = renewing.session.id;
    await renewing.create('/e', null, { mode: 'ephemeral' });
    const expired = new Promise<void>((resolve) => client.onState((signal) => signal === 'expired' && resolve()));
    await Promise.all([endSessionOf(client), endSessionOf(renewing)]);
    await expired;
    t.is(client.state, 'expired');
    t.deepEqual(signals.slice(-1), ['expired']);
    t.is(await codeOf(client.exists('/')), 'SESSIONEXPIRED');
    t.is(client.leaseRemainingMs(), 0);
    await renewed;
    t.not(renewing.session.id, before);
    t.is(await renewing.exists('/e'), null);
    t.true(renewing.leaseRemainingMs() > 0);
  });

  test('leader election: one leader at a time, in order, with growing epochs', async (t) => {
    const { root } = await inOwnRoot();
    const log: string[] = [];
    const epochs: number[] = [];
    const candidates = [];
    for (const name of ['a', 'b', 'c']) {
      const client = await open(`${shared.connectString}${root}`);
      let elected: (leadership: Leadership) => void = () => undefined;
      const won = new Promise<Leadership>((resolve) => (elected = resolve));
      const election = new LeaderElection(client, '/election', {
        data: name,
        onElected: (leadership) => {
          log.push(`+${name}`);
          epochs.push(leadership.epoch);
          elected(leadership);
        },
        onLost: (reason) => log.push(`-${name} ${reason}`),
      });
      candidates.push({ name, client, election, won });
      election.start();
      if (name === 'a') await won;
      else await until(async () => (await client.getChildren('/election')).children.length === candidates.length);
    }
    const [a, b, c] = candidates as [(typeof candidates)[0], (typeof candidates)[0], (typeof candidates)[0]];
    t.deepEqual([a.election.isLeader, b.election.isLeader, c.election.isLeader], [true, false, false]);
    t.is(text((await currentLeader(c.client, '/election'))?.data ?? null), 'a');
    await a.client.multi([a.election.fence(), { type: 'create', path: '/work', data: 'a' }]);
    const staleFence = a.election.fence();
    // By withdrawal, and by the end of a session.
    await a.election.close();
    await b.won;
    t.is(((await t.throwsAsync(a.client.multi([staleFence, { type: 'setData', path: '/work', data: 'late' }]))) as MultiError).failedIndex, 0);
    await b.client.close();
    await c.won;
    t.deepEqual(log, ['+a', '-a closed', '+b', '-b closed', '+c']);
    t.deepEqual(epochs, [...epochs].sort((x, y) => x - y));
    t.is(new Set(epochs).size, 3);
    t.is((await currentLeader(c.client, '/election'))?.epoch, epochs[2]);
  });

  test('leader election: an expired leader is told, and comes back at the end of the queue', async (t) => {
    const { root } = await inOwnRoot();
    const log: string[] = [];
    const first = await open(`${shared.connectString}${root}`, { renew: true, ...attentive });
    const second = await open(`${shared.connectString}${root}`);
    const waiting = new Map<string, () => void>();
    const happened = (entry: string): Promise<void> => new Promise((resolve) => (log.includes(entry) ? resolve() : waiting.set(entry, resolve)));
    const note = (entry: string): void => {
      log.push(entry);
      waiting.get(entry)?.();
    };
    const election = (client: CoordClient, name: string): LeaderElection =>
      new LeaderElection(client, '/election', { onElected: () => note(`+${name}`), onLost: (reason) => note(`-${name} ${reason}`) });
    const one = election(first, 'one');
    one.start();
    await happened('+one');
    const two = election(second, 'two');
    two.start();
    await until(async () => (await second.getChildren('/election')).children.length === 2);
    await endSessionOf(first);
    await happened('+two');
    await happened('-one expired');
    await until(async () => (await second.getChildren('/election')).children.length === 2);
    t.false(one.isLeader);
    log.length = 0;
    const back = happened('+one');
    await two.close();
    await back;
    t.deepEqual(log, ['-two closed', '+one']);
  });

  test('leader election: a leader whose znode is deleted loses, and stands again', async (t) => {
    const { client } = await inOwnRoot();
    const log: string[] = [];
    let again: () => void = () => undefined;
    const twice = new Promise<void>((resolve) => (again = resolve));
    const election = new LeaderElection(client, '/election', {
      onElected: (leadership) => {
        log.push('+');
        if (log.length === 1) void client.delete(leadership.path);
        else again();
      },
      onLost: (reason) => log.push(reason),
    });
    election.start();
    await twice;
    t.deepEqual(log, ['+', 'deleted', '+']);
    await election.close();
    t.deepEqual((await client.getChildren('/election')).children, []);
  });

  test('lock: one holder at a time', async (t) => {
    const { client, root } = await inOwnRoot();
    const others = await Promise.all([1, 2].map(() => open(`${shared.connectString}${root}`)));
    let holders = 0;
    let most = 0;
    const epochs: number[] = [];
    await Promise.all([client, client, ...others, ...others].map((each) =>
      withLock(new Lock(each, '/lock'), async (held) => {
        holders++;
        most = Math.max(most, holders);
        epochs.push(held.epoch);
        await each.exists('/lock');
        t.true(held.isHeld);
        holders--;
      }),
    ));
    t.is(most, 1);
    t.is(epochs.length, 6);
    t.deepEqual(epochs, [...epochs].sort((x, y) => x - y));
    t.deepEqual((await client.getChildren('/lock')).children, []);
  });

  test('lock: a timeout leaves nothing behind; a lost lock is reported', async (t) => {
    const { client, root } = await inOwnRoot(attentive);
    const other = await open(`${shared.connectString}${root}`);
    let lost: (reason: string) => void = () => undefined;
    const reported = new Promise<string>((resolve) => (lost = resolve));
    const held = await new Lock(client, '/lock').acquire({ onLost: (reason) => lost(reason) });
    t.is(await codeOf(new Lock(other, '/lock').acquire({ timeoutMs: 50, timers: systemTimers })), 'OPERATIONTIMEOUT');
    await until(async () => (await other.getChildren('/lock')).children.length === 1);
    const next = new Lock(other, '/lock').acquire();
    await endSessionOf(client);
    t.is(await reported, 'expired');
    t.false(held.isHeld);
    await (await next).release();
  });

  test('membership: who is there is seen by everybody', async (t) => {
    const { client, root } = await inOwnRoot();
    const seen: string[] = [];
    const waiting = new Map<string, () => void>();
    const appeared = (names: string): Promise<void> => new Promise((resolve) => (seen.includes(names) ? resolve() : waiting.set(names, resolve)));
    const watch = new GroupWatch(client, '/group', {
      onMembers: (members: readonly Member[]) => {
        const names = members.map((member) => `${member.name}=${text(member.data)}`).join(' ');
        seen.push(names);
        waiting.get(names)?.();
      },
    });
    watch.start();
    await appeared('');
    const one = await open(`${shared.connectString}${root}`, { renew: true, ...attentive });
    const two = await open(`${shared.connectString}${root}`);
    const a = new Membership(one, '/group', 'a', '1');
    await a.join();
    await appeared('a=1');
    const b = new Membership(two, '/group', 'b', '2');
    await b.join();
    await appeared('a=1 b=2');
    t.is(await codeOf(new Membership(two, '/group', 'a').join()), 'NODEEXISTS');
    // A renewed session registers again, and that is a new member although it has the same name.
    seen.length = 0;
    const again = appeared('a=1 b=2');
    await endSessionOf(one);
    await again;
    await until(async () => a.isMember);
    await b.leave();
    await appeared('a=1');
    await a.leave();
    await appeared('');
    watch.stop();
    t.pass();
  });

  test('a lost reply to a create does not leave a second contender behind', async (t) => {
    const { client, root } = await inOwnRoot();
    await client.ensurePath('/lock');
    const [scheme, host, port] = (/^(.*?)([^/:]+):(\d+)$/.exec(shared.each[0] as string) ?? []).slice(1) as [string, string, string];
    const proxy = await startCuttingProxy(Number(port));
    try {
      const behind = await open(`${scheme}${host}:${proxy.port}${root}`);
      proxy.cutAtNextReply();
      const held = await new Lock(behind, '/lock').acquire();
      t.is(proxy.cuts, 1);
      t.deepEqual((await client.getChildren('/lock')).children.map((child) => `/lock/${child}`), [held.path]);
      t.is((await client.exists(held.path))?.czxid, held.epoch);
      // The same for a bare create: its outcome is unknown, and it did take place.
      proxy.cutAtNextReply();
      t.is(await codeOf(behind.create('/once')), 'CONNECTIONLOSS');
      t.not(await behind.exists('/once'), null);
      // Its reply lost, a close is repeated until the session is known to be gone.
      proxy.cutAtNextReply();
      await behind.close();
      t.deepEqual((await client.getChildren('/lock')).children, []);
    } finally {
      await proxy.stop();
    }
  });

  test.serial('a server that hangs: a leader is in doubt, then confirmed or, when its lease is over, no leader any more', async (t) => {
    t.timeout(60_000);
    const ensemble = await start(1);
    try {
      const log: string[] = [];
      const waiting = new Map<string, () => void>();
      const happened = (entry: string): Promise<void> => new Promise((resolve) => (log.includes(entry) ? resolve() : waiting.set(entry, resolve)));
      const note = (entry: string): void => {
        log.push(entry);
        waiting.get(entry)?.();
        waiting.delete(entry);
      };
      const client = await open(ensemble.connectString, { sessionTimeoutMs: 4000, pingIntervalMs: 300, silenceTimeoutMs: 1000, renew: true });
      const epochs: number[] = [];
      const election = new LeaderElection(client, '/election', {
        onElected: ({ epoch }) => {
          epochs.push(epoch);
          note(`elected ${epochs.length}`);
        },
        onDoubtful: () => note('doubtful'),
        onConfirmed: () => note('confirmed'),
        onLost: (reason) => note(reason),
      });
      election.start();
      await happened('elected 1');
      ensemble.signal(0, 'SIGSTOP');
      await happened('doubtful');
      t.true(election.isLeader && election.isDoubtful);
      ensemble.signal(0, 'SIGCONT');
      await happened('confirmed');
      t.true(election.isLeader && !election.isDoubtful);
      log.length = 0;
      ensemble.signal(0, 'SIGSTOP');
      await happened('lease-lost');
      t.false(election.isLeader);
      t.is(client.leaseRemainingMs(), 0);
      ensemble.signal(0, 'SIGCONT');
      await happened('elected 2');
      t.deepEqual(log, ['doubtful', 'lease-lost', 'elected 2']);
      t.true((epochs[1] as number) > (epochs[0] as number));
      // Of the earlier terms nothing stays behind once their session is gone.
      await until(async () => (await client.getChildren('/election')).children.length === 1);
      // A goodbye does not wait for a server that hangs.
      log.length = 0;
      ensemble.signal(0, 'SIGSTOP');
      await happened('doubtful');
      log.length = 0;
      await election.close();
      t.deepEqual(log, ['closed']);
      t.false(election.isLeader);
      ensemble.signal(0, 'SIGCONT');
      await until(async () => client.state === 'connected' && (await client.getChildren('/election')).children.length === 0);
    } finally {
      ensemble.signal(0, 'SIGCONT');
      await ensemble.stop();
    }
  });

  test.serial('the leader dies under writes: nothing acknowledged is lost, sessions and order are kept', async (t) => {
    t.timeout(90_000);
    const ensemble = await start(3);
    try {
      const leader = await ensemble.leader();
      t.true(leader >= 0);
      // One client on each server; those of the leader move.
      const writers = await Promise.all(ensemble.each.map((_, i) => open([...ensemble.each.slice(i), ...ensemble.each.slice(0, i)].map((each, n) => (n === 0 ? each : each.replace(/^.*\/\//, ''))).join(','), { sessionTimeoutMs: 12_000 })));
      const ids = writers.map((client) => client.session.id);
      await writers[0]?.create('/log');
      const acked: string[] = [];
      const unknown: string[] = [];
      let killed = false;
      let isDone = false;
      const ackedAfter = new Set<CoordClient>();
      const write = async (client: CoordClient, name: string): Promise<void> => {
        for (let i = 0; !isDone; i++) {
          // In pairs, the second of which is issued before the first is answered.
          const pair = [`${name}-${i}a`, `${name}-${i}b`];
          const outcomes = await Promise.all(pair.map((each) => codeOf(client.create(`/log/${each}`))));
          for (const [at, code] of outcomes.entries()) {
            if (code === 'OK') acked.push(pair[at] as string);
            else if (code === 'CONNECTIONLOSS') unknown.push(pair[at] as string);
            else t.fail(`${pair[at]}: ${code}`);
          }
          if (killed && outcomes.every((code) => code === 'OK')) {
            ackedAfter.add(client);
            isDone ||= ackedAfter.size === writers.length && acked.length > 300;
          }
        }
      };
      const writing = Promise.all(writers.map((client, i) => write(client, `w${i}`)));
      await until(async () => acked.length > 60);
      await ensemble.kill(leader);
      killed = true;
      await writing;
      const reader = await open(ensemble.each[(leader + 1) % 3] as string);
      await reader.sync('/log');
      const { children } = await reader.getChildren('/log');
      const present = new Set(children);
      t.deepEqual(acked.filter((each) => !present.has(each)), []);
      t.deepEqual(children.filter((each) => !acked.includes(each) && !unknown.includes(each)), []);
      t.deepEqual(writers.map((client) => client.session.id), ids);
      // In the order in which each client issued them.
      const created = await Promise.all(children.map(async (each) => ({ each, czxid: (await reader.exists(`/log/${each}`))?.czxid ?? 0 })));
      const inOrder = created.sort((x, y) => x.czxid - y.czxid).map(({ each }) => each);
      for (const i of writers.keys()) {
        const own = inOrder.filter((each) => each.startsWith(`w${i}-`));
        t.deepEqual(own, [...own].sort((x, y) => x.localeCompare(y, 'en', { numeric: true })));
      }
    } finally {
      await ensemble.stop();
    }
  });

  test('no server: connect says so', async (t) => {
    const closed = await closedPort();
    const error = (await t.throwsAsync(connect(`127.0.0.1:${closed}`, { connectTimeoutMs: 200 }))) as CoordError;
    t.is(error.code, 'CONNECTIONLOSS');
  });

  test.serial('the session survives the death of the server it is on: ephemerals, watches and queued requests', async (t) => {
    t.timeout(90_000);
    const ensemble = await start(3);
    try {
      const client = await open(ensemble.connectString, { sessionTimeoutMs: 12_000, auth: [{ scheme: 'digest', auth: 'ann:secret' }] });
      const signals: StateSignal[] = [];
      const reconnected = new Promise<void>((resolve) => {
        client.onState((signal) => {
          signals.push(signal);
          if (signal === 'reconnected') resolve();
        });
      });
      const { id } = client.session;
      await client.create('/e', null, { mode: 'ephemeral' });
      await client.create('/secret', 'x', { acl: CREATOR_ALL_ACL });
      await client.create('/w', '0');
      await client.create('/still', '0');
      const events: string[] = [];
      await client.getData('/w', { watch: (event) => events.push(`${event.type} ${event.path}`) });
      await client.getData('/still', { watch: (event) => events.push(`${event.type} ${event.path}`) });
      await client.exists('/later', { watch: (event) => events.push(`${event.type} ${event.path}`) });
      const at = ensemble.each.findIndex((each) => each.endsWith(client.server));
      t.true(at >= 0);
      await ensemble.kill(at);
      // Queued while there is no connection, or lost with it.
      const queued = codeOf(client.setData('/w', '1'));
      await reconnected;
      t.deepEqual(signals, ['suspended', 'reconnected']);
      t.true(['OK', 'CONNECTIONLOSS'].includes(await queued));
      t.is(client.session.id, id);
      t.is((await client.exists('/e'))?.ephemeralOwner, id);
      t.is(text((await client.getData('/secret')).data), 'x');
      const survivors = ensemble.each.filter((_, i) => i !== at);
      const writer = await open(`${survivors[0]}`);
      await writer.setData('/w', '2');
      await writer.create('/later');
      await client.sync('/');
      t.deepEqual(events.sort(), ['NodeCreated /later', 'NodeDataChanged /w']);
      t.is(client.state, 'connected');
    } finally {
      await ensemble.stop();
    }
  });

  /** Takes the session over on a second connection and closes it, as an ensemble that expires it does. */
  async function endSessionOf(client: CoordClient): Promise<void> {
    const { id, password } = client.session;
    const other = await connect(shared.connectString, { resume: { id, password } });
    await other.close();
  }
}

/** Notices at once that its connection is no longer served. */
const attentive: ConnectOptions = { pingIntervalMs: 200, silenceTimeoutMs: 2000 };

async function until(condition: () => Promise<boolean>): Promise<true> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
  return true;
}

async function closedPort(): Promise<number> {
  return (await freePorts(1))[0] as number;
}

export function text(data: Uint8Array | null): string {
  return data === null ? 'null' : Buffer.from(data).toString('utf8');
}
