/** The file in which a subtask's keyed state is kept: by operator id and key group, with a checksum, since it may have been copied about. */
import { crc32 } from 'node:zlib';
import { DreyError } from '../../coord/base/errors.ts';
import { decode, encode } from '../rpc/value-codec.ts';

/** Operator id → key group → what KeyedState.snapshot gave for it. */
export type KeyedSnapshots = ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;

const FORMAT = 1;

export function encodeStateFile(snapshots: KeyedSnapshots): Uint8Array {
  const body = encode(snapshots);
  return encode([FORMAT, crc32(body), body]);
}

/** Throws DreyError STATE_CORRUPT. */
export function decodeStateFile(bytes: Uint8Array, name: string): KeyedSnapshots {
  let file: unknown;
  try {
    file = decode(bytes);
  } catch (error) {
    throw new DreyError('STATE_CORRUPT', `${name} is not a state file`, { cause: error });
  }
  const [format, checksum, body] = Array.isArray(file) ? (file as unknown[]) : [];
  if (format !== FORMAT || !(body instanceof Uint8Array)) throw new DreyError('STATE_CORRUPT', `${name} is not a state file of format ${FORMAT}`);
  if (crc32(body) !== checksum) throw new DreyError('STATE_CORRUPT', `${name}: the checksum does not match`);
  return decode(body) as KeyedSnapshots;
}
