/**
 * Keeps what `sim open` draws of a run: the newest of everything, since a run ends where it fails. Roles and epochs of servers are read off what
 * the product traces. What was let go for room is counted, and the page says so.
 */
import { formatZxid } from '../../coord/base/zxid.ts';
import { Newest } from './newest.ts';
import type { LeftOut, Recorded, RecordedFault, RecordedViolation, Text } from './recorded.ts';
import type { LaneKind, Recorder } from './recorder.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface RecordingLimits {
  /** Of events, of messages, of heartbeats, of operations and of disk writes: how many of each are kept. */
  readonly keep?: number;
  /** Nothing later is kept, virtual ms: for the neighbour of a run that ended there. */
  readonly untilMs?: number;
}

interface Message { from: number; to: number; type: Text; sentAt: number; endAt: number; lost: number; fields: Text }
interface Band { lane: number; band: Text; label: Text; from: number; to: number }
interface Event { at: number; lane: number; name: Text; fields: Text }
interface Operation { lane: number; kind: Text; path: Text; callAt: number; returnAt: number; outcome: Text; zxid: number }

const KEEP = 20_000;
/** Of a text and of a list in the fields of an item. */
const TEXT_CHARS = 300;
const LIST_ITEMS = 12;
const HEARTBEATS = new Set(['HEARTBEAT', 'PING', 'PONG', 'metrics']);
/** Names of those who trace without a lane of their own. */
const NO_LANE = new Set(['knobs', 'judge', 'world', 'plan']);
const ROLES: Readonly<Record<string, string>> = { LOOKING: 'looking', FOLLOWING: 'following', LEADING: 'leading' };

export class Recording implements Recorder {
  readonly #untilMs: number;
  readonly #strings: string[] = [];
  readonly #numbers = new Map<string, Text>();
  readonly #lanes: { id: string; kind: LaneKind }[] = [];
  readonly #laneNumbers = new Map<string, number>();
  readonly #events: Newest<Event>;
  /** Kept apart, or else they would push out all that matters. */
  readonly #heartbeats: Newest<Message>;
  readonly #messages: Newest<Message>;
  readonly #operations: Newest<Operation>;
  readonly #writes: Newest<Band>;
  readonly #bands: Band[] = [];
  readonly #openBands = new Map<string, Band>();
  readonly #faults = new Map<string, RecordedFault>();
  #violation: RecordedViolation | null = null;
  #endAt = 0;

  constructor({ keep = KEEP, untilMs = Infinity }: RecordingLimits = {}) {
    this.#untilMs = untilMs;
    this.#events = new Newest(keep);
    this.#messages = new Newest(keep);
    this.#heartbeats = new Newest(Math.ceil(keep / 4));
    this.#operations = new Newest(keep);
    this.#writes = new Newest(keep);
  }

  lane(id: string, kind: LaneKind): void {
    if (this.#laneNumbers.has(id)) return;
    this.#laneNumbers.set(id, this.#lanes.length);
    this.#lanes.push({ id, kind });
  }

  event(atMs: number, lane: string, name: string, fields: Fields): void {
    if (this.#late(atMs) || NO_LANE.has(lane)) return;
    this.#events.push({ at: micros(atMs), lane: this.#laneNo(lane), name: this.#text(name), fields: this.#fields(fields) });
    if (lane.startsWith('server-')) this.#life(atMs, lane, name, fields);
  }

  /** What a server says of its role and its epoch. */
  #life(atMs: number, lane: string, name: string, fields: Fields): void {
    switch (name) {
      case 'start':
        return this.begin(atMs, lane, 'role', 'starting');
      case 'crash':
        this.end(atMs, lane, 'disk');
        this.end(atMs, lane, 'epoch');
        return this.begin(atMs, lane, 'role', 'down');
      case 'State':
        this.begin(atMs, lane, 'role', ROLES[String(fields['state'])] ?? String(fields['state']));
        return this.#epoch(atMs, lane, fields['epoch']);
      case 'Serving':
        if (fields['serving'] !== 'no' && fields['serving'] !== undefined) this.begin(atMs, lane, 'role', fields['serving'] === 'leader' ? 'leading, serves' : 'following, serves');
        return this.#epoch(atMs, lane, fields['epoch']);
      case 'NewEpoch':
      case 'Established':
        return this.#epoch(atMs, lane, fields['epoch']);
      default:
    }
  }
  #epoch(atMs: number, lane: string, epoch: unknown): void {
    if (typeof epoch === 'number' && epoch > 0) this.begin(atMs, lane, 'epoch', String(epoch));
  }

