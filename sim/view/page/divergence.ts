/** Where two runs part. */
import type { LeftOut } from '../../record/recorded.ts';
import { FAMILIES, type Item, type RunModel } from './run-model.ts';

/** The first step that one of two runs takes and the other does not. */
export interface Divergence {
  readonly at: number;
  readonly here: Item | null;
  readonly there: Item | null;
}

/** Compares what happened and what was sent, not the faults themselves. */
export function divergence(a: RunModel, b: RunModel): Divergence | null {
  // What one of them no longer holds is not compared; heartbeats, which are let go of first, not at all.
  const begins = (what: LeftOut['what']): number => Math.max(-1, ...[...a.run.leftOut, ...b.run.leftOut].flatMap((left) => (left.what === what ? [left.before] : [])));
  const ends = Math.min(a.endAt, b.endAt);
  const differences = [
    firstDifference(keys(a, 'event', begins('events')), keys(b, 'event', begins('events')), ends),
    firstDifference(keys(a, 'message', begins('messages')), keys(b, 'message', begins('messages')), ends),
  ].filter((found) => found !== null);
  return differences.sort((x, y) => x.at - y.at)[0] ?? null;
}

interface Key {
  readonly at: number;
  readonly item: Item;
  readonly text: string;
}

function keys(model: RunModel, type: 'event' | 'message', begins: number): Key[] {
  const { events, messages, lanes } = model.run;
  const list: Key[] = [];
  if (type === 'event') {
    for (const [no, at] of events.at.entries()) {
      const lane = lanes[events.lane[no] as number];
      if (at > begins && lane?.kind !== 'nemesis') list.push({ at, item: { type, no }, text: `${at} ${lane?.id} ${model.text(events.name[no] as number)} ${model.text(events.fields[no] as number)}` });
    }
  } else {
    for (const [no, at] of messages.sentAt.entries()) {
      if (at > begins && FAMILIES[model.family[no] as number] !== 'heartbeat') list.push({ at, item: { type, no }, text: `${at} ${lanes[messages.from[no] as number]?.id} ${lanes[messages.to[no] as number]?.id} ${model.text(messages.type[no] as number)} ${model.text(messages.fields[no] as number)}` });
    }
  }
  return list;
}

function firstDifference(a: readonly Key[], b: readonly Key[], ends: number): Divergence | null {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const here = a[i];
    const there = b[i];
    if (here?.text === there?.text) continue;
    const at = Math.min(here?.at ?? Infinity, there?.at ?? Infinity);
    // One recording ends earlier: that alone is no difference.
    if (at > ends || (here === undefined && a.length === 0) || (there === undefined && b.length === 0)) return null;
    return { at, here: here?.at === at ? here.item : null, there: there?.at === at ? there.item : null };
  }
  return null;
}
