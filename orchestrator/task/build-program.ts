/** From a deployment and its bundle to what the task runs. */
import { createHash } from 'node:crypto';
import { assertNever } from '../../coord/base/assert.ts';
import { DreyError } from '../../coord/base/errors.ts';
import type { JobDefinition } from '../api/job.ts';
import type { OperatorDefinition } from '../api/operators.ts';
import { buildGraph, graphHash } from '../graph/build-graph.ts';
import { RunningAggregateOperator, TumblingWindowOperator } from '../operators/keyed.ts';
import type { KeyedScope } from '../operators/keyed.ts';
import type { Operator } from '../operators/operator.ts';
import { filterOperator, flatMapOperator, mapOperator } from '../operators/stateless.ts';
import type { TaskDeployment } from '../rpc/messages.ts';
import { keyGroupRange } from '../state/key-groups.ts';
import { bundlePath } from '../storage/paths.ts';
import type { Storage } from '../storage/storage.ts';
import type { TaskProgram } from './program.ts';
import { MIN_WATERMARK } from './stream-element.ts';

/** Evaluates a bundle, whose hash has been checked. Throws DreyError JOB_BUNDLE. */
export type LoadBundle = (bytes: Uint8Array, hash: string) => JobDefinition;

/** The bundle's job, by content hash. Evaluated once in a process, whatever asks for it how often. */
export class BundleCache {
  readonly #load: LoadBundle;
  readonly #jobs = new Map<string, Promise<JobDefinition>>();

  constructor(load: LoadBundle) {
    this.#load = load;
  }

  async get(storage: Storage, bundleHash: string): Promise<JobDefinition> {
    let job = this.#jobs.get(bundleHash);
    if (job === undefined) {
      job = fetchBundle(storage, bundleHash, this.#load);
      this.#jobs.set(bundleHash, job);
      // What failed (a storage that was away) is tried again by the next task.
      job.catch(() => this.#jobs.delete(bundleHash));
    }
    return job;
  }
}

async function fetchBundle(storage: Storage, bundleHash: string, load: LoadBundle): Promise<JobDefinition> {
  const bytes = await storage.get(bundlePath(bundleHash));
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== bundleHash) throw new DreyError('BUNDLE_CORRUPT', `${bundlePath(bundleHash)} in ${storage.url} has the hash ${found}`);
  return load(bytes, bundleHash);
}

/** Functions are made anew for each task, so that what they close over inside define() is not shared between tasks. */
export function buildProgram(definition: JobDefinition, deployment: TaskDeployment): TaskProgram {
  const { graph, functions } = buildGraph(definition, deployment.params, deployment.overrides);
  const hash = graphHash(graph);
  if (hash !== deployment.graphHash) {
    throw new DreyError('GRAPH_MISMATCH', `job ${deployment.jobName} gives another graph here (${hash}) than where it was submitted (${deployment.graphHash}): define() must look at nothing but its arguments`);
  }
  const vertex = graph.vertices.find(({ id }) => id === deployment.vertexId);
  if (vertex === undefined) throw new DreyError('BAD_DEPLOYMENT', `job ${deployment.jobName} has no vertex ${deployment.vertexId}`);
  const range = keyGroupRange(deployment.subtask, vertex.parallelism, graph.maxParallelism);
  const restored = deployment.restore?.states.filter(({ vertexId }) => vertexId === vertex.id) ?? [];
  const restoredWatermarkMs = Math.max(MIN_WATERMARK, ...restored.map(({ watermarkMs }) => watermarkMs));

  const definitions = vertex.operators.map(({ id }) => functions.get(id) as OperatorDefinition);
  const first = definitions[0];
  const last = definitions.at(-1);
  const operators = definitions.map((each) => operatorOf(each, (keyOf) => ({ keyOf, range, maxParallelism: graph.maxParallelism }), restoredWatermarkMs)).filter((operator) => operator !== null);
  return {
    parallelism: vertex.parallelism,
    maxParallelism: graph.maxParallelism,
    operatorSpecs: vertex.operators,
    source: first?.kind === 'source' ? { source: first.source, timestampOf: first.timestampOf, watermarks: first.watermarks } : null,
    operators,
    sink: last?.kind === 'sink' ? last.sink : null,
    outputs: graph.edges
      .filter(({ from }) => from === vertex.id)
      .map(({ to, partitioning }) => {
        const receiver = functions.get(to);
        return { to, partitioning, keyOf: receiver !== undefined && 'keyOf' in receiver ? receiver.keyOf : null };
      }),
  };
}

/** Null for the ends of the chain, which are no operators to the task. */
function operatorOf(definition: OperatorDefinition, scope: (keyOf: (value: unknown) => unknown) => KeyedScope, restoredWatermarkMs: number): Operator | null {
  switch (definition.kind) {
    case 'source':
    case 'sink':
      return null;
    case 'map':
      return mapOperator(definition.spec, definition.fn);
    case 'flatMap':
      return flatMapOperator(definition.spec, definition.fn);
    case 'filter':
      return filterOperator(definition.spec, definition.fn);
    case 'window':
      return new TumblingWindowOperator(definition.spec, scope(definition.keyOf), definition.windows.sizeMs, definition.aggregate, restoredWatermarkMs);
    case 'aggregate':
      return new RunningAggregateOperator(definition.spec, scope(definition.keyOf), definition.aggregate);
    default:
      return assertNever(definition);
  }
}
