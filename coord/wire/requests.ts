/**
 * Requests in ZooKeeper's records, both ways: the server decodes, the client and the follower that forwards encode.
 *
 * What a server gets wrong from a client is data, not an exception: a body that is no record of its opcode sets `malformed` to
 * MARSHALLINGERROR, an unknown opcode to UNIMPLEMENTED, and the pipeline answers with that code. Only a frame without a whole request header
 * cannot be answered at all.
 * Source: zookeeper.jute, MultiOperationRecord.java, Request.java.
 */
import { DreyError } from '../base/errors.ts';
import { foreignZxid } from '../base/zxid.ts';
import { Code, OpCode } from './codes.ts';
import { JuteReader, JuteWriter, marshallingError } from './jute.ts';
import { ClientRequest } from './types.ts';
import type { Acl } from './types.ts';

const NONE: readonly string[] = [];
/** int perms and two lengths. */
const ACL_BYTES_MIN = 12;
const reader = new JuteReader();

/**
 * Decodes one request frame (RequestHeader and body, without the length) in [start, end) of `bytes` into `into`, whose fields are all
 * set anew. Data is a view into `bytes`. False: not even a header; the connection cannot go on.
 */
export function decodeRequest(bytes: Uint8Array, start: number, end: number, into: ClientRequest): boolean {
  if (end - start < 8) return false;
  reader.reset(bytes, start, end);
  const xid = reader.int();
  const op = reader.int();
  decodeBody(op, into);
  into.xid = xid;
  return true;
}

/** The same for a body that was forwarded without a header; `xid` is left 0. */
export function decodeRequestBody(op: number, body: Uint8Array, into: ClientRequest): void {
  reader.reset(body);
  decodeBody(op, into);
}

function clear(into: ClientRequest, op: number): void {
  into.xid = 0;
  into.op = op as OpCode;
  into.path = '';
  into.data = null;
  into.version = -1;
  into.flags = 0;
  into.ttlMs = 0;
  into.acl = null;
  into.watch = false;
  into.ops = null;
  into.scheme = '';
  into.relativeZxid = 0;
  into.dataWatches = NONE;
  into.existWatches = NONE;
  into.childWatches = NONE;
  into.persistentWatches = NONE;
  into.persistentRecursiveWatches = NONE;
  into.body = null;
  into.malformed = 0;
}

function decodeBody(op: number, into: ClientRequest): void {
  clear(into, op);
  const start = reader.position;
  try {
    readBody(op, into);
    if (isForwarded(op)) {
      reader.rewind(start);
      into.body = reader.rest();
    }
  } catch (error) {
    if (!(error instanceof DreyError)) throw error;
    // Half-read fields mean nothing; the body goes on as it came.
    clear(into, op);
    into.malformed = Code.MARSHALLINGERROR;
    reader.rewind(start);
    into.body = reader.rest();
  }
}

/** Writes go from a follower to the leader as they came, so their body is kept; reads are spared the view. */
function isForwarded(op: number): boolean {
  switch (op) {
    case OpCode.setData:
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
    case OpCode.delete:
    case OpCode.check:
    case OpCode.setACL:
    case OpCode.multi:
    case OpCode.reconfig:
      return true;
    default:
      return false;
  }
}

/** addWatch: AddWatchMode 0 or 1; checkWatches, removeWatches: WatcherType 1 to 5. ZooKeeper takes any other for a malformed record. */
export function watchKind(op: number, value: number): number {
  const [min, max] = op === OpCode.addWatch ? [0, 1] : [1, 5];
  if (value < min || value > max) throw marshallingError(`watch kind ${value}`);
  return value;
}

function readBody(op: number, into: ClientRequest): void {
  switch (op) {
    case OpCode.getData:
    case OpCode.exists:
    case OpCode.getChildren:
    case OpCode.getChildren2:
      into.path = reader.text();
      into.watch = reader.bool();
      return;
    case OpCode.setWatches:
    case OpCode.setWatches2: {
      const high = reader.int();
      into.relativeZxid = foreignZxid(high, reader.unsigned());
      into.dataWatches = reader.texts();
      into.existWatches = reader.texts();
      into.childWatches = reader.texts();
      if (op === OpCode.setWatches) return;
      into.persistentWatches = reader.texts();
      into.persistentRecursiveWatches = reader.texts();
      return;
    }
    case OpCode.sync:
    case OpCode.getACL:
    case OpCode.getEphemerals:
    case OpCode.getAllChildrenNumber:
      into.path = reader.text();
      return;
    case OpCode.setACL:
      into.path = reader.text();
      into.acl = readAcl();
      into.version = reader.int();
      return;
    case OpCode.addWatch:
    case OpCode.checkWatches:
    case OpCode.removeWatches:
      into.path = reader.text();
      into.flags = watchKind(op, reader.int());
      return;
    case OpCode.auth:
      // AuthPacket.type, which no one uses.
      reader.int();
      into.scheme = reader.text();
      into.data = reader.buffer();
      return;
    case OpCode.multi:
    case OpCode.multiRead:
      into.ops = readOps(op);
      return;
    case OpCode.ping:
    case OpCode.closeSession:
    case OpCode.whoAmI:
      return;
    case OpCode.sasl:
      into.data = reader.buffer();
      return;
    case OpCode.reconfig:
      // joiningServers, leavingServers, newMembers, curConfigId: goes to the pipeline as it is.
      reader.ustring();
      reader.ustring();
      reader.ustring();
      reader.long();
      return;
    default:
      if (readWrite(op, into)) return;
      into.malformed = Code.UNIMPLEMENTED;
      into.body = reader.rest();
  }
}

