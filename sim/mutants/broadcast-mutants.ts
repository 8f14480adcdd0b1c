/** Mutants of the broadcast: what commits, and what is confirmed. */
import type { Mutant } from './mutant.ts';

const LEADER = 'coord/zab/leader.ts';
const HANDLER = 'coord/zab/learner-handler.ts';

export const broadcastMutants: readonly Mutant[] = [
  {
    name: 'own-ack-before-sync', historic: 'ETCD-14370', summary: 'a leader counts its own ack before its own disk has the proposal',
    edits: [{ file: LEADER, find: 'Math.max(context.durableZxid, makeZxid(this.epoch, 0))', replace: 'Math.max(context.history.lastZxid, makeZxid(this.epoch, 0))' }],
    hunts: [{ scenario: 'ETCD-14370', servers: 1 }], expects: ['QuorumDurability', 'TotalOrder', 'PrimaryIntegrity', 'AckedWrites'],
  },
  {
    name: 'commit-with-a-minority', historic: '', summary: 'one ack less than a quorum commits',
    edits: [{ file: LEADER, find: '    const zxid = reachedByQuorum(reached, context.config.voters.length, 0);\n', replace: '    const zxid = reachedByQuorum(reached, context.config.voters.length - 2, 0);\n' },
      { file: 'coord/zab/quorum.ts', find: "  assert(reached.length <= voters, 'more acknowledgements than voters');\n", replace: '  void assert;\n' }],
    hunts: [{ scenario: 'leader-loss', servers: 3 }, { scenario: 'split-brain', servers: 5 }], expects: ['QuorumDurability', 'TotalOrder', 'PrimaryIntegrity', 'AckedWrites'],
  },
  {
    name: 'quorum-off-by-one', historic: '', summary: 'half of the servers, rounded down, is taken for a majority',
    edits: [{ file: 'coord/zab/quorum.ts', find: 'return Math.floor(voters / 2) + 1;', replace: 'return Math.max(1, Math.floor(voters / 2));' }],
    hunts: [{ scenario: 'split-brain', servers: 5 }, { scenario: 'leader-loss', servers: 3 }], expects: ['QuorumDurability', 'Leadership', 'TotalOrder', 'Integrity', 'PrimaryIntegrity'],
  },
  {
    name: 'window-drops-a-proposal', historic: '', summary: 'a proposal that does not fit the learner\'s window is forgotten',
    edits: [
      { file: HANDLER, find: '      if (!this.#fitsWindow(group.bytes.length)) return;\n', replace: '      if (!this.#fitsWindow(group.bytes.length)) {\n        this.#cursor = group.lastZxid;\n        if (this.#nextIndex >= 0) this.#nextIndex++;\n        return;\n      }\n' },
      { file: 'coord/zab/learner.ts', find: 'if (!continues(lastZxid, group) || !(group.bytes instanceof Uint8Array))', replace: 'if (group.firstZxid <= lastZxid)' },
      { file: 'coord/zab/learner.ts', find: '    if (!Number.isSafeInteger(zxid) || zxid < committedZxid || zxid > history.lastZxid) return `COMMIT', replace: '    if (zxid > history.lastZxid) zxid = Math.max(committedZxid, history.lastZxid);\n    if (!Number.isSafeInteger(zxid) || zxid < committedZxid) return `COMMIT' },
      { file: 'coord/zab/history.ts', find: '    if (!continues(this.#lastZxid, group)) assert(false, `group ${formatZxid(group.firstZxid)} does not continue ${formatZxid(this.#lastZxid)}`);\n', replace: '' },
      { file: 'coord/storage/journal.ts', find: 'if (!continues) assert(false, `group', replace: 'if (!continues && group.firstZxid <= last) assert(false, `group' },
    ],
    hunts: [{ scenario: 'flood', servers: 3 }, { scenario: 'flood', servers: 5 }], expects: ['ProcessConsistency', 'TotalOrder', 'LocalPrimaryOrder', 'QuorumDurability'],
  },
  {
    name: 'sync-without-a-quorum', historic: 'ZK-1675', summary: 'a leader answers SYNC without asking a quorum whether it still leads',
    edits: [{ file: LEADER, find: '    this.#waitingTokens.push(token);', replace: "    this.#context.effects.push({ type: 'quorumConfirmed', token });" }],
    hunts: [{ scenario: 'ZK-1675', servers: 3 }], expects: ['SyncRead', 'Linearizability'],
  },
  {
    name: 'sync-on-an-old-round', historic: 'ETCD-20418', summary: 'answers to the round before last confirm a SYNC',
    edits: [{ file: LEADER, find: 'if (learner.synced) reached.push(learner.pongRound);', replace: 'if (learner.synced) reached.push(learner.pongRound + 1);' }],
    hunts: [{ scenario: 'ETCD-20418', servers: 3 }], expects: ['SyncRead', 'Linearizability'],
  },
  {
    name: 'synced-overtakes-commit', historic: '', summary: 'a learner is told SYNCED, and so answers, before it has been sent what was committed before',
    edits: [{ file: HANDLER, find: '      if (afterZxid > this.#commitSent) return;\n', replace: '      void afterZxid;\n' }],
    hunts: [{ scenario: 'flood', servers: 3 }, { scenario: 'split-brain', servers: 5 }], expects: ['SyncRead', 'MonotonicReads', 'Linearizability'],
  },
];
