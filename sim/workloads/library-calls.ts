/** Does what a client with the library has drawn, or is told to do: operations (library-operations.ts) become requests. */
import type { Watcher } from '../../coord/client/api.ts';
import { CreateFlag, OpCode } from '../../coord/wire/codes.ts';
import type { Judge } from '../judges/judge.ts';
import type { World } from '../world/world.ts';
import type { Call } from './call.ts';
import type { Drawn } from './library-operations.ts';
import type { After, LibraryRequests, Requester } from './library-requests.ts';
import type { LibraryWatches } from './library-watches.ts';
import type { PersistentWatch } from './persistent-watches.ts';
import { ProtectedCreate } from './protected-create.ts';
import { multi, OPEN_ACL, request } from './requests.ts';

const READS = { get: { op: OpCode.getData, watch: 'data' }, exists: { op: OpCode.exists, watch: 'exists' }, children: { op: OpCode.getChildren2, watch: 'child' } } as const;

export class LibraryCalls {
  readonly #client: Requester;
  readonly #requests: LibraryRequests;
  readonly #watches: LibraryWatches;
  readonly #world: World;
  readonly #judge: Judge;
  /** Makes values and names unique. */
  #counter = 0;

  constructor(client: Requester, requests: LibraryRequests, watches: LibraryWatches, world: World, judge: Judge) {
    this.#client = client;
    this.#requests = requests;
    this.#watches = watches;
    this.#world = world;
    this.#judge = judge;
  }

  issue(drawn: Drawn): void {
    switch (drawn.kind) {
      case 'get':
      case 'exists':
      case 'children':
        return this.#read(drawn.kind, drawn.path, drawn.watch);
      case 'sync-get':
        return this.#syncRead(drawn.path);
      case 'set':
        return this.#write('set', OpCode.setData, drawn.path, drawn);
      case 'delete':
        return this.#write('delete', OpCode.delete, drawn.path, drawn);
      case 'create':
        return this.#write('create', OpCode.create2, drawn.path, {});
      case 'create-ephemeral':
        return this.#write('create-ephemeral', OpCode.create2, drawn.path, { flags: CreateFlag.EPHEMERAL });
      case 'create-sequential':
        return this.#write('create-sequential', OpCode.create2, drawn.path, { flags: drawn.ephemeral === true ? CreateFlag.EPHEMERAL_SEQUENTIAL : CreateFlag.PERSISTENT_SEQUENTIAL });
      case 'multi': {
        const value = this.#value();
        return this.#requests.submit(multi(drawn.ops, value, OpCode.create2), this.#requests.call('multi', drawn.ops[0]?.path ?? '/', { value, ops: drawn.ops }));
      }
      case 'protected':
        return this.#createProtected();
      case 'watch':
        return this.#addWatch(drawn.path, drawn.mode);
      case 'unwatch':
        if (this.#client.session !== null) this.#watches.removePersistent(this.#client.session, drawn.which);
        return;
      case 'own': {
        // What only the model judges: ACLs, containers, TTL, the rest of the requests.
        const r = request(drawn.op, drawn.path);
        r.flags = drawn.flags;
        r.ttlMs = drawn.ttlMs;
        r.acl = drawn.acl;
        r.version = drawn.version;
        r.data = Buffer.from(`own ${this.#requests.newest}`);
        return this.#requests.submit(r, null);
      }
    }
  }

  /** More watches than one setWatches takes. */
  hoard(count: number): void {
    for (let i = 0; i < count; i++) {
      const r = request(OpCode.exists, `/none/${'w'.repeat(180)}/${this.#client.id}-${i}`);
      r.watch = true;
      this.#requests.submit(r, null, { kind: 'exists', watcher: () => {} }, (error, _result, zxid) => {
        if (error === 'NONODE') this.#watches.add('exist', r.path, zxid);
      });
    }
  }

  #value(): string {
    return `${this.#client.id}:${this.#counter++}`;
  }

  #write(kind: Call['kind'], op: OpCode, path: string, { version = -1, flags = 0, big = false }: { version?: number; flags?: number; big?: boolean }, then: After | null = null): void {
    const value = `${this.#value()}${big ? `:${'.'.repeat(9000)}` : ''}`;
    const r = request(op, path);
    r.data = op === OpCode.delete ? null : Buffer.from(value);
    r.version = version;
    r.flags = flags;
    r.acl = OPEN_ACL;
    const more = kind === 'create-sequential' ? { ephemeral: flags === CreateFlag.EPHEMERAL_SEQUENTIAL } : {};
    this.#requests.submit(r, this.#requests.call(kind, path, { value, version, ...more }), null, then);
  }

  #read(kind: 'get' | 'exists' | 'children', path: string, watch: boolean): void {
    const r = request(READS[kind].op, path);
    r.watch = watch;
    this.#requests.submit(r, this.#requests.call(kind, path), watch ? { kind: READS[kind].watch, watcher: () => {} } : null, (error, _result, zxid) => {
      if (!watch || zxid === 0 || !(error === null || (kind === 'exists' && error === 'NONODE'))) return;
      this.#watches.add(kind === 'children' ? 'child' : error === null ? 'data' : 'exist', path, zxid);
    });
  }

  /** What the second answer shows is linearizable only if the first has come. */
  #syncRead(path: string): void {
    const call = this.#requests.call('sync-get', path);
    const get = request(OpCode.getData, path);
    this.#requests.submit(request(OpCode.sync, path), null, null, (error) => {
      if (error !== null) this.#requests.notSynced(get);
    });
    this.#requests.submit(get, call);
  }

  #createProtected(): void {
    const create = (path: string, then: After): void => this.#write('create-sequential', OpCode.create2, path, { flags: CreateFlag.EPHEMERAL_SEQUENTIAL }, then);
    new ProtectedCreate(`_c_${this.#client.id}-${this.#counter++}-`, this.#client, this.#requests, this.#world, this.#judge, create).begin();
  }

  #addWatch(path: string, mode: PersistentWatch['mode']): void {
    if (!this.#watches.hasRoom) return;
    const r = request(OpCode.addWatch, path);
    r.flags = mode === 'persistent' ? 0 : 1;
    let watch: PersistentWatch | null = null;
    const watcher: Watcher = (event) => {
      if (watch !== null) this.#watches.called(watch, event);
    };
    this.#requests.submit(r, null, { kind: mode, watcher }, (error, _result, zxid) => {
      if (error === null) watch = this.#watches.addPersistent(mode, path, zxid, watcher);
    });
  }
}
