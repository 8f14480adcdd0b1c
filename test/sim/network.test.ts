/** What the simulated network does to channels: each fault by itself. */
import test from 'ava';
import type { ChannelKind } from '../../coord/base/ports.ts';
import { makeZxid } from '../../coord/base/zxid.ts';
import { DreyError } from '../../coord/base/errors.ts';
import { decodePeerFrame, encodePeerFrame } from '../../coord/runtime/peer-frame.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import { NarrowLink } from '../../sim/doubles/narrow-link.ts';
import { Network, type SimTransport } from '../../sim/doubles/network.ts';
import { Process } from '../../sim/world/process.ts';
import { World } from '../../sim/world/world.ts';

interface Host {
  readonly sid: number;
  readonly process: Process;
  transport: SimTransport;
  readonly seen: string[];
  /** The newest election channel, and the newest learner channel. */
  readonly up: Partial<Record<ChannelKind, number>>;
}

/** The third is only there if it is asked for. */
function hosts(count = 2): { world: World; network: Network; hosts: readonly [Host, Host, Host]; all: () => string[] } {
  const world = new World('network', ['net']);
  const network = new Network(world, { latencyMs: 1, jitterMs: 0 });
  const all = Array.from({ length: count }, (_, i): Host => {
    const process = new Process(world, `server-${i + 1}`);
    process.begin();
    return { sid: i + 1, process, transport: network.transport(i + 1, process), seen: [], up: {} };
  });
  for (const host of all) start(world, host);
  world.run(50);
  for (const host of all) host.seen.length = 0;
  return { world, network, hosts: all as unknown as readonly [Host, Host, Host], all: () => all.flatMap(({ sid, seen }) => seen.map((each) => `${sid}: ${each}`)) };
}

function start(world: World, host: Host): void {
  host.transport.handler = {
    channelUp: (kind, channel, sid) => {
      host.up[kind] = channel;
      host.seen.push(`${kind} up with ${sid}`);
    },
    channelDown: (channel) => host.seen.push(channel === host.up.election || channel === host.up.learner ? 'down' : 'an older one down'),
    dialFailed: (sid) => host.seen.push(`dial of ${sid} failed`),
    frame: (channel, frame) => {
      const old = channel === host.up.election || channel === host.up.learner ? '' : ' on an older channel';
      try {
        const message = decodePeerFrame(frame);
        host.seen.push(`${message.type === 'ACK' ? `ACK ${message.zxid % 1000}` : message.type}${old} at ${world.nowMs}`);
      } catch (error) {
        host.seen.push((error as DreyError).code);
      }
    },
    drained: () => {},
  };
  host.transport.start(() => {});
}

const ack = (n: number): PeerMessage => ({ type: 'ACK', zxid: makeZxid(0, n) });
const send = (host: Host, ...messages: PeerMessage[]): void => messages.forEach((message) => host.transport.send(host.up.election as number, encodePeerFrame(message)));

test('clog: what is sent waits and arrives together, in order; the channel stays', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  network.clog(1, 2);
  send(a, ack(1));
  world.run(60);
  send(a, ack(2), ack(3));
  send(b, ack(9));
  world.run(100);
  t.deepEqual([a.seen, b.seen], [['ACK 9 at 61'], []]);
  network.unclog(1, 2);
  world.run(200);
  t.deepEqual(b.seen, ['ACK 1 at 101', 'ACK 2 at 101', 'ACK 3 at 101']);
});

test('clog: a dial that is answered within its time-out comes up when the link is free, another one fails', (t) => {
  const { world, network, hosts: [a, b], all } = hosts();
  network.clog(2, 1);
  a.transport.dialLearner(2);
  world.run(500);
  t.deepEqual(all(), []);
  network.unclog(2, 1);
  world.run(700);
  t.deepEqual(all(), ['1: learner up with 2', '2: learner up with 1']);
  network.clog(2, 1);
  a.transport.dialLearner(2);
  world.run(3000);
  t.deepEqual([a.seen.at(-1), b.seen.length], ['dial of 2 failed', 1]);
});

test('break: both ends notice, what is on the way is lost, the pair dials again', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  send(a, ack(1));
  network.break(2, 1);
  world.run(200);
  t.deepEqual(a.seen, ['down', 'election up with 2']);
  t.deepEqual(b.seen, ['down', 'election up with 1']);
});

test('break, late: what was on the way, also behind a clog, comes at the old channel number', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  send(a, ack(1));
  network.clog(1, 2);
  send(a, ack(2));
  network.break(1, 2, 300);
  world.run(60);
  network.unclog(1, 2);
  world.run(1000);
  t.is(b.seen[0], 'down');
  t.true(b.seen[1]?.startsWith('election up'));
  t.deepEqual(b.seen.slice(2).toSorted(), ['ACK 1 on an older channel at 350', 'ACK 2 on an older channel at 350']);
});

test('late frames do not reach a process that has begun again', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  send(a, ack(1));
  network.break(1, 2, 300);
  world.run(60);
  b.process.kill();
  network.died(2);
  b.process.begin();
  b.transport = network.transport(2, b.process);
  start(world, b);
  world.run(1000);
  t.deepEqual(b.seen.filter((each) => each.startsWith('ACK')), []);
});

