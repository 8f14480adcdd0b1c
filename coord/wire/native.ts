/**
 * The native protocol: the same requests and replies as ZooKeeper's records, as msgpack arrays, one per WebSocket message. The fields and
 * their order are those of ZooKeeper's record of the opcode; docs/protocol/native.md has the tables.
 *
 * Int64s that are numbers to us may come as msgpack integers or as float64 holding an integer; session ids are int64 always.
 * Bad input as in requests.ts: a body that is wrong sets `malformed`, a frame without xid and op is refused.
 */
import { assertNever } from '../base/assert.ts';
import { DreyError } from '../base/errors.ts';
import type { Zxid } from '../base/zxid.ts';
import { Code, OpCode, Xid } from './codes.ts';
import { PASSWORD_BYTES, type ConnectResponse } from './connect.ts';
import { marshallingError } from './jute.ts';
import { decodeMsgpack, encodeMsgpack } from './msgpack.ts';
import { watchKind } from './requests.ts';
import { ClientRequest, type Acl, type ConnectRequest, type MultiResult, type Result, type Stat } from './types.ts';

export const NATIVE_PROTOCOL_VERSION = 1;
const CODE = 'COORD_MARSHALLING';
const NONE: readonly string[] = [];
const INT32 = 2 ** 31;

// ------------------------------------------------------------ handshake

/** [0, -10, protocolVersion, lastZxidSeen, timeoutMs, sessionId, password, readOnly] */
export function encodeNativeConnect(request: ConnectRequest): Buffer {
  return encodeMsgpack([
    0, OpCode.createSession, NATIVE_PROTOCOL_VERSION, request.lastZxidSeen, request.timeoutMs, request.sessionId, request.password, request.readOnly,
  ]);
}

/** null: the frame is no ConnectRequest of this version. */
export function decodeNativeConnect(frame: Uint8Array): ConnectRequest | null {
  try {
    const f = array(decodeMsgpack(frame, CODE));
    if (f[0] !== 0 || f[1] !== OpCode.createSession || f[2] !== NATIVE_PROTOCOL_VERSION) return null;
    const password = bytes(f[6]);
    return {
      protocolVersion: NATIVE_PROTOCOL_VERSION, lastZxidSeen: long(f[3]), timeoutMs: int(f[4]), sessionId: bigLong(f[5]),
      password: password === null ? new Uint8Array(PASSWORD_BYTES) : Uint8Array.prototype.slice.call(password), readOnly: bool(f[7]), hasReadOnly: true,
    };
  } catch (error) {
    if (error instanceof DreyError) return null;
    throw error;
  }
}

/** [0, 0, 0, timeoutMs, sessionId, password, readOnly] */
export function encodeNativeConnected(response: ConnectResponse): Buffer {
  const gone = response.timeoutMs <= 0;
  return encodeMsgpack([0, 0, 0, response.timeoutMs, gone ? 0n : response.sessionId, gone ? new Uint8Array(PASSWORD_BYTES) : response.password, response.readOnly]);
}

/** Throws COORD_MARSHALLING. */
export function decodeNativeConnected(frame: Uint8Array): ConnectResponse {
  const f = array(decodeMsgpack(frame, CODE));
  const password = bytes(f[5]) ?? new Uint8Array(PASSWORD_BYTES);
  return { protocolVersion: 0, timeoutMs: int(f[3]), sessionId: bigLong(f[4]), password: Uint8Array.prototype.slice.call(password), readOnly: bool(f[6]) };
}

// ------------------------------------------------------------ requests

/** [xid, op, field, …] */
export function encodeNativeRequest(request: ClientRequest): Buffer {
  return encodeMsgpack([request.xid, request.op, ...requestFields(request)]);
}

