/** One server in the virtual world: the product's driver loop and storage over a crashable disk and the simulated network. */
import { createHash } from 'node:crypto';
import type { Trace } from '../../coord/base/ports.ts';
import type { Prng } from '../../coord/base/prng.ts';
import { DEFAULT_DRIVER_OPTIONS, QuorumPeer } from '../../coord/runtime/quorum-peer.ts';
import { Storage } from '../../coord/storage/storage.ts';
import { CrashableJournalFiles } from '../doubles/journal-files.ts';
import { CrashableKvStores } from '../doubles/kv.ts';
import type { Network } from '../doubles/network.ts';
import type { Judge } from '../judges/judge.ts';
import { dropTheSync } from '../mutants/drop-the-sync.ts';
import { Process } from './process.ts';
import type { World } from './world.ts';

export interface SimServerOptions {
  readonly sid: number;
  readonly voters: readonly number[];
  readonly mutant: string | null;
}

export const SIM_TICK_MS = 500;

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
    const disk = { schedule: (delayMs: number, fn: () => void) => void world.schedule(delayMs, fn), prng: this.#prng.fork('disk') };
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
    this.#world.trace(who, 'start');
    const trace: Trace = {
      event: (name, fields) => {
        this.#world.trace(who, `${name} ${JSON.stringify(fields)}`);
        this.#judge.onTrace(this.sid, name, fields);
      },
    };
    const quorumPeer = new QuorumPeer(
      {
        openStorage: () => {
          const storage = new Storage(this.files, this.kvs, { segmentBytes: 256 * 1024 });
          return this.#options.mutant === 'drop-the-sync' ? dropTheSync(storage, this.process) : storage;
        },
        transport: this.#network.transport(this.sid, this.process),
        clock: this.process,
        timers: this.process,
        trace,
      },
      {
        ...DEFAULT_DRIVER_OPTIONS,
        server: {
          sid: this.sid, standalone: false, voters: this.#options.voters.length, tickMs: SIM_TICK_MS, minSessionTimeoutMs: 2 * SIM_TICK_MS, maxSessionTimeoutMs: 20 * SIM_TICK_MS, juteMaxBuffer: 0xfffff,
          digest: (text) => createHash('sha1').update(text).digest('base64'), superDigest: null, configData: '',
        },
        description: { version: 'sim', settings: [], environment: [], openFileDescriptors: () => -1, maxFileDescriptors: () => -1 },
        peer: { sid: this.sid, voters: this.#options.voters, detectMs: 1000, heartbeatMs: 200, electionGraceMs: 50, progressMs: 250, learnerWindowBytes: 4 << 20, recentBytesMax: 64 * 1024 },
      },
    );
    this.quorumPeer = quorumPeer;
    this.#judge.started(this.sid, this);
    quorumPeer.start((error) => {
      if (error !== null) this.#judge.fail('Boot', `server ${this.sid} does not start: ${error.message}`);
    });
  }

  /** SIGKILL or the loss of power: what was not durable is lost, in part or whole. */
  crash(): void {
    if (!this.process.alive) return;
    this.#world.trace(this.process.name, 'crash');
    this.process.kill();
    this.#network.died(this.sid);
    this.files.crash();
    this.kvs.crash();
    this.quorumPeer = null;
    this.#judge.crashed(this.sid);
    this.onDeath?.();
  }
}
