/**
 * Messages between servers as frames: msgpack arrays [type number, field, …], fields in the order of coord/zab/messages.ts.
 * A decoder believes nothing: what has not the shape, types and ranges of its message is refused with COORD_PEER_FRAME, and whoever
 * received it closes the channel.
 *
 * Group bytes, snapshot values and binary PIPELINE bodies come out as views into the frame; the frame must not be written to again.
 * Leaves to others: what a message means, and when it may come (coord/zab).
 */
import { assertNever } from '../base/assert.ts';
import { DreyError } from '../base/errors.ts';
import { EPOCH_MAX, zxidEpoch } from '../base/zxid.ts';
import { NO_VOTE, type PeerMessage, type ProposalMessage, type ServerState } from '../zab/messages.ts';
import type { EpochEnd, TxnGroup } from '../zab/txn-group.ts';
import { decodeFlat, decodeMsgpack, encodeFlat, encodeMsgpack } from './msgpack.ts';

const CODE = 'COORD_PEER_FRAME';

/** Never renumber: two versions of drey may meet. */
const Type = {
  NOTIFICATION: 1, HEARTBEAT: 2, FOLLOWERINFO: 3, ACKEPOCH: 4, ACK: 5, PONG: 6, LEADERINFO: 7, DIFF: 8, TRUNC: 9, SNAP: 10, SNAPCHUNK: 11,
  SNAPEND: 12, NEWLEADER: 13, UPTODATE: 14, PROPOSAL: 15, COMMIT: 16, PING: 17, PIPELINE: 18,
} as const;

const HEARTBEAT: PeerMessage = { type: 'HEARTBEAT' };
const STATES: readonly ServerState[] = ['LOOKING', 'FOLLOWING', 'LEADING'];
const SID_MAX = 255;

/** The frame is the caller's own, and `spare` bytes at its end are the caller's to fill. One frame does for all learners that a message goes to. */
export function encodePeerMessage(m: PeerMessage, spare = 0): Buffer {
  if (m.type === 'PROPOSAL') return encodeProposal(m.group, spare);
  const values = fields(m);
  const flat = encodeFlat(values, spare);
  if (flat !== null) return flat;
  const body = encodeMsgpack(values);
  if (spare === 0) return body;
  const frame = Buffer.allocUnsafe(body.length + spare);
  frame.set(body);
  return frame;
}

/** array of 4, positive integer, two float64, bin32: the bytes that msgpackr would make, without its growing buffer in between. */
const PROPOSAL_HEAD_BYTES = 25;

function encodeProposal({ firstZxid, lastZxid, bytes: txns }: TxnGroup, spare: number): Buffer {
  const frame = Buffer.allocUnsafe(PROPOSAL_HEAD_BYTES + txns.length + spare);
  frame[0] = 0x94;
  frame[1] = Type.PROPOSAL;
  frame[2] = 0xcb;
  frame.writeDoubleBE(firstZxid, 3);
  frame[11] = 0xcb;
  frame.writeDoubleBE(lastZxid, 12);
  frame[20] = 0xc6;
  frame.writeUInt32BE(txns.length, 21);
  frame.set(txns, PROPOSAL_HEAD_BYTES);
  return frame;
}

