/** Mutants of the journal, the state and the driver loop over them. */
import type { Mutant } from './mutant.ts';

const JOURNAL = 'coord/storage/journal.ts';
const RECOVERY = 'coord/storage/journal-recovery.ts';
const STATE = 'coord/storage/state-store.ts';
const STORAGE = 'coord/storage/storage.ts';
const DRIVER = 'coord/runtime/quorum-peer.ts';

export const diskMutants: readonly Mutant[] = [
  {
    name: 'acks-after-a-failed-write', historic: 'ZK-4882', summary: 'a failed write of the journal is taken for a good one: its log has a hole, and acks go on',
    edits: [{ file: JOURNAL, find: "      if (error !== null) return this.#fail(error, 'write to');\n", replace: '      void error;\n' }],
    hunts: [{ scenario: 'ZK-4882', servers: 3 }], expects: ['QuorumDurability', 'Boot'],
  },
  {
    name: 'failed-journal-goes-on', historic: 'ZK-2247', summary: 'after a failed write nothing is logged any more, but the server goes on, and a leader leads on',
    edits: [{ file: DRIVER, find: "      if (error !== null) this.#diskFailed(error, incarnation);\n      else this.#peerEvent({ type: 'persisted', seq });", replace: "      if (error === null) this.#peerEvent({ type: 'persisted', seq });" }],
    hunts: [{ scenario: 'ZK-2247', servers: 3 }], expects: ['Liveness'],
  },
  {
    name: 'applied-in-another-batch', historic: 'ZK-3144, ZK-3145', summary: 'how far the state goes is written in another batch than its entries',
    edits: [
      // The note of the flush, and `applied`.
      { file: STATE, find: '    this.#flushing = true;\n    this.#before = this.#share();', replace: '    this.#kv.batch(ops.slice(-2), { sync: true }, () => {});\n    this.#flushing = true;\n    this.#before = this.#share();' },
    ],
    hunts: [{ scenario: 'ZK-3144', servers: 3 }], expects: ['Digest'],
  },
  {
    name: 'state-ahead-of-journal', historic: 'ZK-1573', summary: 'the state is flushed beyond what the own journal holds',
    edits: [
      { file: DRIVER, find: 'return !storage.flushing && applied > storage.flushedZxid && applied <= storage.lastDurableZxid;', replace: 'return !storage.flushing && applied > storage.flushedZxid;' },
      { file: STORAGE, find: 'if (appliedZxid > journal.durableZxid) assert(', replace: 'if (appliedZxid < 0) assert(' },
    ],
    hunts: [{ scenario: 'ZK-1573', servers: 3 }], expects: ['Suspect'],
  },
  {
    name: 'purged-before-flushed', historic: 'ZK-3056', summary: 'the journal is let go of before the state holds what is in it',
    edits: [{ file: STORAGE, find: 'journal.purge(Math.min(keepAfterZxid, state.appliedZxid), ', replace: 'journal.purge(Math.min(keepAfterZxid, journal.durableZxid), ' }],
    hunts: [{ scenario: 'ZK-3056', servers: 3 }], expects: ['Suspect'],
  },
  {
    name: 'crc-not-checked', historic: 'CORDS', summary: 'the checksum of journal records is not looked at',
    edits: [
      {
        file: 'coord/storage/journal-segment.ts',
        find: 'for (let record = readRecord(bytes, 0, number, true); record !== null; record = readRecord(bytes, end, number, true)) {',
        replace: 'for (let record = readRecord(bytes, 0, number, false); record !== null; record = readRecord(bytes, end, number, false)) {',
      },
    ],
    hunts: [{ scenario: 'CORDS', servers: 3 }], expects: ['QuorumDurability', 'PrimaryIntegrity', 'Integrity', 'Digest', 'TotalOrder', 'EpochsOnDisk'],
  },
  {
    name: 'value-under-any-key', historic: 'CORDS', summary: 'the checksum of an entry of the state does not cover its key: what was written in the wrong place passes',
    edits: [
      { file: STATE, find: 'out.writeUInt32LE(crc32(value, 0, value.length, crc32OfText(key)), value.length);', replace: 'out.writeUInt32LE(crc32(value, 0, value.length, crc32OfText(key.slice(0, 0))), value.length);' },
      { file: STATE, find: 'return crc32(stored, 0, end, crc32OfText(key)) === crc', replace: 'return crc32(stored, 0, end, crc32OfText(key.slice(0, 0))) === crc' },
    ],
    hunts: [{ scenario: 'bad-disks', servers: 3 }, { scenario: 'bitrot', servers: 3 }], expects: ['Digest', 'ReadResult', 'AssertionFailed', 'DreyError'],
  },
  {
    name: 'torn-tail-is-damage', historic: 'LAZYFS-ZK-8', summary: 'a torn tail, which was never acked, is taken for damage: the server votes no more until somebody sends it a SNAP',
    edits: [{ file: RECOVERY, find: '    warnings.push(`cut a torn tail', replace: '    problems.push(`cut a torn tail' }],
    hunts: [{ scenario: 'LAZYFS-ZK-8', servers: 3 }], expects: ['Suspect'],
  },
  {
    name: 'damage-ignored', historic: 'CORDS', summary: 'damage below the tail is cut like a torn tail: what was acked is forgotten',
    edits: [
      { file: RECOVERY, find: '    suspect: problems.length > 0,\n', replace: '    suspect: false,\n' },
    ],
    hunts: [{ scenario: 'CORDS', servers: 3 }], expects: ['QuorumDurability', 'TotalOrder', 'PrimaryIntegrity', 'EpochsOnDisk'],
  },
  {
    name: 'head-before-its-records', historic: 'LAZYFS-ZK-2, LAZYFS-ZK-7', summary: 'a segment\'s head, which makes the records behind it count, is written before them',
    edits: [{ file: JOURNAL, find: '    else this.#fileWrite(segment, records, (error) => (error === null ? writeHead() : fail(error)));', replace: '    else {\n      let open = 2;\n      const headLater = writeHead;\n      this.#fileWrite(segment, head, (error) => (error === null ? void (--open === 0 && headLater()) : fail(error)));\n      this.#fileWrite(segment, records, (error) => (error === null ? void (--open === 0 && headLater()) : fail(error)));\n    }' }],
    hunts: [{ scenario: 'LAZYFS-ZK-2', servers: 3 }], expects: ['Suspect', 'EpochsOnDisk', 'QuorumDurability'],
  },
  {
    name: 'lost-flush-unnoticed', historic: '', summary: 'a state in which a flush is missing counts as a state',
    edits: [{ file: STATE, find: 'if (flushError !== null || problems.length === 0) return done(flushError, { exists: true, witness: applied, problems });', replace: 'if (flushError !== null || problems.length >= 0) return done(flushError, { exists: true, witness: applied, problems: [] });' }],
    hunts: [{ scenario: 'CORDS', servers: 3 }], expects: ['Digest'],
  },
];
