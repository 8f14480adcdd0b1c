/**
 * The channels between tasks. Within one task manager an element is handed over by a call; to another task manager it goes over a connection,
 * one for each direction between two task managers, on which all channels between them are multiplexed. Credits keep one slow channel
 * from filling it.
 *
 * Frames are msgpack arrays that begin with a FrameKind. The dialling side sends hello (whom it means to reach), open, element, close; the
 * accepting side sends credit. A channel that is opened before its receiver is deployed waits; it has no credit until then.
 * A connection is never resumed: when it breaks, each channel on it is broken, which fails the tasks at both ends.
 */
import type { ExecutionId, TaskLocation } from '../rpc/messages.ts';
import type { Socket, SocketHandler, Sockets } from '../rpc/sockets.ts';
import { decode, encode } from '../rpc/value-codec.ts';
import type { InputChannel } from '../task/environment.ts';
import type { StreamElement } from '../task/stream-element.ts';
import { FRAME_BYTES_MAX } from './limits.ts';
import type { OutputChannel } from './output-channel.ts';

const FrameKind = { hello: 0, open: 1, element: 2, close: 3, credit: 4 } as const;
type Frame =
  | [typeof FrameKind.hello, taskManagerId: string]
  | [typeof FrameKind.open, channel: number, from: ExecutionId, to: ExecutionId]
  | [typeof FrameKind.element, channel: number, element: StreamElement]
  | [typeof FrameKind.close, channel: number]
  | [typeof FrameKind.credit, channel: number, credits: number];

/** A dial that nobody answers fails its tasks, so that the job restarts; the system's own limit is two minutes. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Of one connection, waiting for receivers. More is nobody's job. */
const PENDING_OPENS_MAX = 100_000;
const ELEMENT_TYPES = new Set(['records', 'watermark', 'status', 'barrier', 'end']);

/** Who takes channels in: the tasks of this task manager. */
export interface InputOwner {
  readonly executionId: ExecutionId;
  openInput(from: ExecutionId, grant: (credits: number) => void): InputChannel | null;
}

/** A channel whose receiver is not deployed yet. */
interface PendingOpen {
  readonly from: ExecutionId;
  readonly grant: (credits: number) => void;
  readonly opened: (input: InputChannel | null) => void;
}

export class DataPlane {
  readonly #taskManagerId: string;
  readonly #owners = new Map<ExecutionId, InputOwner>();
  readonly #pending = new Map<ExecutionId, Set<PendingOpen>>();
  /** By task manager and address: connections that this side dialled. */
  readonly #dialled = new Map<string, OutgoingConnection>();
  readonly #sockets: Sockets;

  constructor(taskManagerId: string, sockets: Sockets) {
    this.#taskManagerId = taskManagerId;
    this.#sockets = sockets;
  }

  addOwner(owner: InputOwner): void {
    this.#owners.set(owner.executionId, owner);
    const waiting = this.#pending.get(owner.executionId);
    this.#pending.delete(owner.executionId);
    for (const { from, grant, opened } of waiting ?? []) opened(owner.openInput(from, grant));
  }

  removeOwner(executionId: ExecutionId): void {
    this.#owners.delete(executionId);
  }

  openOutput(from: ExecutionId, to: TaskLocation, channel: OutputChannel, onBroken: (reason: string) => void): void {
    if (to.taskManagerId === this.#taskManagerId) {
      this.#openLocal(from, to.executionId, channel);
      return;
    }
    const peer = `${to.taskManagerId}@${to.address}`;
    let connection = this.#dialled.get(peer);
    if (connection === undefined) {
      connection = new OutgoingConnection(this.#sockets, to, () => this.#dialled.delete(peer));
      this.#dialled.set(peer, connection);
    }
    connection.open(from, to.executionId, channel, onBroken);
  }

  /** A connection to /data from another task manager. */
  accept(socket: Socket): SocketHandler {
    const inputs = new Map<number, InputChannel>();
    const withdrawals = new Map<number, () => void>();
    const end = (reason: string): void => {
      for (const withdraw of withdrawals.values()) withdraw();
      for (const input of inputs.values()) input.broken(reason);
      withdrawals.clear();
      inputs.clear();
    };
    const onFrame = (frame: Frame): void => {
      switch (frame[0]) {
        case FrameKind.hello:
          if (frame[1] !== this.#taskManagerId) socket.close(4001, `this is task manager ${this.#taskManagerId}`);
          return;
        case FrameKind.open: {
          const [, channel, from, to] = frame;
          if (typeof channel !== 'number' || typeof from !== 'string' || typeof to !== 'string' || withdrawals.size >= PENDING_OPENS_MAX) {
            socket.close(1002, 'not an open');
            return;
          }
          const grant = (credits: number): void => sendFrame(socket, [FrameKind.credit, channel, credits]);
          const withdraw = this.#open(to, {
            from,
            grant,
            opened: (input) => {
              withdrawals.delete(channel);
              if (input !== null) inputs.set(channel, input);
            },
          });
          if (withdraw !== null) withdrawals.set(channel, withdraw);
          return;
        }
        case FrameKind.element:
          // A stranger's element must fail its connection, not the process.
          if (ELEMENT_TYPES.has(frame[2]?.type)) inputs.get(frame[1])?.deliver(frame[2]);
          else socket.close(1002, 'not an element');
          return;
        case FrameKind.close:
          withdrawals.get(frame[1])?.();
          withdrawals.delete(frame[1]);
          inputs.delete(frame[1]);
          return;
        default:
          socket.close(1002, 'unexpected frame');
      }
    };
    return { frame: (bytes) => readFrame(socket, bytes, onFrame), closed: ({ reason }) => end(reason) };
  }

