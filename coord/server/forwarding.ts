/**
 * What the request pipelines of two servers say to each other over the learner channel: Learner.request, Leader.SYNC, REVALIDATE and the
 * session touches that ZooKeeper puts into PING. Compact binary, because REQUEST is on the hot path: one frame per turn.
 *
 *   frame    := kind u8, rest
 *   REQUEST  := { authCount u16, { idCount u16, { scheme ustring, id ustring } }, requests until the end }
 *   request  := requestNo u32, sessionId i64, op i32, authRef u16, bodyLength u32, body
 */
import { DreyError } from '../base/errors.ts';
import type { AuthId } from '../wire/types.ts';

export const Kind = { REQUEST: 1, TOUCH: 2, REVALIDATE: 3, REVALIDATED: 4, SYNC: 5, SYNCED: 6 } as const;

function malformed(what: string): DreyError {
  return new DreyError('COORD_PEER_FRAME', `malformed ${what} from a peer`);
}

/** Collects the requests of one turn. */
export class RequestFrame {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** Of #buffer: its way to write a bigint is compiled in, the Buffer's takes four more bigints. */
  #view = viewOf(this.#buffer);
  #length = 0;
  #auths: (readonly AuthId[])[] = [];
  #authIndex = new Map<readonly AuthId[], number>();
  count = 0;

  add(requestNo: number, sessionId: bigint, op: number, ids: readonly AuthId[], body: Uint8Array): void {
    let authRef = this.#authIndex.get(ids);
    if (authRef === undefined) {
      authRef = this.#auths.length;
      this.#auths.push(ids);
      this.#authIndex.set(ids, authRef);
    }
    const need = this.#length + 22 + body.length;
    if (need > this.#buffer.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(need, this.#buffer.length * 2));
      this.#buffer.copy(bigger, 0, 0, this.#length);
      this.#take(bigger);
    }
    const view = this.#view;
    const at = this.#length;
    view.setUint32(at, requestNo);
    view.setBigInt64(at + 4, sessionId);
    view.setInt32(at + 12, op);
    view.setUint16(at + 16, authRef);
    view.setUint32(at + 18, body.length);
    this.#buffer.set(body, at + 22);
    this.#length = need;
    this.count++;
  }

  finish(): Uint8Array {
    const parts: Buffer[] = [];
    const head = Buffer.allocUnsafe(3);
    head[0] = Kind.REQUEST;
    head.writeUInt16BE(this.#auths.length, 1);
    parts.push(head);
    for (const ids of this.#auths) {
      const n = Buffer.allocUnsafe(2);
      n.writeUInt16BE(ids.length);
      parts.push(n);
      for (const { scheme, id } of ids) {
        for (const text of [scheme, id]) {
          const bytes = Buffer.from(text);
          const length = Buffer.allocUnsafe(4);
          length.writeUInt32BE(bytes.length);
          parts.push(length, bytes);
        }
      }
    }
    parts.push(this.#buffer.subarray(0, this.#length));
    const frame = Buffer.concat(parts);
    this.#length = 0;
    this.count = 0;
    if (this.#buffer.length > 4 << 20) this.#take(Buffer.allocUnsafeSlow(FIRST_BYTES));
    this.#auths = [];
    this.#authIndex.clear();
    return frame;
  }

  #take(buffer: Buffer<ArrayBuffer>): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }
}

const FIRST_BYTES = 64 * 1024;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Bodies are views into the frame. Throws DreyError COORD_PEER_FRAME. */
export function readRequestFrame(
  frame: Buffer,
  each: (requestNo: number, sessionId: bigint, op: number, ids: readonly AuthId[], body: Buffer) => void,
): void {
  let p = 1;
  const need = (n: number): void => {
    if (p + n > frame.length) throw malformed('REQUEST');
  };
  const text = (): string => {
    need(4);
    const length = frame.readUInt32BE(p);
    p += 4;
    need(length);
    const value = frame.toString('utf8', p, p + length);
    p += length;
    return value;
  };
  need(2);
  const authCount = frame.readUInt16BE(p);
  p += 2;
  const auths: AuthId[][] = [];
  for (let i = 0; i < authCount; i++) {
    need(2);
    const idCount = frame.readUInt16BE(p);
    p += 2;
    const ids: AuthId[] = [];
    for (let j = 0; j < idCount; j++) {
      const scheme = text();
      ids.push({ scheme, id: text() });
    }
    auths.push(ids);
  }
  const view = viewOf(frame);
  while (p < frame.length) {
    need(22);
    const requestNo = view.getUint32(p);
    const sessionId = view.getBigInt64(p + 4);
    const op = view.getInt32(p + 12);
    const ids = auths[view.getUint16(p + 16)];
    const length = view.getUint32(p + 18);
    p += 22;
    need(length);
    if (ids === undefined) throw malformed('REQUEST');
    each(requestNo, sessionId, op, ids, frame.subarray(p, p + length));
    p += length;
  }
}

export function touchFrame(sessionIds: readonly bigint[]): Uint8Array {
  const frame = Buffer.allocUnsafe(1 + sessionIds.length * 8);
  frame[0] = Kind.TOUCH;
  let p = 1;
  for (const id of sessionIds) p = frame.writeBigInt64BE(id, p);
  return frame;
}
export function readTouchFrame(frame: Buffer, each: (sessionId: bigint) => void): void {
  if ((frame.length - 1) % 8 !== 0) throw malformed('TOUCH');
  for (let p = 1; p < frame.length; p += 8) each(frame.readBigInt64BE(p));
}

export function revalidateFrame(requestNo: number, sessionId: bigint, password: Uint8Array): Uint8Array {
  const frame = Buffer.allocUnsafe(13 + password.length);
  frame[0] = Kind.REVALIDATE;
  frame.writeUInt32BE(requestNo, 1);
  frame.writeBigInt64BE(sessionId, 5);
  frame.set(password, 13);
  return frame;
}
export function readRevalidateFrame(frame: Buffer): { requestNo: number; sessionId: bigint; password: Buffer } {
  if (frame.length < 13) throw malformed('REVALIDATE');
  return { requestNo: frame.readUInt32BE(1), sessionId: frame.readBigInt64BE(5), password: frame.subarray(13) };
}

/** timeoutMs 0: there is no such session, or the password is wrong. */
export function revalidatedFrame(requestNo: number, timeoutMs: number): Uint8Array {
  const frame = Buffer.allocUnsafe(9);
  frame[0] = Kind.REVALIDATED;
  frame.writeUInt32BE(requestNo, 1);
  frame.writeInt32BE(timeoutMs, 5);
  return frame;
}
export function readRevalidatedFrame(frame: Buffer): { requestNo: number; timeoutMs: number } {
  if (frame.length !== 9) throw malformed('REVALIDATED');
  return { requestNo: frame.readUInt32BE(1), timeoutMs: frame.readInt32BE(5) };
}

export function syncFrame(kind: typeof Kind.SYNC | typeof Kind.SYNCED, requestNo: number): Uint8Array {
  const frame = Buffer.allocUnsafe(5);
  frame[0] = kind;
  frame.writeUInt32BE(requestNo, 1);
  return frame;
}
export function readSyncFrame(frame: Buffer): number {
  if (frame.length !== 5) throw malformed('SYNC');
  return frame.readUInt32BE(1);
}
