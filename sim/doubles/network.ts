/**
 * The network between servers: FIFO channels with latency, that break when an end dies and fall silent when the link is cut. Implements
 * PeerTransport for each process. A frame is never lost on a channel that goes on: what is lost takes its channel with it, as on TCP.
 * Arbitrary chunking of the byte stream is below this port, and is tested on the real adapters.
 *
 * All chance comes from streams by link, `net/server-1>server-2`: the latency of each frame, and the fate of what is on the way when an end closes.
 */
import type { Callback, ChannelKind, PeerTransport, PeerTransportHandler } from '../../coord/base/ports.ts';
import { decodePeerFrame } from '../../coord/runtime/peer-frame.ts';
import { peerMessageType } from '../../coord/wire/peer-codec.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import { recordSent } from '../record/record-sent.ts';
import type { Process } from '../world/process.ts';
import type { Fields } from '../world/trace.ts';
import type { World } from '../world/world.ts';
import { NarrowLink } from './narrow-link.ts';
import { Route } from './route.ts';

/** One end of a connection, and what it has sent. */
interface End {
  readonly channel: number;
  readonly kind: ChannelKind;
  readonly transport: SimTransport;
  readonly dialled: boolean;
  readonly route: Route;
  peer: End;
  /** As far as this end knows. The other may have been gone for long. */
  open: boolean;
  /** Its machine lost power: nobody was told, and what comes to it later is answered by a reset. */
  vanished: boolean;
  /** Nothing overtakes: when the newest frame arrives at the peer. */
  lastArrivalMs: number;
  /** Waits for the route to be free. */
  readonly held: Flight[];
  /** What becomes of frames that are on their way. A number: they arrive at that time, whatever has become of the connection. */
  fate: 'flows' | 'lost' | number;
}
interface Flight {
  /** Which end has sent it. */
  readonly end: End;
  readonly frame: Uint8Array;
  readonly corrupt: boolean;
  /** Its number in the recording; -1: nobody records. */
  readonly recorded: number;
}

export interface NetworkOptions {
  readonly latencyMs: number;
  readonly jitterMs: number;
}

const REDIAL_MS = 20;
const REDIAL_BLOCKED_MS = 50;
/** As in the adapter. */
const HANDSHAKE_TIMEOUT_MS = 1000;
/** When an end closes, what it sent before usually still arrives. */
const CLOSED_AND_SENT = 0.7;

export class Network {
  readonly #world: World;
  readonly #options: NetworkOptions;
  readonly #transports = new Map<number, SimTransport>();
  readonly #routes = new Map<number, Route>();
  readonly #ends = new Map<number, End>();
  /** Added to whatever goes to or comes from a server. */
  readonly #slowMs = new Map<number, number>();
  /** Bytes per ms on each link of a server. */
  readonly #widths = new Map<number, number>();
  /** Links that are, or have been, narrow. */
  readonly #narrow = new Map<Route, NarrowLink<Flight>>();
  /** Pairs whose larger server is trying, as larger * 256 + smaller. */
  readonly #dialling = new Set<number>();
  #nextChannel = 1;
  #decodedFrame: Uint8Array | null = null;
  #decoded: PeerMessage | null = null;
  /** Sees every message before it is on its way: for the judges. */
  onSend: ((fromSid: number, toSid: number, message: PeerMessage) => void) | null = null;
  /** Which of them onSend sees: others need not be decoded. Null: all. */
  sendTypes: ReadonlySet<PeerMessage['type'] | null> | null = null;
  /** Sees every message when it is on its way, and again when it arrives, before anybody acts on it: for faults at named points. Decodes only for whoever asks for its fields. */
  onMessage: ((what: 'send' | 'receive', fromSid: number, toSid: number, type: PeerMessage['type'], fieldsOf: () => Fields) => void) | null = null;

