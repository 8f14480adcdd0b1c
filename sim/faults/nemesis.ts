/**
 * What goes wrong: each kind of fault by name, done to servers, disks, clocks and links of the virtual world. Every fault undoes itself after a
 * while, and `heal` undoes all of them. Which kinds, and how often, is the scenario's choice.
 *
 * A disk may rot on a minority only, one server at a time, until it is well again; and only where the journal can know that it was durable:
 * below a later record or the state's own note (coord/storage/journal-recovery.ts says what no journal can know).
 */
import type { Prng } from '../../coord/base/prng.ts';
import { isBefore, NOWHERE, readRecord, type JournalRecord } from '../../coord/storage/journal-record.ts';
import { segmentNumber } from '../../coord/storage/journal-segment.ts';
import type { Network } from '../doubles/network.ts';
import type { SimServer } from '../world/sim-server.ts';
import type { World } from '../world/world.ts';

export const FAULTS = [
  'crash-leader', 'crash-any', 'crash-in-boot', 'crash-in-sync', 'crash-in-snap', 'kill', 'power-failure', 'cut-leader', 'split', 'ring', 'cut-pair', 'pause', 'slow-server', 'slow-disk', 'disk-error', 'disk-full', 'rot',
  'clock-jump', 'restart',
] as const;
export type Fault = (typeof FAULTS)[number];

export class Nemesis {
  readonly #world: World;
  readonly #network: Network;
  readonly #servers: readonly SimServer[];
  readonly #prng: Prng;
  /** All faults end by then. */
  readonly #endMs: number;
  /** Servers whose disk has rotted and that have not served since. */
  readonly #rotten = new Set<SimServer>();
  count = 0;
  /** A leader may have been lost. */
  onLeaderLost: () => void = () => {};

  constructor(world: World, network: Network, servers: readonly SimServer[], prng: Prng, endMs: number) {
    this.#world = world;
    this.#network = network;
    this.#servers = servers;
    this.#prng = prng;
    this.#endMs = endMs;
  }

