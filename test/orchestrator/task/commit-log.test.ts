import test from 'ava';
import { CommitLog } from '../../../orchestrator/task/commit-log.ts';

test('a committable is in every checkpoint until it is committed', (t) => {
  const log = new CommitLog();
  log.stage(1, ['a']);
  t.deepEqual(log.uncommitted(), ['a']);
  log.stage(2, []);
  log.stage(3, ['b', 'c']);
  t.deepEqual(log.uncommitted(), ['a', 'b', 'c']);
  t.deepEqual(log.through(2), [{ checkpointId: 1, committables: ['a'] }]);
  const due = log.through(3);
  t.deepEqual(due.map(({ checkpointId }) => checkpointId), [1, 3]);
  log.stage(4, ['d']);
  for (const epoch of due) log.committed(epoch);
  t.deepEqual(log.uncommitted(), ['d']);
  t.deepEqual(log.through(3), []);
  t.throws(() => log.stage(4, []), { message: /staged after/ });
});
