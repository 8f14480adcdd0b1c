/** Which server to try next, and when. */
import { assert } from '../base/assert.ts';
import type { Entropy } from '../base/ports.ts';
import { limits } from './limits.ts';
import type { ServerAddress } from './transport.ts';

export class ServerRotation {
  /** In an order drawn at random, so that the clients of an ensemble spread over it. */
  readonly #servers: readonly ServerAddress[];
  readonly #entropy: Entropy;
  #index = 0;
  /** Since the last connection that was good. */
  #failed = 0;

  constructor(servers: readonly ServerAddress[], entropy: Entropy) {
    assert(servers.length > 0, 'a session needs a server to connect to');
    this.#servers = shuffled(servers, entropy);
    this.#entropy = entropy;
  }

  get current(): ServerAddress {
    return this.#servers[this.#index] as ServerAddress;
  }

  /** The current server is good: the next loss is followed by an attempt at once. */
  settle(): void {
    this.#failed = 0;
  }

  /**
   * The current server is not, or no longer: goes to the next one, and returns the pause before it is tried. There is none after the loss of
   * a good connection: while an ensemble elects a leader, its other members are there again within tens of milliseconds. Up to a quarter
   * is cut at random, so that the clients of a dead server do not come in step.
   */
  moveOn(): number {
    this.#index = (this.#index + 1) % this.#servers.length;
    const failed = this.#failed++;
    if (failed === 0) return 0;
    const full = Math.min(limits.backoffMaxMs, limits.backoffFirstMs * 2 ** this.#round(failed - 1));
    return full * (1 - (this.#entropy.bytes(1)[0] as number) / 1024);
  }

  /** Short at first, since a hung server accepts a connection and is silent. */
  handshakeTimeoutMs(sessionTimeoutMs: number): number {
    return Math.max(limits.handshakeMinMs, Math.min((sessionTimeoutMs * 2) / 3, limits.handshakeFirstMs * 2 ** this.#round(this.#failed)));
  }

  #round(failed: number): number {
    return Math.min(10, Math.floor(failed / this.#servers.length));
  }
}

/** Fisher-Yates. */
function shuffled<T>(items: readonly T[], entropy: Entropy): T[] {
  const out = [...items];
  const random = entropy.bytes(2 * out.length);
  for (let i = out.length - 1; i > 0; i--) {
    const j = (((random[2 * i] as number) << 8) | (random[2 * i + 1] as number)) % (i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
