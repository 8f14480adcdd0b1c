/**
 * The network between job managers and task managers: the product's Sockets port, with latency, cuts, clogs and breaks, half-open ends, refused
 * connections, and SYNs that nobody answers. A frame is never lost on a connection that goes on.
 *
 * All chance comes from streams by link, `net/jobmanager-1>taskmanager-2`.
 */
import { DreyError } from '../../coord/base/errors.ts';
import type { Prng } from '../../coord/base/prng.ts';
import type { DialTarget, Socket, SocketEnd, SocketHandler, SocketListener, SocketPath, Sockets } from '../../orchestrator/rpc/sockets.ts';
import type { World } from '../world/world.ts';
import type { Life } from './machine.ts';

const JITTER_MS = 1;
const LATENCY_MS = 0.2;
const SYN_AGAIN_MS = 1000;

class Route {
  readonly prng: Prng;
  /** Nothing gets through; it waits, as TCP sends it again. */
  cut = false;
  /** What is sent waits, and connections that are begun wait, too. */
  clogged = false;
  extraMs = 0;

  constructor(prng: Prng) {
    this.prng = prng;
  }
  get blocked(): boolean {
    return this.cut || this.clogged;
  }
  latencyMs(): number {
    return LATENCY_MS + this.prng.float() * JITTER_MS + this.extraMs;
  }
}

interface Listening {
  readonly life: Life;
  readonly paths: Readonly<Record<string, SocketPath>>;
  readonly ends: Set<End>;
}

const RESET: SocketEnd = { reason: 'connection reset', refused: false };

export interface FrameSeen {
  readonly from: Life;
  readonly to: string;
  readonly path: string;
  /** The dialling side sent it. */
  readonly fromDialler: boolean;
  readonly frame: Uint8Array;
}

export class SocketNetwork {
  readonly #world: World;
  readonly #routes = new Map<string, Route>();
  readonly #listening = new Map<string, Listening>();
  readonly #ends = new Set<End>();
  /** Machines without power: nobody answers there. */
  readonly #dark = new Set<string>();
  /** Sees each frame when it is sent. */
  onSend: ((seen: FrameSeen) => void) | null = null;
  /** Sees each frame when it arrives, before anybody acts on it. */
  onArrive: ((seen: FrameSeen) => void) | null = null;
  /** Sees it again when the receiver has acted on it, and both are still there. */
  onHandled: ((seen: FrameSeen) => void) | null = null;
  /** Makes out what a frame says, for the recorder. */
  describe: ((path: string, fromDialler: boolean, frame: Uint8Array) => { readonly type: string; readonly fields: Readonly<Record<string, unknown>> }) | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  sockets(life: Life): Sockets {
    return {
      listen: (at, paths) => this.#listen(life, at, paths),
      dial: (to, handler) => this.#dial(life, to, handler),
    };
  }

  // ------------------------------------------------------------ faults

