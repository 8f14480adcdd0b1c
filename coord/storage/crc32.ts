/**
 * CRC-32, as zlib has it, of records and frames. Most of them are short, and the way into zlib costs more than their bytes: those go through a
 * loop here, four bytes a step.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';

/** Up to here the loop costs less. */
const SHORT_BYTES = 160;

/** Table k takes a byte that k more bytes follow. */
const TABLES = tables();

function tables(): Int32Array {
  const table = new Int32Array(4 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) === 0 ? c >>> 1 : (c >>> 1) ^ 0xedb88320;
    table[n] = c;
  }
  for (let i = 256; i < table.length; i++) {
    const c = table[i - 256] as number;
    table[i] = (c >>> 8) ^ (table[c & 0xff] as number);
  }
  return table;
}

/** Of the bytes from `from` up to `end`, behind those whose CRC is `before`. */
export function crc32(bytes: Uint8Array, from = 0, end = bytes.length, before = 0): number {
  if (end - from > SHORT_BYTES) return zlibCrc32(bytes.subarray(from, end), before);
  const t = TABLES;
  let c = ~before;
  let i = from;
  for (const last = end - 4; i <= last; i += 4) {
    c ^= (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24);
    c = (t[768 + (c & 0xff)] as number) ^ (t[512 + ((c >>> 8) & 0xff)] as number) ^ (t[256 + ((c >>> 16) & 0xff)] as number) ^ (t[c >>> 24] as number);
  }
  for (; i < end; i++) c = (t[(c ^ (bytes[i] as number)) & 0xff] as number) ^ (c >>> 8);
  return ~c >>> 0;
}

/** Of the text's UTF-8 bytes. */
export function crc32OfText(text: string): number {
  const t = TABLES;
  let c = -1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f || i === SHORT_BYTES) return zlibCrc32(text);
    c = (t[(c ^ unit) & 0xff] as number) ^ (c >>> 8);
  }
  return ~c >>> 0;
}