/** The ops that a multi may hold, too. False: `op` is none of them. */
function readWrite(op: number, into: ClientRequest): boolean {
  switch (op) {
    case OpCode.setData:
      into.path = reader.text();
      into.data = reader.buffer();
      into.version = reader.int();
      return true;
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
      into.path = reader.text();
      into.data = reader.buffer();
      into.acl = readAcl();
      into.flags = reader.int();
      return true;
    case OpCode.createTTL:
      into.path = reader.text();
      into.data = reader.buffer();
      into.acl = readAcl();
      into.flags = reader.int();
      into.ttlMs = reader.long();
      return true;
    case OpCode.delete:
    case OpCode.check:
      into.path = reader.text();
      into.version = reader.int();
      return true;
    default:
      return false;
  }
}

function readAcl(): Acl[] | null {
  const count = reader.vectorCount(ACL_BYTES_MIN);
  if (count === -1) return null;
  const acl: Acl[] = [];
  for (let i = 0; i < count; i++) acl.push({ perms: reader.int(), scheme: reader.text(), id: reader.text() });
  return acl;
}

/** {MultiHeader{type, done, err}, record}*, then a header with done set. */
function readOps(multi: number): ClientRequest[] {
  const ops: ClientRequest[] = [];
  for (;;) {
    const type = reader.int();
    const done = reader.bool();
    reader.int();
    if (done) return ops;
    const op = new ClientRequest();
    op.op = type as OpCode;
    if (multi === OpCode.multi) {
      if (!readWrite(type, op)) throw marshallingError(`op ${type} in a multi`);
    } else {
      if (type !== OpCode.getData && type !== OpCode.getChildren) throw marshallingError(`op ${type} in a multiRead`);
      op.path = reader.text();
      op.watch = reader.bool();
    }
    ops.push(op);
  }
}

/** Writes one request frame: length, RequestHeader, body. The xid is the request's own unless given. */
export function encodeRequest(writer: JuteWriter, request: ClientRequest, xid: number = request.xid): void {
  const start = writer.length;
  writer.int(0);
  writer.int(xid);
  writer.int(request.op);
  writeRequestBody(writer, request);
  writer.patchInt(start, writer.length - start - 4);
}

const scratch = new JuteWriter();

/** The record of a request's opcode, without a header: what a follower forwards. The body as it came, if the request has it; else a fresh one. */
export function encodeRequestBody(request: ClientRequest): Uint8Array {
  if (request.body !== null) return request.body;
  scratch.clear();
  writeRequestBody(scratch, request);
  return Buffer.from(scratch.view());
}

/** The same into a writer. */
export function writeRequestBody(writer: JuteWriter, request: ClientRequest): void {
  if (request.body !== null) {
    writer.raw(request.body);
    return;
  }
  switch (request.op) {
    case OpCode.getData:
    case OpCode.exists:
    case OpCode.getChildren:
    case OpCode.getChildren2:
      writer.ustring(request.path);
      writer.bool(request.watch);
      return;
    case OpCode.setData:
      writer.ustring(request.path);
      writer.buffer(request.data);
      writer.int(request.version);
      return;
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      writer.ustring(request.path);
      writer.buffer(request.data);
      writeAcl(writer, request.acl);
      writer.int(request.flags);
      if (request.op === OpCode.createTTL) writer.long(request.ttlMs);
      return;
    case OpCode.delete:
    case OpCode.check:
      writer.ustring(request.path);
      writer.int(request.version);
      return;
    case OpCode.sync:
    case OpCode.getACL:
    case OpCode.getEphemerals:
    case OpCode.getAllChildrenNumber:
      writer.ustring(request.path);
      return;
    case OpCode.setACL:
      writer.ustring(request.path);
      writeAcl(writer, request.acl);
      writer.int(request.version);
      return;
    case OpCode.addWatch:
    case OpCode.checkWatches:
    case OpCode.removeWatches:
      writer.ustring(request.path);
      writer.int(request.flags);
      return;
    case OpCode.auth:
      writer.int(0);
      writer.ustring(request.scheme);
      writer.buffer(request.data);
      return;
    case OpCode.sasl:
      writer.buffer(request.data);
      return;
    case OpCode.setWatches:
    case OpCode.setWatches2:
      writer.long(request.relativeZxid);
      writer.texts(request.dataWatches);
      writer.texts(request.existWatches);
      writer.texts(request.childWatches);
      if (request.op === OpCode.setWatches) return;
      writer.texts(request.persistentWatches);
      writer.texts(request.persistentRecursiveWatches);
      return;
    case OpCode.multi:
    case OpCode.multiRead:
      for (const op of request.ops ?? []) {
        writeMultiHeader(writer, op.op, false, -1);
        writeRequestBody(writer, op);
      }
      writeMultiHeader(writer, -1, true, -1);
      return;
    default:
      // ping, closeSession, whoAmI and what we do not know: no body.
      return;
  }
}

export function writeMultiHeader(writer: JuteWriter, type: number, done: boolean, err: number): void {
  writer.int(type);
  writer.bool(done);
  writer.int(err);
}

export function writeAcl(writer: JuteWriter, acl: readonly Acl[] | null): void {
  if (acl === null) {
    writer.int(-1);
    return;
  }
  writer.int(acl.length);
  for (const entry of acl) {
    writer.int(entry.perms);
    writer.ustring(entry.scheme);
    writer.ustring(entry.id);
  }
}
