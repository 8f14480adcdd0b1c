import test from 'ava';
import { Bench, testGraph } from './doubles.ts';

const both = ['out/0/1@a', 'out/1/1@b', 'src/0/1@a', 'src/1/1@b'];

test('nothing is deployed before the assignment is durable', (t) => {
  const bench = new Bench();
  bench.holdWrites = true;
  bench.submit();
  t.deepEqual(bench.running, []);
  t.is(bench.job().status, 'CREATED');
  bench.release();
  t.deepEqual(bench.running, both);
  t.is(bench.stored().record.status, 'RUNNING');
  t.deepEqual(bench.stored().record.slots, ['a', 'b']);
});

test('a job waits for slots, takes them all at once, and gives them back', (t) => {
  const bench = new Bench({ a: 1 });
  bench.submit();
  t.is(bench.job().status, 'CREATED');
  t.deepEqual(bench.running, []);
  bench.addTaskManager('b', 1);
  t.is(bench.job().status, 'RUNNING');
  bench.submit(testGraph(), 'k');
  t.is(bench.job('k').status, 'CREATED');
  bench.request('cancel');
  t.is(bench.stored().record.status, 'CANCELED');
  t.is(bench.job('k').status, 'RUNNING');
});

test('a checkpoint: id durable, then the trigger; acks, then metadata and pointer; only then complete', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.holdWrites = true;
  bench.pass(1000);
  t.deepEqual(bench.held.map(({ type }) => type), ['reserveCheckpointId']);
  t.is(bench.sent('triggerCheckpoint').length, 0);
  const reserve = bench.held;
  bench.held = [];
  bench.holdWrites = false;
  bench.held = reserve;
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.release();
  t.is(bench.sent('triggerCheckpoint').length, 2);
  t.is(bench.stored().counter, 1);
  bench.holdWrites = true;
  bench.acks();
  t.deepEqual(bench.held.map(({ type }) => type), ['completeCheckpoint']);
  t.is(bench.sent('checkpointComplete').length, 0);
  bench.release();
  t.is(bench.sent('checkpointComplete').length, 2);
  t.is(bench.metadata.get('j/1')?.states.length, 4);
});

test('one checkpoint at a time; one that takes too long is aborted, and its id is not used again', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.pass(1499);
  t.is(bench.sent('triggerCheckpoint').length, 2);
  t.is(bench.sent('abortCheckpoint').length, 0);
  bench.pass(1);
  t.is(bench.sent('abortCheckpoint').length, 2);
  t.true(bench.discarded.includes('j/1'));
  bench.acks();
  t.deepEqual(bench.stored().completed, []);
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = false;
  bench.pass(500);
  t.deepEqual(bench.stored().completed.map(({ checkpointId }) => checkpointId), [2]);
});

test('a deadline that has passed when something else is heard is not forgotten', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.pass(999);
  // The timer is late, as in a process that had no turn.
  bench.nowMs += 10;
  bench.step({ type: 'message', from: 'a', message: { type: 'metrics', tasks: [] } });
  bench.pass(0);
  t.is(bench.sent('triggerCheckpoint').length, 2);
});

test('a refused metadata aborts the checkpoint and no more', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.pass(1000);
  bench.holdWrites = true;
  bench.acks();
  const [write] = bench.held.splice(0);
  bench.holdWrites = false;
  if (write?.type !== 'completeCheckpoint') return t.fail();
  bench.step({ type: 'writeFailed', writeId: write.writeId, reason: 'no space' });
  t.is(bench.sent('abortCheckpoint').length, 2);
  t.deepEqual(bench.running, both);
});

test('as many checkpoints are kept as retained says; older ones are discarded after the pointer is durable', (t) => {
  const bench = new Bench();
  bench.submit(testGraph({ retained: 2 }));
  bench.pass(3500);
  t.deepEqual(bench.stored().completed.map(({ checkpointId }) => checkpointId), [2, 3]);
  t.deepEqual(bench.discarded, ['j/1']);
});

test('a worker lost during a checkpoint: the checkpoint is aborted, the region restarts elsewhere from the one before', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.pass(1500);
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.pass(500);
  t.is(bench.job().checkpoints.pending?.checkpointId, 2);
  bench.kill('b');
  t.is(bench.job().checkpoints.pending, null);
  t.is(bench.stored().record.status, 'RESTARTING');
  t.deepEqual(bench.running, []);
  bench.pass(10);
  t.deepEqual(bench.running, ['out/0/2@a', 'out/1/2@a', 'src/0/2@a', 'src/1/2@a']);
  for (const { deployment } of bench.taskManagers.get('a')?.live ?? []) t.is(deployment.restore?.checkpointId, 1);
  bench.acks();
  t.deepEqual(bench.stored().completed.map(({ checkpointId }) => checkpointId), [1]);
});

