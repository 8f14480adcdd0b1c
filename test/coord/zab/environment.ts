/**
 * The commands of the ZAB scripts (testdata/*.txt). A zxid is written epoch.counter, a group first-last, e.g. 1.1 or 1.2-1.4.
 *
 *   ensemble 3 [key=ms …]                     servers 1..3, not started; keys of PeerConfig
 *   history 1 accepted=1 current=1 log=1.1,1.2-1.4 [applied=1.1] [base=1.1] [suspect]
 *                                             what is on the disk of a stopped server; base: the journal holds what comes after
 *   start [1 2 …]                             all, or these; election channels come up at once
 *   tick 100                                  time passes; every deadline is met
 *   deliver 1->2 [TYPE]                       all that is under way from 1 to 2; or only up to and including the first TYPE of its channel
 *   drop 1->2 [TYPE]                          the same, but it vanishes
 *   inject 1->2 election|learner + JSON       a message that a correct server would not send
 *   persisted 1 [n]                           the next n disk operations are durable; all without n
 *   flush 1 [1.2] [purge]                     the state up to there is on disk; purge: the journal behind it is not
 *   propose 1 [n] [size=bytes]                one group of n txns
 *   confirm 1 token                           the pipeline wants to know whether this still is the leader
 *   pipeline 1->2 word                        the leader's pipeline sends this to the learner
 *   stall 1 | unstall 1                       its disk answers nothing until then, but for what `persisted` says
 *   crash 1 [kept=n]                          of the operations that were not durable, n are on disk nevertheless
 *   cut 1 2 | heal 1 2                        all channels between the two
 *   elect 1 [2 3 …]                           runs quietly until 1 leads (and the others follow); servers that are cut off stay out of it
 *   stabilize [quiet] [ms=2000]               runs until every server serves or the time has passed
 *   log [1 …] | state | queues                what is on disk; what each server is and holds; what is under way
 */
import { makeZxid, type Zxid } from '../../../coord/base/zxid.ts';
import type { PeerConfig } from '../../../coord/zab/contract.ts';
import type { PeerMessage } from '../../../coord/zab/messages.ts';
import type { TxnGroup } from '../../../coord/zab/txn-group.ts';
import type { Command } from '../../lib/datadriven.ts';
import { describeMessage, showGroup } from './describe.ts';
import { Ensemble, type Item, type Lane } from './ensemble.ts';
import { show } from './judges.ts';

/** A command that cannot be carried out as written; anything else that is thrown fails the test. */
class ScriptError extends Error {}

export class Environment {
  #ensemble = new Ensemble(1);
  readonly #stalled = new Set<number>();

  run(command: Command): string {
    this.#ensemble.out = [];
    try {
      this.#execute(command);
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      return `error: ${error.message}`;
    }
    return this.#ensemble.out.join('\n');
  }

