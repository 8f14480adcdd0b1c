import test from 'ava';
import type { CoordClient, StateSignal } from '../../../coord/client/api.ts';
import { CoordError } from '../../../coord/client/errors.ts';
import { createProtected } from '../../../coord/client/recipes/protected-create.ts';

/** A client whose sessions come and go by hand. What is created while there is none waits for the next, as in the client that ships. */
class Stub {
  session = { id: 0n };
  state = 'connecting';
  readonly created: bigint[] = [];
  #listeners: ((signal: StateSignal) => void)[] = [];
  #waiting: (() => void)[] = [];

  onState(fn: (signal: StateSignal) => void): () => void {
    this.#listeners.push(fn);
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== fn);
    };
  }
  connected(id: bigint): void {
    this.session = { id };
    this.state = 'connected';
    for (const each of this.#listeners) each('connected');
    for (const each of this.#waiting.splice(0)) each();
  }
  /** The reply of the create is lost, and then the session is. */
  async createWithStat(): Promise<never> {
    if (this.session.id === 0n) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.created.push(this.session.id);
    this.state = 'connecting';
    throw new CoordError('CONNECTIONLOSS');
  }
  async sync(): Promise<void> {}
  async getChildren(): Promise<{ children: string[] }> {
    return { children: [] };
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a create that waited for the first session is not made again in the one after it', async (t) => {
  const stub = new Stub();
  const creating = createProtected(stub as unknown as CoordClient, '/locks', 'x-', '', {}, () => 'id');
  await settle();
  stub.connected(7n);
  await settle();
  stub.connected(8n);
  await t.throwsAsync(creating, { code: 'SESSIONEXPIRED' });
  t.deepEqual(stub.created, [7n]);
});
