/**
 * The bytes of a group of txns: what the journal and the peers get. Encoded once, by the leader.
 *
 * One txn: a byte (format in the high nibble, flags in the low one), a byte for the type, the header, the txn's fields. zxids are consecutive
 * and so not written; the time is written only where it differs from the txn before. Integers are little-endian; a string is its length in
 * bytes (top bit: not ASCII) and its bytes; an absent ACL list or data is length -1.
 *
 * Invariants:
 * - decode(encode(x)) equals x; bytes that no encoder wrote are a COORD_TXN error, not a wrong txn, as far as lengths and tags can tell.
 * - finish() owns what it returns; decoded data are views into the group's bytes, which whoever keeps them copies.
 *
 * Left to others: checksums (the journal's records and the frames have them).
 */
import { empty } from '../base/empty.ts';
import { DreyError } from '../base/errors.ts';
import type { Zxid } from '../base/zxid.ts';
import type { Acl } from '../wire/types.ts';
import { OPEN_ACL, isOpenAcl } from './acl.ts';
import type { CreateTxn, MultiOpTxn, SetDataTxn, Txn, TxnHeader } from './txn.ts';

export class TxnGroupEncoder {
  #bytes: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #view = viewOf(this.#bytes);
  #at = 0;
  #count = 0;
  #firstZxid: Zxid = 0;
  #timeMs = Number.NaN;
  /** Txns with data, and where it lies. */
  #carriers: (CreateTxn | SetDataTxn)[] = [];
  #dataAt: number[] = [];

