/**
 * Group membership: each member is an ephemeral znode with data under the group's path; everybody may watch who is there.
 *
 * A member that a renewed session finds missing, or in its way (the znode of its own expired session, KAFKA-1387), registers again by itself.
 */
import type { CoordClient, Data, Stat, StateSignal } from '../api.ts';
import { callOut } from '../call-out.ts';
import { CoordError, isCoordError } from '../errors.ts';
import { joinPath } from '../paths.ts';
import { whenConnected, whileConnected } from './when-connected.ts';

export interface Member {
  readonly name: string;
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

export interface MembershipEvents {
  /** Registered: once after join, and again after each renewal of the session. */
  readonly onJoined?: () => void;
  /** Given up: the name belongs to another session's member, the session is over for good, or an error that trying again does not mend. */
  readonly onEnded?: (error: Error) => void;
}

export class Membership {
  readonly #client: CoordClient;
  readonly #group: string;
  readonly #events: MembershipEvents;
  readonly name: string;
  #data: Data;
  #run = 0;
  /** join() has not settled yet; it sees to its own retries. */
  #joining = false;
  #joined = false;
  #ended = false;
  #unsubscribe: () => void = () => undefined;

  constructor(client: CoordClient, group: string, name: string, data: Data = null, events: MembershipEvents = {}) {
    this.#client = client;
    this.#group = group;
    this.name = name;
    this.#data = data;
    this.#events = events;
  }

