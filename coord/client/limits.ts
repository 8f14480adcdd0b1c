/** The client's numbers. */
import type { Entropy } from '../base/ports.ts';

export const limits = {
  sessionTimeoutMs: 10_000,
  connectTimeoutMs: 10_000,
  queuedRequestsMax: 10_000,
  /** How long close() looks for a server that ends the session. */
  closeTimeoutMs: 2_000,
  /** Below it the pause between two rounds over all servers; doubled from round to round. */
  backoffFirstMs: 10,
  backoffMaxMs: 1_000,
  handshakeFirstMs: 1_000,
} as const;

/** A timer that fires this much late says that the process was held up. */
export const LATE_TIMER_MS = 200;

/**
 * The pause before the next attempt, `attempts` having failed since the last established connection. The first goes at once: while an
 * ensemble elects a leader, its other members are there again within tens of milliseconds. Up to a quarter is cut at random, so that the
 * clients of a dead server do not come in step.
 */
export function backoffMs(attempts: number, servers: number, entropy: Entropy): number {
  if (attempts === 0) return 0;
  const round = Math.floor((attempts - 1) / servers);
  const full = Math.min(limits.backoffMaxMs, limits.backoffFirstMs * 2 ** Math.min(round, 10));
  return full * (1 - (entropy.bytes(1)[0] as number) / 1024);
}

/** How long a server may take to accept a connection and answer the handshake: short at first, since a hung server accepts and is silent. */
export function handshakeTimeoutMs(attempts: number, servers: number, sessionTimeoutMs: number): number {
  const round = Math.floor(attempts / servers);
  return Math.max(200, Math.min((sessionTimeoutMs * 2) / 3, limits.handshakeFirstMs * 2 ** Math.min(round, 10)));
}
