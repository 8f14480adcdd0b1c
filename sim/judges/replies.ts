/**
 * What clients were told, against the model of the tree at the reply's zxid (tier A: it trusts zxids; linearizability.ts does not).
 *
 *   AckedWrites       a write that a client was told of is delivered, with that zxid, and is what it asked for
 *   RealTimeOrder     a write that began after another was acked has the larger zxid
 *   SyncRead          a read after sync shows every write that was acked before the sync began            (ZOOKEEPER-1675)
 *   WriteResult       a refusal has its reason in the tree right before it
 *   ReadResult        a read says what the model says at the reply's zxid
 *   SequenceNumbers   a sequential znode's number is the count of creates that its parent had had
 *   MultiAtomicity    a multi is answered as a whole: all of it, or the op that failed and nothing else
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { Txn } from '../../coord/tree/txn.ts';
import { Code } from '../../coord/wire/codes.ts';
import type { Result, Stat } from '../../coord/wire/types.ts';
import type { Call } from '../workloads/call.ts';
import type { Related } from '../world/world.ts';
import type { CommittedLog } from './committed-log.ts';
import type { Fail } from './fail.ts';
import type { Model } from './model.ts';

export class Replies {
  readonly #committed: CommittedLog;
  readonly #model: Model;
  readonly #fail: Fail;
  /** The newest zxid of any write that was acked to anyone. */
  newestAcked: Zxid = 0;
  readonly counts: { acked: number; reads: number; failed: number };

  constructor(committed: CommittedLog, model: Model, counts: Replies['counts'], fail: Fail) {
    this.counts = counts;
    this.#committed = committed;
    this.#model = model;
    this.#fail = fail;
  }

  answered(call: Call, zxid: Zxid, err: number, result: Result | null): void {
    if (zxid > this.#committed.lastZxid) return this.#complain('AckedWrites', call, zxid, `was told of ${formatZxid(zxid)}, which nobody has delivered`);
    if (call.kind === 'get' || call.kind === 'sync-get' || call.kind === 'exists' || call.kind === 'children') return this.#read(call, zxid, err, result);
    if (zxid <= call.ackedBefore) this.#complain('RealTimeOrder', call, zxid, `has ${formatZxid(zxid)}, not after ${formatZxid(call.ackedBefore)}, which was acked before it began`);
    this.newestAcked = Math.max(this.newestAcked, zxid);
    const recorded = this.#model.txn(zxid);
    if (recorded === undefined) return this.#complain('AckedWrites', call, zxid, `was told of ${formatZxid(zxid)}, which is no txn`);
    const { header, txn } = recorded;
    if (header.sessionId !== call.sessionId) return this.#complain('AckedWrites', call, zxid, `was told of ${formatZxid(zxid)}, which is another session's`);
    if (err !== 0) {
      this.counts.failed++;
      if (txn.type !== 'error' || txn.err !== err) this.#complain('WriteResult', call, zxid, `was refused with ${err}, ${formatZxid(zxid)} is ${txn.type}`);
      else if (!this.#model.mayRefuse(err, call.path, call.version, call.sessionId, zxid)) this.#complain('WriteResult', call, zxid, `was refused with ${err} at ${formatZxid(zxid)} without reason`);
      return;
    }
    this.counts.acked++;
    if (call.kind === 'multi') {
      const wrong = multiDiffers(txn, result);
      if (wrong !== null) this.#complain('MultiAtomicity', call, zxid, `was told of ${formatZxid(zxid)}: ${wrong}`);
      return;
    }
    const differs = this.#writeDiffers(call, zxid, txn, result);
    if (differs !== null) this.#complain('AckedWrites', call, zxid, `was told of ${formatZxid(zxid)}: ${differs}`);
    else if (call.kind === 'create-sequential' && txn.type === 'create') {
      const number = Number(txn.path.slice(-10));
      if (number !== txn.parentCVersion - 1) this.#complain('SequenceNumbers', call, zxid, `was given ${txn.path}, its parent had had ${txn.parentCVersion - 1} creates`);
    }
  }

  #writeDiffers(call: Call, zxid: Zxid, txn: Txn, result: Result | null): string | null {
    switch (call.kind) {
      case 'set':
        if (txn.type !== 'setData' || txn.path !== call.path || textOf(txn.data) !== call.value) return `it is ${txn.type} of something else`;
        return result?.kind === 'stat' ? this.#model.differs(call.path, zxid, result.stat) : null;
      case 'delete':
        return txn.type === 'delete' && txn.path === call.path ? null : `it is ${txn.type} of something else`;
      case 'close':
        return txn.type === 'closeSession' && txn.sessionId === call.sessionId ? null : `it is ${txn.type}`;
      default: {
        if (txn.type !== 'create' || textOf(txn.data) !== call.value) return `it is ${txn.type} of something else`;
        const isSequential = call.kind === 'create-sequential';
        if (isSequential ? !/^\d{10}$/.test(txn.path.slice(call.path.length)) || !txn.path.startsWith(call.path) : txn.path !== call.path) return `it created ${txn.path}`;
        return result === null || (result.kind === 'path' && result.path === txn.path) ? null : 'the reply names another path';
      }
    }
  }

  #read(call: Call, zxid: Zxid, err: number, result: Result | null): void {
    this.counts.reads++;
    if (call.kind === 'sync-get' && zxid < call.ackedBefore) return this.#complain('SyncRead', call, zxid, `shows ${formatZxid(zxid)} after a sync that began when ${formatZxid(call.ackedBefore)} was acked`);
    const node = this.#model.at(call.path, zxid);
    if (err !== 0 || node === null) {
      if (err !== Code.NONODE || node !== null) this.#complain('ReadResult', call, zxid, `at ${formatZxid(zxid)} is answered ${err}, the znode ${node === null ? 'is not there' : 'is there'}`);
      return;
    }
    if (result === null) return;
    if (result.kind === 'data' && textOf(result.data) !== node.data) return this.#complain('ReadResult', call, zxid, `at ${formatZxid(zxid)} shows ${textOf(result.data)}, not ${node.data}`);
    if (result.kind === 'childrenStat' || result.kind === 'children') {
      const names = new Set(result.children);
      const missing = [...node.children].find((name) => !names.has(name));
      if (missing !== undefined || names.size !== node.children.size) return this.#complain('ReadResult', call, zxid, `at ${formatZxid(zxid)} shows ${names.size} children, there are ${node.children.size}${missing === undefined ? '' : `, and ${missing} is missing`}`);
    }
    if ('stat' in result) {
      const differs = this.#model.differs(call.path, zxid, result.stat as Stat);
      if (differs !== null) this.#complain('ReadResult', call, zxid, `at ${formatZxid(zxid)}: ${differs}`);
    }
  }

  #complain(invariant: string, call: Call, zxid: Zxid, what: string): void {
    this.#fail(invariant, `client ${call.client}'s ${call.kind}${call.path === '' ? '' : ` of ${call.path}`} ${what}`, relatedTo(call, zxid));
  }
}

function relatedTo(call: Call, zxid: Zxid): Related {
  return { processes: [`client-${call.client}`], zxids: call.ackedBefore > 0 ? [zxid, call.ackedBefore] : [zxid], sessions: [call.sessionId], paths: call.path === '' ? [] : [call.path] };
}

function multiDiffers(txn: Txn, result: Result | null): string | null {
  if (result !== null && result.kind !== 'multi') return `the result is ${result.kind}`;
  const errs = result?.results.map((each) => each.err) ?? [];
  if (txn.type === 'failedMulti') return result === null || (errs.length === txn.errs.length && errs.every((err, i) => err === txn.errs[i])) ? null : `it failed with ${txn.errs.join(' ')}, the reply says ${errs.join(' ')}`;
  if (txn.type !== 'multi') return `it is ${txn.type}`;
  if (result !== null && errs.length !== txn.txns.length) return `it has ${txn.txns.length} ops, the reply ${errs.length}`;
  const failed = errs.find((err) => err !== 0);
  return failed === undefined ? null : `it succeeded, the reply says ${failed}`;
}

function textOf(data: Uint8Array | null): string | null {
  return data === null ? null : Buffer.from(data.buffer, data.byteOffset, data.length).toString();
}
