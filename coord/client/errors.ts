/** What a failed client operation rejects with: ZooKeeper's result codes by name. */
import { DreyError } from '../base/errors.ts';
import { Code, codeName } from '../wire/codes.ts';

/** A name of {@link Code}: 'NONODE', 'BADVERSION', 'CONNECTIONLOSS', 'SESSIONEXPIRED' …; 'CLOSED' for a client that close() was called on; 'REQUESTTOOLARGE' for what was not sent since servers would refuse it. */
export type CoordErrorCode = keyof typeof Code | 'CLOSED' | 'REQUESTTOOLARGE';

const texts: Partial<Record<CoordErrorCode, string>> = {
  CONNECTIONLOSS: 'the connection was lost before the reply came: whether the operation took place is unknown',
  OPERATIONTIMEOUT: 'no server was reached in time: the operation did not take place',
  SESSIONEXPIRED: 'the session has expired',
  CLOSED: 'the client is closed',
  REQUESTTOOLARGE: 'the request is larger than requestBytesMax, and was not sent',
  AUTHFAILED: 'authentication failed',
  NONODE: 'does not exist',
  NODEEXISTS: 'exists already',
  NOTEMPTY: 'has children',
  BADVERSION: 'is at another version',
  NOAUTH: 'is not permitted by the ACL',
  NOCHILDRENFOREPHEMERALS: 'is under an ephemeral znode, which cannot have children',
  INVALIDACL: 'was given an invalid ACL',
  BADARGUMENTS: 'was refused: bad arguments',
  NOWATCHER: 'has no such watch',
  UNIMPLEMENTED: 'the server does not know this operation',
  NOTREADONLY: 'the server is read-only',
  QUOTAEXCEEDED: 'exceeds its quota',
  RUNTIMEINCONSISTENCY: 'not carried out, since another operation of the multi failed',
};
const aboutPath = new Set<CoordErrorCode>(['NONODE', 'NODEEXISTS', 'NOTEMPTY', 'BADVERSION', 'NOAUTH', 'NOCHILDRENFOREPHEMERALS', 'INVALIDACL', 'BADARGUMENTS', 'NOWATCHER', 'QUOTAEXCEEDED']);
const retryable = new Set<CoordErrorCode>(['CONNECTIONLOSS', 'OPERATIONTIMEOUT', 'REQUESTTIMEOUT', 'SESSIONMOVED', 'THROTTLEDOP', 'RECONFIGINPROGRESS', 'NEWCONFIGNOQUORUM']);

/**
 * `code` is one of {@link CoordErrorCode}. `retryable`: the same operation may succeed on the same client later. After CONNECTIONLOSS
 * the outcome is unknown, so a retry of something that is not idempotent must look first at what is there.
 */
export class CoordError extends DreyError {
  declare readonly code: CoordErrorCode;
  /** As the caller gave it (below the chroot); '' where no path was concerned. */
  readonly path: string;

  constructor(code: CoordErrorCode, path = '', options: { message?: string; cause?: unknown } = {}) {
    super(code, options.message ?? describe(code, path), { retryable: retryable.has(code), ...(options.cause === undefined ? {} : { cause: options.cause }) });
    this.name = 'CoordError';
    this.path = path;
  }
}

/** A multi of which nothing took place. `code` and `path` are those of the operation that failed. */
export class MultiError extends CoordError {
  /** Index of the first failed operation in the array that was given. */
  readonly failedIndex: number;
  /** Every operation's own code: 'OK' before the failed one, 'RUNTIMEINCONSISTENCY' after it. */
  readonly codes: readonly string[];

  constructor(code: CoordErrorCode, path: string, failedIndex: number, codes: readonly string[]) {
    super(code, path, { message: `operation ${failedIndex} of the multi: ${describe(code, path)}` });
    this.name = 'MultiError';
    this.failedIndex = failedIndex;
    this.codes = codes;
  }
}

/** The error of a result code that a server sent. */
export function errorFromCode(code: number, path: string): CoordError {
  return new CoordError(codeName(code) as CoordErrorCode, path);
}

export function isCoordError(error: unknown, ...codes: CoordErrorCode[]): error is CoordError {
  return error instanceof CoordError && (codes.length === 0 || codes.includes(error.code));
}

function describe(code: CoordErrorCode, path: string): string {
  const text = texts[code] ?? 'the operation failed';
  if (path === '') return `${code}: ${text}`;
  return aboutPath.has(code) ? `${code}: ${path} ${text}` : `${code}: ${path}: ${text}`;
}
