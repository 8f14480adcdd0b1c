/**
 * Msgpack as the peer and the native protocol use it: msgpackr does the work; before it decodes, {@link decodeMsgpack} walks over the frame,
 * because msgpackr allocates an array as long as its header says before it has seen one element, and knows extension types
 * that can build more than data.
 *
 * Invariants: what is decoded is one value that ends where the frame ends, without extensions, at most DEPTH_MAX deep, and no count in it is
 * larger than the bytes behind it. Binary comes out as a view into the frame.
 *
 * Most frames between servers are short arrays of numbers, flags and bytes, and there are very many of them: {@link encodeFlat} and
 * {@link decodeFlat} make and read just those, the same bytes without msgpackr's machinery, and leave all else to it.
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

const FLAT_MAX = 15;
const scratch64 = new Float64Array(1);
const scratch8 = new Uint8Array(scratch64.buffer);

/** The frame of an array of numbers, booleans and bytes, and `spare` bytes behind it that are the caller's to fill; null: it holds something else. */
export function encodeFlat(values: readonly unknown[], spare: number): Buffer | null {
  if (values.length > FLAT_MAX) return null;
  let size = 1 + spare;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === 'number') size += numberBytes(value);
    else if (typeof value === 'boolean') size++;
    else if (value instanceof Uint8Array) size += (value.length < 0x100 ? 2 : value.length < 0x1_0000 ? 3 : 5) + value.length;
    else return null;
  }
  const out = Buffer.allocUnsafe(size);
  out[0] = 0x90 | values.length;
  let at = 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === 'number') at = writeNumber(out, at, value);
    else if (typeof value === 'boolean') out[at++] = value ? 0xc3 : 0xc2;
    else {
      const bytes = value as Uint8Array;
      const { length } = bytes;
      if (length < 0x100) {
        out[at] = 0xc4;
        at = writeUint(out, at + 1, length, 1);
      } else if (length < 0x1_0000) {
        out[at] = 0xc5;
        at = writeUint(out, at + 1, length, 2);
      } else {
        out[at] = 0xc6;
        at = writeUint(out, at + 1, length, 4);
      }
      out.set(bytes, at);
      at += length;
    }
  }
  return out;
}

function numberBytes(value: number): number {
  if (value >>> 0 === value) return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : 5;
  return Number.isInteger(value) && value < 0 && value >= -0x20 ? 1 : 9;
}

function writeNumber(out: Buffer, at: number, value: number): number {
  const bytes = numberBytes(value);
  switch (bytes) {
    case 1:
      out[at] = value & 0xff;
      return at + 1;
    case 9:
      out[at] = 0xcb;
      scratch64[0] = value;
      for (let i = 0; i < 8; i++) out[at + 1 + i] = scratch8[7 - i] as number;
      return at + 9;
    default:
      out[at] = bytes === 2 ? 0xcc : bytes === 3 ? 0xcd : 0xce;
      return writeUint(out, at + 1, value, bytes - 1);
  }
}

function writeUint(out: Buffer, at: number, value: number, bytes: number): number {
  for (let i = bytes - 1; i >= 0; i--) {
    out[at + i] = value & 0xff;
    value >>>= 8;
  }
  return at + bytes;
}

/** The frame is what lies before `length`. Null: it holds something else, or is wrong; decodeMsgpack says which. */
export function decodeFlat(b: Uint8Array, length = b.length): unknown[] | null {
  const head = length === 0 ? 0 : (b[0] as number);
  if ((head & 0xf0) !== 0x90) return null;
  const values: unknown[] = [];
  let at = 1;
  for (let left = head & 0x0f; left > 0; left--) {
    if (at >= length) return null;
    const type = b[at++] as number;
    if (type <= 0x7f) values.push(type);
    else if (type >= 0xe0) values.push(type - 0x100);
    else if (type === 0xcb) {
      if (at + 8 > length) return null;
      for (let i = 0; i < 8; i++) scratch8[7 - i] = b[at + i] as number;
      values.push(scratch64[0]);
      at += 8;
    } else if (type === 0xc2 || type === 0xc3) values.push(type === 0xc3);
    else {
      const bytes = type === 0xcc || type === 0xc4 ? 1 : type === 0xcd || type === 0xc5 ? 2 : type === 0xce || type === 0xc6 ? 4 : 0;
      if (bytes === 0 || at + bytes > length) return null;
      let n = 0;
      for (let i = 0; i < bytes; i++) n = n * 0x100 + (b[at + i] as number);
      at += bytes;
      if (type >= 0xcc) values.push(n);
      else {
        if (at + n > length) return null;
        values.push(b.subarray(at, at + n));
        at += n;
      }
    }
  }
  return at === length ? values : null;
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
