/**
 * The network between servers: FIFO channels with latency, that break when an end dies and fall silent when the link is cut. Implements
 * PeerTransport for each process. What is on the wire when a channel breaks is lost; a frame is never lost on a channel that goes on.
 */
import type { Callback, ChannelKind, PeerTransport, PeerTransportHandler } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';
import { recordFrame } from '../record/record-world.ts';
import type { Process } from '../world/process.ts';
import type { World } from '../world/world.ts';

interface End {
  readonly transport: SimTransport;
  readonly channel: number;
}
interface Sent {
  readonly frame: Uint8Array;
  /** Its name in the recording; -1 when nobody records. */
  readonly message: number;
}
interface Link {
  readonly kind: ChannelKind;
  readonly a: End;
  readonly b: End;
  /** Nothing overtakes: the arrival time of the newest frame in each direction. */
  readonly lastArrivalMs: [number, number];
  /** Frames that wait for the cut to heal, by direction. */
  readonly held: [Sent[], Sent[]];
  /** Messages of the recorder that have not arrived. */
  readonly onTheWay: Set<number>;
  open: boolean;
}

export interface NetworkOptions {
  readonly latencyMs: number;
  readonly jitterMs: number;
}

export class Network {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #options: NetworkOptions;
  readonly #transports = new Map<number, SimTransport>();
  readonly #cut = new Set<string>();
  readonly #links = new Map<number, Link>();
  /** Added to whatever goes to or comes from a server. */
  readonly #slowMs = new Map<number, number>();
  #nextChannel = 1;
  /** Sees every frame as it is sent: for the judges. */
  onSend: ((fromSid: number, toSid: number, frame: Uint8Array) => void) | null = null;

  constructor(world: World, prng: Prng, options: NetworkOptions) {
    this.#world = world;
    this.#prng = prng;
    this.#options = options;
  }

  transport(sid: number, process: Process): SimTransport {
    const old = this.#transports.get(sid);
    if (old !== undefined) old.gone();
    const transport = new SimTransport(this, sid, process);
    this.#transports.set(sid, transport);
    return transport;
  }

