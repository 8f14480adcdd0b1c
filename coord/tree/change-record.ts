/**
 * What a znode will be like once everything that is outstanding has been applied, as far as preparing the next txn needs it.
 * Source: PrepRequestProcessor's ChangeRecord.
 */
import type { Zxid } from '../base/zxid.ts';
import type { Acl } from '../wire/types.ts';
import type { Znode, ZnodeKind } from './znode.ts';

export class ChangeRecord {
  /** The PrepRequest whose record this is. */
  readonly owner: object;
  readonly path: string;
  /** The handle that carries the record while the znode is in the tree; null: it was not there when the record was made. */
  readonly node: Znode | null;
  /** Whether it is found by path too: has to be when there is no handle, or will be none or another one. */
  byPath = false;
  /** The last txn that changed it; 0: none yet, the record is only a look at the tree; -1: it does not count any more. */
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
    owner: object, path: string, node: Znode | null, exists: boolean, kind: ZnodeKind, ephemeralOwner: bigint, version: number, aversion: number, creates: number,
    numChildren: number, acl: readonly Acl[],
  ) {
    this.owner = owner;
    this.path = path;
    this.node = node;
    this.exists = exists;
    this.kind = kind;
    this.ephemeralOwner = ephemeralOwner;
    this.version = version;
    this.aversion = aversion;
    this.creates = creates;
    this.numChildren = numChildren;
    this.acl = acl;
  }

  static of(owner: object, node: Znode): ChangeRecord {
    return new ChangeRecord(
      owner, node.path, node, true, node.kind, node.ephemeralOwner, node.version, node.aversion, node.creates, node.numChildren, node.acl,
    );
  }

  copy(): ChangeRecord {
    const copy = new ChangeRecord(
      this.owner, this.path, this.node, this.exists, this.kind, this.ephemeralOwner, this.version, this.aversion, this.creates, this.numChildren, this.acl,
    );
    copy.zxid = this.zxid;
    return copy;
  }

  /** A new znode at the path. */
  recreate(kind: ZnodeKind, ephemeralOwner: bigint, acl: readonly Acl[]): void {
    this.exists = true;
    this.kind = kind;
    this.ephemeralOwner = ephemeralOwner;
    this.version = 0;
    this.aversion = 0;
    this.creates = 0;
    this.numChildren = 0;
    this.acl = acl;
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
