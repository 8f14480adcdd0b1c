/**
 * Leader election: the candidate whose ephemeral sequential znode is the oldest leads.
 *
 * A term is one znode; its epoch is the znode's czxid, greater than every earlier leader's. What a leader writes or commands carries the
 * epoch, and its writes to coord stand in a multi with `fence()`: so a leader that has not noticed its end can no longer do harm.
 */
import type { Acl, CoordClient, Data, Op } from '../api.ts';
import { isCoordError } from '../errors.ts';
import { joinPath } from '../paths.ts';
import { Contender, type LostReason, type Place } from './contender.ts';
import { sortBySequence } from './protected-create.ts';

export type { LostReason };
export type Leadership = Place;

export interface LeaderElectionOptions {
  /** What others learn about the leader: an address, an id. */
  readonly data?: Data;
  readonly acl?: readonly Acl[];
  readonly onElected: (leadership: Leadership) => void;
  /** Leadership has ended. The candidate has queued up again, except after 'closed'. Must stop at once what only a leader may do. */
  readonly onLost: (reason: LostReason) => void;
  /** Disconnected: still leader, but perhaps not for long. Either onConfirmed or onLost follows. */
  readonly onDoubtful?: () => void;
  readonly onConfirmed?: () => void;
  /** The candidate has withdrawn because of an error, or because its client's session is over for good. */
  readonly onEnded?: (error: Error) => void;
  /** Makes znode names unique; nanoid's by default. */
  readonly guid?: () => string;
}

const NAME = 'candidate-';

export class LeaderElection {
  readonly #client: CoordClient;
  readonly #directory: string;
  readonly #contender: Contender;

  constructor(client: CoordClient, directory: string, options: LeaderElectionOptions) {
    this.#client = client;
    this.#directory = directory;
    this.#contender = new Contender(
      client, directory,
      {
        name: NAME,
        ...(options.data === undefined ? {} : { data: options.data }),
        ...(options.acl === undefined ? {} : { acl: options.acl }),
        ...(options.guid === undefined ? {} : { guid: options.guid }),
      },
      {
        held: options.onElected,
        lost: options.onLost,
        doubtful: () => options.onDoubtful?.(),
        confirmed: () => options.onConfirmed?.(),
        ended: (error) => options.onEnded?.(error),
      },
    );
  }

  /** Becomes a candidate. Once. */
  start(): void {
    this.#contender.enter();
  }

  get isLeader(): boolean {
    return this.#contender.isHeld;
  }
  /** Leading, but disconnected. */
  get isDoubtful(): boolean {
    return this.#contender.isDoubtful;
  }
  /** null when this candidate does not lead. */
  get leadership(): Leadership | null {
    return this.#contender.isHeld ? this.#contender.place : null;
  }

  /** For the front of a multi, which then fails with NONODE if the leadership is over. Only while it leads. */
  fence(): Op {
    const { leadership } = this;
    if (leadership === null) throw new Error('fence() of a candidate that does not lead');
    return { type: 'check', path: leadership.path };
  }

  /** Withdraws; another candidate leads at once. */
  close(): Promise<void> {
    return this.#contender.leave();
  }

  /** The leader as the connected server sees it, or null. */
  leader(): Promise<LeaderInfo | null> {
    return currentLeader(this.#client, this.#directory);
  }
}

export interface LeaderInfo extends Leadership {
  readonly data: Uint8Array | null;
}

/** For those who only follow: who leads now? `watch` is called once when that may have changed. */
export async function currentLeader(client: CoordClient, directory: string, watch?: () => void): Promise<LeaderInfo | null> {
  for (;;) {
    let children: string[];
    try {
      ({ children } = await client.getChildren(directory));
    } catch (error) {
      if (!isCoordError(error, 'NONODE')) throw error;
      // The watch waits for the first candidate's directory.
      const stat = await client.exists(directory, watch === undefined ? {} : { watch });
      if (stat === null) return null;
      continue;
    }
    const first = sortBySequence(children, NAME)[0];
    if (first === undefined) {
      if (watch !== undefined) {
        const again = await client.getChildren(directory, { watch });
        if (sortBySequence(again.children, NAME).length > 0) continue;
      }
      return null;
    }
    const path = joinPath(directory, first);
    try {
      const { data, stat } = await client.getData(path, watch === undefined ? {} : { watch });
      return { path, epoch: stat.czxid, data };
    } catch (error) {
      if (!isCoordError(error, 'NONODE')) throw error;
    }
  }
}
