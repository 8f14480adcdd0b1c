/** The scenarios of the orchestrator: a job runs on job managers and task managers over an ensemble. */
import { clusterStories } from './stories.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { clusterMixes, drawCluster } from './draw-cluster.ts';

const summaries: Readonly<Record<keyof typeof clusterMixes, readonly [summary: string, kind: Scenario['kind']]>> = {
  'worker-loss': ['a job whose task managers die, hang past their leases, lose power, and are cut off from masters, coord and each other', 'scenario'],
  'master-loss': ['a job whose job managers die between any two of their writes, hang and come back as zombies, and are cut off', 'scenario'],
  'kafka-outage': ['a job over brokers that go away, move leaders, lose acknowledgements, repeat them late, grow partitions, delete what is old, and hold poison and transactions that hang', 'scenario'],
  'storage-failure': ['a job over checkpoint storage that refuses, forgets to answer and is slow, and workers that are lost', 'scenario'],
  orchestrator: ['a random part of all faults of a cluster: workers, masters, Kafka, checkpoint storage, and the ensemble below', 'profile'],
};

const drawn: readonly Scenario[] = (Object.keys(summaries) as (keyof typeof clusterMixes)[]).map((name) => {
  const [summary, kind] = summaries[name];
  return { name, summary, kind, draw: (prng, options) => drawCluster(name, prng, options, clusterMixes[name]) };
});

export const clusterScenarios: readonly Scenario[] = [...drawn, ...clusterStories];
