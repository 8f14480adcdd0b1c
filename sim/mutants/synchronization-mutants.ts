/** Mutants of synchronization: how a learner's history is brought in line with the leader's, and when that counts. */
import type { Edit, Mutant } from './mutant.ts';

const LEARNER = 'coord/zab/learner.ts';
const HANDLER = 'coord/zab/learner-handler.ts';
const CONTEXT = 'coord/zab/peer-context.ts';
const HISTORY = 'coord/zab/history.ts';

/** drey refuses a group that does not continue the log, at four places; the servers of the historic bugs did not look. */
const NOBODY_LOOKS_FOR_HOLES: readonly Edit[] = [
  { file: LEARNER, find: 'if (!continues(lastZxid, group) || !(group.bytes instanceof Uint8Array))', replace: 'if (group.firstZxid <= lastZxid)' },
  { file: LEARNER, find: '    if (!Number.isSafeInteger(zxid) || zxid < committedZxid || zxid > history.lastZxid) return `COMMIT', replace: '    if (zxid > history.lastZxid) zxid = Math.max(committedZxid, history.lastZxid);\n    if (!Number.isSafeInteger(zxid) || zxid < committedZxid) return `COMMIT' },
  { file: HISTORY, find: '    if (!continues(this.#lastZxid, group)) assert(false, `group ${formatZxid(group.firstZxid)} does not continue ${formatZxid(this.#lastZxid)}`);\n', replace: '    void formatZxid;\n' },
  { file: 'coord/storage/journal.ts', find: 'if (!continues) assert(false, `group', replace: 'if (!continues && group.firstZxid <= last) assert(false, `group' },
];

