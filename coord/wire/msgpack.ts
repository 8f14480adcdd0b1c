/**
 * Msgpack as the peer and the native protocol use it: msgpackr does the work; before it decodes, {@link decodeMsgpack} walks over the frame,
 * because msgpackr allocates an array as long as its header says before it has seen one element, and knows extension types
 * that can build more than data.
 *
 * Invariants: what is decoded is one value that ends where the frame ends, without extensions, at most DEPTH_MAX deep, and no count in it is
 * larger than the bytes behind it. Binary comes out as a view into the frame.
 */
import { Packr } from 'msgpackr';
import { DreyError } from '../base/errors.ts';

const DEPTH_MAX = 32;

const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false, int64AsType: 'bigint' });

/** The frame is the caller's own: nothing writes into it again. */
export function encodeMsgpack(value: unknown): Buffer {
  return packr.pack(value);
}

/** Throws a DreyError with the given code for anything that is not one whole, plain value. */
export function decodeMsgpack(frame: Uint8Array, code: string): unknown {
  const buffer = Buffer.isBuffer(frame) ? frame : Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const end = skip(buffer, 0, 0, code);
  if (end !== buffer.length) throw new DreyError(code, `${buffer.length - end} bytes behind the frame's value`);
  try {
    return packr.unpack(buffer);
  } catch (cause) {
    throw new DreyError(code, 'not a msgpack value', { cause });
  }
}

/** Returns where the value at `at` ends. */
function skip(b: Buffer, at: number, depth: number, code: string): number {
  if (at >= b.length) throw new DreyError(code, 'the frame ends within a value');
  if (depth > DEPTH_MAX) throw new DreyError(code, `nested deeper than ${DEPTH_MAX}`);
  const head = b[at] as number;
  if (head <= 0x7f || head >= 0xe0) return at + 1;
  if (head <= 0x8f) return skipMany(b, at + 1, 2 * (head & 0x0f), depth, code);
  if (head <= 0x9f) return skipMany(b, at + 1, head & 0x0f, depth, code);
  if (head <= 0xbf) return past(b, at + 1 + (head & 0x1f), code);
  switch (head) {
    case 0xc0: case 0xc2: case 0xc3:
      return at + 1;
    case 0xc4: case 0xd9:
      return past(b, at + 2 + uint(b, at + 1, 1, code), code);
    case 0xc5: case 0xda:
      return past(b, at + 3 + uint(b, at + 1, 2, code), code);
    case 0xc6: case 0xdb:
      return past(b, at + 5 + uint(b, at + 1, 4, code), code);
    case 0xcc: case 0xd0:
      return past(b, at + 2, code);
    case 0xcd: case 0xd1:
      return past(b, at + 3, code);
    case 0xca: case 0xce: case 0xd2:
      return past(b, at + 5, code);
    case 0xcb: case 0xcf: case 0xd3:
      return past(b, at + 9, code);
    case 0xdc:
      return skipMany(b, at + 3, uint(b, at + 1, 2, code), depth, code);
    case 0xdd:
      return skipMany(b, at + 5, uint(b, at + 1, 4, code), depth, code);
    case 0xde:
      return skipMany(b, at + 3, 2 * uint(b, at + 1, 2, code), depth, code);
    case 0xdf:
      return skipMany(b, at + 5, 2 * uint(b, at + 1, 4, code), depth, code);
    default:
      throw new DreyError(code, `msgpack type 0x${head.toString(16)} is not used here`);
  }
}

function skipMany(b: Buffer, from: number, count: number, depth: number, code: string): number {
  if (count > b.length - from) throw new DreyError(code, `${count} values in ${b.length - from} bytes`);
  let at = from;
  for (let i = 0; i < count; i++) at = skip(b, at, depth + 1, code);
  return at;
}

function past(b: Buffer, end: number, code: string): number {
  if (end > b.length) throw new DreyError(code, 'the frame ends within a value');
  return end;
}

function uint(b: Buffer, at: number, bytes: number, code: string): number {
  past(b, at + bytes, code);
  return b.readUIntBE(at, bytes);
}
