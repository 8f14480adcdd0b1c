import test from 'ava';
import fc from 'fast-check';
import { SessionTracker } from '../../../coord/tree/session-tracker.ts';

test('a session expires at the end of its bucket, once, and is known until it is removed', (t) => {
  const tracker = new SessionTracker(1000);
  tracker.track(1n, 4000, 500);
  t.is(tracker.nextDeadlineMs(), 5000);
  t.deepEqual(tracker.expire(4999), []);
  t.deepEqual(tracker.expire(5000), [1n]);
  t.deepEqual(tracker.expire(9000), []);
  t.is(tracker.size, 1);
  t.false(tracker.touch(1n, 5000));
  t.is(tracker.nextDeadlineMs(), Number.POSITIVE_INFINITY);
  tracker.remove(1n);
  t.is(tracker.size, 0);
  t.false(tracker.touch(1n, 5000));
});

test('a touch moves it on; a new timeout counts from the touch', (t) => {
  const tracker = new SessionTracker(1000);
  tracker.track(1n, 4000, 0);
  t.true(tracker.touch(1n, 1500));
  t.is(tracker.nextDeadlineMs(), 6000);
  t.true(tracker.touch(1n, 1500, 10_000));
  t.is(tracker.nextDeadlineMs(), 12_000);
  t.true(tracker.touch(1n, 2000));
  t.is(tracker.nextDeadlineMs(), 12_000);
  tracker.track(1n, 2000, 2000);
  t.is(tracker.nextDeadlineMs(), 4000);
  t.is(tracker.size, 1);
});

test('after a pause nobody expires on the first wake-up, and then one bucket per wake-up', (t) => {
  const tracker = new SessionTracker(1000);
  tracker.track(1n, 1000, 0);
  tracker.track(2n, 2000, 0);
  tracker.track(3n, 3000, 0);
  t.deepEqual(tracker.expire(60_000), []);
  t.true(tracker.nextDeadlineMs() < 60_000);
  // The pings that had queued are read now.
  t.true(tracker.touch(1n, 60_000));
  t.deepEqual(tracker.expire(60_000), [2n]);
  t.true(tracker.touch(3n, 60_001));
  t.deepEqual(tracker.expire(60_001), []);
  t.is(tracker.nextDeadlineMs(), 61_000);
  t.deepEqual(tracker.expire(61_000), [1n]);
});

test('a session is never expired before its time, nor more than a bucket and one wake-up after it while the process runs', (t) => {
  const event = fc.oneof(
    fc.record({ kind: fc.constantFrom('track' as const, 'touch' as const, 'remove' as const), id: fc.integer({ min: 1, max: 5 }), timeoutMs: fc.integer({ min: 1, max: 5000 }) }),
    fc.record({ kind: fc.constant('advance' as const), id: fc.constant(0), timeoutMs: fc.integer({ min: 1, max: 3000 }) }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 60 }), (events) => {
    const tick = 500;
    const tracker = new SessionTracker(tick);
    const dueAt = new Map<bigint, { due: number; timeoutMs: number }>();
    const expired = new Set<bigint>();
    let now = 0;
    for (const { kind, id: number, timeoutMs } of events) {
      const id = BigInt(number);
      if (kind === 'advance') {
        const until = now + timeoutMs;
        for (let next = tracker.nextDeadlineMs(); next <= until; next = tracker.nextDeadlineMs()) {
          now = Math.max(now, next);
          for (const gone of tracker.expire(now)) {
            t.false(expired.has(gone));
            expired.add(gone);
            const due = (dueAt.get(gone) as { due: number }).due;
            t.true(now >= due && now < due + tick);
          }
        }
        now = until;
        for (const [open, { due }] of dueAt) if (!expired.has(open)) t.true(now < due + tick);
      } else if (kind === 'remove') {
        tracker.remove(id);
        dueAt.delete(id);
        expired.delete(id);
      } else if (kind === 'track') {
        tracker.track(id, timeoutMs, now);
        if (!expired.has(id)) dueAt.set(id, { due: now + timeoutMs, timeoutMs });
      } else {
        const session = dueAt.get(id);
        t.is(tracker.touch(id, now), session !== undefined && !expired.has(id));
        if (session !== undefined && !expired.has(id)) session.due = now + session.timeoutMs;
      }
      t.is(tracker.size, dueAt.size);
    }
  }));
  t.pass();
});