  #execute({ name, args, options, input, position }: Command): void {
    const ensemble = this.#ensemble;
    const sids = args.filter((arg) => /^\d+$/.test(arg)).map(Number);
    const sid = sids[0] ?? 0;
    switch (name) {
      case 'ensemble':
        this.#ensemble = new Ensemble(sid, Object.fromEntries([...options].map(([key, value]) => [key, Number(value)])) as Partial<PeerConfig>);
        return;
      case 'history':
        return this.#history(sid, options, args.includes('suspect'));
      case 'start':
        for (const each of sids.length > 0 ? sids : ensemble.servers.keys()) ensemble.start(each);
        return this.#immediate();
      case 'tick':
        return this.#tick(sid);
      case 'deliver':
        for (const [lane, count] of this.#select(args)) for (let i = 0; i < count; i++) ensemble.deliver(lane);
        return this.#immediate();
      case 'drop':
        for (const [lane, count] of this.#select(args)) lane.items.splice(0, count);
        return;
      case 'inject': {
        const [from = 0, to = 0] = (args[0] ?? '').split('->').map(Number);
        const lane = ensemble.lanes.find((candidate) => candidate.from === from && candidate.to === to && candidate.kind === args[1]);
        if (lane === undefined) throw new Error(`${position}: no such channel`);
        ensemble.deliver({ ...lane, items: [JSON.parse(input) as Item] });
        return this.#immediate();
      }
      case 'persisted':
        ensemble.sync(sid, sids[1]);
        return this.#immediate();
      case 'flush': {
        const { disk, delivered } = ensemble.server(sid);
        disk.flush(delivered, args[1] === undefined || args[1] === 'purge' ? Infinity : zxid(args[1]));
        if (args.includes('purge')) disk.purge();
        return;
      }
      case 'propose':
        ensemble.propose(sid, sids[1] ?? 1, Number(options.get('size') ?? 8));
        return this.#immediate();
      case 'confirm':
        ensemble.step(sid, { type: 'confirmQuorum', token: sids[1] ?? 0 });
        return this.#immediate();
      case 'pipeline': {
        const [from = 0, to = 0] = (args[0] ?? '').split('->').map(Number);
        const channel = ensemble.lanes.find((lane) => lane.from === from && lane.to === to && lane.kind === 'learner')?.channel;
        if (channel === undefined) throw new Error(`${position}: no such channel`);
        ensemble.step(from, { type: 'pipeline', channel, body: args[1] });
        return this.#immediate();
      }
      case 'stall':
        this.#stalled.add(sid);
        return;
      case 'unstall':
        this.#stalled.delete(sid);
        return;
      case 'crash':
        ensemble.crash(sid, Number(options.get('kept') ?? 0));
        return;
      case 'cut':
        for (const other of sids.slice(1)) ensemble.cut(sid, other);
        return this.#immediate();
      case 'heal':
        for (const other of sids.slice(1)) ensemble.heal(sid, other);
        return this.#immediate();
      case 'elect':
        return this.#elect(sids, position);
      case 'stabilize':
        this.#stabilize(Number(options.get('ms') ?? 2000), () => ensemble.running.every((server) => server.serving !== 'no'));
        if (args.includes('quiet')) {
          ensemble.out.length = 0;
          this.#state();
        }
        return;
      case 'log':
        return this.#log(sids.length > 0 ? sids : [...ensemble.servers.keys()]);
      case 'state':
        return this.#state();
      case 'queues':
        for (const lane of ensemble.lanes) {
          for (const item of lane.items) if (item.type !== 'HEARTBEAT') ensemble.out.push(`${lane.from}->${lane.to} ${describeItem(item)}`);
        }
        return;
      default:
        throw new Error(`${position}: unknown command ${name}`);
    }
  }

  /** Connections come up, snapshots are read and so on without being asked; breaks become known only in order with what was under way. */
  #immediate(): void {
    const ensemble = this.#ensemble;
    for (;;) {
      const chore = ensemble.chores[0];
      const lane = ensemble.lanes.find(({ items }) => items[0]?.type === 'up');
      if (chore !== undefined) ensemble.runChore(chore);
      else if (lane !== undefined) ensemble.deliver(lane);
      else return;
    }
  }

  #history(sid: number, options: ReadonlyMap<string, string>, suspect: boolean): void {
    const { disk } = this.#ensemble.server(sid);
    disk.acceptedEpoch = Number(options.get('accepted') ?? 0);
    disk.currentEpoch = Number(options.get('current') ?? 0);
    const all = (options.get('log') ?? '').split(',').filter((word) => word !== '').map((word) => this.#group(word));
    disk.log = all;
    const applied = zxid(options.get('applied') ?? '0.0');
    disk.state = all.filter((group) => group.lastZxid <= applied);
    disk.baseZxid = zxid(options.get('base') ?? '0.0');
    disk.log = suspect ? [] : all.filter((group) => group.lastZxid > disk.baseZxid);
    disk.suspect = suspect;
    // What a script puts into a flushed state was delivered before the script began.
    if (disk.state.length > this.#ensemble.judges.committed.length) for (const group of disk.state.slice(this.#ensemble.judges.committed.length)) this.#ensemble.judges.onDelivered(group);
  }

  #group(word: string): TxnGroup {
    const [first = '', last = first] = word.split('-');
    return this.#ensemble.group(zxid(first), zxid(last));
  }

