/**
 * One contender in a queue of ephemeral sequential znodes: what leader election and locks have in common.
 *
 * Decides: when this contender holds the first place, when that is in doubt, and when it is lost.
 *
 * Invariants:
 * - held() is called only after the contender's own znode, owned by the present session, was seen to be the first.
 * - Each held() has a greater epoch (czxid of the znode) than every earlier holder's: a place that was lost is given up, and the
 *   contender queues again with a new znode; an epoch is never held twice.
 * - lost() is called no later than the moment at which the servers may have expired the session (lease-lost), by this process's clock:
 *   what the servers think reaches a client late (CURATOR-444).
 * - Every attempt has a znode name of its own, so that what an earlier session or a lost reply left behind is never taken for it (CURATOR-696).
 *
 * Source: ZooKeeper's recipes (watch only the predecessor, so that one departure wakes one contender); Curator's protected creation.
 *
 * Leaves to others: what is done with the place. Belief may overlap for a moment in an asynchronous network; effects must be fenced
 * with the epoch, or with a `check` of the znode in the same multi.
 */
import type { Zxid } from '../../base/zxid.ts';
import type { Acl, CoordClient, Data, StateSignal } from '../api.ts';
import { callOut } from '../call-out.ts';
import { CoordError, isCoordError } from '../errors.ts';
import { joinPath } from '../paths.ts';
import { createProtected, sortBySequence } from './protected-create.ts';
import { whenConnected, whileConnected } from './when-connected.ts';

export interface Place {
  /** czxid of the znode: greater than that of every earlier holder. */
  readonly epoch: Zxid;
  readonly path: string;
}

export type LostReason =
  /** No server has heard of the session for its whole timeout. */
  | 'lease-lost'
  | 'expired'
  /** Somebody deleted the znode. */
  | 'deleted'
  /** leave() or the client's close(). */
  | 'closed';

export interface ContenderEvents {
  held(place: Place): void;
  /** The connection is lost: the place is still held, but the holder may not hear of it in time if that ends. */
  doubtful?(): void;
  /** The place was looked at on a new connection and is still held. */
  confirmed?(): void;
  lost(reason: LostReason): void;
  /** The contender has given up, for an error that trying again does not mend (NOAUTH …) or because the client's session is over for good. */
  ended(error: Error): void;
}

export interface ContenderOptions {
  readonly name: string;
  readonly data?: Data;
  readonly acl?: readonly Acl[];
  /** Makes names unique; nanoid's by default. */
  readonly guid?: () => string;
}

export class Contender {
  readonly #client: CoordClient;
  readonly #directory: string;
  readonly #options: ContenderOptions;
  readonly #events: ContenderEvents;
  /** Raised whenever what is under way has become pointless; continuations of an older run end. */
  #run = 0;
  #place: Place | null = null;
  #isHeld = false;
  #isDoubtful = false;
  #ended = false;
  /** Settles, never rejects, when the znode that is being created is in #place or removed. */
  #creation: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;

  constructor(client: CoordClient, directory: string, options: ContenderOptions, events: ContenderEvents) {
    this.#client = client;
    this.#directory = directory;
    this.#options = options;
    this.#events = events;
  }

  get place(): Place | null {
    return this.#place;
  }
  get isHeld(): boolean {
    return this.#isHeld;
  }
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  enter(): void {
    this.#unsubscribe = this.#client.onState((signal) => this.#onSignal(signal));
    this.#queueUp(null);
  }

