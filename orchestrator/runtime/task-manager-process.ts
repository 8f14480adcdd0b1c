/**
 * A task manager as others find it: registered in coord at /drey/taskmanagers/<id>, with one WebSocket port for job masters (/rpc) and for
 * the channels of other task managers (/data).
 */
import type { AddressInfo } from 'node:net';
import { nanoid } from 'nanoid';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { CoordClient } from '../../coord/client/index.ts';
import { Membership } from '../../coord/client/index.ts';
import { FRAME_BYTES_MAX } from '../exchange/limits.ts';
import { decodeMessage, encodeMessage, RPC_FRAME_BYTES_MAX } from '../rpc/codec.ts';
import type { MasterMessage, TaskDeployment } from '../rpc/messages.ts';
import { createServer } from './node-http.ts';
import type { MasterConnection } from './task-manager.ts';
import { TaskManager } from './task-manager.ts';

export const TASK_MANAGERS_PATH = '/drey/taskmanagers';
const TIME_INTERVAL_MS = 100;
const METRICS_INTERVAL_MS = 1000;

export interface TaskManagerProcessOptions {
  /** With `renew`, so that the process goes on under a new session when one has expired. Stays the caller's to close. */
  readonly coord: CoordClient;
  readonly storageUrl: string;
  readonly slots: number;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
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
  const { coord, log } = options;
  const id = `tm-${nanoid(10)}`;
  const manager = new TaskManager({
    id,
    slots: options.slots,
    storageUrl: options.storageUrl,
    nowMs: () => performance.now(),
    leaseRemainingMs: () => coord.leaseRemainingMs(),
    log,
  });

  const server = createServer((_request, response) => response.writeHead(404).end());
  const rpc = new WebSocketServer({ noServer: true, maxPayload: RPC_FRAME_BYTES_MAX, perMessageDeflate: false });
  const data = new WebSocketServer({ noServer: true, maxPayload: FRAME_BYTES_MAX, perMessageDeflate: false });
  server.on('upgrade', (request, socket, head) => {
    const path = request.url?.split('?')[0];
    // A browser's page has no business here.
    if (request.headers.origin !== undefined) socket.destroy();
    else if (path === '/rpc') rpc.handleUpgrade(request, socket, head, (ws) => acceptMaster(manager, ws));
    else if (path === '/data') data.handleUpgrade(request, socket, head, (ws) => manager.data.accept(ws));
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const address = `${options.host}:${port}`;

  const timers = [setInterval(() => manager.onTime(), TIME_INTERVAL_MS), setInterval(() => manager.sendMetrics(), METRICS_INTERVAL_MS)];
  const unsubscribe = coord.onState((signal) => {
    if (signal === 'expired' || signal === 'lease-lost' || signal === 'closed') manager.stopTasks(`the coord session is ${signal}`);
  });
  const registration: TaskManagerRegistration = { address, slots: options.slots, pid: process.pid, startedAt: Date.now() };
  const membership = new Membership(coord, TASK_MANAGERS_PATH, id, JSON.stringify(registration), {
    onJoined: () => log(`registered as ${id}`),
    onEnded: (error) => {
      log(`no longer registered: ${error.message}`);
      options.onUnregistered?.(error);
    },
  });
  const shut = (): void => {
    for (const timer of timers) clearInterval(timer);
    unsubscribe();
    manager.data.close();
    for (const socket of [...rpc.clients, ...data.clients]) socket.terminate();
    server.close();
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

function acceptMaster(manager: TaskManager, socket: WebSocket): void {
  const connection: MasterConnection = {
    send: (message) => {
      if (socket.readyState === socket.OPEN) socket.send(encodeMessage(message));
    },
  };
  socket.binaryType = 'nodebuffer';
  socket.on('message', (frame) => {
    let message: MasterMessage;
    try {
      message = decodeMessage<MasterMessage>(frame as Buffer);
      if (!isMasterMessage(message)) throw new TypeError('not of a master');
    } catch {
      socket.close(1002, 'not a message');
      return;
    }
    manager.onMessage(connection, message);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => manager.masterGone(connection));
}
