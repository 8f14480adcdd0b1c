/**
 * Txns: what the leader decided, complete enough that applying needs no decision and is idempotent (versions, counters, paths of
 * sequential nodes and of a closed session's ephemerals are already in them). ZooKeeper's TxnHeader and jute txn records, plus the origin.
 */
import type { Zxid } from '../base/zxid.ts';
import type { Acl } from '../wire/types.ts';

export interface TxnHeader {
  /** Consecutive within a group. */
  zxid: Zxid;
  /** Leader's wall clock, ms since 1970: becomes ctime and mtime. */
  timeMs: number;
  /** The session on whose behalf; 0n for the server's own. */
  sessionId: bigint;
  /** Which server's request this answers within this epoch: 0 the leader's own, else the learner channel named by LEADERINFO. */
  originId: number;
  /** Number of the request at its origin, counted by the origin; 0 = answers no request. */
  requestNo: number;
}

export interface CreateTxn {
  readonly type: 'create';
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[];
  readonly kind: 'persistent' | 'ephemeral' | 'container' | 'ttl';
  readonly ttlMs: number;
  /** The parent's persisted create counter after this create. */
  readonly parentCVersion: number;
  /** Whether the client used create2, createContainer or createTTL, whose reply carries a stat. */
  readonly withStat: boolean;
}
export interface DeleteTxn { readonly type: 'delete'; readonly path: string }
export interface SetDataTxn { readonly type: 'setData'; readonly path: string; readonly data: Uint8Array | null; readonly version: number }
export interface SetAclTxn { readonly type: 'setACL'; readonly path: string; readonly acl: readonly Acl[]; readonly aversion: number }
/** Part of a multi only: it changes nothing, but its result has a place in the reply. */
export interface CheckTxn { readonly type: 'check'; readonly path: string }
export interface CreateSessionTxn { readonly type: 'createSession'; readonly sessionId: bigint; readonly timeoutMs: number; readonly password: Uint8Array }
/** `paths`: every ephemeral of the session, over committed state and outstanding changes. */
export interface CloseSessionTxn { readonly type: 'closeSession'; readonly sessionId: bigint; readonly paths: readonly string[] }
/** A refused request: consumes a zxid, changes nothing. */
export interface ErrorTxn { readonly type: 'error'; readonly err: number }
export type MultiOpTxn = CreateTxn | DeleteTxn | SetDataTxn | CheckTxn;
export interface MultiTxn { readonly type: 'multi'; readonly txns: readonly MultiOpTxn[] }
/** A multi of which one op failed: changes nothing. errs has one code per op: 0 before the failure, -2 after it. */
export interface FailedMultiTxn { readonly type: 'failedMulti'; readonly errs: readonly number[] }

export type Txn =
  | CreateTxn | DeleteTxn | SetDataTxn | SetAclTxn | CreateSessionTxn | CloseSessionTxn | ErrorTxn | MultiTxn | FailedMultiTxn;

export interface HeadedTxn {
  readonly header: TxnHeader;
  readonly txn: Txn;
}
