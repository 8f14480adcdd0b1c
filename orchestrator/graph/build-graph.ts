/**
 * From a job definition and its parameters to the job graph and the functions by operator id.
 *
 * Decides: which operators form one vertex (a chain: each has one consumer, and the next takes its records where they are, at equal
 *   parallelism), how edges partition, what ids operators have, and which graphs are refused.
 * Invariants: the same definition with the same parameters gives the same graph, id by id; vertex ids are the ids of their first operators;
 *   vertices stand in an order in which every edge goes forward; a keyed operator is the first of its vertex.
 * Source: Flink's StreamingJobGraphGenerator.
 * Leaves to others: where a definition comes from (submit/load-bundle), where subtasks run (jobmaster).
 */
import { DreyError } from '../../coord/base/errors.ts';
import { hashString } from '../../coord/base/prng.ts';
import { firstForeignFrame } from '../api/call-site.ts';
import type { JobDefinition, JobParams } from '../api/job.ts';
import type { OperatorDefinition } from '../api/operators.ts';
import type { Json } from '../api/source.ts';
import type { StreamNode } from '../api/stream.ts';
import { StreamEnvironment } from '../api/stream.ts';
import type { JobEdge, JobGraph, JobVertex, OperatorSpec, Partitioning, PlacementStrategy, RestartStrategy } from './job-graph.ts';

export interface BuiltJob {
  readonly graph: JobGraph;
  /** By operator id. */
  readonly functions: ReadonlyMap<string, OperatorDefinition>;
}

export interface BuildOverrides {
  /** Instead of the job's own name. */
  readonly name?: string;
  /** Instead of the job's default parallelism; operators that say their own keep it. */
  readonly parallelism?: number;
}

const MAX_PARALLELISM_LIMIT = 32_768;
const placements: readonly PlacementStrategy[] = ['round-robin', 'random', 'least-loaded', 'consistent-hash'];
const defaultRestart: RestartStrategy = { type: 'exponential-delay', initialMs: 100, maxMs: 60_000, multiplier: 2, resetAfterMs: 600_000 };

/** Throws DreyError JOB_GRAPH with the place in the user's source. */
export function buildGraph(definition: JobDefinition, params: Readonly<Record<string, Json>>, overrides: BuildOverrides = {}): BuiltJob {
  const env = new StreamEnvironment();
  try {
    definition.define(env, params as JobParams);
  } catch (error) {
    throw defineError(definition, params, error);
  }
  const options = checkOptions(definition, overrides);
  checkShape(env.nodes, definition.origin);
  const specs = specsOf(env.nodes);
  const parallelisms = parallelismsOf(env.nodes, options.parallelism, options.maxParallelism);

  const consumers = new Map<StreamNode, number>();
  for (const { input } of env.nodes) if (input !== null) consumers.set(input, (consumers.get(input) ?? 0) + 1);

  const vertexOf = new Map<StreamNode, { id: string; operators: OperatorSpec[]; parallelism: number }>();
  const edges: JobEdge[] = [];
  const functions = new Map<string, OperatorDefinition>();
  for (const node of env.nodes) {
    const spec = specs.get(node) as OperatorSpec;
    const parallelism = parallelisms.get(node) as number;
    functions.set(spec.id, { ...node.definition, spec } as OperatorDefinition);
    const upstream = node.input === null ? undefined : vertexOf.get(node.input);
    const keyed = node.kind === 'window' || node.kind === 'aggregate';
    if (upstream !== undefined && !keyed && !node.rebalanced && consumers.get(node.input as StreamNode) === 1 && upstream.parallelism === parallelism) {
      upstream.operators.push(spec);
      vertexOf.set(node, upstream);
      continue;
    }
    vertexOf.set(node, { id: spec.id, operators: [spec], parallelism });
    if (upstream === undefined) continue;
    const partitioning: Partitioning = keyed ? 'hash' : node.rebalanced || upstream.parallelism !== parallelism ? 'rebalance' : 'forward';
    edges.push({ from: upstream.id, to: spec.id, partitioning });
  }
  const vertices: JobVertex[] = [...new Set(vertexOf.values())].map(({ id, operators, parallelism }) => ({
    id, name: operators.map((operator) => operator.name).join(' -> '), parallelism, operators,
  }));
  return { graph: { name: overrides.name ?? definition.name, vertices, edges, ...options.graph, params }, functions };
}

/**
 * Compared when a task is deployed: whoever evaluates the bundle must get the same graph. Places in the source do not count, since what stacks
 * show of them is not the same in every process. 16 hex digits.
 */
export function graphHash(graph: JobGraph): string {
  const text = canonical(withoutOrigins(graph) as unknown as Json);
  return [`a${text}`, `b${text}`].map((seeded) => (hashString(seeded) >>> 0).toString(16).padStart(8, '0')).join('');
}

export function withoutOrigins(graph: JobGraph): JobGraph {
  return { ...graph, vertices: graph.vertices.map((vertex) => ({ ...vertex, operators: vertex.operators.map((operator) => ({ ...operator, origin: '' })) })) };
}

function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key] as Json)}`).join(',')}}`;
  return JSON.stringify(value) ?? 'null';
}

function refuse(origin: string, text: string): never {
  throw new DreyError('JOB_GRAPH', `${origin}: ${text}`);
}

