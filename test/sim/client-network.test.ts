/** Wires between clients and servers: whatever trouble a wire has, what arrives comes in the order in which it was sent, and nothing is missing in between. */
import test from 'ava';
import { NativeCodec } from '../../coord/client/native-codec.ts';
import { OpCode } from '../../coord/wire/codes.ts';
import type { ClientRequest } from '../../coord/wire/types.ts';
import { ClientNetwork } from '../../sim/doubles/client-network.ts';
import { request } from '../../sim/workloads/library-operations.ts';
import { Process } from '../../sim/world/process.ts';
import type { SimServer } from '../../sim/world/sim-server.ts';
import { World } from '../../sim/world/world.ts';

const WIRES = 60;
const REQUESTS = 400;

/** Xids of the requests as they arrive, by wire, of clients that ask every few ms over wires that are rough. */
function arrivals(): number[][] {
  const world = new World('rough wires');
  const network = new ClientNetwork(world);
  const process = new Process(world, 'server-1');
  process.begin();
  const received: number[][] = [];
  const quorumPeer = {
    connect: () => received.push([]) - 1,
    request: (handle: number, { xid }: ClientRequest) => received[handle]?.push(xid),
    disconnected: () => {},
    writable: () => true,
  };
  const server = { process, quorumPeer } as unknown as SimServer;
  for (let i = 0; i < WIRES; i++) {
    const client = new Process(world, `client-${i}`);
    client.begin();
    const codec = new NativeCodec();
    const wire = network.dial(server, { opened: () => {}, data: () => {}, lost: () => {} }, { client: client.name, process: client, address: '10.0.0.1', protocol: 'native', roughness: 0.5 });
    wire.send(codec.encodeConnect({ protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 1000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true }));
    for (let xid = 1; xid <= REQUESTS; xid++) world.schedule(10 * xid, () => wire.send(codec.encodeRequest(Object.assign(request(OpCode.getData, '/k'), { xid }))));
  }
  world.run(20_000);
  return received;
}

test('requests arrive in the order in which they were sent, also when the wire is clogged while they are on their way', (t) => {
  const received = arrivals();
  t.true(received.length > WIRES / 2, `${received.length} wires`);
  for (const xids of received) t.deepEqual(xids, xids.map((_, i) => i + 1));
  t.true(received.some((xids) => xids.length === REQUESTS));
  t.true(received.some((xids) => xids.length < REQUESTS));
});
