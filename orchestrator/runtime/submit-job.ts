/** From a file to a job that a master will find: bundle, build the graph, store, write the spec. */
import { customAlphabet } from 'nanoid';
import type { CoordClient } from '../../coord/client/index.ts';
import type { Json } from '../api/source.ts';
import type { BuildOverrides } from '../graph/build-graph.ts';
import { buildGraph, graphHash } from '../graph/build-graph.ts';
import type { JobSpec } from '../jobmaster/records.ts';
import { createJob, ensureLayout } from '../ha/job-store.ts';
import { bundlePath } from '../storage/paths.ts';
import { openStorage } from '../storage/storage.ts';
import { bundleJob } from '../submit/bundle.ts';
import { loadBundle } from '../submit/load-bundle.ts';

export interface PreparedJob {
  readonly spec: JobSpec;
  readonly bundle: Uint8Array;
}

const randomId = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', 10);

/** Refuses what cannot run, with the place in the user's source: DreyError JOB_BUNDLE, JOB_GRAPH. Nothing is stored yet. */
export async function prepareJob(file: string, params: Readonly<Record<string, Json>>, overrides: BuildOverrides, storageUrl: string, submittedAtMs: number): Promise<PreparedJob> {
  const { bytes, hash } = await bundleJob(file);
  const { graph } = buildGraph(loadBundle(bytes, hash, file), params, overrides);
  const slug = graph.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 40);
  const jobId = `${slug === '' ? 'job' : slug}-${randomId()}`;
  const spec: JobSpec = { jobId, name: graph.name, bundleHash: hash, storageUrl, params, overrides, graph, graphHash: graphHash(graph), submittedAtMs };
  return { spec, bundle: bytes };
}

/** The bundle is durable before the job is to be found. */
export async function submitJob(coord: CoordClient, { spec, bundle }: PreparedJob): Promise<void> {
  await openStorage(spec.storageUrl).put(bundlePath(spec.bundleHash), bundle);
  await ensureLayout(coord);
  await createJob(coord, spec);
}