  constructor(world: World, options: NetworkOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** For a process that begins; what belonged to an earlier incarnation is over. */
  transport(sid: number, process: Process): SimTransport {
    if (this.#running(sid) !== null) this.died(sid);
    const transport = new SimTransport(this, sid, process);
    this.#transports.set(sid, transport);
    return transport;
  }

  // ------------------------------------------------------------ faults

  /** Nothing gets through from `from` to `to` until healed; channels stay open, and an end that closes meanwhile leaves the other half-open. */
  cut(from: number, to: number): void {
    this.#route(from, to).cut = true;
  }
  heal(from: number, to: number): void {
    this.#route(from, to).cut = false;
    this.#release(from, to);
  }
  /** What is sent from `from` to `to` waits; connections that are begun meanwhile wait for it as well. */
  clog(from: number, to: number): void {
    this.#route(from, to).clogged = true;
  }
  /** All of it arrives together, in order. */
  unclog(from: number, to: number): void {
    this.#route(from, to).clogged = false;
    this.#release(from, to);
  }
  isCut(from: number, to: number): boolean {
    return this.#route(from, to).cut;
  }
  /** Everything that begins to travel to or from the server takes this much longer; 0 = as usual. */
  slow(sid: number, extraMs: number): void {
    if (extraMs === 0) this.#slowMs.delete(sid);
    else this.#slowMs.set(sid, extraMs);
  }
  /** Each link to and from the server takes so many bytes a ms; Infinity = as usual. */
  narrow(sid: number, bytesPerMs: number): void {
    if (bytesPerMs === Infinity) this.#widths.delete(sid);
    else this.#widths.set(sid, bytesPerMs);
    for (const other of this.#transports.keys()) {
      if (other === sid) continue;
      for (const [from, to] of [[sid, other], [other, sid]] as const) this.#linkOf(this.#route(from, to)).setWidth(Math.min(this.#widths.get(from) ?? Infinity, this.#widths.get(to) ?? Infinity));
    }
  }
  #linkOf(route: Route): NarrowLink<Flight> {
    let link = this.#narrow.get(route);
    if (link === undefined) {
      link = new NarrowLink((delayMs, fn) => this.#world.schedule(delayMs, fn, false), (flight) => this.#fly(flight, route.latencyMs()));
      this.#narrow.set(route, link);
    }
    return link;
  }
  /** All connections between the two break, and both ends notice. What is on the way is lost, or (`lateMs`) still arrives at the old channel that much later. */
  break(a: number, b: number, lateMs?: number): void {
    for (const end of this.#ends.values()) if (end.open && end.transport.sid === a && end.peer.transport.sid === b) this.#break(end, lateMs);
  }
  /** The next message of this type from `from` to `to` is lost, and its connection breaks. */
  dropNext(from: number, to: number, type: PeerMessage['type']): void {
    this.#route(from, to).dropNext = type;
  }
  /** A bit of the next frame from `from` to `to` flips, and TCP does not notice. */
  corruptNext(from: number, to: number): void {
    this.#route(from, to).corruptNext = true;
  }
  /** Nothing is wrong with any link from now on. */
  healAll(): void {
    this.#slowMs.clear();
    for (const sid of this.#widths.keys()) this.narrow(sid, Infinity);
    for (const [key, route] of this.#routes) {
      route.dropNext = null;
      route.corruptNext = false;
      if (!route.blocked) continue;
      route.cut = false;
      route.clogged = false;
      this.#release(Math.floor(key / 256), key % 256);
    }
  }

  // ------------------------------------------------------------ connections

  /** A transport has begun to listen: the larger server of each pair dials. */
  started(transport: SimTransport): void {
    for (const other of this.#transports.values()) if (other !== transport && other.running) this.#redial(transport.sid, other.sid, this.#route(transport.sid, other.sid).latencyMs());
  }

  #route(from: number, to: number): Route {
    const key = from * 256 + to;
    let route = this.#routes.get(key);
    if (route === undefined) {
      route = new Route(this.#world.streams(`net/server-${from}>server-${to}`), this.#options.latencyMs, this.#options.jitterMs);
      this.#routes.set(key, route);
    }
    return route;
  }
  #reachable(a: number, b: number): boolean {
    return !this.#route(a, b).blocked && !this.#route(b, a).blocked;
  }
  #running(sid: number): SimTransport | null {
    const transport = this.#transports.get(sid);
    return transport?.running === true ? transport : null;
  }

  /** One election channel for each pair, dialled by the larger, and dialled again for as long as both are there. */
  #redial(one: number, other: number, delayMs: number): void {
    const larger = Math.max(one, other);
    const smaller = Math.min(one, other);
    const pair = larger * 256 + smaller;
    if (this.#dialling.has(pair)) return;
    this.#dialling.add(pair);
    this.#world.schedule(delayMs, () => {
      this.#dialling.delete(pair);
      const dialler = this.#running(larger);
      const target = this.#running(smaller);
      if (dialler === null || target === null || dialler.hasElection(smaller)) return;
      if (this.#reachable(larger, smaller)) this.#open('election', dialler, target);
      else this.#redial(larger, smaller, REDIAL_BLOCKED_MS);
    });
  }

  dial(from: SimTransport, sid: number): void {
    const untilMs = this.#world.nowMs + HANDSHAKE_TIMEOUT_MS;
    const attempt = (): void => {
      if (!from.running) return;
      const target = this.#running(sid);
      if (target === null) from.handler?.dialFailed(sid);
      else if (this.#reachable(from.sid, sid)) this.#open('learner', from, target);
      else if (this.#world.nowMs >= untilMs) from.handler?.dialFailed(sid);
      // What is clogged goes on soon; a SYN that was lost is sent again after a second.
      else if (this.isCut(from.sid, sid) || this.isCut(sid, from.sid)) from.process.schedule(HANDSHAKE_TIMEOUT_MS, () => from.handler?.dialFailed(sid));
      else from.process.schedule(REDIAL_BLOCKED_MS, attempt);
    };
    from.process.schedule(this.#route(from.sid, sid).latencyMs() + this.#route(sid, from.sid).latencyMs(), attempt);
  }

  #open(kind: ChannelKind, dialler: SimTransport, target: SimTransport): void {
    // A newer connection of the same kind takes the place of one that the other side has forgotten.
    for (const end of target.ends.values()) if (end.kind === kind && !end.dialled && end.peer.transport.sid === dialler.sid) this.#down(end);
    const a = this.#end(kind, dialler, true, target.sid);
    const b = this.#end(kind, target, false, dialler.sid);
    a.peer = b;
    b.peer = a;
    dialler.opened(a);
    target.opened(b);
  }

  #end(kind: ChannelKind, transport: SimTransport, dialled: boolean, to: number): End {
    const end: Omit<End, 'peer'> = { channel: this.#nextChannel++, kind, transport, dialled, route: this.#route(transport.sid, to), open: true, vanished: false, lastArrivalMs: 0, held: [], fate: 'flows' };
    this.#ends.set(end.channel, end as End);
    return end as End;
  }

  // ------------------------------------------------------------ frames

  send(channel: number, frame: Uint8Array): void {
    const end = this.#ends.get(channel);
    if (end === undefined || !end.open) return;
    const { route } = end;
    const from = end.transport.sid;
    const to = end.peer.transport.sid;
    const type = peerMessageType(frame);
    if (this.onSend !== null && (this.sendTypes === null || this.sendTypes.has(type))) this.onSend(from, to, this.#decode(frame));
    if (route.dropNext !== null && type === route.dropNext) {
      route.dropNext = null;
      this.#arrived(this.#flight(end, frame), true);
      this.#break(end);
    } else {
      const flight = this.#flight(end, route.corruptNext ? route.corrupted(frame) : frame, route.corruptNext);
      route.corruptNext = false;
      if (route.blocked || end.held.length > 0) end.held.push(flight);
      else this.#depart(flight, route.latencyMs());
    }
    if (this.onMessage === null || type === null) return;
    this.onMessage('send', from, to, type, () => ({ ...this.#decode(frame) }));
    end.transport.process.unwind();
  }

  #depart(flight: Flight, latencyMs: number): void {
    const link = this.#narrow.size === 0 ? undefined : this.#narrow.get(flight.end.route);
    if (link === undefined) this.#fly(flight, latencyMs);
    else link.send(flight, flight.frame.length);
  }

  #fly(flight: Flight, latencyMs: number): void {
    const { end } = flight;
    const nowMs = this.#world.nowMs;
    const slowMs = this.#slowMs.size === 0 ? 0 : (this.#slowMs.get(end.transport.sid) ?? 0) + (this.#slowMs.get(end.peer.transport.sid) ?? 0);
    end.lastArrivalMs = Math.max(nowMs + latencyMs + slowMs, end.lastArrivalMs);
    this.#world.schedule(end.lastArrivalMs - nowMs, this.#arrive, end.peer.transport.process.usesPromises, flight);
  }

  /** Not a method: it is what events do, with the flight as their subject. */
  readonly #arrive = (flight: Flight): void => {
    const { end } = flight;
    const { peer } = end;
    const { transport } = peer;
    if (typeof end.fate === 'number') return this.#arriveLate(flight, end.fate);
    if (end.fate === 'lost' || !peer.open) {
      this.#arrived(flight, true);
      if (peer.vanished && end.open && this.#running(transport.sid) !== null) this.#tell(end, peer.route);
      return;
    }
    this.#arrived(flight, false);
    transport.process.run(this.#receiveIfOpen, flight);
  };

  /** From a connection that is over: the receiver has to know. */
  #arriveLate(flight: Flight, atMs: number): void {
    const { transport } = flight.end.peer;
    this.#world.schedule(Math.max(0, atMs - this.#world.nowMs), () => {
      this.#arrived(flight, !transport.running);
      if (transport.running) transport.process.run(this.#receive, flight);
    });
  }

  readonly #receiveIfOpen = (flight: Flight): void => {
    if (flight.end.peer.open) this.#receive(flight);
  };

  readonly #receive = ({ end, frame, corrupt }: Flight): void => {
    const { peer, transport: { sid } } = end;
    const { transport } = peer;
    if (this.onMessage !== null) {
      // What was corrupted on its way is nothing that anybody waits for.
      const type = corrupt ? null : peerMessageType(frame);
      if (type !== null) this.onMessage('receive', sid, transport.sid, type, () => ({ ...this.#decode(frame) }));
      transport.process.unwind();
    }
    transport.handler?.frame(peer.channel, frame);
  };

  #release(from: number, to: number): void {
    const route = this.#route(from, to);
    if (route.blocked) return;
    const latencyMs = route.latencyMs();
    for (const end of this.#ends.values()) if (end.route === route) for (const flight of end.held.splice(0)) this.#depart(flight, latencyMs);
  }

  // ------------------------------------------------------------ ends

  /** The owner closes: the other end learns of it after the wire's latency (and not while it is cut off). */
  close(channel: number): void {
    const end = this.#ends.get(channel);
    if (end === undefined || !end.open) return;
    this.#forget(end);
    if (!end.route.prng.chance(CLOSED_AND_SENT)) end.fate = 'lost';
    if (end.peer.open) this.#world.schedule(Math.max(0, end.lastArrivalMs - this.#world.nowMs), () => this.#tell(end.peer, end.route));
  }

  /** A FIN or RST travels to `end`. */
  #tell(end: End, route: Route): void {
    if (!end.open) return;
    if (route.blocked) this.#world.schedule(100, () => this.#tell(end, route));
    else this.#world.schedule(route.latencyMs(), () => this.#down(end));
  }

  #break(end: End, lateMs?: number): void {
    for (const each of [end, end.peer]) {
      each.fate = lateMs === undefined ? 'lost' : this.#world.nowMs + lateMs;
      for (const flight of each.held.splice(0)) this.#arrive(flight);
      this.#world.schedule(each.route.latencyMs(), () => this.#down(each));
    }
  }

  /** The connection is over for this end, which did not close it. */
  #down(end: End): void {
    end.transport.process.run(() => {
      if (!end.open) return;
      this.#forget(end);
      end.transport.handler?.channelDown(end.channel);
    });
  }

  #forget(end: End): void {
    end.open = false;
    end.transport.ends.delete(end.channel);
    this.#ends.delete(end.channel);
    for (const flight of end.held.splice(0)) this.#arrived(flight, true);
    if (end.kind === 'election') this.#redial(end.transport.sid, end.peer.transport.sid, REDIAL_MS);
  }

  /** A process died: the kernel closes its channels. */
  died(sid: number): void {
    const transport = this.#transports.get(sid);
    if (transport === undefined) return;
    for (const channel of transport.ends.keys()) this.close(channel);
    transport.gone();
  }

  /** A machine lost power: nobody is told, and the others' ends stay half-open until they send something to the machine that is up again, or give up. */
  vanished(sid: number): void {
    const transport = this.#transports.get(sid);
    if (transport === undefined) return;
    for (const end of transport.ends.values()) {
      end.vanished = true;
      this.#forget(end);
    }
    transport.gone();
  }

  // ------------------------------------------------------------ observers

  /** The same frame often goes to several. */
  #decode(frame: Uint8Array): PeerMessage {
    if (this.#decodedFrame !== frame || this.#decoded === null) {
      this.#decoded = decodePeerFrame(frame);
      this.#decodedFrame = frame;
    }
    return this.#decoded;
  }
  /** Null: it was corrupted on its way. */
  #decodeOrNull(frame: Uint8Array): PeerMessage | null {
    try {
      return this.#decode(frame);
    } catch {
      return null;
    }
  }

