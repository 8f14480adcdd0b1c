/** Coverage marks: how often a run came through a place that matters. A mark that no seed ever reaches means that the faults or the knobs miss it. */
export const MARKS = [
  'DIFF', 'TRUNC', 'SNAP', 'SNAP installed', 'SNAP of a suspect', 'journal read', 'journal unreadable', 'suspect journal', 'torn tail', 'roll-over',
  'disk failed', 'flush', 'segment made', 'segment purged', 'SESSIONMOVED', 'revalidated', 'session refused', 'wrong password', 'session expired', 'session closed',
  'SYNC lost', 'write lost', 'watch event', 'watch event missed', 'multi', 'failed multi', 'sequential', 'ephemeral ended',
  'session nobody knows', 'session shared', 'close beside expiry', 'request after close', 'client not read from',
] as const;
export type Mark = (typeof MARKS)[number];

export class Marks {
  readonly counts = Object.fromEntries(MARKS.map((mark) => [mark, 0])) as Record<Mark, number>;

  hit(mark: Mark, times = 1): void {
    this.counts[mark] += times;
  }
}

export function addMarks(total: Record<Mark, number>, marks: Readonly<Record<Mark, number>>): void {
  for (const mark of MARKS) total[mark] += marks[mark];
}
