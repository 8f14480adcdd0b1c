/** One server in the virtual world: the product's driver loop and storage over a crashable disk and the simulated network. */
import { createHash } from 'node:crypto';
import type { JournalFiles, Trace } from '../../coord/base/ports.ts';
import { QuorumPeer } from '../../coord/runtime/quorum-peer.ts';
import { Storage } from '../../coord/storage/storage.ts';
import type { ServerState } from '../../coord/zab/messages.ts';
import type { CrashableJournalFiles } from '../doubles/journal-files.ts';
import type { CrashableKvStores } from '../doubles/kv.ts';
import type { Network } from '../doubles/network.ts';
import type { Judge } from '../judges/judge.ts';
import { Process } from './process.ts';
import type { FieldsOf } from '../faults/scheduler.ts';
import type { Knobs, ServerKnobs } from './knobs.ts';
import { SimDisk } from './sim-disk.ts';
import type { World } from './world.ts';

export interface SimServerOptions {
  readonly sid: number;
  readonly voters: readonly number[];
  readonly knobs: Knobs;
  readonly own: ServerKnobs;
}

const SIM_TICK_MS = 500;
const REAP_INTERVAL_MS = 700;
const RESTART_MS = 300;

export class SimServer {
  readonly sid: number;
  readonly process: Process;
  disk: SimDisk;
  readonly #world: World;
  readonly #network: Network;
  readonly #judge: Judge;
  readonly #options: SimServerOptions;
  #own: ServerKnobs;
  quorumPeer: QuorumPeer | null = null;
  /**
   * Sees what the product traces, and what it asks of its disk: 'journal write' and 'state batch' before anything is written, 'durable' and
   * 'flushed' when the disk has answered, 'journal create' and 'journal remove' before a segment is made or let go. Writes have a field, true, for each type of op
   * in them ('hardState', 'group', 'truncate', 'snapshotInstall' …). If it kills the process, nothing follows.
   */
  onEvent: ((name: string, fieldsOf: FieldsOf) => void) | null = null;
  /** Called when the process dies, so that clients notice. */
  onDeath: (() => void) | null = null;

  constructor(world: World, network: Network, judge: Judge, options: SimServerOptions) {
    this.#world = world;
    this.#network = network;
    this.#judge = judge;
    this.#options = options;
    this.sid = options.sid;
    this.process = new Process(world, `server-${options.sid}`, false);
    this.#own = options.own;
    this.disk = new SimDisk(world, this.process, options.knobs.writeMs);
  }

  get files(): CrashableJournalFiles {
    return this.disk.files;
  }
  get kvs(): CrashableKvStores {
    return this.disk.kvs;
  }
  /** Null: there is no core. */
  get peerState(): ServerState | null {
    return this.process.alive ? this.quorumPeer?.server?.peer.state ?? null : null;
  }
  get serving(): boolean {
    const serving = this.quorumPeer?.server?.serving ?? 'no';
    return this.process.alive && serving !== 'no';
  }
  get leading(): boolean {
    return this.process.alive && this.quorumPeer?.server?.serving === 'leader';
  }

  start(): void {
    if (this.process.alive) return;
    this.process.begin();
    const who = this.process.name;
    const { knobs } = this.#options;
    this.#world.trace(who, 'start');
    const trace: Trace = {
      event: (name, fields) => {
        this.#world.trace(who, name, fields);
        this.#judge.onTrace(this.sid, name, fields);
        this.#mark(name, fields);
        this.#event(name, () => fields);
      },
    };
    const quorumPeer = new QuorumPeer(
      {
        openStorage: () => this.#watched(new Storage(this.#observedFiles(), this.kvs, { segmentBytes: knobs.segmentBytes, keepBytes: knobs.keepBytes })),
        transport: this.#network.transport(this.sid, this.process),
        clock: this.process,
        timers: this.process,
        trace,
      },
      {
        ...this.#own,
        diskRetryMs: 200,
        server: {
          sid: this.sid, standalone: false, voters: this.#options.voters.length, tickMs: SIM_TICK_MS, reapIntervalMs: REAP_INTERVAL_MS, minSessionTimeoutMs: 2 * SIM_TICK_MS, maxSessionTimeoutMs: 20 * SIM_TICK_MS, juteMaxBuffer: 0xfffff,
          digest: (text) => createHash('sha1').update(text).digest('base64'), superDigest: null, configData: '',
        },
        description: { version: 'sim', settings: [], environment: [], openFileDescriptors: () => -1, maxFileDescriptors: () => -1 },
        peer: {
          sid: this.sid, voters: this.#options.voters, detectMs: knobs.detectMs, heartbeatMs: knobs.heartbeatMs, electionGraceMs: knobs.electionGraceMs, progressMs: knobs.progressMs,
          learnerWindowBytes: knobs.learnerWindowBytes, recentBytesMax: knobs.recentBytesMax, rolloverCounter: knobs.epochTxnsMax,
        },
      },
    );
    this.quorumPeer = quorumPeer;
    this.#judge.started(this.sid, this);
    quorumPeer.start((error) => {
      if (error === null) return;
      // A disk that refuses while a server starts ends the process; whoever watches over it starts it again.
      const { code } = error.cause as { code?: string } ?? error;
      if (code !== 'EIO' && code !== 'ENOSPC') return this.#judge.fail('Boot', `server ${this.sid} does not start: ${error.message}`);
      this.crash(false);
      this.#world.schedule(RESTART_MS, () => this.start());
    });
  }

