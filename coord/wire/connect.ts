/**
 * The handshake: ConnectRequest and ConnectResponse, both ways. Clients before 3.4 leave the readOnly byte out of the request; the
 * response to them leaves it out as well (36 instead of 37 bytes), or they break (ZOOKEEPER-4814).
 */
import { DreyError } from '../base/errors.ts';
import { foreignZxid } from '../base/zxid.ts';
import { JuteReader } from './jute.ts';
import type { JuteWriter } from './jute.ts';
import type { ConnectRequest } from './types.ts';

export interface ConnectResponse {
  readonly protocolVersion: number;
  /** 0 or less: the session has expired. */
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array;
  readonly readOnly: boolean;
}

export const PASSWORD_BYTES = 16;
const NO_PASSWORD = new Uint8Array(PASSWORD_BYTES);
const reader = new JuteReader();

/** The first frame of a connection, in [start, end); null when it is none. The password is a copy. */
export function decodeConnectRequest(bytes: Uint8Array, start: number, end: number): ConnectRequest | null {
  reader.reset(bytes, start, end);
  try {
    const protocolVersion = reader.int();
    const high = reader.int();
    const lastZxidSeen = foreignZxid(high, reader.unsigned());
    const timeoutMs = reader.int();
    const sessionId = reader.bigLong();
    const password = reader.buffer();
    const hasReadOnly = reader.remaining > 0;
    const readOnly = hasReadOnly && reader.bool();
    return { protocolVersion, lastZxidSeen, timeoutMs, sessionId, password: password === null ? NO_PASSWORD : password.slice(), readOnly, hasReadOnly };
  } catch (error) {
    if (error instanceof DreyError) return null;
    throw error;
  }
}

/** Writes the frame, its length included. */
export function encodeConnectRequest(writer: JuteWriter, request: ConnectRequest): void {
  const start = writer.length;
  writer.int(0);
  writer.int(request.protocolVersion);
  writer.long(request.lastZxidSeen);
  writer.int(request.timeoutMs);
  writer.bigLong(request.sessionId);
  writer.buffer(request.password);
  if (request.hasReadOnly) writer.bool(request.readOnly);
  writer.patchInt(start, writer.length - start - 4);
}

/** Throws COORD_MARSHALLING. The password is a copy. */
export function decodeConnectResponse(bytes: Uint8Array, start: number, end: number): ConnectResponse {
  reader.reset(bytes, start, end);
  const protocolVersion = reader.int();
  const timeoutMs = reader.int();
  const sessionId = reader.bigLong();
  const password = reader.buffer();
  const readOnly = reader.remaining > 0 && reader.bool();
  return { protocolVersion, timeoutMs, sessionId, password: password === null ? NO_PASSWORD : password.slice(), readOnly };
}

/** Writes the frame, its length included. timeoutMs 0: session id and password go out as zeros, whatever is given. */
export function encodeConnectResponse(writer: JuteWriter, response: ConnectResponse, hasReadOnly: boolean): void {
  const start = writer.length;
  const gone = response.timeoutMs <= 0;
  writer.int(0);
  writer.int(response.protocolVersion);
  writer.int(response.timeoutMs);
  writer.bigLong(gone ? 0n : response.sessionId);
  writer.buffer(gone ? NO_PASSWORD : response.password);
  if (hasReadOnly) writer.bool(response.readOnly);
  writer.patchInt(start, writer.length - start - 4);
}
