/**
 * Rules of the committed txns themselves, each looked at once, in order.
 *
 *   SessionOrder      writes of a client in a session are committed in the order in which it sent them, over all its connections
 *   SessionRules      nothing of a session applies after its closeSession, and an ephemeral belongs to a session that lives
 *   SequenceNumbers   sequential children of a parent get numbers that only grow; the counter of creates never goes back
 *   MultiAtomicity    a multi is all or nothing: one that failed says at which op, and every op of one that did not is possible where it stands
 *
 * Sources: ZooKeeper's consistency guarantees; ZOOKEEPER-1208 (create after close), 2355, 2052, 1624 (multi), 3249 (cversion moved back).
 */
import { formatZxid } from '../../coord/base/zxid.ts';
import type { Txn, TxnHeader } from '../../coord/tree/txn.ts';
import { Code } from '../../coord/wire/codes.ts';
import type { Fail } from './fail.ts';
import { parentOf } from './model.ts';

const NUMBERED = /\d{10}$/;

export class TxnRules {
  readonly #fail: Fail;
  /** The newest write of each client in each session. */
  readonly #written = new Map<bigint, Map<string, number>>();
  readonly #ended = new Set<bigint>();
  /** The newest number among the sequential children of a parent. */
  readonly #numbers = new Map<string, number>();

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  apply(header: TxnHeader, txn: Txn): void {
    this.#compareSession(header, txn);
    switch (txn.type) {
      case 'create':
        this.#compareNumber(header, txn.path);
        this.#compareOrder(header, txn.data);
        return;
      case 'setData':
        this.#compareOrder(header, txn.data);
        return;
      case 'multi': {
        const writes = txn.txns.find((each) => each.type === 'create' || each.type === 'setData');
        for (const each of txn.txns) {
          if (each.type === 'create') this.#compareNumber(header, each.path);
          else if (each.type === 'delete') this.#numbers.delete(each.path);
        }
        if (writes !== undefined && 'data' in writes) this.#compareOrder(header, writes.data);
        return;
      }
      case 'delete':
        // Whoever comes to this path next begins to count anew.
        this.#numbers.delete(txn.path);
        return;
      case 'failedMulti':
        this.#compareErrors(header, txn.errs);
        return;
      default:
        return;
    }
  }

  #compareSession({ zxid, sessionId }: TxnHeader, txn: Txn): void {
    if (txn.type === 'createSession') {
      if (this.#ended.has(txn.sessionId)) this.#fail('SessionRules', `session 0x${txn.sessionId.toString(16)} begins at ${formatZxid(zxid)}, after its end`, { zxids: [zxid], sessions: [txn.sessionId] });
    } else if (txn.type === 'closeSession') this.#ended.add(txn.sessionId);
    else if (this.#ended.has(sessionId) && txn.type !== 'error' && txn.type !== 'failedMulti') {
      this.#fail('SessionRules', `${formatZxid(zxid)} is a ${txn.type} of session 0x${sessionId.toString(16)}, which had been closed`, { zxids: [zxid], sessions: [sessionId], paths: 'path' in txn ? [txn.path] : [] });
    }
  }

  /** Clients number what they write: "client:number", and perhaps more. */
  #compareOrder({ zxid, sessionId }: TxnHeader, data: Uint8Array | null): void {
    if (data === null) return;
    const colon = colonOf(data);
    if (colon < 1) return;
    const text = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, 24)).toString('latin1');
    const number = Number.parseInt(text.slice(colon + 1), 10);
    if (Number.isNaN(number)) return;
    const client = text.slice(0, colon);
    let written = this.#written.get(sessionId);
    if (written === undefined) this.#written.set(sessionId, written = new Map());
    const last = written.get(client) ?? -1;
    if (number <= last) this.#fail('SessionOrder', `${formatZxid(zxid)} is write ${number} of client ${client}, whose write ${last} has been committed before`, { zxids: [zxid], sessions: [sessionId], processes: [`client-${client}`] });
    written.set(client, number);
  }

  #compareNumber({ zxid }: TxnHeader, path: string): void {
    if (!NUMBERED.test(path)) return;
    const parent = parentOf(path);
    const number = Number(path.slice(-10));
    const last = this.#numbers.get(parent) ?? -1;
    if (number <= last) this.#fail('SequenceNumbers', `${formatZxid(zxid)} creates ${path} after number ${last} was given below ${parent}`, { zxids: [zxid], paths: [path, parent] });
    this.#numbers.set(parent, number);
  }

  /** As ZooKeeper says it: nothing before the op that failed, its reason, and "not tried" behind it. */
  #compareErrors({ zxid, sessionId }: TxnHeader, errs: readonly number[]): void {
    const at = errs.findIndex((err) => err !== 0);
    if (at >= 0 && errs[at] !== Code.RUNTIMEINCONSISTENCY && errs.slice(at + 1).every((err) => err === Code.RUNTIMEINCONSISTENCY)) return;
    this.#fail('MultiAtomicity', `the failed multi ${formatZxid(zxid)} says ${errs.join(' ')}, which is not one failure`, { zxids: [zxid], sessions: [sessionId] });
  }
}

/** Where the first colon is; -1: not within a client's number. */
function colonOf(data: Uint8Array): number {
  for (let at = 0; at <= CLIENT_BYTES && at < data.length; at++) if (data[at] === 0x3a) return at;
  return -1;
}

const CLIENT_BYTES = 8;
