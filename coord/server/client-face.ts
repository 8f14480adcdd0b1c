/**
 * What the client faces (ZooKeeper's protocol, the native one) need of whatever carries their bytes: a socket and time. The adapters put real
 * sockets behind it, the simulator its virtual network; what is between bytes and the pipeline is the same.
 */
import type { Entropy, TimerHandle, Trace } from '../base/ports.ts';
import type { ClientPipeline } from './pipeline.ts';

export interface FaceSocket {
  /** Bytes that were written and have not left this process. */
  readonly unsentBytes: number;
  /** A chunk of a stream, or one message, whatever the face speaks. If unsentBytes is 0 afterwards, the bytes are the face's again; else the socket's. */
  write(bytes: Uint8Array): void;
  /** What is written between the two leaves at once. */
  cork(): void;
  uncork(): void;
  /** No more is read, until resume(). */
  pause(): void;
  resume(): void;
  /** Closes after what was written has been sent. `why`: empty for an orderly end, else what the peer did wrong. */
  end(why: string): void;
  /** Closes at once. */
  destroy(): void;
  /** From now on the face's idle() is called when no byte has come or gone for so long. */
  watchIdle(ms: number): void;
  /** So far. */
  readonly bytesRead: number;
}

export interface FaceTimers {
  after(delayMs: number, fn: () => void): TimerHandle;
  /** After what the event loop has at hand. */
  later(fn: () => void): void;
}

export interface FaceOptions {
  readonly pipeline: ClientPipeline;
  readonly juteMaxBuffer: number;
  readonly entropy: Entropy;
  readonly timers: FaceTimers;
  readonly trace: Trace;
  /** How long a connection may stay without a session. Default 10000, as ZooKeeper's zookeeper.nio.sessionlessCnxnTimeout. */
  readonly handshakeTimeoutMs?: number;
  /** Unsent bytes above which a connection is not read from, and above which it is closed. Defaults 1 MiB and 64 MiB. */
  readonly outputHighBytes?: number;
  readonly outputMaxBytes?: number;
}

export const HANDSHAKE_TIMEOUT_MS = 10_000;
export const OUTPUT_HIGH_BYTES = 1 << 20;
export const OUTPUT_MAX_BYTES = 64 << 20;
/** How long a connection that is being closed may take to read its last replies. */
export const LINGER_MS = 1000;