function requestFields(r: ClientRequest): unknown[] {
  switch (r.op) {
    case OpCode.getData:
    case OpCode.exists:
    case OpCode.getChildren:
    case OpCode.getChildren2:
      return [r.path, r.watch];
    case OpCode.setData:
      return [r.path, r.data, r.version];
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
      return [r.path, r.data, aclFields(r.acl), r.flags];
    case OpCode.createTTL:
      return [r.path, r.data, aclFields(r.acl), r.flags, r.ttlMs];
    case OpCode.delete:
    case OpCode.check:
      return [r.path, r.version];
    case OpCode.sync:
    case OpCode.getACL:
    case OpCode.getEphemerals:
    case OpCode.getAllChildrenNumber:
      return [r.path];
    case OpCode.setACL:
      return [r.path, aclFields(r.acl), r.version];
    case OpCode.addWatch:
    case OpCode.checkWatches:
    case OpCode.removeWatches:
      return [r.path, r.flags];
    case OpCode.auth:
      return [r.scheme, r.data];
    case OpCode.setWatches:
      return [r.relativeZxid, r.dataWatches, r.existWatches, r.childWatches];
    case OpCode.setWatches2:
      return [r.relativeZxid, r.dataWatches, r.existWatches, r.childWatches, r.persistentWatches, r.persistentRecursiveWatches];
    case OpCode.multi:
    case OpCode.multiRead:
      return [(r.ops ?? []).map((op) => [op.op, ...requestFields(op)])];
    default:
      return [];
  }
}

function aclFields(acl: readonly Acl[] | null): unknown {
  return acl === null ? null : acl.map(({ perms, scheme, id }) => [perms, scheme, id]);
}

const blank = new ClientRequest();

/** False: not even [xid, op, …]; the connection cannot go on. Data is a view into the frame. */
export function decodeNativeRequest(frame: Uint8Array, into: ClientRequest): boolean {
  Object.assign(into, blank);
  let f: unknown[];
  try {
    f = array(decodeMsgpack(frame, CODE));
    into.xid = int(f[0]);
    into.op = int(f[1]) as OpCode;
  } catch (error) {
    if (error instanceof DreyError) return false;
    throw error;
  }
  const { xid, op } = into;
  try {
    readFields(f, 2, into);
  } catch (error) {
    if (!(error instanceof DreyError)) throw error;
    Object.assign(into, blank);
    into.xid = xid;
    into.op = op;
    into.malformed = Code.MARSHALLINGERROR;
  }
  return true;
}

function readFields(f: unknown[], at: number, into: ClientRequest): void {
  switch (into.op) {
    case OpCode.getData:
    case OpCode.exists:
    case OpCode.getChildren:
    case OpCode.getChildren2:
      into.path = text(f[at]);
      into.watch = bool(f[at + 1]);
      return;
    case OpCode.sync:
    case OpCode.getACL:
    case OpCode.getEphemerals:
    case OpCode.getAllChildrenNumber:
      into.path = text(f[at]);
      return;
    case OpCode.setACL:
      into.path = text(f[at]);
      into.acl = acls(f[at + 1]);
      into.version = int(f[at + 2]);
      return;
    case OpCode.addWatch:
    case OpCode.checkWatches:
    case OpCode.removeWatches:
      into.path = text(f[at]);
      into.flags = watchKind(into.op, int(f[at + 1]));
      return;
    case OpCode.auth:
      into.scheme = text(f[at]);
      into.data = bytes(f[at + 1]);
      return;
    case OpCode.setWatches:
    case OpCode.setWatches2:
      into.relativeZxid = Math.max(0, long(f[at]));
      into.dataWatches = texts(f[at + 1]);
      into.existWatches = texts(f[at + 2]);
      into.childWatches = texts(f[at + 3]);
      into.persistentWatches = into.op === OpCode.setWatches2 ? texts(f[at + 4]) : NONE;
      into.persistentRecursiveWatches = into.op === OpCode.setWatches2 ? texts(f[at + 5]) : NONE;
      return;
    case OpCode.multi:
    case OpCode.multiRead: {
      const multi = into.op;
      into.ops = array(f[at]).map((entry) => subRequest(multi, array(entry)));
      return;
    }
    case OpCode.ping:
    case OpCode.closeSession:
    case OpCode.whoAmI:
      return;
    default:
      if (!readWrite(f, at, into)) into.malformed = Code.UNIMPLEMENTED;
  }
}

