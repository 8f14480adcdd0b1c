/** A recording made ready to be drawn and asked: typed columns, families of messages, texts for labels and for the search. */
import type { LaneKind } from '../../record/recorder.ts';
import type { Recorded } from '../../record/recorded.ts';

export const FAMILIES = ['election', 'discovery', 'synchronization', 'broadcast', 'requests', 'tasks', 'checkpoints', 'records', 'heartbeat', 'other'] as const;
export type Family = (typeof FAMILIES)[number];
const FAMILY_OF: Readonly<Record<string, Family>> = {
  NOTIFICATION: 'election', FOLLOWERINFO: 'discovery', LEADERINFO: 'discovery', ACKEPOCH: 'discovery',
  DIFF: 'synchronization', TRUNC: 'synchronization', SNAP: 'synchronization', SNAPCHUNK: 'synchronization', SNAPEND: 'synchronization', NEWLEADER: 'synchronization', UPTODATE: 'synchronization',
  PROPOSAL: 'broadcast', ACK: 'broadcast', COMMIT: 'broadcast', PIPELINE: 'requests', HEARTBEAT: 'heartbeat', PING: 'heartbeat', PONG: 'heartbeat',
  hello: 'tasks', registered: 'tasks', fenced: 'tasks', deploy: 'tasks', cancel: 'tasks', taskState: 'tasks', addSplits: 'tasks', inputEnded: 'tasks', logs: 'tasks', metrics: 'heartbeat',
  triggerCheckpoint: 'checkpoints', ackCheckpoint: 'checkpoints', declineCheckpoint: 'checkpoints', checkpointComplete: 'checkpoints', abortCheckpoint: 'checkpoints', data: 'records', credit: 'records',
};

