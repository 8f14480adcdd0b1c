/** What holds for every sequence of requests, however many of them are outstanding. */
import test from 'ava';
import fc from 'fast-check';
import { DataTree } from '../../../coord/tree/data-tree.ts';
import { TxnGroupEncoder, decodeTxnGroup } from '../../../coord/tree/txn-codec.ts';
import type { HeadedTxn, Txn } from '../../../coord/tree/txn.ts';
import { TreeHarness, dump, reload, replay } from './harness.ts';
import { SESSIONS, steps } from './random-requests.ts';
import type { Step } from './random-requests.ts';

const RUNS = { numRuns: Number(process.env['DREY_RUNS'] ?? 150) };

function run(script: readonly Step[], options: { atOnce?: boolean; onTxn?: (txn: Txn) => void; afterStep?: (harness: TreeHarness) => void } = {}): TreeHarness {
  const harness = new TreeHarness();
  for (const session of SESSIONS) harness.createSession(session);
  harness.commit();
  for (const step of script) {
    harness.timeMs += 7;
    if (step.kind === 'commit') {
      harness.commit(step.count);
    } else {
      const txn = step.kind === 'request' ? harness.request(step.request, step.session)
        : step.kind === 'createSession' ? harness.createSession(step.session) : harness.closeSession(step.session);
      options.onTxn?.(txn);
      if (options.atOnce === true) harness.commit();
    }
    options.afterStep?.(harness);
  }
  harness.commit();
  return harness;
}

test('what is prepared over outstanding txns is what would have been prepared over their result', (t) => {
  fc.assert(fc.property(steps, (script) => {
    const deep: Txn[] = [];
    const flat: Txn[] = [];
    const a = run(script, { onTxn: (txn) => deep.push(txn) });
    const b = run(script, { onTxn: (txn) => flat.push(txn), atOnce: true });
    t.deepEqual(deep.map(normal), flat.map(normal));
    t.deepEqual(dump(a.tree), dump(b.tree));
    t.is(a.prep.outstandingCount, 0);
  }), RUNS);
  t.pass();
});

test('a follower that applies the decoded txns has the same tree, and the same digest', (t) => {
  fc.assert(fc.property(steps, (script) => {
    const harness = run(script);
    t.deepEqual(dump(harness.follower), dump(harness.tree));
  }), RUNS);
  t.pass();
});

test('an applied txn is never refused, and counters only go up', (t) => {
  fc.assert(fc.property(steps, (script) => {
    const harness = new TreeHarness();
    for (const session of SESSIONS) harness.createSession(session);
    harness.commit();
    for (const step of script) {
      if (step.kind === 'commit') continue;
      const txn = step.kind === 'request' ? harness.request(step.request, step.session)
        : step.kind === 'createSession' ? harness.createSession(step.session) : harness.closeSession(step.session);
      const before = harness.tree.get('/')?.cversion as number;
      const result = harness.commit()[0];
      t.is(result?.err, txn.type === 'error' ? txn.err : 0);
      if (result?.result?.kind === 'multi' && txn.type === 'multi') t.true(result.result.results.every((sub) => sub.err === 0));
      t.true((harness.tree.get('/')?.cversion as number) >= before);
    }
  }), RUNS);
  t.pass();
});

test('replaying any suffix over a newer state ends in the same state', (t) => {
  fc.assert(fc.property(steps, fc.double({ min: 0, max: 1, noNaN: true }), (script, from) => {
    const harness = run(script);
    const expected = dump(harness.tree);
    const start = Math.floor(from * harness.log.length);
    for (const group of harness.log.slice(start)) replay(harness.tree, group);
    t.deepEqual(dump(harness.tree), expected);
  }), RUNS);
  t.pass();
});

