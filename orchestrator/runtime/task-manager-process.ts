/**
 * A task manager as others find it: registered in coord at /drey/taskmanagers/<id>, with one WebSocket port for job masters (/rpc) and for
 * the channels of other task managers (/data).
 */
import type { CoordClient } from '../../coord/client/index.ts';
import { Membership } from '../../coord/client/index.ts';
import { FRAME_BYTES_MAX } from '../exchange/limits.ts';
import { decodeMessage, encodeMessage, RPC_FRAME_BYTES_MAX } from '../rpc/codec.ts';
import type { MasterMessage, TaskDeployment } from '../rpc/messages.ts';
import type { Socket, SocketHandler } from '../rpc/sockets.ts';
import type { RuntimePorts } from './ports.ts';
import { every } from './ports.ts';
import type { MasterConnection } from './task-manager.ts';
import { TaskManager } from './task-manager.ts';

export const TASK_MANAGERS_PATH = '/drey/taskmanagers';
const TIME_INTERVAL_MS = 100;
const METRICS_INTERVAL_MS = 1000;

export interface TaskManagerProcessOptions {
  readonly ports: RuntimePorts;
  /** With `renew`, so that the process goes on under a new session when one has expired. Stays the caller's to close. */
  readonly coord: CoordClient;
  readonly storageUrl: string;
  readonly slots: number;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** For people. */
  readonly pid: number;
  readonly log: (line: string) => void;
  /** Masters will not find this process again, and nothing it can do mends it. */
  readonly onUnregistered?: (error: Error) => void;
}

/** What is in the znode, as JSON. */
export interface TaskManagerRegistration {
  /** host:port. */
  readonly address: string;
  readonly slots: number;
  readonly pid: number;
  /** ms since 1970. */
  readonly startedAt: number;
}

export interface TaskManagerProcess {
  readonly id: string;
  readonly address: string;
  readonly manager: TaskManager;
  /** Says goodbye: takes the znode away first, so that the master moves the tasks at once, then lets go of them. */
  drain(): Promise<void>;
  /** Breaks all connections, as a kill would; for tests. */
  abandon(): void;
}

/** Resolves when the task manager is registered. Rejects when the port is taken or coord cannot be reached. */
export async function startTaskManager(options: TaskManagerProcessOptions): Promise<TaskManagerProcess> {
  const { ports, coord, log } = options;
  const id = `tm-${ports.id(10)}`;
  const manager = new TaskManager({ ports, id, slots: options.slots, storageUrl: options.storageUrl, leaseRemainingMs: () => coord.leaseRemainingMs(), log });
  const listener = await ports.sockets.listen({ host: options.host, port: options.port }, {
    '/rpc': { frameBytesMax: RPC_FRAME_BYTES_MAX, accept: (socket) => acceptMaster(manager, socket) },
    '/data': { frameBytesMax: FRAME_BYTES_MAX, accept: (socket) => manager.data.accept(socket) },
  });
  const { address } = listener;
  const timers = [every(ports, TIME_INTERVAL_MS, () => manager.onTime()), every(ports, METRICS_INTERVAL_MS, () => manager.sendMetrics())];
  const unsubscribe = coord.onState((signal) => {
    if (signal === 'expired' || signal === 'lease-lost' || signal === 'closed') manager.stopTasks(`the coord session is ${signal}`);
  });
  const registration: TaskManagerRegistration = { address, slots: options.slots, pid: options.pid, startedAt: ports.clock.wallMs() };
  const membership = new Membership(coord, TASK_MANAGERS_PATH, id, JSON.stringify(registration), {
    onJoined: () => log(`registered as ${id}`),
    onEnded: (error) => {
      log(`no longer registered: ${error.message}`);
      options.onUnregistered?.(error);
    },
  });
  const shut = (): void => {
    for (const timer of timers) timer.cancel();
    unsubscribe();
    manager.data.close();
    listener.close();
  };
  try {
    await membership.join();
  } catch (error) {
    shut();
    throw error;
  }
  return {
    id,
    address,
    manager,
    drain: async () => {
      await membership.leave().catch((error: Error) => log(`could not deregister: ${error.message}`));
      await manager.drain();
      shut();
    },
    abandon: () => {
      shut();
      manager.stopTasks('abandoned');
    },
  };
}

/** What would throw halfway through, after the epoch was taken over from it. An unknown type is for the task manager to refuse. */
function isMasterMessage(message: MasterMessage): boolean {
  if (!Number.isSafeInteger(message.epoch)) return false;
  switch (message.type) {
    case 'deploy':
      return Array.isArray(message.tasks) && message.tasks.every(isDeployment);
    case 'cancel':
      return Array.isArray(message.executionIds);
    case 'triggerCheckpoint':
    case 'checkpointComplete':
    case 'abortCheckpoint':
      return Number.isSafeInteger(message.checkpointId);
    case 'addSplits':
      return Array.isArray(message.splits);
    default:
      return true;
  }
}

function isDeployment(task: Partial<TaskDeployment> | null): boolean {
  const texts = [task?.executionId, task?.jobId, task?.vertexId, task?.bundleHash, task?.storageUrl, task?.graphHash];
  const lists = [task?.upstream, task?.downstream, task?.splits, ...[task?.upstream, task?.downstream].flatMap((side) => (Array.isArray(side) ? side.map((each) => each?.subtasks) : []))];
  return texts.every((text) => typeof text === 'string') && lists.every((list) => Array.isArray(list)) && Number.isSafeInteger(task?.attempt) && Number.isFinite(task?.checkpoint?.timeoutMs) && (task?.restore === null || Array.isArray(task?.restore?.states));
}

function acceptMaster(manager: TaskManager, socket: Socket): SocketHandler {
  const connection: MasterConnection = { send: (message) => socket.send(encodeMessage(message)) };
  return {
    frame: (frame) => {
      let message: MasterMessage;
      try {
        message = decodeMessage<MasterMessage>(frame);
        if (!isMasterMessage(message)) throw new TypeError('not of a master');
      } catch {
        socket.close(1002, 'not a message');
        return;
      }
      manager.onMessage(connection, message);
    },
    closed: () => manager.masterGone(connection),
  };
}
