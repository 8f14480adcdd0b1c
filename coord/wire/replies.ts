/**
 * Replies and watch events in ZooKeeper's records, both ways: ReplyHeader{xid, zxid, err}, then the record of the opcode; an error has no body.
 * A failed multi is no error of the header: each of its sub-results says what became of it.
 * Source: zookeeper.jute, MultiResponse.java, FinalRequestProcessor.java.
 */
import { assertNever } from '../base/assert.ts';
import type { Zxid } from '../base/zxid.ts';
import { OpCode, Xid } from './codes.ts';
import { JuteReader, marshallingError } from './jute.ts';
import type { JuteWriter } from './jute.ts';
import { writeAcl, writeMultiHeader } from './requests.ts';
import type { Acl, AuthId, MultiResult, Result, Stat } from './types.ts';

/** Writes one reply frame, its length included. */
export function encodeReply(writer: JuteWriter, xid: number, zxid: Zxid, err: number, result: Result | null): void {
  const start = writer.replyHeader(xid, zxid, err);
  if (err === 0 && result !== null) writeResult(writer, result);
  writer.patchInt(start, writer.length - start - 4);
}

/** Writes one notification frame, its length included: xid -1, and the zxid of the txn that fired the watch (-1 after setWatches). */
export function encodeWatcherEvent(writer: JuteWriter, type: number, state: number, path: string, zxid: Zxid): void {
  const start = writer.replyHeader(Xid.NOTIFICATION, zxid, 0);
  writer.int(type);
  writer.int(state);
  writer.ustring(path);
  writer.patchInt(start, writer.length - start - 4);
}

function writeResult(writer: JuteWriter, result: Result): void {
  switch (result.kind) {
    case 'data':
      writer.buffer(result.data);
      writer.stat(result.stat);
      return;
    case 'stat':
      writer.stat(result.stat);
      return;
    case 'empty':
      return;
    case 'path':
      writer.ustring(result.path);
      return;
    case 'pathStat':
      writer.ustring(result.path);
      writer.stat(result.stat);
      return;
    case 'children':
      writeChildren(writer, result.children);
      return;
    case 'childrenStat':
      writeChildren(writer, result.children);
      writer.stat(result.stat);
      return;
    case 'acl':
      writeAcl(writer, result.acl);
      writer.stat(result.stat);
      return;
    case 'multi':
      for (const sub of result.results) {
        writeMultiHeader(writer, sub.op, false, sub.err);
        if (sub.op === OpCode.error) writer.int(sub.err);
        else if (sub.result !== null) writeResult(writer, sub.result);
      }
      writeMultiHeader(writer, -1, true, -1);
      return;
    case 'error':
      writer.int(result.err);
      return;
    case 'ephemerals':
      writer.texts(result.paths);
      return;
    case 'number':
      writer.int(result.value);
      return;
    case 'whoAmI':
      writer.int(result.ids.length);
      for (const { scheme, id } of result.ids) {
        writer.ustring(scheme);
        writer.ustring(id);
      }
      return;
    default:
      assertNever(result);
  }
}

function writeChildren(writer: JuteWriter, children: Iterable<string>): void {
  const at = writer.length;
  writer.int(0);
  let count = 0;
  for (const child of children) {
    writer.ustring(child);
    count++;
  }
  writer.patchInt(at, count);
}

const reader = new JuteReader();
const AUTH_ID_BYTES_MIN = 8;
const EMPTY: Result = { kind: 'empty' };

export interface ReplyHeader {
  xid: number;
  zxid: Zxid;
  err: number;
}

/** A client must know the request behind a header's xid before it can read the body: hence in two steps. Throws COORD_MARSHALLING. */
export function decodeReplyHeader(bytes: Uint8Array, start: number, end: number, into: ReplyHeader): void {
  reader.reset(bytes, start, end);
  into.xid = reader.int();
  into.zxid = reader.long();
  into.err = reader.int();
}

