/** Coverage marks: how often a run came through a place that matters. A mark that no seed ever reaches means that the faults or the knobs miss it. */
/** Any run of an ensemble may come by these. */
export const COMMON_MARKS = [
  'DIFF', 'TRUNC', 'SNAP', 'SNAP installed', 'SNAP of a suspect', 'journal read', 'journal unreadable', 'suspect journal', 'torn tail', 'roll-over',
  'disk failed', 'flush', 'segment made', 'segment purged', 'SESSIONMOVED', 'revalidated', 'session refused', 'wrong password', 'session expired', 'session closed',
  'SYNC lost', 'write lost', 'watch event', 'watch event missed', 'multi', 'failed multi', 'sequential', 'ephemeral ended',
  'session nobody knows', 'session shared', 'close beside expiry', 'request after close', 'client not read from',
  'slow reader', 'watches set again', 'watches set again in parts', 'persistent watch', 'create in doubt', 'malformed frame', 'container reaped', 'TTL znode reaped', 'NOAUTH',
] as const;

/** Of stories (scenarios/historic). */
const STORY_MARKS = [
  'died after NEWLEADER was acked', 'died at an ACK', 'died with NEWLEADER on its way to disk', 'died between NEWLEADER and its epoch on disk',
  'a proposal before NEWLEADER is acked', 'commit between NEWLEADER and UPTODATE', 'died amid a DIFF', 'new role with writes in flight',
  'a leader that was synchronized sends a DIFF', 'broken at TRUNC', 'the leader died before its SNAP was durable', 'died at NEWLEADER behind a SNAP',
  'died amid a SNAP', 'died in a flush', 'writes go on beside a stalled SNAP', 'leader died in discovery', 'joined in another round',
  'elected beside an unreachable peer', 'cut off when established', 'proposals between SNAP and UPTODATE',
  'SYNC at a deposed leader', 'an older tail against a newer epoch', 'died when brought in line by SNAP again', 'another leads after the disk of the first failed', 'died alone',
  'another master beside the old one', 'a master elected after one was back early', 'a worker registered after it was back early', 'a commit in doubt', 'stopped between prepare and commit',
  'died beside a checkpoint of nothing',
  'elected by a vote that is not true any more', 'moved to a server that lags',
  'transaction timed out', 'transaction lost', 'records deleted unread',
  'a DIFF into a new epoch', 'died while a session was closed', 'led by one who missed a promise', 'elected and left alone', 'the leader died when the disk was well again', 'died at a flush', 'an epoch that was not written',
] as const;

/** Of the orchestrator. */
export const CLUSTER_MARKS = [
  'master took over', 'master deposed', 'command fenced', 'job restarted', 'checkpoint aborted', 'worker without a lease', 'task manager lost', 'task failed', 'task state not stored',
  'ack lost', 'EndTxn again', 'late EndTxn', 'transaction aborted', 'empty transaction', 'producer fenced', 'splits added',
  'late record dropped', 'late record counted',
] as const;

const MARKS = [...COMMON_MARKS, ...STORY_MARKS, ...CLUSTER_MARKS] as const;
export type Mark = (typeof MARKS)[number];

export class Marks {
  readonly counts = Object.fromEntries(MARKS.map((mark) => [mark, 0])) as Record<Mark, number>;

  hit(mark: Mark, times = 1): void {
    this.counts[mark] += times;
  }
}
