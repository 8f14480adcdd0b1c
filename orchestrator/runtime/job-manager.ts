/**
 * A job manager: stands for election, leads a term when elected, and shows what there is over HTTP in any case.
 *
 * Invariants: at most one term at a time; when leadership is lost (also: when it may be, by this process's own clock) the term ends at once, and
 *   the process stands again; workers go on meanwhile.
 */
import type { TimerHandle } from '../../coord/base/ports.ts';
import { LeaderElection } from '../../coord/client/index.ts';
import type { CoordClient, Leadership } from '../../coord/client/index.ts';
import type { LeaderData } from '../ha/layout.ts';
import { encodeJson, LEADER_PATH } from '../ha/layout.ts';
import { ensureLayout } from '../ha/job-store.ts';
import { MasterTerm } from './master-term.ts';
import type { RuntimePorts } from './ports.ts';

const STAND_AGAIN_MS = 500;
const GUID_LENGTH = 21;

export interface JobManagerOptions {
  readonly ports: RuntimePorts;
  /** With `renew`, so that the process goes on under a new session when one has expired. Stays the caller's to close. */
  readonly coord: CoordClient;
  readonly masterId: string;
  /** host:port of the HTTP server, for the others. */
  readonly address: string;
  /** Offered to those who submit jobs; a job names its own storage. */
  readonly storageUrl: string;
  readonly log: (line: string) => void;
  /** It can never lead again: its session is over for good, or coord refuses it. */
  readonly onEnded: (error: Error) => void;
}

export class JobManager {
  readonly masterId: string;
  readonly address: string;
  readonly coord: CoordClient;
  readonly #options: JobManagerOptions;
  #election: LeaderElection | null = null;
  #term: MasterTerm | null = null;
  #standAgain: TimerHandle | null = null;
  #closed = false;

  constructor(options: JobManagerOptions) {
    this.#options = options;
    this.masterId = options.masterId;
    this.address = options.address;
    this.coord = options.coord;
  }

  /** The term that this job manager leads now, or null. */
  get term(): MasterTerm | null {
    return this.#term;
  }

  async start(): Promise<void> {
    await ensureLayout(this.coord);
    this.#stand();
  }

  /** Gives leadership up at once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#standAgain?.cancel();
    this.#endTerm();
    await this.#election?.close();
  }

  #stand(): void {
    if (this.#closed) return;
    const { log } = this.#options;
    const data: LeaderData = { masterId: this.masterId, address: this.address, storageUrl: this.#options.storageUrl };
    const election = new LeaderElection(this.coord, LEADER_PATH, {
      data: encodeJson(data),
      guid: () => this.#options.ports.id(GUID_LENGTH),
      onElected: (leadership) => this.#onElected(leadership),
      onLost: (reason) => {
        log(`leadership lost (${reason}); standing by`);
        this.#endTerm();
      },
      onDoubtful: () => log('connection to coord lost: still leading, nothing is written until it is back'),
      onConfirmed: () => log('leadership confirmed'),
      onEnded: (error) => {
        this.#endTerm();
        if (!this.#closed) this.#options.onEnded(error);
      },
    });
    this.#election = election;
    election.start();
  }

  #onElected(leadership: Leadership): void {
    const { log } = this.#options;
    log(`leads, epoch ${leadership.epoch}`);
    const term = new MasterTerm({
      ports: this.#options.ports, coord: this.coord, leadership, masterId: this.masterId, log,
      onOver: (error) => {
        log(`gives up leadership: ${error.message}`);
        if (this.#term === term) void this.#resign();
      },
    });
    this.#term = term;
    void term.begin();
  }

  /** The place in the queue is worth nothing any more, so another one is taken. */
  async #resign(): Promise<void> {
    this.#endTerm();
    await this.#election?.close();
    if (!this.#closed) this.#standAgain = this.#options.ports.timers.after(STAND_AGAIN_MS, () => this.#stand());
  }

  #endTerm(): void {
    this.#term?.end();
    this.#term = null;
  }
}
