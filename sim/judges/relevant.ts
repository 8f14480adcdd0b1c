/**
 * The entries of a trace that a violation is about, the newest last: those that name its zxids, sessions or paths, and what befell the processes that
 * are concerned. Where these are few, whatever else those processes did fills up.
 */
import type { Related, TraceEntry, Violation } from '../world/world.ts';

/** Turns in the life of a server, and what was done to it. */
const TURNS: ReadonlySet<string> = new Set([
  'start', 'crash', 'Boot', 'State', 'Serving', 'Established', 'NewEpoch', 'SynchronizationBegins', 'SyncPlan', 'UpToDate', 'Truncate', 'SteppedDown', 'LeftLeader', 'DiskFailed', 'StorageWarning',
]);

export function relevantEntries(entries: readonly TraceEntry[], { related }: Pick<Violation, 'related'>, count = 20): TraceEntry[] {
  const ranks = entries.map((entry) => rank(entry, related));
  const chosen = new Set<number>();
  for (let wanted = 3; wanted > 0 && chosen.size < count; wanted--) {
    for (let i = entries.length - 1; i >= 0 && chosen.size < count; i--) if (ranks[i] === wanted) chosen.add(i);
  }
  return entries.filter((_, i) => chosen.has(i));
}

/** 3: it is about it; 2: what befell one of them; 1: one of them did it; 0: nothing to do with it. */
function rank(entry: TraceEntry, related: Related): number {
  const { processes = [], zxids = [], sessions = [], paths = [] } = related;
  if (entry.who === 'judge') return 3;
  const concerned = processes.includes(entry.who);
  for (const key in entry.fields) {
    const value = entry.fields[key];
    if (typeof value === 'number' && /zxid$/i.test(key) && zxids.includes(value)) return 3;
    if (typeof value === 'bigint' && sessions.includes(value)) return 3;
    if (key === 'path' && paths.includes(String(value))) return 3;
  }
  if (entry.who === 'nemesis' && processes.some((process) => entry.what.includes(process) || entry.what.includes(process.replace('-', ' ')))) return 2;
  if (!concerned) return 0;
  return TURNS.has(entry.name) ? 2 : 1;
}
