/**
 * How records and state become bytes: msgpack that keeps undefined, bigint, Date, Map, Set, typed arrays and Error apart; class instances
 * become plain objects. The same within one frame or blob only: nothing is shared between two calls of encode.
 */
import { Packr } from 'msgpackr';

const packr = new Packr({ moreTypes: true, useBigIntExtension: true, mapsAsObjects: false, useRecords: true });

export function encode(value: unknown): Uint8Array {
  return packr.pack(value);
}

export function decode(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}
