/**
 * The master's connection to one task manager, dialled again whenever it breaks.
 *
 * Decides: when a task manager is regarded as gone before its znode is: when it refuses the connection, since then nothing listens on its port.
 */
import type { TimerHandle } from '../../coord/base/ports.ts';
import { decodeMessage, encodeMessage, RPC_FRAME_BYTES_MAX } from '../rpc/codec.ts';
import type { MasterMessage, WorkerMessage } from '../rpc/messages.ts';
import type { Socket } from '../rpc/sockets.ts';
import type { RuntimePorts } from './ports.ts';

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
  readonly #ports: RuntimePorts;
  readonly #events: LinkEvents;
  #socket: Socket | null = null;
  #timer: TimerHandle | null = null;
  #closed = false;

  constructor(ports: RuntimePorts, address: string, events: LinkEvents) {
    this.#ports = ports;
    this.address = address;
    this.#events = events;
    this.#dial();
  }

  send(message: MasterMessage): void {
    this.#socket?.send(encodeMessage(message));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#socket?.terminate();
  }

  #dial(): void {
    let open = false;
    const socket = this.#ports.sockets.dial({ address: this.address, path: '/rpc', frameBytesMax: RPC_FRAME_BYTES_MAX, handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS }, {
      opened: () => {
        open = true;
        if (!this.#closed) this.#events.connected();
      },
      frame: (frame) => {
        if (this.#closed) return;
        let message: WorkerMessage;
        try {
          message = decodeMessage<WorkerMessage>(frame);
        } catch {
          socket.terminate();
          return;
        }
        this.#events.message(message);
      },
      closed: ({ refused }) => {
        if (this.#closed) return;
        if (open) this.#events.disconnected();
        if (refused) this.#events.refused();
        // One that was connected is dialled again at once: whether it refuses tells whether it lives.
        this.#timer = this.#ports.timers.after(open ? 0 : refused ? REDIAL_REFUSED_MS : REDIAL_MS, () => this.#dial());
      },
    });
    this.#socket = socket;
  }
}
