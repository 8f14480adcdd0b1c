/**
 * When a session may be ended by the leader, by the leader's own clock: no earlier than its timeout after the leader last heard of it, and no
 * earlier than its timeout after the leader began. And no client may believe in its lease by then.
 *
 *   EarlyExpiry   a session is expired before lastHeard + timeout, or before leaderStart + timeout
 *   LateExpiry    a leader that runs without a stall has not expired a session of which it has not heard for its timeout and some
 *   Lease         leaseRemainingMs() is positive after the expiry, though the leader's clock ran no faster than the client's
 */
import type { Judge } from '../judges/judge.ts';

/** A leader as it begins: by its clock. */
export interface Leadership {
  readonly sid: number;
  readonly sinceMs: number;
  readonly heardMs: Map<bigint, number>;
  readonly expired: Set<bigint>;
  /** Sessions that were there before it. */
  readonly older: ReadonlySet<bigint>;
  lookedMs: number;
  /** Since when it has run without a stall. */
  steadySinceMs: number;
}

/** How much later than its timeout a session ends: what may be unheard of, the bucket, and two ticks. */
const LATE_MS = 3500;
const LOOK_MS = 300;
const STALL_MS = 1000;

export interface LeaseHolder {
  readonly name: string;
  readonly sessionId: bigint;
  /** By a clock that runs true. */
  leaseRemainingMs(): number;
}

export class ExpiryJudge {
  readonly #judge: Judge;
  readonly #holders: LeaseHolder[] = [];
  /** Whether every server's clock runs no faster than the clients'. */
  readonly #clocksHold: () => boolean;
  /** One ran too fast: leases mean nothing from then on. */
  #isTooFast = false;

  constructor(judge: Judge, clocksHold: () => boolean) {
    this.#judge = judge;
    this.#clocksHold = clocksHold;
    judge.model.onExpired.push((sessionId) => this.#expired(sessionId));
    judge.onSession = (sid) => {
      let leadership = this.begins(sid, 0);
      return (what, sessionId, nowMs) => {
        if (what === 'leads') leadership = this.begins(sid, nowMs);
        else if (what === 'heard') this.heard(leadership, sessionId, nowMs);
        else this.expires(leadership, sessionId, nowMs);
      };
    };
  }

  holds(holder: LeaseHolder): void {
    this.#holders.push(holder);
  }

  begins(sid: number, nowMs: number): Leadership {
    return { sid, sinceMs: nowMs, heardMs: new Map(), expired: new Set(), older: new Set(this.#judge.model.sessions.keys()), lookedMs: nowMs, steadySinceMs: nowMs };
  }

  heard(leadership: Leadership, sessionId: bigint, nowMs: number): void {
    leadership.heardMs.set(sessionId, nowMs);
    this.#look(leadership, nowMs);
    if (!this.#clocksHold()) this.#isTooFast = true;
  }

  /** The leader proposes the end of the session. */
  expires({ sid, sinceMs, heardMs, expired }: Leadership, sessionId: bigint, nowMs: number): void {
    expired.add(sessionId);
    const timeoutMs = this.#judge.model.timeouts.get(sessionId);
    if (timeoutMs === undefined) return;
    const since = Math.max(sinceMs, heardMs.get(sessionId) ?? 0);
    if (nowMs < since + timeoutMs) {
      this.#judge.fail('EarlyExpiry', `leader ${sid} expires session 0x${sessionId.toString(16)} ${(since + timeoutMs - nowMs).toFixed(1)} ms early: ${heardMs.has(sessionId) ? 'it heard of it' : 'it began'} ${(nowMs - since).toFixed(1)} ms ago, the timeout is ${timeoutMs} ms`);
    }
  }

  #look(leadership: Leadership, nowMs: number): void {
    const { sid, sinceMs, heardMs, expired } = leadership;
    if (nowMs < leadership.lookedMs + LOOK_MS) return;
    if (nowMs > leadership.lookedMs + STALL_MS) leadership.steadySinceMs = nowMs;
    leadership.lookedMs = nowMs;
    const { sessions, timeouts } = this.#judge.model;
    for (const sessionId of sessions.keys()) {
      // One that has come since was heard of when it was made, which may be in this very turn.
      if (!leadership.older.has(sessionId) && !heardMs.has(sessionId)) heardMs.set(sessionId, nowMs);
      const since = Math.max(sinceMs, leadership.steadySinceMs, heardMs.get(sessionId) ?? 0);
      const lateMs = nowMs - since - (timeouts.get(sessionId) as number) - LATE_MS;
      if (lateMs > 0 && !expired.has(sessionId)) this.#judge.fail('LateExpiry', `leader ${sid} has not heard of session 0x${sessionId.toString(16)} for ${(nowMs - since).toFixed(0)} ms, its timeout is ${timeouts.get(sessionId)} ms`);
    }
  }

  #expired(sessionId: bigint): void {
    if (this.#isTooFast || !this.#clocksHold()) return;
    for (const holder of this.#holders) {
      if (holder.sessionId !== sessionId) continue;
      const leftMs = holder.leaseRemainingMs();
      if (leftMs > 0) this.#judge.fail('Lease', `${holder.name} believes that its session 0x${sessionId.toString(16)} lives for another ${leftMs.toFixed(1)} ms, and it has been expired`);
    }
  }
}
