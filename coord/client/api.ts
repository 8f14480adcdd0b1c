/**
 * The client's public interface. One client is one session; see docs/CLIENT.md for what each state means and what to do in it.
 * Paths are absolute, below the connect string's chroot. Data: a string is sent as UTF-8; null and empty are told apart.
 * All methods reject with CoordError. Durations are milliseconds.
 */
import type { Zxid } from '../base/zxid.ts';
import type { Acl, AuthId, Stat } from '../wire/types.ts';

export type { Acl, AuthId, Stat, Zxid };

export type Data = Uint8Array | string | null;

export interface ConnectOptions {
  /** Asked for; the server may negotiate another (client.session.timeoutMs). Default 10,000. */
  readonly sessionTimeoutMs?: number;
  /** connect() rejects with CONNECTIONLOSS when no session is established after this time. Default 10,000; 0 waits for ever. */
  readonly connectTimeoutMs?: number;
  /** Sent on every connection before anything else: { scheme: 'digest', auth: 'user:password' }. */
  readonly auth?: readonly Auth[];
  /** Also accept a server that has no quorum and serves reads only. Default false. */
  readonly readOnly?: boolean;
  /**
   * After expiry begin a new session on the same client object: signals 'expired', then 'connected' with a new session id. Ephemerals,
   * watches and queued requests of the old session are gone. Default false: an expired client stays expired.
   */
  readonly renew?: boolean;
  /** Take over this session (CoordClient.session of another client, this process's or not) instead of asking for a new one. Rejects with SESSIONEXPIRED. */
  readonly resume?: { readonly id: bigint; readonly password: Uint8Array };
  /** How often an idle connection is pinged. Default a third of the negotiated timeout. */
  readonly pingIntervalMs?: number;
  /** A connection on which the server is silent for this long is given up for another. Default two thirds of the negotiated timeout. */
  readonly silenceTimeoutMs?: number;
  /** Requests that may wait for a connection; one more fails at once with OPERATIONTIMEOUT. Default 10,000. */
  readonly queuedRequestsMax?: number;
  /**
   * A longer request is not sent, and fails with REQUESTTOOLARGE: a server answers what exceeds its jute.maxbuffer by closing the connection,
   * which would cost every other request in flight. Default 1,048,575, as jute.maxbuffer's.
   */
  readonly requestBytesMax?: number;
}

export interface Auth {
  readonly scheme: string;
  readonly auth: Uint8Array | string;
}

/**
 * connecting   no session yet
 * connected    requests go through
 * suspended    connection lost, session probably alive; requests queue
 * expired      the server has ended the session; final, except with `renew`
 * closed       close() was called; final
 * auth-failed  the server refused the credentials; final
 */
export type ConnectionState = 'connecting' | 'connected' | 'suspended' | 'expired' | 'closed' | 'auth-failed';

/**
 * What onState reports: each new state, and two moments that are no states of their own:
 * reconnected  state is 'connected' again, in the same session: ephemerals are kept, watches re-registered
 * lease-lost   state is still 'suspended', and no server has heard of this session for its whole timeout: it may have been expired, so
 *              whatever it held (leadership, a lock, an assignment) must be regarded as lost, although the session may yet come back
 */
export type StateSignal = ConnectionState | 'reconnected' | 'lease-lost';

export type CreateMode =
  | 'persistent' | 'ephemeral' | 'persistent-sequential' | 'ephemeral-sequential' | 'container' | 'persistent-with-ttl' | 'persistent-sequential-with-ttl';

export interface CreateOptions {
  /** Default 'persistent'. */
  readonly mode?: CreateMode;
  /** Default world:anyone, all permissions. */
  readonly acl?: readonly Acl[];
  /** Only, and needed, for the modes with TTL. */
  readonly ttlMs?: number;
}

export type WatchEventType = 'NodeCreated' | 'NodeDeleted' | 'NodeDataChanged' | 'NodeChildrenChanged';

export interface WatchEvent {
  readonly type: WatchEventType;
  readonly path: string;
  /** Of the change, where the server says it; else 0. */
  readonly zxid: Zxid;
}

/**
 * Called once, and before the promise of any later read that could show the change resolves; not called for what happens to the session
 * (see onState). Must not throw. A one-shot watch that never fired is dropped silently at expiry and close.
 */
export type Watcher = (event: WatchEvent) => void;

export interface ReadOptions {
  readonly watch?: Watcher;
}

/** persistent: this znode and its list of children; persistent-recursive: this znode and everything below, without NodeChildrenChanged. */
export type AddWatchMode = 'persistent' | 'persistent-recursive';

export interface WatchHandle {
  /** No calls after it returns; resolves when the server has dropped the watch, or the connection is gone. */
  remove(): Promise<void>;
}