export const synchronizationMutants: readonly Mutant[] = [
  {
    name: 'ack-before-sync', historic: 'ZK-4646', summary: 'a learner acks what it has logged, before that is durable',
    edits: [
      { file: LEARNER, find: '    if (context.durableSeq < this.#streamSeq) return;\n    let zxid = context.durableZxid;', replace: '    if (context.seq < this.#streamSeq) return;\n    let zxid = context.history.lastZxid;' },
    ],
    hunts: [{ scenario: 'ZK-4646', servers: 3 }], expects: ['QuorumDurability'],
  },
  {
    name: 'newleader-acked-early', historic: 'ZK-3911, ZK-3023, ZK-4785', summary: 'NEWLEADER is acked before the history that it ends is durable',
    edits: [
      {
        file: LEARNER,
        find: '    if (context.durableSeq < this.#streamSeq) return;\n    let zxid = context.durableZxid;\n    if (context.durableSeq >= this.#newLeaderSeq)',
        replace: "    let zxid = context.durableSeq < this.#streamSeq ? 0 : context.durableZxid;\n    if (this.#phase === 'newleader' || this.#phase === 'broadcast')",
      },
      { file: LEARNER, find: "if (this.#phase !== 'newleader' || context.durableSeq < this.#newLeaderSeq) return", replace: "if (this.#phase !== 'newleader') return" },
    ],
    hunts: [{ scenario: 'ZK-3911', servers: 3 }, { scenario: 'ZK-4785', servers: 3 }], expects: ['QuorumDurability'],
  },
  {
    name: 'established-without-newleader-acks', historic: 'ZK-3911', summary: 'a leader is established by ACKEPOCHs: it serves before a quorum has its history',
    edits: [{ file: 'coord/zab/leader.ts', find: '    for (const learner of this.#learners.values()) if (learner.newLeaderAcked) acked++;\n', replace: '    for (const learner of this.#learners.values()) if (learner.ackEpoch !== null) acked++;\n' }],
    hunts: [{ scenario: 'ZK-3911', servers: 3 }], expects: ['QuorumDurability', 'TotalOrder', 'PrimaryIntegrity', 'AckedWrites'],
  },
  {
    name: 'epoch-before-txns', historic: 'ZK-4643', summary: 'currentEpoch is on disk before the txns of the synchronization are',
    edits: [{ file: LEARNER, find: "        if (this.#phase !== 'accepted') return 'DIFF out of place';\n", replace: "        if (this.#phase !== 'accepted') return 'DIFF out of place';\n        this.#context.persistEpochs(this.#epoch, this.#epoch);\n" }],
    hunts: [{ scenario: 'ZK-4643', servers: 3 }], expects: ['ProcessConsistency', 'TotalOrder', 'PrimaryIntegrity', 'QuorumDurability', 'CommittedLogMonotonicity'],
  },
  {
    name: 'epoch-after-its-txns', historic: 'ZK-EPOCH-WINDOW', summary: 'txns of the new epoch are logged before currentEpoch is',
    edits: [
      { file: LEARNER, find: '  #newLeaderSeq = Infinity;\n  #ackSent', replace: '  #newLeaderSeq = Infinity;\n  #beforeSeq = Infinity;\n  #ackSent' },
      { file: LEARNER, find: '      this.#newLeaderSeq = context.persistEpochs(epoch, epoch);\n', replace: '      this.#beforeSeq = context.persistEpochs(context.acceptedEpoch, context.currentEpoch);\n' },
      {
        file: LEARNER, find: '    if (context.durableSeq < this.#streamSeq) return;\n    let zxid = context.durableZxid;',
        replace: '    if (this.#newLeaderSeq === Infinity && context.durableSeq >= this.#beforeSeq) this.#newLeaderSeq = context.persistEpochs(this.#epoch, this.#epoch);\n    if (context.durableSeq < this.#streamSeq) return;\n    let zxid = context.durableZxid;',
      },
    ],
    hunts: [{ scenario: 'ZK-EPOCH-WINDOW', servers: 3 }], expects: ['EpochsOnDisk', 'QuorumDurability'],
  },
  {
    name: 'diff-with-a-hole', historic: 'ZK-4925', summary: 'what a server received in its own synchronization is missing in the DIFF that it sends later, as leader',
    edits: [
      ...NOBODY_LOOKS_FOR_HOLES,
      { file: LEARNER, find: '      this.#context.appendGroup(group);\n', replace: '      this.#context.appendGroup(group);\n      if (this.#phase !== \'broadcast\') (group as { unlisted?: boolean }).unlisted = true;\n' },
      {
        file: HANDLER, find: '      if (!this.#fitsWindow(group.bytes.length)) return;\n',
        replace: '      if ((group as { unlisted?: boolean }).unlisted === true) {\n        this.#cursor = group.lastZxid;\n        if (this.#nextIndex >= 0) this.#nextIndex++;\n        continue;\n      }\n      if (!this.#fitsWindow(group.bytes.length)) return;\n',
      },
    ],
    hunts: [{ scenario: 'ZK-4925', servers: 5 }], expects: ['ProcessConsistency', 'TotalOrder', 'LocalPrimaryOrder', 'QuorumDurability'],
  },
  {
    name: 'proposals-to-synced-only', historic: 'ZAB-SPEC-1', summary: 'what is proposed between NEWLEADER and its ACK is never sent to that learner',
    edits: [
      ...NOBODY_LOOKS_FOR_HOLES,
      { file: HANDLER, find: '    if (zxid >= newLeaderZxid) this.newLeaderAcked = true;\n', replace: '    if (zxid >= newLeaderZxid && !this.newLeaderAcked) {\n      this.newLeaderAcked = true;\n      this.#cursor = this.#context.history.lastZxid;\n      this.#targetZxid = 0;\n      this.#fromJournal = [];\n      this.#nextIndex = -1;\n    }\n' },
      { file: HANDLER, find: '      const group = this.#nextGroup();\n', replace: '      if (this.#newLeaderSent && !this.newLeaderAcked) return;\n      const group = this.#nextGroup();\n' },
    ],
    hunts: [{ scenario: 'ZAB-SPEC-1', servers: 3 }], expects: ['ProcessConsistency', 'TotalOrder', 'LocalPrimaryOrder', 'QuorumDurability'],
  },
  {
    name: 'commit-before-uptodate-lost', historic: 'ZK-4394', summary: 'what is committed between NEWLEADER and UPTODATE is not delivered by UPTODATE',
    edits: [{ file: LEARNER, find: '    const why = this.#onCommit(zxid);\n', replace: '    const why = this.#onCommit(Math.max(context.committedZxid, Math.min(zxid, context.history.lastZxid, makeZxid(this.#epoch, 0))));\n' }],
    hunts: [{ scenario: 'ZK-4394', servers: 3 }], expects: ['SyncRead', 'LocalPrimaryOrder', 'Liveness'],
  },
  {
    name: 'trunc-keeps-newer-state', historic: 'ZK-4837', summary: 'the whole log is applied at boot, and TRUNC cuts the log but not the state',
    edits: [
      { file: CONTEXT, find: '    this.durableZxid = this.history.lastZxid;\n  }\n\n  // ---- effects', replace: '    this.durableZxid = this.history.lastZxid;\n    if (!this.suspect) this.commit(this.history.lastZxid);\n    this.committedZxid = recovered.appliedZxid;\n  }\n\n  // ---- effects' },
      { file: 'coord/zab/synchronization.ts', find: "  if (common < learner.lastZxid && common < learner.appliedZxid) return { type: 'SNAP', why: 'learner applied what is not in this history' };\n", replace: '' },
      { file: LEARNER, find: '    if (zxid < history.truncateFloor) return `TRUNC to ${showForeign(zxid)} below what was applied`;\n', replace: '' },
      { file: HISTORY, find: '    assert(zxid >= this.truncateFloor, `TRUNC to ${formatZxid(zxid)} below delivered ${formatZxid(this.#deliveredZxid)}`);\n', replace: '    this.#deliveredZxid = Math.min(this.#deliveredZxid, zxid);\n' },
    ],
    hunts: [{ scenario: 'ZK-4837', servers: 3 }], expects: ['TotalOrder', 'QuorumDurability', 'Integrity', 'Digest'],
  },
  {
    name: 'memory-outlives-trunc', historic: 'ZK-2845', summary: 'TRUNC cuts the journal; in memory the server keeps what was cut, and delivers it',
    edits: [
      { file: CONTEXT, find: '    this.history.truncate(zxid);\n', replace: '' },
      { file: CONTEXT, find: '    this.#pending.push({ seq, logEnd: this.history.lastZxid, sinceMs: this.nowMs });', replace: "    this.#pending.push({ seq, logEnd: op.type === 'truncate' ? op.zxid : this.history.lastZxid, sinceMs: this.nowMs });" },
    ],
    hunts: [{ scenario: 'ZK-2845', servers: 3 }], expects: ['TotalOrder', 'Integrity', 'QuorumDurability', 'ProcessConsistency'],
  },
  {
    name: 'trunc-half-done', historic: 'ZK-5094', summary: 'the journal is cut at TRUNC, memory only when the next message comes: in between the channel may break',
    edits: [
      { file: CONTEXT, find: '    this.history.truncate(zxid);\n    this.persist({ type: \'truncate\', zxid });', replace: "    this.persist({ type: 'truncate', zxid });" },
      { file: CONTEXT, find: '    this.#pending.push({ seq, logEnd: this.history.lastZxid, sinceMs: this.nowMs });', replace: "    this.#pending.push({ seq, logEnd: op.type === 'truncate' ? op.zxid : this.history.lastZxid, sinceMs: this.nowMs });" },
      { file: LEARNER, find: '    this.#context.truncate(zxid);\n', replace: '    this.#context.truncate(zxid);\n    this.#truncTo = zxid;\n' },
      { file: LEARNER, find: '  #snapshot: Snapshot | null = null;\n', replace: '  #snapshot: Snapshot | null = null;\n  #truncTo = -1;\n' },
      { file: LEARNER, find: '    this.#progress();\n    const why = this.#accept(message);\n', replace: '    this.#progress();\n    if (this.#truncTo >= 0) this.#context.history.truncate(this.#truncTo);\n    this.#truncTo = -1;\n    const why = this.#accept(message);\n' },
    ],
    hunts: [{ scenario: 'ZK-5094', servers: 3 }], expects: ['QuorumDurability', 'TotalOrder', 'ProcessConsistency'],
  },
  {
    name: 'trunc-one-too-few', historic: 'ZK-1154', summary: 'TRUNC leaves one group too many in the log',
    edits: [{ file: LEARNER, find: '    this.#context.truncate(zxid);\n', replace: '    this.#context.truncate(history.indexAfter(zxid) < history.endIndex ? history.groupAt(history.indexAfter(zxid)).lastZxid : zxid);\n' }],
    hunts: [{ scenario: 'ZK-1154', servers: 3 }], expects: ['TotalOrder', 'Integrity', 'ProcessConsistency', 'QuorumDurability'],
  },
  {
    name: 'trunc-one-too-many', historic: 'ZK-1156', summary: 'TRUNC takes one group more than was asked, which may have been acked and committed',
    edits: [{ file: LEARNER, find: '    this.#context.truncate(zxid);\n', replace: '    const lower = history.indexAfter(zxid) > history.firstIndex ? history.groupAt(history.indexAfter(zxid) - 1).firstZxid - 1 : zxid;\n    this.#context.truncate(lower >= history.truncateFloor && history.indexAfter(lower) >= 0 ? lower : zxid);\n' }],
    hunts: [{ scenario: 'ZK-1156', servers: 3 }], expects: ['CommittedLogMonotonicity', 'ProcessConsistency', 'QuorumDurability', 'TotalOrder'],
  },
  {
    name: 'snap-in-effect-early', historic: 'ZK-3642', summary: 'a received SNAP counts in memory before it is durable, so that a DIFF may be put on top of nothing',
    edits: [
      { file: LEARNER, find: "return 'SNAPEND with a wrong count of entries';\n", replace: "return 'SNAPEND with a wrong count of entries';\n        this.#context.takeUndurable(message.baseZxid);\n" },
      { file: CONTEXT, find: '  onPersisted(seq: number): void {', replace: "  takeUndurable(baseZxid: Zxid): void {\n    this.history.install(baseZxid);\n    this.effects.push({ type: 'resetState', baseZxid });\n  }\n\n  onPersisted(seq: number): void {" },
      { file: CONTEXT, find: "      this.effects.push({ type: 'resetState', baseZxid: this.#install.baseZxid });\n", replace: '' },
    ],
    hunts: [{ scenario: 'ZK-3642', servers: 3 }], expects: ['QuorumDurability', 'EpochsOnDisk'],
  },
  {
    name: 'snap-newleader-early', historic: 'ZK-3104-SUSPECT', summary: 'behind a SNAP NEWLEADER comes before what the learner had acked already is sent again',
    edits: [{ file: HANDLER, find: "(this.#plan.type === 'SNAP' ? this.#targetZxid : initialZxid)", replace: 'initialZxid' }],
    hunts: [{ scenario: 'ZK-3104-SUSPECT', servers: 3 }], expects: ['QuorumDurability', 'CommittedLogMonotonicity', 'TotalOrder', 'PrimaryIntegrity'],
  },
  {
    name: 'diff-without-the-journal', historic: 'ZK-2846, ZK-3526', summary: 'a DIFF begins with the oldest group in memory, whatever of the journal comes before it',
    edits: [
      ...NOBODY_LOOKS_FOR_HOLES,
      { file: HANDLER, find: '      this.#cursor = plan.zxid;\n', replace: '      const { history } = this.#context;\n      this.#cursor = history.indexAfter(plan.zxid) < 0 && history.firstIndex < history.endIndex ? history.groupAt(history.firstIndex).firstZxid - 1 : plan.zxid;\n' },
    ],
    hunts: [{ scenario: 'ZK-2846', servers: 3 }], expects: ['ProcessConsistency', 'TotalOrder', 'LocalPrimaryOrder', 'QuorumDurability'],
  },
  {
    name: 'memory-taken-for-durable', historic: 'ZK-4712, ZK-4541', summary: 'who follows another leader in the same process takes what it has logged for durable, though the old writes are still on their way to disk',
    edits: [{ file: LEARNER, find: '    this.#progressAtMs = context.nowMs;\n    const excess', replace: '    this.#progressAtMs = context.nowMs;\n    context.durableSeq = context.seq;\n    context.durableZxid = context.history.lastZxid;\n    const excess' }],
    hunts: [{ scenario: 'ZK-4712', servers: 3 }], expects: ['QuorumDurability'],
  },
  {
    name: 'uptodate-names-what-was-acked', historic: 'ZAB-SPEC-3', summary: 'UPTODATE carries what the learner had acked at NEWLEADER, and COMMITs go on behind what is committed by then',
    edits: [{ file: HANDLER, find: "type: 'UPTODATE', zxid: this.#commitSent });", replace: "type: 'UPTODATE', zxid: Math.min(this.#commitSent, this.#targetZxid) });" }],
    hunts: [{ scenario: 'ZAB-SPEC-3', servers: 3 }], expects: ['SyncRead', 'LocalPrimaryOrder', 'Liveness', 'MonotonicReads'],
  },
  {
    name: 'learner-of-a-former-life', historic: '', summary: 'a leader counts a learner whose process has died and started again',
    edits: [{ file: 'coord/zab/peer.ts', find: '      this.#leader?.onElectionChannelUp(sid);\n', replace: '' }],
    hunts: [{ scenario: 'power-failure', servers: 3 }], expects: ['QuorumDurability', 'Liveness'],
  },
  {
    name: 'dial-wait-begins-again', historic: '', summary: 'the wait before a dial begins with each leader anew: leaders that change more often are never dialled',
    edits: [{ file: LEARNER, find: 'context.lastDialMs + Math.min(', replace: 'context.nowMs + Math.min(' }],
    hunts: [{ scenario: 'test/sim/regressions/leaders-change-more-often-than-they-are-dialled.json', servers: 5 }], expects: ['Liveness'],
  },
  {
    name: 'snap-skips-the-meanwhile', historic: 'ZK-3104, ZK-962', summary: 'a SNAP is taken to hold all that was proposed when it was sent: what it does not hold is skipped for good',
    edits: [
      ...NOBODY_LOOKS_FOR_HOLES,
      { file: HANDLER, find: '    this.#cursor = baseZxid;\n', replace: '    this.#cursor = this.#context.history.lastZxid;\n' },
    ],
    hunts: [{ scenario: 'ZK-3104', servers: 3 }, { scenario: 'ZK-962', servers: 3 }], expects: ['ProcessConsistency', 'TotalOrder', 'LocalPrimaryOrder', 'QuorumDurability', 'Digest'],
  },
];
