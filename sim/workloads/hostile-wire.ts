/**
 * Whoever finds a server's client port and is no client: lengths that cannot be, garbage, half a frame, a handshake that is none, a request in place
 * of the handshake, four-letter words, requests that make no sense, and then silence. Nobody else may notice.
 *
 *   HostileWire   what cannot be a client is not disconnected
 */
import type { Prng } from '../../coord/base/prng.ts';
import { encodeConnectRequest } from '../../coord/wire/connect.ts';
import { JuteWriter } from '../../coord/wire/jute.ts';
import { encodeNativeConnect } from '../../coord/wire/native.ts';
import type { ConnectRequest } from '../../coord/wire/types.ts';
import { JUTE_MAX_BUFFER, type ClientNetwork, type Protocol, type Wire } from '../doubles/client-network.ts';
import type { Judge } from '../judges/judge.ts';
import { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';

/** A server that runs all the time must have closed what is no connection of a client by then, on its own clock: the time for a handshake, and some. */
const PATIENCE_MS = 12_000;
const LOOK_MS = 500;

export class HostileWire {
  readonly #world: World;
  readonly #network: ClientNetwork;
  readonly #servers: readonly SimServer[];
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #process: Process;
  #stopped = false;

  constructor(world: World, network: ClientNetwork, servers: readonly SimServer[], judge: Judge) {
    this.#world = world;
    this.#network = network;
    this.#servers = servers;
    this.#judge = judge;
    this.#prng = world.streams('hostile-wire');
    this.#process = new Process(world, 'hostile-wire');
    this.#process.begin();
  }

  start(): void {
    this.#process.schedule(200 + this.#prng.float() * 2000, () => {
      if (this.#stopped) return;
      this.#dial();
      this.start();
    });
  }
  stop(): void {
    this.#stopped = true;
  }

  #dial(): void {
    const prng = this.#prng;
    const protocol: Protocol = prng.pick(['zookeeper', 'native']);
    const server = prng.pick(this.#servers);
    const wire: Wire = this.#network.dial(server, {
      opened: () => {
        for (const bytes of this.#attack(protocol)) wire.send(bytes);
      },
      data: () => {},
      lost: () => {},
    }, { client: 'hostile-wire', process: this.#process, address: '10.0.6.66', protocol, roughness: 0 });
    this.#world.marks.hit('malformed frame');
    this.#watch(wire, server, server.process.monotonicMs() + PATIENCE_MS);
  }

  #watch(wire: Wire, server: SimServer, untilMs: number): void {
    const { process } = server;
    this.#process.schedule(LOOK_MS, () => {
      const nowMs = process.monotonicMs();
      // What it was sent meanwhile it sees when it goes on, the dial too.
      if (process.paused) return this.#watch(wire, server, nowMs + PATIENCE_MS);
      if (nowMs < untilMs) return this.#watch(wire, server, untilMs);
      if (wire.isOpenAtServer) this.#judge.fail('HostileWire', `${process.name} still talks to what is no client after ${PATIENCE_MS} ms`);
      wire.close();
    });
  }

  #attack(protocol: Protocol): Uint8Array[] {
    const prng = this.#prng;
    const garbage = prng.bytes(prng.between(1, 300));
    const hello = helloOf(protocol);
    if (protocol === 'native') {
      // A whole handshake and then garbage; or garbage at once; or a request before the handshake.
      return prng.pick([[garbage], [hello, garbage], [hello.subarray(0, 3)], [hello, hello], [Buffer.from([0x93, 1, 4, 0xa1, 0x2f])]]);
    }
    const length = (n: number): Buffer => {
      const out = Buffer.alloc(4);
      out.writeInt32BE(n);
      return out;
    };
    const framed = (bytes: Uint8Array): Buffer => Buffer.concat([length(bytes.length), bytes]);
    return prng.pick([
      [garbage], [length(-1)], [length(JUTE_MAX_BUFFER + 1)], [length(0x7fff_ffff)], [framed(hello), length(-5)], [framed(hello), length(JUTE_MAX_BUFFER + 1)],
      [framed(hello).subarray(0, 20)], [framed(garbage)], [framed(hello), framed(garbage)], [framed(hello), framed(garbage.subarray(0, 7))], [Buffer.from('ruok')], [Buffer.from('mntr')], [Buffer.from('ru')],
    ]);
  }
}

/** Without its length. The session that it asks for dies of old age. */
function helloOf(protocol: Protocol): Uint8Array {
  const request: ConnectRequest = { protocolVersion: 0, lastZxidSeen: 0, timeoutMs: 1000, sessionId: 0n, password: new Uint8Array(16), readOnly: false, hasReadOnly: true };
  if (protocol === 'native') return encodeNativeConnect(request);
  const writer = new JuteWriter();
  encodeConnectRequest(writer, request);
  return Uint8Array.prototype.slice.call(writer.view(), 4);
}
