/** The client's transport for the native protocol: one WebSocket, a frame a message, one write to the socket per flush. */
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { ClientTransport, ClientTransportHandler, ServerAddress } from '../client/transport.ts';

/** Where servers take the native protocol, on their HTTP port. */
const PATH = '/coord/v1';
/** A reply can be as long as a list of a million children. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;

export class WsClientTransport implements ClientTransport {
  handler: ClientTransportHandler | null = null;
  #connection = 0;
  #ws: WebSocket | null = null;
  #socket: Socket | null = null;
  #unsent: Uint8Array[] = [];

  open(connection: number, { host, port }: ServerAddress): void {
    this.close(this.#connection);
    this.#connection = connection;
    let socket: Socket | null = null;
    const ws = new WebSocket(`ws://${host.includes(':') ? `[${host}]` : host}:${port}${PATH}`, {
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
      createConnection: () => (socket = connect({ host, port, noDelay: true })),
    });
    this.#socket = socket;
    this.#ws = ws;
    let reason = 'the server closed the connection';
    ws.on('open', () => {
      if (this.#ws === ws) this.handler?.opened(connection);
    });
    ws.on('message', (data: Buffer) => {
      if (this.#ws === ws) this.handler?.frame(connection, data);
    });
    ws.on('error', (error) => (reason = error.message));
    ws.on('close', () => {
      if (this.#ws !== ws) return;
      this.#ws = null;
      this.#socket = null;
      this.#unsent = [];
      this.handler?.lost(connection, reason);
    });
  }

  send(connection: number, frame: Uint8Array): void {
    if (connection === this.#connection && this.#ws !== null) this.#unsent.push(frame);
  }

  flush(connection: number): void {
    if (connection !== this.#connection || this.#ws === null || this.#unsent.length === 0) return;
    const frames = this.#unsent;
    this.#unsent = [];
    this.#socket?.cork();
    for (const frame of frames) this.#ws.send(frame);
    this.#socket?.uncork();
  }

  close(connection: number): void {
    if (connection !== this.#connection || this.#ws === null) return;
    const ws = this.#ws;
    this.#ws = null;
    this.#socket = null;
    this.#unsent = [];
    ws.terminate();
  }
}
