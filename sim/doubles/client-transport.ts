/** The transport of the client library over the simulated network: frames behind a length, or messages. */
import { FrameReader, withLengths } from '../../coord/wire/frame-reader.ts';
import type { ClientTransport, ClientTransportHandler, ServerAddress } from '../../coord/client/transport.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { ClientNetwork, Wire, WireOptions } from './client-network.ts';

const FRAME_BYTES_MAX = 256 << 20;

export class SimClientTransport implements ClientTransport {
  handler: ClientTransportHandler | null = null;
  readonly #network: ClientNetwork;
  readonly #servers: readonly SimServer[];
  readonly #options: WireOptions;
  #connection = 0;
  #wire: Wire | null = null;
  #unsent: Uint8Array[] = [];
  /** The server of the current connection. */
  server: SimServer | null = null;

  constructor(network: ClientNetwork, servers: readonly SimServer[], options: WireOptions) {
    this.#network = network;
    this.#servers = servers;
    this.#options = options;
  }

  get wire(): Wire | null {
    return this.#wire;
  }

  /** `port` is the server's id. One that is not on the list any more cannot be reached. */
  open(connection: number, { port }: ServerAddress): void {
    this.close(this.#connection);
    this.#connection = connection;
    const server = this.#servers.find(({ sid }) => sid === port);
    this.server = server ?? null;
    if (server === undefined) {
      this.#options.process.schedule(1, () => {
        if (this.#connection === connection) this.handler?.lost(connection, 'no route to it');
      });
      return;
    }
    const isStream = this.#options.protocol === 'zookeeper';
    const reader = new FrameReader(FRAME_BYTES_MAX, (bytes, start, end) => {
      this.handler?.frame(connection, bytes.subarray(start, end));
      return this.#wire === wire;
    });
    const wire: Wire = this.#network.dial(server, {
      opened: () => {
        if (this.#wire === wire) this.handler?.opened(connection);
      },
      data: (bytes) => {
        if (this.#wire !== wire) return;
        if (isStream) reader.push(bytes);
        else this.handler?.frame(connection, bytes);
      },
      lost: (reason) => {
        if (this.#wire !== wire) return;
        this.#wire = null;
        this.#unsent = [];
        this.handler?.lost(connection, reason);
      },
    }, this.#options);
    this.#wire = wire;
  }

  send(connection: number, frame: Uint8Array): void {
    if (connection === this.#connection && this.#wire !== null) this.#unsent.push(frame);
  }

  flush(connection: number): void {
    const wire = this.#wire;
    if (connection !== this.#connection || wire === null || this.#unsent.length === 0) return;
    const frames = this.#unsent;
    this.#unsent = [];
    if (this.#options.protocol === 'zookeeper') wire.send(withLengths(frames));
    else for (const frame of frames) wire.send(frame);
  }

  close(connection: number): void {
    if (connection !== this.#connection || this.#wire === null) return;
    const wire = this.#wire;
    this.#wire = null;
    this.#unsent = [];
    wire.close();
  }
}