test('drop: the next frame of the type is lost and the channel breaks there, others of it are lost as well', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  network.dropNext(1, 2, 'ACK');
  send(a, { type: 'HEARTBEAT' });
  world.run(60);
  send(a, ack(1), { type: 'HEARTBEAT' });
  world.run(200);
  t.deepEqual(b.seen, ['HEARTBEAT at 51', 'down', 'election up with 1']);
  send(a, ack(2));
  world.run(300);
  t.is(b.seen.at(-1), 'ACK 2 at 201');
});

test('corrupt: one frame has a bit flipped, for one receiver', (t) => {
  const { world, network, hosts: [a, b, c] } = hosts(3);
  network.corruptNext(1, 2);
  const frame = encodePeerFrame(ack(1));
  for (const end of a.transport.ends.values()) a.transport.send(end.channel, frame);
  world.run(60);
  t.deepEqual([b.seen, c.seen.map((each) => each.replace(' on an older channel', ''))], [['COORD_PEER_FRAME'], ['ACK 1 at 51']]);
  send(a, ack(2));
  world.run(70);
  t.is([...b.seen, ...c.seen].filter((each) => each.startsWith('ACK 2')).length, 1);
});

test('cut one way: the other way goes on; an end that closes leaves the other half-open until the cut heals', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  network.cut(1, 2);
  send(a, ack(1));
  send(b, ack(2));
  world.run(100);
  t.deepEqual([a.seen, b.seen], [['ACK 2 at 51'], []]);
  a.transport.close(a.up.election as number);
  world.run(2000);
  t.deepEqual(b.seen, []);
  network.heal(1, 2);
  world.run(2400);
  t.deepEqual(b.seen.map((each) => each.replace(/^an older one /, '')).toSorted(), ['down', 'election up with 1']);
});

test('a killed process says goodbye; a machine without power does not, and answers with a reset when it is up again', (t) => {
  const killed = hosts();
  killed.hosts[0].process.kill();
  killed.network.died(1);
  killed.world.run(100);
  t.deepEqual(killed.hosts[1].seen, ['down']);

  const { world, network, hosts: [a, b] } = hosts();
  a.process.kill();
  network.vanished(1);
  send(b, ack(1));
  world.run(500);
  t.deepEqual(b.seen, []);
  a.process.begin();
  a.transport = network.transport(1, a.process);
  start(world, a);
  world.run(600);
  t.deepEqual(b.seen, []);
  send(b, ack(2));
  world.run(800);
  t.deepEqual(b.seen, ['down', 'election up with 1']);
});

test('a newer connection of the larger server takes the place of the half-open one', (t) => {
  const { world, network, hosts: [a, b] } = hosts();
  b.process.kill();
  network.vanished(2);
  b.process.begin();
  b.transport = network.transport(2, b.process);
  start(world, b);
  world.run(200);
  t.deepEqual(a.seen, ['down', 'election up with 2']);
});

test('observers see a message when it leaves and when it arrives, and may kill the process within either', (t) => {
  for (const what of ['send', 'receive'] as const) {
    const { world, network, hosts: [a, b] } = hosts();
    const seen: string[] = [];
    network.onMessage = (each, from, to, type) => {
      seen.push(`${each} ${from}>${to} ${type}`);
      if (each !== what) return;
      const host = what === 'send' ? a : b;
      host.process.kill();
      network.died(host.sid);
    };
    let after = 0;
    world.schedule(0, () => a.process.run(() => {
      send(a, ack(1));
      after++;
    }));
    world.run(200);
    t.deepEqual(seen, ['send 1>2 ACK', 'receive 1>2 ACK']);
    t.is(after, what === 'send' ? 0 : 1, 'nothing happens behind the death');
    t.deepEqual(b.seen, what === 'send' ? ['ACK 1 at 51', 'down'] : []);
  }
});

test('the latency of a link does not depend on what other links carry', (t) => {
  const arrivals = (others: boolean): string[] => {
    const world = new World('streams');
    const network = new Network(world, { latencyMs: 1, jitterMs: 5 });
    const all = [1, 2, 3].map((sid): Host => {
      const process = new Process(world, `server-${sid}`);
      process.begin();
      return { sid, process, transport: network.transport(sid, process), seen: [], up: {} };
    });
    for (const host of all.slice(0, others ? 3 : 2)) start(world, host);
    world.run(100);
    const [a, b] = all as [Host, Host];
    const channel = [...a.transport.ends.values()].find((end) => end.peer.transport.sid === 2)?.channel as number;
    b.seen.length = 0;
    for (let i = 0; i < 5; i++) {
      a.transport.send(channel, encodePeerFrame(ack(i)));
      world.run(world.nowMs + 20);
    }
    return b.seen.map((each) => each.replace(' on an older channel', ''));
  };
  t.deepEqual(arrivals(true), arrivals(false));
});

test('on a narrow link what is sent waits for what was sent before; at full width all of it is on its way, in order', (t) => {
  const world = new World('narrow');
  const arrived: string[] = [];
  const link = new NarrowLink<string>((delayMs, fn) => void world.schedule(delayMs, fn), (item) => arrived.push(`${item} at ${world.nowMs}`));
  link.send('a', 1000);
  link.setWidth(10);
  for (const item of ['b', 'c', 'd', 'e']) link.send(item, 1000);
  world.run(250);
  t.deepEqual(arrived, ['a at 0', 'b at 100', 'c at 200']);
  link.setWidth(20);
  world.run(300);
  t.deepEqual(arrived.slice(3), ['d at 300'], 'the rest of it begins anew');
  link.send('f', 1000);
  link.setWidth(Infinity);
  t.deepEqual(arrived.slice(4), ['e at 300', 'f at 300']);
});
