/** Messages between job master and task managers as bytes: plain msgpack, one message per ws frame. */
import { pack, unpack } from 'msgpackr';
import type { MasterMessage, WorkerMessage } from './messages.ts';

/** Largest frame that either side accepts. */
export const RPC_FRAME_BYTES_MAX = 64 * 1024 * 1024;

export function encodeMessage(message: MasterMessage | WorkerMessage): Uint8Array {
  return pack(message);
}

/** Throws on what is not msgpack. The sender is one of us: the shape is not checked. */
export function decodeMessage<M extends MasterMessage | WorkerMessage>(frame: Uint8Array): M {
  return unpack(frame) as M;
}
