/**
 * Where the servers say that the writes took effect that no client was told of, by the committed txns. The linearizability checker takes it for a
 * guess to begin with, and believes none of it.
 *
 * What writes a value is found by that: each is different. Txns that only delete and check carry nothing of their own; such a call took effect in a
 * txn of its session with the same parts, where its versions were there, that nobody else was told of, and that lies between what its client was
 * answered before and behind it. Where several calls fit, the one that can wait least comes first.
 */
import type { Zxid } from '../../coord/base/zxid.ts';
import type { MultiOpTxn, Txn } from '../../coord/tree/txn.ts';
import type { Call } from '../workloads/call.ts';
import type { Believed, LostCall } from './client-history.ts';
import type { Model } from './model.ts';

/** `answered`: the zxids of all writes that somebody was told of; `lost`: the writes that nobody was told of, in the order in which each client sent them. */
export function believedBy(model: Model, zxids: readonly Zxid[], answered: ReadonlySet<Zxid>, lost: readonly LostCall[]): Believed {
  const written = new Map<string, Zxid>();
  const deleted: { readonly zxid: Zxid; readonly shape: string }[] = [];
  const ended = new Map<bigint, Zxid>();
  for (const zxid of zxids) {
    const recorded = model.txn(zxid);
    if (recorded === undefined) continue;
    const { header: { sessionId }, txn } = recorded;
    if (txn.type === 'closeSession') ended.set(txn.sessionId, zxid);
    if (answered.has(zxid)) continue;
    const parts: readonly (Txn | MultiOpTxn)[] = txn.type === 'multi' ? txn.txns : [txn];
    const value = parts.map(valueOf).find((each) => each !== null);
    if (value !== undefined && value !== null) written.set(value, zxid);
    else if (txn.type === 'delete') deleted.push({ zxid, shape: `${sessionId} delete ${txn.path}` });
    else if (txn.type === 'multi') deleted.push({ zxid, shape: `${sessionId} multi ${txn.txns.map((part) => ('path' in part ? `${part.type} ${part.path}` : '')).join(' ')}` });
  }

  const found = new Map<Call, Zxid>();
  const waiting = new Map<string, LostCall[]>();
  for (const each of lost) {
    const { call } = each;
    const zxid = written.get(call.value);
    if (zxid !== undefined) found.set(call, zxid);
    const shape = shapeOf(call);
    if (shape === null) continue;
    const alike = waiting.get(shape);
    if (alike === undefined) waiting.set(shape, [each]);
    else alike.push(each);
  }
  for (const { zxid, shape } of deleted) {
    const alike = waiting.get(shape) ?? [];
    let first: LostCall | null = null;
    for (const each of alike) if (each.after < zxid && zxid < each.before && (first === null || each.before < first.before) && versionsFit(model, each.call, zxid)) first = each;
    if (first === null) continue;
    found.set(first.call, zxid);
    alike.splice(alike.indexOf(first), 1);
  }
  return { lost: (call) => found.get(call) ?? Infinity, ended: (sessionId) => ended.get(sessionId) ?? Infinity };
}

function valueOf(txn: Txn | MultiOpTxn): string | null {
  if ((txn.type !== 'create' && txn.type !== 'setData') || txn.data === null) return null;
  return Buffer.from(txn.data.buffer, txn.data.byteOffset, txn.data.length).toString();
}

/** Of a call that writes no value; null: it writes one. */
function shapeOf({ kind, path, sessionId, ops }: Call): string | null {
  if (kind === 'delete') return `${sessionId} delete ${path}`;
  if (kind !== 'multi' || ops === undefined || ops.some((op) => op.kind === 'set' || op.kind === 'create')) return null;
  return `${sessionId} multi ${ops.map((op) => `${op.kind} ${op.path}`).join(' ')}`;
}

function versionsFit(model: Model, { kind, path, version, ops }: Call, zxid: Zxid): boolean {
  const asked = kind === 'multi' ? ops ?? [] : [{ path, version }];
  return asked.every((each) => each.version === -1 || model.at(each.path, zxid - 1)?.version === each.version);
}
