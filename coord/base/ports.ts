/**
 * The ports: everything that driver loops (coord/runtime, coord/storage, coord/client, orchestrator/runtime) may know of
 * the outside world. Production adapters are in coord/adapters; the simulator puts its doubles in their place and replaces nothing else.
 *
 * All callbacks are node-style and are never called before the call that took them has returned. None of the calls throws.
 */

export type Callback<T = void> = (error: Error | null, value: T) => void;

export interface Clock {
  /** Monotonic milliseconds with a fraction; the origin is arbitrary. Never goes back. */
  monotonicMs(): number;
  /** Wall clock, milliseconds since 1970, for ctime and mtime only. May jump. */
  wallMs(): number;
}

export interface Timers {
  /** Calls `fn` once, no earlier than `delayMs` from now. */
  after(delayMs: number, fn: () => void): TimerHandle;
  /** Calls `fn` after what is already queued for this turn of the event loop: the point where a turn's batch ends. */
  endOfTurn(fn: () => void): void;
}
export interface TimerHandle {
  cancel(): void;
}

export interface Entropy {
  bytes(n: number): Uint8Array;
}

/** Structured trace of what a component decides; the production sink logs the interesting ones, the simulator hashes all. */
export interface Trace {
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
}

// ---------------------------------------------------------------- disk

/** A directory of preallocated, write-through files: what the journal needs, no more. */
export interface JournalFiles {
  /** Names in the directory, in no particular order. */
  list(done: Callback<string[]>): void;
  read(name: string, done: Callback<Uint8Array>): void;
  /** Makes a file of `size` zero bytes. When `done` is called the file, its size and its directory entry are durable. */
  create(name: string, size: number, done: Callback): void;
  /** Opens an existing file for write-through writes (O_DSYNC). */
  open(name: string, done: Callback<JournalFile>): void;
  /** Removes a file; durable when `done` is called. */
  remove(name: string, done: Callback): void;
}
export interface JournalFile {
  /**
   * Writes the chunks, in order, at `position`. When `done` is called without an error the bytes are durable. Several writes may be
   * in flight; they may become durable in any order. After an error nothing is known about the range and the file must be reopened.
   */
  write(chunks: readonly Uint8Array[], position: number, done: Callback): void;
  close(done: Callback): void;
}

/** A key-value store with LevelDB's guarantees: a synced batch is atomic and durable when `done` is called without an error. */
export interface Kv {
  batch(ops: readonly KvOp[], options: { sync: boolean }, done: Callback): void;
  get(key: string, done: Callback<Uint8Array | undefined>): void;
  /** A consistent view that later writes do not disturb. Must be closed. */
  snapshot(): KvView;
  close(done: Callback): void;
}
export type KvOp = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string };
export interface KvView {
  get(key: string, done: Callback<Uint8Array | undefined>): void;
  /** Up to `limit` entries with gte <= key < lt, in order of key (UTF-8 bytes). */
  range(gte: string, lt: string, limit: number, done: Callback<[string, Uint8Array][]>): void;
  close(): void;
}
export interface KvStores {
  open(name: string, done: Callback<Kv>): void;
}

// ---------------------------------------------------------------- peers

export type ChannelKind = 'election' | 'learner';

/**
 * Reliable FIFO channels between servers. A channel number is an incarnation: it is never used again, and what belongs
 * to a closed one is dropped by whoever still holds it.
 */
export interface PeerTransport {
  /** Who is told. Set once, before start. */
  handler: PeerTransportHandler | null;
  start(done: Callback): void;
  /** Opens a learner channel to the leader; answered by channelUp, or by dialFailed. */
  dialLearner(sid: number): void;
  /** Queues a frame (already encoded). Leaves the process at flush() or earlier. Frames to unknown channels are dropped. */
  send(channel: number, frame: Uint8Array): void;
  flush(): void;
  /** Bytes queued and not yet handed to the network. */
  buffered(channel: number): number;
  close(channel: number): void;
  stop(done: Callback): void;
}
export interface PeerTransportHandler {
  /** Election channels are dialled, and re-dialled, by the transport itself, one for each pair. */
  channelUp(kind: ChannelKind, channel: number, sid: number): void;
  channelDown(channel: number): void;
  dialFailed(sid: number): void;
  frame(channel: number, frame: Uint8Array): void;
  /** buffered(channel) has fallen low again after having been above the transport's high-water mark. */
  drained(channel: number): void;
}
