/**
 * What a znode will be like once everything that is outstanding has been applied, as far as preparing the next txn needs it.
 * Source: PrepRequestProcessor's ChangeRecord.
 */
import type { Zxid } from '../base/zxid.ts';
import type { Acl } from '../wire/types.ts';
import type { Znode, ZnodeKind } from './znode.ts';

export class ChangeRecord {
  readonly path: string;
  /** The last txn that changed it; 0: none yet, the record is only a look at the tree. */
  zxid: Zxid = 0;
  exists: boolean;
  kind: ZnodeKind;
  ephemeralOwner: bigint;
  version: number;
  aversion: number;
  creates: number;
  numChildren: number;
  acl: readonly Acl[];

  constructor(
    path: string, exists: boolean, kind: ZnodeKind, ephemeralOwner: bigint, version: number, aversion: number, creates: number,
    numChildren: number, acl: readonly Acl[],
  ) {
    this.path = path;
    this.exists = exists;
    this.kind = kind;
    this.ephemeralOwner = ephemeralOwner;
    this.version = version;
    this.aversion = aversion;
    this.creates = creates;
    this.numChildren = numChildren;
    this.acl = acl;
  }

  static of(node: Znode): ChangeRecord {
    return new ChangeRecord(
      node.path, true, node.kind, node.ephemeralOwner, node.version, node.aversion, node.creates, node.numChildren, node.acl,
    );
  }

  copy(): ChangeRecord {
    const copy = new ChangeRecord(
      this.path, this.exists, this.kind, this.ephemeralOwner, this.version, this.aversion, this.creates, this.numChildren, this.acl,
    );
    copy.zxid = this.zxid;
    return copy;
  }

  /** Back to what `copy` kept. */
  restore(kept: ChangeRecord): void {
    this.zxid = kept.zxid;
    this.exists = kept.exists;
    this.kind = kept.kind;
    this.ephemeralOwner = kept.ephemeralOwner;
    this.version = kept.version;
    this.aversion = kept.aversion;
    this.creates = kept.creates;
    this.numChildren = kept.numChildren;
    this.acl = kept.acl;
  }
}
