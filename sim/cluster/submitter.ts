/** Submits a job to the simulated cluster, and asks it to stop, as `drey job` does: with the client library, at the simulated servers. */
import { createHash } from 'node:crypto';
import { isCoordError } from '../../coord/client/errors.ts';
import type { Client } from '../../coord/client/client.ts';
import { currentLeader } from '../../coord/client/recipes/leader-election.ts';
import { whenConnected } from '../../coord/client/recipes/when-connected.ts';
import type { JobDefinition } from '../../orchestrator/api/job.ts';
import type { Json } from '../../orchestrator/api/source.ts';
import { buildGraph, graphHash, withoutOrigins } from '../../orchestrator/graph/build-graph.ts';
import { LEADER_PATH } from '../../orchestrator/ha/layout.ts';
import { createJob, ensureLayout, requestOfJob } from '../../orchestrator/ha/job-store.ts';
import type { JobRequest } from '../../orchestrator/jobmaster/records.ts';
import type { PreparedJob } from '../../orchestrator/runtime/submit-job.ts';
import { bundlePath } from '../../orchestrator/storage/paths.ts';
import type { LoadBundle } from '../../orchestrator/task/build-program.ts';
import type { Machine } from './machine.ts';
import { simClient, type SimClientOptions } from './sim-client.ts';
import { STORAGE_URL, type SimStorage } from './sim-storage.ts';

/** Stands for the text of a bundle: jobs of the simulation are in memory. */
export class SimBundles {
  readonly #jobs = new Map<string, JobDefinition>();

  add(definition: JobDefinition): { readonly hash: string; readonly bytes: Uint8Array } {
    const bytes = Buffer.from(`job ${definition.name} ${this.#jobs.size}`);
    const hash = createHash('sha256').update(bytes).digest('hex');
    this.#jobs.set(hash, definition);
    return { hash, bytes };
  }

  readonly load: LoadBundle = (_bytes, hash) => {
    const definition = this.#jobs.get(hash);
    if (definition === undefined) throw new RangeError(`no job of hash ${hash}`);
    return definition;
  };
}

/** Throws DreyError JOB_GRAPH. */
export function prepare(definition: JobDefinition, params: Readonly<Record<string, Json>>, bundles: SimBundles): PreparedJob {
  const { hash, bytes } = bundles.add(definition);
  // Where the source is would be on disks, in bytes: a run is to be the same in every checkout.
  const graph = withoutOrigins(buildGraph(definition, params).graph);
  const slug = definition.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return { spec: { jobId: `${slug}-1`, name: definition.name, bundleHash: hash, storageUrl: STORAGE_URL, params, overrides: {}, graph, graphHash: graphHash(graph), submittedAtMs: 0 }, bundle: bytes };
}

export class Submitter {
  readonly #machine: Machine;
  readonly #client: Client;
  readonly #storage: SimStorage;

  constructor(machine: Machine, coord: Omit<SimClientOptions, 'sessionTimeoutMs' | 'protocol'>, storage: SimStorage) {
    this.#machine = machine;
    this.#storage = storage;
    const life = machine.begin();
    this.#client = simClient(life, { ...coord, protocol: 'zookeeper', sessionTimeoutMs: 4000 }).client;
  }

  /** Resolves when the job is in coord. */
  async submit({ spec, bundle }: PreparedJob): Promise<void> {
    const life = this.#machine.life;
    if (life === null) throw new TypeError('the submitter is alive');
    await this.#storage.open(life).put(bundlePath(spec.bundleHash), bundle);
    await this.#again(() => ensureLayout(this.#client));
    await this.#again(async () => {
      try {
        await createJob(this.#client, spec);
      } catch (error) {
        if (!isCoordError(error, 'NODEEXISTS')) throw error;
      }
    });
  }

  /** Deletes the candidate's znode that leads now. */
  depose(): void {
    currentLeader(this.#client, LEADER_PATH)
      .then((leader) => (leader === null ? undefined : this.#client.delete(leader.path)))
      // It is gone by itself, or the ensemble is.
      .catch(() => undefined);
  }

  request(jobId: string, request: JobRequest): Promise<void> {
    return this.#again(() => requestOfJob(this.#client, jobId, request));
  }

  async #again(what: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await what();
      } catch (error) {
        if (isCoordError(error, 'SESSIONEXPIRED')) await whenConnected(this.#client).catch(() => undefined);
        else if (isCoordError(error) && error.retryable) await whenConnected(this.#client);
        else throw error;
      }
    }
  }
}