  /** Starts a group; what was added and not finished is forgotten. */
  begin(firstZxid: Zxid): void {
    this.#firstZxid = firstZxid;
    this.#at = 0;
    this.#count = 0;
    this.#timeMs = Number.NaN;
    empty(this.#carriers);
    empty(this.#dataAt);
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#at;
  }

  /** Copies everything it needs, data included. */
  add(header: TxnHeader, txn: Txn): void {
    if (header.zxid !== this.#firstZxid + this.#count) throw new DreyError('COORD_TXN', `zxid ${header.zxid} does not continue the group`);
    this.#reserve(40);
    const sameTime = header.timeMs === this.#timeMs;
    this.#bytes[this.#at++] = FORMAT | (sameTime ? SAME_TIME : 0);
    this.#bytes[this.#at++] = TAGS[txn.type];
    if (!sameTime) {
      this.#timeMs = header.timeMs;
      this.#view.setFloat64(this.#at, header.timeMs, true);
      this.#at += 8;
    }
    this.#int64(header.sessionId);
    this.#view.setUint32(this.#at, header.originId, true);
    this.#view.setFloat64(this.#at + 4, header.requestNo, true);
    this.#at += 12;
    this.#txn(txn);
    this.#count++;
  }

  /**
   * The group's bytes. The data of the txns that were added now are views into them: until here they may have been views into a receive buffer,
   * which is soon used for something else, and the leader applies these very txns later. The encoder may be used again at once.
   */
  finish(): Uint8Array {
    const out = Buffer.allocUnsafeSlow(this.#at);
    this.#bytes.copy(out, 0, 0, this.#at);
    for (let i = 0; i < this.#carriers.length; i++) {
      const txn = this.#carriers[i] as { data: Uint8Array };
      const at = this.#dataAt[i] as number;
      txn.data = new Uint8Array(out.buffer, out.byteOffset + at, txn.data.length);
    }
    empty(this.#carriers);
    empty(this.#dataAt);
    return out;
  }

  #txn(txn: Txn | MultiOpTxn): void {
    switch (txn.type) {
      case 'setData':
        this.#string(txn.path);
        this.#data(txn.data);
        if (txn.data !== null) this.#carry(txn, txn.data.length);
        this.#int32(txn.version);
        return;
      case 'create':
        this.#string(txn.path);
        this.#data(txn.data);
        if (txn.data !== null) this.#carry(txn, txn.data.length);
        this.#acl(txn.acl);
        this.#reserve(16);
        this.#bytes[this.#at++] = KINDS.indexOf(txn.kind) | (txn.withStat ? WITH_STAT : 0);
        if (txn.kind === 'ttl') {
          this.#view.setFloat64(this.#at, txn.ttlMs, true);
          this.#at += 8;
        }
        this.#int32(txn.parentCVersion);
        return;
      case 'delete':
      case 'check':
        this.#string(txn.path);
        return;
      case 'setACL':
        this.#string(txn.path);
        this.#acl(txn.acl);
        this.#int32(txn.aversion);
        return;
      case 'createSession':
        this.#reserve(8);
        this.#int64(txn.sessionId);
        this.#int32(txn.timeoutMs);
        this.#data(txn.password);
        return;
      case 'closeSession':
        this.#reserve(8);
        this.#int64(txn.sessionId);
        this.#int32(txn.paths.length);
        for (const path of txn.paths) this.#string(path);
        return;
      case 'error':
        this.#int32(txn.err);
        return;
      case 'multi':
        this.#int32(txn.txns.length);
        for (const op of txn.txns) {
          this.#reserve(1);
          this.#bytes[this.#at++] = TAGS[op.type];
          this.#txn(op);
        }
        return;
      case 'failedMulti':
        this.#int32(txn.errs.length);
        for (const err of txn.errs) this.#int32(err);
        return;
    }
  }

  #carry(txn: CreateTxn | SetDataTxn, length: number): void {
    this.#carriers.push(txn);
    this.#dataAt.push(this.#at - length);
  }

  #reserve(n: number): void {
    if (this.#at + n > this.#bytes.length) this.#grow(n);
  }

  #grow(n: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.#at + n, this.#bytes.length * 2));
    this.#bytes.copy(bytes, 0, 0, this.#at);
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#at, value, true);
    this.#at += 4;
  }

  /** Room is there. */
  #int64(value: bigint): void {
    scratch64[0] = value;
    this.#view.setUint32(this.#at, scratch32[0] as number, true);
    this.#view.setUint32(this.#at + 4, scratch32[1] as number, true);
    this.#at += 8;
  }

  #string(text: string): void {
    const length = text.length;
    this.#reserve(4 + length * 3);
    const start = this.#at + 4;
    if (length <= LOOP_MAX) {
      const bytes = this.#bytes;
      let i = 0;
      for (; i < length; i++) {
        const c = text.charCodeAt(i);
        if (c >= 0x80) break;
        bytes[start + i] = c;
      }
      if (i === length) {
        this.#view.setUint32(this.#at, length, true);
        this.#at = start + length;
        return;
      }
    }
    const written = this.#bytes.write(text, start, 'utf8');
    this.#view.setUint32(this.#at, written === length ? length : (written | NOT_ASCII) >>> 0, true);
    this.#at = start + written;
  }

  #data(data: Uint8Array | null): void {
    if (data === null) {
      this.#int32(-1);
      return;
    }
    this.#reserve(4 + data.length);
    this.#view.setInt32(this.#at, data.length, true);
    this.#bytes.set(data, this.#at + 4);
    this.#at += 4 + data.length;
  }

  #acl(acl: readonly Acl[]): void {
    if (isOpenAcl(acl)) {
      this.#int32(-1);
      return;
    }
    this.#int32(acl.length);
    for (const entry of acl) {
      this.#int32(entry.perms);
      this.#string(entry.scheme);
      this.#string(entry.id);
    }
  }
}

/**
 * Calls `each` for every txn and returns how many there were. The header object is used again for the next txn; data are views into `bytes`.
 * Throws a DreyError COORD_TXN for bytes that are no group, after `each` was called for the txns before the bad one.
 */
