/**
 * All watches of one client with the library: those that fire once and those that stay. A new connection must ask again for exactly what is kept,
 * before any other request (ClientPromise); what is promised of their events is in session-watches.ts and persistent-watches.ts.
 */
import { formatZxid, type Zxid } from '../../coord/base/zxid.ts';
import type { Watcher } from '../../coord/client/api.ts';
import type { ClientSession } from '../../coord/client/session.ts';
import { Xid } from '../../coord/wire/codes.ts';
import type { AuthId, ClientRequest } from '../../coord/wire/types.ts';
import type { Judge } from '../judges/judge.ts';
import type { World } from '../world/world.ts';
import type { Requester } from './library-requests.ts';
import { PersistentWatches, type PersistentWatch } from './persistent-watches.ts';
import { SessionWatches } from './session-watches.ts';

const PERSISTENT_MAX = 12;

export class LibraryWatches {
  readonly #client: Requester;
  readonly #world: World;
  readonly #judge: Judge;
  #once: SessionWatches;
  readonly #persistent: PersistentWatches;
  /** What removes the persistent ones. */
  #handles: { readonly watch: PersistentWatch; readonly watcher: Watcher }[] = [];
  /** What the new connection must still ask for; null: it has asked for everything. */
  #toAsk: { data: string[]; exist: string[]; child: string[]; persistent: string[]; recursive: string[] } | null = null;
  /** setWatches of this connection that have no answer. */
  #asked = 0;
  /** removeWatches that were sent. */
  #removals = 0;

  constructor(client: Requester, world: World, judge: Judge) {
    this.#client = client;
    this.#world = world;
    this.#judge = judge;
    this.#once = new SessionWatches(client.id, judge, world.marks);
    this.#persistent = new PersistentWatches(client.name, judge);
  }

  // ------------------------------------------------------------ connections

  /** `kept`: the session is the one that had the watches. */
  connected(kept: boolean, lastZxid: Zxid): void {
    const once = kept ? this.#once.again(lastZxid) : null;
    const modes = (mode: PersistentWatch['mode']): string[] => [...new Set([...this.#persistent.all].filter((watch) => watch.mode === mode).map(({ path }) => path))];
    this.#toAsk = { data: [...(once?.dataWatches ?? [])], exist: [...(once?.existWatches ?? [])], child: [...(once?.childWatches ?? [])], persistent: modes('persistent'), recursive: modes('persistent-recursive') };
    this.#asked = 0;
  }

  /** A setWatches of the library. */
  asking(r: ClientRequest, lastZxid: Zxid): void {
    const client = this.#client;
    const toAsk = this.#toAsk;
    if (toAsk === null) return client.fail('asks for its watches in the middle of a connection');
    this.#asked++;
    const { marks } = this.#world;
    marks.hit('watches set again');
    if (this.#asked > 1) marks.hit('watches set again in parts');
    if (r.relativeZxid < lastZxid) client.fail(`asks for its watches as of ${formatZxid(r.relativeZxid)}, and has seen ${formatZxid(lastZxid)}`);
    const lists: [string[], readonly string[]][] = [
      [toAsk.data, r.dataWatches], [toAsk.exist, r.existWatches], [toAsk.child, r.childWatches], [toAsk.persistent, r.persistentWatches], [toAsk.recursive, r.persistentRecursiveWatches],
    ];
    for (const [kept, asked] of lists) {
      const gone = new Set(asked);
      const left = kept.filter((path) => !gone.has(path));
      if (left.length + gone.size !== kept.length) client.fail(`asks for watches of ${asked.slice(0, 3).join(' ')}, and keeps ${kept.slice(0, 3).join(' ')}`);
      kept.splice(0, kept.length, ...left);
    }
  }

  /** The first request of a connection comes behind all watches. */
  checkAllAsked(): void {
    const toAsk = this.#toAsk;
    if (toAsk === null) return;
    this.#toAsk = null;
    const left = Object.values(toAsk).flat();
    if (left.length > 0) this.#client.fail(`does not ask again for ${left.length} watches: ${Object.entries(toAsk).filter(([, paths]) => paths.length > 0).map(([kind]) => kind).join(' ')} ${left.slice(0, 3).join(' ')}`);
  }

  /** READ is checked by what the connection has proved. */
  proved(ids: readonly AuthId[]): void {
    this.#persistent.ids = ids;
  }

  /** A reply has come. False: it is one to setWatches, and there are more to come. */
  replied(xid: number, zxid: Zxid): boolean {
    if (xid === Xid.SET_WATCHES) {
      if (--this.#asked > 0) return false;
      this.checkAllAsked();
      this.#persistent.setAgain(zxid);
      this.#once.setAgain(zxid);
    } else if (xid > 0 && this.#asked === 0) this.#persistent.setAgain(zxid);
    this.#once.seen(zxid);
    this.#persistent.seen(zxid);
    return true;
  }
  event(type: number, path: string, zxid: Zxid): void {
    this.#once.event(type, path, zxid, this.#persistent.concerns(type, path));
  }

  connectionLost(): void {
    this.#persistent.lost();
  }
  sessionEnded(): void {
    this.#once = new SessionWatches(this.#client.id, this.#judge, this.#world.marks);
    this.#persistent.clear();
    this.#handles = [];
  }

  // ------------------------------------------------------------ watches that come and go

  add(kind: Parameters<SessionWatches['add']>[0], path: string, zxid: Zxid): void {
    this.#once.add(kind, path, zxid);
  }

  get hasRoom(): boolean {
    return this.#persistent.size <= PERSISTENT_MAX;
  }
  /** The reply to its addWatch had this zxid. */
  addPersistent(mode: PersistentWatch['mode'], path: string, zxid: Zxid, watcher: Watcher): PersistentWatch {
    const watch = this.#persistent.add(mode, path, zxid);
    this.#handles.push({ watch, watcher });
    this.#world.marks.hit('persistent watch');
    return watch;
  }
  called(watch: PersistentWatch, { type, path, zxid }: Parameters<Watcher>[0]): void {
    this.#persistent.called(watch, type as never, path, zxid);
  }

  removing(): void {
    this.#removals++;
  }
  /** One of the persistent ones, if there is any. */
  removePersistent(session: ClientSession, which: number): void {
    const handle = this.#handles[which % Math.max(1, this.#handles.length)];
    if (handle === undefined) return;
    this.#handles = this.#handles.filter((each) => each !== handle);
    const { watch } = handle;
    this.#persistent.remove(watch);
    this.#persistent.leaves(watch);
    const before = this.#removals;
    session.removeWatch(watch.mode, watch.path, handle.watcher, (error) => {
      if (isSent) this.#persistent.left(watch);
      if (error === 'NOWATCHER') this.#client.fail(`removed its watch of ${watch.path}, and the server did not know it`);
    });
    // Otherwise another addWatch is on its way, and the server goes on.
    const isSent = this.#removals > before;
  }
}