  get path(): string {
    return joinPath(this.#group, this.name);
  }
  /** The znode is there, as far as this process knows. */
  get isMember(): boolean {
    return this.#joined;
  }

  /** Resolves when registered. Rejects with NODEEXISTS when another live session has that name. */
  async join(): Promise<void> {
    this.#unsubscribe = this.#client.onState((signal) => this.#onSignal(signal));
    this.#joining = true;
    try {
      await this.#register(++this.#run, 'reject');
      if (!this.#joined) throw new CoordError('SESSIONEXPIRED', this.path);
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      this.#joining = false;
    }
  }

  async update(data: Data): Promise<void> {
    this.#data = data;
    await this.#client.setData(this.path, data);
  }

  /** Resolves when the znode is gone; without a connection at once. */
  async leave(): Promise<void> {
    if (this.#ended) return;
    const wasMember = this.#joined;
    this.#end();
    if (!wasMember) return;
    await whileConnected(this.#client, this.#remove());
  }

  async #remove(): Promise<void> {
    for (;;) {
      try {
        await this.#client.delete(this.path);
        return;
      } catch (error) {
        // NONODE, or the session is over: so is the membership.
        if (!isCoordError(error) || !error.retryable) return;
        if (await whenConnected(this.#client).then(() => false, () => true)) return;
      }
    }
  }

  #end(): void {
    this.#ended = true;
    this.#joined = false;
    this.#run++;
    this.#unsubscribe();
  }

  #onSignal(signal: StateSignal): void {
    if (signal === 'expired') {
      this.#joined = false;
      this.#run++;
      queueMicrotask(() => {
        if (this.#client.state === 'expired') this.#fail(this.#run, undefined);
      });
    } else if ((signal === 'connected' || signal === 'reconnected') && !this.#joining) {
      // After 'reconnected' too: an operator may have deleted the znode while nobody watched.
      const run = ++this.#run;
      void this.#register(run, 'wait').catch((error: Error) => this.#fail(run, error));
    } else if (signal === 'closed' || signal === 'auth-failed') {
      this.#end();
    }
  }

  #fail(run: number, error: Error | undefined): void {
    if (run !== this.#run || this.#ended) return;
    if (isCoordError(error, 'SESSIONEXPIRED') && this.#client.state !== 'expired') return;
    this.#end();
    callOut(() => this.#events.onEnded?.(error ?? new CoordError('SESSIONEXPIRED', this.path)));
  }

  /** `occupied`: what to do about a znode of another session: it may be our own previous session's, so a member that comes back waits for its end. */
  async #register(run: number, occupied: 'reject' | 'wait'): Promise<void> {
    for (;;) {
      if (run !== this.#run) return;
      try {
        await this.#client.create(this.path, this.#data, { mode: 'ephemeral' });
        this.#registered(run);
        return;
      } catch (error) {
        if (isCoordError(error, 'NONODE')) {
          await this.#client.ensurePath(this.#group);
        } else if (isCoordError(error, 'NODEEXISTS')) {
          if (await this.#isOwn()) {
            this.#registered(run);
            return;
          }
          if (occupied === 'reject') throw error;
          await this.#untilGone(run);
        } else if (isCoordError(error) && error.retryable) {
          await whenConnected(this.#client);
        } else {
          throw error;
        }
      }
    }
  }

  #registered(run: number): void {
    if (run !== this.#run || this.#joined) return;
    this.#joined = true;
    callOut(() => this.#events.onJoined?.());
  }

  async #isOwn(): Promise<boolean> {
    const stat = await this.#client.exists(this.path);
    return stat !== null && stat.ephemeralOwner === this.#client.session.id;
  }

  async #untilGone(run: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      // A run that is overtaken by a new session's ends with its requests.
      this.#client.exists(this.path, { watch: () => resolve() }).then((stat) => {
        if (stat === null || run !== this.#run) resolve();
      }, reject);
    });
  }
}

export interface GroupEvents {
  /** The members by name, sorted: at first, and after every change of who is there. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** No longer watching: the session is over for good, or an error that trying again does not mend. */
  readonly onEnded?: (error: Error) => void;
}

/** Watches who is in a group. Data is read when a member appears, and again only when its znode is a new one. */
export class GroupWatch {
  readonly #client: CoordClient;
  readonly #group: string;
  readonly #events: GroupEvents;
  #members = new Map<string, Member>();
  #run = 0;
  #reported = false;
  #unsubscribe: () => void = () => undefined;

  constructor(client: CoordClient, group: string, events: GroupEvents) {
    this.#client = client;
    this.#group = group;
    this.#events = events;
  }

  start(): void {
    this.#unsubscribe = this.#client.onState((signal) => {
      // Watches survive a reconnect, not a new session; looking again costs one read.
      if (signal === 'connected' || signal === 'reconnected') this.#look();
      else if (signal === 'expired') {
        const run = ++this.#run;
        queueMicrotask(() => {
          if (run === this.#run && this.#client.state === 'expired') this.#end(new CoordError('SESSIONEXPIRED', this.#group));
        });
      } else if (signal === 'closed' || signal === 'auth-failed') this.stop();
    });
    this.#look();
  }

  stop(): void {
    this.#run++;
    this.#unsubscribe();
  }

  #end(error: Error): void {
    this.stop();
    callOut(() => this.#events.onEnded?.(error));
  }

  #look(): void {
    const run = ++this.#run;
    this.#lookOnce(run).catch((error: Error) => {
      // CONNECTIONLOSS and the session's end are followed by a signal that looks again or ends it.
      if (run === this.#run && !isCoordError(error, 'CONNECTIONLOSS', 'SESSIONEXPIRED', 'CLOSED', 'AUTHFAILED')) this.#end(error);
    });
  }

  async #lookOnce(run: number): Promise<void> {
    const watch = (): void => {
      if (run === this.#run) this.#look();
    };
    let names: string[];
    try {
      names = (await this.#client.getChildren(this.#group, { watch })).children.sort();
    } catch (error) {
      if (!isCoordError(error, 'NONODE')) throw error;
      names = [];
      if ((await this.#client.exists(this.#group, { watch })) !== null) return watch();
    }
    const members = await Promise.all(names.map((name) => this.#member(name)));
    if (run !== this.#run) return;
    const now = new Map(members.filter((member) => member !== null).map((member) => [member.name, member]));
    const isSame = now.size === this.#members.size && [...now].every(([name, { stat }]) => this.#members.get(name)?.stat.czxid === stat.czxid);
    this.#members = now;
    if (isSame && this.#reported) return;
    this.#reported = true;
    callOut(() => this.#events.onMembers([...now.values()]));
  }

  async #member(name: string): Promise<Member | null> {
    try {
      return { name, ...(await this.#client.getData(joinPath(this.#group, name))) };
    } catch (error) {
      if (isCoordError(error, 'NONODE')) return null;
      throw error;
    }
  }
}