test('a worker lost while the pointer is being written: the restart waits for the write and begins from that checkpoint', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.pass(1000);
  bench.holdWrites = true;
  bench.acks();
  bench.kill('b');
  bench.pass(400);
  t.deepEqual(bench.running, []);
  t.false(bench.held.some((effect) => effect.type === 'writeJob' && effect.record.attempt === 2));
  bench.release();
  t.deepEqual(bench.running, ['out/0/2@a', 'out/1/2@a', 'src/0/2@a', 'src/1/2@a']);
  for (const { deployment } of bench.taskManagers.get('a')?.live ?? []) t.is(deployment.restore?.checkpointId, 1);
});

test('a new master leaves running tasks alone', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.pass(1500);
  bench.elect();
  t.deepEqual(bench.running, both);
  t.deepEqual([bench.sent('deploy'), bench.sent('cancel')], [[], []]);
  t.is(bench.job().status, 'RUNNING');
  t.is(bench.stored().record.restarts, 0);
  t.is(bench.sent('checkpointComplete').length, 2);
  bench.pass(1000);
  t.deepEqual(bench.stored().completed.map(({ checkpointId }) => checkpointId), [2]);
});

test('a master change during a checkpoint: the pending one is aborted on all workers, its late acks count for nothing', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.pass(1000);
  bench.elect();
  t.deepEqual(bench.sent('abortCheckpoint').map((message) => (message.type === 'abortCheckpoint' ? message.checkpointId : 0)), [1, 1]);
  t.deepEqual(bench.running, both);
  bench.acks();
  t.deepEqual(bench.stored().completed, []);
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = false;
  bench.pass(1000);
  t.deepEqual(bench.stored().completed.map(({ checkpointId }) => checkpointId), [2]);
});

test('a master change after the pointer was written and before anybody was told: the new one tells', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.mute = true;
  bench.pass(1000);
  // The acks were lost with the old master's connections; what it had written is what counts.
  bench.stored().completed = [{ checkpointId: 1, kind: 'periodic', completedAtMs: 0, durationMs: 1, stateBytes: 0 }];
  bench.metadata.set('j/1', { checkpointId: 1, graphHash: 'g', states: [] });
  for (const taskManager of bench.taskManagers.values()) taskManager.mute = false;
  bench.elect();
  for (const { live } of bench.taskManagers.values()) for (const task of live) t.deepEqual([task.completed, task.aborted], [[1], []]);
});

test('a new master finds a worker missing: its region restarts', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.taskManagers.delete('b');
  bench.elect();
  bench.pass(10);
  t.deepEqual(bench.running, ['out/0/2@a', 'out/1/2@a', 'src/0/2@a', 'src/1/2@a']);
});

test('a master that died between assignment and deployment: the new one deploys', (t) => {
  const bench = new Bench();
  bench.holdWrites = true;
  bench.submit();
  const assignment = bench.held.findLast((effect) => effect.type === 'writeJob');
  if (assignment?.type !== 'writeJob') return t.fail();
  bench.stored().record = assignment.record;
  bench.holdWrites = false;
  bench.elect();
  bench.pass(10);
  t.deepEqual(bench.running, ['out/0/2@a', 'out/1/2@b', 'src/0/2@a', 'src/1/2@b']);
});

test('a task of an attempt that is over is cancelled when its worker comes back', (t) => {
  const bench = new Bench({ a: 2, b: 2, c: 2 });
  bench.submit();
  const lost = bench.taskManagers.get('b');
  if (lost === undefined) return t.fail();
  bench.kill('b');
  bench.pass(10);
  t.true(lost.live.length > 0);
  bench.taskManagers.set('b', lost);
  bench.step({ type: 'taskManagerUp', taskManagerId: 'b', address: 'b:1', slots: 2 });
  bench.step({ type: 'taskManagerConnected', taskManagerId: 'b' });
  t.deepEqual(lost.live, []);
  t.is(bench.running.length, 4);
});

