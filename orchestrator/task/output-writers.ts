/** The writers of a task, from what its vertex sends and where the deployment says the receivers are. */
import { assertNever } from '../../coord/base/assert.ts';
import { DreyError } from '../../coord/base/errors.ts';
import type { TaskDeployment, TaskLocation } from '../rpc/messages.ts';
import { checkKey, keyGroupOf, ownerOfKeyGroup } from '../state/key-groups.ts';
import type { OutputProgram, TaskProgram } from './program.ts';
import type { OutputChannel } from '../exchange/output-channel.ts';
import type { ChannelSelector } from '../exchange/record-writer.ts';
import { RecordWriter } from '../exchange/record-writer.ts';

export function outputWriters(program: TaskProgram, deployment: TaskDeployment, open: (to: TaskLocation) => OutputChannel): RecordWriter[] {
  return program.outputs.map((output) => {
    const subtasks = deployment.downstream.find(({ vertexId }) => vertexId === output.to)?.subtasks ?? [];
    const receivers = output.partitioning === 'forward' ? [forwardReceiver(subtasks, deployment)] : subtasks;
    if (receivers.length === 0) throw new DreyError('BAD_DEPLOYMENT', `${deployment.executionId}: the deployment names no receiver in vertex ${output.to}`);
    return new RecordWriter(receivers.map(open), selector(output, receivers.length, program.maxParallelism, deployment.subtask));
  });
}

/** A forward edge has one receiver: the same subtask, whether the deployment names only it or all of them. */
function forwardReceiver(subtasks: readonly TaskLocation[], deployment: TaskDeployment): TaskLocation {
  const receiver = subtasks.length === 1 ? subtasks[0] : subtasks.find(({ executionId }) => executionId.split('/')[2] === String(deployment.subtask));
  if (receiver === undefined) throw new DreyError('BAD_DEPLOYMENT', `${deployment.executionId}: no receiver for subtask ${deployment.subtask} of a forward edge`);
  return receiver;
}

function selector({ to, partitioning, keyOf }: OutputProgram, channels: number, maxParallelism: number, subtask: number): ChannelSelector {
  switch (partitioning) {
    case 'forward':
      return () => 0;
    case 'rebalance': {
      // Each sender begins elsewhere, so that few records do not all end up with the first receiver.
      let turn = subtask % channels;
      return () => {
        const at = turn;
        turn = at + 1 === channels ? 0 : at + 1;
        return at;
      };
    }
    case 'hash':
      if (keyOf === null) throw new DreyError('BAD_GRAPH', `the hash edge to vertex ${to} has no key`);
      return (value) => ownerOfKeyGroup(keyGroupOf(checkKey(keyOf(value)), maxParallelism), channels, maxParallelism);
    default:
      return assertNever(partitioning);
  }
}
