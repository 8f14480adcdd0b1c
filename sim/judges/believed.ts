/**
 * Where the servers say that the writes took effect that no client was told of, by the committed txns. The linearizability checker takes it for a
 * guess to begin with, and believes none of it.
 */
import type { Zxid } from '../../coord/base/zxid.ts';
import type { Believed } from './client-history.ts';
import type { Model } from './model.ts';

/** `answered`: the zxids of all writes that somebody was told of. */
export function believedBy(model: Model, zxids: readonly Zxid[], answered: ReadonlySet<Zxid>): Believed {
  /** What a client writes is different each time. */
  const written = new Map<string, Zxid>();
  const deleted = new Map<string, Zxid[]>();
  const ended = new Map<bigint, Zxid>();
  for (const zxid of zxids) {
    const recorded = model.txn(zxid);
    if (recorded === undefined) continue;
    const { header: { sessionId }, txn } = recorded;
    if (txn.type === 'closeSession') ended.set(txn.sessionId, zxid);
    const parts = txn.type === 'multi' ? txn.txns : [txn];
    for (const part of parts) {
      if ((part.type === 'create' || part.type === 'setData') && part.data !== null) written.set(Buffer.from(part.data.buffer, part.data.byteOffset, part.data.length).toString(), zxid);
      else if (part.type === 'delete') {
        const key = `${sessionId}${part.path}`;
        const known = deleted.get(key);
        if (known === undefined) deleted.set(key, [zxid]);
        else known.push(zxid);
      }
    }
  }
  /** Deletes carry no value: those of one session on one path are taken in order. */
  const taken = new Map<string, number>();
  return {
    lost: (call, before) => {
      const deletes = call.kind === 'delete' ? call.path : call.ops?.find(({ kind }) => kind === 'delete')?.path;
      const writes = call.kind !== 'delete' && (call.ops === undefined || call.ops.some(({ kind }) => kind === 'set' || kind === 'create'));
      if (writes) return written.get(call.value) ?? Infinity;
      if (deletes === undefined) return Infinity;
      const key = `${call.sessionId}${deletes}`;
      const zxid = deleted.get(key)?.find((each) => each > call.ackedBefore && each > (taken.get(key) ?? 0) && each < before && !answered.has(each)) ?? Infinity;
      if (zxid !== Infinity) taken.set(key, zxid);
      return zxid;
    },
    ended: (sessionId) => ended.get(sessionId) ?? Infinity,
  };
}