/** The ops that a multi may hold, too. */
function readWrite(f: unknown[], at: number, into: ClientRequest): boolean {
  switch (into.op) {
    case OpCode.setData:
      into.path = text(f[at]);
      into.data = bytes(f[at + 1]);
      into.version = int(f[at + 2]);
      return true;
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      into.path = text(f[at]);
      into.data = bytes(f[at + 1]);
      into.acl = acls(f[at + 2]);
      into.flags = int(f[at + 3]);
      if (into.op === OpCode.createTTL) into.ttlMs = long(f[at + 4]);
      return true;
    case OpCode.delete:
    case OpCode.check:
      into.path = text(f[at]);
      into.version = int(f[at + 1]);
      return true;
    default:
      return false;
  }
}

function subRequest(multi: OpCode, f: unknown[]): ClientRequest {
  const sub = new ClientRequest();
  sub.op = int(f[0]) as OpCode;
  if (multi === OpCode.multi) {
    if (!readWrite(f, 1, sub)) throw marshallingError(`op ${sub.op} in a multi`);
  } else {
    if (sub.op !== OpCode.getData && sub.op !== OpCode.getChildren) throw marshallingError(`op ${sub.op} in a multiRead`);
    sub.path = text(f[1]);
    sub.watch = bool(f[2]);
  }
  return sub;
}

// ------------------------------------------------------------ replies

/** [xid, zxid, err, field, …] */
export function encodeNativeReply(xid: number, zxid: Zxid, err: number, result: Result | null): Buffer {
  return encodeMsgpack(err === 0 && result !== null ? [xid, zxid, err, ...resultFields(result)] : [xid, zxid, err]);
}

/** [-1, zxid, 0, type, state, path] */
export function encodeNativeEvent(type: number, state: number, path: string, zxid: Zxid): Buffer {
  return encodeMsgpack([Xid.NOTIFICATION, zxid, 0, type, state, path]);
}

function resultFields(r: Result): unknown[] {
  switch (r.kind) {
    case 'empty':
      return [];
    case 'data':
      return [r.data, statFields(r.stat)];
    case 'stat':
      return [statFields(r.stat)];
    case 'path':
      return [r.path];
    case 'pathStat':
      return [r.path, statFields(r.stat)];
    case 'children':
      return [[...r.children]];
    case 'childrenStat':
      return [[...r.children], statFields(r.stat)];
    case 'acl':
      return [aclFields(r.acl), statFields(r.stat)];
    case 'multi':
      return [r.results.map(({ op, err, result }) => [op, err, ...(op === OpCode.error || result === null ? [] : resultFields(result))])];
    case 'error':
      return [r.err];
    case 'ephemerals':
      return [r.paths];
    case 'number':
      return [r.value];
    case 'whoAmI':
      return [r.ids.map(({ scheme, id }) => [scheme, id])];
    default:
      return assertNever(r);
  }
}

function statFields(s: Stat): unknown[] {
  return [s.czxid, s.mzxid, s.ctime, s.mtime, s.version, s.cversion, s.aversion, s.ephemeralOwner, s.dataLength, s.numChildren, s.pzxid];
}

export interface NativeReply {
  readonly xid: number;
  readonly zxid: Zxid;
  readonly err: number;
  /** What {@link decodeNativeResult} or {@link decodeNativeEvent} reads. */
  readonly fields: readonly unknown[];
}

/** Throws COORD_MARSHALLING. */
export function decodeNativeReply(frame: Uint8Array): NativeReply {
  const f = array(decodeMsgpack(frame, CODE));
  return { xid: int(f[0]), zxid: long(f[1]), err: int(f[2]), fields: f.slice(3) };
}

