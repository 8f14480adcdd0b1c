/** The judges of the orchestrator: each fires on a made-up bad history, and not on its legal neighbour. */
import test from 'ava';
import { CheckpointsJudge, type CheckpointsWorld, type StateOfTask } from '../../sim/judges/cluster/checkpoints.ts';
import { simJobs, type FedRecord } from '../../sim/cluster/jobs.ts';
import { ExactlyOnceJudge } from '../../sim/judges/cluster/exactly-once.ts';
import { FencingJudge } from '../../sim/judges/cluster/fencing.ts';
import { JobStatusJudge } from '../../sim/judges/cluster/job-status.ts';
import { OwnershipJudge } from '../../sim/judges/cluster/ownership.ts';
import type { Fail } from '../../sim/judges/fail.ts';

/** What the judge that `make` makes finds in what `happen` does. */
function findings<Judge>(make: (fail: Fail) => Judge, happen: (judge: Judge) => void): string[] {
  const found: string[] = [];
  happen(make((invariant) => found.push(invariant)));
  return found;
}
const fencing = (happen: (judge: FencingJudge) => void): string[] => findings((fail) => new FencingJudge(fail), happen);

test('MasterEpoch: an epoch that was granted before, and the same once more to the same', (t) => {
  t.deepEqual(fencing((judge) => [1, 5].forEach((epoch) => judge.granted(epoch, BigInt(epoch)))), []);
  t.deepEqual(fencing((judge) => [5, 4].forEach((epoch) => judge.granted(epoch, BigInt(epoch)))), ['MasterEpoch']);
  t.deepEqual(fencing((judge) => [1n, 2n].forEach((session) => judge.granted(5, session))), ['MasterEpoch']);
  t.deepEqual(fencing((judge) => [1n, 1n].forEach((session) => judge.granted(5, session))), []);
});

test('MasterFenced: a deposed master writes', (t) => {
  t.deepEqual(fencing((judge) => {
    judge.granted(1, 1n);
    judge.wrote('j/record', 1n, 1);
    judge.granted(2, 2n);
    judge.wrote('j/record', 2n, 2);
    judge.wrote('j/checkpoints', 2n, null);
  }), []);
  t.deepEqual(fencing((judge) => {
    judge.granted(1, 1n);
    judge.granted(2, 2n);
    judge.wrote('j/record', 1n, 1);
  }), ['MasterFenced']);
  // One session, elected twice: what it writes says an epoch that is over.
  t.deepEqual(fencing((judge) => {
    judge.granted(1, 1n);
    judge.granted(2, 1n);
    judge.wrote('j/record', 1n, 1);
  }), ['MasterFenced']);
});

test('StaleCommand: a worker that has heard of a newer master runs what an older one asked for', (t) => {
  const asks = (epochs: readonly number[], worker = 'w'): string[] => fencing((judge) => {
    judge.commanded('w', 'm2', 2, []);
    for (const epoch of epochs) judge.commanded('w', `m${epoch}`, epoch, ['j/v/0/1']);
    judge.started(worker, 'j/v/0/1');
  });
  t.deepEqual(asks([2]), []);
  t.deepEqual(asks([1]), ['StaleCommand']);
  t.deepEqual(asks([1, 2]), []);
  t.deepEqual(asks([1], 'another life'), []);
});

test('StaleCommand: a worker that has heard of a newer master answers an older one otherwise than that it is fenced', (t) => {
  const answers = (master: string, type: string): string[] => fencing((judge) => {
    judge.commanded('w', 'm1', 1, []);
    judge.commanded('w', 'm2', 2, []);
    judge.answered('w', master, type);
  });
  t.deepEqual(answers('m2', 'registered'), []);
  t.deepEqual(answers('m1', 'fenced'), []);
  t.deepEqual(answers('m1', 'registered'), ['StaleCommand']);
});

test('StaleCommand: a worker does what an older master asks, and does not say that it is fenced', (t) => {
  const handles = (epoch: number, answer: string | null): string[] => fencing((judge) => {
    judge.commanded('w', 'm2', 2, []);
    judge.commanded('w', 'm', epoch, []);
    if (answer !== null) judge.answered('w', 'm', answer);
    judge.handled('w', 'm');
  });
  t.deepEqual(handles(1, 'fenced'), []);
  t.deepEqual(handles(2, null), []);
  t.deepEqual(handles(1, null), ['StaleCommand']);
});

test('TwoOwners: two attempts of one subtask take steps', (t) => {
  const look = (...ids: string[]): string[] => findings((fail) => new OwnershipJudge(fail), (judge) => judge.look(ids.map((executionId, i) => ({ executionId, worker: `w${i}` }))));
  t.deepEqual(look('j/v/0/1', 'j/v/1/1', 'j/u/0/1'), []);
  t.deepEqual(look('j/v/0/1', 'j/v/0/2'), ['TwoOwners']);
});

