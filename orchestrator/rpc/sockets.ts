/**
 * The port through which job masters and task managers reach each other: connections that carry whole frames, in order, both ways. The production
 * adapter is orchestrator/adapters/ws-sockets.ts; the simulator puts a virtual network in its place.
 *
 * No handler is called from within a call to this port.
 */
export interface Sockets {
  /** Resolves when connections are accepted; rejects when they cannot be (the port is taken). */
  listen(at: { readonly host: string; readonly port: number }, paths: Readonly<Record<string, SocketPath>>): Promise<SocketListener>;
  /** Answered by opened() or closed(). */
  dial(to: DialTarget, handler: SocketHandler): Socket;
}

export interface SocketPath {
  /** A larger frame ends the connection. */
  readonly frameBytesMax: number;
  /** A connection was made to this path. */
  accept(socket: Socket): SocketHandler;
}

export interface SocketListener {
  /** host:port, as others can reach it. */
  readonly address: string;
  /** Breaks all connections that were accepted, and takes no more. */
  close(): void;
}

export interface DialTarget {
  /** host:port. */
  readonly address: string;
  readonly path: string;
  readonly frameBytesMax: number;
  /** Given up after this time: an operating system takes minutes. */
  readonly handshakeTimeoutMs: number;
}

export interface Socket {
  /** While the connection is open; dropped otherwise. */
  send(frame: Uint8Array): void;
  /** After what was sent has left. `code` and `reason` as in RFC 6455; both ends are told. */
  close(code: number, reason: string): void;
  /** At once. */
  terminate(): void;
}

export interface SocketHandler {
  /** Of a connection that was dialled. */
  opened?(): void;
  /** The frame is the handler's to keep. */
  frame(frame: Uint8Array): void;
  /** Once, and the last call: it could not be made, or is gone. */
  closed(end: SocketEnd): void;
}

export interface SocketEnd {
  /** For people. */
  readonly reason: string;
  /** Nothing listens at the address, so the process that did is gone. */
  readonly refused: boolean;
}