function fields(m: Exclude<PeerMessage, ProposalMessage>): unknown[] {
  switch (m.type) {
    case 'NOTIFICATION':
      return [Type.NOTIFICATION, m.vote.sid, m.vote.zxid, m.vote.peerEpoch, m.electionEpoch, STATES.indexOf(m.state)];
    case 'HEARTBEAT':
      return [Type.HEARTBEAT];
    case 'FOLLOWERINFO':
      return [Type.FOLLOWERINFO, m.sid, m.acceptedEpoch, m.suspect];
    case 'ACKEPOCH':
      return [Type.ACKEPOCH, m.currentEpoch, m.lastZxid, m.history.map(({ epoch, lastZxid }) => [epoch, lastZxid]), m.appliedZxid];
    case 'ACK':
      return [Type.ACK, m.zxid];
    case 'PONG':
      return [Type.PONG, m.round];
    case 'LEADERINFO':
      return [Type.LEADERINFO, m.epoch, m.originId];
    case 'DIFF':
      return [Type.DIFF];
    case 'TRUNC':
      return [Type.TRUNC, m.zxid];
    case 'SNAP':
      return [Type.SNAP, m.baseZxid];
    case 'SNAPCHUNK':
      return [Type.SNAPCHUNK, m.entries];
    case 'SNAPEND':
      return [Type.SNAPEND, m.baseZxid, m.entryCount];
    case 'NEWLEADER':
      return [Type.NEWLEADER, m.epoch];
    case 'UPTODATE':
      return [Type.UPTODATE, m.zxid];
    case 'COMMIT':
      return [Type.COMMIT, m.zxid];
    case 'PING':
      return [Type.PING, m.round];
    case 'PIPELINE':
      return [Type.PIPELINE, m.body];
    default:
      return assertNever(m);
  }
}

const NAMES: readonly PeerMessage['type'][] = Object.entries(Type).reduce<PeerMessage['type'][]>((names, [name, number]) => {
  names[number] = name as PeerMessage['type'];
  return names;
}, []);

/** What a frame says that it is, unchecked; null: nothing that is known. */
export function peerMessageType(frame: Uint8Array): PeerMessage['type'] | null {
  return ((frame[0] as number) & 0xf0) === 0x90 ? (NAMES[frame[1] as number] ?? null) : null;
}

/** How many fields follow the type number. */
const FIELD_COUNT: Readonly<Record<number, number>> = {
  [Type.NOTIFICATION]: 5, [Type.HEARTBEAT]: 0, [Type.FOLLOWERINFO]: 3, [Type.ACKEPOCH]: 4, [Type.ACK]: 1, [Type.PONG]: 1, [Type.LEADERINFO]: 2,
  [Type.DIFF]: 0, [Type.TRUNC]: 1, [Type.SNAP]: 1, [Type.SNAPCHUNK]: 1, [Type.SNAPEND]: 2, [Type.NEWLEADER]: 1, [Type.UPTODATE]: 1,
  [Type.PROPOSAL]: 3, [Type.COMMIT]: 1, [Type.PING]: 1, [Type.PIPELINE]: 1,
};