  /** Gives the place up. Resolves when the znode is gone, or the session that owns it; without a connection at once. */
  async leave(): Promise<void> {
    if (this.#ended) return;
    const place = this.#place;
    this.#end();
    this.#lose('closed');
    await whileConnected(this.#client, place === null ? this.#creation : this.#remove(place.path).catch(() => undefined));
  }

  #end(): void {
    this.#ended = true;
    this.#run++;
    this.#unsubscribe();
  }

  #lose(reason: LostReason): void {
    this.#place = null;
    this.#isDoubtful = false;
    if (!this.#isHeld) return;
    this.#isHeld = false;
    callOut(() => this.#events.lost(reason));
  }

  #onSignal(signal: StateSignal): void {
    const place = this.#place;
    switch (signal) {
      case 'suspended':
        if (this.#isHeld) {
          this.#isDoubtful = true;
          callOut(() => this.#events.doubtful?.());
        }
        return;
      case 'lease-lost':
        if (!this.#isHeld || place === null) return;
        this.#lose('lease-lost');
        // The session may come back, and the znode with it: that place is not taken again.
        this.#queueUp(place.path);
        return;
      case 'reconnected':
        if (place !== null) this.#look(place, ++this.#run);
        return;
      case 'expired':
        this.#run++;
        this.#lose('expired');
        // A client that renews is past this state by then.
        queueMicrotask(() => {
          if (this.#client.state === 'expired') this.#fail(new CoordError('SESSIONEXPIRED', this.#directory), this.#run);
        });
        return;
      case 'connected':
        // A new session of a client that renews.
        this.#queueUp(null);
        return;
      case 'closed':
      case 'auth-failed':
        this.#end();
        this.#lose('closed');
        return;
      default:
        return;
    }
  }

  /** Begins anew with a new znode, after removing the one that an earlier attempt left. */
  #queueUp(abandoned: string | null): void {
    const run = ++this.#run;
    this.#place = null;
    this.#creation = this.#create(abandoned, run).then(
      (place) => {
        if (place === null) return undefined;
        // Overtaken, but perhaps in the same session: then the znode must not stay.
        if (run !== this.#run) return this.#remove(place.path).catch(() => undefined);
        this.#place = place;
        this.#look(place, run);
        return undefined;
      },
      (error: Error) => this.#fail(error, run),
    );
  }

  async #create(abandoned: string | null, run: number): Promise<Place | null> {
    if (abandoned !== null) await this.#remove(abandoned);
    const { name, data = null, acl, guid } = this.#options;
    const options = { mode: 'ephemeral-sequential', ...(acl === undefined ? {} : { acl }) } as const;
    for (;;) {
      if (run !== this.#run) return null;
      try {
        const { path, stat } = await createProtected(this.#client, this.#directory, name, data, options, guid);
        return { path, epoch: stat.czxid };
      } catch (error) {
        if (!isCoordError(error, 'NONODE')) throw error;
        await this.#persist(() => this.#client.ensurePath(this.#directory, { mode: 'container' }));
      }
    }
  }

  /** Looks who is first, and waits for the predecessor's end if it is somebody else. */
  #look(place: Place, run: number): void {
    void this.#lookOnce(place, run).catch((error: Error) => this.#fail(error, run));
  }

  async #lookOnce(place: Place, run: number): Promise<void> {
    for (;;) {
      const { children } = await this.#persist(() => this.#client.getChildren(this.#directory));
      if (run !== this.#run) return;
      const queue = sortBySequence(children, this.#options.name);
      const at = queue.findIndex((child) => joinPath(this.#directory, child) === place.path);
      if (at < 0) {
        this.#lose('deleted');
        this.#queueUp(null);
        return;
      }
      // A holder watches its own znode, everybody else the one before.
      const watched = at === 0 ? place.path : joinPath(this.#directory, queue[at - 1] as string);
      const isThere = await this.#persist(() => this.#watchUntilChanged(watched, () => {
        if (run === this.#run) this.#look(place, run);
      }));
      if (run !== this.#run) return;
      if (!isThere) continue;
      if (at === 0) this.#hold(place);
      return;
    }
  }

  /** getData, since exists would leave a watch behind on a znode that is gone. */
  async #watchUntilChanged(path: string, watch: () => void): Promise<boolean> {
    try {
      await this.#client.getData(path, { watch });
      return true;
    } catch (error) {
      if (isCoordError(error, 'NONODE')) return false;
      throw error;
    }
  }

  #hold(place: Place): void {
    // Disconnected since the reply came: it is looked at again on the next connection.
    if (this.#client.state !== 'connected') return;
    if (!this.#isHeld) {
      this.#isHeld = true;
      callOut(() => this.#events.held(place));
    } else if (this.#isDoubtful) {
      this.#isDoubtful = false;
      callOut(() => this.#events.confirmed?.());
    }
  }

  #fail(error: Error, run: number): void {
    if (run !== this.#run || this.#ended) return;
    // The signal says the rest: a renewing client queues up again at 'connected'.
    if (isCoordError(error, 'SESSIONEXPIRED') && this.#client.state !== 'expired') return;
    this.#end();
    this.#lose('closed');
    callOut(() => this.#events.ended(error));
  }

  #remove(path: string): Promise<void> {
    return this.#persist(async () => {
      try {
        await this.#client.delete(path);
      } catch (error) {
        if (!isCoordError(error, 'NONODE')) throw error;
      }
    });
  }

  /** Repeats what may be repeated until it has an outcome. */
  async #persist<T>(operation: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await operation();
      } catch (error) {
        if (!isCoordError(error) || !error.retryable) throw error;
        await whenConnected(this.#client);
      }
    }
  }
}
