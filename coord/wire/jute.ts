/**
 * Jute, ZooKeeper's record encoding: big-endian, no tags, every string, buffer and vector with an int32 length where -1 is null.
 * Source: org/apache/jute/BinaryInputArchive.java and BinaryOutputArchive.java.
 *
 * Invariants: a reader never reads outside [start, end) and never allocates more than the bytes that are there; whatever is wrong with
 * the input ends in the error of {@link marshallingError}, nothing else. A writer grows and never shrinks by itself.
 */
import { DreyError } from '../base/errors.ts';
import type { Stat } from './types.ts';

const TWO_32 = 2 ** 32;

/** Thrown by readers for input that is not what it should be. Code COORD_MARSHALLING. */
export function marshallingError(reason: string): DreyError {
  return new DreyError('COORD_MARSHALLING', reason);
}

/** Reads one record after another from a part of a buffer; made once and pointed at frame after frame. */
export class JuteReader {
  #bytes: Buffer = NO_BYTES;
  #at = 0;
  #end = 0;

  /** Reads from now on in [start, end) of `bytes`. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length): this {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
    this.#end = end;
    return this;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Back to a `position` of before. */
  rewind(position: number): void {
    this.#at = position;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  bool(): boolean {
    return this.byte() !== 0;
  }

  int(): number {
    const at = this.#take(4);
    const b = this.#bytes;
    return ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) | (b[at + 3] as number);
  }

  /** The unsigned low half of a long whose signed high half was read by int(). */
  unsigned(): number {
    return this.int() >>> 0;
  }

  /** An int64 as a number: exact for safe integers, rounded beyond. */
  long(): number {
    const high = this.int();
    return high * TWO_32 + this.unsigned();
  }

  bigLong(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  /** UTF-8; what is not becomes U+FFFD, as in Java. */
  ustring(): string | null {
    const length = this.int();
    if (length === -1) return null;
    const at = this.#take(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  /** A string that must be there. */
  text(): string {
    const value = this.ustring();
    if (value === null) throw marshallingError('null where a string is needed');
    return value;
  }

  /** A view, not a copy: it is good as long as the receive buffer is not used again. */
  buffer(): Uint8Array | null {
    const length = this.int();
    if (length === -1) return null;
    const at = this.#take(length);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, length);
  }

  /** The bytes left, as a view. */
  rest(): Uint8Array {
    const length = this.remaining;
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#take(length), length);
  }

  /** The count of a vector whose elements take at least `elementBytesMin` bytes each: never more than can follow. -1 = null. */
  vectorCount(elementBytesMin: number): number {
    const count = this.int();
    if (count < -1 || count * elementBytesMin > this.remaining) throw marshallingError(`vector of ${count} elements in ${this.remaining} bytes`);
    return count;
  }

  /** A vector of strings that must be there. */
  texts(): string[] {
    const count = this.vectorCount(4);
    if (count === -1) throw marshallingError('null where a vector is needed');
    const out: string[] = [];
    for (let i = 0; i < count; i++) out.push(this.text());
    return out;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length < 0 || length > this.#end - at) throw marshallingError(`${length} bytes asked for, ${this.#end - at} left`);
    this.#at = at + length;
    return at;
  }
}

/** Longer strings go through the runtime's own encoder; shorter ones are cheaper byte by byte. */
const SHORT_STRING = 48;
const NO_BYTES = Buffer.alloc(0);

/** A buffer that frames are written into one behind the other, handed on as one piece and used again. */
export class JuteWriter {
  #bytes: Buffer;
  #length = 0;
  readonly #initialBytes: number;

  constructor(initialBytes = 1024) {
    this.#initialBytes = initialBytes;
    this.#bytes = initialBytes === 0 ? NO_BYTES : Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written, as a view that the next write after clear() overwrites. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, for whoever keeps it (a socket); the writer begins again with another buffer. */
  take(): Buffer {
    const taken = this.view();
    this.#bytes = NO_BYTES;
    this.#length = 0;
    return taken;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Forgets everything behind `length`: to take back a record that could not be written whole. */
  truncate(length: number): void {
    this.#length = length;
  }

  byte(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  bool(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  int(value: number): void {
    const at = this.#grow(4);
    this.#putInt(at, value);
  }

  /** Overwrites an int written before, such as a length that is known only at the end. */
  patchInt(at: number, value: number): void {
    this.#putInt(at, value);
  }

  /** Safe integers. */
  long(value: number): void {
    this.#putLong(this.#grow(8), value);
  }

  bigLong(value: bigint): void {
    const at = this.#grow(8);
    if (value === 0n) this.#bytes.fill(0, at, at + 8);
    else this.#bytes.writeBigInt64BE(BigInt.asIntN(64, value), at);
  }

  ustring(value: string | null): void {
    if (value === null) {
      this.int(-1);
      return;
    }
    const at = this.#length;
    const length = value.length;
    if (length <= SHORT_STRING) {
      this.#grow(4 + length);
      const b = this.#bytes;
      let i = 0;
      for (; i < length; i++) {
        const unit = value.charCodeAt(i);
        if (unit > 0x7f) break;
        b[at + 4 + i] = unit;
      }
      if (i === length) {
        this.#putInt(at, length);
        return;
      }
      this.#length = at;
    }
    this.#grow(4 + 3 * length);
    const written = this.#bytes.write(value, at + 4, 'utf8');
    this.#putInt(at, written);
    this.#length = at + 4 + written;
  }

  buffer(value: Uint8Array | null): void {
    if (value === null) {
      this.int(-1);
      return;
    }
    const length = value.length;
    const at = this.#grow(4 + length);
    this.#putInt(at, length);
    this.#bytes.set(value, at + 4);
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** A Stat, 68 bytes: the end of most replies, so written with one look at the room. */
  stat(stat: Stat): void {
    const at = this.#grow(68);
    this.#putLong(at, stat.czxid);
    this.#putLong(at + 8, stat.mzxid);
    this.#putLong(at + 16, stat.ctime);
    this.#putLong(at + 24, stat.mtime);
    this.#putInt(at + 32, stat.version);
    this.#putInt(at + 36, stat.cversion);
    this.#putInt(at + 40, stat.aversion);
    const { ephemeralOwner } = stat;
    if (ephemeralOwner === 0n) {
      this.#putInt(at + 44, 0);
      this.#putInt(at + 48, 0);
    } else this.#bytes.writeBigInt64BE(BigInt.asIntN(64, ephemeralOwner), at + 44);
    this.#putInt(at + 52, stat.dataLength);
    this.#putInt(at + 56, stat.numChildren);
    this.#putLong(at + 60, stat.pzxid);
  }

  /** A length still to be patched, and a ReplyHeader; returns where the length is. */
  replyHeader(xid: number, zxid: number, err: number): number {
    const at = this.#grow(20);
    this.#putInt(at + 4, xid);
    this.#putLong(at + 8, zxid);
    this.#putInt(at + 16, err);
    return at;
  }

  texts(values: readonly string[]): void {
    this.int(values.length);
    for (const value of values) this.ustring(value);
  }

  #putInt(at: number, value: number): void {
    const b = this.#bytes;
    b[at] = value >>> 24;
    b[at + 1] = value >>> 16;
    b[at + 2] = value >>> 8;
    b[at + 3] = value;
  }

  #putLong(at: number, value: number): void {
    this.#putInt(at, value >= 0 ? (value / TWO_32) | 0 : Math.floor(value / TWO_32));
    this.#putInt(at + 4, value);
  }

  /** Makes room and returns where it begins. */
  #grow(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#initialBytes, 2 * this.#bytes.length));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = needed;
    return at;
  }
}