/** What define() threw, with its place. Connectors check their options there, so a missing parameter often shows here. */
function defineError(definition: JobDefinition, params: Readonly<Record<string, Json>>, error: unknown): DreyError {
  if (error instanceof DreyError && error.code === 'JOB_GRAPH') return error;
  const place = (error instanceof Error ? firstForeignFrame(error.stack ?? '') : null) ?? definition.origin;
  const given = Object.keys(params);
  const hint = given.length === 0 ? 'no parameters were given; --param key=value gives one' : `parameters given: ${given.join(', ')}`;
  return new DreyError('JOB_GRAPH', `${place}: ${error instanceof Error ? error.message : String(error)} (${hint})`, { cause: error });
}

function checkShape(nodes: readonly StreamNode[], origin: string): void {
  if (!nodes.some((node) => node.kind === 'source')) refuse(origin, 'the job has no source: begin with env.source(…)');
  if (!nodes.some((node) => node.kind === 'sink')) refuse(origin, 'the job has no sink: end each stream with .sink(…)');
  const consumed = new Set(nodes.map((node) => node.input));
  for (const node of nodes) {
    if (node.kind !== 'sink' && !consumed.has(node)) refuse(node.origin, `nothing reads what this ${node.kind} emits: end the stream with .sink(…), or remove it`);
    if (node.kind !== 'window') continue;
    let source = node;
    while (source.input !== null) source = source.input;
    if (source.definition.kind === 'source' && source.definition.watermarks === null) {
      refuse(node.origin, `an event-time window needs timestamps and watermarks: give the source at ${source.origin} { timestamp: (value) => ms, watermarks: boundedOutOfOrderness(ms) }`);
    }
  }
}

function specsOf(nodes: readonly StreamNode[]): Map<StreamNode, OperatorSpec> {
  const specs = new Map<StreamNode, OperatorSpec>();
  const byId = new Map<string, StreamNode>();
  for (const node of nodes) {
    const { uid, name } = node.options;
    if (uid !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(uid)) refuse(node.origin, `uid ${JSON.stringify(uid)}: 1 to 64 letters, digits, "-" or "_"`);
    const id = uid ?? `${node.index}-${node.kind}`;
    const other = byId.get(id);
    if (other !== undefined) refuse(node.origin, `uid ${JSON.stringify(id)} is taken by the ${other.kind} at ${other.origin}`);
    byId.set(id, node);
    specs.set(node, { id, kind: node.kind, name: name ?? node.defaultName, origin: node.origin });
  }
  return specs;
}

function parallelismsOf(nodes: readonly StreamNode[], byDefault: number, maxParallelism: number): Map<StreamNode, number> {
  const parallelisms = new Map<StreamNode, number>();
  for (const node of nodes) {
    const parallelism = node.options.parallelism ?? byDefault;
    if (!Number.isInteger(parallelism) || parallelism < 1) refuse(node.origin, `parallelism is a whole number from 1, not ${parallelism}`);
    if (parallelism > maxParallelism) refuse(node.origin, `parallelism ${parallelism} exceeds the job's maxParallelism of ${maxParallelism}`);
    parallelisms.set(node, parallelism);
  }
  return parallelisms;
}

interface CheckedOptions {
  readonly parallelism: number;
  readonly maxParallelism: number;
  readonly graph: Pick<JobGraph, 'maxParallelism' | 'checkpoint' | 'restart' | 'placement'>;
}

function checkOptions(definition: JobDefinition, overrides: BuildOverrides): CheckedOptions {
  const { origin, options } = definition;
  const whole = (name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number =>
    Number.isSafeInteger(value) && value >= min && value <= max ? value : refuse(origin, `${name} is a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}, not ${value}`);
  const maxParallelism = whole('maxParallelism', options.maxParallelism ?? 128, 1, MAX_PARALLELISM_LIMIT);
  const parallelism = whole('parallelism', overrides.parallelism ?? options.parallelism ?? 1, 1);
  if (parallelism > maxParallelism) refuse(origin, `parallelism ${parallelism} exceeds maxParallelism ${maxParallelism}`);
  const placement = options.placement ?? 'round-robin';
  if (!placements.includes(placement)) refuse(origin, `placement ${JSON.stringify(placement)} is not known; one of ${placements.join(', ')}`);
  const { intervalMs = 10_000, timeoutMs = 60_000, retained = 2 } = options.checkpoint ?? {};
  const checkpoint = { intervalMs: whole('checkpoint.intervalMs', intervalMs, 10), timeoutMs: whole('checkpoint.timeoutMs', timeoutMs, 10), retained: whole('checkpoint.retained', retained, 1, 100) };
  return { parallelism, maxParallelism, graph: { maxParallelism, checkpoint, restart: checkRestart(options.restart ?? defaultRestart, whole, origin), placement } };
}

function checkRestart(restart: RestartStrategy, whole: (name: string, value: number, min: number) => number, origin: string): RestartStrategy {
  switch (restart.type) {
    case 'none':
      return { type: 'none' };
    case 'fixed-delay':
      return { type: 'fixed-delay', attempts: whole('restart.attempts', restart.attempts, 0), delayMs: whole('restart.delayMs', restart.delayMs, 0) };
    case 'exponential-delay': {
      if (!(restart.multiplier >= 1)) refuse(origin, `restart.multiplier is a number from 1, not ${restart.multiplier}`);
      return {
        type: 'exponential-delay',
        initialMs: whole('restart.initialMs', restart.initialMs, 0),
        maxMs: whole('restart.maxMs', restart.maxMs, restart.initialMs),
        multiplier: restart.multiplier,
        resetAfterMs: whole('restart.resetAfterMs', restart.resetAfterMs, 0),
      };
    }
    default:
      return refuse(origin, `restart.type ${JSON.stringify((restart as { type: unknown }).type)} is not known; one of none, fixed-delay, exponential-delay`);
  }
}

