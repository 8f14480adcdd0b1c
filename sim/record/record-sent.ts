/** What a recorder is told of a message between servers: what fits a panel, without the data. Called only while a run is recorded. */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { Recorder } from './recorder.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A message between servers as it is sent; null: its frame was corrupted. The number is for `arrived`. */
export function recordSent(recorder: Recorder, from: string, to: string, message: PeerMessage | null, bytes: number, sentMs: number): number {
  return recorder.sent(from, to, message?.type ?? 'corrupt', sentMs, message === null ? { bytes } : shortFields(message, bytes));
}

function shortFields(m: PeerMessage, bytes: number): Fields {
  switch (m.type) {
    case 'NOTIFICATION':
      return { vote: m.vote.sid, voteZxid: zxid(m.vote.zxid), peerEpoch: m.vote.peerEpoch, round: m.electionEpoch, state: m.state };
    case 'FOLLOWERINFO':
      return { acceptedEpoch: m.acceptedEpoch, suspect: m.suspect };
    case 'ACKEPOCH':
      return { currentEpoch: m.currentEpoch, lastZxid: zxid(m.lastZxid), appliedZxid: zxid(m.appliedZxid), history: m.history.map((end) => `${end.epoch}→${zxid(end.lastZxid)}`).join(' ') };
    case 'LEADERINFO':
      return { epoch: m.epoch, originId: m.originId };
    case 'NEWLEADER':
      return { epoch: m.epoch };
    case 'ACK':
    case 'COMMIT':
    case 'TRUNC':
    case 'UPTODATE':
      return { zxid: zxid(m.zxid) };
    case 'SNAP':
      return { baseZxid: zxid(m.baseZxid) };
    case 'SNAPCHUNK':
      return { entries: m.entries.length, bytes };
    case 'SNAPEND':
      return { baseZxid: zxid(m.baseZxid), entries: m.entryCount };
    case 'PROPOSAL':
      return m.group.firstZxid === m.group.lastZxid ? { zxid: zxid(m.group.lastZxid), bytes } : { zxid: zxid(m.group.lastZxid), firstZxid: zxid(m.group.firstZxid), bytes };
    case 'PIPELINE':
      return { body: short(m.body), bytes };
    case 'PING':
    case 'PONG':
      return { round: m.round };
    default:
      return {};
  }
}

function zxid(value: Zxid): string {
  return formatZxid(value);
}

const BODY_CHARS = 160;

/** What the pipelines of two servers say, without the data of the requests. */
function short(body: unknown): string {
  const text = JSON.stringify(body, (_key, value: unknown) => (value instanceof Uint8Array || isBuffer(value) ? '…' : typeof value === 'bigint' ? `0x${value.toString(16)}` : value)) ?? '';
  return text.length > BODY_CHARS ? `${text.slice(0, BODY_CHARS)}…` : text;
}
function isBuffer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer';
}
