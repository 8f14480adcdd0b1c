/** What a task does with a connector, without the task. */
import { systemClock, systemTimers } from '../../../coord/adapters/system-ports.ts';
import type { ReaderContext, Json, Source, SourceSplit } from '../../../orchestrator/api/source.ts';
import type { SinkContext } from '../../../orchestrator/api/sink.ts';

export const readerContext: ReaderContext = { jobId: 'job', subtask: 0, parallelism: 1, log: () => undefined, clock: systemClock, timers: systemTimers };

export function sinkContext(over: Partial<SinkContext> = {}): SinkContext {
  return { jobId: 'job', jobName: 'test', sinkId: 'sink', subtask: 0, parallelism: 1, attempt: 1, restoredCheckpointId: 0, log: () => undefined, clock: systemClock, timers: systemTimers, ...over };
}

export interface Drained<T> {
  readonly values: Map<string, T[]>;
  readonly timestamps: Map<string, number[]>;
  /** Every position that was handed over, with how many values of its split came before it. */
  readonly positions: { split: SourceSplit; position: Json; values: number }[];
}

/** Reads splits (from positions) until all have ended, or until `until` says that there is enough. */
export async function drain<T>(
  source: Source<T>,
  options: { splits?: readonly { split: SourceSplit; position: Json | undefined }[]; until?: (drained: Drained<T>) => boolean; log?: (line: string) => void } = {},
): Promise<Drained<T>> {
  const splits = options.splits ?? (await source.discoverSplits()).map((split) => ({ split, position: undefined }));
  const byId = new Map(splits.map(({ split }) => [split.id, split]));
  const drained: Drained<T> = { values: new Map(splits.map(({ split }) => [split.id, []])), timestamps: new Map(), positions: [] };
  const reader = source.createReader({ ...readerContext, log: options.log ?? readerContext.log });
  try {
    await reader.addSplits(splits);
    let open = splits.length;
    while (open > 0 && !options.until?.(drained)) {
      const batch = await reader.poll(100);
      if (batch === null) continue;
      const values = drained.values.get(batch.splitId) as T[];
      values.push(...batch.values);
      if (batch.timestamps) drained.timestamps.set(batch.splitId, [...(drained.timestamps.get(batch.splitId) ?? []), ...batch.timestamps]);
      drained.positions.push({ split: byId.get(batch.splitId) as SourceSplit, position: batch.position, values: values.length });
      if (batch.ended) open--;
    }
  } finally {
    await reader.close();
  }
  return drained;
}
