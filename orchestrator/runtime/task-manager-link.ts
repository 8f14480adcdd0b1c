/**
 * The master's connection to one task manager, dialled again whenever it breaks.
 *
 * Decides: when a task manager is regarded as gone before its znode is: when it refuses the connection, since then nothing listens on its port.
 */
import { WebSocket } from 'ws';
import { decodeMessage, encodeMessage, RPC_FRAME_BYTES_MAX } from '../rpc/codec.ts';
import type { MasterMessage, WorkerMessage } from '../rpc/messages.ts';

const HANDSHAKE_TIMEOUT_MS = 2000;
const REDIAL_MS = 100;
/** One that refused may be dialled less often: it will not come back under this id. */
const REDIAL_REFUSED_MS = 1000;

export interface LinkEvents {
  connected(): void;
  disconnected(): void;
  refused(): void;
  message(message: WorkerMessage): void;
}

export class TaskManagerLink {
  readonly address: string;
  readonly #events: LinkEvents;
  #socket: WebSocket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(address: string, events: LinkEvents) {
    this.address = address;
    this.#events = events;
    this.#dial();
  }

  send(message: MasterMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(encodeMessage(message));
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  #dial(): void {
    const socket = new WebSocket(`ws://${this.address}/rpc`, { handshakeTimeout: HANDSHAKE_TIMEOUT_MS, maxPayload: RPC_FRAME_BYTES_MAX, perMessageDeflate: false });
    socket.binaryType = 'nodebuffer';
    this.#socket = socket;
    let open = false;
    let isRefused = false;
    socket.on('open', () => {
      open = true;
      if (!this.#closed) this.#events.connected();
    });
    socket.on('message', (frame) => {
      if (this.#closed) return;
      let message: WorkerMessage;
      try {
        message = decodeMessage<WorkerMessage>(frame as Buffer);
      } catch {
        socket.terminate();
        return;
      }
      this.#events.message(message);
    });
    socket.on('error', (error) => {
      isRefused ||= (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
    });
    socket.on('close', () => {
      if (this.#closed) return;
      if (open) this.#events.disconnected();
      if (isRefused) this.#events.refused();
      // One that was connected is dialled again at once: whether it refuses tells whether it lives.
      this.#timer = setTimeout(() => this.#dial(), open ? 0 : isRefused ? REDIAL_REFUSED_MS : REDIAL_MS);
    });
  }
}
