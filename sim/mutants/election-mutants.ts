/** Mutants of the election and of discovery: who leads, and in which epoch. */
import type { Mutant } from './mutant.ts';

const ELECTION = 'coord/zab/fast-leader-election.ts';
const LEADER = 'coord/zab/leader.ts';

export const electionMutants: readonly Mutant[] = [
  {
    name: 'election-ignores-epoch', historic: 'ZK-1156', summary: 'votes and ACKEPOCHs are compared by zxid alone, not by epoch first',
    edits: [
      { file: ELECTION, find: '  if (a.peerEpoch !== b.peerEpoch) return a.peerEpoch > b.peerEpoch;\n', replace: '' },
      {
        file: LEADER,
        find: 'const ahead = message.currentEpoch > this.#electedEpoch\n      || (message.currentEpoch === this.#electedEpoch && message.lastZxid > this.#initialZxid);',
        replace: 'const ahead = message.lastZxid > this.#initialZxid;',
      },
    ],
    hunts: [{ scenario: 'ZK-1156', servers: 3 }], expects: ['TotalOrder', 'PrimaryIntegrity', 'ProcessConsistency', 'GlobalPrimaryOrder'],
  },
  {
    name: 'leader-behind-a-follower', historic: 'STALE-VOTE', summary: 'a leader goes on though a follower of its quorum is ahead of it',
    edits: [{ file: LEADER, find: '    if (ahead && !learner.suspect) this.stepDown(', replace: '    if (ahead && learner.suspect) this.stepDown(' }],
    hunts: [{ scenario: 'STALE-VOTE', servers: 5 }], expects: ['TotalOrder', 'PrimaryIntegrity', 'CommittedLogMonotonicity', 'ProcessConsistency', 'QuorumDurability'],
  },
  {
    name: 'lowest-vote-wins', historic: '', summary: 'the vote with the lowest zxid is preferred, and discovery does not look',
    edits: [
      { file: ELECTION, find: '  if (a.zxid !== b.zxid) return a.zxid > b.zxid;\n', replace: '  if (a.zxid !== b.zxid) return a.zxid < b.zxid;\n' },
      { file: LEADER, find: '    if (ahead && !learner.suspect) this.stepDown(', replace: '    if (ahead && learner.suspect) this.stepDown(' },
    ],
    hunts: [{ scenario: 'leader-loss', servers: 3 }], expects: ['TotalOrder', 'PrimaryIntegrity', 'CommittedLogMonotonicity', 'ProcessConsistency', 'QuorumDurability'],
  },
  {
    name: 'rounds-mixed', historic: 'ZK-1818', summary: 'a server counts votes of a newer election round and stays in its own, in which nobody hears it',
    edits: [{ file: ELECTION, find: '    if (notice.electionEpoch > this.round) {', replace: '    if (notice.electionEpoch > this.round && this.round < 0) {' }],
    hunts: [{ scenario: 'ZK-1818', servers: 3 }], expects: ['Liveness'],
  },
  {
    name: 'joins-own-round-only', historic: 'ZK-1514, ZK-1732', summary: 'a server believes that somebody leads only if it says so in its own election round: a restarted one never joins',
    edits: [{ file: ELECTION, find: '    this.#outOfElection.set(from, notice);\n', replace: '    if (notice.electionEpoch === this.round) this.#outOfElection.set(from, notice);\n' }],
    hunts: [{ scenario: 'ZK-1514', servers: 3 }], expects: ['Liveness'],
  },
  {
    name: 'roll-over-keeps-epoch', historic: 'ZK-1277', summary: 'a leader does not give up its epoch when the counter of its zxids ends (which it does early here)',
    edits: [
      { file: 'coord/server/leader-pipeline.ts', find: 'if (zxidCounter(this.#lastProposed) >= COUNTER_MAX) return;', replace: 'if (zxidCounter(this.#lastProposed) >= 150) return;' },
      { file: LEADER, find: "this.stepDown('the zxid counter ends: a new epoch is needed');", replace: 'void 0;' },
    ],
    hunts: [{ scenario: 'ZK-1277', servers: 3 }], expects: ['Liveness'],
  },
  {
    name: 'accepted-epoch-not-durable', historic: 'ZK-335, ZK-790, ZK-1082, ZK-4269', summary: 'ACKEPOCH is sent before acceptedEpoch is on disk',
    edits: [{ file: 'coord/zab/learner.ts', find: '    this.#ackEpochAfterSeq = context.seq;', replace: '    this.#ackEpochAfterSeq = 0;' }],
    hunts: [{ scenario: 'ZK-335', servers: 3 }], expects: ['QuorumDurability'],
  },
  {
    name: 'own-accepted-epoch-not-durable', historic: 'ZK-2307', summary: 'a leader counts its own promise of the epoch before it is on its disk',
    edits: [{ file: LEADER, find: '    if (context.durableSeq < this.#acceptedEpochSeq) return;\n', replace: '' }],
    hunts: [{ scenario: 'ZK-2307', servers: 3 }], expects: ['Leadership', 'EpochsOnDisk'],
  },
  {
    name: 'epoch-of-own-choice', historic: 'ZK-1081', summary: 'a new leader does not ask which epochs others have accepted, and takes whatever ACKEPOCH comes for a promise',
    edits: [
      { file: LEADER, find: '        accepted = Math.max(accepted, learner.acceptedEpoch);\n', replace: '' },
      { file: LEADER, find: 'return !learner.suspect && learner.acceptedEpoch < this.epoch;', replace: 'return !learner.suspect;' },
    ],
    hunts: [{ scenario: 'ZK-1081', servers: 3 }], expects: ['Leadership'],
  },
  {
    name: 'suspect-votes', historic: 'CORDS', summary: 'a server whose journal is damaged votes, may lead and counts in a quorum',
    edits: [
      { file: ELECTION, find: 'if (suspect || diskIsSilent) return', replace: 'if (diskIsSilent && !suspect) return' },
      { file: 'coord/zab/peer.ts', find: "    assert(!context.suspect, 'a suspect log never leads');\n", replace: '' },
      { file: LEADER, find: '        if (!learner.suspect) known++;', replace: '        known++;' },
      { file: LEADER, find: 'return !learner.suspect && learner.acceptedEpoch < this.epoch;', replace: 'return learner.acceptedEpoch < this.epoch;' },
    ],
    hunts: [{ scenario: 'CORDS', servers: 3 }], expects: ['TotalOrder', 'PrimaryIntegrity', 'Leadership', 'Digest'],
  },
  {
    name: 'elected-and-patient', historic: 'ZK-3109', summary: 'whoever is elected waits for its voters for ever',
    edits: [
      { file: LEADER, find: '    return this.#progressMs + this.#context.progressMs;\n', replace: '    return Infinity;\n' },
      { file: LEADER, find: '  onDeserted(sid: number): void {\n', replace: '  onDeserted(sid: number): void {\n    if (this.epoch === 0) return;\n' },
    ],
    hunts: [{ scenario: 'ZK-3109', servers: 5 }], expects: ['Liveness'],
  },
  {
    name: 'elected-without-a-disk', historic: '', summary: 'a server whose disk answers nothing goes on to vote: it has the best log, is elected for ever, and can promise nothing',
    edits: [{ file: ELECTION, find: 'if (suspect || diskIsSilent) return', replace: 'if (suspect && !diskIsSilent) return' }],
    hunts: [{ scenario: 'test/sim/regressions/a-leader-without-a-disk.json', servers: 5 }], expects: ['Liveness'],
  },
  {
    name: 'leader-out-of-a-crowd-only', historic: '', summary: 'a server that hears the leader, and too few of those who follow it, looks for a leader for ever',
    edits: [{ file: ELECTION, find: 'if (!isPatient && isHeard', replace: 'if (Number.isNaN(sid) && !isPatient && isHeard' }],
    hunts: [{ scenario: 'test/sim/regressions/its-followers-are-out-of-reach.json', servers: 5 }], expects: ['Liveness'],
  },
];