  /** Heartbeats, pings and pongs arrive at once, wherever nothing else is under way, and are not printed. */
  #tick(ms: number): void {
    const ensemble = this.#ensemble;
    const untilMs = ensemble.nowMs + ms;
    for (;;) {
      const dueMs = Math.min(untilMs, ...ensemble.running.map((server) => Math.max(ensemble.nowMs, server.deadlineMs)));
      ensemble.nowMs = dueMs;
      const due = ensemble.running.filter((server) => server.deadlineMs <= dueMs);
      for (const server of due) ensemble.step(server.sid, { type: 'clock' });
      ensemble.reconnect();
      this.#immediate();
      for (let lane = idleLane(ensemble); lane !== undefined; lane = idleLane(ensemble)) ensemble.deliver(lane);
      if (dueMs >= untilMs && due.length === 0) break;
    }
    ensemble.out = ensemble.out.filter((line) => !/ P[IO]NG \d+$/.test(line));
  }

  /** Lets everything happen that is under way. */
  #settle(): void {
    const ensemble = this.#ensemble;
    for (let i = 0; i < 10_000; i++) {
      this.#immediate();
      const lane = ensemble.lanes.find(({ items }) => items.length > 0);
      const writing = ensemble.running.find(({ disk, sid }) => disk.pending.length > 0 && !this.#stalled.has(sid));
      if (lane !== undefined) ensemble.deliver(lane);
      else if (writing !== undefined) ensemble.sync(writing.sid);
      else return;
    }
    throw new Error('the conversation does not end');
  }

  #stabilize(ms: number, done: () => boolean): void {
    const untilMs = this.#ensemble.nowMs + ms;
    this.#settle();
    while (!done() && this.#ensemble.nowMs < untilMs) {
      this.#tick(Math.min(50, untilMs - this.#ensemble.nowMs));
      this.#settle();
    }
  }

  #elect(sids: readonly number[], position: string): void {
    const ensemble = this.#ensemble;
    const [leader = 0, ...followers] = sids;
    const serves = (sid: number, as: string): boolean => ensemble.server(sid).serving === as && ensemble.server(sid).epoch === ensemble.server(leader).epoch;
    this.#stabilize(10_000, () => serves(leader, 'leader') && followers.every((sid) => serves(sid, 'follower')));
    ensemble.out.length = 0;
    this.#state();
    if (!serves(leader, 'leader')) throw new Error(`${position}: ${leader} does not lead\n${ensemble.out.join('\n')}`);
  }

  #select(args: readonly string[]): [Lane, number][] {
    const [from = 0, to = 0] = (args[0] ?? '').split('->').map(Number);
    const type = args[1];
    const selected: [Lane, number][] = [];
    for (const lane of this.#ensemble.lanes) {
      if (lane.from !== from || lane.to !== to) continue;
      const count = type === undefined ? lane.items.length : lane.items.findIndex((item) => item.type === type) + 1;
      if (count > 0) selected.push([lane, count]);
      if (count > 0 && type !== undefined) break;
    }
    if (selected.length === 0) throw new ScriptError(`no ${type ?? 'message'} is under way ${args[0]}`);
    return selected;
  }

  #log(sids: readonly number[]): void {
    for (const sid of sids) {
      const { disk } = this.#ensemble.server(sid);
      const pending = disk.pending.length > 0 ? ` (+${disk.pending.length} not durable)` : '';
      this.#ensemble.out.push(
        `${sid}: acceptedEpoch=${disk.acceptedEpoch} currentEpoch=${disk.currentEpoch} state=${show(disk.appliedZxid)} base=${show(disk.baseZxid)}`
        + ` log=[${disk.log.map(showGroup).join(' ')}]${disk.suspect ? ' suspect' : ''}${pending}`,
      );
    }
  }

  #state(): void {
    for (const { sid, peer, serving, delivered } of this.#ensemble.servers.values()) {
      this.#ensemble.out.push(peer === null
        ? `${sid}: down`
        : `${sid}: ${peer.state} serving=${serving} accepted=${peer.acceptedEpoch} current=${peer.currentEpoch} last=${show(peer.lastZxid)}`
          + ` committed=${show(peer.committedZxid)} state=${show(delivered.at(-1)?.lastZxid ?? 0)}`);
    }
  }
}

/** A channel whose next message says only that its sender lives. */
function idleLane(ensemble: Ensemble): Lane | undefined {
  return ensemble.lanes.find(({ items: [next] }) => next !== undefined && ['HEARTBEAT', 'PING', 'PONG'].includes(next.type));
}

function describeItem(item: Item): string {
  return item.type === 'up' || item.type === 'down' ? item.type : describeMessage(item as PeerMessage);
}

function zxid(word: string): Zxid {
  const [epoch = 0, counter = 0] = word.split('.').map(Number);
  return makeZxid(epoch, counter);
}