test('Orphan: a task that nobody assigned lives on', (t) => {
  const settled = (...ids: string[]): string[] => findings((fail) => new OwnershipJudge(fail), (judge) => judge.settled(ids.map((executionId) => ({ executionId, worker: 'w' })), new Map([['j/v/0', 'j/v/0/2']])));
  t.deepEqual(settled('j/v/0/2'), []);
  t.deepEqual(settled('j/v/0/1'), ['Orphan']);
  t.deepEqual(settled('j/v/1/2'), ['Orphan']);
});

// ------------------------------------------------------------ checkpoints

interface Stored {
  states?: StateOfTask[] | null;
  files?: string[];
}
const state = (subtask: number, offset: number, file: string | null = null): StateOfTask => ({ vertexId: 'v', subtask, keyedStateFile: file, splits: { [`p${subtask}`]: { position: { offset } } } });
function checkpoints(stored: Record<number, Stored>, happen: (judge: CheckpointsJudge) => void): string[] {
  const world: CheckpointsWorld = {
    statesOf: (checkpointId) => stored[checkpointId]?.states ?? null,
    isStored: (file) => Object.values(stored).some(({ files }) => files?.includes(file) === true),
    subtasks: [0, 1].map((subtask) => ({ vertexId: 'v', subtask, region: 0 })),
  };
  return findings((fail) => new CheckpointsJudge(fail, world), happen);
}
const pointers = (...ids: number[]): { checkpointId: number; kind: string }[] => ids.map((checkpointId) => ({ checkpointId, kind: 'periodic' }));
function completes(judge: CheckpointsJudge, checkpointId: number, attempts: readonly number[] = [1, 1]): void {
  judge.reserved(checkpointId, 1n);
  attempts.forEach((attempt, subtask) => judge.acked(checkpointId, 'v', subtask, attempt));
  judge.pointed(pointers(checkpointId));
}
const sound = (offset: number): Stored => ({ states: [state(0, offset), state(1, offset)] });

test('CheckpointId: an id that was reserved before', (t) => {
  const reserve = (...ids: [number, bigint][]): string[] => checkpoints({}, (judge) => ids.forEach(([id, session]) => judge.reserved(id, session)));
  t.deepEqual(reserve([1, 1n], [2, 1n], [5, 2n]), []);
  t.deepEqual(reserve([1, 1n], [1, 1n]), []);
  t.deepEqual(reserve([1, 1n], [1, 2n]), ['CheckpointId']);
  t.deepEqual(reserve([2, 1n], [1, 1n]), ['CheckpointId']);
});

test('CheckpointPointer: older than before, never reserved, without its metadata or a state', (t) => {
  t.deepEqual(checkpoints({ 1: sound(1), 2: sound(2) }, (judge) => [1, 2].forEach((id) => completes(judge, id))), []);
  t.deepEqual(checkpoints({ 1: sound(1), 2: sound(2) }, (judge) => {
    completes(judge, 2);
    judge.pointed(pointers(1));
  }), ['CheckpointPointer']);
  t.true(checkpoints({ 3: sound(1) }, (judge) => judge.pointed(pointers(3))).includes('CheckpointPointer'));
  t.deepEqual(checkpoints({}, (judge) => completes(judge, 1)), ['CheckpointPointer']);
  const keyed = { states: [state(0, 1, 'f'), state(1, 1)] };
  t.deepEqual(checkpoints({ 1: { ...keyed, files: ['f'] } }, (judge) => completes(judge, 1)), []);
  t.deepEqual(checkpoints({ 1: keyed }, (judge) => completes(judge, 1)), ['CheckpointPointer']);
});

test('CheckpointComplete: without a subtask, without its ack, of two attempts', (t) => {
  t.deepEqual(checkpoints({ 1: { states: [state(0, 1)] } }, (judge) => completes(judge, 1)), ['CheckpointComplete']);
  t.deepEqual(checkpoints({ 1: sound(1) }, (judge) => completes(judge, 1, [1])), ['CheckpointComplete']);
  t.deepEqual(checkpoints({ 1: sound(1) }, (judge) => completes(judge, 1, [1, 2])), ['CheckpointComplete']);
  t.deepEqual(checkpoints({ 1: sound(1) }, (judge) => completes(judge, 1, [2, 2])), []);
});

test('OffsetBack: a later checkpoint reads less of a split', (t) => {
  t.deepEqual(checkpoints({ 1: sound(5), 2: sound(5) }, (judge) => [1, 2].forEach((id) => completes(judge, id))), []);
  t.deepEqual(checkpoints({ 1: sound(5), 2: { states: [state(0, 5), state(1, 4)] } }, (judge) => [1, 2].forEach((id) => completes(judge, id))), ['OffsetBack']);
});