test('a stale master is refused by workers and by coord, and does nothing more', (t) => {
  const bench = new Bench();
  bench.submit();
  const stale = bench.master;
  bench.elect();
  const fresh = bench.master;
  bench.master = stale;
  // It still believes to lead: a checkpoint is due. Its reservation is refused.
  bench.pass(1000);
  t.true(stale.fenced);
  t.is(bench.stored().counter, 0);
  t.deepEqual(stale.drain(), []);
  bench.master = fresh;
  bench.pass(1000);
  t.deepEqual(bench.running, both);

  const other = new Bench();
  other.submit();
  for (const taskManager of other.taskManagers.values()) taskManager.epoch = 99;
  other.request('cancel');
  t.true(other.master.fenced);
  t.deepEqual(other.running, both);
});

for (const [restart, failures, status] of [
  [{ type: 'none' }, 1, 'FAILED'],
  [{ type: 'fixed-delay', attempts: 2, delayMs: 10 }, 2, 'RUNNING'],
  [{ type: 'fixed-delay', attempts: 2, delayMs: 10 }, 3, 'FAILED'],
  [{ type: 'exponential-delay', initialMs: 10, maxMs: 100, multiplier: 2, resetAfterMs: 1000 }, 5, 'RUNNING'],
] as const) {
  test(`restart ${restart.type}: after ${failures} failures ${status}`, (t) => {
    const bench = new Bench();
    bench.submit(testGraph({ restart }));
    for (let i = 1; i <= failures; i++) {
      bench.failTask(`j/src/0/${i}`);
      bench.pass(200);
    }
    t.is(bench.stored().record.status, status);
    t.is(bench.running.length, status === 'FAILED' ? 0 : 4);
  });
}

test('an error that no restart mends fails the job at once', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.failTask('j/src/0/1', false);
  t.is(bench.stored().record.status, 'FAILED');
  t.is(bench.stored().record.failures[0]?.message, 'boom');
  t.deepEqual(bench.running, []);
});

test('only the region of the failed task restarts', (t) => {
  const bench = new Bench();
  bench.submit(testGraph({ forward: true }));
  bench.failTask('j/src/0/1');
  bench.pass(10);
  t.deepEqual(bench.running, ['out/0/2@a', 'out/1/1@b', 'src/0/2@a', 'src/1/1@b']);
  bench.pass(1100);
  t.is(bench.stored().completed.length, 1);
});

test('a task that does not end on cancel is waited for, but not for ever', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.hung = true;
  bench.failTask('j/src/0/1');
  bench.pass(29_000);
  t.is(bench.stored().record.attempt, 1);
  bench.pass(1100);
  t.is(bench.stored().record.attempt, 2);
});

test('cancel: CANCELING is durable before the tasks are cancelled, CANCELED before it shows', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.holdWrites = true;
  bench.request('cancel');
  t.deepEqual(bench.running, both);
  t.is(bench.job().status, 'RUNNING');
  const canceling = bench.held;
  bench.held = [];
  bench.holdWrites = false;
  bench.held = canceling;
  bench.release();
  t.deepEqual(bench.running, []);
  t.is(bench.job().status, 'CANCELED');
});

test('a job that was ending when the master died ends under the next, and a terminal one is never reanimated', (t) => {
  for (const what of ['cancel', 'fail'] as const) {
    const bench = new Bench();
    bench.submit();
    for (const taskManager of bench.taskManagers.values()) taskManager.mute = true;
    if (what === 'cancel') bench.request('cancel');
    else {
      bench.failTask('j/src/0/1', false);
    }
    t.is(bench.stored().record.status, what === 'cancel' ? 'CANCELING' : 'FAILING');
    for (const taskManager of bench.taskManagers.values()) taskManager.mute = false;
    bench.elect();
    t.is(bench.stored().record.status, what === 'cancel' ? 'CANCELED' : 'FAILED');
    bench.elect();
    bench.pass(5000);
    t.deepEqual([bench.sent('deploy'), bench.running], [[], []]);
    t.is(bench.job().status, what === 'cancel' ? 'CANCELED' : 'FAILED');
  }
});

test('a request that nobody could take is found by the next master', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.stored().request = 'cancel';
  bench.elect();
  t.is(bench.stored().record.status, 'CANCELED');
});

test('stop: one last checkpoint, then FINISHED', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.request('stop');
  t.is(bench.stored().record.status, 'FINISHED');
  t.deepEqual(bench.stored().completed.map(({ checkpointId, kind }) => ({ checkpointId, kind })), [{ checkpointId: 1, kind: 'stop' }]);
});