  started(transport: SimTransport): void {
    for (const other of this.#transports.values()) if (other !== transport && other.running) this.#redial(transport, other);
  }

  /** Nothing gets through from `from` to `to` until healed; channels stay open, as on a real network. */
  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }
  heal(from: number, to: number): void {
    this.#cut.delete(`${from}>${to}`);
    for (const link of this.#links.values()) {
      if (!link.open) continue;
      for (const direction of [0, 1] as const) {
        const source = direction === 0 ? link.a : link.b;
        const target = direction === 0 ? link.b : link.a;
        if (source.transport.sid !== from || target.transport.sid !== to) continue;
        const held = link.held[direction].splice(0);
        for (const sent of held) this.#deliver(link, direction, sent);
      }
    }
  }
  isCut(from: number, to: number): boolean {
    return this.#cut.has(`${from}>${to}`);
  }
  #reachable(a: number, b: number): boolean {
    return !this.isCut(a, b) && !this.isCut(b, a);
  }

  #latency(): number {
    return this.#options.latencyMs + this.#prng.float() * this.#options.jitterMs;
  }
  slow(sid: number, extraMs: number): void {
    if (extraMs === 0) this.#slowMs.delete(sid);
    else this.#slowMs.set(sid, extraMs);
  }

  /** One election channel for each pair, dialled again for as long as both live. */
  #redial(a: SimTransport, b: SimTransport): void {
    this.#world.schedule(this.#latency(), () => {
      if (!this.#current(a) || !this.#current(b)) return;
      if (a.hasElection(b.sid)) return;
      if (this.#reachable(a.sid, b.sid)) this.#open('election', a, b);
      else this.#world.schedule(50, () => this.#redial(a, b));
    });
  }
  #current(transport: SimTransport): boolean {
    return transport.running && this.#transports.get(transport.sid) === transport;
  }

  dial(from: SimTransport, sid: number): void {
    const target = this.#transports.get(sid);
    const latency = 2 * this.#latency();
    from.process.schedule(latency, () => {
      if (!this.#current(from)) return;
      if (target !== undefined && this.#current(target) && this.#reachable(from.sid, sid)) this.#open('learner', from, target);
      else if (target !== undefined && this.#current(target)) from.process.schedule(1000, () => from.handler?.dialFailed(sid)); // no answer, no refusal
      else from.handler?.dialFailed(sid);
    });
  }

  #open(kind: ChannelKind, a: SimTransport, b: SimTransport): void {
    const link: Link = { kind, a: { transport: a, channel: this.#nextChannel++ }, b: { transport: b, channel: this.#nextChannel++ }, lastArrivalMs: [0, 0], held: [[], []], onTheWay: new Set(), open: true };
    this.#links.set(link.a.channel, link);
    this.#links.set(link.b.channel, link);
    a.opened(kind, link.a.channel, b.sid);
    b.opened(kind, link.b.channel, a.sid);
  }

  send(channel: number, frame: Uint8Array): void {
    const link = this.#links.get(channel);
    if (link === undefined || !link.open) return;
    const direction = link.a.channel === channel ? 0 : 1;
    const from = direction === 0 ? link.a.transport.sid : link.b.transport.sid;
    const to = direction === 0 ? link.b.transport.sid : link.a.transport.sid;
    this.onSend?.(from, to, frame);
    const { recorder, nowMs } = this.#world;
    const sent: Sent = { frame, message: recorder === null ? -1 : recordFrame(recorder, from, to, frame, nowMs) };
    if (sent.message >= 0) link.onTheWay.add(sent.message);
    if (this.isCut(from, to) || link.held[direction].length > 0) link.held[direction].push(sent);
    else this.#deliver(link, direction, sent);
  }

  #deliver(link: Link, direction: 0 | 1, { frame, message }: Sent): void {
    const target = direction === 0 ? link.b : link.a;
    const slowMs = this.#slowMs.size === 0 ? 0 : (this.#slowMs.get(link.a.transport.sid) ?? 0) + (this.#slowMs.get(link.b.transport.sid) ?? 0);
    const arrivalMs = Math.max(this.#world.nowMs + this.#latency() + slowMs, link.lastArrivalMs[direction]);
    link.lastArrivalMs[direction] = arrivalMs;
    target.transport.process.schedule(arrivalMs - this.#world.nowMs, () => {
      if (!link.open) return;
      if (link.onTheWay.delete(message)) this.#world.recorder?.arrived(message, this.#world.nowMs, false);
      target.transport.handler?.frame(target.channel, frame);
    });
  }

  /** Both ends learn of it: the closer at once, the other after the wire's latency (and not while it is cut off). */
  close(channel: number): void {
    const link = this.#links.get(channel);
    if (link === undefined || !link.open) return;
    const closer = link.a.channel === channel ? link.a : link.b;
    const other = link.a.channel === channel ? link.b : link.a;
    link.open = false;
    for (const message of link.onTheWay) this.#world.recorder?.arrived(message, this.#world.nowMs, true);
    this.#links.delete(link.a.channel);
    this.#links.delete(link.b.channel);
    closer.transport.closed(closer.channel);
    const direction = closer === link.a ? 0 : 1;
    const tell = (): void => {
      if (this.isCut(closer.transport.sid, other.transport.sid)) this.#world.schedule(100, tell);
      else other.transport.process.schedule(this.#latency(), () => {
        other.transport.closed(other.channel);
        other.transport.handler?.channelDown(other.channel);
      });
    };
    this.#world.schedule(Math.max(0, link.lastArrivalMs[direction] - this.#world.nowMs), tell);
    if (link.kind === 'election') this.#world.schedule(20, () => this.#redial(closer.transport, other.transport));
  }

  /** A process died: the kernel closes its channels. */
  died(sid: number): void {
    const transport = this.#transports.get(sid);
    if (transport === undefined) return;
    for (const channel of transport.channels.keys()) this.close(channel);
    transport.gone();
  }
}

export class SimTransport implements PeerTransport {
  handler: PeerTransportHandler | null = null;
  readonly sid: number;
  readonly process: Process;
  readonly #network: Network;
  readonly channels = new Map<number, { kind: ChannelKind; sid: number }>();
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
    for (const channel of this.channels.keys()) this.#network.close(channel);
    this.gone();
    this.process.schedule(0, () => done(null));
  }

  hasElection(sid: number): boolean {
    for (const channel of this.channels.values()) if (channel.kind === 'election' && channel.sid === sid) return true;
    return false;
  }
  opened(kind: ChannelKind, channel: number, sid: number): void {
    this.channels.set(channel, { kind, sid });
    this.process.schedule(0, () => {
      if (this.channels.has(channel)) this.handler?.channelUp(kind, channel, sid);
    });
  }
  closed(channel: number): void {
    this.channels.delete(channel);
  }
  gone(): void {
    this.running = false;
    this.channels.clear();
  }
}
