/**
 * The network between clients and servers: byte streams (ZooKeeper's protocol) and message streams (the native one), FIFO in each direction, that
 * are refused, black-holed, clogged, half-open, reset, cut into arbitrary chunks, and full when the reader is slow. At the server's end of each
 * is the product's own face.
 *
 * What is on the way when a wire breaks is lost, or still arrives at the end that has not noticed yet. Chance comes from the stream
 * `net/client-2>server-1`.
 */
import type { TimerHandle } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';
import type { FaceOptions, FaceSocket } from '../../coord/server/client-face.ts';
import { NativeFace } from '../../coord/server/native-face.ts';
import { ZooKeeperFace } from '../../coord/server/zookeeper-face.ts';
import type { Process } from '../world/process.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';

export type Protocol = 'zookeeper' | 'native';

/** Who hears of a wire at the client's end; called in the client's process. */
export interface WireHandler {
  opened(): void;
  data(bytes: Buffer): void;
  lost(reason: string): void;
}

export interface WireOptions {
  readonly client: string;
  readonly process: Process;
  readonly address: string;
  readonly protocol: Protocol;
  /** How likely each kind of trouble is for a wire; 0: none. */
  readonly roughness: number;
}

export interface ClientNetworkOptions {
  /** Bytes that are on the way or in the reader's buffers, at most, in each direction. */
  readonly windowBytes: number;
  readonly outputHighBytes: number;
  readonly outputMaxBytes: number;
  readonly juteMaxBuffer: number;
}

export const JUTE_MAX_BUFFER = 0xfffff;
export const ORDINARY: ClientNetworkOptions = { windowBytes: 64 << 10, outputHighBytes: 1 << 20, outputMaxBytes: 64 << 20, juteMaxBuffer: JUTE_MAX_BUFFER };

/** In a share of the seeds buffers are so small that slow readers are noticed. */
export function drawNetwork(prng: Prng): ClientNetworkOptions {
  return prng.chance(0.4) ? { windowBytes: 2048, outputHighBytes: 8 << 10, outputMaxBytes: 512 << 10, juteMaxBuffer: JUTE_MAX_BUFFER } : ORDINARY;
}

const LATENCY_MS = 0.3;
const WHITELIST = new Set(['ruok', 'srvr', 'mntr']);

export class ClientNetwork {
  readonly world: World;
  readonly options: ClientNetworkOptions;
  readonly #wires = new Set<Wire>();
  /** Of those servers whose wires are narrow. */
  readonly #widths = new Map<SimServer, number>();

  constructor(world: World, options: ClientNetworkOptions = ORDINARY) {
    this.world = world;
    this.options = options;
  }