  cut(from: string, to: string): void {
    this.route(from, to).cut = true;
  }
  clog(from: string, to: string): void {
    this.route(from, to).clogged = true;
  }
  slow(from: string, to: string, extraMs: number): void {
    this.route(from, to).extraMs = extraMs;
  }
  heal(from: string, to: string): void {
    const route = this.route(from, to);
    route.cut = false;
    route.clogged = false;
    for (const end of this.#ends) if (end.route === route) end.release();
  }
  /** All connections between the two end. `half`: only this end notices. */
  break(a: string, b: string, half: string | null): void {
    for (const end of this.#ends) {
      if (end.life.name !== a || end.peer?.life.name !== b || !end.open) continue;
      for (const each of [end, end.peer]) {
        each.lost = true;
        if (half === null || each.life.name === half) each.down(RESET, each.route.latencyMs());
      }
    }
  }
  /** Between whom nothing passes now. */
  get blocked(): [from: string, to: string][] {
    return [...this.#routes].filter(([, { cut, clogged }]) => cut || clogged).map(([key]) => key.split('>') as [string, string]);
  }
  healAll(): void {
    for (const route of this.#routes.values()) {
      route.cut = false;
      route.clogged = false;
      route.extraMs = 0;
    }
    for (const end of this.#ends) end.release();
  }

  /** A process ended: the kernel closes its connections, and nothing listens there any more. */
  died(life: Life): void {
    for (const [address, listening] of this.#listening) if (listening.life === life) this.#listening.delete(address);
    for (const end of this.#ends) if (end.life === life) end.gone(true);
  }
  /** A machine lost power: nobody is told. */
  vanished(life: Life): void {
    this.#dark.add(life.name);
    for (const [address, listening] of this.#listening) if (listening.life === life) this.#listening.delete(address);
    for (const end of this.#ends) if (end.life === life) end.gone(false);
  }
  /** The machine is up again. */
  up(name: string): void {
    this.#dark.delete(name);
  }
  isDark(name: string): boolean {
    return this.#dark.has(name);
  }

  // ------------------------------------------------------------ the port

  route(from: string, to: string): Route {
    const key = `${from}>${to}`;
    let route = this.#routes.get(key);
    if (route === undefined) {
      route = new Route(this.#world.streams(`net/${key}`));
      this.#routes.set(key, route);
    }
    return route;
  }

  async #listen(life: Life, { host, port }: { readonly host: string; readonly port: number }, paths: Readonly<Record<string, SocketPath>>): Promise<SocketListener> {
    const address = `${host}:${port === 0 ? life.machine.freePort() : port}`;
    if (this.#listening.has(address)) throw new DreyError('PORT_TAKEN', `${address} is taken`);
    const listening: Listening = { life, paths, ends: new Set() };
    if (life.alive) this.#listening.set(address, listening);
    return {
      address,
      close: () => {
        if (!life.alive) return;
        this.#listening.delete(address);
        for (const end of listening.ends) end.terminate();
      },
    };
  }

  #dial(life: Life, to: DialTarget, handler: SocketHandler): Socket {
    const host = to.address.slice(0, to.address.lastIndexOf(':'));
    const end = new End(this, this.#world, life, this.route(life.name, host), handler, to.path, true);
    if (!life.alive) return end;
    this.#ends.add(end);
    life.after(to.handshakeTimeoutMs, () => end.giveUp('Opening handshake has timed out'));
    const syn = (): void => {
      if (!end.open || end.peer !== null) return;
      const back = this.route(host, life.name);
      if (end.route.blocked || back.blocked || this.#dark.has(host)) {
        this.#world.schedule(SYN_AGAIN_MS, syn);
        return;
      }
      const listening = this.#listening.get(to.address);
      if (listening === undefined) {
        end.down({ reason: `connect ECONNREFUSED ${to.address}`, refused: true }, back.latencyMs());
        return;
      }
      this.#accept(end, listening, back, to.path);
    };
    this.#world.schedule(end.route.latencyMs(), syn);
    return end;
  }

  /** The listening process takes it when it comes to it: not while it is paused. */
  #accept(dialler: End, listening: Listening, back: Route, path: string): void {
    const taken = listening.paths[path];
    const accepted = new End(this, this.#world, listening.life, back, null, path, false);
    this.#ends.add(accepted);
    accepted.peer = dialler;
    dialler.peer = accepted;
    listening.life.run(() => {
      if (!dialler.open && !accepted.open) return;
      if (taken === undefined) return accepted.terminate();
      listening.ends.add(accepted);
      accepted.listening = listening.ends;
      accepted.handler = taken.accept(accepted);
      accepted.fly(() => dialler.established());
    });
  }

  forget(end: End): void {
    this.#ends.delete(end);
  }
}

/** One end of a connection. */
class End implements Socket {
  readonly #network: SocketNetwork;
  readonly #world: World;
  readonly life: Life;
  readonly route: Route;
  readonly path: string;
  readonly #isDialler: boolean;
  handler: SocketHandler | null;
  peer: End | null = null;
  listening: Set<End> | null = null;
  /** As far as this end knows. */
  open = true;
  /** What it sent, and is on its way, does not arrive. */
  lost = false;
  #opened: boolean;
  #lastArrivalMs = 0;
  readonly #held: (() => void)[] = [];

  constructor(network: SocketNetwork, world: World, life: Life, route: Route, handler: SocketHandler | null, path: string, isDialler: boolean) {
    this.#network = network;
    this.#world = world;
    this.life = life;
    this.route = route;
    this.handler = handler;
    this.path = path;
    this.#isDialler = isDialler;
    this.#opened = !isDialler;
  }

  send(frame: Uint8Array): void {
    if (!this.open || !this.#opened || !this.life.alive) return;
    const sentMs = this.#world.nowMs;
    if (this.peer !== null) this.#network.onSend?.({ from: this.life, to: this.peer.life.name, path: this.path, fromDialler: this.#isDialler, frame });
    // The sender may use its buffer again.
    const bytes = frame.slice();
    this.fly(() => this.#deliver(bytes, sentMs));
  }

  #deliver(frame: Uint8Array, sentMs: number): void {
    const { peer } = this;
    const arrives = peer !== null && peer.open && !this.lost && peer.life.alive;
    const { recorder } = this.#world;
    if (recorder !== null && this.#network.describe !== null && peer !== null) {
      const { type, fields } = this.#network.describe(this.path, this.#isDialler, frame);
      recorder.message(this.life.name, peer.life.name, type, sentMs, arrives ? this.#world.nowMs : null, fields);
    }
    if (!arrives) {
      // Nobody knows this connection there: a reset comes back.
      if (peer !== null && this.open && !this.#network.isDark(peer.life.name)) this.down(RESET, peer.route.latencyMs());
      return;
    }
    peer.life.run(() => {
      if (!peer.open) return;
      const seen = { from: this.life, to: peer.life.name, path: this.path, fromDialler: this.#isDialler, frame };
      this.#network.onArrive?.(seen);
      peer.handler?.frame(frame);
      if (peer.open && peer.life.alive) this.#network.onHandled?.(seen);
    });
  }

  /** In order, when the route is free. */
  fly(arrive: () => void): void {
    if (this.route.blocked || this.#held.length > 0) {
      this.#held.push(arrive);
      return;
    }
    const nowMs = this.#world.nowMs;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + this.route.latencyMs());
    this.#world.schedule(this.#lastArrivalMs - nowMs, arrive);
  }
  release(): void {
    if (this.route.blocked) return;
    for (const arrive of this.#held.splice(0)) this.fly(arrive);
  }

  established(): void {
    this.life.run(() => {
      if (!this.open || this.#opened) return;
      this.#opened = true;
      this.handler?.opened?.();
    });
  }

  giveUp(reason: string): void {
    if (this.#opened || !this.open) return;
    this.#end({ reason, refused: false });
    this.#tellPeer(RESET);
  }

  close(code: number, reason: string): void {
    if (!this.open || !this.life.alive) return;
    const end = { reason: `connection closed (${code}${reason === '' ? '' : ` ${reason}`})`, refused: false };
    this.#tellPeer(end);
    this.down(end, this.peer?.route.latencyMs() ?? 0);
  }

  terminate(): void {
    if (!this.open || !this.life.alive) return;
    this.down({ reason: 'connection closed (1006)', refused: false }, 0);
    this.#tellPeer(RESET);
    this.open = false;
  }

  /** The owner's process is over. */
  gone(told: boolean): void {
    this.open = false;
    this.#network.forget(this);
    this.listening?.delete(this);
    if (told) this.#tellPeer(RESET);
  }

  #tellPeer(end: SocketEnd): void {
    this.fly(() => this.peer?.down(end, 0));
  }

  /** It learns of its end. */
  down(end: SocketEnd, afterMs: number): void {
    this.life.schedule(afterMs, () => this.#end(end));
  }

  #ended = false;
  #end(end: SocketEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.open = false;
    this.#network.forget(this);
    this.listening?.delete(this);
    this.handler?.closed(end);
  }
}
