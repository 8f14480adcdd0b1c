/**
 * A group of txns that were prepared in one turn of the leader and travel together: the atom of PROPOSAL, of a journal record, of
 * COMMIT and of delivery. ZAB does not look into `bytes`.
 *
 * Invariant: the zxids of a group are consecutive and of one epoch; and since every server logs exactly the groups that the
 * epoch's leader made, group boundaries are the same everywhere. So TRUNC, DIFF and SNAP positions are always ends of groups.
 */
import type { Zxid } from '../base/zxid.ts';

export interface TxnGroup {
  readonly firstZxid: Zxid;
  readonly lastZxid: Zxid;
  /** The txns, encoded once by the leader (coord/tree/txn-codec.ts). The same bytes go to the journal and to the peers. */
  readonly bytes: Uint8Array;
  /**
   * On the leader: the txns themselves, so that it does not decode what it has just encoded. Never leaves the process; taken away once they are
   * applied, since a group may be kept for DIFF long after.
   */
  decoded?: unknown;
}

/** The txns of one epoch that a server's log holds end at this counter; by contiguity they begin at 1 (or before the log's start). */
export interface EpochEnd {
  readonly epoch: number;
  readonly lastZxid: Zxid;
}
