/** Wires between clients and servers: whatever trouble a wire has, what arrives comes in the order in which it was sent, and nothing is missing in between. */
import test from 'ava';
import { JuteCodec } from '../../coord/client/jute-codec.ts';
import { NativeCodec } from '../../coord/client/native-codec.ts';
import { EventType, KeeperState, OpCode } from '../../coord/wire/codes.ts';
import type { ClientRequest, ClientSink, ConnectRequest } from '../../coord/wire/types.ts';
import { ClientNetwork } from '../../sim/doubles/client-network.ts';
import { SimClientTransport } from '../../sim/doubles/client-transport.ts';
import { request } from '../../sim/workloads/requests.ts';
import { Process } from '../../sim/world/process.ts';
import type { SimServer } from '../../sim/world/sim-server.ts';
import { World } from '../../sim/world/world.ts';

interface Traffic {
  readonly wires: number;
  /** Messages in each direction of a wire: the first at `fromMs`, then one every `everyMs`. */
  readonly messages: number;
  readonly fromMs: number;
  readonly everyMs: number;
  /** When all trouble ends. */
  readonly healMs: number;
}

/** Numbers of the messages as they arrive, by wire, at the servers' ends and at the clients', over wires that are rough. */
function arrivals({ wires, messages, fromMs, everyMs, healMs }: Traffic): { requests: number[][]; events: number[][] } {
  const world = new World('rough wires');
  const network = new ClientNetwork(world);
  const process = new Process(world, 'server-1');
  process.begin();
  const requests: number[][] = [];
  const events: number[][] = [];
  const times = (send: (number: number) => void): void => {
    for (let number = 1; number <= messages; number++) world.schedule(fromMs + everyMs * (number - 1) - world.nowMs, () => send(number));
  };
  const quorumPeer = {
    connect: (sink: ClientSink) => {
      times((number) => process.run(() => {
        sink.event(EventType.NodeCreated, KeeperState.SyncConnected, '/k', number);
        sink.flush();
      }));
      return requests.push([]) - 1;
    },
    request: (handle: number, { xid }: ClientRequest) => requests[handle]?.push(xid),
    disconnected: () => {},
    writable: () => true,
  };
  const server = { process, quorumPeer } as unknown as SimServer;
  for (let i = 0; i < wires; i++) {
    const client = new Process(world, `client-${i}`);
    client.begin();
    const codec = new NativeCodec();
    const heard: number[] = [];
    const messagesOfServer = { expectedOp: () => 0, reply: () => {}, event: (_type: number, _path: string, zxid: number) => void heard.push(zxid) };
    const wire = network.dial(server, { opened: () => {}, data: (frame) => codec.decode(frame, messagesOfServer), lost: () => {} }, { client: client.name, process: client, address: '10.0.0.1', protocol: 'native', roughness: 0.5 });
    wire.send(codec.encodeConnect({ protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 1000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true }));
    times((number) => wire.send(codec.encodeRequest(Object.assign(request(OpCode.getData, '/k'), { xid: number }))));
    events.push(heard);
  }
  world.schedule(healMs, () => network.heal());
  world.run(20_000);
  return { requests, events };
}

/** The first message that came out of turn, or behind one that never came. */
function firstOutOfTurn(numbers: readonly number[]): number | undefined {
  return numbers.find((number, i) => number !== i + 1);
}

test('what arrives comes in the order in which it was sent, in both directions, also when the wire is clogged while it is on its way', (t) => {
  const messages = 400;
  const { requests, events } = arrivals({ wires: 60, messages, fromMs: 100, everyMs: 10, healMs: 20_000 });
  for (const way of [requests, events]) {
    t.true(way.length > 30, `${way.length} wires`);
    t.deepEqual(way.map(firstOutOfTurn).filter((number) => number !== undefined), []);
    t.true(way.some((numbers) => numbers.length === messages));
    t.true(way.some((numbers) => numbers.length < messages));
  }
});

test('a wire that had swallowed something breaks when its trouble ends, and nothing comes out of it that was sent behind what it swallowed', (t) => {
  const { requests, events } = arrivals({ wires: 8000, messages: 20, fromMs: 1460, everyMs: 2, healMs: 1510 });
  for (const way of [requests, events]) {
    t.true(way.some((numbers) => numbers.length > 0));
    t.deepEqual(way.map(firstOutOfTurn).filter((number) => number !== undefined), []);
  }
});

for (const protocol of ['zookeeper', 'native'] as const) {
  test(`${protocol}: what the transport did not write when its connection was lost is not what the next one begins with`, (t) => {
    const world = new World('a lost connection');
    const network = new ClientNetwork(world);
    const process = new Process(world, 'server-1');
    process.begin();
    const hellos: bigint[] = [];
    const quorumPeer = { connect: (_sink: ClientSink, { sessionId }: ConnectRequest) => hellos.push(sessionId) - 1, request: () => {}, disconnected: () => {}, writable: () => true };
    const server = { process, quorumPeer, sid: 1 } as unknown as SimServer;
    const client = new Process(world, 'client-1');
    client.begin();
    const codec = protocol === 'native' ? new NativeCodec() : new JuteCodec();
    const transport = new SimClientTransport(network, [server], { client: client.name, process: client, address: '10.0.0.1', protocol, roughness: 0 });
    const address = { host: 'server-1', port: 1 };
    let losses = 0;
    transport.handler = {
      opened: (connection) => {
        transport.send(connection, codec.encodeConnect({ protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 1000, sessionId: BigInt(connection), password: new Uint8Array(16), readOnly: false, hasReadOnly: true }));
        transport.flush(connection);
        if (connection > 1) return;
        transport.send(connection, codec.encodeRequest(Object.assign(request(OpCode.getData, '/k'), { xid: 1 })));
        transport.wire?.reset();
      },
      frame: () => {},
      lost: (connection) => {
        losses++;
        transport.open(connection + 1, address);
      },
    };
    transport.open(1, address);
    world.run(1000);
    t.deepEqual(hellos, [1n, 2n]);
    t.is(losses, 1);
  });
}
