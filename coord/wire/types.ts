/** Requests and results as both client faces (jute over TCP, msgpack over ws) and the request pipeline see them. */
import type { OpCode } from './codes.ts';
import type { Zxid } from '../base/zxid.ts';

export interface Acl {
  readonly perms: number;
  readonly scheme: string;
  readonly id: string;
}
export interface AuthId {
  readonly scheme: string;
  readonly id: string;
}

/** ZooKeeper's Stat; times in ms since 1970. A znode implements it, so that reads copy nothing. */
export interface Stat {
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  /** As clients see it: 2 * creates - numChildren. */
  readonly cversion: number;
  readonly aversion: number;
  /** 0n for everything that is not an ordinary ephemeral. */
  readonly ephemeralOwner: bigint;
  readonly dataLength: number;
  readonly numChildren: number;
  readonly pzxid: Zxid;
}

/**
 * One request, whatever its kind: one shape, so that the hot path stays monomorphic. Which fields mean something depends on
 * `op`; the others keep their defaults. A codec may hand out the same object again and again: whoever keeps a request calls {@link ClientRequest.clone}.
 */
export class ClientRequest {
  xid = 0;
  op: OpCode = 11;
  path = '';
  /** null is preserved as null. May be a view into a receive buffer. */
  data: Uint8Array | null = null;
  /** setData, delete, check: expected version; setACL: expected aversion; -1 = any. */
  version = -1;
  /** create*: CreateFlag; addWatch: mode; checkWatches, removeWatches: watcher type. */
  flags = 0;
  ttlMs = 0;
  acl: readonly Acl[] | null = null;
  watch = false;
  /** multi, multiRead. */
  ops: readonly ClientRequest[] | null = null;
  /** auth. */
  scheme = '';
  /** setWatches, setWatches2. */
  relativeZxid: Zxid = 0;
  dataWatches: readonly string[] = NONE;
  existWatches: readonly string[] = NONE;
  childWatches: readonly string[] = NONE;
  persistentWatches: readonly string[] = NONE;
  persistentRecursiveWatches: readonly string[] = NONE;
  /** The body as it came: ZooKeeper's record for `op` without the request header (a view), or null when a face did not have one. */
  body: Uint8Array | null = null;
  /** Not 0: the body could not be decoded; the pipeline answers with this code. */
  malformed = 0;

  clone(): ClientRequest {
    // Field by field: every read that waits behind a write is cloned, and Object.assign takes eight times as long.
    const copy = new ClientRequest();
    copy.xid = this.xid;
    copy.op = this.op;
    copy.path = this.path;
    copy.data = this.data === null ? null : this.data.slice();
    copy.version = this.version;
    copy.flags = this.flags;
    copy.ttlMs = this.ttlMs;
    copy.acl = this.acl;
    copy.watch = this.watch;
    copy.ops = this.ops === null ? null : this.ops.map((op) => op.clone());
    copy.scheme = this.scheme;
    copy.relativeZxid = this.relativeZxid;
    copy.dataWatches = this.dataWatches;
    copy.existWatches = this.existWatches;
    copy.childWatches = this.childWatches;
    copy.persistentWatches = this.persistentWatches;
    copy.persistentRecursiveWatches = this.persistentRecursiveWatches;
    copy.body = this.body === null ? null : this.body.slice();
    copy.malformed = this.malformed;
    return copy;
  }
}
const NONE: readonly string[] = [];

/** The body of a reply. Errors have no body. */
export type Result =
  | { readonly kind: 'empty' }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'pathStat'; readonly path: string; readonly stat: Stat }
  | { readonly kind: 'stat'; readonly stat: Stat }
  | { readonly kind: 'data'; readonly data: Uint8Array | null; readonly stat: Stat }
  | { readonly kind: 'children'; readonly children: Iterable<string>; readonly count: number }
  | { readonly kind: 'childrenStat'; readonly children: Iterable<string>; readonly count: number; readonly stat: Stat }
  | { readonly kind: 'acl'; readonly acl: readonly Acl[]; readonly stat: Stat }
  | { readonly kind: 'multi'; readonly results: readonly MultiResult[] }
  /** addWatch: ErrorResponse with code 0. */
  | { readonly kind: 'error'; readonly err: number }
  | { readonly kind: 'ephemerals'; readonly paths: readonly string[] }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'whoAmI'; readonly ids: readonly AuthId[] };

/** One sub-result of a multi. `op` is the type that the MultiHeader carries: -1 for errors, 15 for create2, createContainer and createTTL. */
export interface MultiResult {
  readonly op: number;
  readonly err: number;
  readonly result: Result | null;
}

export interface ConnectRequest {
  readonly protocolVersion: number;
  readonly lastZxidSeen: Zxid;
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array;
  readonly readOnly: boolean;
  /** Old clients do not send the readOnly byte; then the response leaves it out too. */
  readonly hasReadOnly: boolean;
}

/**
 * A client's connection as the request pipeline sees it; a face implements it. Calls are synchronous and in order; bytes may be held
 * until flush(), which the pipeline's driver calls once per turn for every connection it wrote to.
 */
export interface ClientSink {
  /** timeoutMs 0: the session is gone or the password is wrong; close() follows. */
  connected(timeoutMs: number, sessionId: bigint, password: Uint8Array, readOnly: boolean): void;
  /** result is null when err != 0, or for an empty body. */
  reply(xid: number, op: number, zxid: Zxid, err: number, result: Result | null): void;
  event(type: number, state: number, path: string, zxid: Zxid): void;
  /** After what was written has been sent. */
  close(): void;
  /** writable() has said no, and there is room again. */
  resume(): void;
  flush(): void;
}
