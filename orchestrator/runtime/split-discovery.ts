/** Asks the sources of a job for their splits: evaluates the job's bundle in this process, as a worker does. */
import { DreyError } from '../../coord/base/errors.ts';
import type { Source, SourceSplit } from '../api/source.ts';
import { buildGraph } from '../graph/build-graph.ts';
import type { JobSpec } from '../jobmaster/records.ts';
import type { Storage } from '../storage/storage.ts';
import { BundleCache } from '../task/build-program.ts';
import type { LoadBundle } from '../task/build-program.ts';

export class SplitDiscovery {
  readonly #bundles: BundleCache;
  /** By job and vertex; a source object may keep connections. */
  readonly #sources = new Map<string, Source<unknown>>();

  constructor(loadBundle: LoadBundle) {
    this.#bundles = new BundleCache(loadBundle);
  }

  async discover(spec: JobSpec, vertexId: string, known: readonly string[], storage: Storage): Promise<{ bounded: boolean; splits: SourceSplit[] }> {
    const source = await this.#source(spec, vertexId, storage);
    return { bounded: source.boundedness === 'bounded', splits: await source.discoverSplits(known) };
  }

  async #source(spec: JobSpec, vertexId: string, storage: Storage): Promise<Source<unknown>> {
    const key = `${spec.jobId}/${vertexId}`;
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const { functions } = buildGraph(await this.#bundles.get(storage, spec.bundleHash), spec.params, spec.overrides);
    const definition = functions.get(vertexId);
    if (definition?.kind !== 'source') throw new DreyError('JOB_GRAPH', `job ${spec.name} has no source ${vertexId} any more: define() must look at nothing but its arguments`);
    this.#sources.set(key, definition.source);
    return definition.source;
  }
}
