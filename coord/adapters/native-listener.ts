/**
 * The native protocol: the same pipeline as ZooKeeper's, over WebSockets at /coord/v1 of the HTTP port. Also for browsers; a page of a foreign
 * origin is refused by the HTTP port. Who may connect, and a face for each who does (coord/server/native-face.ts).
 */
import type { Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Callback } from '../base/ports.ts';
import type { FaceOptions, FaceSocket } from '../server/client-face.ts';
import { NativeFace } from '../server/native-face.ts';
import { isLocalAddress, plainAddress } from './addresses.ts';
import { faceTimers } from './face-timers.ts';
import type { HttpPort } from './http.ts';

export interface NativeListenerOptions extends Omit<FaceOptions, 'timers'> {
  readonly http: HttpPort;
  /** Connections from one address at a time; 0: any number. */
  readonly maxClientCnxns: number;
}

export const NATIVE_PATH = '/coord/v1';
/** Close codes of RFC 6455. */
const PROTOCOL_ERROR = 1002;
const NORMAL = 1000;

export class NativeListener {
  readonly #options: FaceOptions;
  readonly #upgrader: WebSocketServer;
  readonly #connections = new Map<NativeFace, WebSocket>();
  readonly #perAddress = new Map<string, number>();

  /** Listens from now on, when the HTTP port does. */
  constructor(options: NativeListenerOptions) {
    this.#options = { ...options, timers: faceTimers };
    this.#upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: options.juteMaxBuffer, clientTracking: false });
    options.http.onUpgrade(NATIVE_PATH, (request, socket, head) => {
      const address = plainAddress(request.socket.remoteAddress ?? '');
      const count = this.#perAddress.get(address) ?? 0;
      if (options.maxClientCnxns > 0 && count >= options.maxClientCnxns) {
        options.trace.event('TooManyConnections', { address, max: options.maxClientCnxns });
        socket.destroy();
        return;
      }
      this.#perAddress.set(address, count + 1);
      socket.on('close', () => {
        const left = (this.#perAddress.get(address) ?? 1) - 1;
        if (left === 0) this.#perAddress.delete(address);
        else this.#perAddress.set(address, left);
      });
      this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, request.socket, address));
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Sends what was written and closes all connections; the HTTP port stays. */
  stop(done: Callback): void {
    if (this.#connections.size === 0) {
      setImmediate(done, null, undefined);
      return;
    }
    let left = this.#connections.size;
    for (const [face, ws] of this.#connections) {
      ws.on('close', () => {
        if (--left === 0) done(null, undefined);
      });
      face.close();
    }
  }

  #accept(ws: WebSocket, socket: Socket, address: string): void {
    const face = serve(this.#options, ws, socket, address);
    this.#connections.set(face, ws);
    ws.on('close', () => this.#connections.delete(face));
  }
}

/** A WebSocket behind a face. */
function serve(options: FaceOptions, ws: WebSocket, socket: Socket, address: string): NativeFace {
  socket.setNoDelay(true);
  const face = new NativeFace(options, new WsFaceSocket(ws, socket), { address, port: socket.remotePort ?? 0, local: isLocalAddress(address, socket.localAddress) });
  ws.on('message', (data, isBinary) => face.message(data as Buffer, isBinary));
  // ws answers too long and malformed frames with its own close codes; 'close' follows.
  ws.on('error', (error) => options.trace.event('ConnectionClosed', { address, why: error.message }));
  ws.on('close', () => face.closed());
  socket.on('drain', () => face.drained());
  return face;
}

class WsFaceSocket implements FaceSocket {
  readonly #ws: WebSocket;
  readonly #socket: Socket;

  constructor(ws: WebSocket, socket: Socket) {
    this.#ws = ws;
    this.#socket = socket;
  }

  get unsentBytes(): number {
    return this.#ws.bufferedAmount;
  }
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }
  write(bytes: Uint8Array): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(bytes);
  }
  cork(): void {
    this.#socket.cork();
  }
  uncork(): void {
    this.#socket.uncork();
  }
  pause(): void {
    this.#ws.pause();
  }
  resume(): void {
    this.#ws.resume();
  }
  end(why: string): void {
    this.#ws.close(why === '' ? NORMAL : PROTOCOL_ERROR, why);
  }
  destroy(): void {
    this.#ws.terminate();
  }
  /** A half-open one ends with its session. */
  watchIdle(): void {}
}
