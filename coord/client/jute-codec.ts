/** The client's codec for ZooKeeper's protocol: the wire room's records behind the client's port. */
import { Xid } from '../wire/codes.ts';
import { decodeConnectResponse, encodeConnectRequest } from '../wire/connect.ts';
import { JuteWriter } from '../wire/jute.ts';
import { decodeReplyBody, decodeReplyHeader, decodeWatcherEvent, REPLY_HEADER_BYTES, type ReplyHeader } from '../wire/replies.ts';
import { encodeRequest } from '../wire/requests.ts';
import type { ClientRequest, ConnectRequest } from '../wire/types.ts';
import type { ClientCodec, ConnectResponse, ServerMessages } from './transport.ts';

/** The writers put a length before each frame; here the transport does. */
const LENGTH_BYTES = 4;

export class JuteCodec implements ClientCodec {
  readonly #writer = new JuteWriter();
  readonly #header: ReplyHeader = { xid: 0, zxid: 0, err: 0 };

  encodeConnect(request: ConnectRequest): Uint8Array {
    this.#writer.clear();
    encodeConnectRequest(this.#writer, request);
    return Uint8Array.prototype.slice.call(this.#writer.view(), LENGTH_BYTES);
  }

  decodeConnect(frame: Uint8Array): ConnectResponse {
    return decodeConnectResponse(frame, 0, frame.length);
  }

  encodeRequest(request: ClientRequest): Uint8Array {
    this.#writer.clear();
    encodeRequest(this.#writer, request);
    return Uint8Array.prototype.slice.call(this.#writer.view(), LENGTH_BYTES);
  }

  decode(frame: Uint8Array, messages: ServerMessages): void {
    const header = this.#header;
    decodeReplyHeader(frame, 0, frame.length, header);
    const { xid, zxid, err } = header;
    if (xid === Xid.NOTIFICATION) {
      const { type, path } = decodeWatcherEvent(frame, REPLY_HEADER_BYTES, frame.length);
      messages.event(type, path, zxid);
      return;
    }
    const op = messages.expectedOp(xid);
    messages.reply(xid, zxid, err, err === 0 ? decodeReplyBody(op, frame, REPLY_HEADER_BYTES, frame.length) : null);
  }
}
