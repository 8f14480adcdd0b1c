/** One server in the virtual world: the product's driver loop and storage over a crashable disk and the simulated network. */
import { createHash } from 'node:crypto';
import type { Trace } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';
import { QuorumPeer } from '../../coord/runtime/quorum-peer.ts';
import { Storage } from '../../coord/storage/storage.ts';
import { CrashableJournalFiles } from '../doubles/journal-files.ts';
import { CrashableKvStores } from '../doubles/kv.ts';
import type { Network } from '../doubles/network.ts';
import type { Judge } from '../judges/judge.ts';
import { dropTheSync } from '../mutants/drop-the-sync.ts';
import { Process } from './process.ts';
import type { Knobs, ServerKnobs } from './knobs.ts';
import type { World } from './world.ts';

export interface SimServerOptions {
  readonly sid: number;
  readonly voters: readonly number[];
  readonly mutant: string | null;
  readonly knobs: Knobs;
  readonly own: ServerKnobs;
}

export const SIM_TICK_MS = 500;
const RESTART_MS = 300;

export class SimServer {
  readonly sid: number;
  readonly process: Process;
  readonly files: CrashableJournalFiles;
  readonly kvs: CrashableKvStores;
  readonly #world: World;
  readonly #network: Network;
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #options: SimServerOptions;
  quorumPeer: QuorumPeer | null = null;
  /** Sees the trace of the product: for faults at named points. */
  onTrace: ((name: string, fields: Readonly<Record<string, unknown>>) => void) | null = null;
  /** Called when the process dies, so that clients notice. */
  onDeath: (() => void) | null = null;

  constructor(world: World, network: Network, judge: Judge, options: SimServerOptions) {
    this.#world = world;
    this.#network = network;
    this.#judge = judge;
    this.#options = options;
    this.sid = options.sid;
    this.process = new Process(world, `server-${options.sid}`);
    this.#prng = world.prng.fork(`server-${options.sid}`);
    const disk = { schedule: (delayMs: number, fn: () => void) => void world.schedule(delayMs, fn), prng: this.#prng.fork('disk'), writeMs: options.knobs.writeMs };
    this.files = new CrashableJournalFiles(disk);
    this.kvs = new CrashableKvStores(disk);
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
    const { knobs, own } = this.#options;
    this.#world.trace(who, 'start');
    const trace: Trace = {
      event: (name, fields) => {
        this.#world.trace(who, name, fields);
        this.#judge.onTrace(this.sid, name, fields);
        this.#mark(name, fields);
        this.onTrace?.(name, fields);
        this.process.unwind();
      },
    };
    const quorumPeer = new QuorumPeer(
      {
        openStorage: () => {
          const storage = this.#watched(new Storage(this.files, this.kvs, { segmentBytes: knobs.segmentBytes, keepBytes: knobs.keepBytes }));
          return this.#options.mutant === 'drop-the-sync' ? dropTheSync(storage, this.process) : storage;
        },
        transport: this.#network.transport(this.sid, this.process),
        clock: this.process,
        timers: this.process,
        trace,
      },
      {
        ...own,
        diskRetryMs: 200,
        server: {
          sid: this.sid, standalone: false, voters: this.#options.voters.length, tickMs: SIM_TICK_MS, minSessionTimeoutMs: 2 * SIM_TICK_MS, maxSessionTimeoutMs: 20 * SIM_TICK_MS, juteMaxBuffer: 0xfffff,
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
      this.crash();
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

  slowDisk(extraMs: number): void {
    this.files.slow(extraMs);
    this.kvs.store('state').slow(extraMs);
  }
  setCapacity(bytes: number): void {
    this.files.setCapacity(bytes);
    this.kvs.store('state').setCapacity(bytes === Infinity ? Infinity : 0);
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
      flush(entries, appliedZxid, done);
    };
    return storage;
  }

  /** The loss of power: what was not durable is lost, in part or whole. `power` false: SIGKILL, and the kernel keeps what it has, until the power goes. */
  crash(power = true): void {
    if (!this.process.alive) return;
    this.#world.trace(this.process.name, 'crash');
    this.process.kill();
    this.#network.died(this.sid);
    if (power) this.files.crash();
    else this.files.kill();
    this.kvs.crash();
    this.quorumPeer = null;
    this.#judge.crashed(this.sid);
    this.onDeath?.();
  }
}