/** The result of a reply without error to a request of this opcode. Throws COORD_MARSHALLING. */
export function decodeNativeResult(op: number, f: readonly unknown[]): Result {
  switch (op) {
    case OpCode.getData:
      return { kind: 'data', data: bytes(f[0]), stat: stat(f[1]) };
    case OpCode.exists:
    case OpCode.setData:
    case OpCode.setACL:
      return { kind: 'stat', stat: stat(f[0]) };
    case OpCode.create:
    case OpCode.sync:
      return { kind: 'path', path: text(f[0]) };
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return { kind: 'pathStat', path: text(f[0]), stat: stat(f[1]) };
    case OpCode.getChildren: {
      const children = texts(f[0]);
      return { kind: 'children', children, count: children.length };
    }
    case OpCode.getChildren2: {
      const children = texts(f[0]);
      return { kind: 'childrenStat', children, count: children.length, stat: stat(f[1]) };
    }
    case OpCode.getACL:
      return { kind: 'acl', acl: acls(f[0]) ?? [], stat: stat(f[1]) };
    case OpCode.multi:
    case OpCode.multiRead:
      return { kind: 'multi', results: array(f[0]).map((entry) => multiResult(array(entry))) };
    case OpCode.addWatch:
      return { kind: 'error', err: int(f[0]) };
    case OpCode.getEphemerals:
      return { kind: 'ephemerals', paths: texts(f[0]) };
    case OpCode.getAllChildrenNumber:
      return { kind: 'number', value: int(f[0]) };
    case OpCode.whoAmI:
      return { kind: 'whoAmI', ids: array(f[0]).map((entry) => ({ scheme: text(array(entry)[0]), id: text(array(entry)[1]) })) };
    default:
      return { kind: 'empty' };
  }
}

function multiResult(f: unknown[]): MultiResult {
  const op = int(f[0]);
  const err = int(f[1]);
  return op === OpCode.error ? { op, err, result: null } : { op, err, result: decodeNativeResult(op, f.slice(2)) };
}

/** The fields of a notification. Throws COORD_MARSHALLING. */
export function decodeNativeEvent(f: readonly unknown[]): { type: number; state: number; path: string } {
  return { type: int(f[0]), state: int(f[1]), path: text(f[2]) };
}

function stat(value: unknown): Stat {
  const f = array(value);
  return {
    czxid: long(f[0]), mzxid: long(f[1]), ctime: long(f[2]), mtime: long(f[3]), version: int(f[4]), cversion: int(f[5]), aversion: int(f[6]),
    ephemeralOwner: bigLong(f[7]), dataLength: int(f[8]), numChildren: int(f[9]), pzxid: long(f[10]),
  };
}

// ------------------------------------------------------------ fields

function array(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw marshallingError('no array where one is needed');
  return value;
}

function int(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < -INT32 || value >= INT32) throw marshallingError('no int where one is needed');
  return value;
}

/** Beyond safe integers it saturates, as a foreign zxid does. */
function long(value: unknown): number {
  if (typeof value === 'bigint') return Number(value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : BigInt.asIntN(64, value));
  if (typeof value !== 'number' || !Number.isInteger(value)) throw marshallingError('no long where one is needed');
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

function bigLong(value: unknown): bigint {
  if (typeof value === 'bigint') return BigInt.asIntN(64, value);
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw marshallingError('no long where one is needed');
  return BigInt(value);
}

function bool(value: unknown): boolean {
  if (typeof value !== 'boolean') throw marshallingError('no boolean where one is needed');
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw marshallingError('no string where one is needed');
  return value;
}

function texts(value: unknown): string[] {
  return array(value).map(text);
}

function bytes(value: unknown): Uint8Array | null {
  if (value === null) return null;
  if (!(value instanceof Uint8Array)) throw marshallingError('no binary where it is needed');
  return value;
}

function acls(value: unknown): Acl[] | null {
  if (value === null) return null;
  return array(value).map((entry) => {
    const f = array(entry);
    return { perms: int(f[0]), scheme: text(f[1]), id: text(f[2]) };
  });
}
