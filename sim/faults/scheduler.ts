/**
 * Waits for the moments of a plan: of faults and of prescribed operations. Told of every event of the world, at the cost of a look-up by name
 * while somebody waits for one.
 */
import type { EventPattern, Moment } from '../plan/plan.ts';
import type { World } from '../world/world.ts';

/** Where an event happened: `other` is the far end of a frame. */
export interface Place {
  readonly sid: number;
  readonly other: number | null;
}

/** Fields of an event, looked at only if a pattern asks for them. */
export type FieldsOf = () => Readonly<Record<string, unknown>>;

interface Waiting {
  readonly moment: Moment;
  /** Of the event. */
  left: number;
  readonly strike: (place: Place | null) => void;
}

export class Scheduler {
  readonly #world: World;
  /** Whether the pattern means this server now. */
  readonly #isMeant: (who: string, sid: number) => boolean;
  readonly #happened = new Set<string>();
  readonly #byId = new Map<string, Waiting[]>();
  readonly #byEvent = new Map<string, Waiting[]>();
  #frames = 0;
  #stopped = false;
  /** Somebody waits for a frame between servers, or nobody does any more. */
  onFrames: (wanted: boolean) => void = () => {};

  constructor(world: World, isMeant: (who: string, sid: number) => boolean) {
    this.#world = world;
    this.#isMeant = isMeant;
  }

  /** Calls `strike` once, when the moment has come; never after stop(). */
  when(moment: Moment, strike: (place: Place | null) => void): void {
    const waiting: Waiting = { moment, left: moment.event?.nth ?? 1, strike };
    const { after } = moment;
    if (after === undefined || this.#happened.has(after)) this.#untilTime(waiting);
    else add(this.#byId, after, waiting);
  }

  /** The fault or the operation with this id has struck, or was answered. */
  happened(id: string): void {
    if (this.#happened.has(id)) return;
    this.#happened.add(id);
    const waiting = this.#byId.get(id) ?? [];
    this.#byId.delete(id);
    for (const each of waiting) this.#untilTime(each);
  }

  /** Something that a server did, or that was done to it; who waits for it strikes within this call. */
  event(name: string, sid: number, fieldsOf: FieldsOf, other: number | null = null): void {
    const waiting = this.#byEvent.get(name);
    if (waiting === undefined) return;
    for (const each of waiting.slice()) {
      const pattern = each.moment.event as EventPattern;
      if (!this.#isMeant(pattern.who, sid) || !holds(pattern.where, fieldsOf)) continue;
      if (--each.left > 0) continue;
      const at = waiting.indexOf(each);
      if (at < 0) continue;
      waiting.splice(at, 1);
      if (waiting.length === 0) this.#byEvent.delete(name);
      if (isFrame(name) && --this.#frames === 0) this.onFrames(false);
      this.#untilPlus(each, { sid, other });
    }
  }

  /** Phase 1 is over: what has not struck never does. */
  stop(): void {
    this.#stopped = true;
    this.#byId.clear();
    this.#byEvent.clear();
    this.#frames = 0;
    this.onFrames(false);
  }

  #untilTime(waiting: Waiting): void {
    const waitMs = (waiting.moment.atMs ?? 0) - this.#world.nowMs;
    if (waitMs > 0) this.#world.schedule(waitMs, () => this.#untilEvent(waiting));
    else this.#untilEvent(waiting);
  }
  #untilEvent(waiting: Waiting): void {
    if (this.#stopped) return;
    const { event } = waiting.moment;
    if (event === undefined) return this.#untilPlus(waiting, null);
    add(this.#byEvent, event.name, waiting);
    if (isFrame(event.name) && this.#frames++ === 0) this.onFrames(true);
  }
  #untilPlus(waiting: Waiting, place: Place | null): void {
    const { plusMs, before } = waiting.moment;
    const strike = (): void => {
      if (before === undefined || !this.#happened.has(before)) waiting.strike(place);
    };
    if (plusMs === undefined) strike();
    else this.#world.schedule(plusMs, () => {
      if (!this.#stopped) strike();
    });
  }
}

function isFrame(name: string): boolean {
  return name.startsWith('send ') || name.startsWith('receive ');
}

function holds(where: EventPattern['where'], fieldsOf: FieldsOf): boolean {
  if (where === undefined) return true;
  const fields = fieldsOf();
  return Object.entries(where).every(([name, value]) => fields[name] === value);
}

function add(to: Map<string, Waiting[]>, key: string, waiting: Waiting): void {
  const known = to.get(key);
  if (known === undefined) to.set(key, [waiting]);
  else known.push(waiting);
}
