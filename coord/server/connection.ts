/**
 * A client's connection as the request pipeline sees it: its session, its authenticated ids, and the requests that wait for their turn.
 * Invariant: replies leave in the order of the requests. Pings, auth and watch events are not replies in this sense.
 */
import { Fifo } from '../base/fifo.ts';
import type { Zxid } from '../base/zxid.ts';
import type { AuthId, ClientRequest, ClientSink, Result } from '../wire/types.ts';

export interface Waiting {
  readonly connection: Connection;
  readonly kind: 'write' | 'read' | 'sync' | 'connect';
  readonly xid: number;
  readonly op: number;
  /** Kept for reads that wait behind a write. */
  readonly request: ClientRequest | null;
  readonly requestNo: number;
  readonly arrivedMs: number;
  /** Of the body of a write. */
  readonly bytes: number;
  done: boolean;
  zxid: number;
  err: number;
  result: Result | null;
}

const NO_PASSWORD = new Uint8Array(16);

export class Connection {
  readonly handle: number;
  readonly sink: ClientSink;
  readonly remote: { readonly address: string; readonly port: number; readonly local: boolean };
  /** connecting: the session is not ours yet. */
  state: 'connecting' | 'open' | 'closed' = 'connecting';
  sessionId = 0n;
  /** Given or made at connect, and told in the reply: this server's tree may be behind and not know the session yet. */
  password: Uint8Array = NO_PASSWORD;
  timeoutMs = 0;
  /** When its newest request came, or it was opened. */
  heardMs = 0;
  readOnly = false;
  ids: readonly AuthId[];
  /** A SYNC is not answered yet: a later write must not be proposed, or an earlier read could show it. */
  syncing = false;
  /** Somebody asks the leader for this session, through this server: until it has answered, nothing more is sent for it. */
  contested = false;
  /** Requests that wait for the session, for the SYNC, or for the leader's word on who has the session. */
  readonly held = new Fifo<ClientRequest>();
  heldBytes = 0;
  /** What is not answered yet, in order. */
  readonly queue = new Fifo<Waiting>();
  /** Not yet told to the leader's session tracker. */
  touched = false;
  /** Something was written to the sink since the last flush. */
  dirty = false;
  readonly stats = { received: 0, sent: 0, establishedWallMs: 0, lastOp: 0, lastXid: -1, lastZxid: 0, lastResponseWallMs: 0, lastLatencyMs: 0, minLatencyMs: 0, maxLatencyMs: 0, sumLatencyMs: 0 };

  constructor(handle: number, sink: ClientSink, remote: { address: string; port: number; local: boolean }) {
    this.handle = handle;
    this.sink = sink;
    this.remote = remote;
    this.ids = [{ scheme: 'ip', id: remote.address }];
  }

  hold(request: ClientRequest): void {
    this.held.push(request);
    this.heldBytes += request.body?.length ?? 0;
  }
  /** Takes the oldest held request. */
  unhold(): ClientRequest | undefined {
    const request = this.held.shift();
    this.heldBytes -= request?.body?.length ?? 0;
    return request;
  }

  replied(zxid: Zxid, latencyMs: number, wallMs: number): void {
    const { stats } = this;
    if (stats.sent === 0 || latencyMs < stats.minLatencyMs) stats.minLatencyMs = latencyMs;
    if (latencyMs > stats.maxLatencyMs) stats.maxLatencyMs = latencyMs;
    stats.sumLatencyMs += latencyMs;
    stats.lastLatencyMs = latencyMs;
    stats.lastResponseWallMs = wallMs;
    stats.lastZxid = zxid;
    stats.sent++;
  }

  /** Requests must be held. */
  get holding(): boolean {
    return this.state === 'connecting' || this.syncing || this.contested;
  }
  get outstanding(): number {
    return this.queue.size + this.held.size;
  }
  get idle(): boolean {
    return this.queue.size === 0;
  }
}
