/** A codec of the client library with somebody looking on: what is sent when, and what a frame says before the session hears of it. */
import type { Zxid } from '../../coord/base/zxid.ts';
import type { ClientCodec, ConnectResponse, ServerMessages } from '../../coord/client/transport.ts';
import type { ClientRequest, ConnectRequest, Result } from '../../coord/wire/types.ts';

export interface CodecWatcher {
  connecting(request: ConnectRequest): void;
  connected(response: ConnectResponse): void;
  /** `length` of its frame: what is too long is not sent. */
  sending(request: ClientRequest, length: number): void;
  replied(xid: number, zxid: Zxid, err: number): void;
  event(type: number, path: string, zxid: Zxid): void;
}

export class WatchedCodec implements ClientCodec {
  readonly #codec: ClientCodec;
  readonly #watcher: CodecWatcher;

  constructor(codec: ClientCodec, watcher: CodecWatcher) {
    this.#codec = codec;
    this.#watcher = watcher;
  }

  encodeConnect(request: ConnectRequest): Uint8Array {
    this.#watcher.connecting(request);
    return this.#codec.encodeConnect(request);
  }
  decodeConnect(frame: Uint8Array): ConnectResponse {
    const response = this.#codec.decodeConnect(frame);
    this.#watcher.connected(response);
    return response;
  }
  encodeRequest(request: ClientRequest): Uint8Array {
    const frame = this.#codec.encodeRequest(request);
    this.#watcher.sending(request, frame.length);
    return frame;
  }
  decode(frame: Uint8Array, messages: ServerMessages): void {
    this.#codec.decode(frame, {
      expectedOp: (xid) => messages.expectedOp(xid),
      reply: (xid: number, zxid: Zxid, err: number, result: Result | null) => {
        this.#watcher.replied(xid, zxid, err);
        messages.reply(xid, zxid, err, result);
      },
      event: (type, path, zxid) => {
        this.#watcher.event(type, path, zxid);
        messages.event(type, path, zxid);
      },
    });
  }
}
