/**
 * The sink at the end of a chain: its writer, and the commits of what it staged.
 *
 * Invariants: commits never overlap and go in order of checkpoint ids; a restored checkpoint's committables are committed before the writer
 *   opens; an old subtask's committables are committed by one new subtask.
 * Source: Flink's SinkWriterOperator and CommitterOperator.
 */
import type { Sink, SinkContext, SinkWriter } from '../api/sink.ts';
import type { Json } from '../api/source.ts';
import type { TaskDeployment } from '../rpc/messages.ts';
import { CommitLog } from './commit-log.ts';

export class SinkOutput {
  readonly #sink: Sink<unknown>;
  readonly #context: SinkContext;
  readonly #writer: SinkWriter<unknown>;
  readonly #log = new CommitLog();
  #commits: Promise<void> = Promise.resolve();

  constructor(sink: Sink<unknown>, context: SinkContext, writer: SinkWriter<unknown>) {
    this.#sink = sink;
    this.#context = context;
    this.#writer = writer;
  }

  /** `mayGoOn` is asked before each step that others can see. Null when it said no. */
  static async open(sink: Sink<unknown>, deployment: TaskDeployment, parallelism: number, env: Pick<SinkContext, 'log' | 'clock' | 'timers'>, mayGoOn: () => boolean): Promise<SinkOutput | null> {
    const { jobId, jobName, vertexId, subtask, attempt, restore } = deployment;
    const { log, clock, timers } = env;
    const context: SinkContext = { jobId, jobName, sinkId: vertexId, subtask, parallelism, attempt, restoredCheckpointId: restore?.checkpointId ?? 0, log, clock, timers };
    await sink.recover?.(context);
    for (const state of restore?.states ?? []) {
      if (state.vertexId !== vertexId || state.subtask % parallelism !== subtask || state.committables.length === 0) continue;
      if (!mayGoOn()) return null;
      await sink.commit?.(state.committables, context);
    }
    return mayGoOn() ? new SinkOutput(sink, context, await sink.createWriter(context)) : null;
  }

  async write(values: readonly unknown[]): Promise<void> {
    await this.#writer.write(values);
  }

  /** Stages what was written since the last checkpoint. */
  async prepareCommit(checkpointId: number): Promise<void> {
    this.#log.stage(checkpointId, await this.#writer.prepareCommit(checkpointId));
  }

  /** What the checkpoint has to hold. */
  uncommitted(): Json[] {
    return this.#log.uncommitted();
  }

  /** The checkpoint is complete. Resolves when all that it allows is committed, or `mayGoOn` said no. */
  async commitThrough(checkpointId: number, mayGoOn: () => Promise<boolean>): Promise<void> {
    const commits = this.#commits.then(async () => {
      for (const epoch of this.#log.through(checkpointId)) {
        if (!(await mayGoOn())) return;
        await this.#sink.commit?.(epoch.committables, this.#context);
        this.#log.committed(epoch);
      }
    });
    this.#commits = commits.catch(() => undefined);
    await commits;
  }

  async close(): Promise<void> {
    await this.#commits;
    await this.#writer.close();
  }
}
