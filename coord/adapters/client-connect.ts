/** connect(): a client on this machine's clock and sockets. */
import type { ConnectOptions, CoordClient } from '../client/api.ts';
import { Client } from '../client/client.ts';
import { parseConnectString, type ClientProtocol } from '../client/connect-string.ts';
import { limits } from '../client/limits.ts';
import type { ClientCodec, ClientTransport } from '../client/transport.ts';
import { JuteCodec } from '../client/jute-codec.ts';
import { NativeCodec } from '../client/native-codec.ts';
import { TcpClientTransport } from './client-tcp.ts';
import { WsClientTransport } from './client-ws.ts';
import { systemClock, systemEntropy, systemTimers } from './system-ports.ts';

/** Rejects with CoordError (CONNECTIONLOSS, AUTHFAILED), or with DreyError COORD_CONNECT_STRING. */
export async function connect(connectString: string, options: ConnectOptions = {}): Promise<CoordClient> {
  const target = parseConnectString(connectString);
  const { transport, codec } = protocolParts(target.protocol);
  const client = new Client(target, options, { transport, codec, clock: systemClock, timers: systemTimers, entropy: systemEntropy });
  return client.ready(options.connectTimeoutMs ?? limits.connectTimeoutMs, options.renew ?? false);
}

function protocolParts(protocol: ClientProtocol): { transport: ClientTransport; codec: ClientCodec } {
  if (protocol === 'drey') return { transport: new WsClientTransport(), codec: new NativeCodec() };
  return { transport: new TcpClientTransport(), codec: new JuteCodec() };
}
