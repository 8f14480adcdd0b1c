/**
 * Writers that never stop, whatever happens to the servers, and remember what was acked: the judge of "no acked write is lost". Each znode
 * has one writer and counts upward; a write whose outcome is unknown widens what may be found by one.
 */
import { connect, isCoordError, type CoordClient, type Stat, type StateSignal } from '../../coord/client/index.ts';

export interface WriteLoadOptions {
  /** Sessions. Default 2. */
  readonly clients?: number;
  /** Writers per session, each with one request in flight. Default 4. */
  readonly writers?: number;
  /** Znodes of one writer. Default 200. */
  readonly znodes?: number;
  /** Size of the data. Default 100. */
  readonly dataBytes?: number;
  readonly sessionTimeoutMs?: number;
}

interface Written {
  acked: number;
  attempted: number;
}

/** Connects although the servers may be away for a while. */
export function patientClient(connectString: string, sessionTimeoutMs = 10_000): Promise<CoordClient> {
  return connect(connectString, { sessionTimeoutMs, connectTimeoutMs: 60_000 });
}

/** Give its abandon() to t.teardown. */
export class WriteLoad {
  readonly signals: StateSignal[] = [];
  /** Unexpected errors: anything but the ways in which a request can be cut off. */
  readonly errors: string[] = [];
  acked = 0;
  readonly #root: string;
  readonly #options: WriteLoadOptions;
  readonly #written = new Map<string, Written>();
  readonly #clients: CoordClient[] = [];
  #running: Promise<void>[] = [];
  #stopped = false;
  #wake: (() => void)[] = [];

  constructor(root: string, options: WriteLoadOptions = {}) {
    this.#root = root;
    this.#options = options;
  }

  get clients(): readonly CoordClient[] {
    return this.#clients;
  }

  async start(connectString: string): Promise<void> {
    const { clients = 2, writers = 4, sessionTimeoutMs = 10_000 } = this.#options;
    for (let c = 0; c < clients; c++) {
      const client = await connect(connectString, { sessionTimeoutMs, connectTimeoutMs: 60_000, renew: true });
      client.onState((signal) => this.signals.push(signal));
      this.#clients.push(client);
      // On a machine that is very busy an election may follow the first one.
      for (let ready = false; !ready;) {
        ready = await client.ensurePath(this.#root).then(() => true, (error: unknown) => (isCutOff(error) ? false : Promise.reject(error)));
      }
      for (let w = 0; w < writers; w++) this.#running.push(this.#write(client, `${this.#root}/${c}-${w}-`));
    }
  }

  /** Resolves when `n` more writes were acked. */
  async ackedMore(n: number): Promise<void> {
    const target = this.acked + n;
    while (this.acked < target && this.errors.length === 0) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** Ends the writers; the sessions stay unless `close`. */
  async stop(close = true): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    this.#running = [];
    if (close) await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** For teardown: without waiting for what cannot be answered any more. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** What is missing or wrong in the tree as one server shows it after a sync, with everything that was acked before the call. */
  async lost(connectString: string): Promise<string[]> {
    const expected = [...this.#written].map(([path, { acked }]) => [path, acked] as const);
    const client = await patientClient(connectString);
    await client.sync(this.#root);
    const lost: string[] = [];
    await inParallel(expected, async ([path, acked]) => {
      const found = await client.getData(path).catch((error: unknown) => (isCoordError(error, 'NONODE') ? null : Promise.reject(error)));
      if (found === null) {
        if (acked >= 0) lost.push(`${path} is missing; ${acked} was acked`);
        return;
      }
      const value = Number(Buffer.from(found.data ?? []).toString().split(':', 1)[0]);
      const { attempted } = this.#written.get(path) as Written;
      if (value < acked || value > attempted) lost.push(`${path} is ${value}; ${acked} was acked and ${attempted} attempted`);
    });
    await client.close();
    return lost;
  }

  async #write(client: CoordClient, prefix: string): Promise<void> {
    const { znodes = 200, dataBytes = 100 } = this.#options;
    const padding = 'x'.repeat(dataBytes);
    for (let n = 0; !this.#stopped; n++) {
      const path = prefix + (n % znodes);
      const before = this.#written.get(path);
      const written = before ?? { acked: -1, attempted: 0 };
      if (before === undefined) this.#written.set(path, written);
      // A write whose outcome was unknown is followed by a greater one, so what is found tells which took place.
      const value = written.acked === -1 ? 0 : ++written.attempted;
      try {
        if (written.acked === -1) await client.create(path, `0:${padding}`);
        else await client.setData(path, `${value}:${padding}`);
        written.acked = value;
        this.#oneMore();
      } catch (error) {
        if (isCoordError(error, 'NODEEXISTS') && written.acked === -1) written.acked = 0;
        else if (this.#stopped && isCoordError(error, 'CLOSED')) return;
        else if (!isCutOff(error)) {
          this.errors.push(String(error));
          this.#oneMore();
          return;
        } else if (written.acked === -1) {
          n--;
        }
      }
    }
  }

  #oneMore(): void {
    this.acked++;
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function isCutOff(error: unknown): boolean {
  return isCoordError(error, 'CONNECTIONLOSS', 'OPERATIONTIMEOUT', 'SESSIONEXPIRED', 'SESSIONMOVED');
}

/** Path → everything a client can see of it, as one server shows it after a sync. */
export async function wholeTree(connectString: string): Promise<Map<string, string>> {
  const client = await patientClient(connectString);
  await client.sync('/');
  const tree = new Map<string, string>();
  let level = ['/'];
  while (level.length > 0) {
    const below: string[] = [];
    await inParallel(level, async (path) => {
      const [{ children }, { data, stat }] = await Promise.all([client.getChildren(path), client.getData(path)]);
      tree.set(path, `${data === null ? 'null' : Buffer.from(data).toString('base64')} ${statText(stat)}`);
      for (const name of children) below.push(path === '/' ? `/${name}` : `${path}/${name}`);
    });
    level = below;
  }
  await client.close();
  return tree;
}

/** The paths at which two trees differ. */
export function differences(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter((path) => one.get(path) !== other.get(path));
}

function statText(stat: Stat): string {
  return JSON.stringify(stat, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

export async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>, lanes = 64): Promise<void> {
  const next = items.values();
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (const item of next) await act(item);
  }));
}