export function decodeTxnGroup(bytes: Uint8Array, firstZxid: Zxid, each: (header: TxnHeader, txn: Txn) => void): number {
  const reader = new Reader(bytes);
  const header: TxnHeader = { zxid: firstZxid, timeMs: 0, sessionId: 0n, originId: 0, requestNo: 0 };
  let count = 0;
  let hasTime = false;
  while (reader.at < bytes.length) {
    let txn: Txn;
    try {
      const lead = reader.uint8();
      if ((lead & 0xf0) !== FORMAT || (lead & 0x0f & ~SAME_TIME) !== 0) throw malformed(`unknown format ${lead}`);
      const tag = reader.uint8();
      if ((lead & SAME_TIME) === 0) header.timeMs = reader.float64();
      else if (!hasTime) throw malformed('no time');
      hasTime = true;
      header.zxid = firstZxid + count;
      header.sessionId = reader.int64();
      header.originId = reader.uint32();
      header.requestNo = reader.float64();
      txn = readTxn(reader, tag);
    } catch (error) {
      if (error instanceof DreyError) throw error;
      throw malformed(`txn ${count} is cut short`, error);
    }
    each(header, txn);
    count++;
  }
  return count;
}

/** About how many bytes the txn takes: never less than its payload. */
export function txnSize(txn: Txn | MultiOpTxn): number {
  switch (txn.type) {
    case 'setData':
      return 40 + txn.path.length + (txn.data === null ? 0 : txn.data.length);
    case 'create':
      return 64 + txn.path.length + (txn.data === null ? 0 : txn.data.length) + aclSize(txn.acl);
    case 'setACL':
      return 40 + txn.path.length + aclSize(txn.acl);
    case 'delete':
    case 'check':
      return 40 + txn.path.length;
    case 'multi':
      return txn.txns.reduce((size, op) => size + txnSize(op), 40);
    case 'closeSession':
      return txn.paths.reduce((size, path) => size + 4 + path.length, 48);
    case 'failedMulti':
      return 40 + 4 * txn.errs.length;
    case 'createSession':
    case 'error':
      return 64;
  }
}

function aclSize(acl: readonly Acl[]): number {
  return acl.reduce((size, entry) => size + 12 + entry.scheme.length + entry.id.length, 4);
}

