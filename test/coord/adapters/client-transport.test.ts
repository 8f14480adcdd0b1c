/** The client's connections over real sockets: what was not written when one was lost is never written to the next. */
import test from 'ava';
import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect } from '../../../coord/adapters/client-connect.ts';
import type { StateSignal } from '../../../coord/client/api.ts';
import { startOneServer } from './one-server.ts';

/** Between a client and a server; cut() ends what goes through it (a reset leaves handles behind, and the process does not exit). */
async function startRelay(serverPort: number): Promise<{ port: number; connections(): number; cut(): void; stop(): void }> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    connections++;
    const onward = connectSocket({ host: '127.0.0.1', port: serverPort, noDelay: true });
    for (const [end, other] of [[socket, onward], [onward, socket]] as const) {
      sockets.add(end);
      end.on('error', () => {});
      end.on('close', () => {
        sockets.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const stop = (): void => {
    listener.close();
    cut();
  };
  return { port: (listener.address() as AddressInfo).port, connections: () => connections, cut, stop };
}

for (const protocol of ['zk', 'drey'] as const) {
  test(`${protocol}: a request that was issued in the turn in which its connection is lost is not what the next connection begins with`, async (t) => {
    const server = await startOneServer();
    const relay = await startRelay(protocol === 'zk' ? server.port : server.httpPort);
    const client = await connect(`${protocol}://127.0.0.1:${relay.port}`, { sessionTimeoutMs: 30_000 });
    try {
      const { id } = client.session;
      await client.create('/held', null, { mode: 'ephemeral' });
      const signals: StateSignal[] = [];
      const answers: Promise<string>[] = [];
      const back = new Promise<void>((resolve) => {
        client.onState((signal) => {
          signals.push(signal);
          if (signal !== 'suspended') resolve();
        });
      });
      // In each turn, so that there is one that has not been written whenever the loss is noticed.
      const ask = (): void => {
        if (signals.length > 0) return;
        answers.push(client.exists('/held').then(() => 'OK', (error: { code: string }) => error.code));
        setImmediate(ask);
      };
      ask();
      relay.cut();
      await back;
      t.deepEqual(signals, ['suspended', 'reconnected']);
      t.is(client.session.id, id);
      // A server that was sent anything but a handshake would have closed the second.
      t.is(relay.connections(), 2);
      t.not(await client.exists('/held'), null);
      t.deepEqual([...new Set(await Promise.all(answers))].filter((answer) => answer !== 'OK'), ['CONNECTIONLOSS']);
    } finally {
      await client.close();
      relay.stop();
      await server.stop();
    }
  });
}
