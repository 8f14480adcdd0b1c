/** Hashes that are cheap and tell the contents of a run apart. */
import type { Zxid } from '../../coord/base/zxid.ts';
import { crc32 } from '../../coord/storage/crc32.ts';
import type { TxnGroup } from '../../coord/zab/txn-group.ts';

/** Of a log that ends with this group: two logs with the same hash at the same zxid hold the same from their beginning on. */
export function chainHash(before: number, lastZxid: Zxid, bytes: TxnGroup['bytes']): number {
  const h = Math.imul(before ^ crc32(bytes), 0x9e3779b1) ^ lastZxid % 0x1_0000_0000;
  return Math.imul(h ^ (h >>> 15), 0x85ebca6b) >>> 0;
}

/** The finalizer of MurmurHash3. */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
