/** Mutants of the request pipeline and of the tree. */
import type { Mutant } from './mutant.ts';

const SERVER = 'coord/server/server.ts';
const PREP = 'coord/tree/prep-request.ts';
const TREE = 'coord/tree/data-tree.ts';

export const requestMutants: readonly Mutant[] = [
  {
    name: 'read-before-own-write', historic: '', summary: 'a read does not wait for the earlier writes of its connection',
    edits: [{ file: SERVER, find: '        if (connection.idle) this.#read(connection, request, this.#nowMs);\n', replace: '        if (connection.idle || op === OpCode.getData) this.#read(connection, request, this.#nowMs);\n' }],
    hunts: [{ scenario: 'swarm', servers: 3 }], expects: ['ReplyOrder'],
  },
  {
    name: 'serves-the-past', historic: 'K2', summary: 'a client that has seen more than this server holds is served all the same',
    edits: [{ file: SERVER, find: "    if (this.serving === 'no' || request.lastZxidSeen > this.tree.lastProcessedZxid) {", replace: "    if (this.serving === 'no') {" }],
    hunts: [{ scenario: 'K2', servers: 3 }], expects: ['MonotonicReads'],
  },
  {
    name: 'replies-before-applied', historic: '', summary: 'a follower answers a write when it is logged there, before it is committed',
    edits: [{ file: 'coord/zab/learner.ts', find: '      this.#context.appendGroup(group);\n', replace: "      this.#context.appendGroup(group);\n      if (this.#phase === 'broadcast') this.#context.commit(group.lastZxid);\n" },
      { file: 'coord/zab/learner.ts', find: '    if (!Number.isSafeInteger(zxid) || zxid < committedZxid ||', replace: '    if (zxid < committedZxid) zxid = committedZxid;\n    if (!Number.isSafeInteger(zxid) || zxid < committedZxid ||' }],
    hunts: [{ scenario: 'leader-loss', servers: 3 }], expects: ['QuorumDurability', 'TotalOrder', 'Digest'],
  },
  {
    name: 'sequence-from-children', historic: 'ZK-1046', summary: 'the number of a sequential znode is the count of children: it is given again',
    edits: [{ file: PREP, find: 'request.path + sequenceSuffix(parent.creates)', replace: 'request.path + sequenceSuffix(parent.numChildren)' }],
    hunts: [{ scenario: 'swarm', servers: 3 }], expects: ['WriteResult', 'SequenceNumbers', 'TxnDecision'],
  },
  {
    name: 'create-counter-not-stored', historic: 'ZK-3249', summary: 'the create counter of a parent is not in the state on disk: after a failover its numbers are given again',
    edits: [{ file: 'coord/tree/state-entry.ts', find: '  node.creates = view.getInt32(62, true);', replace: '  node.creates = 0;' }],
    hunts: [{ scenario: 'ZK-3249', servers: 3 }], expects: ['Digest', 'TxnDecision', 'SequenceNumbers'],
  },
  {
    name: 'multi-half-applied', historic: 'ZK-3127', summary: 'servers that did not take the request apply the first op of a multi only',
    edits: [{ file: TREE, find: "      for (const op of txn.txns) if (op.type !== 'check') this.#apply(header, op, false);", replace: "      for (const op of txn.txns.slice(0, 1)) if (op.type !== 'check') this.#apply(header, op, false);" }],
    hunts: [{ scenario: 'ZK-3127', servers: 3 }], expects: ['Digest', 'MultiAtomicity', 'TxnDecision'],
  },
  {
    name: 'multi-not-rolled-back', historic: 'ZK-2052, ZK-1624', summary: 'a multi that fails leaves its outstanding changes behind',
    edits: [{ file: PREP, find: '    if (err !== Code.OK || tooLarge) this.#rollBack(this.#undo);\n', replace: '    if (tooLarge) this.#rollBack(this.#undo);\n' }],
    hunts: [{ scenario: 'swarm', servers: 3 }], expects: ['TxnDecision', 'WriteResult', 'MultiAtomicity'],
  },
  {
    name: 'version-not-checked', historic: '', summary: 'setData with a version that is not the znode\'s is carried out',
    edits: [{ file: PREP, find: '    if (data !== null && data.length + path.length > this.#txnBytesMax) return Code.BADARGUMENTS;\n', replace: '' },
      { file: PREP, find: '    if (!this.#allowed(record, Perms.WRITE, ids)) return Code.NOAUTH;\n    if (request.version !== -1 && request.version !== record.version) return Code.BADVERSION;\n', replace: '    if (!this.#allowed(record, Perms.WRITE, ids)) return Code.NOAUTH;\n' }],
    hunts: [{ scenario: 'swarm', servers: 3 }], expects: ['WriteResult', 'AckedWrites', 'TxnDecision', 'Linearizability'],
  },
  {
    name: 'pzxid-not-stored', historic: 'ZK-3125', summary: 'the pzxid of a parent is not in the state on disk: it is moved back by a restart',
    edits: [{ file: 'coord/tree/state-entry.ts', find: '  node.pzxid = view.getFloat64(18, true);', replace: '  node.pzxid = node.czxid;' }],
    hunts: [{ scenario: 'ZK-3125', servers: 3 }], expects: ['Digest', 'ReadResult'],
  },
];
