/**
 * The tree's digest: the sum, modulo 2^32, of one hash per znode and per session. A sum, because it can be kept up to date by the difference
 * one txn makes, and because it does not depend on the order. It finds replicas that differ; it is not meant to resist an adversary.
 */
import { hashString } from '../base/prng.ts';
import type { Acl } from '../wire/types.ts';
import type { Znode } from './znode.ts';

export function znodeDigest(node: Znode): number {
  let h = node.pathHash;
  h = mixNumber(h, node.czxid);
  h = mixNumber(h, node.mzxid);
  h = mixNumber(h, node.pzxid);
  h = mixNumber(h, node.ctime);
  h = mixNumber(h, node.mtime);
  h = mix(h, node.version);
  h = mix(h, node.creates);
  h = mix(h, node.aversion);
  h = mix(h, node.dataLength);
  h = mix(h, node.dataHash);
  h = mix(h, node.aclHash);
  if (node.ephemeralOwner !== 0n) h = mixBigint(h, node.ephemeralOwner);
  if (node.ttlMs !== 0) h = mixNumber(h, node.ttlMs);
  return mix(h, node.kind.length);
}

export function sessionDigest(sessionId: bigint, timeoutMs: number, password: Uint8Array): number {
  return mix(mix(mixBigint(0x5e55, sessionId), timeoutMs), hashBytes(password));
}

/** Never 0, which stands for null data. */
export function hashBytes(bytes: Uint8Array): number {
  let h = bytes.length + 1;
  const step = bytes.length <= EVERY_BYTE_MAX ? 1 : 1 + Math.floor(bytes.length / EVERY_BYTE_MAX);
  for (let i = 0; i < bytes.length; i += step) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  return h === 0 ? 1 : h;
}

export function hashAcl(acl: readonly Acl[]): number {
  let h = acl.length;
  for (const entry of acl) h = mix(mix(mix(h, entry.perms), hashString(entry.scheme)), hashString(entry.id));
  return h;
}

export const OPEN_ACL_HASH = hashAcl([{ perms: 31, scheme: 'world', id: 'anyone' }]);

function mix(h: number, x: number): number {
  const m = Math.imul(h ^ x, 0x9e3779b1);
  return m ^ (m >>> 15);
}

function mixNumber(h: number, x: number): number {
  return mix(mix(h, x | 0), (x / 4294967296) | 0);
}

function mixBigint(h: number, x: bigint): number {
  scratch64[0] = x;
  return mix(mix(h, scratch32[0] as number), scratch32[1] as number);
}

const scratch64 = new BigInt64Array(1);
const scratch32 = new Int32Array(scratch64.buffer);
/** Longer data is sampled: a digest is taken for every write. */
const EVERY_BYTE_MAX = 256;
