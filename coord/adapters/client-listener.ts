/**
 * ZooKeeper's client protocol over TCP: the clientPort. Who may connect, and a face for each who does (coord/server/zookeeper-face.ts).
 */
import { createServer, type Server, type Socket } from 'node:net';
import { DreyError } from '../base/errors.ts';
import type { Callback } from '../base/ports.ts';
import type { FaceOptions, FaceSocket } from '../server/client-face.ts';
import { ZooKeeperFace, type ZooKeeperFaceOptions } from '../server/zookeeper-face.ts';
import { isLocalAddress, plainAddress } from './addresses.ts';
import { faceTimers } from './face-timers.ts';

export interface ClientListenerOptions extends Omit<FaceOptions, 'timers'> {
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  /** Connections from one address at a time; 0: any number. */
  readonly maxClientCnxns: number;
  readonly whitelist: ReadonlySet<string>;
}

export class ClientListener {
  readonly #options: ClientListenerOptions & ZooKeeperFaceOptions;
  readonly #connections = new Set<ZooKeeperFace>();
  readonly #perAddress = new Map<string, number>();
  #server: Server | null = null;

  constructor(options: ClientListenerOptions) {
    this.#options = { ...options, timers: faceTimers };
  }

  /** The port listened on. */
  get port(): number {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  start(done: Callback): void {
    const { host, port, trace } = this.#options;
    const server = createServer({ noDelay: true, keepAlive: true });
    this.#server = server;
    server.on('connection', (socket) => this.#accept(socket));
    const failed = (cause: Error): void => {
      this.#server = null;
      done(new DreyError('COORD_CLIENT_PORT', `cannot listen on ${host ?? '*'}:${port} for clients: ${cause.message}`, { cause }), undefined);
    };
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      server.on('error', (error) => trace.event('ClientPortError', { error: error.message }));
      done(null, undefined);
    });
  }

  /** Takes no more connections, sends what was written to the ones that are there, and closes them. */
  stop(done: Callback): void {
    const server = this.#server;
    this.#server = null;
    if (server === null) {
      setImmediate(done, null, undefined);
      return;
    }
    server.close(() => done(null, undefined));
    for (const connection of this.#connections) connection.close();
  }

  #accept(socket: Socket): void {
    const { maxClientCnxns, trace } = this.#options;
    const address = plainAddress(socket.remoteAddress ?? '');
    const count = this.#perAddress.get(address) ?? 0;
    socket.on('error', () => socket.destroy());
    if (maxClientCnxns > 0 && count >= maxClientCnxns) {
      trace.event('TooManyConnections', { address, max: maxClientCnxns });
      socket.destroy();
      return;
    }
    this.#perAddress.set(address, count + 1);
    const connection = serve(this.#options, socket, address);
    this.#connections.add(connection);
    socket.on('close', () => {
      this.#connections.delete(connection);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    });
  }
}

/** A TCP socket behind a face. */
function serve(options: ZooKeeperFaceOptions, socket: Socket, address: string): ZooKeeperFace {
  const { remotePort, localAddress } = socket;
  const face = new ZooKeeperFace(options, new TcpFaceSocket(socket), { address, port: remotePort ?? 0, local: isLocalAddress(address, localAddress) });
  socket.on('data', (chunk: Buffer) => face.data(chunk));
  socket.on('drain', () => face.drained());
  socket.on('timeout', () => face.idle());
  socket.on('close', () => face.closed());
  return face;
}

class TcpFaceSocket implements FaceSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }
  write(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }
  cork(): void {
    this.#socket.cork();
  }
  uncork(): void {
    this.#socket.uncork();
  }
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  end(): void {
    this.#socket.end();
  }
  destroy(): void {
    this.#socket.destroy();
  }
  watchIdle(ms: number): void {
    this.#socket.setTimeout(ms);
  }
}
