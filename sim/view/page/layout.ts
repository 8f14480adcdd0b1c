/** Where each lane lies in a pane of a given height. */
import type { Lane, RunModel } from './run-model.ts';

export interface Row {
  readonly lane: Lane | null;
  readonly id: string;
  readonly name: string;
  readonly kind: Lane['kind'];
  readonly folded: boolean;
  readonly top: number;
  readonly height: number;
  /** Where messages leave and arrive. */
  readonly y: number;
  /** The bar of the role: its top and its height; the stripe of the epoch is right below. */
  readonly roleTop: number;
  readonly roleHeight: number;
}
export interface Layout {
  readonly rows: readonly Row[];
  /** By the number of the lane. */
  readonly rowOf: readonly (Row | undefined)[];
  readonly height: number;
}

const FOLDED = 16;
/** [least, best, most] */
const HEIGHTS: Readonly<Record<Lane['kind'], readonly [number, number, number]>> = {
  nemesis: [22, 40, 40], server: [38, 66, 92], client: [18, 36, 50], jobmanager: [30, 46, 60], taskmanager: [30, 46, 60], kafka: [22, 34, 40], storage: [22, 34, 40],
};

export function layout(model: RunModel, folded: ReadonlySet<string>, available: number): Layout {
  const lanes: { lane: Lane | null; id: string; name: string; kind: Lane['kind'] }[] = model.lanes.filter((lane) => lane.kind !== 'nemesis' || model.run.faults.length > 0 || model.run.events.lane.includes(lane.no)).map((lane) => ({ lane, id: lane.id, name: lane.kind === 'nemesis' ? 'faults' : lane.name, kind: lane.kind }));
  if (model.run.faults.length > 0 && !lanes.some(({ kind }) => kind === 'nemesis')) lanes.unshift({ lane: null, id: 'nemesis', name: 'faults', kind: 'nemesis' });
  const sum = (which: 0 | 1 | 2): number => lanes.reduce((total, { id, kind }) => total + (folded.has(id) ? FOLDED : HEIGHTS[kind][which]), 0);
  const [least, best, most] = [sum(0), sum(1), sum(2)];
  const rows: Row[] = [];
  let top = 0;
  for (const each of lanes) {
    const [low, middle, high] = HEIGHTS[each.kind];
    const isFolded = folded.has(each.id);
    let height = FOLDED;
    if (!isFolded) {
      if (available <= least) height = low;
      else if (available < best) height = low + ((middle - low) * (available - least)) / Math.max(1, best - least);
      else height = middle + (high - middle) * Math.min(1, (available - best) / Math.max(1, most - best));
      height = Math.floor(height);
    }
    const isTight = height < 48;
    rows.push({
      ...each, folded: isFolded, top, height, y: isFolded ? top + FOLDED / 2 : top + Math.round(each.kind === 'server' ? height * (isTight ? 0.64 : 0.58) : height / 2),
      roleTop: top + (isTight ? 2 : 4), roleHeight: isTight ? 11 : 13,
    });
    top += height;
  }
  const rowOf: (Row | undefined)[] = [];
  for (const row of rows) if (row.lane !== null) rowOf[row.lane.no] = row;
  return { rows, rowOf, height: top };
}
