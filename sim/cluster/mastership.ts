/** How long nobody was master who could act: whoever leads by the newest epoch, is not stopped, and has taken over. */
import type { Cluster } from './cluster.ts';

const LOOK_MS = 20;

export class Mastership {
  readonly #cluster: Cluster;
  /** The newest that was granted. */
  readonly #epoch: () => number;
  /** Null before the first. */
  #lastMs: number | null = null;
  /** Virtual ms, to the next look; the time before the first master does not count. */
  longestWithoutMs = 0;

  constructor(cluster: Cluster, epoch: () => number) {
    this.#cluster = cluster;
    this.#epoch = epoch;
    this.#look();
  }

  #look(): void {
    const { world, jobManagers } = this.#cluster;
    if (this.#lastMs !== null) this.longestWithoutMs = Math.max(this.longestWithoutMs, world.nowMs - this.#lastMs - LOOK_MS);
    if (jobManagers.some((each) => each.leading && each.epoch === this.#epoch() && !each.machine.process.paused)) this.#lastMs = world.nowMs;
    world.schedule(LOOK_MS, () => this.#look(), false);
  }
}
