/** The request pipeline as the client faces (ZooKeeper's protocol, the native one, HTTP) see it. Implemented by coord/server/server.ts. */
import type { ServerStats } from '../wire/server-stats.ts';
import type { ClientRequest, ClientSink, ConnectRequest } from '../wire/types.ts';

export interface RemoteAddress {
  readonly address: string;
  readonly port: number;
  /** The client is on this host. */
  readonly local: boolean;
}

export interface ClientPipeline {
  /** A connection finished its ConnectRequest. freshPassword: 16 random bytes for a new session. Answered through sink.connected(). Returns a handle. */
  connect(sink: ClientSink, request: ConnectRequest, freshPassword: Uint8Array, remote: RemoteAddress): number;
  /** One request of that connection, in order. The request object may be reused by the face after the call returns. */
  request(connection: number, request: ClientRequest): void;
  /** The transport is gone (not the session). */
  disconnected(connection: number): void;
  /** For four-letter words and the HTTP port. */
  stats(): ServerStats;
  /** False: requests are piling up for this connection or the server; the face stops reading until resume is called on its sink. */
  writable(connection: number): boolean;
}