  inflict(fault: Fault): void {
    this.count++;
    const prng = this.#prng;
    const leader = this.#servers.find((server) => server.leading);
    const victim = prng.chance(0.4) && leader !== undefined ? leader : prng.pick(this.#servers);
    switch (fault) {
      case 'crash-leader':
        return leader === undefined ? this.inflict('crash-any') : this.#crash(leader, 1500);
      case 'crash-any':
        return this.#crash(victim, 800);
      case 'crash-in-boot':
        victim.onTrace = null;
        this.#crash(victim, 300);
        this.#crashAt(victim, ['Boot', 'State', 'UpToDate'], 3);
        return;
      case 'crash-in-sync':
        // Asleep long enough for the others to go ahead, then killed while it is brought in line.
        this.#crash(victim, 1500);
        this.#crashAt(victim, ['Ack', 'Truncate', 'SyncPlan', 'LearnerUp', 'NewEpoch', 'SynchronizationBegins', 'Established'], 4);
        return;
      case 'crash-in-snap':
        // Asleep long enough, and one of the two ends of the snapshot that it is sent does not live to see its end.
        this.#crash(victim, 1500);
        for (const server of this.#servers) {
          server.onTrace = (name, fields) => {
            if (name !== 'SyncPlan' || fields['plan'] !== 'SNAP' || this.#world.nowMs > this.#endMs) return;
            server.onTrace = null;
            const end = prng.chance(0.7) ? this.#servers.find(({ sid }) => sid === fields['sid']) : server;
            if (end !== undefined) this.#later(prng.float() * 40, () => this.#crash(end, 500));
          };
        }
        return;
      case 'kill':
        this.#note(`SIGKILL of ${victim.sid}`);
        if (victim === leader) this.onLeaderLost();
        victim.crash(false);
        this.#later(20 + prng.float() * 800, () => victim.start());
        return;
      case 'power-failure':
        return this.#powerFailure();
      case 'cut-leader':
        return leader === undefined ? this.inflict('cut-pair') : this.#isolate(leader, prng.chance(0.3));
      case 'split':
        return this.#split();
      case 'ring':
        return this.#ring();
      case 'cut-pair':
        return this.#cutPair();
      case 'pause': {
        const forMs = this.#lasts(prng.pick([50, 300, 1200, 3000, 30_000]) * (0.5 + prng.float() / 2));
        this.#note(`pause ${victim.sid} for ${forMs.toFixed(0)} ms`);
        if (victim === leader) this.onLeaderLost();
        victim.process.pause(forMs);
        return;
      }
      case 'slow-server': {
        const extraMs = prng.pick([20, 100, 600]);
        this.#note(`everything to and from ${victim.sid} takes ${extraMs} ms more`);
        this.#network.slow(victim.sid, extraMs);
        this.#later(500 + prng.float() * 2000, () => this.#network.slow(victim.sid, 0));
        return;
      }
      case 'slow-disk': {
        const extraMs = prng.pick([10, 50, 300]);
        this.#note(`the disk of ${victim.sid} takes ${extraMs} ms more`);
        victim.slowDisk(extraMs);
        this.#later(300 + prng.float() * 2000, () => victim.slowDisk(0));
        return;
      }
      case 'disk-error':
        this.#note(`the disk of ${victim.sid} fails once`);
        if (prng.chance(0.6)) victim.files.failWrites(prng.between(1, 2));
        else victim.kvs.store('state').failBatches(1);
        return;
      case 'disk-full':
        this.#note(`the disk of ${victim.sid} is full`);
        victim.setCapacity(victim.files.usedBytes());
        this.#later(200 + prng.float() * 2000, () => victim.setCapacity(Infinity));
        return;
      case 'rot':
        return this.#rot(victim);
      case 'clock-jump':
        victim.process.wallOffMs += Math.floor((prng.float() - 0.5) * prng.pick([100, 20_000, 600_000]));
        this.#note(`the wall clock of ${victim.sid} is off by ${victim.process.wallOffMs} ms`);
        return;
      case 'restart':
        this.#note(`restart of ${victim.sid}`);
        if (victim === leader) this.onLeaderLost();
        victim.stop(() => this.#later(20 + prng.float() * 300, () => victim.start()));
    }
  }

  /** Everything works again, and everyone is there. */
  heal(): void {
    this.#world.trace('nemesis', 'heal');
    for (const server of this.#servers) {
      server.onTrace = null;
      this.#reconnect(server);
      this.#network.slow(server.sid, 0);
      server.slowDisk(0);
      server.setCapacity(Infinity);
      if (server.process.paused) server.process.resume();
      server.start();
    }
  }

  #note(what: string): void {
    this.#world.trace('nemesis', what);
  }
  #lasts(ms: number): number {
    return Math.max(0, Math.min(ms, this.#endMs - this.#world.nowMs));
  }
  #later(ms: number, fn: () => void): void {
    this.#world.schedule(ms, fn);
  }

  #crash(server: SimServer, downMsMax: number): void {
    this.#note(`crash of ${server.sid}`);
    if (server.leading) this.onLeaderLost();
    server.crash();
    this.#later(20 + this.#prng.float() * downMsMax, () => server.start());
  }

  /** Once, the next time that the server comes by one of these places of its trace, or a moment later. */
  #crashAt(server: SimServer, names: readonly string[], delayMs: number): void {
    const name = this.#prng.pick(names);
    server.onTrace = (seen) => {
      if (seen !== name || this.#world.nowMs > this.#endMs) return;
      server.onTrace = null;
      this.#later(this.#prng.float() * delayMs, () => this.#crash(server, 500));
    };
  }

  /** A quorum, or everyone, at one instant. */
  #powerFailure(): void {
    const prng = this.#prng;
    const victims = prng.chance(0.5) ? this.#servers : shuffled(this.#servers, prng).slice(0, Math.floor(this.#servers.length / 2) + 1);
    this.#note(`power failure of ${victims.map((server) => server.sid).join(',')}`);
    this.onLeaderLost();
    for (const server of victims) server.crash();
    for (const server of victims) this.#later(20 + prng.float() * 500, () => server.start());
  }