  /** Breaks what this side dialled. */
  close(): void {
    for (const connection of this.#dialled.values()) connection.terminate();
  }

  #openLocal(from: ExecutionId, to: ExecutionId, channel: OutputChannel): void {
    let withdraw: (() => void) | null = null;
    // Credits that the receiver grants while it opens must find the channel connected.
    let early = 0;
    let connected = false;
    withdraw = this.#open(to, {
      from,
      grant: (credits) => {
        if (connected) channel.onCredit(credits);
        else early += credits;
      },
      opened: (input) => {
        withdraw = null;
        if (input === null) return;
        channel.connect({ deliver: (element) => input.deliver(element), close: () => undefined });
        connected = true;
        channel.onCredit(early);
      },
    });
    if (withdraw !== null) channel.connect({ deliver: () => undefined, close: withdraw });
  }

  /** Returns what takes the request back while it waits, or null when it was answered at once. */
  #open(to: ExecutionId, request: PendingOpen): (() => void) | null {
    const owner = this.#owners.get(to);
    if (owner !== undefined) {
      request.opened(owner.openInput(request.from, request.grant));
      return null;
    }
    let waiting = this.#pending.get(to);
    if (waiting === undefined) {
      waiting = new Set();
      this.#pending.set(to, waiting);
    }
    waiting.add(request);
    return () => {
      const now = this.#pending.get(to);
      now?.delete(request);
      if (now?.size === 0) this.#pending.delete(to);
    };
  }
}

class OutgoingConnection {
  readonly #socket: Socket;
  readonly #channels = new Map<number, { channel: OutputChannel; onBroken: (reason: string) => void }>();
  #next = 0;
  /** What was sent before the connection was open. */
  #queued: Frame[] | null;

  constructor(sockets: Sockets, to: TaskLocation, onGone: () => void) {
    this.#queued = [[FrameKind.hello, to.taskManagerId]];
    this.#socket = sockets.dial({ address: to.address, path: '/data', frameBytesMax: FRAME_BYTES_MAX, handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS }, {
      opened: () => {
        const queued = this.#queued ?? [];
        this.#queued = null;
        for (const frame of queued) this.#send(frame);
      },
      frame: (bytes) => readFrame(this.#socket, bytes, (frame) => {
        if (frame[0] === FrameKind.credit) this.#channels.get(frame[1])?.channel.onCredit(frame[2]);
      }),
      closed: ({ reason }) => {
        onGone();
        const channels = [...this.#channels.values()];
        this.#channels.clear();
        for (const { onBroken } of channels) onBroken(reason);
      },
    });
  }

  open(from: ExecutionId, to: ExecutionId, channel: OutputChannel, onBroken: (reason: string) => void): void {
    const number = this.#next++;
    this.#channels.set(number, { channel, onBroken });
    this.#send([FrameKind.open, number, from, to]);
    channel.connect({
      deliver: (element) => this.#send([FrameKind.element, number, element]),
      close: () => {
        this.#channels.delete(number);
        this.#send([FrameKind.close, number]);
      },
    });
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #send(frame: Frame): void {
    if (this.#queued === null) sendFrame(this.#socket, frame);
    else this.#queued.push(frame);
  }
}

function sendFrame(socket: Socket, frame: Frame): void {
  socket.send(encode(frame));
}

function readFrame(socket: Socket, bytes: Uint8Array, onFrame: (frame: Frame) => void): void {
  let frame: unknown;
  try {
    frame = decode(bytes);
  } catch {
    frame = null;
  }
  if (Array.isArray(frame)) onFrame(frame as Frame);
  else socket.close(1002, 'not a frame');
}
