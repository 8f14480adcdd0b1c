/**
 * Decides which sessions have expired. Leader only.
 *
 * Invariants:
 * - A session expires no earlier than its timeout after its last touch, rounded up to the next multiple of tickMs.
 * - One call of expire() empties one bucket at most; and the first call that comes late by a tick or more, after the process was paused,
 *   empties none. So between a pause and the first expiry the driver has been back in its event loop, and the pings that queued
 *   meanwhile have been read.
 * - expire() names a session once. It stays known, cannot be touched any more, and counts until remove().
 *
 * Source: SessionTrackerImpl, ExpiryQueue.
 * Left to others: closing the sessions that are named; calling expire() again, on a later turn, while nextDeadlineMs() is in the past.
 */
export class SessionTracker {
  readonly #tickMs: number;
  readonly #sessions = new Map<bigint, TrackedSession>();
  /** Sessions by the time at which they are due. Few: the largest timeout divided by tickMs. */
  readonly #buckets = new Map<number, Set<TrackedSession>>();
  /** The earliest bucket; Infinity when there is none. */
  #dueMs = Number.POSITIVE_INFINITY;
  /** A late call has already been let pass; cleared once no bucket is overdue. */
  #graceGiven = false;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#sessions.size;
  }

  has(sessionId: bigint): boolean {
    return this.#sessions.has(sessionId);
  }

  /** Begins to track a session, or starts its time again with a new timeout. An expired one stays expired. */
  track(sessionId: bigint, timeoutMs: number, nowMs: number): void {
    if (this.#sessions.has(sessionId)) {
      this.touch(sessionId, nowMs, timeoutMs);
      return;
    }
    const session: TrackedSession = { id: sessionId, timeoutMs, bucketMs: EXPIRED };
    this.#sessions.set(sessionId, session);
    this.#place(session, this.#bucketOf(nowMs + timeoutMs));
  }

  /** False when the session is not known or has been named by expire(). */
  touch(sessionId: bigint, nowMs: number, timeoutMs?: number): boolean {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.bucketMs === EXPIRED) return false;
    if (timeoutMs !== undefined) session.timeoutMs = timeoutMs;
    const bucketMs = this.#bucketOf(nowMs + session.timeoutMs);
    if (bucketMs !== session.bucketMs) {
      this.#unplace(session);
      this.#place(session, bucketMs);
    }
    return true;
  }

  remove(sessionId: bigint): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return;
    this.#sessions.delete(sessionId);
    if (session.bucketMs !== EXPIRED) this.#unplace(session);
  }

  /** The sessions of the earliest bucket, if it is due. */
  expire(nowMs: number): readonly bigint[] {
    if (nowMs < this.#dueMs) {
      this.#graceGiven = false;
      return NONE;
    }
    if (!this.#graceGiven && nowMs - this.#dueMs >= this.#tickMs) {
      this.#graceGiven = true;
      return NONE;
    }
    const bucket = this.#buckets.get(this.#dueMs) as Set<TrackedSession>;
    this.#buckets.delete(this.#dueMs);
    this.#findDue();
    const expired: bigint[] = [];
    for (const session of bucket) {
      session.bucketMs = EXPIRED;
      expired.push(session.id);
    }
    return expired;
  }

  /** When this session is due if it stays silent; null when it is not known. For `dump`. */
  expiresMs(sessionId: bigint): number | null {
    return this.#sessions.get(sessionId)?.bucketMs ?? null;
  }

  /** When expire() has something to do; in the past when it is behind; Infinity when nothing is tracked. */
  nextDeadlineMs(): number {
    return this.#dueMs;
  }

  clear(): void {
    this.#sessions.clear();
    this.#buckets.clear();
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#graceGiven = false;
  }

  #bucketOf(dueMs: number): number {
    return Math.ceil(dueMs / this.#tickMs) * this.#tickMs;
  }

  #place(session: TrackedSession, bucketMs: number): void {
    let bucket = this.#buckets.get(bucketMs);
    if (bucket === undefined) {
      bucket = new Set();
      this.#buckets.set(bucketMs, bucket);
      if (bucketMs < this.#dueMs) this.#dueMs = bucketMs;
    }
    bucket.add(session);
    session.bucketMs = bucketMs;
  }

  #unplace(session: TrackedSession): void {
    const bucket = this.#buckets.get(session.bucketMs) as Set<TrackedSession>;
    bucket.delete(session);
    if (bucket.size > 0) return;
    this.#buckets.delete(session.bucketMs);
    if (session.bucketMs === this.#dueMs) this.#findDue();
  }

  #findDue(): void {
    let due = Number.POSITIVE_INFINITY;
    for (const bucketMs of this.#buckets.keys()) if (bucketMs < due) due = bucketMs;
    this.#dueMs = due;
  }
}

interface TrackedSession {
  readonly id: bigint;
  timeoutMs: number;
  /** EXPIRED: named by expire(), in no bucket. */
  bucketMs: number;
}
const EXPIRED = -1;
const NONE: readonly bigint[] = [];