/** The message is what lies before `end`. Throws DreyError COORD_PEER_FRAME. */
export function decodePeerMessage(frame: Uint8Array, end = frame.length): PeerMessage {
  // About every second frame of an ensemble that idles.
  if (end === 2 && frame[0] === 0x91 && frame[1] === Type.HEARTBEAT) return HEARTBEAT;
  const buffer = Buffer.isBuffer(frame) ? frame : Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const f = decodeFlat(buffer, end) ?? decodeMsgpack(buffer.subarray(0, end), CODE);
  if (!Array.isArray(f)) throw wrong('frame', f);
  const type = f[0] as unknown;
  const count = typeof type === 'number' ? FIELD_COUNT[type] : undefined;
  if (count === undefined) throw wrong('message type', type);
  if (f.length !== count + 1) throw wrong(`field count of message type ${String(type)}`, f.length - 1);
  switch (type) {
    case Type.NOTIFICATION:
      return {
        type: 'NOTIFICATION',
        vote: { sid: integer('vote', f[1], NO_VOTE, SID_MAX), zxid: zxid(f[2]), peerEpoch: epoch(f[3]) },
        electionEpoch: integer('electionEpoch', f[4], 0, Number.MAX_SAFE_INTEGER),
        state: STATES[integer('state', f[5], 0, STATES.length - 1)] as ServerState,
      };
    case Type.HEARTBEAT:
      return HEARTBEAT;
    case Type.FOLLOWERINFO:
      return { type: 'FOLLOWERINFO', sid: sid(f[1]), acceptedEpoch: epoch(f[2]), suspect: bool(f[3]) };
    case Type.ACKEPOCH:
      return { type: 'ACKEPOCH', currentEpoch: epoch(f[1]), lastZxid: zxid(f[2]), history: history(f[3]), appliedZxid: zxid(f[4]) };
    case Type.ACK:
      return { type: 'ACK', zxid: zxid(f[1]) };
    case Type.PONG:
      return { type: 'PONG', round: round(f[1]) };
    case Type.LEADERINFO:
      return { type: 'LEADERINFO', epoch: epoch(f[1]), originId: integer('originId', f[2], 1, Number.MAX_SAFE_INTEGER) };
    case Type.DIFF:
      return { type: 'DIFF' };
    case Type.TRUNC:
      return { type: 'TRUNC', zxid: zxid(f[1]) };
    case Type.SNAP:
      return { type: 'SNAP', baseZxid: zxid(f[1]) };
    case Type.SNAPCHUNK:
      return { type: 'SNAPCHUNK', entries: entries(f[1]) };
    case Type.SNAPEND:
      return { type: 'SNAPEND', baseZxid: zxid(f[1]), entryCount: integer('entryCount', f[2], 0, Number.MAX_SAFE_INTEGER) };
    case Type.NEWLEADER:
      return { type: 'NEWLEADER', epoch: epoch(f[1]) };
    case Type.UPTODATE:
      return { type: 'UPTODATE', zxid: zxid(f[1]) };
    case Type.PROPOSAL: {
      const firstZxid = zxid(f[1]);
      const lastZxid = zxid(f[2]);
      if (lastZxid < firstZxid || zxidEpoch(firstZxid) !== zxidEpoch(lastZxid)) throw wrong('zxid range', `${firstZxid}..${lastZxid}`);
      return { type: 'PROPOSAL', group: { firstZxid, lastZxid, bytes: bytes(f[3]) } };
    }
    case Type.COMMIT:
      return { type: 'COMMIT', zxid: zxid(f[1]) };
    case Type.PING:
      return { type: 'PING', round: round(f[1]) };
    default:
      return { type: 'PIPELINE', body: f[1] as unknown };
  }
}

function wrong(what: string, value: unknown): DreyError {
  const shown = typeof value === 'number' || typeof value === 'string' ? String(value).slice(0, 60) : typeof value;
  return new DreyError(CODE, `a peer sent a wrong ${what}: ${shown}`);
}

function integer(what: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) throw wrong(what, value);
  return value;
}

function zxid(value: unknown): number {
  return integer('zxid', value, 0, Number.MAX_SAFE_INTEGER);
}

function epoch(value: unknown): number {
  return integer('epoch', value, 0, EPOCH_MAX);
}

function sid(value: unknown): number {
  return integer('sid', value, 0, SID_MAX);
}

function bool(value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong('flag', value);
  return value;
}

function round(value: unknown): number {
  return integer('round', value, 0, Number.MAX_SAFE_INTEGER);
}

function bytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrong('binary field', value);
  return value;
}

function history(value: unknown): EpochEnd[] {
  if (!Array.isArray(value)) throw wrong('history', value);
  let previous = -1;
  return value.map((end: unknown) => {
    if (!Array.isArray(end) || end.length !== 2) throw wrong('epoch end', end);
    const result = { epoch: epoch(end[0]), lastZxid: zxid(end[1]) };
    if (result.epoch <= previous) throw wrong('order of epochs', result.epoch);
    previous = result.epoch;
    return result;
  });
}

function entries(value: unknown): (readonly [string, Uint8Array])[] {
  if (!Array.isArray(value)) throw wrong('snapshot chunk', value);
  return value.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 2 || typeof entry[0] !== 'string') throw wrong('snapshot entry', entry);
    return [entry[0], bytes(entry[1])] as const;
  });
}
