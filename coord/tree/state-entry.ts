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
  fixed[0] = FORMAT;
  fixed[1] = KINDS.indexOf(node.kind);
  fixedView.setFloat64(2, node.czxid, true);
  fixedView.setFloat64(10, node.mzxid, true);
  fixedView.setFloat64(18, node.pzxid, true);
  fixedView.setFloat64(26, node.ctime, true);
  fixedView.setFloat64(34, node.mtime, true);
  fixedView.setFloat64(42, node.ttlMs, true);
  fixedView.setBigInt64(50, node.ephemeralOwner, true);
  fixedView.setInt32(58, node.version, true);
  fixedView.setInt32(62, node.creates, true);
  fixedView.setInt32(66, node.aversion, true);
  fixedView.setInt32(70, aclText === null ? -1 : aclBytes, true);
  const dataLength = data === null ? -1 : data.length;
  fixedView.setInt32(ACL_AT, dataLength, true);
  const bytes = Buffer.allocUnsafe(FIXED + aclBytes + node.dataLength);
  bytes.set(fixed);
  // The ACL comes between.
  if (aclText !== null) bytes.writeInt32LE(dataLength, ACL_AT + bytes.write(aclText, ACL_AT, 'utf8'));
  if (data !== null) bytes.set(data, FIXED + aclBytes);
  return bytes;
}

/** Fills a new znode. Throws a DreyError COORD_STATE when the value is no znode. */
export function decodeZnode(node: Znode, key: string, value: Uint8Array): void {
  const kind = KINDS[value[1] ?? 255];
  if (value.length < FIXED || value[0] !== FORMAT || kind === undefined) throw badEntry(key, 'not a znode');
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  node.kind = kind;
  node.czxid = view.getFloat64(2, true);
  node.mzxid = view.getFloat64(10, true);
  node.pzxid = view.getFloat64(18, true);
  node.ctime = view.getFloat64(26, true);
  node.mtime = view.getFloat64(34, true);
  node.ttlMs = view.getFloat64(42, true);
  const owner = view.getBigInt64(50, true);
  node.ephemeralOwner = owner === 0n ? 0n : owner;
  node.version = view.getInt32(58, true);
  node.creates = view.getInt32(62, true);
  node.aversion = view.getInt32(66, true);
  const aclLength = view.getInt32(70, true);
  const dataAt = ACL_AT + Math.max(aclLength, 0);
  if (aclLength < -1 || dataAt + 4 > value.length) throw badEntry(key, 'its ACL is cut short');
  node.acl = aclLength === -1 ? OPEN_ACL : parseAcl(key, Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8', ACL_AT, dataAt));
  const dataLength = view.getInt32(dataAt, true);
  if (dataAt + 4 + Math.max(dataLength, 0) !== value.length) throw badEntry(key, 'its data is cut short');
  node.setData(dataLength === -1 ? null : value.subarray(dataAt + 4));
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
/** Where the ACL begins, or, when there is none, the length of the data. */
const ACL_AT = FIXED - 4;
/** Scratch: the numbers of a znode. Through a view, whose ways to write them are compiled in. */
const fixed = new Uint8Array(FIXED);
const fixedView = new DataView(fixed.buffer);