  #isolate(server: SimServer, oneWay: boolean): void {
    const inward = oneWay && this.#prng.chance(0.5);
    this.#note(`cut off ${server.sid}${oneWay ? (inward ? ', which hears nobody' : ', which nobody hears') : ''}`);
    if (server.leading) this.onLeaderLost();
    for (const other of this.#servers) {
      if (other === server) continue;
      if (!inward) this.#network.cut(server.sid, other.sid);
      if (!oneWay || inward) this.#network.cut(other.sid, server.sid);
    }
    this.#later(100 + this.#prng.float() * 2500, () => this.#reconnect(server));
  }

  #reconnect(server: SimServer): void {
    for (const other of this.#servers) {
      this.#network.heal(server.sid, other.sid);
      this.#network.heal(other.sid, server.sid);
    }
  }

  #split(): void {
    const sides = this.#servers.map(() => this.#prng.below(2));
    this.#note(`split ${this.#servers.filter((_, i) => sides[i] === 0).map(({ sid }) => sid).join(',')} | ${this.#servers.filter((_, i) => sides[i] === 1).map(({ sid }) => sid).join(',')}`);
    this.#cutWhere((i, j) => sides[i] !== sides[j], 200 + this.#prng.float() * 2500);
  }

  /** Everyone reaches a majority, and no two the same one. */
  #ring(): void {
    const n = this.#servers.length;
    this.#note('each reaches its neighbours only');
    this.#cutWhere((i, j) => Math.min((i - j + n) % n, (j - i + n) % n) > Math.ceil((n - 1) / 4), 200 + this.#prng.float() * 2500);
  }

  #cutWhere(isCut: (i: number, j: number) => boolean, forMs: number): void {
    this.onLeaderLost();
    for (const [i, a] of this.#servers.entries()) for (const [j, b] of this.#servers.entries()) if (i !== j && isCut(i, j)) this.#network.cut(a.sid, b.sid);
    this.#later(forMs, () => this.#servers.forEach((server) => this.#reconnect(server)));
  }

  #cutPair(): void {
    const [a, b] = shuffled(this.#servers, this.#prng) as [SimServer, SimServer];
    const oneWay = this.#prng.chance(0.5);
    this.#note(`cut ${a.sid}${oneWay ? '>' : '-'}${b.sid}`);
    this.#network.cut(a.sid, b.sid);
    if (!oneWay) this.#network.cut(b.sid, a.sid);
    this.#later(200 + this.#prng.float() * 2500, () => {
      this.#network.heal(a.sid, b.sid);
      this.#network.heal(b.sid, a.sid);
    });
  }

  #rot(server: SimServer): void {
    for (const rotten of this.#rotten) if (rotten.serving) this.#rotten.delete(rotten);
    if (this.#servers.length < 3 || (this.#rotten.size > 0 && !this.#rotten.has(server))) return this.#crash(server, 500);
    server.crash();
    if (this.#prng.chance(0.8)) {
      const record = this.#prng.pick(witnessed(server));
      if (record !== undefined) {
        this.#rotten.add(server);
        const name = server.files.names().find((each) => segmentNumber(each) === record.segment) as string;
        const at = record.offset + this.#prng.below(record.end - record.offset - 8);
        this.#note(`a bit of ${name}:${at} of ${server.sid} flips`);
        server.files.flipBits(name, at, at + 1);
      }
    }
    if (server.leading) this.onLeaderLost();
    this.#later(20 + this.#prng.float() * 500, () => server.start());
  }
}

/** Records of a journal that a later record bears witness to. */
function witnessed(server: SimServer): readonly JournalRecord[] {
  const records: JournalRecord[] = [];
  let witness = NOWHERE;
  for (const name of server.files.names()) {
    const number = segmentNumber(name) ?? -1;
    const bytes = server.files.bytesOf(name);
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; ; ) {
      const record = readRecord(buffer, at, number, true);
      if (record === null) break;
      records.push(record);
      if (isBefore(witness, record.durable)) witness = record.durable;
      at = record.end;
    }
  }
  return records.filter((record) => !isBefore(witness, { segment: record.segment, offset: record.end }));
}

export function shuffled<T>(items: readonly T[], prng: Prng): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