  /** SIGTERM: says goodbye, and lets the disk finish. */
  stop(done: () => void): void {
    const { quorumPeer } = this;
    if (!this.process.alive || quorumPeer === null) return done();
    quorumPeer.stop(() => {
      this.crash();
      done();
    });
  }

  /** Both are down. */
  swapDisk(other: SimServer): void {
    [this.disk, other.disk] = [other.disk, this.disk];
    this.disk.owner = this.process;
    other.disk.owner = other.process;
  }

  /** From its next start on. */
  reconfigure(knobs: Partial<ServerKnobs>): void {
    this.#own = { ...this.#own, ...knobs };
  }

  #event(name: string, fieldsOf: FieldsOf): void {
    this.onEvent?.(name, fieldsOf);
    this.process.unwind();
  }

  #mark(name: string, fields: Readonly<Record<string, unknown>>): void {
    const { marks } = this.#world;
    if (name === 'SyncPlan') {
      marks.hit(fields['plan'] as 'DIFF' | 'TRUNC' | 'SNAP');
      if (fields['position'] === 'suspect log') marks.hit('SNAP of a suspect');
    } else if (name === 'Boot' && fields['suspect'] === true) marks.hit('suspect journal');
    else if (name === 'StorageWarning' && String(fields['warning']).startsWith('cut a torn tail')) marks.hit('torn tail');
    else if (name === 'SteppedDown' && String(fields['why']).startsWith('the zxid counter ends')) marks.hit('roll-over');
    else if (name === 'DiskFailed') marks.hit('disk failed');
  }

  #watched(storage: Storage): Storage {
    const { marks } = this.#world;
    const readGroups = storage.readGroups.bind(storage);
    storage.readGroups = (after, bytesMax, done) => readGroups(after, bytesMax, (error, groups) => {
      marks.hit(groups.length > 0 ? 'journal read' : 'journal unreadable');
      done(error, groups);
    });
    const flush = storage.flush.bind(storage);
    storage.flush = (entries, appliedZxid, done) => {
      marks.hit('flush');
      this.#event('state batch', () => ({ zxid: appliedZxid }));
      flush(entries, appliedZxid, (error) => {
        if (error === null) this.#event('flushed', () => ({ zxid: appliedZxid }));
        done(error);
      });
    };
    const persist = storage.persist.bind(storage);
    storage.persist = (ops, done) => {
      const fieldsOf = (): Record<string, unknown> => Object.fromEntries(ops.map(({ op }) => [op.type, true]));
      this.#event('journal write', fieldsOf);
      persist(ops, (error, seq) => {
        if (error === null) this.#event('durable', fieldsOf);
        done(error, seq);
      });
    };
    return storage;
  }

  #observedFiles(): JournalFiles {
    const { files } = this;
    return {
      list: (done) => files.list(done),
      read: (name, done) => files.read(name, done),
      open: (name, done) => files.open(name, done),
      remove: (name, done) => {
        this.#event('journal remove', () => ({ name }));
        files.remove(name, done);
      },
      create: (name, size, done) => {
        this.#event('journal create', () => ({ name }));
        files.create(name, size, done);
      },
    };
  }

  /** The loss of power: what was not durable is lost, in part or whole. `power` false: SIGKILL, and the kernel keeps what it has, until the power goes. */
  crash(power = true): void {
    if (!this.process.alive) return;
    this.#world.trace(this.process.name, 'crash');
    this.process.kill();
    if (power) this.#network.vanished(this.sid);
    else this.#network.died(this.sid);
    this.disk.crash(power);
    this.quorumPeer = null;
    this.#judge.crashed(this.sid);
    this.onDeath?.();
  }
}
