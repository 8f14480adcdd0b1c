/** Writes all the time through a few clients and knows the longest time without an acked write. */
import { connect, type CoordClient } from '../../coord/client/index.ts';

const PAUSE_MS = 4;
const CLIENTS = 3;

export class WriteProbe {
  readonly #clients: CoordClient[] = [];
  /** When writes were acked, by the monotonic clock. */
  readonly #ackedMs: number[] = [];
  #stopped = false;
  #loops: Promise<void>[] = [];
  failed = 0;
  sessionsLost = 0;

  async start(connectString: string): Promise<void> {
    const first = await this.#connect(connectString);
    await first.ensurePath('/drey-demo');
    this.#ackedMs.push(performance.now());
    for (let i = 1; i < CLIENTS; i++) await this.#connect(connectString);
    this.#loops = this.#clients.map((client, i) => this.#loop(client, `/drey-demo/probe-${i}`));
  }

  async #connect(connectString: string): Promise<CoordClient> {
    const client = await connect(connectString, { sessionTimeoutMs: 10_000, connectTimeoutMs: 0, renew: true });
    client.onState((signal) => {
      if (signal === 'expired') this.sessionsLost++;
    });
    this.#clients.push(client);
    return client;
  }

  get firstAckedMs(): number {
    return this.#ackedMs[0] ?? Number.NaN;
  }

  async #loop(client: CoordClient, path: string): Promise<void> {
    await client.ensurePath(path);
    while (!this.#stopped) {
      try {
        await client.setData(path, String(this.#ackedMs.length));
        this.#ackedMs.push(performance.now());
      } catch {
        this.failed++;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** The longest time between two acked writes, of those that end after `sinceMs`. */
  longestGapMs(sinceMs: number): number {
    let longest = 0;
    let last = this.#ackedMs[0] ?? sinceMs;
    for (const at of this.#ackedMs) {
      if (at >= sinceMs) longest = Math.max(longest, at - last);
      last = at;
    }
    return longest;
  }
  get writes(): number {
    return this.#ackedMs.length;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}
