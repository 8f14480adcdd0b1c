/** What a task needs of the process that runs it. */
import type { Clock, Timers } from '../../coord/base/ports.ts';
import type { ExecutionId, TaskDeployment, TaskLocation, WorkerMessage } from '../rpc/messages.ts';
import type { OutputChannel } from '../exchange/output-channel.ts';
import type { Storage } from '../storage/storage.ts';
import type { TaskProgram } from './program.ts';
import type { StreamElement } from './stream-element.ts';

export interface TaskEnvironment {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Null while this turn of the event loop may go on; else resolves in a later turn. */
  pause(): Promise<void> | null;
  /** Throws when the bundle is not what the deployment says. */
  loadProgram(deployment: TaskDeployment): Promise<TaskProgram>;
  /** Connects the channel to the task there, and gives it the credits that task grants. `onBroken`: it will never be delivered any more. */
  openOutput(from: ExecutionId, to: TaskLocation, channel: OutputChannel, onBroken: (reason: string) => void): void;
  /** To the job master, if there is one now. */
  send(message: WorkerMessage): void;
  log(line: string): void;
}

/** The receiving end of a channel, as the data plane sees it. */
export interface InputChannel {
  deliver(element: StreamElement): void;
  /** The sender is gone. */
  broken(reason: string): void;
}
