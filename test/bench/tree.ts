/**
 * What the tree costs per operation, alone on one core: `node test/bench/tree.ts [znodes]`. Prints operations a second, and the longest pause while the
 * tree is filled. For comparing before and after a change on one machine; no test.
 */
import { DataTree } from '../../coord/tree/data-tree.ts';
import { OPEN_ACL } from '../../coord/tree/acl.ts';
import { PrepRequest } from '../../coord/tree/prep-request.ts';
import { executeRead } from '../../coord/tree/read-requests.ts';
import { TxnGroupEncoder, decodeTxnGroup } from '../../coord/tree/txn-codec.ts';
import type { HeadedTxn, Txn, TxnHeader } from '../../coord/tree/txn.ts';
import { OpCode } from '../../coord/wire/codes.ts';
import { ClientRequest } from '../../coord/wire/types.ts';

const znodes = Number(process.argv[2] ?? 10_000);
const SESSIONS = 30;
const GROUP = 200;
const OPS = 1_000_000;
const tree = new DataTree();
const prep = new PrepRequest(tree, { juteMaxBuffer: 1_048_575 });
const encoder = new TxnGroupEncoder();
const sessions = Array.from({ length: SESSIONS }, (_, i) => 0x1_0000_1234_0000n + BigInt(i));
let zxid = 2 ** 32;
const header: TxnHeader = { zxid: 0, timeMs: 1_700_000_000_000, sessionId: 0n, originId: 0, requestNo: 0 };

function commit(txn: Txn): void {
  header.zxid = zxid;
  tree.apply(header, txn, false);
  prep.committed(zxid);
}

for (const session of sessions) commit(prep.createSession(session, 30_000, new Uint8Array(16), ++zxid));
header.sessionId = sessions[0] as bigint;

const create = new ClientRequest();
create.op = OpCode.create;
create.acl = OPEN_ACL;
create.data = Buffer.alloc(100, 'd');
create.path = '/bench';
commit(prep.prep(create, header.sessionId, [], ++zxid, 0));
let longest = 0;
let began = cpuMs();
for (let i = 0; i < znodes; i++) {
  const before = performance.now();
  create.path = `/bench/key${i}`;
  commit(prep.prep(create, header.sessionId, [], ++zxid, 0));
  longest = Math.max(longest, performance.now() - before);
  if (i % 2000 === 0) tree.takeDirty();
}
report('create (prep + apply)', znodes, began);
console.log(`  longest create ${longest.toFixed(1)} ms; heap ${(process.memoryUsage().rss / 1048576).toFixed(0)} MiB rss`);

const requests = Array.from({ length: 10_000 }, (_, i) => {
  const request = new ClientRequest();
  request.op = OpCode.setData;
  request.path = `/bench/key${i % znodes}`;
  request.data = Buffer.alloc(100, 's');
  return request;
});

for (let round = 0; round < 3; round++) {
  const groups: { bytes: Uint8Array; first: number; txns: HeadedTxn[] }[] = [];
  began = cpuMs();
  for (let i = 0; i < OPS / 4; i += GROUP) {
    const first = zxid + 1;
    const txns: HeadedTxn[] = [];
    encoder.begin(first);
    for (let j = 0; j < GROUP; j++) {
      const txnHeader: TxnHeader = { zxid: ++zxid, timeMs: 1_700_000_000_001, sessionId: sessions[j % SESSIONS] as bigint, originId: 0, requestNo: i + j };
      const txn = prep.prep(requests[(i + j) % requests.length] as ClientRequest, txnHeader.sessionId, [], zxid, txnHeader.timeMs);
      encoder.add(txnHeader, txn);
      txns.push({ header: txnHeader, txn });
    }
    groups.push({ bytes: encoder.finish(), first, txns });
    if (groups.length > 10) prep.committed((groups[groups.length - 10] as { first: number }).first);
  }
  report('setData 100 B: prep + encode', OPS / 4, began);

  began = cpuMs();
  for (const group of groups) {
    for (const { header: txnHeader, txn } of group.txns) tree.apply(txnHeader, txn, false);
    prep.committed(group.first + GROUP - 1);
    if (tree.dirtyCount > 20_000) tree.takeDirty();
  }
  report('setData 100 B: apply (leader)', OPS / 4, began);

  const follower = new DataTree();
  for (const [key, value] of tree.entries()) follower.loadEntry(key, value);
  follower.loadDone((groups[0] as { first: number }).first - 1);
  began = cpuMs();
  for (const group of groups) decodeTxnGroup(group.bytes, group.first, () => {});
  report('setData 100 B: decode', OPS / 4, began);
  began = cpuMs();
  for (const group of groups) decodeTxnGroup(group.bytes, group.first, (h, t) => { follower.apply(h, t, false); });
  report('setData 100 B: decode + apply (follower)', OPS / 4, began);
  tree.takeDirty();

  for (const request of requests) request.op = OpCode.getData;
  let sum = 0;
  began = cpuMs();
  for (let i = 0; i < OPS; i++) {
    const { result } = executeRead(tree, requests[i % requests.length] as ClientRequest, [], 0n);
    if (result !== null && result.kind === 'data') sum += result.stat.version + (result.data as Uint8Array).length;
  }
  report('getData', OPS, began);
  if (sum === 0) throw new Error('nothing was read');
  for (const request of requests) request.op = OpCode.setData;
}

/** Of this process, so that a busy machine does not count. */
function cpuMs(): number {
  return process.cpuUsage().user / 1000;
}

function report(what: string, ops: number, since: number): void {
  const seconds = (cpuMs() - since) / 1000;
  console.log(`${what.padEnd(44)} ${(ops / seconds / 1e6).toFixed(2)} M/s  ${((seconds * 1e9) / ops).toFixed(0)} ns`);
}
