/**
 * How a learner's history is brought in line with the leader's: from which point on it is sent groups, and what must happen before.
 *
 * A txn (epoch, counter) identifies everything before it, since each epoch has one leader with one initial history. So two histories that
 * both hold txns of epoch e agree up to the smaller of their ends in e; the newest such e gives the last common zxid.
 *
 * Invariant: TRUNC never goes below what the learner has applied; where that would follow, the learner takes SNAP.
 * Source: LearnerHandler.syncFollower. Departures: exact across epochs (ZooKeeper goes to SNAP), one stream instead of two queues.
 */
import type { Zxid } from '../base/zxid.ts';
import { EPOCH_ENDS_MAX, type History } from './history.ts';
import type { AckEpochMessage } from './messages.ts';
import type { EpochEnd } from './txn-group.ts';

export type SyncPlan =
  | { readonly type: 'DIFF' | 'TRUNC'; readonly zxid: Zxid }
  | { readonly type: 'SNAP'; readonly why: string };

export function planSynchronization(leader: History, learner: AckEpochMessage): SyncPlan {
  const complete = leader.journalStartZxid === 0 && learner.appliedZxid === 0
    && leader.epochEnds.length < EPOCH_ENDS_MAX && learner.history.length < EPOCH_ENDS_MAX;
  const common = lastCommonZxid(leader.epochEnds, learner.history, learner.lastZxid) ?? (complete ? 0 : null);
  if (common === null) return { type: 'SNAP', why: 'no common epoch' };
  if (common < learner.lastZxid && common < learner.appliedZxid) return { type: 'SNAP', why: 'learner applied what is not in this history' };
  if (common < leader.journalStartZxid && leader.indexAfter(common) < 0) return { type: 'SNAP', why: 'older than the log' };
  return common < learner.lastZxid ? { type: 'TRUNC', zxid: common } : { type: 'DIFF', zxid: common };
}

/** Null when the histories, as far as they are known, share nothing. */
export function lastCommonZxid(leader: readonly EpochEnd[], learner: readonly EpochEnd[], learnerLastZxid: Zxid): Zxid | null {
  if (learnerLastZxid === 0) return 0;
  let i = leader.length - 1;
  let j = learner.length - 1;
  while (i >= 0 && j >= 0) {
    const ours = leader[i] as EpochEnd;
    const theirs = learner[j] as EpochEnd;
    if (ours.epoch === theirs.epoch) return Math.min(ours.lastZxid, theirs.lastZxid);
    if (ours.epoch > theirs.epoch) i--;
    else j--;
  }
  return null;
}
