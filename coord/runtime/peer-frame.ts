/**
 * What travels between servers: an encoded message (coord/wire/peer-codec.ts) and the CRC-32 of its bytes, 4 bytes, little-endian.
 *
 * TCP's checksum lets one in 65,536 damaged segments pass, and faulty hardware and tunnels produce such segments (ZooKeeper ensembles have been
 * stopped by them). A flipped bit in a txn would make replicas differ for good, one in an ACK or a vote could lose acknowledged writes. So
 * every frame is checked, not only PROPOSAL and SNAPCHUNK; a wrong one ends its channel, and the learner is brought in line again.
 */
import { DreyError } from '../base/errors.ts';
import { crc32 } from '../storage/crc32.ts';
import { decodePeerMessage, encodePeerMessage } from '../wire/peer-codec.ts';
import type { PeerMessage } from '../zab/messages.ts';

const CRC_BYTES = 4;

/** The frame is the caller's own. One frame does for all learners that a message goes to. */
export function encodePeerFrame(message: PeerMessage): Uint8Array {
  return seal(encodePeerMessage(message, CRC_BYTES));
}

/** `body` may be anything. */
export function sealFrame(body: Uint8Array): Uint8Array {
  const frame = Buffer.allocUnsafe(body.length + CRC_BYTES);
  frame.set(body);
  return seal(frame);
}

function seal(frame: Buffer): Uint8Array {
  const end = frame.length - CRC_BYTES;
  const crc = crc32(frame, 0, end);
  frame[end] = crc;
  frame[end + 1] = crc >>> 8;
  frame[end + 2] = crc >>> 16;
  frame[end + 3] = crc >>> 24;
  return frame;
}

/** Throws DreyError COORD_PEER_FRAME. What is binary in the message is a view into the frame. */
export function decodePeerFrame(frame: Uint8Array): PeerMessage {
  const end = frame.length - CRC_BYTES;
  if (end < 0) throw new DreyError('COORD_PEER_FRAME', `a peer sent a frame of ${frame.length} bytes`);
  const crc = ((frame[end] as number) | ((frame[end + 1] as number) << 8) | ((frame[end + 2] as number) << 16) | ((frame[end + 3] as number) << 24)) >>> 0;
  if (crc32(frame, 0, end) !== crc) throw new DreyError('COORD_PEER_FRAME', `a peer sent a frame of ${frame.length} bytes whose checksum does not match`);
  return decodePeerMessage(frame, end);
}
