/**
 * One znode or session as bytes in the state store. Keys: 'z' + path; 's' + the session id as 16 hex digits. Values begin with a format byte.
 * Left to others: checksums and generations (coord/storage).
 */
import { DreyError } from '../base/errors.ts';
import type { Acl } from '../wire/types.ts';
import { OPEN_ACL } from './acl.ts';
import { KINDS } from './znode.ts';
import type { Znode } from './znode.ts';
import type { SessionState } from './session-table.ts';

export function znodeKey(path: string): string {
  return `z${path}`;
}

export function sessionKey(sessionId: bigint): string {
  return `s${BigInt.asUintN(64, sessionId).toString(16).padStart(16, '0')}`;
}

/** The id in a key that starts with 's'. */
export function sessionIdOfKey(key: string): bigint {
  if (!/^s[0-9a-f]{16}$/.test(key)) throw badEntry(key, 'not a session key');
  return BigInt.asIntN(64, BigInt(`0x${key.slice(1)}`));
}

export function encodeZnode(node: Znode): Uint8Array {
  const { acl, data } = node;
  const aclText = acl === OPEN_ACL ? null : JSON.stringify(acl.map((entry) => [entry.perms, entry.scheme, entry.id]));
  const aclBytes = aclText === null ? 0 : Buffer.byteLength(aclText);
  const bytes = Buffer.allocUnsafe(FIXED + aclBytes + node.dataLength);
  bytes[0] = FORMAT;
  bytes[1] = KINDS.indexOf(node.kind);
  let at = 2;
  at = bytes.writeDoubleLE(node.czxid, at);
  at = bytes.writeDoubleLE(node.mzxid, at);
  at = bytes.writeDoubleLE(node.pzxid, at);
  at = bytes.writeDoubleLE(node.ctime, at);
  at = bytes.writeDoubleLE(node.mtime, at);
  at = bytes.writeDoubleLE(node.ttlMs, at);
  at = bytes.writeBigInt64LE(node.ephemeralOwner, at);
  at = bytes.writeInt32LE(node.version, at);
  at = bytes.writeInt32LE(node.creates, at);
  at = bytes.writeInt32LE(node.aversion, at);
  at = bytes.writeInt32LE(aclText === null ? -1 : aclBytes, at);
  if (aclText !== null) at += bytes.write(aclText, at, 'utf8');
  at = bytes.writeInt32LE(data === null ? -1 : data.length, at);
  if (data !== null) bytes.set(data, at);
  return bytes;
}

/** Fills a new znode. Throws a DreyError COORD_STATE when the value is no znode. */
export function decodeZnode(node: Znode, key: string, value: Uint8Array): void {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  const kind = KINDS[bytes[1] ?? 255];
  if (bytes.length < FIXED || bytes[0] !== FORMAT || kind === undefined) throw badEntry(key, 'not a znode');
  node.kind = kind;
  node.czxid = bytes.readDoubleLE(2);
  node.mzxid = bytes.readDoubleLE(10);
  node.pzxid = bytes.readDoubleLE(18);
  node.ctime = bytes.readDoubleLE(26);
  node.mtime = bytes.readDoubleLE(34);
  node.ttlMs = bytes.readDoubleLE(42);
  const owner = bytes.readBigInt64LE(50);
  node.ephemeralOwner = owner === 0n ? 0n : owner;
  node.version = bytes.readInt32LE(58);
  node.creates = bytes.readInt32LE(62);
  node.aversion = bytes.readInt32LE(66);
  const aclLength = bytes.readInt32LE(70);
  const dataAt = 74 + Math.max(aclLength, 0);
  if (aclLength < -1 || dataAt + 4 > bytes.length) throw badEntry(key, 'its ACL is cut short');
  node.acl = aclLength === -1 ? OPEN_ACL : parseAcl(key, bytes.toString('utf8', 74, dataAt));
  const dataLength = bytes.readInt32LE(dataAt);
  if (dataAt + 4 + Math.max(dataLength, 0) !== bytes.length) throw badEntry(key, 'its data is cut short');
  node.setData(dataLength === -1 ? null : bytes.subarray(dataAt + 4));
}

export function encodeSession(session: SessionState): Uint8Array {
  const bytes = new Uint8Array(5 + session.password.length);
  bytes[0] = FORMAT;
  new DataView(bytes.buffer).setInt32(1, session.timeoutMs, true);
  bytes.set(session.password, 5);
  return bytes;
}

export function decodeSession(key: string, value: Uint8Array): SessionState {
  if (value.length < 5 || value[0] !== FORMAT) throw badEntry(key, 'not a session');
  const timeoutMs = new DataView(value.buffer, value.byteOffset, value.length).getInt32(1, true);
  return { timeoutMs, password: value.slice(5), ephemerals: new Set() };
}

export function badEntry(key: string, why: string): DreyError {
  return new DreyError('COORD_STATE', `state entry ${JSON.stringify(key)}: ${why}`);
}

function parseAcl(key: string, text: string): readonly Acl[] {
  try {
    return (JSON.parse(text) as [number, string, string][]).map(([perms, scheme, id]) => ({ perms, scheme, id }));
  } catch (error) {
    throw new DreyError('COORD_STATE', `state entry ${JSON.stringify(key)}: its ACL cannot be read`, { cause: error });
  }
}

const FORMAT = 1;
/** Of a znode without ACL entries and data. */
const FIXED = 78;