/** The bytes of a ReplyHeader, after which the body begins. */
export const REPLY_HEADER_BYTES = 16;

/** The body of a reply without error to a request of this opcode, in [start, end); data is a view. Throws COORD_MARSHALLING. */
export function decodeReplyBody(op: number, bytes: Uint8Array, start: number, end: number): Result {
  reader.reset(bytes, start, end);
  return readResult(op);
}

export interface WatcherEvent {
  readonly type: number;
  readonly state: number;
  readonly path: string;
}

/** The body of a notification. Throws COORD_MARSHALLING. */
export function decodeWatcherEvent(bytes: Uint8Array, start: number, end: number): WatcherEvent {
  reader.reset(bytes, start, end);
  return { type: reader.int(), state: reader.int(), path: reader.text() };
}

function readResult(op: number): Result {
  switch (op) {
    case OpCode.getData:
    case OpCode.reconfig:
      return { kind: 'data', data: reader.buffer(), stat: readStat() };
    case OpCode.exists:
    case OpCode.setData:
    case OpCode.setACL:
      return { kind: 'stat', stat: readStat() };
    case OpCode.create:
    case OpCode.sync:
      return { kind: 'path', path: reader.text() };
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return { kind: 'pathStat', path: reader.text(), stat: readStat() };
    case OpCode.getChildren: {
      const children = reader.texts();
      return { kind: 'children', children, count: children.length };
    }
    case OpCode.getChildren2: {
      const children = reader.texts();
      return { kind: 'childrenStat', children, count: children.length, stat: readStat() };
    }
    case OpCode.getACL:
      return { kind: 'acl', acl: readAcl(), stat: readStat() };
    case OpCode.multi:
    case OpCode.multiRead:
      return { kind: 'multi', results: readMultiResults() };
    case OpCode.addWatch:
      return { kind: 'error', err: reader.int() };
    case OpCode.getEphemerals:
      return { kind: 'ephemerals', paths: reader.texts() };
    case OpCode.getAllChildrenNumber:
      return { kind: 'number', value: reader.int() };
    case OpCode.whoAmI:
      return { kind: 'whoAmI', ids: readIds() };
    default:
      return EMPTY;
  }
}

function readMultiResults(): MultiResult[] {
  const results: MultiResult[] = [];
  for (;;) {
    const op = reader.int();
    const done = reader.bool();
    const headerErr = reader.int();
    if (done) return results;
    switch (op) {
      case OpCode.error:
        // ErrorResponse says it again; the body is what ZooKeeper's own client believes.
        results.push({ op, err: reader.int(), result: null });
        break;
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
      case OpCode.setData:
      case OpCode.getData:
      case OpCode.getChildren:
        results.push({ op, err: headerErr, result: readResult(op) });
        break;
      case OpCode.delete:
      case OpCode.check:
        results.push({ op, err: headerErr, result: EMPTY });
        break;
      default:
        throw marshallingError(`result of type ${op} in a multi`);
    }
  }
}

function readAcl(): Acl[] {
  const count = reader.vectorCount(12);
  const acl: Acl[] = [];
  for (let i = 0; i < count; i++) acl.push({ perms: reader.int(), scheme: reader.text(), id: reader.text() });
  return acl;
}

function readIds(): AuthId[] {
  const count = reader.vectorCount(AUTH_ID_BYTES_MIN);
  const ids: AuthId[] = [];
  for (let i = 0; i < count; i++) ids.push({ scheme: reader.text(), id: reader.text() });
  return ids;
}

function readStat(): Stat {
  return {
    czxid: reader.long(),
    mzxid: reader.long(),
    ctime: reader.long(),
    mtime: reader.long(),
    version: reader.int(),
    cversion: reader.int(),
    aversion: reader.int(),
    ephemeralOwner: reader.bigLong(),
    dataLength: reader.int(),
    numChildren: reader.int(),
    pzxid: reader.long(),
  };
}
