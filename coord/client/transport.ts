/**
 * The ports of the client: a connection that carries frames, and the codec of the protocol spoken on it. The adapters are
 * coord/adapters/client-tcp.ts and client-ws.ts; the simulator puts a virtual network in their place.
 */
import type { Zxid } from '../base/zxid.ts';
import type { ClientRequest, ConnectRequest, Result } from '../wire/types.ts';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * At most one connection is open at a time. A connection number is an incarnation: it is never used again, and what arrives for an
 * old one is dropped by the session. Callbacks never come from within a call.
 */
export interface ClientTransport {
  handler: ClientTransportHandler | null;
  /** Answered by opened() or by lost(). */
  open(connection: number, server: ServerAddress): void;
  /** Queues one frame (without a length); it leaves at flush() or earlier, on this connection or not at all. */
  send(connection: number, frame: Uint8Array): void;
  flush(connection: number): void;
  /** At once; lost() is not called for it. */
  close(connection: number): void;
}

export interface ClientTransportHandler {
  opened(connection: number): void;
  /** The frame is the session's to read until it returns. */
  frame(connection: number, frame: Uint8Array): void;
  /** The connection could not be made, or is gone. */
  lost(connection: number, reason: string): void;
}

export interface ConnectResponse {
  /** 0: the session has expired. */
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array;
  readonly readOnly: boolean;
}

/** Who is told what a frame holds. */
export interface ServerMessages {
  /** The opcode of the request that is to be answered next, for codecs whose replies do not say it; xid as the reply has it. */
  expectedOp(xid: number): number;
  /** result is null when err is not 0 and for empty bodies. */
  reply(xid: number, zxid: Zxid, err: number, result: Result | null): void;
  event(type: number, path: string, zxid: Zxid): void;
}

/** Decoders throw DreyError COORD_MARSHALLING on what they cannot read; the session then gives the connection up. */
export interface ClientCodec {
  encodeConnect(request: ConnectRequest): Uint8Array;
  /** The first frame of a connection. */
  decodeConnect(frame: Uint8Array): ConnectResponse;
  encodeRequest(request: ClientRequest): Uint8Array;
  decode(frame: Uint8Array, messages: ServerMessages): void;
}
