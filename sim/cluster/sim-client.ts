/** The client library of a job manager or task manager, over the simulated network: its session is a real one at the simulated servers. */
import type { Clock, Entropy, Timers } from '../../coord/base/ports.ts';
import { Client } from '../../coord/client/client.ts';
import { JuteCodec } from '../../coord/client/jute-codec.ts';
import { NativeCodec } from '../../coord/client/native-codec.ts';
import type { ClientTransport, ClientTransportHandler, ServerAddress } from '../../coord/client/transport.ts';
import type { ClientNetwork, Protocol } from '../doubles/client-network.ts';
import { SimClientTransport } from '../doubles/client-transport.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { Life } from './machine.ts';
import type { SocketNetwork } from './sim-sockets.ts';

export interface SimClientOptions {
  readonly servers: readonly SimServer[];
  readonly network: ClientNetwork;
  /** Its cuts hold for the way to the servers, too. */
  readonly routes: SocketNetwork;
  readonly protocol: Protocol;
  readonly sessionTimeoutMs: number;
  readonly trouble: Trouble;
}

/** What comes to connections by itself, for as long as there are faults. */
export interface Trouble {
  /** How likely each kind is for a connection; 0: none. */
  roughness: number;
}

export interface SimClient {
  readonly client: Client;
  /** The kernel closes its connection. */
  died(): void;
}

export function simClient(life: Life, { servers, network, routes, protocol, sessionTimeoutMs, trouble }: SimClientOptions): SimClient {
  const { world, process } = life.machine;
  const address = `10.1.0.${life.name}`;
  const inner = new SimClientTransport(network, servers, { client: life.name, process, address, protocol, get roughness() { return trouble.roughness; } });
  const transport = new RoutedTransport(life, inner, servers, routes);
  const entropy: Entropy = world.streams(`entropy/${life.name}`);
  const ports = { transport, codec: protocol === 'native' ? new NativeCodec() : new JuteCodec(), clock: life as Clock, timers: life as Timers, entropy };
  const client = new Client({ protocol: protocol === 'native' ? 'drey' : 'zk', servers: servers.map(({ sid }) => ({ host: `server-${sid}`, port: sid })), chroot: '' }, { sessionTimeoutMs, renew: true }, ports);
  return { client, died: () => transport.died() };
}

/** Enters the life with each call from outside, and lets nothing through where the route is cut: that waits until it is healed, as on TCP. */
class RoutedTransport implements ClientTransport {
  handler: ClientTransportHandler | null = null;
  readonly #life: Life;
  readonly #inner: SimClientTransport;
  readonly #servers: readonly SimServer[];
  readonly #routes: SocketNetwork;
  #server = '';
  #connection = 0;
  /** What waits for a route, in order. */
  #held: (() => void)[] = [];
  #waiting = false;

  constructor(life: Life, inner: SimClientTransport, servers: readonly SimServer[], routes: SocketNetwork) {
    this.#life = life;
    this.#inner = inner;
    this.#servers = servers;
    this.#routes = routes;
    inner.handler = {
      opened: (connection) => this.#through(() => this.handler?.opened(connection)),
      frame: (connection, frame) => {
        const copy = frame.slice();
        this.#through(() => this.handler?.frame(connection, copy));
      },
      lost: (connection, reason) => this.#through(() => this.handler?.lost(connection, reason)),
    };
  }

  open(connection: number, server: ServerAddress): void {
    if (!this.#life.alive) return;
    this.#connection = connection;
    this.#held = [];
    this.#server = this.#servers.find(({ sid }) => sid === server.port)?.process.name ?? '';
    this.#through(() => this.#inner.open(connection, server));
  }
  send(connection: number, frame: Uint8Array): void {
    if (connection === this.#connection && this.#life.alive) this.#through(() => this.#inner.send(connection, frame));
  }
  flush(connection: number): void {
    if (connection === this.#connection && this.#life.alive) this.#through(() => this.#inner.flush(connection));
  }
  close(connection: number): void {
    if (connection !== this.#connection) return;
    this.#held = [];
    this.#inner.close(connection);
  }
  died(): void {
    this.#held = [];
    this.#inner.close(this.#connection);
  }

  get #blocked(): boolean {
    return this.#routes.route(this.#life.name, this.#server).blocked || this.#routes.route(this.#server, this.#life.name).blocked;
  }

  #through(act: () => void): void {
    if (this.#held.length === 0 && !this.#blocked) return this.#act(act);
    this.#held.push(act);
    if (this.#waiting) return;
    this.#waiting = true;
    const look = (): void => {
      if (this.#blocked && this.#held.length > 0) {
        this.#life.schedule(20, look);
        return;
      }
      this.#waiting = false;
      for (const each of this.#held.splice(0)) this.#act(each);
    };
    this.#life.schedule(20, look);
  }
  #act(act: () => void): void {
    this.#life.run(act);
  }
}
