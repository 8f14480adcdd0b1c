/**
 * A user's job with its ends exchanged: each source becomes a log of the records that the test gives, each sink one whose committed output the test
 * sees, with the guarantee that the job's own sink has. All between them, and the job's options, stay as they are.
 */
import { DreyError } from '../../coord/base/errors.ts';
import { KafkaReader, type KafkaSplit } from '../../connectors/kafka/reader.ts';
import type { JobDefinition, JobParams } from '../../orchestrator/api/job.ts';
import type { DeliveryGuarantee } from '../../orchestrator/api/sink.ts';
import type { Json, Source } from '../../orchestrator/api/source.ts';
import { StreamEnvironment, type StreamNode } from '../../orchestrator/api/stream.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { transactionalSink } from '../cluster/transactional-sink.ts';
import { plainSink } from './plain-sink.ts';

const BROKERS = ['simulated:9092'];
/** Longer than the faults of a run last. */
const TRANSACTION_TIMEOUT_MS = 120_000;
/** A source that cannot be read for so long fails its task. */
const UNAVAILABLE_MS_MAX = 8000;

/** Records for one source, by its name or uid; or for the only one. */
export type SimulatedInput = readonly unknown[] | Readonly<Record<string, readonly unknown[]>>;

export interface SimulatedEnds {
  readonly definition: JobDefinition;
  /** By topic: what its partitions will hold. */
  readonly inputs: ReadonlyMap<string, readonly (readonly unknown[])[]>;
  /** By topic: the sink's name, and what it guarantees. */
  readonly outputs: ReadonlyMap<string, { readonly name: string; readonly guarantee: DeliveryGuarantee }>;
}

/** Throws DreyError SIM_INPUT where records are missing, and what the job's define() throws. */
export function simulatedEnds(job: JobDefinition, params: Readonly<Record<string, Json>>, input: SimulatedInput, cluster: Cluster, partitions: number): SimulatedEnds {
  const inputs = new Map<string, readonly (readonly unknown[])[]>();
  const outputs = new Map<string, { name: string; guarantee: DeliveryGuarantee }>();
  const env = new StreamEnvironment();
  job.define(env, params as JobParams);
  const sources = env.nodes.filter(({ kind }) => kind === 'source');
  for (const node of sources) inputs.set(inputTopic(node), dealt(recordsOf(node, sources.length, input), partitions));
  for (const node of env.nodes) if (node.definition.kind === 'sink') outputs.set(outputTopic(node), { name: nameOf(node), guarantee: node.definition.sink.guarantee });
  const at = { world: cluster.world, turns: cluster.turns, kafka: cluster.kafka, transactions: cluster.transactions };
  const exchangeEnds = (node: StreamNode): void => {
    const { definition } = node;
    if (definition.kind === 'source') exchange(node, { source: logSource(inputTopic(node), inputs.get(inputTopic(node)) ?? [], cluster) });
    else if (definition.kind === 'sink') {
      const topic = outputTopic(node);
      exchange(node, { sink: definition.sink.guarantee === 'exactly-once' ? transactionalSink(at, { topic, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS }) : plainSink(at, topic) });
    }
  };
  const definition: JobDefinition = {
    ...job,
    define: (given, givenParams) => {
      job.define(given, givenParams);
      for (const node of given.nodes) exchangeEnds(node);
    },
  };
  return { definition, inputs, outputs };
}

const inputTopic = ({ index }: StreamNode): string => `input-${index}`;
const outputTopic = ({ index }: StreamNode): string => `output-${index}`;

/** Nodes of one description refer to each other: they are changed where they are. */
function exchange(node: StreamNode, ends: object): void {
  Object.assign(node, { definition: { ...node.definition, ...ends } });
}

export function nameOf({ options, defaultName }: StreamNode): string {
  return options.uid ?? options.name ?? defaultName;
}

function recordsOf(node: StreamNode, sources: number, input: SimulatedInput): readonly unknown[] {
  const name = nameOf(node);
  if (Array.isArray(input)) {
    if (sources > 1) throw new DreyError('SIM_INPUT', `the job has ${sources} sources: give input by their names, { ${JSON.stringify(name)}: [ … ], … }`);
    return input;
  }
  const found = (input as Readonly<Record<string, readonly unknown[]>>)[name];
  if (found === undefined) throw new DreyError('SIM_INPUT', `there is no input for the source ${JSON.stringify(name)} at ${node.origin}; give it a name or uid, and its records under it`);
  return found;
}

function dealt(records: readonly unknown[], partitions: number): unknown[][] {
  return Array.from({ length: partitions }, (_, partition) => records.filter((_record, i) => i % partitions === partition));
}

/** Record i of a partition is the ith that was dealt to it: the log only says that it is there. */
function logSource(topic: string, partitions: readonly (readonly unknown[])[], { kafka }: Cluster): Source<unknown> {
  const connection = { brokers: BROKERS, topic, driver: kafka.driver, unavailableMsMax: UNAVAILABLE_MS_MAX };
  return {
    description: topic,
    boundedness: 'bounded',
    discoverSplits: async () => partitions.map((records, partition) => {
      const split: KafkaSplit = { partition, start: 0, end: records.length };
      return { id: `${topic}-${partition}`, spec: { ...split } };
    }),
    createReader: (context) => new KafkaReader(connection, (_topic, partition, { offset }) => partitions[partition]?.[offset], context),
  };
}