  #flight(end: End, frame: Uint8Array, corrupt = false): Flight {
    const { recorder, nowMs } = this.#world;
    return { end, frame, corrupt, recorded: recorder === null ? -1 : recordSent(recorder, end.transport.process.name, end.peer.transport.process.name, this.#decodeOrNull(frame), frame.length, nowMs) };
  }
  #arrived({ recorded }: Flight, lost: boolean): void {
    this.#world.recorder?.arrived(recorded, this.#world.nowMs, lost);
  }
}

export class SimTransport implements PeerTransport {
  handler: PeerTransportHandler | null = null;
  readonly sid: number;
  readonly process: Process;
  readonly #network: Network;
  readonly ends = new Map<number, End>();
  running = false;

  constructor(network: Network, sid: number, process: Process) {
    this.#network = network;
    this.sid = sid;
    this.process = process;
  }

  start(done: Callback): void {
    this.process.schedule(0, () => {
      this.running = true;
      done(null);
      this.#network.started(this);
    });
  }
  dialLearner(sid: number): void {
    this.#network.dial(this, sid);
  }
  send(channel: number, frame: Uint8Array): void {
    this.#network.send(channel, frame);
  }
  flush(): void {}
  buffered(): number {
    return 0;
  }
  close(channel: number): void {
    this.#network.close(channel);
  }
  stop(done: Callback): void {
    for (const channel of this.ends.keys()) this.#network.close(channel);
    this.gone();
    this.process.schedule(0, () => done(null));
  }

  hasElection(sid: number): boolean {
    for (const end of this.ends.values()) if (end.kind === 'election' && end.peer.transport.sid === sid) return true;
    return false;
  }
  opened(end: End): void {
    this.ends.set(end.channel, end);
    this.process.schedule(0, () => {
      if (end.open) this.handler?.channelUp(end.kind, end.channel, end.peer.transport.sid);
    });
  }
  gone(): void {
    this.running = false;
    for (const end of this.ends.values()) end.open = false;
    this.ends.clear();
  }
}
