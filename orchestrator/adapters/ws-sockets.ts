/** Connections as WebSockets of the `ws` package, each frame a binary message. */
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { DialTarget, Socket, SocketHandler, SocketListener, SocketPath, Sockets } from '../rpc/sockets.ts';
import { createServer } from './node-http.ts';

export const wsSockets: Sockets = { listen, dial };

async function listen({ host, port }: { readonly host: string; readonly port: number }, paths: Readonly<Record<string, SocketPath>>): Promise<SocketListener> {
  const server = createServer((_request, response) => response.writeHead(404).end());
  const sockets = new Map(
    Object.entries(paths).map(([path, { frameBytesMax, accept }]) => {
      const wss = new WebSocketServer({ noServer: true, maxPayload: frameBytesMax, perMessageDeflate: false });
      wss.on('connection', (ws: WebSocket) => wire(ws, accept(new WsSocket(ws))));
      return [path, wss] as const;
    }),
  );
  server.on('upgrade', (request, socket, head) => {
    const wss = sockets.get(request.url?.split('?')[0] ?? '');
    // A browser's page has no business here.
    if (request.headers.origin !== undefined || wss === undefined) socket.destroy();
    else wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const wss of sockets.values()) for (const ws of wss.clients) ws.terminate();
      server.close();
    },
  };
}

function dial({ address, path, frameBytesMax, handshakeTimeoutMs }: DialTarget, handler: SocketHandler): Socket {
  const ws = new WebSocket(`ws://${address}${path}`, { perMessageDeflate: false, maxPayload: frameBytesMax, handshakeTimeout: handshakeTimeoutMs });
  ws.on('open', () => handler.opened?.());
  wire(ws, handler);
  return new WsSocket(ws);
}

function wire(ws: WebSocket, handler: SocketHandler): void {
  let problem: NodeJS.ErrnoException | null = null;
  ws.binaryType = 'nodebuffer';
  ws.on('message', (frame) => handler.frame(frame as Buffer));
  ws.on('error', (error) => {
    problem ??= error;
  });
  ws.on('close', (code, reason) => {
    const closed = `connection closed (${code}${reason.length > 0 ? ` ${reason.toString()}` : ''})`;
    handler.closed({ reason: problem?.message ?? closed, refused: problem?.code === 'ECONNREFUSED' });
  });
}

class WsSocket implements Socket {
  readonly #ws: WebSocket;

  constructor(ws: WebSocket) {
    this.#ws = ws;
  }

  send(frame: Uint8Array): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(frame);
  }
  close(code: number, reason: string): void {
    this.#ws.close(code, reason);
  }
  terminate(): void {
    this.#ws.terminate();
  }
}
