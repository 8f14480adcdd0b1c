/** Mutants of the orchestrator: job masters, checkpoints, tasks and channels. */
import type { Mutant } from './mutant.ts';

const STORE = 'orchestrator/ha/master-store.ts';
const TASK_MANAGER = 'orchestrator/runtime/task-manager.ts';
const TASK = 'orchestrator/task/task.ts';
const KEYED = 'orchestrator/operators/keyed.ts';
const COORDINATOR = 'orchestrator/jobmaster/checkpoint-coordinator.ts';

const masters = [{ scenario: 'master-loss', servers: 3 }];
const workers = [{ scenario: 'worker-loss', servers: 3 }];
const late = [{ scenario: 'late-records', servers: 3 }, ...workers];
const anything = [{ scenario: 'orchestrator', servers: 3 }, ...workers, ...masters];

export const clusterMutants: readonly Mutant[] = [
  {
    name: 'stale-master-unfenced', historic: '', summary: 'a master\'s writes do not check that nobody was elected after it',
    edits: [{ file: STORE, find: '[this.#guard, { type: \'setData\', path, data }]', replace: '[{ type: \'setData\', path, data }]' }],
    hunts: masters, expects: ['MasterFenced', 'JobAttempt', 'JobStatus', 'CheckpointId', 'CheckpointPointer', 'TwoOwners', 'OffsetBack'],
  },
  {
    name: 'stale-commands-obeyed', historic: '', summary: 'a task manager does what a master asks that has been succeeded',
    edits: [{ file: TASK_MANAGER, find: 'if (message.epoch < this.#epoch) {', replace: 'if (message.epoch < 0) {' }],
    hunts: [{ scenario: 'deposed-master', servers: 3 }], expects: ['StaleCommand'],
  },
  {
    name: 'tasks-outlive-their-lease', historic: '', summary: 'a task manager whose session is over lets its tasks run on',
    edits: [
      { file: TASK_MANAGER, find: 'if (remainingMs <= 0) this.stopTasks(\'the lease of the coord session is over\');', replace: '' },
      { file: 'orchestrator/runtime/task-manager-process.ts', find: 'if (signal === \'expired\' || signal === \'lease-lost\' || signal === \'closed\')', replace: 'if (signal === \'closed\')' },
    ],
    hunts: [{ scenario: 'TXN-TIMEOUT', servers: 3 }, ...workers], expects: ['TwoOwners', 'Orphan', 'DuplicateOutput', 'LostOutput', 'RestoreNewest'],
  },
  {
    name: 'pointer-before-metadata', historic: '', summary: 'coord points to a checkpoint before its metadata is in storage',
    edits: [{ file: STORE, find: '      await storage.put(metadataPath(jobId, metadata.checkpointId), encodeMetadata(metadata));\n      await this.#put(checkpointsPath(jobId), encodeJson(completed));', replace: '      await this.#put(checkpointsPath(jobId), encodeJson(completed));\n      await storage.put(metadataPath(jobId, metadata.checkpointId), encodeMetadata(metadata));' }],
    hunts: masters, expects: ['CheckpointPointer'],
  },
  {
    name: 'ack-before-state', historic: '', summary: 'a task acks a checkpoint before its state is in storage',
    edits: [{ file: TASK, find: 'if (keyedState !== null && state.keyedStateFile !== null) await this.#env.storage.put(state.keyedStateFile, keyedState);', replace: 'if (keyedState !== null && state.keyedStateFile !== null) void this.#env.storage.put(state.keyedStateFile, keyedState).catch(() => undefined);' }],
    hunts: [{ scenario: 'storage-failure', servers: 3 }], expects: ['CheckpointPointer'],
  },
  {
    name: 'complete-without-the-last-ack', historic: '', summary: 'a checkpoint is complete with one task missing',
    edits: [{ file: COORDINATOR, find: 'if (pending.waitingFor.size > 0) return;\n    this.#complete(pending);', replace: 'if (pending.waitingFor.size > 1) return;\n    this.#complete(pending);' }],
    hunts: anything, expects: ['CheckpointComplete'],
  },
  {
    name: 'checkpoint-id-again', historic: '', summary: 'a new master counts checkpoints from the last complete one, not from the last reserved one',
    edits: [{ file: 'orchestrator/ha/job-store.ts', find: 'lastCheckpointId: Number(Buffer.from(counter.data ?? []).toString(\'utf8\'))', replace: 'lastCheckpointId: Math.min(newest?.checkpointId ?? 0, Number(Buffer.from(counter.data ?? []).toString(\'utf8\')))' }],
    hunts: masters, expects: ['CheckpointId'],
  },
  {
    name: 'sink-commits-early', historic: '', summary: 'a sink commits at the barrier, before the checkpoint is complete: it commits twice',
    edits: [{ file: TASK, find: '      await this.#sink.prepareCommit(checkpointId);\n', replace: '      await this.#sink.prepareCommit(checkpointId);\n      await this.#sink.commitThrough(checkpointId, async () => true);\n' }],
    hunts: anything, expects: ['DuplicateOutput'],
  },
  {
    name: 'sink-never-recommits', historic: 'TXN-TIMEOUT', summary: 'a restored task does not commit what its checkpoint holds',
    edits: [{ file: 'orchestrator/task/sink-output.ts', find: '      await sink.commit?.(state.committables, context);\n', replace: '' }],
    hunts: [{ scenario: 'TXN-TIMEOUT', servers: 3 }], expects: ['LostOutput', 'Liveness'],
  },
  {
    name: 'aborted-committables-forgotten', historic: '', summary: 'what was staged for an aborted checkpoint is not part of the next one',
    edits: [{ file: TASK, find: 'this.#sink?.uncommitted() ?? []', replace: 'this.#sink?.uncommitted().slice(-1) ?? []' }],
    hunts: [{ scenario: 'aborted-checkpoint', servers: 3 }], expects: ['LostOutput', 'Liveness'],
  },
  {
    name: 'position-of-what-was-polled', historic: '', summary: 'a split\'s position runs ahead of what the task has taken',
    edits: [{ file: 'orchestrator/task/source-input.ts', find: '          this.#polled = polled;\n', replace: '          this.#polled = polled;\n          const ahead = polled === null ? undefined : this.#splits.get(polled.splitId);\n          if (polled !== null && ahead !== undefined) this.#splits.set(polled.splitId, { ...ahead, position: polled.position });\n' }],
    hunts: anything, expects: ['LostOutput', 'Liveness'],
  },
  {
    name: 'aborted-records-read', historic: '', summary: 'a reader hands on what a transaction wrote that was aborted',
    edits: [{ file: 'connectors/kafka/record-batch.ts', find: '  if (transactional && set.aborting.has(producerId)) return [];\n', replace: '  void transactional;\n' }],
    hunts: [{ scenario: 'kafka-outage', servers: 3 }], expects: ['ForeignOutput', 'DuplicateOutput', 'LostOutput'],
  },
  {
    name: 'goes-on-behind-the-gap', historic: '', summary: 'a reader whose records have been deleted goes on at the oldest that is left',
    edits: [{ file: 'connectors/kafka/reader.ts', find: '    const lost = partition.position < first || partition.position > next;', replace: '    partition.position = Math.max(partition.position, first);\n    const lost = partition.position > next;' }],
    hunts: [{ scenario: 'retention-outruns', servers: 3 }], expects: ['LostOutput', 'Liveness'],
  },
  {
    name: 'event-time-forgotten', historic: '', summary: 'a restored window operator begins at the beginning of event time: it opens windows again that it had put out',
    edits: [{ file: KEYED, find: 'this.#watermarkMs = restoredWatermarkMs;', replace: 'this.#watermarkMs = MIN_WATERMARK;' }],
    hunts: late, expects: ['DuplicateOutput', 'ForeignOutput'],
  },
  {
    name: 'late-records-counted', historic: '', summary: 'a record whose window has been put out opens it again',
    edits: [{ file: KEYED, find: 'if (start + sizeMs - 1 <= this.#watermarkMs) {', replace: 'if (start + sizeMs - 1 <= MIN_WATERMARK) {' }],
    hunts: late, expects: ['DuplicateOutput', 'ForeignOutput'],
  },
  {
    name: 'dropped-before-it-is-late', historic: '', summary: 'a record is dropped by its own event time, while its window is still open',
    edits: [{ file: KEYED, find: 'if (start + sizeMs - 1 <= this.#watermarkMs) {', replace: 'if (timestampMs <= this.#watermarkMs) {' }],
    hunts: late, expects: ['LostOutput'],
  },
  {
    name: 'barriers-unaligned', historic: '', summary: 'a task takes its snapshot at the first barrier, without waiting for the other channels',
    edits: [{ file: 'orchestrator/task/input-gate.ts', find: 'if (alignment === null || !this.#channels.every((channel) => channel.aligned || channel.ended)) return;', replace: 'if (alignment === null) return;' }],
    hunts: anything, expects: ['LostOutput', 'DuplicateOutput', 'ForeignOutput', 'Liveness'],
  },
  {
    name: 'restores-an-older-checkpoint', historic: '', summary: 'a master that takes over restores from the oldest retained checkpoint',
    edits: [{ file: 'orchestrator/ha/job-store.ts', find: 'const newest = stored.completed.at(-1);', replace: 'const newest = stored.completed[0];' }],
    hunts: masters, expects: ['RestoreNewest', 'OffsetBack', 'DuplicateOutput', 'CheckpointPointer'],
  },
  {
    name: 'idleness-before-the-receiver', historic: '', summary: 'what costs no credit leaves before the receiver is there, and is lost: event time stands still',
    edits: [{ file: 'orchestrator/exchange/output-channel.ts', find: 'this.#link !== null && this.#opened && (', replace: 'this.#link !== null && (' }],
    hunts: [{ scenario: 'late-receiver', servers: 3 }], expects: ['LostOutput', 'Liveness'],
  },
  {
    name: 'spoken-to-a-dead-connection', historic: '', summary: 'a task manager whose newest connection to its master goes away is silent on the other one',
    edits: [{ file: TASK_MANAGER, find: '    this.#masters = this.#masters.filter((other) => other !== connection);\n    if (!wasSpokenTo) return;\n', replace: '    this.#masters = wasSpokenTo ? [] : this.#masters.filter((other) => other !== connection);\n    if (!wasSpokenTo) return;\n' }],
    hunts: [{ scenario: 'test/sim/regressions/the-master-s-second-connection-goes-away.json', servers: 3 }], expects: ['Liveness', 'LostOutput', 'JobStatus'],
  },
  {
    name: 'nothing-cannot-be-committed', historic: 'EMPTY-TXN', summary: 'a checkpoint for which nothing was staged cannot be committed',
    edits: [{ file: 'orchestrator/task/commit-log.ts', find: '    if (committables.length > 0) this.#epochs.push', replace: "    if (committables.length === 0) throw new RangeError('nothing to commit');\n    this.#epochs.push" }],
    hunts: [{ scenario: 'EMPTY-TXN', servers: 3 }], expects: ['Liveness', 'LostOutput', 'Flapping', 'JobStatus'],
  },
];
