/**
 * N Peers with a disk each and a queue per channel and direction, all under the test's control: nothing moves by itself. Every effect is
 * printed to `out` and shown to the judges.
 */
import { makeZxid, zxidCounter, zxidEpoch, type Zxid } from '../../../coord/base/zxid.ts';
import type { ChannelKind } from '../../../coord/base/ports.ts';
import type { PeerConfig, PeerEffect, PeerEvent, Serving } from '../../../coord/zab/contract.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';
import { Peer } from '../../../coord/zab/peer.ts';
import type { TxnGroup } from '../../../coord/zab/txn-group.ts';
import { describeEffect } from './describe.ts';
import { Disk } from './disk.ts';
import { Judges } from './judges.ts';

export type Item = PeerMessage | { readonly type: 'up' | 'down' };

/** One direction of a channel. */
export interface Lane {
  readonly channel: number;
  readonly kind: ChannelKind;
  readonly from: number;
  readonly to: number;
  readonly items: Item[];
}

/** What a driver would do in its own time: dial, stream a snapshot, read the journal. */
export interface Chore {
  readonly sid: number;
  readonly effect: Extract<PeerEffect, { type: 'dialLearner' | 'sendSnapshot' | 'readJournal' }>;
}

export interface Server {
  readonly sid: number;
  readonly disk: Disk;
  peer: Peer | null;
  /** The state in memory: every group applied. */
  delivered: TxnGroup[];
  serving: Serving;
  epoch: number;
  deadlineMs: number;
}

export class Ensemble {
  readonly servers = new Map<number, Server>();
  readonly lanes: Lane[] = [];
  readonly chores: Chore[] = [];
  readonly judges = new Judges();
  readonly config: Omit<PeerConfig, 'sid' | 'voters'>;
  /** Pairs "a-b", a < b, that cannot talk. */
  readonly cuts = new Set<string>();
  out: string[] = [];
  nowMs = 0;
  #nextChannel = 1;
  readonly #groups = new Map<string, TxnGroup>();

  constructor(size: number, config: Partial<PeerConfig> = {}) {
    this.config = {
      detectMs: 1000, heartbeatMs: 200, electionGraceMs: 50, progressMs: 250, learnerWindowBytes: 1 << 20, recentBytesMax: 1 << 20, ...config,
    };
    for (let sid = 1; sid <= size; sid++) {
      this.servers.set(sid, { sid, disk: new Disk(), peer: null, delivered: [], serving: 'no', epoch: 0, deadlineMs: Infinity });
    }
  }

  server(sid: number): Server {
    const server = this.servers.get(sid);
    if (server === undefined) throw new Error(`no server ${sid}`);
    return server;
  }

  get running(): Server[] {
    return [...this.servers.values()].filter((server) => server.peer !== null);
  }

