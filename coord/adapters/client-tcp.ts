/** The client's transport for ZooKeeper's protocol: one TCP socket, frames behind a 4-byte length, one write per flush. */
import { connect, type Socket } from 'node:net';
import { FrameReader, withLengths } from '../wire/frame-reader.ts';
import type { ClientTransport, ClientTransportHandler, ServerAddress } from '../client/transport.ts';

/** A reply can be as long as a list of a million children. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;

export class TcpClientTransport implements ClientTransport {
  handler: ClientTransportHandler | null = null;
  #connection = 0;
  #socket: Socket | null = null;
  #unsent: Uint8Array[] = [];

  open(connection: number, server: ServerAddress): void {
    this.close(this.#connection);
    this.#connection = connection;
    const socket = connect({ host: server.host, port: server.port, noDelay: true });
    this.#socket = socket;
    let reason = 'the server closed the connection';
    socket.on('connect', () => {
      if (this.#socket === socket) this.handler?.opened(connection);
    });
    const reader = new FrameReader(FRAME_BYTES_MAX, (bytes, start, end) => {
      this.handler?.frame(connection, bytes.subarray(start, end));
      // False once it was closed from within.
      return this.#socket === socket;
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket !== socket || reader.push(chunk)) return;
      reason = 'a frame of a negative or too large size';
      socket.destroy();
    });
    socket.on('error', (error) => (reason = error.message));
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#unsent = [];
      this.handler?.lost(connection, reason);
    });
  }

  send(connection: number, frame: Uint8Array): void {
    if (connection !== this.#connection || this.#socket === null) return;
    this.#unsent.push(frame);
  }

  flush(connection: number): void {
    if (connection !== this.#connection || this.#socket === null || this.#unsent.length === 0) return;
    const frames = this.#unsent;
    this.#unsent = [];
    this.#socket.write(withLengths(frames));
  }

  close(connection: number): void {
    if (connection !== this.#connection || this.#socket === null) return;
    const socket = this.#socket;
    this.#socket = null;
    this.#unsent = [];
    socket.destroy();
  }
}