  message(from: string, to: string, type: string, sentMs: number, arrivesMs: number | null, fields: Fields): void {
    const number = this.sent(from, to, type, sentMs, fields);
    this.arrived(number, arrivesMs ?? sentMs, arrivesMs === null);
  }

  sent(from: string, to: string, type: string, sentMs: number, fields: Fields): number {
    if (this.#late(sentMs)) return -1;
    const message: Message = { from: this.#laneNo(from), to: this.#laneNo(to), type: this.#text(type), sentAt: micros(sentMs), endAt: -1, lost: 0, fields: this.#fields(fields) };
    // Even numbers are messages, odd ones heartbeats.
    return HEARTBEATS.has(type) ? this.#heartbeats.push(message) * 2 + 1 : this.#messages.push(message) * 2;
  }

  arrived(number: number, atMs: number, lost: boolean): void {
    if (number < 0) return;
    const message = number % 2 === 0 ? this.#messages.at(number / 2) : this.#heartbeats.at((number - 1) / 2);
    if (message === undefined || atMs > this.#untilMs) return;
    message.endAt = micros(atMs);
    message.lost = lost ? 1 : 0;
  }

  begin(atMs: number, lane: string, band: string, label: string): void {
    if (this.#late(atMs)) return;
    const key = `${lane} ${band}`;
    const open = this.#openBands.get(key);
    const text = this.#text(label);
    if (open !== undefined && open.label === text) return;
    this.end(atMs, lane, band);
    const begun: Band = { lane: this.#laneNo(lane), band: this.#text(band), label: text, from: micros(atMs), to: -1 };
    this.#openBands.set(key, begun);
    if (label === 'write') this.#writes.push(begun);
    else this.#bands.push(begun);
  }

  end(atMs: number, lane: string, band: string): void {
    const key = `${lane} ${band}`;
    const open = this.#openBands.get(key);
    if (open === undefined) return;
    open.to = micros(Math.min(atMs, this.#untilMs));
    this.#openBands.delete(key);
  }

  /** Said again with the same id when its end is known better. */
  fault(id: string, kind: string, lanes: readonly string[], fromMs: number, toMs: number, label: string): void {
    if (this.#late(fromMs)) return;
    this.#faults.set(id, { id, kind, lanes: lanes.map((lane) => this.#laneNo(lane)), from: micros(fromMs), to: Number.isFinite(toMs) ? micros(toMs) : -1, label });
  }

  operation(lane: string, kind: string, path: string, callMs: number, returnMs: number | null, outcome: string, zxid: number): void {
    if (this.#late(callMs)) return;
    this.#operations.push({
      lane: this.#laneNo(lane), kind: this.#text(kind), path: this.#text(path), callAt: micros(callMs), returnAt: returnMs === null ? -1 : micros(returnMs), outcome: this.#text(outcome), zxid,
    });
    if (returnMs !== null) this.#late(returnMs);
  }

  violation(atMs: number, invariant: string, message: string, lane: string | null): void {
    if (this.#violation !== null) return;
    this.#late(atMs);
    const named = lane ?? whoIsNamed(message);
    this.#violation = { at: micros(atMs), invariant, message, lane: named === null || !this.#laneNumbers.has(named) ? null : this.#laneNo(named) };
  }

  /** What was recorded until now. */
  recorded(): Recorded {
    const events = this.#events.items();
    const messages = [...this.#messages.items(), ...this.#heartbeats.items()].sort((a, b) => a.sentAt - b.sentAt);
    const operations = this.#operations.items();
    const bands = [...this.#bands, ...this.#writes.items()].sort((a, b) => a.from - b.from);
    return {
      version: 1,
      strings: this.#strings,
      lanes: this.#lanes,
      events: { at: events.map((e) => e.at), lane: events.map((e) => e.lane), name: events.map((e) => e.name), fields: events.map((e) => e.fields) },
      messages: {
        from: messages.map((m) => m.from), to: messages.map((m) => m.to), type: messages.map((m) => m.type), sentAt: messages.map((m) => m.sentAt),
        endAt: messages.map((m) => m.endAt), lost: messages.map((m) => m.lost), fields: messages.map((m) => m.fields),
      },
      bands: { lane: bands.map((b) => b.lane), band: bands.map((b) => b.band), label: bands.map((b) => b.label), from: bands.map((b) => b.from), to: bands.map((b) => b.to) },
      operations: {
        lane: operations.map((o) => o.lane), kind: operations.map((o) => o.kind), path: operations.map((o) => o.path), callAt: operations.map((o) => o.callAt),
        returnAt: operations.map((o) => o.returnAt), outcome: operations.map((o) => o.outcome), zxid: operations.map((o) => o.zxid),
      },
      faults: [...this.#faults.values()],
      violation: this.#violation,
      endAt: this.#endAt,
      leftOut: [
        ...leftOut('events', this.#events, ({ at }) => at), ...leftOut('messages', this.#messages, ({ sentAt }) => sentAt), ...leftOut('heartbeats', this.#heartbeats, ({ sentAt }) => sentAt),
        ...leftOut('operations', this.#operations, ({ callAt }) => callAt), ...leftOut('disk writes', this.#writes, ({ from }) => from),
      ],
    };
  }

  /** Too late to be kept? Whatever is not moves the end of the recording. */
  #late(atMs: number): boolean {
    if (atMs > this.#untilMs) {
      this.#endAt = micros(this.#untilMs);
      return true;
    }
    this.#endAt = Math.max(this.#endAt, micros(atMs));
    return false;
  }

  #laneNo(id: string): number {
    const known = this.#laneNumbers.get(id);
    if (known !== undefined) return known;
    this.lane(id, kindOf(id));
    return this.#lanes.length - 1;
  }

  #text(text: string): Text {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.#strings.length);
    return this.#strings.push(text) - 1;
  }

  /** Zxids that come as numbers are written as ZooKeeper writes them. */
  #fields(fields: Fields): Text {
    return this.#text(JSON.stringify(fields, shown));
  }
}

/** As it is shown: zxids in hexadecimal, bytes by their number, long texts and lists by their beginning. */
function shown(key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 && (/zxid$/i.test(key) || key === 'applied') ? formatZxid(value) : value;
  if (typeof value === 'string') return value.length > TEXT_CHARS ? `${value.slice(0, TEXT_CHARS)}… (${value.length} characters)` : value;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Map) return shown(key, [...value]);
  if (typeof value !== 'object' || value === null) return value;
  // A Buffer has become this before it comes here.
  const { type, data } = value as { type?: unknown; data?: unknown };
  if (type === 'Buffer' && Array.isArray(data)) return `${data.length} bytes`;
  return Array.isArray(value) && value.length > LIST_ITEMS ? [...(value as unknown[]).slice(0, LIST_ITEMS), `… (${value.length})`] : value;
}

function leftOut<T>(what: LeftOut['what'], list: Newest<T>, at: (item: T) => number): LeftOut[] {
  return list.lastGone === undefined ? [] : [{ what, count: list.gone, before: at(list.lastGone) }];
}

function micros(ms: number): number {
  return Math.round(ms * 1000);
}

/** The first process that a sentence names. */
function whoIsNamed(sentence: string): string | null {
  const found = /\b(server|client|jobmanager|taskmanager)[ -](\d+)\b/.exec(sentence);
  return found === null ? null : `${found[1]}-${found[2]}`;
}

function kindOf(id: string): LaneKind {
  for (const kind of ['server', 'client', 'jobmanager', 'taskmanager', 'kafka', 'storage'] as const) if (id.startsWith(kind)) return kind;
  return 'nemesis';
}