test('the dirty entries, taken at any time, rebuild the tree', (t) => {
  fc.assert(fc.property(steps, fc.integer({ min: 1, max: 20 }), (script, every) => {
    const stored = new Map<string, Uint8Array>();
    let count = 0;
    const flush = (harness: TreeHarness): void => {
      const { puts, dels } = harness.tree.takeDirty();
      t.false(puts.some(([key]) => dels.includes(key)));
      for (const key of dels) stored.delete(key);
      for (const [key, value] of puts) stored.set(key, value);
      t.is(harness.tree.dirtyCount, 0);
      if (harness.tree.lastProcessedZxid > 0) t.deepEqual(dump(reload(stored, harness.tree.lastProcessedZxid)), dump(harness.tree));
    };
    const harness = run(script, { afterStep: (h) => { if (++count % every === 0) flush(h); } });
    flush(harness);
    t.deepEqual(dump(reload(harness.tree.entries(), harness.zxid)), dump(harness.tree));
    t.deepEqual(dump(reload([...harness.tree.entries()].reverse(), harness.zxid)), dump(harness.tree));
  }), RUNS);
  t.pass();
});

test('a group of txns survives its encoding; a cut or flipped one is refused or another group, never a crash', (t) => {
  fc.assert(fc.property(steps, fc.nat(), fc.integer({ min: 1, max: 255 }), (script, at, flip) => {
    const txns: Txn[] = [];
    run(script, { onTxn: (txn) => txns.push(txn) });
    const encoder = new TxnGroupEncoder();
    encoder.begin(50);
    const headed: HeadedTxn[] = txns.map((txn, i) => ({
      header: { zxid: 50 + i, timeMs: 1000 + Math.floor(i / 3), sessionId: -(2n ** 63n) + BigInt(i % 4), originId: 4_000_000_000, requestNo: 2 ** 40 + i }, txn,
    }));
    for (const { header, txn } of headed) encoder.add(header, txn);
    t.is(encoder.count, txns.length);
    const bytes = encoder.finish();
    t.is(bytes.length, encoder.byteLength);
    const decoded: HeadedTxn[] = [];
    t.is(decodeTxnGroup(bytes, 50, (header, txn) => decoded.push({ header: { ...header }, txn })), txns.length);
    t.deepEqual(decoded.map(({ header, txn }) => ({ header, txn: normal(txn) })), headed.map(({ header, txn }) => ({ header, txn: normal(txn) })));

    if (bytes.length === 0) return;
    const cut = bytes.slice(0, at % bytes.length);
    const bad = bytes.slice();
    bad[at % bad.length] = (bad[at % bad.length] as number) ^ flip;
    for (const damaged of [cut, bad]) {
      try {
        decodeTxnGroup(damaged, 50, () => {});
      } catch (error) {
        t.is((error as { code?: string }).code, 'COORD_TXN');
      }
    }
  }), RUNS);
  t.pass();
});

test('state entries that fit nowhere are refused', (t) => {
  const harness = new TreeHarness();
  harness.createSession(1n);
  harness.commit();
  const [key, value] = [...harness.tree.entries()].find(([k]) => k === 'z/zookeeper') as [string, Uint8Array];
  t.throws(() => reload([['z/none/child', value]], 1), { code: 'COORD_STATE', message: /parent is missing/ });
  t.throws(() => new DataTree().loadEntry(key, value.slice(0, -1)), { code: 'COORD_STATE' });
  t.throws(() => new DataTree().loadEntry(key, new Uint8Array(0)), { code: 'COORD_STATE' });
  t.throws(() => new DataTree().loadEntry('sxyz', value), { code: 'COORD_STATE' });
  t.throws(() => new DataTree().loadEntry('q', value), { code: 'COORD_STATE' });
});

/** Buffers and typed arrays compare alike. */
function normal(txn: unknown): unknown {
  return JSON.parse(JSON.stringify(txn, (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value);
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    if (value !== null && typeof value === 'object' && (value as { type?: string }).type === 'Buffer') return Buffer.from((value as { data: number[] }).data).toString('hex');
    return value;
  }));
}
