/**
 * The promise layer over a session: path checks, chroot, options and errors. Nothing here is async: each promise is settled directly by
 * its reply's callback, and watchers are called from the microtask queue in the same order, so that a caller who awaits sees replies and
 * events as the server sent them.
 */
import type { Zxid } from '../base/zxid.ts';
import { Code, CreateFlag, EventType, OpCode } from '../wire/codes.ts';
import { ClientRequest, type Acl, type AuthId, type Result, type Stat } from '../wire/types.ts';
import type {
  AddWatchMode, ConnectionState, ConnectOptions, CoordClient, CreateMode, CreateOptions, Data, Op, OpResult, ReadOptions, SessionInfo, StateSignal, Watcher,
  WatchEvent, WatchEventType, WatchHandle,
} from './api.ts';
import { OPEN_ACL } from './api.ts';
import { callOut } from './call-out.ts';
import type { ConnectTarget } from './connect-string.ts';
import { CoordError, errorFromCode, isCoordError, MultiError } from './errors.ts';
import { limits } from './limits.ts';
import { joinPath, parentPath, prependChroot, stripChroot, validatePath } from './paths.ts';
import { ClientSession, type SessionHandler, type SessionPorts, type WatchToSet } from './session.ts';

const createFlags: Record<CreateMode, number> = {
  persistent: CreateFlag.PERSISTENT, ephemeral: CreateFlag.EPHEMERAL, 'persistent-sequential': CreateFlag.PERSISTENT_SEQUENTIAL,
  'ephemeral-sequential': CreateFlag.EPHEMERAL_SEQUENTIAL, container: CreateFlag.CONTAINER, 'persistent-with-ttl': CreateFlag.PERSISTENT_WITH_TTL,
  'persistent-sequential-with-ttl': CreateFlag.PERSISTENT_SEQUENTIAL_WITH_TTL,
};
const eventTypes = new Map<number, WatchEventType>(
  (['NodeCreated', 'NodeDeleted', 'NodeDataChanged', 'NodeChildrenChanged'] as const).map((name) => [EventType[name], name]),
);
/** addWatch's modes. */
const watchModes: Record<AddWatchMode, number> = { persistent: 0, 'persistent-recursive': 1 };

export class Client implements CoordClient, SessionHandler {
  readonly #session: ClientSession;
  readonly #chroot: string;
  readonly #timers: SessionPorts['timers'];
  #listeners: ((signal: StateSignal) => void)[] = [];