  dial(server: SimServer, handler: WireHandler, options: WireOptions): Wire {
    const wire = new Wire(this, server, handler, options);
    this.#wires.add(wire);
    wire.setWidth(this.#widths.get(server) ?? Infinity);
    wire.dial();
    return wire;
  }

  /** The kernel of a dead process resets its wires; that of a machine without power says nothing. */
  serverDied(server: SimServer): void {
    for (const wire of this.#wires) if (wire.server === server) wire.serverDied();
  }

  forget(wire: Wire): void {
    this.#wires.delete(wire);
  }

  /** Each wire of the server takes so many bytes a ms in each direction; Infinity: as usual. */
  narrow(server: SimServer, bytesPerMs: number): void {
    if (bytesPerMs === Infinity) this.#widths.delete(server);
    else this.#widths.set(server, bytesPerMs);
    for (const wire of this.#wires) if (wire.server === server) wire.setWidth(bytesPerMs);
  }

  /** Everything of which a wire suffers ends: those that are clogged or half-open break. */
  heal(): void {
    for (const wire of this.#wires) wire.heal();
  }
}

/** One direction. */
class Lane {
  lastArrivalMs = 0;
  bytesPerMs = Infinity;
  /** What has been sent has left the sender by then. */
  sentAtMs = 0;
  /** Nothing arrives before; Infinity: nothing ever does, and nobody is told. */
  clogUntilMs = 0;
  /** What arrives at the other end, in the order in which it was sent. */
  readonly onTheWay: (() => void)[] = [];
}

export class Wire implements FaceSocket {
  readonly server: SimServer;
  readonly #network: ClientNetwork;
  readonly #handler: WireHandler;
  readonly #options: WireOptions;
  readonly #prng: Prng;
  readonly #latencyMs: number;
  readonly #toServer = new Lane();
  readonly #toClient = new Lane();
  #face: ZooKeeperFace | NativeFace | null = null;
  #clientOpen = true;
  #serverOpen = false;
  #rough: boolean;

  // The server's end.
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #onTheWayBytes = 0;
  #wasFull = false;
  #ending = false;
  #reading = true;
  readonly #received: Buffer[] = [];
  bytesRead = 0;
  #idleMs = 0;
  #activeMs = 0;
  #idleTimer: TimerHandle | null = null;

  // The client's end.
  #clientReading = true;
  readonly #unread: (() => void)[] = [];

  constructor(network: ClientNetwork, server: SimServer, handler: WireHandler, options: WireOptions) {
    this.#network = network;
    this.server = server;
    this.#handler = handler;
    this.#options = options;
    this.#prng = network.world.streams(`net/${options.client}>${server.process.name}`);
    this.#latencyMs = this.#prng.pick([LATENCY_MS, LATENCY_MS, 4, 30]);
    this.#rough = options.roughness > 0;
  }

  get isOpenAtServer(): boolean {
    return this.#serverOpen;
  }

  // ------------------------------------------------------------ what happens to it

  dial(): void {
    const { roughness } = this.#options;
    const prng = this.#prng;
    const { world } = this.#network;
    const refused = prng.chance(roughness / 4);
    if (prng.chance(roughness / 4)) this.#toServer.clogUntilMs = Infinity;
    const trouble = prng.float();
    const atMs = prng.float() * 3000;
    const how = prng.below(3);
    const forMs = prng.pick([20, 200, 3000]) * (0.5 + prng.float());
    if (trouble < roughness) this.#at(atMs, () => this.reset());
    else if (trouble < 1.5 * roughness) {
      this.#at(atMs, () => {
        if (how !== 0) this.#toServer.clogUntilMs = Infinity;
        if (how !== 1) this.#toClient.clogUntilMs = Infinity;
      });
    } else if (trouble < 2.5 * roughness) {
      this.#at(atMs, () => {
        (how === 0 ? this.#toClient : this.#toServer).clogUntilMs = world.nowMs + forMs;
      });
    }
    this.#arrive(this.#toServer, () => this.#accept(refused));
  }

  #at(atMs: number, fn: () => void): void {
    this.#network.world.schedule(atMs, () => {
      if (this.#rough && this.#clientOpen) fn();
    });
  }

  heal(): void {
    this.#rough = false;
    const clogged = [this.#toServer, this.#toClient].filter(({ clogUntilMs }) => clogUntilMs > this.#network.world.nowMs);
    if (clogged.length === 0) return;
    for (const lane of clogged) {
      lane.clogUntilMs = 0;
      // Something that was sent before it may have been swallowed.
      lane.onTheWay.length = 0;
    }
    this.reset();
  }

  /** Both ends learn of it, each in its time; what is on the way arrives in part or not at all. */
  reset(): void {
    this.#toldClient('the connection was reset');
    this.#toldServer();
  }

  serverDied(): void {
    if (!this.#serverOpen && !this.#clientOpen) return;
    this.#serverGone();
    // A machine without power tells nobody: the client finds out by itself.
    if (this.#prng.chance(0.7)) this.#toldClient('the connection was reset');
    else {
      this.#toClient.clogUntilMs = Infinity;
      this.#toServer.clogUntilMs = Infinity;
    }
  }

  /** At full width all that has been sent is on its way: it arrives soon, and not in the time that it would have taken. */
  setWidth(bytesPerMs: number): void {
    const { world } = this.#network;
    for (const lane of [this.#toServer, this.#toClient]) {
      const waited = lane.bytesPerMs !== Infinity && bytesPerMs === Infinity;
      lane.bytesPerMs = bytesPerMs;
      if (!waited || lane.sentAtMs <= world.nowMs) continue;
      lane.sentAtMs = world.nowMs;
      lane.lastArrivalMs = world.nowMs + this.#latencyMs;
      // Those that were to come one after the other find nothing left.
      for (let left = lane.onTheWay.length; left > 0; left--) world.schedule(this.#latencyMs, () => this.#arrived(lane));
    }
  }

  /** `fn` when what is sent now, so many bytes, is at the other end. Nothing overtakes. */
  #arrive(lane: Lane, fn: () => void, bytes = 0): void {
    const { world } = this.#network;
    if (lane.clogUntilMs === Infinity) return;
    lane.sentAtMs = Math.max(lane.sentAtMs, world.nowMs) + bytes / lane.bytesPerMs;
    lane.lastArrivalMs = Math.max(lane.lastArrivalMs, lane.clogUntilMs, lane.sentAtMs + this.#latencyMs * (0.5 + this.#prng.float()));
    lane.onTheWay.push(fn);
    world.schedule(lane.lastArrivalMs - world.nowMs, () => this.#arrived(lane));
  }
  /** The first of what is on the way, whichever was to come now: what was clogged on its way comes before what was sent behind it. */
  #arrived(lane: Lane): void {
    const { world } = this.#network;
    if (lane.clogUntilMs <= world.nowMs) lane.onTheWay.shift()?.();
    else if (lane.clogUntilMs === Infinity) lane.onTheWay.shift();
    else world.schedule(lane.clogUntilMs - world.nowMs, () => this.#arrived(lane));
  }

  #toldClient(reason: string): void {
    this.#arrive(this.#toClient, () => this.#options.process.schedule(0, () => this.#clientLost(reason)));
  }
  #toldServer(): void {
    this.#arrive(this.#toServer, () => this.server.process.schedule(0, () => this.#serverClosed()));
  }

  // ------------------------------------------------------------ the client's end

  send(bytes: Uint8Array): void {
    if (!this.#clientOpen) return;
    const isStream = this.#options.protocol === 'zookeeper';
    const cut = isStream && bytes.length > 1 && this.#prng.chance(0.1) ? 1 + this.#prng.below(bytes.length - 1) : bytes.length;
    for (const [from, to] of [[0, cut], [cut, bytes.length]] as const) {
      if (from === to) continue;
      const chunk = Buffer.from(bytes.subarray(from, to));
      this.#arrive(this.#toServer, () => this.server.process.schedule(0, () => this.#onServerData(chunk)), chunk.length);
    }
  }

  /** The client is done with it. What it sent may still arrive. */
  close(): void {
    if (!this.#clientOpen) return;
    this.#clientOpen = false;
    this.#unread.length = 0;
    this.#toldServer();
  }

  #clientLost(reason: string): void {
    if (!this.#clientOpen) return;
    if (!this.#clientReading) {
      this.#unread.push(() => this.#clientLost(reason));
      return;
    }
    this.#clientOpen = false;
    this.#handler.lost(reason);
    this.#toldServer();
  }

  /** A reader that is slow: nothing is taken from the wire for a while. */
  stopReading(): void {
    this.#clientReading = false;
  }
  readOn(): void {
    this.#clientReading = true;
    for (let next = this.#unread.shift(); next !== undefined && this.#clientReading; next = this.#unread.shift()) next();
  }

  #onClientData(chunk: Buffer): void {
    if (!this.#clientOpen) return;
    if (!this.#clientReading) {
      this.#unread.push(() => this.#onClientData(chunk));
      return;
    }
    this.#handler.data(chunk);
    this.#network.world.schedule(this.#latencyMs, () => this.server.process.schedule(0, () => {
      this.#onTheWayBytes -= chunk.length;
      this.#pump();
    }));
  }

  // ------------------------------------------------------------ the server's end

  #accept(refused: boolean): void {
    const { process } = this.server;
    const { quorumPeer } = this.server;
    if (refused || !process.alive || quorumPeer === null) {
      this.#toldClient('connection refused');
      return;
    }
    this.#arrive(this.#toClient, () => this.#options.process.schedule(0, () => {
      if (this.#clientOpen) this.#handler.opened();
    }));
    process.schedule(0, () => {
      if (this.server.quorumPeer !== quorumPeer) return;
      const { world, options } = this.#network;
      const { address, protocol } = this.#options;
      const entropy = world.streams(`entropy/${process.name}`);
      const face: FaceOptions = {
        pipeline: quorumPeer, juteMaxBuffer: options.juteMaxBuffer, outputHighBytes: options.outputHighBytes, outputMaxBytes: options.outputMaxBytes,
        entropy, timers: { after: (ms, fn) => process.after(ms, fn), later: (fn) => process.endOfTurn(fn) },
        trace: { event: (name, fields) => world.trace(process.name, name, fields) },
      };
      const remote = { address, port: 1, local: false };
      this.#serverOpen = true;
      this.#face = protocol === 'native' ? new NativeFace(face, this, remote) : new ZooKeeperFace({ ...face, whitelist: WHITELIST }, this, remote);
      this.#activeMs = world.nowMs;
    });
  }

  #onServerData(chunk: Buffer): void {
    if (!this.#serverOpen) return;
    this.#activeMs = this.#network.world.nowMs;
    if (!this.#reading) {
      this.#received.push(chunk);
      return;
    }
    this.bytesRead += chunk.length;
    const face = this.#face;
    if (face instanceof NativeFace) {
      // The library closes connections with messages that are too long by itself.
      if (chunk.length > this.#network.options.juteMaxBuffer) this.destroy();
      else face.message(chunk);
    } else face?.data(chunk);
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }
  cork(): void {}
  uncork(): void {}

  write(bytes: Uint8Array): void {
    if (!this.#serverOpen || this.#ending) return;
    this.#activeMs = this.#network.world.nowMs;
    this.#unsent.push(Buffer.from(bytes));
    this.#unsentBytes += bytes.length;
    this.#pump();
    if (this.#unsentBytes > 0) this.#wasFull = true;
  }

  /** Sends as much as the window takes. */
  #pump(): void {
    if (!this.#serverOpen) return;
    const { windowBytes } = this.#network.options;
    while (this.#unsent.length > 0 && this.#onTheWayBytes < windowBytes) {
      const chunk = this.#unsent.shift() as Buffer;
      this.#unsentBytes -= chunk.length;
      this.#onTheWayBytes += chunk.length;
      this.#arrive(this.#toClient, () => this.#options.process.schedule(0, () => this.#onClientData(chunk)), chunk.length);
    }
    if (this.#unsent.length > 0) return;
    if (this.#ending) {
      this.#ending = false;
      this.#toldClient('the server closed the connection');
    } else if (this.#wasFull) {
      this.#wasFull = false;
      this.server.process.endOfTurn(() => this.#face?.drained());
    }
  }

  pause(): void {
    this.#reading = false;
    this.#network.world.marks.hit('client not read from');
  }
  resume(): void {
    this.#reading = true;
    while (this.#reading && this.#serverOpen && this.#received.length > 0) this.#onServerData(this.#received.shift() as Buffer);
  }
  end(): void {
    this.#ending = true;
    this.#pump();
  }
  destroy(): void {
    if (!this.#serverOpen) return;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#toldClient('the connection was reset');
    this.server.process.endOfTurn(() => this.#serverClosed());
  }

  watchIdle(ms: number): void {
    this.#idleMs = ms;
    this.#idleTimer?.cancel();
    this.#awaitIdle();
  }
  #awaitIdle(): void {
    const waitMs = this.#activeMs + this.#idleMs - this.#network.world.nowMs;
    this.#idleTimer = this.server.process.after(Math.max(1, waitMs), () => {
      if (!this.#serverOpen) return;
      if (this.#network.world.nowMs >= this.#activeMs + this.#idleMs) {
        this.#activeMs = this.#network.world.nowMs;
        if (this.#face instanceof ZooKeeperFace) this.#face.idle();
      }
      this.#awaitIdle();
    });
  }

  #serverClosed(): void {
    if (!this.#serverOpen) return;
    this.#serverGone();
    this.#face?.closed();
  }

  /** Without a word to the face: its process may be dead. */
  #serverGone(): void {
    this.#serverOpen = false;
    this.#idleTimer?.cancel();
    this.#idleTimer = null;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#received.length = 0;
    this.#network.forget(this);
  }
}
