/**
 * The driver loop of one server: collects what happens during a turn of the event loop, lets the core (coord/server) decide once, and carries the
 * effects out: one journal append, the frames of every peer, one write per client connection. It knows ports only, so the simulator
 * runs this very loop.
 *
 * A failed write or sync of the journal or of the state ends the core: connections and channels are closed, nothing more is acked, and the
 * server begins again from what is on disk, exactly as after a crash, as soon as the disk lets it.
 */
import { assertNever } from '../base/assert.ts';
import { empty } from '../base/empty.ts';
import type { Callback, Clock, PeerTransport, PeerTransportHandler, TimerHandle, Timers, Trace } from '../base/ports.ts';
import type { ChannelKind } from '../base/ports.ts';
import { DreyError } from '../base/errors.ts';
import type { ClientPipeline, RemoteAddress } from '../server/pipeline.ts';
import { statsWithoutCore, type ServerDescription } from '../server/server-counters.ts';
import { Server, type ServerConfig, type ServerDrain } from '../server/server.ts';
import type { Storage } from '../storage/storage.ts';
import { DataTree } from '../tree/data-tree.ts';
import type { ServerStats } from '../wire/server-stats.ts';
import type { ClientRequest, ClientSink, ConnectRequest } from '../wire/types.ts';
import type { PeerConfig, PeerCore, PeerEvent, RecoveredHistory, Serving } from '../zab/contract.ts';
import type { PeerMessage } from '../zab/messages.ts';
import { Peer } from '../zab/peer.ts';
import { decodePeerFrame, encodePeerFrame } from './peer-frame.ts';
import { sendSnapshot, type SnapshotSender } from './snapshot-sender.ts';

export interface QuorumPeerPorts {
  /** A new Storage over the same files each time: a failed one is never used again. */
  readonly openStorage: () => Storage;
  /** null: standalone. */
  readonly transport: PeerTransport | null;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly trace: Trace;
}

export interface QuorumPeerOptions {
  readonly server: ServerConfig;
  readonly description: ServerDescription;
  readonly peer: PeerConfig;
  /** Dirty entries at which the state is flushed at once: what a turn may spend on it, and more than a set of hot znodes usually has. */
  readonly flushEntriesMax: number;
  /** The state is flushed at least this often while there is something to flush. */
  readonly flushIntervalMs: number;
  /** How long to wait before the disk is tried again after a failure. */
  readonly diskRetryMs: number;
}

export const DEFAULT_DRIVER_OPTIONS = { flushEntriesMax: 4000, flushIntervalMs: 500, diskRetryMs: 500 } as const;

export class QuorumPeer implements ClientPipeline, PeerTransportHandler {
  readonly #ports: QuorumPeerPorts;
  readonly #options: QuorumPeerOptions;
  #storage: Storage | null = null;
  #server: Server | null = null;
  #channels = new Map<number, { kind: ChannelKind; sid: number }>();
  #scheduled = false;
  #timer: TimerHandle | null = null;
  #timerAtMs = Infinity;
  #snapshots = new Map<number, SnapshotSender>();
  #lastFlushMs = 0;
  #stopping: Callback | null = null;
  /** Counts cores: what an older one started is dropped when it comes back. */
  #incarnation = 0;
  #lastMessage: PeerMessage | null = null;
  #lastFrame: Uint8Array = new Uint8Array(0);
  /** Called when this server begins or stops to serve. */
  onServing: ((serving: Serving, epoch: number) => void) | null = null;
  /** The disk failed, or was refused; null: it is well again. For people. */
  onDisk: ((error: Error | null) => void) | null = null;

