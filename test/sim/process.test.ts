import test from 'ava';
import { thrown } from '../../sim/run/thrown.ts';
import { SimulationEscape } from '../../sim/world/guard.ts';
import { Process } from '../../sim/world/process.ts';
import { World } from '../../sim/world/world.ts';

function begun(): { world: World; process: Process; seen: string[]; note: (what: string) => () => void } {
  const world = new World('process');
  const process = new Process(world, 'p');
  process.begin();
  const seen: string[] = [];
  return { world, process, seen, note: (what) => () => void seen.push(`${what} at ${world.nowMs}`) };
}

test('timers go by the clock of the process, frames and disks by that of the world', (t) => {
  const { world, process, seen, note } = begun();
  world.run(100);
  process.setRate(0.5);
  process.after(100, note('slow timer'));
  process.schedule(100, note('event'));
  world.run(400);
  t.deepEqual(seen, ['event at 200', 'slow timer at 300']);
  t.is(process.monotonicMs(), 250);
  process.setRate(2);
  process.after(100, note('fast timer'));
  world.run(1000);
  t.is(seen.at(-1), 'fast timer at 450');
  t.is(process.monotonicMs(), 1450);
});

test('the monotonic clock never goes back, and a timer is never early, whatever happens to the rate', (t) => {
  const { world, process } = begun();
  let last = 0;
  for (let i = 0; i < 200; i++) {
    const dueMs = process.monotonicMs() + i;
    process.after(i, () => t.true(process.monotonicMs() >= dueMs));
    process.setRate(0.5 + world.prng.float() * 1.5);
    world.run(world.nowMs + world.prng.float() * 10);
    t.true(process.monotonicMs() >= last);
    last = process.monotonicMs();
  }
});

test('timers that are set go by the new rate from when it changes, in their order, whether it is slower or faster', (t) => {
  const { world, process, seen, note } = begun();
  process.after(1000, note('a'));
  process.after(1000, note('b'));
  process.after(1500, note('c'));
  process.after(1000, note('cancelled')).cancel();
  process.schedule(900, note('event'));
  process.setRate(0.5);
  world.run(500);
  process.setRate(2);
  world.run(885);
  t.deepEqual(seen, ['a at 875', 'b at 875']);
  process.setRate(1);
  world.run(2000);
  t.deepEqual(seen.slice(2), ['event at 900', 'c at 1365']);
});

test('the wall clock jumps, the monotonic one does not', (t) => {
  const { world, process } = begun();
  world.run(10);
  const [wallMs, monotonicMs] = [process.wallMs(), process.monotonicMs()];
  process.jumpWall(-5000);
  t.is(process.wallMs(), wallMs - 5000);
  t.is(process.monotonicMs(), monotonicMs);
});

test('a dead process takes nothing on, and nothing of it comes back with the next one', (t) => {
  const { world, process, seen, note } = begun();
  process.after(10, note('of the first'));
  process.kill();
  process.after(1, note('of the dead'));
  process.schedule(1, note('of the dead'));
  process.run(note('of the dead'));
  world.run(5);
  process.begin();
  process.after(1, note('of the second'));
  world.run(100);
  t.deepEqual(seen, ['of the second at 6']);
});

test('a paused process does in one go what has come, and stops in the middle of it if it dies', (t) => {
  const { world, process, seen, note } = begun();
  process.pause(100);
  process.after(10, note('a'));
  process.schedule(20, note('b'));
  process.run(note('c'));
  world.run(200);
  t.deepEqual(seen, ['c at 100', 'a at 100', 'b at 100']);
  process.pause(100);
  process.run(() => process.kill());
  process.run(note('d'));
  world.run(400);
  t.is(seen.length, 3);
});

test('death within a handler: unwind() ends it, outside of it does nothing', (t) => {
  const { world, process, seen, note } = begun();
  process.unwind();
  process.schedule(1, () => {
    process.kill();
    note('killed')();
    process.unwind();
    note('never')();
  });
  world.run(10);
  process.unwind();
  t.deepEqual(seen, ['killed at 1']);
});

test('a run of another process within is not mistaken for it', (t) => {
  const { world, process, seen, note } = begun();
  const other = new Process(world, 'other');
  other.begin();
  process.schedule(1, () => {
    other.run(() => {
      other.kill();
      process.unwind();
      note('goes on')();
    });
  });
  world.run(10);
  t.deepEqual(seen, ['goes on at 1']);
});

test('a process that is called for a time that has come, again and again, is found out', (t) => {
  const { world, process } = begun();
  const again = (): void => void process.after(0, again);
  process.after(5, again);
  const error = t.throws(() => world.run(10));
  t.regex(error.message, /it is still 5\.000 ms/);
  t.like(thrown(error), { kind: 'liveness', violation: { invariant: 'Livelock' } }, 'no progress, and not a crash');
});

test('what is thrown in a run is a finding: of the product, or of code that reaches for the real world', (t) => {
  t.like(thrown(new RangeError('odd')), { kind: 'crash', violation: { invariant: 'RangeError', message: 'odd' } });
  t.like(thrown('odd'), { kind: 'crash', violation: { invariant: 'Error', message: 'odd' } });
  t.like(thrown(new SimulationEscape('Date.now', 'job.ts:1:2')), { kind: 'nondeterminism', violation: { invariant: 'SimulationEscape' } });
});
