/** A create as the recipes do it: a prefix of its own, and after an unknown outcome it looks first whether its znode is there (ProtectedCreate). */
import { OpCode } from '../../coord/wire/codes.ts';
import type { CoordErrorCode } from '../../coord/client/errors.ts';
import type { Judge } from '../judges/judge.ts';
import type { World } from '../world/world.ts';
import type { After, LibraryRequests, Requester } from './library-requests.ts';
import { checkProtected } from './reply-check.ts';
import { QUEUE, request } from './requests.ts';

export class ProtectedCreate {
  readonly #prefix: string;
  readonly #client: Requester;
  readonly #requests: LibraryRequests;
  readonly #world: World;
  readonly #judge: Judge;
  /** Sends the create itself. */
  readonly #create: (path: string, after: After) => void;
  /** With the session its znode is gone, and it is given up. */
  #sessionId = 0n;
  #inDoubt = false;

  constructor(prefix: string, client: Requester, requests: LibraryRequests, world: World, judge: Judge, create: (path: string, after: After) => void) {
    this.#prefix = prefix;
    this.#client = client;
    this.#requests = requests;
    this.#world = world;
    this.#judge = judge;
    this.#create = create;
  }

  begin(): void {
    const { session, sessionId } = this.#client;
    if (session === null) return;
    if (sessionId === 0n) return this.#client.whenConnected(() => this.begin());
    this.#sessionId = sessionId;
    this.#try();
  }

  #try(): void {
    if (this.#client.session === null || this.#client.sessionId !== this.#sessionId) return;
    if (this.#inDoubt) this.#look();
    else this.#create(`${QUEUE}/${this.#prefix}`, (error) => (error === null ? this.#done() : this.#failed(error)));
  }

  #look(): void {
    this.#world.marks.hit('create in doubt');
    this.#requests.submit(request(OpCode.sync, QUEUE), null, null, (notSynced) => {
      if (notSynced !== null) return this.#failed(notSynced);
      this.#requests.submit(request(OpCode.getChildren2, QUEUE), this.#requests.call('children', QUEUE), null, (error, result) => {
        if (error !== null) return this.#failed(error);
        const names = result?.kind === 'childrenStat' ? [...result.children] : [];
        if (names.some((name) => name.startsWith(this.#prefix))) return this.#done();
        this.#inDoubt = false;
        this.#try();
      });
    });
  }

  #failed(error: CoordErrorCode): void {
    if (error === 'CONNECTIONLOSS') this.#inDoubt = true;
    if (error === 'CONNECTIONLOSS' || error === 'OPERATIONTIMEOUT') this.#client.whenConnected(() => this.#try());
  }

  #done(): void {
    checkProtected(this.#judge, this.#client.name, `${QUEUE}/${this.#prefix}`);
  }
}