  constructor(target: ConnectTarget, options: ConnectOptions, ports: SessionPorts) {
    this.#chroot = target.chroot;
    this.#timers = ports.timers;
    this.#session = new ClientSession(
      {
        servers: target.servers,
        sessionTimeoutMs: options.sessionTimeoutMs ?? limits.sessionTimeoutMs,
        readOnly: options.readOnly ?? false,
        renew: options.renew ?? false,
        ...(options.resume === undefined ? {} : { resume: options.resume }),
        queuedRequestsMax: options.queuedRequestsMax ?? limits.queuedRequestsMax,
        requestBytesMax: options.requestBytesMax ?? limits.requestBytesMax,
        ...(options.pingIntervalMs === undefined ? {} : { pingIntervalMs: options.pingIntervalMs }),
        ...(options.silenceTimeoutMs === undefined ? {} : { silenceTimeoutMs: options.silenceTimeoutMs }),
      },
      ports,
      this,
    );
    this.#session.start((options.auth ?? []).map(({ scheme, auth }) => ({ scheme, data: bytesOf(auth) as Uint8Array })));
  }

  /** Resolves at the first 'connected'; see ConnectOptions.connectTimeoutMs. */
  ready(connectTimeoutMs: number, renew: boolean): Promise<CoordClient> {
    return new Promise((resolve, reject) => {
      const timer = connectTimeoutMs === 0 ? null : this.#timers.after(connectTimeoutMs, () => {
        off();
        void this.close();
        reject(new CoordError('CONNECTIONLOSS', '', { message: `CONNECTIONLOSS: no server gave a session within ${connectTimeoutMs} ms` }));
      });
      const off = this.onState((signal) => {
        const failure = signal === 'auth-failed' ? 'AUTHFAILED' : signal === 'closed' ? 'CLOSED' : signal === 'expired' && !renew ? 'SESSIONEXPIRED' : null;
        if (signal !== 'connected' && failure === null) return;
        timer?.cancel();
        off();
        if (failure === null) resolve(this);
        else reject(new CoordError(failure));
      });
    });
  }

  get state(): ConnectionState {
    return this.#session.state;
  }
  get session(): SessionInfo {
    return { id: this.#session.sessionId, password: this.#session.password, timeoutMs: this.#session.timeoutMs };
  }
  get lastZxid(): Zxid {
    return this.#session.lastZxid;
  }
  get server(): string {
    const server = this.#session.server;
    return server === null ? '' : `${server.host}:${server.port}`;
  }
  get readOnly(): boolean {
    return this.#session.readOnly;
  }
  leaseRemainingMs(): number {
    return this.#session.leaseRemainingMs();
  }

  onState(fn: (signal: StateSignal) => void): () => void {
    const listener = (signal: StateSignal): void => fn(signal);
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  signal(signal: StateSignal): void {
    for (const listener of this.#listeners) callOut(() => listener(signal));
  }

  event(type: number, path: string, zxid: Zxid, watchers: readonly Watcher[]): void {
    const name = eventTypes.get(type);
    if (name === undefined) return;
    const event: WatchEvent = { type: name, path: stripChroot(this.#chroot, path), zxid };
    queueMicrotask(() => {
      for (const watcher of watchers) callOut(() => watcher(event));
    });
  }

  // ---------------------------------------------------------------- operations

  create(path: string, data: Data = null, options: CreateOptions = {}): Promise<string> {
    return this.#issue(this.#createRequest(path, data, options), path, (result) => this.#created(result).path);
  }

  createWithStat(path: string, data: Data = null, options: CreateOptions = {}): Promise<{ path: string; stat: Stat }> {
    return this.#issue(this.#createRequest(path, data, options), path, (result) => this.#created(result));
  }

  delete(path: string, version = -1): Promise<void> {
    const request = this.#request(OpCode.delete, path);
    request.version = version;
    return this.#issue(request, path, nothing);
  }

  exists(path: string, options: ReadOptions = {}): Promise<Stat | null> {
    const request = this.#request(OpCode.exists, path);
    return new Promise((resolve, reject) => {
      this.#submit(request, path, reject, (code, result) => {
        if (code === null) resolve((result as Kind<'stat'>).stat);
        else if (code === 'NONODE') resolve(null);
        else reject(new CoordError(code, path));
      }, this.#watch(request, 'exists', options));
    });
  }

  getData(path: string, options: ReadOptions = {}): Promise<{ data: Uint8Array | null; stat: Stat }> {
    const request = this.#request(OpCode.getData, path);
    return this.#issue(request, path, (result) => {
      const { data, stat } = result as Kind<'data'>;
      return { data: data === null ? null : new Uint8Array(data), stat };
    }, this.#watch(request, 'data', options));
  }

  setData(path: string, data: Data, version = -1): Promise<Stat> {
    const request = this.#request(OpCode.setData, path);
    request.data = bytesOf(data);
    request.version = version;
    return this.#issue(request, path, statOf);
  }

  getChildren(path: string, options: ReadOptions = {}): Promise<{ children: string[]; stat: Stat }> {
    const request = this.#request(OpCode.getChildren2, path);
    return this.#issue(request, path, (result) => {
      const { children, stat } = result as Kind<'childrenStat'>;
      return { children: [...children], stat };
    }, this.#watch(request, 'child', options));
  }

  getACL(path: string): Promise<{ acl: Acl[]; stat: Stat }> {
    return this.#issue(this.#request(OpCode.getACL, path), path, (result) => {
      const { acl, stat } = result as Kind<'acl'>;
      return { acl: [...acl], stat };
    });
  }

  setACL(path: string, acl: readonly Acl[], version = -1): Promise<Stat> {
    const request = this.#request(OpCode.setACL, path);
    request.acl = acl;
    request.version = version;
    return this.#issue(request, path, statOf);
  }

  sync(path = '/'): Promise<void> {
    return this.#issue(this.#request(OpCode.sync, path), path, nothing);
  }

  multi(ops: readonly Op[]): Promise<OpResult[]> {
    const request = new ClientRequest();
    request.op = OpCode.multi;
    request.ops = ops.map((op) => this.#subRequest(op));
    return new Promise((resolve, reject) => {
      for (const op of ops) {
        const problem = this.#pathProblem(op.path, op.type === 'create' && op.mode !== undefined && op.mode.includes('sequential'));
        if (problem !== null) return void reject(problem);
      }
      this.#session.request(request, (code, result) => {
        if (code !== null) {
          reject(new CoordError(code));
          return;
        }
        const { results } = result as Kind<'multi'>;
        const failed = results.findIndex((each) => each.err !== Code.OK);
        if (failed < 0) {
          resolve(results.map((each, i) => this.#opResult((ops[i] as Op).type, each.result)));
          return;
        }
        const errors = results.map((each) => errorFromCode(each.err, ''));
        const path = ops[failed]?.path ?? '';
        reject(new MultiError(errors[failed]?.code ?? 'APIERROR', path, failed, errors.map((error) => error.code)));
      });
    });
  }

  addWatch(path: string, mode: AddWatchMode, watcher: Watcher): Promise<WatchHandle> {
    const request = this.#request(OpCode.addWatch, path);
    request.flags = watchModes[mode];
    // Each registration is a watcher of its own, so that removing one leaves the others.
    const own: Watcher = (event) => {
      if (!removed) watcher(event);
    };
    let removed = false;
    const remove = (): Promise<void> => {
      if (removed) return Promise.resolve();
      removed = true;
      return new Promise((resolve) => this.#session.removeWatch(mode, request.path, own, () => resolve()));
    };
    return this.#issue(request, path, () => ({ remove }), { kind: mode, watcher: own });
  }

  addAuth(scheme: string, auth: Uint8Array | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#session.addAuth(scheme, bytesOf(auth) as Uint8Array, (code) => (code === null ? resolve() : reject(new CoordError(code))));
    });
  }

  getEphemerals(prefix = '/'): Promise<string[]> {
    return this.#issue(this.#request(OpCode.getEphemerals, prefix), prefix, (result) => (result as Kind<'ephemerals'>).paths.map((path) => stripChroot(this.#chroot, path)));
  }

  getAllChildrenNumber(path: string): Promise<number> {
    return this.#issue(this.#request(OpCode.getAllChildrenNumber, path), path, (result) => (result as Kind<'number'>).value);
  }

  whoAmI(): Promise<AuthId[]> {
    const request = new ClientRequest();
    request.op = OpCode.whoAmI;
    return this.#issue(request, '', (result) => [...(result as Kind<'whoAmI'>).ids]);
  }

  async ensurePath(path: string, options: { readonly mode?: 'persistent' | 'container'; readonly acl?: readonly Acl[] } = {}): Promise<void> {
    if (path === '/') {
      // Below a chroot the root itself may be missing.
      if (this.#chroot !== '') await this.#createIfMissing('/', options);
      return;
    }
    try {
      await this.create(path, null, options);
    } catch (error) {
      if (isCoordError(error, 'NODEEXISTS')) return;
      if (isCoordError(error, 'NONODE')) {
        await this.ensurePath(parentPath(path), options);
        await this.#createIfMissing(path, options);
      } else if (!(await this.#isThere(path, error))) throw error;
    }
  }

  async deleteRecursive(path: string): Promise<number> {
    let deleted = 0;
    let children: string[];
    try {
      ({ children } = await this.getChildren(path));
    } catch (error) {
      if (isCoordError(error, 'NONODE')) return 0;
      throw error;
    }
    for (const child of children) deleted += await this.deleteRecursive(joinPath(path, child));
    try {
      await this.delete(path);
      return deleted + 1;
    } catch (error) {
      if (isCoordError(error, 'NONODE')) return deleted;
      // Somebody put a child there meanwhile.
      if (isCoordError(error, 'NOTEMPTY')) return deleted + (await this.deleteRecursive(path));
      throw error;
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#session.close(resolve));
  }

  // ---------------------------------------------------------------- parts

  async #createIfMissing(path: string, options: CreateOptions): Promise<void> {
    if (path === '/') {
      // The chroot's own ancestors, which paths of this client cannot name.
      const parts = this.#chroot.slice(1).split('/');
      for (let i = 1; i <= parts.length; i++) await this.#createRaw(`/${parts.slice(0, i).join('/')}`, options);
      return;
    }
    try {
      await this.create(path, null, options);
    } catch (error) {
      if (!isCoordError(error, 'NODEEXISTS')) throw error;
    }
  }

  #createRaw(fullPath: string, options: CreateOptions): Promise<void> {
    const request = this.#createRequest('/', null, options);
    request.path = fullPath;
    return new Promise((resolve, reject) => {
      this.#session.request(request, (code) => (code === null || code === 'NODEEXISTS' ? resolve() : reject(new CoordError(code, fullPath))));
    });
  }

  /** After NOAUTH on create: whoever may not create there may still find that there is nothing to create. */
  async #isThere(path: string, error: unknown): Promise<boolean> {
    return isCoordError(error, 'NOAUTH') && (await this.exists(path)) !== null;
  }

  #request(op: OpCode, path: string): ClientRequest {
    const request = new ClientRequest();
    request.op = op;
    request.path = prependChroot(this.#chroot, path);
    return request;
  }

  #createRequest(path: string, data: Data, options: CreateOptions): ClientRequest {
    const mode = options.mode ?? 'persistent';
    const request = this.#request(mode === 'container' ? OpCode.createContainer : mode.endsWith('ttl') ? OpCode.createTTL : OpCode.create2, path);
    request.data = bytesOf(data);
    request.flags = createFlags[mode];
    request.acl = options.acl ?? OPEN_ACL;
    request.ttlMs = options.ttlMs ?? 0;
    return request;
  }

  #subRequest(op: Op): ClientRequest {
    switch (op.type) {
      case 'create':
        return this.#createRequest(op.path, op.data ?? null, op);
      case 'delete':
      case 'check':
      case 'setData': {
        const request = this.#request(op.type === 'delete' ? OpCode.delete : op.type === 'check' ? OpCode.check : OpCode.setData, op.path);
        request.version = op.version ?? -1;
        if (op.type === 'setData') request.data = bytesOf(op.data);
        return request;
      }
    }
  }

  #opResult(type: Op['type'], result: Result | null): OpResult {
    if (type === 'create') return { type, ...this.#created(result) };
    if (type === 'setData') return { type, stat: statOf(result) };
    return { type };
  }

  #created(result: Result | null): { path: string; stat: Stat } {
    const { path, stat } = result as Kind<'pathStat'>;
    return { path: stripChroot(this.#chroot, path), stat };
  }

  #watch(request: ClientRequest, kind: WatchToSet['kind'], options: ReadOptions): WatchToSet | null {
    if (options.watch === undefined) return null;
    request.watch = true;
    return { kind, watcher: options.watch };
  }

  #issue<T>(request: ClientRequest, path: string, convert: (result: Result | null) => T, watch: WatchToSet | null = null): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#submit(request, path, reject, (code, result) => {
        if (code === null) resolve(convert(result));
        else reject(new CoordError(code, path));
      }, watch);
    });
  }

  #submit(request: ClientRequest, path: string, reject: (error: Error) => void, done: Parameters<ClientSession['request']>[1], watch: WatchToSet | null): void {
    const sequential = (request.op === OpCode.create2 || request.op === OpCode.createTTL) && (request.flags & CreateFlag.PERSISTENT_SEQUENTIAL) !== 0;
    const problem = request.op === OpCode.whoAmI ? null : this.#pathProblem(path, sequential);
    if (problem !== null) reject(problem);
    else this.#session.request(request, done, watch);
  }

  /** A sequential create may end in "/": the ten digits are then the whole name. */
  #pathProblem(path: string, sequential: boolean): CoordError | null {
    const problem = validatePath(sequential ? `${path}0` : path);
    return problem === null ? null : new CoordError('BADARGUMENTS', path, { message: `BADARGUMENTS: path "${path}" ${problem}` });
  }
}

type Kind<K extends Result['kind']> = Extract<Result, { kind: K }>;

function statOf(result: Result | null): Stat {
  return (result as Kind<'stat'>).stat;
}

function nothing(): void {}

const encoder = new TextEncoder();
function bytesOf(data: Data): Uint8Array | null {
  return typeof data === 'string' ? encoder.encode(data) : data;
}
