/** The disk of a server: journal files and state, and what is wrong with both at once. It outlives the process, and may end up in another machine. */
import { CrashableJournalFiles } from '../doubles/journal-files.ts';
import { CrashableKvStores } from '../doubles/kv.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

export class SimDisk {
  readonly #world: World;
  readonly #name: string;
  readonly #writeMs: readonly [min: number, max: number];
  /** How many disks of this name there have been. */
  #number = 0;
  files: CrashableJournalFiles;
  kvs: CrashableKvStores;
  /** Whom it answers. */
  owner: Process;
  /** What was on it once; null: nobody has taken note of it. */
  #image: { readonly files: ReadonlyMap<string, Uint8Array>; readonly state: ReadonlyMap<string, Uint8Array> } | null = null;
  /** What it would have answered by now; null: it answers. */
  #stalled: (() => void)[] | null = null;

  /** Its streams are `disk/<name of the process>/journal` and `disk/<name of the process>/state`. */
  constructor(world: World, owner: Process, writeMs: readonly [min: number, max: number]) {
    this.#world = world;
    this.owner = owner;
    this.#name = owner.name;
    this.#writeMs = writeMs;
    [this.files, this.kvs] = this.#fresh();
  }

  #fresh(): [CrashableJournalFiles, CrashableKvStores] {
    const schedule = (delayMs: number, fn: () => void): void => {
      this.#world.schedule(delayMs, this.#due, this.owner.usesPromises, fn);
    };
    const name = this.#number++ === 0 ? `disk/${this.#name}` : `disk/${this.#name}-${this.#number}`;
    // Disks are prepared before there is a process.
    const answer = (fn: () => void): void => (this.owner.alive ? this.owner.run(fn) : fn());
    const options = { schedule, answer, writeMs: this.#writeMs };
    const files = new CrashableJournalFiles({ ...options, prng: this.#world.streams(`${name}/journal`) });
    if (this.#world.recorder !== null) files.onBusy = (busy) => this.#band('disk', busy ? 'write' : null);
    return [files, new CrashableKvStores({ ...options, prng: this.#world.streams(`${name}/state`) })];
  }
  /** Not a method: it is what events do, with what the disk would do as their subject. */
  readonly #due = (fn: () => void): void => {
    if (this.#stalled === null) fn();
    else this.#stalled.push(fn);
  };

  /** For the recording of a run. */
  #band(band: 'disk' | 'disk fault', label: string | null): void {
    const { recorder, nowMs } = this.#world;
    if (label === null) recorder?.end(nowMs, this.owner.name, band);
    else recorder?.begin(nowMs, this.owner.name, band, label);
  }

  /** An empty one takes its place. */
  lose(): void {
    [this.files, this.kvs] = this.#fresh();
  }

  /** Takes an image, as of a machine that loses power now. */
  keep(): void {
    this.#image = { files: this.files.image(), state: this.kvs.store('state').image() };
  }
  /** The journal's files as they were when the image was taken; null: there is none. */
  get imageOfFiles(): ReadonlyMap<string, Uint8Array> | null {
    return this.#image?.files ?? null;
  }
  /** Back to the image, in part or whole; its process is down. */
  rollBack(journal: boolean, state: boolean): void {
    const image = this.#image;
    if (image === null) return;
    const { kvs } = this;
    if (journal) {
      [this.files, this.kvs] = this.#fresh();
      this.files.restore(image.files);
      this.kvs.store('state').restore(state ? image.state : kvs.store('state').image());
    } else if (state) {
      this.kvs.store('state').restore(image.state);
    }
  }

  slow(extraMs: number): void {
    this.#band('disk fault', extraMs > 0 ? 'slow' : null);
    this.files.slow(extraMs);
    this.kvs.store('state').slow(extraMs);
  }
  setCapacity(bytes: number): void {
    this.#band('disk fault', bytes === Infinity ? null : 'full');
    this.files.setCapacity(bytes);
    this.kvs.store('state').setCapacity(bytes === Infinity ? Infinity : 0);
  }
  /** Nothing is answered any more; all of it, in order, when it goes on. */
  stall(): void {
    this.#band('disk fault', 'stalled');
    this.#stalled ??= [];
  }
  goOn(): void {
    const stalled = this.#stalled ?? [];
    this.#stalled = null;
    this.#band('disk fault', null);
    for (const fn of stalled) this.#world.schedule(0, fn);
  }
  heal(): void {
    this.slow(0);
    this.setCapacity(Infinity);
    this.files.failWrites(0);
    this.files.failCreates(0);
    this.files.failReads(0);
    this.kvs.store('state').failBatches(0);
    this.goOn();
  }

  /** `power` false: SIGKILL, and the kernel keeps what it has, until the power goes. */
  crash(power: boolean): void {
    if (power) this.files.crash();
    else this.files.kill();
    this.kvs.crash();
  }
}
