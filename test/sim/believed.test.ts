/** The order in which the servers say that everything happened: where it is right, the checker needs one step an operation. */
import test from 'ava';
import { makeZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { CreateTxn, Txn } from '../../coord/tree/txn.ts';
import { Code } from '../../coord/wire/codes.ts';
import { believedBy } from '../../sim/judges/believed.ts';
import { ClientHistory } from '../../sim/judges/client-history.ts';
import { Model } from '../../sim/judges/model.ts';
import type { Call, CallOp } from '../../sim/workloads/call.ts';

const NO_STAT = { czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n, dataLength: 0, numChildren: 0 };
const at = (counter: number): Zxid => makeZxid(1, counter);

/** What is committed, one after the other, and what its clients know of it. */
class Story {
  readonly history = new ClientHistory();
  readonly #refused: string[] = [];
  readonly #model = new Model((invariant, message) => this.#refused.push(`${invariant}: ${message}`));
  readonly #zxids: Zxid[] = [];
  #creates = 0;
  #nowMs = 0;

  constructor(...sessions: bigint[]) {
    for (const sessionId of sessions) this.commit({ type: 'createSession', sessionId, timeoutMs: 1000, password: new Uint8Array(16) }, 0n);
  }
  commit(txn: Txn, sessionId = 1n): Zxid {
    const zxid = at(this.#zxids.length + 1);
    this.#zxids.push(zxid);
    this.#model.apply({ zxid, timeMs: 0, sessionId, originId: 0, requestNo: 1 }, txn);
    return zxid;
  }
  creates(path: string, value: string): CreateTxn {
    return { type: 'create', path, data: Buffer.from(value), acl: [], kind: 'persistent', ttlMs: 0, parentCVersion: ++this.#creates, withStat: false };
  }
  call(kind: Call['kind'], path: string, more: Partial<Call> = {}): Call {
    return { client: 1, kind, path, value: `no value ${this.#nowMs}`, version: -1, sessionId: 1n, invokedMs: ++this.#nowMs, ackedBefore: 0, ...more };
  }
  create(path: string, value: string): void {
    const call = this.call('create', path, { value });
    this.history.answered(call, ++this.#nowMs, this.commit(this.creates(path, value)), 0, { kind: 'path', path });
  }
  set(path: string, value: string, version: number): void {
    const call = this.call('set', path, { value });
    this.history.answered(call, ++this.#nowMs, this.commit({ type: 'setData', path, data: Buffer.from(value), version }), 0, { kind: 'stat', stat: { ...NO_STAT, version } });
  }
  /** Read by somebody else. */
  isGone(path: string): void {
    this.history.answered(this.call('sync-get', path, { client: 9, sessionId: 9n }), ++this.#nowMs, at(this.#zxids.length), Code.NONODE, null);
  }
  /** What the checker says, and whether it needs no more than a step an operation. */
  verdict(): { kind: string; atOnce: boolean } {
    const { history } = this;
    if (this.#refused.length > 0) throw new Error(this.#refused[0]);
    const found = history.check(believedBy(this.#model, this.#zxids, history.answeredZxids(), history.lost()));
    return { kind: found.kind, atOnce: found.kind === 'ok' && found.steps <= found.operations };
  }
}
const DONE_AT_ONCE = { kind: 'ok', atOnce: true };

test('of two deletes that nobody was told of, the one whose version was there happened', (t) => {
  const story = new Story(1n);
  const { history } = story;
  story.create('/k', 'a');
  story.set('/k', 'b', 1);
  history.unknown(story.call('delete', '/k', { version: 0 }));
  history.unknown(story.call('delete', '/k'));
  story.commit({ type: 'error', err: Code.BADVERSION });
  story.commit({ type: 'delete', path: '/k' });
  story.isGone('/k');
  t.deepEqual(story.verdict(), DONE_AT_ONCE);
});

test('a delete is not taken for a multi that deletes the same', (t) => {
  const story = new Story(1n);
  const { history } = story;
  const ops: CallOp[] = ['/a', '/b'].map((path) => ({ kind: 'delete', path, version: -1 }));
  story.create('/a', 'a');
  story.create('/b', 'b');
  history.unknown(story.call('multi', '/a', { ops }));
  history.unknown(story.call('delete', '/a'));
  story.commit({ type: 'failedMulti', errs: [] });
  story.commit({ type: 'delete', path: '/a' });
  story.isGone('/a');
  story.history.answered(story.call('sync-get', '/b', { client: 9, sessionId: 9n }), 100, at(6), 0, { kind: 'data', data: Buffer.from('b'), stat: NO_STAT });
  t.deepEqual(story.verdict(), DONE_AT_ONCE);
});

test('clients that share a session: whoever can wait least', (t) => {
  const story = new Story(1n);
  const { history } = story;
  story.create('/k', 'a');
  history.unknown(story.call('delete', '/k', { client: 2 }));
  history.unknown(story.call('delete', '/k', { client: 1 }));
  story.commit({ type: 'delete', path: '/k' });
  // From here on client 1's delete cannot happen any more, client 2's may.
  story.create('/k', 'b');
  story.commit({ type: 'delete', path: '/k' });
  story.isGone('/k');
  t.deepEqual(story.verdict(), DONE_AT_ONCE);
});

test('a delete that was answered is not another one\'s', (t) => {
  const story = new Story(1n);
  const { history } = story;
  story.create('/k', 'a');
  history.unknown(story.call('delete', '/k', { client: 2 }));
  const call = story.call('delete', '/k');
  history.answered(call, 50, story.commit({ type: 'delete', path: '/k' }), 0, null);
  story.create('/k', 'b');
  story.commit({ type: 'delete', path: '/k' });
  story.isGone('/k');
  t.deepEqual(story.verdict(), DONE_AT_ONCE);
});
