/** Disks that look as if the ensemble had lived before: the same state and an empty log at the same zxid on every server. */
import type { Callback } from '../../coord/base/ports.ts';
import { makeZxid, zxidEpoch, type Zxid } from '../../coord/base/zxid.ts';
import { Storage } from '../../coord/storage/storage.ts';
import { OPEN_ACL } from '../../coord/tree/acl.ts';
import { DataTree } from '../../coord/tree/data-tree.ts';
import type { HeadedTxn } from '../../coord/tree/txn.ts';
import type { CrashableJournalFiles } from '../doubles/journal-files.ts';
import type { CrashableKvStores } from '../doubles/kv.ts';
import type { Knobs } from './knobs.ts';

const EPOCH = 3;
const FIRST_COUNTER = 70_000;

export interface EarlierLife {
  readonly txns: readonly HeadedTxn[];
  readonly baseZxid: Zxid;
  readonly entries: readonly (readonly [string, Uint8Array])[];
}

export function earlierLife({ znodesBefore: znodes, epochBefore = EPOCH, counterBefore = FIRST_COUNTER + znodes - 1 }: Knobs): EarlierLife {
  const tree = new DataTree();
  const txns: HeadedTxn[] = [];
  for (let i = 0; i < znodes; i++) {
    const zxid = makeZxid(epochBefore, counterBefore - znodes + 1 + i);
    const path = i === 0 ? '/old' : `/old/${i}`;
    const header = { zxid, timeMs: 1_600_000_000_000 + i, sessionId: 0n, originId: 0, requestNo: 0 };
    txns.push({ header, txn: { type: 'create', path, data: Buffer.from(`old ${i} ${'.'.repeat(i % 200)}`), acl: OPEN_ACL, kind: 'persistent', ttlMs: 0, parentCVersion: Math.max(i, 1), withStat: false } });
  }
  for (const { header, txn } of txns) tree.apply(header, txn, false);
  return { txns, baseZxid: makeZxid(epochBefore, counterBefore), entries: [...tree.entries()] };
}

export function writeEarlierLife(life: EarlierLife, files: CrashableJournalFiles, kvs: CrashableKvStores, segmentBytes: number, done: Callback): void {
  const storage = new Storage(files, kvs, { segmentBytes });
  storage.open((error) => {
    if (error !== null) return done(error);
    const { baseZxid, entries } = life;
    storage.persist(
      [
        { seq: 1, op: { type: 'snapshotBegin', baseZxid } },
        { seq: 2, op: { type: 'snapshotChunk', entries } },
        { seq: 3, op: { type: 'snapshotInstall', baseZxid, acceptedEpoch: zxidEpoch(baseZxid), currentEpoch: zxidEpoch(baseZxid), groups: [] } },
      ],
      (failed) => (failed === null ? storage.close(done) : done(failed)),
    );
  });
}
