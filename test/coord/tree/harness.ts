/**
 * A leader's tree and a follower's: requests are prepared, encoded, and applied on both, the follower from the decoded bytes. What was
 * prepared may stay outstanding for a while.
 */
import { DataTree } from '../../../coord/tree/data-tree.ts';
import { PrepRequest } from '../../../coord/tree/prep-request.ts';
import { TxnGroupEncoder, decodeTxnGroup } from '../../../coord/tree/txn-codec.ts';
import type { ApplyResult } from '../../../coord/tree/data-tree.ts';
import type { Txn, TxnHeader } from '../../../coord/tree/txn.ts';
import type { AuthId } from '../../../coord/wire/types.ts';
import { ClientRequest } from '../../../coord/wire/types.ts';

export class TreeHarness {
  readonly tree = new DataTree();
  readonly follower = new DataTree();
  readonly prep: PrepRequest;
  /** Every txn that was prepared, in order, as bytes. */
  readonly log: { zxid: number; bytes: Uint8Array }[] = [];
  readonly #encoder = new TxnGroupEncoder();
  readonly #outstanding: { header: TxnHeader; txn: Txn; bytes: Uint8Array }[] = [];
  zxid = 0;
  timeMs = 1000;

  constructor(options: { juteMaxBuffer?: number } = {}) {
    this.prep = new PrepRequest(this.tree, { juteMaxBuffer: options.juteMaxBuffer ?? 1_048_575 });
  }

  get outstandingCount(): number {
    return this.#outstanding.length;
  }

  request(request: ClientRequest, sessionId = 0n, ids: readonly AuthId[] = []): Txn {
    const zxid = ++this.zxid;
    return this.#propose(this.prep.prep(request, sessionId, ids, zxid, this.timeMs), sessionId);
  }

  createSession(sessionId: bigint): Txn {
    return this.#propose(this.prep.createSession(sessionId, 4000, new Uint8Array(16).fill(Number(sessionId & 0xffn)), ++this.zxid), sessionId);
  }

  closeSession(sessionId: bigint): Txn {
    return this.#propose(this.prep.closeSession(sessionId, ++this.zxid), sessionId);
  }

  /** Applies the oldest outstanding txns. */
  commit(count = this.#outstanding.length): ApplyResult[] {
    return this.#outstanding.splice(0, count).map(({ header, txn, bytes }) => {
      const result = this.tree.apply(header, txn);
      this.prep.committed(header.zxid);
      replay(this.follower, { zxid: header.zxid, bytes });
      return result;
    });
  }

  #propose(txn: Txn, sessionId: bigint): Txn {
    const header: TxnHeader = { zxid: this.zxid, timeMs: this.timeMs, sessionId, originId: 3, requestNo: this.zxid };
    this.#encoder.begin(this.zxid);
    this.#encoder.add(header, txn);
    const bytes = this.#encoder.finish();
    this.#outstanding.push({ header, txn, bytes });
    this.log.push({ zxid: this.zxid, bytes });
    return txn;
  }
}

export function replay(tree: DataTree, group: { zxid: number; bytes: Uint8Array }): void {
  decodeTxnGroup(group.bytes, group.zxid, (header, txn) => { tree.apply(header, txn); });
}

/** A tree made of another's entries, as after a restart. */
export function reload(entries: Iterable<[string, Uint8Array]>, appliedZxid: number): DataTree {
  const tree = new DataTree();
  for (const [key, value] of entries) tree.loadEntry(key, value);
  tree.loadDone(appliedZxid);
  return tree;
}

/** Everything that can be seen of a tree, sorted, as text: what equal trees agree on. */
export function dump(tree: DataTree): string[] {
  const lines: string[] = [];
  const visit = (path: string): void => {
    const node = tree.get(path);
    if (node === undefined) throw new Error(`${path} is a child but not there`);
    lines.push([
      path, node.kind, node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime, node.version, node.cversion, node.aversion,
      node.ephemeralOwner, node.ttlMs, node.data === null ? 'null' : Buffer.from(node.data).toString('hex'), JSON.stringify(node.acl),
    ].join(' '));
    for (const name of [...node.names].sort()) visit(path === '/' ? `/${name}` : `${path}/${name}`);
  };
  visit('/');
  for (const [id, session] of [...tree.sessions].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    lines.push(`session ${id} ${session.timeoutMs} ${Buffer.from(session.password).toString('hex')} ${[...session.ephemerals].sort().join(',')}`);
  }
  lines.push(`nodes ${tree.nodeCount} bytes ${tree.approximateDataSize} ephemerals ${tree.ephemeralsCount} digest ${tree.digest}`);
  return lines;
}

export function requestOf(fields: Partial<ClientRequest>): ClientRequest {
  return Object.assign(new ClientRequest(), fields);
}
