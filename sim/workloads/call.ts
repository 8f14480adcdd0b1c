/** One operation of a client, as the judges see it. */
import type { Zxid } from '../../coord/base/zxid.ts';

export interface Call {
  readonly client: number;
  readonly kind: 'set' | 'get' | 'sync-get' | 'exists' | 'children' | 'create' | 'create-ephemeral' | 'create-sequential' | 'delete' | 'multi' | 'close';
  readonly path: string;
  readonly value: string;
  /** Expected version; -1 = any. */
  readonly version: number;
  readonly sessionId: bigint;
  readonly invokedMs: number;
  /** The newest zxid of any write that was acked to anyone before this call began. */
  readonly ackedBefore: Zxid;
  /** How many times the client has begun anew: whoever takes up a session has seen nothing of what was seen in it before. 0 without it. */
  readonly incarnation?: number;
  /** Of 'create-sequential'. */
  readonly ephemeral?: boolean;
  /** Of 'multi': what it asks for, in order; a set or create writes `value`. */
  readonly ops?: readonly CallOp[];
}
export interface CallOp {
  readonly kind: 'create' | 'set' | 'delete' | 'check';
  readonly path: string;
  readonly version: number;
}