test('stop goes on after a failure and under a new master', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.request('stop');
  bench.failTask('j/src/0/1');
  bench.elect();
  for (const taskManager of bench.taskManagers.values()) {
    taskManager.holdAcks = false;
    taskManager.heldAcks.length = 0;
  }
  bench.pass(2000);
  t.is(bench.stored().record.status, 'FINISHED');
});

test('when all input has ended, a final checkpoint, then FINISHED', (t) => {
  const bench = new Bench();
  bench.bounded = true;
  bench.submit();
  bench.endInput();
  t.deepEqual(bench.stored().completed.map(({ kind }) => kind), ['final']);
  t.is(bench.stored().record.status, 'FINISHED');
});

test('a worker lost between the final checkpoint and the end of its tasks: the region restarts from it and ends again', (t) => {
  const bench = new Bench();
  bench.bounded = true;
  bench.submit();
  const b = bench.taskManagers.get('b');
  if (b === undefined) return t.fail();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.endInput();
  b.mute = true;
  bench.acks();
  t.is(bench.stored().record.status, 'RUNNING');
  bench.kill('b');
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = false;
  bench.pass(10);
  bench.endInput();
  t.is(bench.stored().record.status, 'FINISHED');
  t.deepEqual(bench.stored().completed.map(({ checkpointId, kind }) => ({ checkpointId, kind })), [{ checkpointId: 2, kind: 'final' }]);
});

test('splits stay with their subtask; new ones reach running tasks once they are durable', (t) => {
  const bench = new Bench();
  bench.submit();
  const before = bench.stored().record.splits['src']?.assigned.map(({ split, subtask }) => `${split.id}@${subtask}`);
  t.deepEqual(before, ['s0@0', 's1@1', 's2@0']);
  bench.splits = [...bench.splits, 's3', 's4'];
  bench.pass(2000);
  const splitsOf = (subtask: number): string[] => [...bench.taskManagers.values()].flatMap(({ live }) => live.filter(({ deployment }) => deployment.vertexId === 'src' && deployment.subtask === subtask).flatMap(({ splits }) => [...splits]));
  t.deepEqual([splitsOf(0), splitsOf(1)], [['s0', 's2', 's4'], ['s1', 's3']]);
  bench.kill('b');
  bench.pass(10);
  t.deepEqual([splitsOf(0), splitsOf(1)], [['s0', 's2', 's4'], ['s1', 's3']]);
  bench.elect();
  t.deepEqual([splitsOf(0), splitsOf(1)], [['s0', 's2', 's4'], ['s1', 's3']]);
});

test('a later look for splits says which ones the job has, so that a source that starts at the latest record reads the others whole', (t) => {
  const bench = new Bench();
  bench.submit();
  bench.splits = [...bench.splits, 's3'];
  bench.pass(2000);
  bench.elect();
  bench.pass(2000);
  t.deepEqual(bench.discoveries.slice(0, 2), [[], ['s0', 's1', 's2']]);
  t.deepEqual(bench.discoveries.at(-1), ['s0', 's1', 's2', 's3']);
});

test('a broken connection aborts the checkpoint, not the tasks', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.holdAcks = true;
  bench.pass(1000);
  bench.step({ type: 'taskManagerDisconnected', taskManagerId: 'b' });
  t.is(bench.job().checkpoints.pending, null);
  bench.step({ type: 'taskManagerConnected', taskManagerId: 'b' });
  t.deepEqual(bench.running, both);
  t.true(bench.taskManagers.get('b')?.live.every(({ aborted }) => aborted.includes(1)));
  t.is(bench.stored().record.restarts, 0);
});

test('a job that never ran is ended by stop, too', (t) => {
  const bench = new Bench({ a: 1 });
  bench.submit();
  bench.request('stop');
  t.is(bench.stored().record.status, 'CANCELED');
});

test('more splits than fit the record fail the job with a reason', (t) => {
  const bench = new Bench();
  bench.splits = Array.from({ length: 5000 }, (_, i) => `s${i}`);
  bench.submit();
  t.is(bench.stored().record.status, 'FAILED');
  t.regex(bench.stored().record.failures[0]?.message ?? '', /has 5000 splits/);
});

test('a cause that is seen after its effect is noted, and the restart counts once', (t) => {
  const bench = new Bench();
  bench.submit();
  for (const taskManager of bench.taskManagers.values()) taskManager.hung = true;
  bench.failTask('j/out/0/1');
  bench.kill('b');
  t.is(bench.stored().record.restarts, 1);
  t.deepEqual(bench.job().record.failures.map(({ message }) => message), ['task manager b refuses connections', 'boom']);
});
