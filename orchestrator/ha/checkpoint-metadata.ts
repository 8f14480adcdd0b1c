/** A checkpoint's metadata as it is stored: a line with the CRC-32 of the rest, and JSON. Positions that a flipped bit changed would still be JSON. */
import { crc32 } from 'node:zlib';
import { DreyError } from '../../coord/base/errors.ts';
import type { CheckpointMetadata } from '../jobmaster/records.ts';

export function encodeMetadata(metadata: CheckpointMetadata): Uint8Array {
  const json = JSON.stringify(metadata);
  return Buffer.from(`${crc32(json)}\n${json}`, 'utf8');
}

/** Throws DreyError STATE_CORRUPT, which names the file. */
export function decodeMetadata(bytes: Uint8Array, name: string): CheckpointMetadata {
  const text = Buffer.from(bytes).toString('utf8');
  const end = text.indexOf('\n');
  const json = text.slice(end + 1);
  if (text.slice(0, Math.max(0, end)) !== String(crc32(json))) throw new DreyError('STATE_CORRUPT', `${name}: the checksum does not match`);
  return JSON.parse(json) as CheckpointMetadata;
}