test('RestoreNewest: a deployment from an older checkpoint, or from nothing', (t) => {
  const deploy = (restored: number, isRun = true): string[] => checkpoints({ 1: sound(1), 2: sound(2) }, (judge) => {
    [1, 2].forEach((id) => completes(judge, id));
    judge.deployed('j/v/0/2', restored);
    if (isRun) judge.began('j/v/0/2');
  });
  t.deepEqual(deploy(2), []);
  t.deepEqual(deploy(1), ['RestoreNewest']);
  t.deepEqual(deploy(0), ['RestoreNewest']);
  // The worker has refused it.
  t.deepEqual(deploy(1, false), []);
});

// ------------------------------------------------------------ output and status

test('DuplicateOutput, ForeignOutput, LostOutput', (t) => {
  const output = (guarantee: 'exactly-once' | 'at-least-once', ...results: string[]): string[] => findings((fail) => new ExactlyOnceJudge(fail, guarantee), (judge) => {
    judge.committed(results);
    judge.settled(['a', 'b']);
  });
  t.deepEqual(output('exactly-once', 'b', 'a'), []);
  t.deepEqual(output('exactly-once', 'a', 'a', 'b'), ['DuplicateOutput']);
  t.deepEqual(output('at-least-once', 'a', 'a', 'b'), []);
  t.deepEqual(output('exactly-once', 'a', 'b', 'c'), ['ForeignOutput']);
  t.deepEqual(output('exactly-once', 'a'), ['LostOutput']);
});

test('windows: a late record counts or does not, a window is put out once, and what was certainly too late never comes', (t) => {
  const record = (id: string, at: number, inTime: FedRecord['inTime']): FedRecord => ({ id, key: 'k', t: at, inTime });
  const records = [record('a', 100, 'yes'), record('b', 200, 'yes'), record('late', 300, 'perhaps'), record('too late', 400, 'no'), record('alone', 5100, 'perhaps')];
  const output = (...windows: [start: number, ...ids: string[]][]): string[] => findings((fail) => new ExactlyOnceJudge(fail, 'exactly-once'), (judge) => {
    for (const [start, ...ids] of windows) judge.committed([`k@${start}`, ...ids.map((id) => `${id} in k@${start}`)].map((result) => JSON.stringify(result)));
    judge.settled(simJobs.windows.expected(records), simJobs.windows.possible(records));
  });
  t.deepEqual(output([0, 'a', 'b']), []);
  t.deepEqual(output([0, 'a', 'late', 'b']), []);
  t.deepEqual(output([0, 'a', 'b'], [5000, 'alone']), []);
  t.deepEqual(output([0, 'a', 'b'], [0, 'late']), ['DuplicateOutput']);
  t.deepEqual(output([0, 'a', 'b', 'a']), ['DuplicateOutput']);
  t.deepEqual(output([0, 'a', 'late']), ['LostOutput']);
  t.deepEqual(output([0, 'a', 'b', 'too late']), ['ForeignOutput']);
  t.deepEqual(output([0, 'a', 'b'], [5000, 'late']), ['ForeignOutput']);
});

test('Flapping: the job restarts again and again although everything has healed', (t) => {
  const restarts = (before: number, after: number): string[] => findings((fail) => new JobStatusJudge(fail), (judge) => {
    let attempt = 1;
    const restart = (): void => ['RUNNING', 'RESTARTING', 'RUNNING'].forEach((status) => judge.wrote({ status, attempt: status === 'RESTARTING' ? attempt : ++attempt, regions: [attempt] }));
    for (let i = 0; i < before; i++) restart();
    judge.healed();
    for (let i = 0; i < after; i++) restart();
  });
  t.deepEqual(restarts(0, 6), []);
  t.deepEqual(restarts(20, 6), []);
  t.deepEqual(restarts(0, 7), ['Flapping']);
  t.deepEqual(restarts(20, 7), ['Flapping']);
});

test('JobStatus and JobAttempt: a step that is not in the machine, an attempt that was before', (t) => {
  const wrote = (...steps: [status: string, attempt: number, region?: number][]): string[] => findings((fail) => new JobStatusJudge(fail), (judge) => {
    for (const [status, attempt, region = attempt] of steps) judge.wrote({ status, attempt, regions: [region] });
  });
  t.deepEqual(wrote(['CREATED', 0], ['RUNNING', 1], ['RESTARTING', 1], ['RUNNING', 2], ['STOPPING', 2], ['FINISHED', 2]), []);
  t.deepEqual(wrote(['RUNNING', 1], ['CANCELING', 1], ['CANCELED', 1]), []);
  t.deepEqual(wrote(['RUNNING', 1], ['FINISHED', 1], ['RUNNING', 2]), ['JobStatus']);
  t.deepEqual(wrote(['RUNNING', 1], ['CANCELED', 1]), ['JobStatus']);
  t.deepEqual(wrote(['RUNNING', 2], ['RUNNING', 1]), ['JobAttempt']);
  t.deepEqual(wrote(['RUNNING', 1, 2]), ['JobAttempt']);
});
