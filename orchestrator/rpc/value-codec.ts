/**
 * How records and state become bytes: msgpack that keeps undefined, bigint, Date, Map, Set, typed arrays and Error apart; class instances
 * become plain objects and -0 becomes 0. The same within one frame or blob only: nothing is shared between two calls of encode.
 *
 * A key named `__proto__`, which JSON.parse makes of any input that has one, is read by msgpackr as `__proto_`. Values with such a key are
 * written in another form; a search in the encoded bytes tells, so that others pay nothing more.
 */
import { addExtension, Packr } from 'msgpackr';

/** An object with a key of its own named `__proto__`, as its entries. */
class Entries {
  readonly entries: [string, unknown][];

  constructor(entries: [string, unknown][]) {
    this.entries = entries;
  }
}

addExtension({
  Class: Entries,
  type: 1,
  write: (object: Entries) => object.entries,
  // Defines, where an assignment to `__proto__` would set the prototype.
  read: (entries: [string, unknown][]) => Object.fromEntries(entries),
});

const packr = new Packr({ moreTypes: true, useBigIntExtension: true, mapsAsObjects: false, useRecords: true });

export function encode(value: unknown): Uint8Array {
  const bytes = packr.pack(value);
  return bytes.includes('__proto__') ? packr.pack(withEntries(value)) : bytes;
}

export function decode(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

/** The value with Entries in the place of each object that has a key named `__proto__`. */
function withEntries(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Error || value instanceof RegExp || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(withEntries);
  if (value instanceof Map) return new Map([...value].map(([key, of]) => [withEntries(key), withEntries(of)]));
  if (value instanceof Set) return new Set([...value].map(withEntries));
  const entries = Object.entries(value).map(([key, of]): [string, unknown] => [key, withEntries(of)]);
  return Object.hasOwn(value, '__proto__') ? new Entries(entries) : Object.fromEntries(entries);
}