export const EVENT_KINDS = ['life', 'role', 'log', 'trouble', 'job'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
const EVENT_KIND: Readonly<Record<string, EventKind>> = {
  start: 'life', crash: 'life', Boot: 'life', pause: 'life', resume: 'life',
  Ack: 'log', Broadcast: 'log', Deliver: 'log', durable: 'log', flushed: 'log', Truncate: 'log',
  DiskFailed: 'trouble', StorageWarning: 'trouble', MalformedPeerFrame: 'trouble', MalformedNotification: 'trouble', ForeignServer: 'trouble', ProposalDropped: 'trouble',
  State: 'role', Serving: 'role', ElectionDecided: 'role', NewEpoch: 'role', Established: 'role', SynchronizationBegins: 'role', SyncPlan: 'role', LearnerUp: 'role', UpToDate: 'role', LeftLeader: 'role', SteppedDown: 'role',
  CloseChannel: 'role',
};

export type ItemType = 'event' | 'message' | 'operation' | 'fault' | 'band';
/** An item of a run: 'm12' is its twelfth message. */
export interface Item {
  readonly type: ItemType;
  readonly no: number;
}
const LETTERS: Readonly<Record<ItemType, string>> = { event: 'e', message: 'm', operation: 'o', fault: 'f', band: 'b' };

export function itemName({ type, no }: Item): string {
  return `${LETTERS[type]}${no}`;
}
export function itemOf(name: string): Item | null {
  const found = (Object.entries(LETTERS) as [ItemType, string][]).find(([, letter]) => name.startsWith(letter));
  const no = Number(name.slice(1));
  return found === undefined || !Number.isInteger(no) ? null : { type: found[0], no };
}
export function sameItem(a: Item | null, b: Item | null): boolean {
  return a === b || (a !== null && b !== null && a.type === b.type && a.no === b.no);
}

export interface Lane {
  readonly no: number;
  readonly id: string;
  readonly name: string;
  readonly kind: LaneKind;
}

const ORDER: readonly LaneKind[] = ['nemesis', 'server', 'client', 'jobmanager', 'taskmanager', 'kafka', 'storage'];

export class RunModel {
  readonly run: Recorded;
  /** In the order in which they are drawn. */
  readonly lanes: readonly Lane[];
  readonly eventKind: readonly EventKind[];
  readonly family: Uint8Array;
  /** Of a message that never ended: the end of the recording. */
  readonly messageEnd: Float64Array;
  /** The row of each operation in its lane, and how many rows a lane has. */
  readonly row: Uint8Array;
  readonly rows: Uint8Array;
  /** When the first server delivered the txn of each write; -1 for what has no such moment. */
  readonly committedAt: Float64Array;
  readonly endAt: number;
  #texts: Map<ItemType, string[]> | null = null;
  #byZxid: Map<string, Item[]> | null = null;
  /** By the text of the fields. */
  readonly #zxids = new Map<number, string | null>();

  constructor(run: Recorded) {
    this.run = run;
    const { messages, events, operations } = run;
    this.endAt = Math.max(run.endAt, run.violation?.at ?? 0, 1);
    this.lanes = run.lanes
      .map(({ id, kind }, no): Lane => ({ no, id, kind, name: id.replace('-', ' ') }))
      .sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || a.id.localeCompare(b.id, 'en', { numeric: true }));
    this.eventKind = events.name.map((name, i) => {
      const lane = run.lanes[events.lane[i] as number];
      return EVENT_KIND[this.text(name)] ?? (lane?.kind === 'nemesis' ? 'life' : lane?.kind === 'server' ? 'role' : 'job');
    });
    this.family = Uint8Array.from(messages.type, (type) => FAMILIES.indexOf(FAMILY_OF[this.text(type)] ?? 'other'));
    this.messageEnd = Float64Array.from(messages.endAt, (at) => (at < 0 ? this.endAt : at));
    this.row = new Uint8Array(operations.callAt.length);
    this.rows = new Uint8Array(run.lanes.length).fill(1);
    this.#stack();
    this.committedAt = this.#commits();
  }

  text(no: number): string {
    return this.run.strings[no] ?? '';
  }
  fields(no: number): Record<string, unknown> {
    try {
      return JSON.parse(this.text(no)) as Record<string, unknown>;
    } catch {
      return {};
    }
  }
  lane(no: number): Lane {
    return this.lanes.find((lane) => lane.no === no) as Lane;
  }

  /** Operations that overlap lie beneath each other. */
  #stack(): void {
    const { operations } = this.run;
    const free = new Map<number, number[]>();
    const order = operations.callAt.map((_, i) => i).sort((a, b) => (operations.callAt[a] as number) - (operations.callAt[b] as number));
    for (const i of order) {
      const lane = operations.lane[i] as number;
      const ends = free.get(lane) ?? [];
      free.set(lane, ends);
      const from = operations.callAt[i] as number;
      let row = ends.findIndex((end) => end <= from);
      if (row < 0) row = ends.length < 5 ? ends.length : ends.indexOf(Math.min(...ends));
      ends[row] = Math.max(from + 300, operations.returnAt[i] as number);
      this.row[i] = row;
      this.rows[lane] = Math.max(this.rows[lane] as number, row + 1);
    }
  }

  #commits(): Float64Array {
    const { operations, events } = this.run;
    const delivered: { zxid: number; at: number }[] = [];
    let newest = 0;
    for (const [i, name] of events.name.entries()) {
      if (this.text(name) !== 'Deliver') continue;
      const zxid = Number(this.fields(events.fields[i] as number)['zxid']);
      if (!(zxid > newest)) continue;
      newest = zxid;
      delivered.push({ zxid, at: events.at[i] as number });
    }
    return Float64Array.from(operations.zxid, (zxid, i) => {
      if (zxid === 0 || isRead(this.text(operations.kind[i] as number)) || !isOk(this.text(operations.outcome[i] as number))) return -1;
      let low = 0;
      let high = delivered.length;
      while (low < high) {
        const mid = (low + high) >> 1;
        if ((delivered[mid] as { zxid: number }).zxid >= zxid) high = mid;
        else low = mid + 1;
      }
      const at = delivered[low]?.at ?? -1;
      return at >= (operations.callAt[i] as number) ? at : -1;
    });
  }

  // ------------------------------------------------------------ items

  from(item: Item): number {
    const { run } = this;
    switch (item.type) {
      case 'event':
        return run.events.at[item.no] ?? 0;
      case 'message':
        return run.messages.sentAt[item.no] ?? 0;
      case 'operation':
        return run.operations.callAt[item.no] ?? 0;
      case 'fault':
        return run.faults[item.no]?.from ?? 0;
      case 'band':
        return run.bands.from[item.no] ?? 0;
    }
  }
  to(item: Item): number {
    const { run } = this;
    switch (item.type) {
      case 'event':
        return this.from(item);
      case 'message':
        return this.messageEnd[item.no] ?? 0;
      case 'operation': {
        const at = run.operations.returnAt[item.no] ?? -1;
        return at < 0 ? this.from(item) : at;
      }
      case 'fault': {
        const at = run.faults[item.no]?.to ?? -1;
        return at < 0 ? this.endAt : at;
      }
      case 'band': {
        const at = run.bands.to[item.no] ?? -1;
        return at < 0 ? this.endAt : at;
      }
    }
  }
  exists(item: Item): boolean {
    const { run } = this;
    const count = { event: run.events.at.length, message: run.messages.from.length, operation: run.operations.kind.length, fault: run.faults.length, band: run.bands.lane.length }[item.type];
    return item.no >= 0 && item.no < count;
  }
  lanesOf(item: Item): readonly number[] {
    const { run } = this;
    switch (item.type) {
      case 'event':
        return [run.events.lane[item.no] as number];
      case 'message':
        return [run.messages.from[item.no] as number, run.messages.to[item.no] as number];
      case 'operation':
        return [run.operations.lane[item.no] as number];
      case 'fault':
        return run.faults[item.no]?.lanes ?? [];
      case 'band':
        return [run.bands.lane[item.no] as number];
    }
  }
  title(item: Item): string {
    const { run } = this;
    switch (item.type) {
      case 'event':
        return this.#logLine(item.no) ?? this.text(run.events.name[item.no] as number);
      case 'message':
        return this.text(run.messages.type[item.no] as number);
      case 'operation':
        return `${this.text(run.operations.kind[item.no] as number)} ${this.text(run.operations.path[item.no] as number)}`;
      case 'fault':
        return this.#faultTitle(item.no);
      case 'band':
        return `${this.text(run.bands.band[item.no] as number)}: ${this.text(run.bands.label[item.no] as number)}`;
    }
  }
  /** What a process says in its log stands for the event. */
  #logLine(no: number): string | null {
    const { events } = this.run;
    if (this.text(events.name[no] as number) !== 'log') return null;
    const { line } = this.fields(events.fields[no] as number);
    return typeof line === 'string' ? line : null;
  }
  eventLabel(no: number): string {
    const line = this.#logLine(no);
    if (line === null) return this.text(this.run.events.name[no] as number);
    return line.length > 34 ? `${line.slice(0, 33).trimEnd()}…` : line;
  }

  /** 'f3 crash' alone does not say whom it struck. */
  #faultTitle(no: number): string {
    const fault = this.run.faults[no];
    if (fault === undefined) return '';
    const names = fault.lanes.map((lane) => this.lane(lane).name).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const [kind] = names.map((name) => name.split(' ')[0]);
    const same = names.every((name) => name.split(' ')[0] === kind);
    const who = names.length === 0 ? '' : names.length > 1 && same ? `${kind ?? ''}s ${names.map((name) => name.split(' ')[1]).join(', ')}` : names.join(', ');
    return fault.label === `${fault.id} ${fault.kind}` && who !== '' ? `${fault.kind.replaceAll('-', ' ')}: ${who}` : fault.label;
  }

  /** In one line, without the time. */
  line(item: Item): string {
    if (item.type === 'fault') return this.title(item);
    const where = this.lanesOf(item).map((no) => this.lane(no).name);
    if (item.type === 'message') return `${where[0]} → ${where[1]}  ${this.title(item)}${this.#zxidOf(item)}`;
    return `${where.join(', ')}  ${this.title(item)}${this.#zxidOf(item)}`;
  }
  #zxidOf(item: Item): string {
    const zxid = this.zxid(item);
    return zxid === null ? '' : ` ${short(zxid)}`;
  }

  contents(item: Item): Record<string, unknown> {
    const { run } = this;
    if (item.type === 'event') return this.fields(run.events.fields[item.no] as number);
    if (item.type === 'message') return this.fields(run.messages.fields[item.no] as number);
    return {};
  }

  /** '0x…' of what it is about, null for none. */
  zxid(item: Item): string | null {
    if (item.type === 'operation') {
      const zxid = this.run.operations.zxid[item.no] ?? 0;
      return zxid > 0 ? `0x${zxid.toString(16)}` : null;
    }
    if (item.type !== 'event' && item.type !== 'message') return null;
    const fields = (item.type === 'event' ? this.run.events.fields[item.no] : this.run.messages.fields[item.no]) as number;
    let zxid = this.#zxids.get(fields);
    if (zxid === undefined) {
      const named = this.fields(fields)['zxid'];
      this.#zxids.set(fields, (zxid = typeof named === 'string' && named !== '0x0' ? named : null));
    }
    return zxid;
  }

  /** All that names this zxid: its life. */
  sameZxid(zxid: string): readonly Item[] {
    if (this.#byZxid === null) {
      this.#byZxid = new Map();
      for (const item of this.items()) {
        const named = this.zxid(item);
        if (named === null) continue;
        const list = this.#byZxid.get(named);
        if (list === undefined) this.#byZxid.set(named, [item]);
        else list.push(item);
      }
      for (const list of this.#byZxid.values()) list.sort((a, b) => this.from(a) - this.from(b));
    }
    return this.#byZxid.get(zxid) ?? [];
  }

  *items(): Generator<Item> {
    const { run } = this;
    for (let no = 0; no < run.events.at.length; no++) yield { type: 'event', no };
    for (let no = 0; no < run.messages.from.length; no++) yield { type: 'message', no };
    for (let no = 0; no < run.operations.kind.length; no++) yield { type: 'operation', no };
    for (let no = 0; no < run.faults.length; no++) yield { type: 'fault', no };
  }

  /** Items whose text holds all the words, in order of time. */
  search(query: string): Item[] {
    const words = query.toLowerCase().split(/\s+/).filter((word) => word !== '').map((word) => word.replace(/^(\d+):(\d+)$/, (_, epoch: string, counter: string) => `0x${(Number(epoch) * 2 ** 32 + Number(counter)).toString(16)}"`));
    if (words.length === 0) return [];
    const texts = (this.#texts ??= this.#allTexts());
    const found: Item[] = [];
    for (const item of this.items()) {
      const text = texts.get(item.type)?.[item.no] ?? '';
      if (words.every((word) => text.includes(word))) found.push(item);
    }
    return found.sort((a, b) => this.from(a) - this.from(b));
  }
  #allTexts(): Map<ItemType, string[]> {
    const texts = new Map<ItemType, string[]>();
    const { run } = this;
    for (const item of this.items()) {
      let list = texts.get(item.type);
      if (list === undefined) texts.set(item.type, (list = []));
      const raw = item.type === 'event' ? this.text(run.events.fields[item.no] as number) : item.type === 'message' ? this.text(run.messages.fields[item.no] as number) : item.type === 'operation' ? `${this.text(run.operations.outcome[item.no] as number)} ${this.zxid(item) ?? ''}"` : run.faults[item.no]?.kind ?? '';
      const lanes = this.lanesOf(item).map((no) => `${this.lane(no).id} ${this.lane(no).name}`).join(' ');
      list[item.no] = `${this.title(item)} ${lanes} ${raw} ${item.type === 'message' && run.messages.lost[item.no] === 1 ? 'lost' : ''}`.toLowerCase();
    }
    return texts;
  }
}

const READS = new Set(['get', 'sync-get', 'exists', 'children', 'getData', 'getChildren', 'sync']);
export function isRead(kind: string): boolean {
  return READS.has(kind);
}

export function isOk(outcome: string): boolean {
  return outcome.toLowerCase() === 'ok';
}

/** '0x500000003' as '5:3'. */
export function short(zxid: string): string {
  const n = Number(zxid);
  return Number.isFinite(n) ? `${Math.floor(n / 2 ** 32)}:${n % 2 ** 32}` : zxid;
}

export function duration(us: number): string {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}