class Reader {
  at = 0;
  readonly #bytes: Buffer;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = viewOf(bytes);
  }

  uint8(): number {
    return this.#view.getUint8(this.at++);
  }

  int32(): number {
    const value = this.#view.getInt32(this.at, true);
    this.at += 4;
    return value;
  }

  uint32(): number {
    const value = this.#view.getUint32(this.at, true);
    this.at += 4;
    return value;
  }

  float64(): number {
    const value = this.#view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  /** Sessions repeat, so the last bigint of each slot is kept: most reads allocate nothing. */
  int64(): bigint {
    const low = this.uint32();
    const high = this.uint32();
    const slot = (low ^ (low >>> 8) ^ high) & (RECENT - 1);
    if (recentLow[slot] === low && recentHigh[slot] === high) return recent[slot] as bigint;
    scratch32[0] = low;
    scratch32[1] = high;
    const value = scratch64[0] as bigint;
    recentLow[slot] = low;
    recentHigh[slot] = high;
    recent[slot] = value;
    return value;
  }

  /** A count of things that take at least `size` bytes each. */
  count(size: number): number {
    const count = this.int32();
    if (count < 0 || count * size > this.#bytes.length - this.at) throw malformed(`count ${count}`);
    return count;
  }

  string(): string {
    const prefix = this.uint32();
    const length = prefix & ~NOT_ASCII;
    const end = this.at + length;
    if (end > this.#bytes.length) throw malformed(`string of ${length} bytes`);
    const text = this.#bytes.toString(prefix === length ? 'latin1' : 'utf8', this.at, end);
    this.at = end;
    return text;
  }

  data(): Uint8Array | null {
    const length = this.int32();
    if (length === -1) return null;
    const end = this.at + length;
    if (length < 0 || end > this.#bytes.length) throw malformed(`data of ${length} bytes`);
    const data = this.#bytes.subarray(this.at, end);
    this.at = end;
    return data;
  }

  acl(): readonly Acl[] {
    const length = this.int32();
    if (length === -1) return OPEN_ACL;
    if (length < 0 || length * 12 > this.#bytes.length - this.at) throw malformed(`ACL of ${length} entries`);
    const acl: Acl[] = [];
    for (let i = 0; i < length; i++) acl.push({ perms: this.int32(), scheme: this.string(), id: this.string() });
    return acl;
  }
}

function readTxn(reader: Reader, tag: number): Txn {
  switch (tag) {
    case TAGS.createSession: {
      const sessionId = reader.int64();
      const timeoutMs = reader.int32();
      const password = reader.data();
      if (password === null) throw malformed('session without a password');
      return { type: 'createSession', sessionId, timeoutMs, password };
    }
    case TAGS.closeSession: {
      const sessionId = reader.int64();
      const paths: string[] = [];
      for (let n = reader.count(4); n > 0; n--) paths.push(reader.string());
      return { type: 'closeSession', sessionId, paths };
    }
    case TAGS.setACL:
      return { type: 'setACL', path: reader.string(), acl: reader.acl(), aversion: reader.int32() };
    case TAGS.error:
      return { type: 'error', err: reader.int32() };
    case TAGS.multi: {
      const txns: MultiOpTxn[] = [];
      for (let n = reader.count(5); n > 0; n--) txns.push(readOp(reader, reader.uint8()));
      return { type: 'multi', txns };
    }
    case TAGS.failedMulti: {
      const errs: number[] = [];
      for (let n = reader.count(4); n > 0; n--) errs.push(reader.int32());
      return { type: 'failedMulti', errs };
    }
    case TAGS.check:
      throw malformed('a check outside a multi');
    default:
      return readOp(reader, tag) as Exclude<MultiOpTxn, { type: 'check' }>;
  }
}

function readOp(reader: Reader, tag: number): MultiOpTxn {
  switch (tag) {
    case TAGS.setData:
      return { type: 'setData', path: reader.string(), data: reader.data(), version: reader.int32() };
    case TAGS.create: {
      const path = reader.string();
      const data = reader.data();
      const acl = reader.acl();
      const bits = reader.uint8();
      const kind = KINDS[bits & ~WITH_STAT];
      if (kind === undefined) throw malformed(`kind of znode ${bits}`);
      const ttlMs = kind === 'ttl' ? reader.float64() : 0;
      return { type: 'create', path, data, acl, kind, ttlMs, parentCVersion: reader.int32(), withStat: (bits & WITH_STAT) !== 0 };
    }
    case TAGS.delete:
      return { type: 'delete', path: reader.string() };
    case TAGS.check:
      return { type: 'check', path: reader.string() };
    default:
      throw malformed(`unknown type ${tag}`);
  }
}

function malformed(what: string, cause?: unknown): DreyError {
  return new DreyError('COORD_TXN', `malformed txn group: ${what}`, { cause });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

const FORMAT = 0x10;
const SAME_TIME = 0x01;
const TAGS = {
  create: 1, delete: 2, setData: 3, setACL: 4, check: 5, createSession: 6, closeSession: 7, error: 8, multi: 9, failedMulti: 10,
} as const satisfies Record<Txn['type'] | MultiOpTxn['type'], number>;
const KINDS: readonly CreateTxn['kind'][] = ['persistent', 'ephemeral', 'container', 'ttl'];
const WITH_STAT = 0x80;
const NOT_ASCII = 0x8000_0000;
/** Up to here a loop over the characters is faster than the call into C++. */
const LOOP_MAX = 96;

const scratch64 = new BigInt64Array(1);
const scratch32 = new Uint32Array(scratch64.buffer);
const RECENT = 1024;
const recent: bigint[] = Array.from({ length: RECENT }, () => 0n);
const recentLow = new Uint32Array(RECENT);
const recentHigh = new Uint32Array(RECENT);
