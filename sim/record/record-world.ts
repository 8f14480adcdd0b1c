/** Turns what the world has at hand (lines of the trace, frames) into what a recorder takes. Called only while a run is recorded. */
import { decodePeerMessage } from '../../coord/wire/peer-codec.ts';
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { PeerMessage } from '../../coord/zab/messages.ts';
import type { Recorder } from './recorder.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A line of the trace: `Name {"field":…}`, or words. */
export function recordTrace(recorder: Recorder, atMs: number, who: string, what: string): void {
  const brace = what.indexOf(' {');
  if (brace > 0) {
    try {
      return recorder.event(atMs, who, what.slice(0, brace), JSON.parse(what.slice(brace + 1)) as Fields);
    } catch {
      // words that happen to hold a brace
    }
  }
  recorder.event(atMs, who, what, {});
}

/** A frame between servers as it is sent; the number is for `arrived`. */
export function recordFrame(recorder: Recorder, from: number, to: number, frame: Uint8Array, sentMs: number): number {
  let type = 'malformed';
  let fields: Fields = { bytes: frame.length };
  try {
    const message = decodePeerMessage(frame);
    type = message.type;
    fields = shortFields(message, frame.length);
  } catch {
    // a flipped bit: that it cannot be read is what there is to say
  }
  return recorder.message(`server-${from}`, `server-${to}`, type, sentMs, null, fields);
}

function shortFields(m: PeerMessage, bytes: number): Fields {
  switch (m.type) {
    case 'NOTIFICATION':
      return { vote: m.vote.sid, zxid: zxid(m.vote.zxid), peerEpoch: m.vote.peerEpoch, round: m.electionEpoch, state: m.state };
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