  constructor(ports: QuorumPeerPorts, options: QuorumPeerOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  get server(): Server | null {
    return this.#server;
  }

  start(done: Callback): void {
    const { transport } = this.#ports;
    if (transport !== null) transport.handler = this;
    this.#boot((error) => {
      if (error !== null || transport === null) done(error);
      else transport.start(done);
    });
  }

  stop(done: Callback): void {
    this.#stopping = done;
    this.#timer?.cancel();
    const finish = (): void => {
      const storage = this.#storage;
      this.#storage = null;
      this.#server = null;
      if (storage === null) done(null);
      else storage.close(done);
    };
    const { transport } = this.#ports;
    this.#dropClients();
    if (transport === null) finish();
    else transport.stop(finish);
  }

  // ------------------------------------------------------------ boot, and boot again after a failed disk

  #boot(done: Callback, again = true): void {
    const incarnation = ++this.#incarnation;
    const storage = this.#ports.openStorage();
    storage.open((error, recovered) => {
      if (error !== null) return done(error);
      if (incarnation !== this.#incarnation) return;
      for (const warning of recovered.warnings) this.#ports.trace.event('StorageWarning', { warning });
      const tree = new DataTree();
      recovered.loadState(
        (entries) => {
          for (const [key, value] of entries) tree.loadEntry(key, value);
        },
        (loadError) => {
          if (loadError !== null) {
            // The damage is remembered: the next open finds an empty, suspect server, which takes a SNAP from the leader.
            const damaged = loadError instanceof DreyError && loadError.code === 'COORD_STATE_DAMAGED';
            this.#ports.trace.event('StorageWarning', { warning: loadError.message });
            return storage.close(() => (damaged && again ? this.#boot(done, false) : done(loadError)));
          }
          tree.loadDone(recovered.history.appliedZxid);
          this.#storage = storage;
          this.#begin(tree, recovered.history);
          done(null);
        },
      );
    });
  }

  #begin(tree: DataTree, history: RecoveredHistory): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const wallMs = this.#ports.clock.wallMs();
    this.#lastFlushMs = nowMs;
    const peer: PeerCore = new Peer(this.#options.peer, history, nowMs);
    this.#server = new Server({ ...this.#options.server, detectMs: this.#ports.transport === null ? 0 : this.#options.peer.detectMs }, peer, tree, { nowMs, wallMs });
    for (const [channel, { kind, sid }] of this.#channels) this.#server.peerEvent({ type: 'channelUp', kind, channel, sid });
    this.#ports.trace.event('Boot', { applied: history.appliedZxid, lastZxid: peer.lastZxid, acceptedEpoch: history.acceptedEpoch, currentEpoch: history.currentEpoch, suspect: history.suspect });
    this.#schedule();
  }

  #diskFailed(error: Error, incarnation: number): void {
    if (incarnation !== this.#incarnation || this.#stopping !== null) return;
    const storage = this.#storage;
    this.#dropClients();
    this.#server = null;
    this.#storage = null;
    this.#incarnation++;
    for (const channel of this.#channels.keys()) this.#ports.transport?.close(channel);
    this.#channels.clear();
    this.onServing?.('no', 0);
    this.onDisk?.(error);
    this.#ports.trace.event('DiskFailed', { why: error.message });
    const again = (): void => {
      this.#ports.timers.after(this.#options.diskRetryMs, () => {
        if (this.#stopping !== null) return;
        this.#boot((bootError) => {
          if (bootError === null) this.onDisk?.(null);
          else {
            this.onDisk?.(bootError);
            again();
          }
        });
      });
    };
    if (storage === null) again();
    else storage.close(again);
  }

  #dropClients(): void {
    const server = this.#server;
    if (server === null) return;
    for (const connection of server.connections.values()) {
      connection.sink.close();
      server.disconnected(connection.handle);
    }
    for (const sender of this.#snapshots.values()) sender.cancel();
    this.#snapshots.clear();
  }

  // ------------------------------------------------------------ inputs

  #input(): Server | null {
    const server = this.#server;
    if (server !== null && !this.#scheduled) {
      server.time(this.#ports.clock.monotonicMs(), this.#ports.clock.wallMs());
      this.#schedule();
    }
    return server;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#ports.timers.endOfTurn(this.#turn);
  }

  connect(sink: ClientSink, request: ConnectRequest, freshPassword: Uint8Array, remote: RemoteAddress): number {
    const server = this.#input();
    if (server !== null) return server.connect(sink, request, freshPassword, remote);
    sink.close();
    return 0;
  }
  request(connection: number, request: ClientRequest): void {
    this.#input()?.request(connection, request);
  }
  disconnected(connection: number): void {
    this.#input()?.disconnected(connection);
  }
  writable(connection: number): boolean {
    return this.#server?.writable(connection) ?? true;
  }
  stats(): ServerStats {
    const { description, server } = this.#options;
    return this.#server?.stats(description) ?? statsWithoutCore(server.sid, description);
  }

  channelUp(kind: ChannelKind, channel: number, sid: number): void {
    this.#channels.set(channel, { kind, sid });
    this.#peerEvent({ type: 'channelUp', kind, channel, sid });
  }
  channelDown(channel: number): void {
    if (!this.#channels.delete(channel)) return;
    this.#snapshots.get(channel)?.cancel();
    this.#snapshots.delete(channel);
    this.#peerEvent({ type: 'channelDown', channel });
  }
  dialFailed(sid: number): void {
    this.#peerEvent({ type: 'dialFailed', sid });
  }
  frame(channel: number, frame: Uint8Array): void {
    if (!this.#channels.has(channel)) return;
    let message: PeerMessage;
    try {
      message = decodePeerFrame(frame);
    } catch (error) {
      if (!(error instanceof DreyError)) throw error;
      this.#ports.trace.event('MalformedPeerFrame', { sid: this.#channels.get(channel)?.sid, why: error.message });
      this.#closeChannel(channel);
      return;
    }
    this.#peerEvent({ type: 'message', channel, message });
  }
  drained(channel: number): void {
    this.#snapshots.get(channel)?.resume();
  }

  #peerEvent(event: PeerEvent): void {
    this.#input()?.peerEvent(event);
  }

  #closeChannel(channel: number): void {
    this.#ports.transport?.close(channel);
    this.channelDown(channel);
  }

  // ------------------------------------------------------------ the turn

  readonly #turn = (): void => {
    this.#scheduled = false;
    const server = this.#server;
    const storage = this.#storage;
    if (server === null || storage === null) return;
    const nowMs = this.#ports.clock.monotonicMs();
    server.time(nowMs, this.#ports.clock.wallMs());
    if (nowMs >= this.#timerAtMs) this.#timerAtMs = Infinity;
    server.peerEvent(CLOCK);
    const out = server.drain();
    this.#persist(storage, out);
    for (const { channel, message } of out.sends) this.#ports.transport?.send(channel, this.#encode(message));
    for (const action of out.actions) this.#act(storage, action);
    for (const connection of server.dirtyConnections) {
      connection.dirty = false;
      connection.sink.flush();
    }
    empty(server.dirtyConnections);
    this.#ports.transport?.flush();
    this.#maybeFlush(server, storage, nowMs);
    this.#arm(server, storage, out.deadlineMs, nowMs);
  };

  #persist(storage: Storage, out: ServerDrain): void {
    if (out.persist.length === 0) return;
    const incarnation = this.#incarnation;
    storage.persist(out.persist.slice(), (error, seq) => {
      if (incarnation !== this.#incarnation) return;
      if (error !== null) this.#diskFailed(error, incarnation);
      else this.#peerEvent({ type: 'persisted', seq });
    });
  }

  /** The same PROPOSAL or COMMIT goes to several learners: encoded once. */
  #encode(message: PeerMessage): Uint8Array {
    if (this.#lastMessage === message) return this.#lastFrame;
    this.#lastMessage = message;
    this.#lastFrame = encodePeerFrame(message);
    return this.#lastFrame;
  }

  #act(storage: Storage, action: ServerDrain['actions'][number]): void {
    const incarnation = this.#incarnation;
    switch (action.type) {
      case 'dialLearner':
        this.#ports.transport?.dialLearner(action.sid);
        return;
      case 'closeChannel':
        this.#closeChannel(action.channel);
        return;
      case 'readJournal':
        storage.readGroups(action.afterZxid, action.bytesMax, (error, groups) => {
          if (incarnation !== this.#incarnation) return;
          this.#peerEvent({ type: 'journalRead', channel: action.channel, groups: error === null ? groups : [] });
        });
        return;
      case 'sendSnapshot':
        this.#sendSnapshot(storage, action.channel, incarnation);
        return;
      case 'serving':
        this.#ports.trace.event('Serving', { serving: action.serving, epoch: action.epoch });
        this.onServing?.(action.serving, action.epoch);
        return;
      case 'state':
        this.#ports.trace.event('State', { state: action.state, leader: action.leader, epoch: action.epoch });
        return;
      case 'trace':
        this.#ports.trace.event(action.name, action.fields);
        return;
      default:
        assertNever(action);
    }
  }

  #sendSnapshot(storage: Storage, channel: number, incarnation: number): void {
    const transport = this.#ports.transport;
    if (transport === null) return;
    const sender = sendSnapshot(storage.openSnapshot(), transport, channel, (message) => this.#encode(message), (error, baseZxid) => {
      this.#snapshots.delete(channel);
      if (incarnation !== this.#incarnation) return;
      // Whoever leads with a state that it cannot read leaves those behind it for good: let somebody lead who can bring them in line, this server too.
      if (error instanceof DreyError && error.code === 'COORD_STATE_DAMAGED') return this.#diskFailed(error, incarnation);
      this.#peerEvent(error === null ? { type: 'snapshotSent', channel, baseZxid } : { type: 'snapshotFailed', channel });
    });
    this.#snapshots.set(channel, sender);
    sender.resume();
  }

  /** There is something to flush, and this server's own journal holds it already. */
  #canFlush(server: Server, storage: Storage): boolean {
    const applied = server.tree.lastProcessedZxid;
    return !storage.flushing && applied > storage.flushedZxid && applied <= storage.lastDurableZxid;
  }

  /** Flushes when enough is dirty or enough time has passed. */
  #maybeFlush(server: Server, storage: Storage, nowMs: number): void {
    if (!this.#canFlush(server, storage)) return;
    if (server.tree.dirtyCount < this.#options.flushEntriesMax && nowMs < this.#lastFlushMs + this.#options.flushIntervalMs) return;
    const applied = server.tree.lastProcessedZxid;
    this.#lastFlushMs = nowMs;
    const incarnation = this.#incarnation;
    storage.flush(server.tree.takeDirty(), applied, (error) => {
      if (incarnation !== this.#incarnation) return;
      if (error !== null) this.#diskFailed(error, incarnation);
      else {
        storage.purge(server.peer.journalNeededAfter);
        this.#schedule();
      }
    });
  }

  #arm(server: Server, storage: Storage, deadlineMs: number, nowMs: number): void {
    if (this.#canFlush(server, storage)) deadlineMs = Math.min(deadlineMs, this.#lastFlushMs + this.#options.flushIntervalMs);
    if (deadlineMs === Infinity || deadlineMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = deadlineMs;
    this.#timer = this.#ports.timers.after(Math.max(0, deadlineMs - nowMs), () => {
      this.#timerAtMs = Infinity;
      this.#input();
    });
  }
}

const CLOCK: PeerEvent = { type: 'clock' };
