/** The client's codec for the native protocol: msgpack arrays behind the client's port. */
import { Xid } from '../wire/codes.ts';
import { decodeNativeConnected, decodeNativeEvent, decodeNativeReply, decodeNativeResult, encodeNativeConnect, encodeNativeRequest } from '../wire/native.ts';
import type { ClientRequest, ConnectRequest } from '../wire/types.ts';
import type { ClientCodec, ConnectResponse, ServerMessages } from './transport.ts';

export class NativeCodec implements ClientCodec {
  encodeConnect(request: ConnectRequest): Uint8Array {
    return encodeNativeConnect(request);
  }

  decodeConnect(frame: Uint8Array): ConnectResponse {
    return decodeNativeConnected(frame);
  }

  encodeRequest(request: ClientRequest): Uint8Array {
    return encodeNativeRequest(request);
  }

  decode(frame: Uint8Array, messages: ServerMessages): void {
    const { xid, zxid, err, fields } = decodeNativeReply(frame);
    if (xid === Xid.NOTIFICATION) {
      const { type, path } = decodeNativeEvent(fields);
      messages.event(type, path, zxid);
      return;
    }
    const op = messages.expectedOp(xid);
    messages.reply(xid, zxid, err, err === 0 ? decodeNativeResult(op, fields) : null);
  }
}