  /** The one group with these zxids; the same object for everyone who ever holds it. */
  group(firstZxid: Zxid, lastZxid: Zxid, size = 8): TxnGroup {
    const key = `${firstZxid}-${lastZxid}`;
    let group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, group = { firstZxid, lastZxid, bytes: new Uint8Array(size) });
    return group;
  }

  // ---- processes

  start(sid: number): void {
    const server = this.server(sid);
    server.delivered = [...server.disk.state];
    server.serving = 'no';
    this.judges.onStateLoaded(sid, server.disk.appliedZxid);
    this.judges.onDisk(sid, server.disk);
    server.peer = new Peer({ ...this.config, sid, voters: [...this.servers.keys()] }, server.disk.recover(), this.nowMs);
    this.drain(sid);
    for (const other of this.running) this.connect(sid, other.sid);
  }

  /** kill -9 and what the disk kept. */
  crash(sid: number, keptOps: number): void {
    const server = this.server(sid);
    server.peer = null;
    server.serving = 'no';
    server.disk.crash(keptOps);
    for (const lane of this.lanes.slice()) {
      if (lane.to === sid) this.#removeLane(lane);
      else if (lane.from === sid) lane.items.push({ type: 'down' });
    }
    this.#removeChores((chore) => chore.sid === sid);
  }

  // ---- network

  /** An election channel between two running servers that have none. */
  connect(a: number, b: number): void {
    if (a === b || this.isCut(a, b) || this.server(a).peer === null || this.server(b).peer === null) return;
    const open = this.lanes.some((lane) => lane.kind === 'election' && pair(lane.from, lane.to) === pair(a, b) && lane.items.at(-1)?.type !== 'down');
    if (open) return;
    this.#open('election', a, b);
  }

  /** The transport re-dials election channels by itself. */
  reconnect(): void {
    for (const a of this.running) for (const b of this.running) if (a.sid < b.sid) this.connect(a.sid, b.sid);
  }

  isCut(a: number, b: number): boolean {
    return this.cuts.has(pair(a, b));
  }

  /** Breaks every channel between the two, with all that is under way on it, and lets no new one come up. */
  cut(a: number, b: number): void {
    this.cuts.add(pair(a, b));
    for (const lane of this.lanes.slice()) {
      if (pair(lane.from, lane.to) !== pair(a, b)) continue;
      lane.items.length = 0;
      lane.items.push({ type: 'down' });
    }
  }

  heal(a: number, b: number): void {
    this.cuts.delete(pair(a, b));
    this.connect(a, b);
  }

  /** Hands over the first item of a lane. */
  deliver(lane: Lane): void {
    const item = lane.items.shift();
    if (item === undefined) return;
    if (item.type === 'up') {
      this.step(lane.to, { type: 'channelUp', kind: lane.kind, channel: lane.channel, sid: lane.from });
    } else if (item.type === 'down') {
      this.#removeLane(lane);
      this.step(lane.to, { type: 'channelDown', channel: lane.channel });
    } else {
      this.step(lane.to, { type: 'message', channel: lane.channel, message: item as PeerMessage });
    }
  }

  /** Ends a channel as its network connection would: what is under way may still arrive, then both sides learn of it. */
  breakChannel(channel: number): void {
    for (const lane of this.lanes) if (lane.channel === channel && lane.items.at(-1)?.type !== 'down') lane.items.push({ type: 'down' });
  }

  // ---- disk, pipeline, time

  sync(sid: number, count = Infinity): void {
    const server = this.server(sid);
    const seq = server.disk.sync(Math.min(count, server.disk.pending.length));
    this.judges.onDisk(sid, server.disk);
    if (seq > 0 && server.peer !== null) this.step(sid, { type: 'persisted', seq });
  }

  /** Proposes one group of `txns` txns on an established leader. */
  propose(sid: number, txns = 1, size = 8): void {
    const { peer, serving, epoch } = this.server(sid);
    if (peer === null || serving !== 'leader') throw new Error(`${sid} does not lead`);
    const firstZxid = zxidEpoch(peer.lastZxid) === epoch ? peer.lastZxid + 1 : makeZxid(epoch, 1);
    const group = this.group(firstZxid, makeZxid(epoch, zxidCounter(firstZxid) + txns - 1), size);
    this.judges.onBroadcast(group);
    this.step(sid, { type: 'propose', group });
  }

  runChore(chore: Chore, ok = true): void {
    this.chores.splice(this.chores.indexOf(chore), 1);
    const { sid, effect } = chore;
    if (effect.type === 'dialLearner') {
      if (!ok || this.isCut(sid, effect.sid) || this.server(effect.sid).peer === null) this.step(sid, { type: 'dialFailed', sid: effect.sid });
      else this.#open('learner', sid, effect.sid);
    } else if (effect.type === 'readJournal') {
      const { disk } = this.server(sid);
      const readable = ok && effect.afterZxid >= disk.baseZxid;
      const groups = readable ? disk.log.filter((group) => group.lastZxid > effect.afterZxid).slice(0, 2) : [];
      this.step(sid, { type: 'journalRead', channel: effect.channel, groups });
    } else {
      this.#sendSnapshot(sid, effect.channel, ok);
    }
  }

  step(sid: number, event: PeerEvent): void {
    const { peer } = this.server(sid);
    if (peer === null) return;
    peer.step(event, this.nowMs);
    this.drain(sid);
  }

  drain(sid: number): void {
    const server = this.server(sid);
    if (server.peer === null) return;
    const { effects, deadlineMs } = server.peer.drain();
    server.deadlineMs = deadlineMs;
    for (const effect of effects) {
      const line = describeEffect(sid, effect, (channel) => this.lanes.find((lane) => lane.channel === channel && lane.from === sid)?.to ?? null);
      if (line !== null) this.out.push(line);
      this.#carryOut(server, effect);
    }
  }

  #carryOut(server: Server, effect: PeerEffect): void {
    const { sid, disk } = server;
    switch (effect.type) {
      case 'persist':
        if (effect.op.type === 'truncate') this.judges.onTruncate(sid, effect.op.zxid, disk);
        if (effect.op.type === 'snapshotInstall' && !disk.suspect) this.judges.onInstall(sid, disk.lastZxid, effect.op.groups.at(-1)?.lastZxid ?? effect.op.baseZxid);
        disk.pending.push({ seq: effect.seq, op: effect.op });
        break;
      case 'send':
        this.judges.onSend(sid, effect.message, disk);
        this.#lane(effect.channel, sid)?.items.push(effect.message);
        break;
      case 'resetState':
        server.delivered = [...disk.state];
        this.judges.onStateLoaded(sid, effect.baseZxid);
        break;
      case 'deliver':
        server.delivered.push(effect.group);
        this.judges.onDeliver(sid, effect.group);
        break;
      case 'serving':
        server.serving = effect.serving;
        server.epoch = effect.epoch;
        break;
      case 'trace':
        if (effect.name === 'Established') {
          const history = [...disk.state, ...disk.log, ...disk.pending.flatMap(({ op }) => (op.type === 'group' ? [op.group] : []))];
          this.judges.onEstablished(sid, Number(effect.fields['epoch']), history);
        }
        break;
      case 'dialLearner':
      case 'sendSnapshot':
      case 'readJournal':
        this.chores.push({ sid, effect });
        break;
      case 'closeChannel': {
        const out = this.#lane(effect.channel, sid);
        out?.items.push({ type: 'down' });
        const back = this.lanes.find((lane) => lane.channel === effect.channel && lane.to === sid);
        if (back !== undefined) this.#removeLane(back);
        break;
      }
      default:
        break;
    }
  }

  #sendSnapshot(sid: number, channel: number, ok: boolean): void {
    const lane = this.#lane(channel, sid);
    if (lane === undefined) return;
    const { disk } = this.server(sid);
    const baseZxid = disk.appliedZxid;
    lane.items.push({ type: 'SNAP', baseZxid });
    for (const group of disk.state) lane.items.push({ type: 'SNAPCHUNK', entries: [[`${group.firstZxid}-${group.lastZxid}`, group.bytes]] });
    if (!ok) {
      this.step(sid, { type: 'snapshotFailed', channel });
      return;
    }
    lane.items.push({ type: 'SNAPEND', baseZxid, entryCount: disk.state.length });
    this.out.push(`${sid}: sends snapshot ${zxidEpoch(baseZxid)}.${zxidCounter(baseZxid)} to ${lane.to}`);
    this.step(sid, { type: 'snapshotSent', channel, baseZxid });
  }

  #open(kind: ChannelKind, a: number, b: number): void {
    const channel = this.#nextChannel++;
    this.lanes.push({ channel, kind, from: a, to: b, items: [{ type: 'up' }] }, { channel, kind, from: b, to: a, items: [{ type: 'up' }] });
  }

  #lane(channel: number, from: number): Lane | undefined {
    return this.lanes.find((lane) => lane.channel === channel && lane.from === from);
  }

  #removeLane(lane: Lane): void {
    const index = this.lanes.indexOf(lane);
    if (index >= 0) this.lanes.splice(index, 1);
    if (lane.items.some((item) => item.type === 'up')) return;
    // The other end has not heard of it yet.
    const other = this.lanes.find((candidate) => candidate.channel === lane.channel);
    if (other !== undefined && other.items.at(-1)?.type !== 'down') other.items.push({ type: 'down' });
  }

  #removeChores(gone: (chore: Chore) => boolean): void {
    for (const chore of this.chores.slice()) if (gone(chore)) this.chores.splice(this.chores.indexOf(chore), 1);
  }
}

export function pair(a: number, b: number): string {
  return a < b ? `${a}-${b}` : `${b}-${a}`;
}
