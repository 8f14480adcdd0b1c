/**
 * Operational errors: things that happen to a correct program (a peer is gone, a file is wrong, a disk is full).
 * Each has a code from a closed list, listed in docs/ERRORS.md. Result codes of requests (NONODE, BADVERSION …) are
 * data in replies and live in coord/wire/codes.ts; invariant violations are AssertionFailed.
 */
export class DreyError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DreyError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