export type Op =
  | ({ readonly type: 'create'; readonly path: string; readonly data?: Data } & CreateOptions)
  | { readonly type: 'delete'; readonly path: string; readonly version?: number }
  | { readonly type: 'setData'; readonly path: string; readonly data: Data; readonly version?: number }
  /** The znode exists, at this version if one is given. */
  | { readonly type: 'check'; readonly path: string; readonly version?: number };

export type OpResult =
  | { readonly type: 'create'; readonly path: string; readonly stat: Stat }
  | { readonly type: 'delete' }
  | { readonly type: 'setData'; readonly stat: Stat }
  | { readonly type: 'check' };

export interface SessionInfo {
  /** 0n before the first 'connected'. */
  readonly id: bigint;
  /** Whoever has it can take the session over. */
  readonly password: Uint8Array;
  /** As negotiated. */
  readonly timeoutMs: number;
}

export interface CoordClient {
  readonly state: ConnectionState;
  readonly session: SessionInfo;
  /** The highest zxid this session has seen in a reply. */
  readonly lastZxid: Zxid;
  /** The server that this client is connected to ("host:port"), '' when it is not. */
  readonly server: string;
  /** Connected to a server without a quorum (needs ConnectOptions.readOnly). */
  readonly readOnly: boolean;

  /** Signals in order; the state that is current when it is called is not repeated. Returns what unsubscribes. */
  onState(fn: (signal: StateSignal) => void): () => void;
  /**
   * How long, by this process's monotonic clock, the servers will certainly not expire the session: counted from the moment the
   * last answered request was sent. 0 when that time is over or there is no session.
   */
  leaseRemainingMs(): number;

  /** Creates a znode and resolves to its path, which ends in ten digits for the sequential modes. */
  create(path: string, data?: Data, options?: CreateOptions): Promise<string>;
  createWithStat(path: string, data?: Data, options?: CreateOptions): Promise<{ path: string; stat: Stat }>;
  /** version -1 (default): any. */
  delete(path: string, version?: number): Promise<void>;
  /** null: there is no such znode; the watch then waits for its creation. */
  exists(path: string, options?: ReadOptions): Promise<Stat | null>;
  getData(path: string, options?: ReadOptions): Promise<{ data: Uint8Array | null; stat: Stat }>;
  setData(path: string, data: Data, version?: number): Promise<Stat>;
  /** Names without the parent's path, in the order the server gives them, which means nothing. */
  getChildren(path: string, options?: ReadOptions): Promise<{ children: string[]; stat: Stat }>;
  getACL(path: string): Promise<{ acl: Acl[]; stat: Stat }>;
  /** version is the expected aversion. */
  setACL(path: string, acl: readonly Acl[], version?: number): Promise<Stat>;
  /** Reads of this client that are issued after it see every write that was committed before it was called (on drey; see docs/CLIENT.md for Apache ZooKeeper). */
  sync(path?: string): Promise<void>;
  /** All or nothing; rejects with MultiError when an operation's condition fails. */
  multi(ops: readonly Op[]): Promise<OpResult[]>;
  /** A watch that stays until it is removed or the session ends. Needs a server that knows addWatch (drey, ZooKeeper >= 3.6). */
  addWatch(path: string, mode: AddWatchMode, watcher: Watcher): Promise<WatchHandle>;
  /** Now, and again on every later connection. */
  addAuth(scheme: string, auth: Uint8Array | string): Promise<void>;
  /** The paths of this session's ephemerals under a prefix (default "/"). */
  getEphemerals(prefix?: string): Promise<string[]>;
  /** Number of all descendants. */
  getAllChildrenNumber(path: string): Promise<number>;
  whoAmI(): Promise<AuthId[]>;

  /** Creates what is missing of the path, as persistent znodes without data (mkdir -p); what exists is left alone. */
  ensurePath(path: string, options?: { readonly mode?: 'persistent' | 'container'; readonly acl?: readonly Acl[] }): Promise<void>;
  /** Deletes the znode and everything below, children first; not atomic; what vanishes meanwhile is no error. Resolves to the number deleted. */
  deleteRecursive(path: string): Promise<number>;
  /** Ends the session (its ephemerals go at once) when a server is reachable, and the client in any case. Never rejects. */
  close(): Promise<void>;
}

/** The ACL that everything gets by default: world:anyone, all permissions. */
export const OPEN_ACL: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }];
/** Everything permitted to whoever the creating session is authenticated as. */
export const CREATOR_ALL_ACL: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }];
export const READ_ACL: readonly Acl[] = [{ perms: 1, scheme: 'world', id: 'anyone' }];

/**
 * connect() of coord/client/index.ts. The connect string: "host:port,host:port/chroot", optionally with a scheme: zk:// (ZooKeeper's
 * protocol over TCP; the default) or drey:// (native protocol over WebSocket, on the server's HTTP port).
 */
export type Connect = (connectString: string, options?: ConnectOptions) => Promise<CoordClient>;
